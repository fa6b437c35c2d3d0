"""Files of weights that cannot run code: arrays in ``.skops``, networks in ``.keras``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hemodetect.errors import BundleError

if TYPE_CHECKING:
    import keras

TRUSTED: list[str] = []
"""skops knows numpy's arrays; a file that asks for any other type is refused."""


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays, compressed."""
    import skops.io  # brings all of scikit-learn, which takes 2 s

    skops.io.dump(arrays, path, compression=zipfile.ZIP_DEFLATED, compresslevel=6)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in `path`; raises `BundleError` where it holds anything else."""
    import skops.io

    try:
        untrusted = skops.io.get_untrusted_types(file=path)
        content = skops.io.load(path, trusted=TRUSTED)
    except Exception as error:
        raise BundleError(
            f"{path}: not a readable .skops file ({type(error).__name__})."
        ) from error
    if untrusted or not isinstance(content, dict):
        kind = untrusted or type(content).__name__
        raise BundleError(f"{path}: holds {kind}, expected arrays only.")
    arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    if len(arrays) != len(content):
        raise BundleError(f"{path}: holds something that is not an array.")
    return arrays


def write_network(path: Path, network: keras.Model) -> None:
    """Writes a network without optimizer and loss: a third of the size, nothing to compile on load."""
    import keras

    keras.Model(network.inputs, network.outputs).save(path)


def read_network(path: Path) -> keras.Model:
    """The network in a ``.keras`` file; raises `BundleError` where it is unsafe or damaged."""
    import keras

    try:
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:
        raise BundleError(
            f"{path}: cannot be loaded safely ({type(error).__name__}); it is damaged or holds"
            " code of its own. Use a bundle from a source you trust."
        ) from error
