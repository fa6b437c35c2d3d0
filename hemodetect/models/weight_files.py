"""Arrays in a ``.skops`` file, read with nothing trusted but numpy's own types."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from hemodetect.errors import BundleError

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
        strange = skops.io.get_untrusted_types(file=path)
        found = skops.io.load(path, trusted=TRUSTED)
    except Exception as error:
        raise BundleError(
            f"{path}: not a readable .skops file ({type(error).__name__})."
        ) from error
    if strange or not isinstance(found, dict):
        raise BundleError(f"{path}: holds {strange or type(found).__name__}, expected arrays only.")
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    if len(arrays) != len(found):
        raise BundleError(f"{path}: holds something that is not an array.")
    return arrays
