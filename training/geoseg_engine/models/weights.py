"""Weights of an encoder from a file: what fits is taken, and what does not is said."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import torch
from torch import Tensor, nn

from ..contract import GeoSegError
from .saved import read_saved
from .zoo import IMAGENET, Zoo

WRAPPED = ("weights", "state_dict", "model_state_dict", "model", "encoder")
"""Keys under which files keep the state."""
PREFIXES = re.compile(r"^(module|network|model|backbone|encoder)\.")
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


def load_encoder(network: nn.Module, path: Path | str) -> list[str]:
    """Fill the network's encoder from a file, or with what the zoo fetches where `path` is `imagenet`.

    Names are compared without what frameworks put before them (`module.`, `backbone.`, `encoder.` …). A first
    convolution of another number of bands is averaged over its bands and scaled so that sums stay the same.

    Returns:
        What was not taken as it is: names of the encoder that keep their values, and for a first convolution
        that was adapted, its name and the two numbers of bands.

    Raises:
        GeoSegError: `weights` if the file cannot be read or nothing in it fits.
    """
    found = _imagenet(network) if str(path) == IMAGENET else read_state(Path(path))
    given = {_bare(name): value for name, value in found.items()}
    own = network.get_submodule("encoder") if not isinstance(network, Zoo) else network.encoder
    wanted = own.state_dict()
    first = next((name for name, value in wanted.items() if value.dim() == 4), "")
    fitted, notes = {}, []
    for name, value in wanted.items():
        offered = given.get(_bare(name))
        if offered is not None and name == first and _other_bands(offered, value):
            notes.append(f"{name} (from {offered.shape[1]} bands to {value.shape[1]})")
            offered = adapted(offered, value.shape[1])
        if offered is None or offered.shape != value.shape:
            notes.append(name)
        else:
            fitted[name] = offered
    if not any(wanted[name].dim() == 4 for name in fitted):
        raise GeoSegError(
            "weights",
            f"Nothing in '{path}' fits the encoder of this network; it begins with {', '.join(list(found)[:3])}.",
            "Choose the network and encoder that the weights were made for.",
        )
    own.load_state_dict(fitted, strict=False)
    return notes


def _other_bands(offered: Tensor, wanted: Tensor) -> bool:
    """Whether two convolutions differ in their input channels alone."""
    one, other = list(offered.shape), list(wanted.shape)
    return len(one) == 4 and one[1] != other[1] and one[:1] + one[2:] == other[:1] + other[2:]


def adapted(weight: Tensor, bands: int) -> Tensor:
    """A first convolution (out, in, rows, cols) for so many bands: the mean over its own, times in / bands."""
    mean = weight.float().mean(dim=1, keepdim=True) * (weight.shape[1] / bands)
    return mean.expand(-1, bands, -1, -1).to(weight.dtype).contiguous()


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a .safetensors file or of one that torch wrote; code in it is never run.

    Raises:
        GeoSegError: `weights` if it is missing or neither of the two.
    """
    try:
        state = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, struct.error) as error:
        raise GeoSegError(
            "weights",
            f"No weights could be read from '{path}': {error}",
            "Choose a .pth, .pt or .safetensors file with the state of a network.",
        ) from error
    return state


def _torch(path: Path) -> dict[str, Tensor]:
    content = read_saved(path)
    for key in WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    state = {name: value for name, value in dict(content).items() if isinstance(value, Tensor)}
    if not state:
        raise ValueError("it holds no tensors")
    return state


def _safetensors(path: Path) -> dict[str, Tensor]:
    """A length (8 bytes), a JSON header of that length with type, shape and place of each tensor, their bytes."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
        start, state = 8 + length, {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            file.seek(start + begin)
            raw = bytearray(file.read(end - begin))
            dtype = DTYPES[entry["dtype"]]
            flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            state[name] = flat.reshape(entry["shape"])
    return state


def _imagenet(network: nn.Module) -> dict[str, Tensor]:
    if isinstance(network, Zoo):
        return network.imagenet()
    raise GeoSegError(
        "weights",
        "Only networks of the zoo can fetch ImageNet weights.",
        "Choose the architecture 'zoo', or name a file with weights of a ResNet.",
    )


def _bare(name: str) -> str:
    while PREFIXES.match(name):
        name = PREFIXES.sub("", name)
    return name
