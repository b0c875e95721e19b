"""The graph of a U-Net that computes no more of its decoder than what is kept of a window; see `banding`.

A slice stands before all that the decoder takes in. Its bounds are inputs of the graph: one session serves windows of
every size.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ..modelfile.export import PREFIX
from ..models.unet import UNet
from ..raster.grid import Window
from .banding import decoded_parts, halved

AXES = "rows_and_cols"


def cropped(model: onnx.ModelProto, network: nn.Module) -> bytes:
    """The model file with slices, and with what `bounds` gives as further inputs.

    Args:
        model: as `modelfile.export` writes it; changed.
        network: rebuilt from it, one of `banding.of_exact_unets`.

    Raises:
        LookupError: for a graph that another program has written anew.
    """
    graph = model.graph
    nodes = list(graph.node)
    for name, unet in network.named_modules():
        if isinstance(unet, UNet):
            nodes = _cropped(nodes, f"{PREFIX}{name}." if name else PREFIX, len(unet.up))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.array([2, 3], np.int64), AXES))
    wanted = {item for node in nodes for item in node.input if item.startswith(f"{AXES}:")}
    graph.input.extend(helper.make_tensor_value_info(item, TensorProto.INT64, [2]) for item in sorted(wanted))
    written: bytes = model.SerializeToString()
    return written


def depths(network: nn.Module) -> set[int]:
    """Levels of the decoders of the U-Nets in a network."""
    return {len(module.up) for module in network.modules() if isinstance(module, UNet)}


def bounds(kept: Window, height: int, width: int, depths: set[int]) -> dict[str, NDArray[np.int64]]:
    """Where the slices begin and end.

    Args:
        kept: in pixels of the window.
        height, width: of the window, multiples of the total stride.
        depths: see `depths`.
    """
    found = {}
    for levels in depths:
        for place, part in _slices(kept, height, width, levels):
            first, last = _names(place, levels)
            found[first] = np.array([part.row, part.col], np.int64)
            found[last] = np.array([part.row + part.height, part.col + part.width], np.int64)
    return found


def _slices(kept: Window, height: int, width: int, levels: int) -> Iterator[tuple[str, Window]]:
    """What is taken of every input of the decoder, in its own pixels."""
    parts = decoded_parts(kept, height, width, levels)
    for level, part in enumerate(parts):
        yield f"skip {level}", part.given
        yield f"made {level}", part.wanted.moved(-part.given.row, -part.given.col)
    yield f"made {levels}", halved(parts[-1].given)


def _cropped(nodes: list[onnx.NodeProto], prefix: str, levels: int) -> list[onnx.NodeProto]:
    """The nodes with those slices that one U-Net needs, each before the first node that looks at it."""
    by_weight = {node.input[1]: node for node in nodes if node.op_type in ("Conv", "ConvTranspose")}
    before: dict[str, onnx.NodeProto] = {}

    def cut(node: onnx.NodeProto, index: int, place: str) -> None:
        first, last = _names(place, levels)
        made = f"{node.output[0]}:{place}"
        before[node.output[0]] = helper.make_node("Slice", [node.input[index], first, last, AXES], [made])
        node.input[index] = made

    cut(by_weight[f"{prefix}head.weight"], 0, "made 0")
    for level in range(levels):
        raised = by_weight[f"{prefix}up.{level}.weight"]
        joins = [node for node in nodes if node.op_type == "Concat" and raised.output[0] in node.input]
        cut(raised, 0, f"made {level + 1}")
        cut(joins[0], 1, f"skip {level}")
    return [item for node in nodes for item in (before.get(node.output[0]), node) if item]


def _names(place: str, levels: int) -> tuple[str, str]:
    """Inputs of the graph: first and, half-open, last row and column."""
    return f"{AXES}:{place} of {levels} from", f"{AXES}:{place} of {levels} to"
