"""ONNX models of other programs, by the conventions of the QGIS plugin Deepness: what they read and what they give.

A file is understood from its graph and its metadata alone; each that is no model of classes for pixels is refused with
one sentence. Values are put onto the model's scale as (x / 255 - mean) / std.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from ..contract import GeoSegError, LabelClass, Problem, parse_json
from ..contract.decoding import shown
from ..contract.limits import MOST_BANDS, MOST_CLASSES
from ..raster.sources import parse_crs
from .calibration import PLAIN, Calibration
from .stats import Statistics

FOREIGN = "foreign"
"""Name of their architecture; what else it holds, see `Foreign`."""
TILE_PX = 512
OVERLAP_PERCENT = 15.0
THRESHOLD, SMOOTHED_PX = 0.5, 9
"""What Deepness takes where a file has no `seg_thresh` and no `seg_small_segment`."""
LEAST_THRESHOLD = 1e-3
MOST_TILE_PX = 8192
LEAST_STD, LARGEST, LONGEST_LITERAL = 1e-30, 1e9, 65_536
"""Of deviations and of any number of the metadata; characters of a value that is no JSON."""
DEGREE_M = 111319.49079327358
"""Metres of a degree where QGIS converts map units."""
COLORS = ("#dddddd", "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#ffff33", "#a65628", "#f781bf")
SHAPING = ("Transpose", "Reshape", "Identity", "Cast", "Squeeze", "Unsqueeze", "Slice", "Crop")
"""Operations that only move values."""
OTHER_KINDS = {
    "detector": "finds objects",
    "regressor": "gives numbers",
    "regression": "gives numbers",
    "superresolution": "makes finer images",
    "recognition": "gives a description of a tile",
}
"""What models do that give no classes, by `model_type`."""


@dataclass(frozen=True)
class Foreign:
    """What a foreign model says of itself.

    Attributes:
        architecture: of the name FOREIGN; `channels` and `outputs` count what it reads and gives, `tile_px` is the
            side of its windows, `fixed` whether others are impossible, `margin_px` how much smaller its answer is
            on every side, `overlap` the share of a window that the next covers, `shares` what its values are
            (softmax, sigmoid, or raw for none of both), `threshold` below which a value does not count,
            `resolution_cm` the side of its pixel, which `map_unit_m` turns into units of a layer, 0 if any will do.
        classes: in the order of what its runtime gives; of one channel, a background and it.
        statistics: by which values become scores.
        calibration: the threshold of one channel, as weights of the two classes.
        warnings: what is not used of it or had to be assumed.
    """

    architecture: dict[str, Any]
    classes: tuple[LabelClass, ...]
    statistics: Statistics
    calibration: Calibration
    warnings: tuple[Problem, ...]


def understand(path: Path, model: onnx.ModelProto) -> Foreign:
    """Read a foreign model.

    Raises:
        GeoSegError: `not_our_model` with the reason why it cannot give classes to pixels.
    """
    found = {item.key: parsed(item.value) for item in model.metadata_props}
    _refuse_kind(path, found)
    channels, side = _input(path, model)
    tile_px = side or int(number(found, ("tile_size", "tiles_size"), TILE_PX))
    if not 1 <= tile_px <= MOST_TILE_PX:
        raise refused(path, f"its windows have {tile_px} pixels a side, not 1 to {MOST_TILE_PX}")
    outputs, margin_px = _output(path, model, tile_px)
    mean, std = (_per_channel(path, found, key, channels) for key in ("mean", "std"))
    threshold = number(found, ("seg_thresh",), THRESHOLD)
    names, warnings = class_names(found, outputs)
    warnings += _smoothing(path, found)
    if len(model.graph.output) > 1:
        warnings.append(
            _warning(
                "several_outputs",
                f"{path.name} has {len(model.graph.output)} outputs; the first is used.",
                "For another one, write a file that has only that.",
            )
        )
    architecture = {
        "name": FOREIGN,
        "channels": channels,
        "outputs": outputs,
        "tile_px": tile_px,
        "fixed": bool(side),
        "margin_px": margin_px,
        "overlap": min(max(number(found, ("tiles_overlap",), OVERLAP_PERCENT) / 100, 0.0), 0.8),
        "shares": activation(model.graph),
        "threshold": threshold,
        "resolution_cm": max(number(found, ("resolution",), 0.0), 0.0),
    }
    limits = tuple([float("inf")] * channels)
    statistics = Statistics(
        tuple(255 * value for value in mean),
        tuple(255 * value for value in std),
        tuple(-value for value in limits),
        limits,
    )
    calibration = of_threshold(threshold) if outputs == 1 else PLAIN
    classes = tuple(
        LabelClass(index, name, "", COLORS[index % len(COLORS)]) for index, name in enumerate(names)
    )
    return Foreign(architecture, classes, statistics, calibration, tuple(warnings))


def map_unit_m(crs: str) -> float:
    """Metres of a unit of a CRS as QGIS converts map units, whatever the scale of the projection there."""
    known = parse_crs(crs)
    factor = float(known.axis_info[0].unit_conversion_factor) if known.axis_info else 1.0
    return math.degrees(factor) * DEGREE_M if known.is_geographic else factor


def _smoothing(path: Path, found: dict[str, Any]) -> list[Problem]:
    """What Deepness does to a map afterwards, and we do only where it is asked for."""
    size = int(number(found, ("seg_small_segment",), SMOOTHED_PX)) // 2 * 2 + 1
    if size <= 1:
        return []
    return [
        _warning(
            "median_filter",
            f"Deepness smooths the maps of {path.name} by a median filter of {size} px; here the map is as the model "
            "gives it.",
            f"For the same map of two classes, choose a majority of {size} px as well.",
        )
    ]


def of_threshold(threshold: float) -> Calibration:
    """The decision between two classes that gives the second where its probability is above a threshold."""
    share = min(max(threshold, LEAST_THRESHOLD), 1 - LEAST_THRESHOLD)
    highest = max(share, 1 - share)
    return Calibration(weights=(share / highest, (1 - share) / highest))


def parsed(text: str) -> Any:
    """A value of the metadata: JSON, or as Python writes it, as older files have it; else the text itself."""
    try:
        return parse_json(text, "A value")
    except GeoSegError:
        pass
    try:
        if len(text) > LONGEST_LITERAL:
            return text
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def number(found: dict[str, Any], keys: Sequence[str], default: float) -> float:
    """The first of the keys that holds a number of a size that makes sense."""
    for key in keys:
        try:
            value = float(found[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if abs(value) <= LARGEST:
            return value
    return default


def class_names(found: dict[str, Any], outputs: int) -> tuple[list[str], list[Problem]]:
    """A name for every class; of one channel, of a background and its class."""
    given = found.get("class_names", found.get("names"))
    if isinstance(given, list) and given and isinstance(given[0], dict):
        given = given[0]  # one table an output
    if isinstance(given, list):
        given = dict(enumerate(given))
    names = {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
    if outputs == 1:
        return ["background", names.get("1") or names.get("0") or "object"], []
    missing = [index for index in range(outputs) if str(index) not in names]
    warnings = []
    if missing:
        warnings.append(
            _warning(
                "no_class_names",
                f"The model names {outputs - len(missing) or 'none'} of its {outputs} classes.",
                "The others are called by their number.",
            )
        )
    return [names.get(str(index), f"class {index}") for index in range(outputs)], warnings


def activation(graph: onnx.GraphProto) -> str:
    """What the values of the first output are: `softmax`, `sigmoid` or `raw`."""
    makers = {name: node for node in graph.node for name in node.output}
    node, steps = makers.get(graph.output[0].name), 0
    while node is not None and node.op_type in SHAPING and node.input and steps <= len(graph.node):
        node, steps = makers.get(node.input[0]), steps + 1
    kind = "" if node is None else node.op_type
    return {"Softmax": "softmax", "Sigmoid": "sigmoid", "HardSigmoid": "sigmoid"}.get(kind, "raw")


def refused(path: Path, why: str) -> GeoSegError:
    """The error for a foreign model that cannot be used."""
    return GeoSegError(
        "not_our_model",
        f"{path.name} is a model of another program that cannot be used here: {why}.",
        "Choose a model.onnx of GeoSeg, or one that gives classes to pixels.",
    )


def _refuse_kind(path: Path, found: dict[str, Any]) -> None:
    kind = str(found.get("model_type", "Segmentor"))
    if kind.lower() not in ("segmentor", "segmenter", "segmentation"):
        does = OTHER_KINDS.get(kind.lower().replace("_", "").replace(" ", ""), "does something else")
        raise refused(path, f"a {kind} {does}, it gives no classes")


def _input(path: Path, model: onnx.ModelProto) -> tuple[int, int]:
    """Channels, and the side of the windows; 0 where it may be any.

    Raises:
        GeoSegError: `not_our_model`.
    """
    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    if len(inputs) != 1:
        raise refused(path, f"it takes {len(inputs)} inputs, not one image")
    shape = _shape(inputs[0])
    if len(shape) != 4 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise refused(path, f"its input {shape} is no image of float32 (batch, channels, rows, columns)")
    batch, channels, height, width = shape
    if batch > 1:
        raise refused(path, f"it wants {batch} windows at once")
    if not 0 < channels <= MOST_BANDS or (channels > 16 and 0 < width <= 16):
        raise refused(path, f"its input {shape} has no fixed number of channels in the second place")
    if height != width:
        raise refused(path, f"its windows of {height} × {width} pixels are not square")
    if not 0 <= height <= MOST_TILE_PX or batch < 0:
        raise refused(path, f"its input {shape} is no image of up to {MOST_TILE_PX} pixels a side")
    return channels, height


def _output(path: Path, model: onnx.ModelProto, tile_px: int) -> tuple[int, int]:
    """Channels, 1 for none, and how many pixels the answer is smaller on every side.

    Raises:
        GeoSegError: `not_our_model`.
    """
    if not model.graph.output:
        raise refused(path, "it has no output")
    output = model.graph.output[0]
    shape = _shape(output)
    if len(shape) not in (3, 4):
        raise refused(path, f"it gives {len(shape) - 1} numbers a window, not a map" if len(shape) == 2 else
                      f"its output {shape} is not a map")  # fmt: skip
    if output.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise refused(path, "it gives class numbers instead of a value for every class")
    channels = shape[1] if len(shape) == 4 else 1
    height, width = (side or tile_px for side in shape[-2:])
    if channels == 0:
        raise refused(path, "it does not say how many classes it gives")
    if not 0 < channels <= MOST_CLASSES:
        raise refused(path, f"it gives {channels} classes; up to {MOST_CLASSES} can be told apart here")
    if height != width:
        raise refused(path, f"its output {shape} is not a square map")
    if height > tile_px:
        raise refused(
            path, f"it makes {height} × {width} pixels of {tile_px} × {tile_px}: a finer image, no classes"
        )
    if height <= tile_px // 2:
        raise refused(
            path, f"it gives {height} × {width} answers for {tile_px} × {tile_px} pixels, not one each"
        )
    return channels, (tile_px - height) // 2


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    """Dimensions; 0 for those that are not fixed."""
    return [item.dim_value for item in value.type.tensor_type.shape.dim]


def _per_channel(path: Path, found: dict[str, Any], key: str, channels: int) -> list[float]:
    default = 0.0 if key == "mean" else 1.0
    given = found.get(f"standardization_{key}", default)
    values = given if isinstance(given, list | tuple) else [given]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    numbers = numbers * channels if len(numbers) == 1 else numbers
    least = LEAST_STD if key == "std" else -LARGEST
    if len(numbers) != channels or not all(least <= value <= LARGEST for value in numbers):
        raise refused(path, f"its standardization_{key} {shown(given)} does not fit {channels} channels")
    both = {"standardization_mean", "standardization_std"} <= found.keys()
    return numbers if both else [default] * channels  # Deepness leaves values alone where one is missing


def _warning(code: str, message: str, hint: str) -> Problem:
    return Problem(code, message, hint, "warning")
