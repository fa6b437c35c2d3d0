"""Which processor trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from hemodetect.errors import HemodetectError


class NoGpu(HemodetectError):
    """A GPU was asked for and the backend sees none."""


def require_gpu() -> None:
    """Does nothing where the backend sees a GPU, which it then uses by itself.

    Raises:
        NoGpu: it sees none.
    """
    if not keras.distribution.list_devices("gpu"):
        backend = keras.backend.backend()
        raise NoGpu(
            f"--device gpu: {backend} sees no GPU here. `hemodetect doctor` says why; `GPU=1 make env`"
            " installs TensorFlow's build for NVIDIA cards. Or use --device cpu."
        )


@contextmanager
def data_parallel(parallel: bool) -> Iterator[int]:
    """Networks built and trained inside see each batch in parts, one a GPU; gives the number of parts.

    Args:
        parallel: does nothing where it is False, or where there is one GPU only. Without a GPU the
            processor's logical devices take their place.
    """
    if not parallel:
        yield 1
    elif keras.backend.backend() == "tensorflow":
        # With TensorFlow, Keras 3 leaves the distribution over devices to TensorFlow.
        import tensorflow as tf

        cards = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([card.name for card in cards])
        with strategy.scope():
            yield strategy.num_replicas_in_sync
    else:
        previous = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        try:
            yield len(keras.distribution.list_devices())
        finally:
            keras.distribution.set_distribution(previous)
