"""Which processor trains."""

from __future__ import annotations

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
            f"--device gpu: {backend} sees no GPU here; install its GPU build"
            ' (for TensorFlow: pip install "tensorflow[and-cuda]"), or use --device cpu.'
        )
