"""Encoder weights from a file: tensors that fit are loaded, the others are reported."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..contract import GeoSegError, parse_json
from .torchfile import read_torch
from .zoo import IMAGENET, Zoo

WRAPPED = ("weights", "state_dict", "model_state_dict", "model", "encoder")
"""Keys that files keep the state under."""
PREFIXES = re.compile(r"^(module|network|model|backbone|encoder)\.")
MAX_AXES = 8
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


def load_encoder(network: nn.Module, path: Path | str) -> list[str]:
    """Load the network's encoder from a file, or with ImageNet weights that segmentation-models-pytorch downloads.

    Names are compared without the prefixes of frameworks (`module.`, `backbone.`, `encoder.` …). A first
    convolution of another number of bands is averaged over its bands and scaled so that sums stay the same.

    Args:
        network: its encoder is changed in place.
        path: of the file, or `imagenet`.

    Returns:
        What was not loaded as it is: names of the encoder that keep their values, and for a first convolution
        that was adapted, its name and the two numbers of bands.

    Raises:
        GeoSegError: `weights` if the file cannot be read or nothing in it fits.
    """
    found = _imagenet(network) if str(path) == IMAGENET else read_state(Path(path))
    given = {_without_prefix(name): value for name, value in found.items()}
    own = network.get_submodule("encoder") if not isinstance(network, Zoo) else network.encoder
    wanted = own.state_dict()
    first = next((name for name, value in wanted.items() if value.dim() == 4), "")
    fitted, notes = {}, []
    for name, value in wanted.items():
        offered = given.get(_without_prefix(name))
        if offered is not None and name == first and _differs_in_bands(offered, value):
            notes.append(f"{name} (from {offered.shape[1]} bands to {value.shape[1]})")
            offered = adapt_bands(offered, value.shape[1])
        if offered is None or offered.shape != value.shape:
            notes.append(name)
        else:
            fitted[name] = offered
    if not any(wanted[name].dim() == 4 for name in fitted):
        raise GeoSegError(
            "weights",
            f"No tensor of '{path}' fits the encoder of this network; its first are {', '.join(list(found)[:3])}.",
            "Choose the network and encoder that the weights were made for.",
        )
    own.load_state_dict(fitted, strict=False)
    return notes


def _differs_in_bands(offered: Tensor, wanted: Tensor) -> bool:
    """Whether two convolutions differ in their input channels alone."""
    one, other = list(offered.shape), list(wanted.shape)
    return len(one) == 4 and one[1] != other[1] and one[:1] + one[2:] == other[:1] + other[2:]


def adapt_bands(weight: Tensor, bands: int) -> Tensor:
    """Return a first convolution for another number of bands: the mean over its own, times in / bands.

    Args:
        weight: (out, in, rows, cols).
        bands: number of input channels of the result.

    Returns:
        (out, bands, rows, cols).
    """
    mean = weight.float().mean(dim=1, keepdim=True) * (weight.shape[1] / bands)
    return mean.expand(-1, bands, -1, -1).to(weight.dtype).contiguous()


def read_state(path: Path) -> dict[str, Tensor]:
    """Read names and tensors of a .safetensors file or a torch file; code in it is never run.

    Raises:
        GeoSegError: `weights` if it is missing or neither of the two.
    """
    try:
        state = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    except (OSError, ValueError, GeoSegError) as error:
        raise GeoSegError(
            "weights",
            f"Weights could not be read from '{path}': {str(error).rstrip('.')}.",
            "Choose a .pth, .pt or .safetensors file with the state of a network.",
        ) from error
    return state


def _torch(path: Path) -> dict[str, Tensor]:
    content = read_torch(path)
    for key in WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    pairs = content.items() if isinstance(content, dict) else ()
    state = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, Tensor)}
    if not state:
        raise ValueError("it holds no tensors")
    return state


def _safetensors(path: Path) -> dict[str, Tensor]:
    """A length (8 bytes), a JSON header of that length with type, shape and place of each tensor, their bytes."""
    with path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= size - 8:
            raise ValueError("its header is longer than the file")
        header = parse_json(file.read(length), "Its header")
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        state = {}
        for name, entry in header.items():
            if name != "__metadata__":
                dtype, shape, begin, end = _entry(name, entry, size - 8 - length)
                file.seek(8 + length + begin)
                raw = bytearray(file.read(end - begin))
                flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
                state[name] = flat.reshape(shape)
    return state


def _entry(name: str, entry: Any, room: int) -> tuple[torch.dtype, list[int], int, int]:
    """Type, shape, first byte and end of a tensor.

    Raises:
        ValueError: unless the bytes are those of the shape and inside the file, `room` bytes after the header.
    """
    found = entry if isinstance(entry, dict) else {}
    dtype = DTYPES.get(str(found.get("dtype")))
    shape, place = (
        value if isinstance(value, list) else [-1]
        for value in (found.get("shape"), found.get("data_offsets"))
    )
    whole = all(isinstance(number, int) and 0 <= number <= room for number in (*shape, *place))
    if dtype is None or not whole or len(place) != 2 or len(shape) > MAX_AXES:
        raise ValueError(f"'{name[:40]}' has no type, shape and place that fit the file")
    begin, end = place
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"'{name[:40]}' has {end - begin} bytes, which is not its shape {shape}")
    return dtype, shape, begin, end


def _imagenet(network: nn.Module) -> dict[str, Tensor]:
    if isinstance(network, Zoo):
        return network.imagenet()
    raise GeoSegError(
        "weights",
        "Only networks of segmentation-models-pytorch can download ImageNet weights.",
        "Choose the architecture 'zoo', or choose a file with weights of a ResNet.",
    )


def _without_prefix(name: str) -> str:
    while PREFIXES.match(name):
        name = PREFIXES.sub("", name)
    return name
