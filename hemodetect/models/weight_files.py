"""Files of weights that cannot run code: arrays in ``.skops``, networks in ``.keras``."""

from __future__ import annotations

import json
import math
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hemodetect.errors import BundleError

if TYPE_CHECKING:
    import keras

BLOOD_NETWORK = "blood.skops"
"""File of the network that a model of the recipe ``study`` rests on."""
SHARED = "networks"
"""Folder of files that several bundles share."""
_LEVELS = 511  # of a rounded weight, to either side of 0
_HEIGHTS = 3  # folders above a bundle that are searched for it

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


def write_half(path: Path, network: keras.Model) -> None:
    """Writes the weights of a network in half of their size: kernels as float16, vectors as float32.

    The architecture is not in the file.
    """
    values = [np.asarray(weight) for weight in network.weights]
    kernels = [array.ravel() for array in values if array.ndim > 1]
    vectors = [array.ravel() for array in values if array.ndim < 2]
    write_arrays(
        path,
        {
            "kernels": np.concatenate(kernels).astype(np.float16),
            "vectors": np.concatenate(vectors).astype(np.float32),
        },
    )


def write_rounded(path: Path, network: keras.Model) -> None:
    """Writes the weights of a network in less than a third of their size: kernels rounded to 10 bits.

    Each channel of a kernel has its own scale; vectors stay float32. `benchmarks/rounded_weights.py`
    measures what that costs.
    """
    values = [np.asarray(weight) for weight in network.weights]
    kernels = [array for array in values if array.ndim > 1]
    scales = [_channel_scales(array) for array in kernels]
    whole = [np.rint(k / s).ravel() for k, s in zip(kernels, scales, strict=True)]
    rounded = np.concatenate(whole).astype(np.int16)
    write_arrays(
        path,
        {
            # The two bytes apart: the upper ones are nearly all alike, and pack well.
            "low": (rounded & 0xFF).astype(np.uint8),
            "high": (rounded >> 8).astype(np.int8),
            "scales": np.concatenate([array.ravel() for array in scales]).astype(np.float32),
            "vectors": np.concatenate([a.ravel() for a in values if a.ndim < 2]).astype(np.float32),
        },
    )


def _channel_scales(kernel: np.ndarray) -> np.ndarray:
    """Largest weight of each channel over 511, in a shape that divides `kernel`."""
    channel = _channel_axis(kernel.shape)
    others = tuple(axis for axis in range(kernel.ndim) if axis != channel)
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    return np.where(largest > 0, largest, 1) / np.float32(_LEVELS)


def _channel_axis(shape: tuple[int, ...]) -> int:
    """The last axis; the one before it for a depthwise convolution, whose last has length 1."""
    return len(shape) - (1 if shape[-1] > 1 else 2)


def _unrounded(arrays: dict[str, np.ndarray], network: keras.Model) -> dict[str, np.ndarray]:
    """The arrays of `write_rounded` as those of `write_half`; none where they are another network's."""
    low, high, scales = arrays["low"], arrays["high"], arrays["scales"]
    if len(low) != len(high):
        return {}
    rounded = (high.astype(np.int16) << 8) | low
    pieces, place, scale_place = [], 0, 0
    for weight in network.weights:
        shape = tuple(weight.shape)
        if len(shape) < 2:
            continue
        axis = _channel_axis(shape)
        spread = [1] * len(shape)
        spread[axis] = shape[axis]
        kernel = rounded[place : place + math.prod(shape)]
        of_channels = scales[scale_place : scale_place + shape[axis]]
        if len(kernel) < math.prod(shape) or len(of_channels) < shape[axis]:
            return {}
        pieces.append((kernel.reshape(shape) * of_channels.reshape(spread)).ravel())
        place, scale_place = place + math.prod(shape), scale_place + shape[axis]
    if (place, scale_place) != (len(rounded), len(scales)):
        return {}
    return {"kernels": np.concatenate(pieces), "vectors": arrays["vectors"]}


def read_half(path: Path, network: keras.Model) -> keras.Model:
    """The network with the weights of `write_half` or `write_rounded`.

    Raises:
        BundleError: they do not fit.
    """
    arrays = read_arrays(path)
    types: dict[str, type] = {"kernels": np.float16, "vectors": np.float32}
    rounded = "low" in arrays
    if rounded:
        types = {"low": np.uint8, "high": np.int8, "scales": np.float32, "vectors": np.float32}
    if set(arrays) != set(types) or any(
        array.dtype != types[name] or array.ndim != 1 for name, array in arrays.items()
    ):
        raise BundleError(f"{path}: holds no weights of a network.")
    if rounded:
        arrays = _unrounded(arrays, network)
        if not arrays:
            raise BundleError(f"{path}: holds the weights of another network.")
        types = {"kernels": np.float32, "vectors": np.float32}
    names = ["kernels" if len(weight.shape) > 1 else "vectors" for weight in network.weights]
    place = dict.fromkeys(types, 0)
    weights = []
    for name, weight in zip(names, network.weights, strict=True):
        shape = tuple(weight.shape)
        start = place[name]
        place[name] += math.prod(shape)
        weights.append((name, start, shape))
    if any(len(arrays[name]) != count for name, count in place.items()):
        raise BundleError(f"{path}: holds the weights of another network.")
    network.set_weights(
        [
            arrays[name][start : start + math.prod(shape)].reshape(shape).astype(np.float32)
            for name, start, shape in weights
        ]
    )
    return network


def network_file(folder: Path, name: str) -> Path:
    """A file of weights of a bundle: in its folder, or where the bundles of one place share it.

    Several bundles may rest on one network. It then lies once in a folder `SHARED` beside them or
    above, under the SHA-256 that the bundle's card says.

    Raises:
        BundleError: it is in neither place.
    """
    if (folder / name).is_file():
        return folder / name
    try:
        digest = str(json.loads((folder / "card.json").read_text())["files"][name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder / name}: missing; get the bundle again.") from error
    return shared_file(folder, digest) or folder / name


def shared_file(folder: Path, digest: str) -> Path | None:
    """The shared file of this SHA-256 above a bundle's folder; None where there is none."""
    if re.fullmatch(r"[0-9a-f]{64}", digest):
        for above in list(folder.resolve().parents)[:_HEIGHTS]:
            path = above / SHARED / f"{digest}.skops"
            if path.is_file() and not path.is_symlink():
                return path
    return None


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
