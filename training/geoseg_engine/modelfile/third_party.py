"""Third-party ONNX models, by the conventions of the QGIS plugin Deepness.

A file is read from its graph and its metadata alone; one that does not give classes per pixel is rejected with one
message. Values are converted to the model's scale as (x / 255 - mean) / std.
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
from ..contract.limits import MAX_BANDS, MAX_CLASSES
from ..raster.sources import parse_crs
from .calibration import PLAIN, Calibration
from .stats import Statistics

THIRD_PARTY = "foreign"
"""Name of their architecture; for its other keys see `ThirdPartyModel`."""
TILE_PX = 512
OVERLAP_PERCENT = 15.0
THRESHOLD, SMOOTHED_PX = 0.5, 9
"""Defaults of Deepness where a file has no `seg_thresh` and no `seg_small_segment`."""
MIN_THRESHOLD = 1e-3
MAX_TILE_PX = 8192
MIN_STD, MAX_NUMBER, MAX_LITERAL = 1e-30, 1e9, 65_536
"""Limits of deviations, of any number of the metadata, and of the characters of a value that is not JSON."""
DEGREE_M = 111319.49079327358
"""Metres per degree where QGIS converts map units."""
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
"""What models without classes do, by `model_type`."""


@dataclass(frozen=True)
class ThirdPartyModel:
    """Description of a third-party model.

    Attributes:
        architecture: of the name THIRD_PARTY; `channels` and `outputs` are the numbers of input and output channels,
            `tile_px` is the side of its windows, `fixed` whether other sides are impossible, `margin_px` how much
            smaller its output is on every side, `overlap` the fraction of a window that the next covers, `shares` what
            its values are (softmax, sigmoid, or raw for neither), `threshold` below which a value does not count,
            `resolution_cm` the side of its pixel, which `map_unit_m` turns into units of a layer, 0 for any.
        classes: in the order of its runtime's output; for one channel, a background and the object.
        statistics: by which values become scores.
        calibration: the threshold of one channel, as weights of the two classes.
        warnings: what is ignored or assumed.
    """

    architecture: dict[str, Any]
    classes: tuple[LabelClass, ...]
    statistics: Statistics
    calibration: Calibration
    warnings: tuple[Problem, ...]


def describe_third_party(path: Path, model: onnx.ModelProto) -> ThirdPartyModel:
    """Return the description of a third-party model.

    Args:
        path: of the .onnx, for messages.
        model: its graph and metadata.

    Raises:
        GeoSegError: `not_our_model` with the reason why it cannot classify pixels.
    """
    metadata = {item.key: parse_value(item.value) for item in model.metadata_props}
    _check_kind(path, metadata)
    channels, side = _input(path, model)
    tile_px = side or int(number(metadata, ("tile_size", "tiles_size"), TILE_PX))
    if not 1 <= tile_px <= MAX_TILE_PX:
        raise unusable_model(path, f"its windows have {tile_px} pixels a side, not 1 to {MAX_TILE_PX}")
    outputs, margin_px = _output(path, model, tile_px)
    mean, std = (_per_channel(path, metadata, key, channels) for key in ("mean", "std"))
    threshold = number(metadata, ("seg_thresh",), THRESHOLD)
    names, warnings = class_names(metadata, outputs)
    warnings += _smoothing(path, metadata)
    if len(model.graph.output) > 1:
        warnings.append(
            _warning(
                "several_outputs",
                f"{path.name} has {len(model.graph.output)} outputs; the first is used.",
                "For another one, write a file that has only that.",
            )
        )
    architecture = {
        "name": THIRD_PARTY,
        "channels": channels,
        "outputs": outputs,
        "tile_px": tile_px,
        "fixed": bool(side),
        "margin_px": margin_px,
        "overlap": min(max(number(metadata, ("tiles_overlap",), OVERLAP_PERCENT) / 100, 0.0), 0.8),
        "shares": activation(model.graph),
        "threshold": threshold,
        "resolution_cm": max(number(metadata, ("resolution",), 0.0), 0.0),
    }
    limits = tuple([float("inf")] * channels)
    statistics = Statistics(
        tuple(255 * value for value in mean),
        tuple(255 * value for value in std),
        tuple(-value for value in limits),
        limits,
    )
    calibration = threshold_calibration(threshold) if outputs == 1 else PLAIN
    classes = tuple(
        LabelClass(index, name, "", COLORS[index % len(COLORS)]) for index, name in enumerate(names)
    )
    return ThirdPartyModel(architecture, classes, statistics, calibration, tuple(warnings))


def map_unit_m(crs: str) -> float:
    """Return the metres of a CRS unit as QGIS converts map units, whatever the scale of the projection there."""
    known = parse_crs(crs)
    factor = float(known.axis_info[0].unit_conversion_factor) if known.axis_info else 1.0
    return math.degrees(factor) * DEGREE_M if known.is_geographic else factor


def _smoothing(path: Path, metadata: dict[str, Any]) -> list[Problem]:
    """A warning for the median filter that Deepness applies to a map, and we only on request."""
    size = int(number(metadata, ("seg_small_segment",), SMOOTHED_PX)) // 2 * 2 + 1
    if size <= 1:
        return []
    return [
        _warning(
            "median_filter",
            f"Deepness smooths the maps of {path.name} by a median filter of {size} px; here the map is not smoothed.",
            f"For the same map of two classes, add a majority filter of {size} px.",
        )
    ]


def threshold_calibration(threshold: float) -> Calibration:
    """Return the decision between two classes that gives the second where its probability is above a threshold."""
    share = min(max(threshold, MIN_THRESHOLD), 1 - MIN_THRESHOLD)
    highest = max(share, 1 - share)
    return Calibration(weights=(share / highest, (1 - share) / highest))


def parse_value(text: str) -> Any:
    """Return a value of the metadata: JSON, or a Python literal, as older files have it; else the text itself."""
    try:
        return parse_json(text, "A value")
    except GeoSegError:
        pass
    try:
        if len(text) > MAX_LITERAL:
            return text
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def number(metadata: dict[str, Any], keys: Sequence[str], default: float) -> float:
    """Return the first of the keys that holds a number within limits.

    Args:
        found: metadata.
        keys: in order.
        default: where none of them does.
    """
    for key in keys:
        try:
            value = float(metadata[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if abs(value) <= MAX_NUMBER:
            return value
    return default


def class_names(metadata: dict[str, Any], outputs: int) -> tuple[list[str], list[Problem]]:
    """Return a name per class; for one channel, of a background and its class.

    Args:
        found: metadata.
        outputs: number of output channels.

    Returns:
        The names, and a warning for missing ones.
    """
    given = metadata.get("class_names", metadata.get("names"))
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
                f"The model has names for {outputs - len(missing) or 'none'} of its {outputs} classes.",
                "The others are named by their number.",
            )
        )
    return [names.get(str(index), f"class {index}") for index in range(outputs)], warnings


def activation(graph: onnx.GraphProto) -> str:
    """Return what the values of the first output are: `softmax`, `sigmoid` or `raw`."""
    makers = {name: node for node in graph.node for name in node.output}
    node, steps = makers.get(graph.output[0].name), 0
    while node is not None and node.op_type in SHAPING and node.input and steps <= len(graph.node):
        node, steps = makers.get(node.input[0]), steps + 1
    kind = "" if node is None else node.op_type
    return {"Softmax": "softmax", "Sigmoid": "sigmoid", "HardSigmoid": "sigmoid"}.get(kind, "raw")


def unusable_model(path: Path, why: str) -> GeoSegError:
    """Return the error `not_our_model` for a third-party model that cannot be used.

    Args:
        path: of the .onnx.
        why: the reason, to end a sentence.
    """
    return GeoSegError(
        "not_our_model",
        f"{path.name} is a third-party model that cannot be used: {why}.",
        "Choose a model.onnx of GeoSeg, or one that classifies pixels.",
    )


def _check_kind(path: Path, metadata: dict[str, Any]) -> None:
    kind = str(metadata.get("model_type", "Segmentor"))
    if kind.lower() not in ("segmentor", "segmenter", "segmentation"):
        does = OTHER_KINDS.get(kind.lower().replace("_", "").replace(" ", ""), "does something else")
        raise unusable_model(path, f"a {kind} {does}, it gives no classes")


def _input(path: Path, model: onnx.ModelProto) -> tuple[int, int]:
    """Channels, and the side of the windows; 0 where it may be any.

    Raises:
        GeoSegError: `not_our_model`.
    """
    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    if len(inputs) != 1:
        raise unusable_model(path, f"it has {len(inputs)} inputs, not one image")
    shape = _shape(inputs[0])
    if len(shape) != 4 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise unusable_model(
            path, f"its input {shape} is no image of float32 (batch, channels, rows, columns)"
        )
    batch, channels, height, width = shape
    if batch > 1:
        raise unusable_model(path, f"it requires {batch} windows at once")
    if not 0 < channels <= MAX_BANDS or (channels > 16 and 0 < width <= 16):
        raise unusable_model(path, f"its input {shape} has no fixed number of channels in the second place")
    if height != width:
        raise unusable_model(path, f"its windows of {height} × {width} pixels are not square")
    if not 0 <= height <= MAX_TILE_PX or batch < 0:
        raise unusable_model(path, f"its input {shape} is no image of up to {MAX_TILE_PX} pixels a side")
    return channels, height


def _output(path: Path, model: onnx.ModelProto, tile_px: int) -> tuple[int, int]:
    """Channels, 1 for none, and how many pixels the output is smaller on every side.

    Raises:
        GeoSegError: `not_our_model`.
    """
    if not model.graph.output:
        raise unusable_model(path, "it has no output")
    output = model.graph.output[0]
    shape = _shape(output)
    if len(shape) not in (3, 4):
        raise unusable_model(path, f"it gives {len(shape) - 1} numbers per window, not a map" if len(shape) == 2 else
                      f"its output {shape} is not a map")  # fmt: skip
    if output.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise unusable_model(path, "it gives class numbers instead of a value per class")
    channels = shape[1] if len(shape) == 4 else 1
    height, width = (side or tile_px for side in shape[-2:])
    if channels == 0:
        raise unusable_model(path, "its number of classes is not fixed")
    if not 0 < channels <= MAX_CLASSES:
        raise unusable_model(path, f"it has {channels} classes; the maximum is {MAX_CLASSES}")
    if height != width:
        raise unusable_model(path, f"its output {shape} is not a square map")
    if height > tile_px:
        raise unusable_model(
            path, f"it makes {height} × {width} pixels of {tile_px} × {tile_px}: a finer image, no classes"
        )
    if height <= tile_px // 2:
        raise unusable_model(
            path, f"it gives {height} × {width} values for {tile_px} × {tile_px} pixels, not one each"
        )
    return channels, (tile_px - height) // 2


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    """Dimensions; 0 for those that are not fixed."""
    return [item.dim_value for item in value.type.tensor_type.shape.dim]


def _per_channel(path: Path, metadata: dict[str, Any], key: str, channels: int) -> list[float]:
    default = 0.0 if key == "mean" else 1.0
    given = metadata.get(f"standardization_{key}", default)
    values = given if isinstance(given, list | tuple) else [given]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    numbers = numbers * channels if len(numbers) == 1 else numbers
    minimum = MIN_STD if key == "std" else -MAX_NUMBER
    if len(numbers) != channels or not all(minimum <= value <= MAX_NUMBER for value in numbers):
        raise unusable_model(
            path, f"its standardization_{key} {shown(given)} does not fit {channels} channels"
        )
    both = {"standardization_mean", "standardization_std"} <= metadata.keys()
    return numbers if both else [default] * channels  # Deepness leaves values alone where one is missing


def _warning(code: str, message: str, hint: str) -> Problem:
    return Problem(code, message, hint, "warning")
