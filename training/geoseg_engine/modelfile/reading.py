"""Read a model file: what it is, and the torch network rebuilt from it alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from ..channel import Channel
from ..contract import Band, DescribeJob, GeoSegError, Grid, LabelClass, Problem, Recipe, Source, decode
from ..models import build
from .calibration import PLAIN, Calibration
from .export import PREFIX
from .foreign import FOREIGN, understand
from .metadata import read_metadata
from .stats import Statistics

T = TypeVar("T")
ONNX_ONLY = ("forest", FOREIGN)
"""Architectures that exist only as a graph, not as a torch network."""


@dataclass(frozen=True)
class ModelFile:
    """What a model says of itself.

    Attributes:
        path: of the .onnx.
        recipe: the bands it was trained on.
        classes: in the order of its output channels.
        statistics: of its bands.
        architecture: name and settings of the network.
        reach_px, align_px, tile_exact: see `models.Traits`.
        tile_px: side of the crops it was trained on.
        metrics: validation scores, or an empty dict.
        warnings: of the dataset and the training.
        trained: when, by which version, on what device, with which settings.
        fingerprint: of the dataset it was trained on; empty in models of older versions.
        calibration: what its graph does with the logits, or leaves as it is.
    """

    path: Path
    recipe: Recipe
    classes: tuple[LabelClass, ...]
    statistics: Statistics
    architecture: dict[str, Any]
    reach_px: int
    align_px: int
    tile_exact: bool
    tile_px: int
    metrics: dict[str, Any]
    warnings: tuple[Problem, ...]
    trained: dict[str, Any]
    fingerprint: str = ""
    calibration: Calibration = PLAIN


def read_model(
    path: Path | str, foreign_bands: Sequence[Band] = (), sources: Sequence[Source] = ()
) -> ModelFile:
    """Read the metadata of a model file, ours or of another program (see `foreign`).

    Args:
        path: of the .onnx.
        foreign_bands: what the channels of a foreign model read, in order; empty takes the first bands of the first
            of the sources.
        sources: what `foreign_bands` refer to. A foreign model without sources has an empty one in its recipe.

    Raises:
        GeoSegError: `model_missing` without a file, `not_our_model` for a broken one and for a foreign one that
            gives no classes to pixels.
    """
    path = Path(path)
    found = _read(path, read_metadata)
    if not any(key.startswith("geoseg:") for key in found):
        return _foreign(path, _read(path, _graph), tuple(foreign_bands), tuple(sources))
    try:
        values = {
            key.removeprefix("geoseg:"): json.loads(text)
            for key, text in found.items()
            if key.startswith("geoseg:")
        }
        return ModelFile(
            path=path,
            recipe=decode(Recipe, values["recipe"]),
            classes=tuple(decode(LabelClass, item) for item in values["classes"]),
            statistics=decode(Statistics, values["statistics"]),
            architecture=values["architecture"],
            reach_px=values["reach_px"],
            align_px=values["align_px"],
            tile_exact=values["tile_exact"],
            tile_px=values["tile_px"],
            metrics=values["metrics"],
            warnings=tuple(decode(Problem, item) for item in values["warnings"]),
            trained=values["trained"],
            fingerprint=values.get("fingerprint", ""),
            calibration=decode(Calibration, values.get("calibration", {})),
        )
    except (KeyError, json.JSONDecodeError, TypeError) as error:
        raise not_our_model(
            path, "GeoSeg's metadata are damaged", f"{type(error).__name__}: {error}"
        ) from error


def _foreign(
    path: Path, model: onnx.ModelProto, bands: tuple[Band, ...], sources: tuple[Source, ...]
) -> ModelFile:
    """A foreign model in the words of ours; its grid says no more than the size of a pixel, in metres, if known."""
    found = understand(path, model)
    tile_px, channels = found.architecture["tile_px"], found.architecture["channels"]
    sources = sources or (Source("image", "", "image"),)
    bands = bands or tuple(
        Band(f"channel {index}", sources[0].key, index) for index in range(1, channels + 1)
    )
    size_m = found.architecture["resolution_cm"] / 100
    return ModelFile(
        path=path,
        recipe=Recipe(sources, bands, Grid("", (size_m, 0.0, 0.0, 0.0, -size_m, 0.0), tile_px, tile_px)),
        classes=found.classes,
        statistics=found.statistics,
        architecture=found.architecture,
        reach_px=tile_px,
        align_px=tile_px,
        tile_exact=False,
        tile_px=tile_px,
        metrics={},
        warnings=found.warnings,
        trained={},
        calibration=found.calibration,
    )


def is_foreign(model: ModelFile) -> bool:
    """Whether a model is of another program: its bands and grid are what the user says."""
    return bool(model.architecture.get("name") == FOREIGN)


def onnx_only(model: ModelFile) -> bool:
    """Whether a model exists only as an ONNX graph: it runs in ONNX Runtime and cannot be trained further."""
    return model.architecture.get("name") in ONNX_ONLY


def load_network(path: Path | str, device: torch.device | str = "cpu") -> nn.Module:
    """Rebuild the torch network from the model file alone; evaluation mode, gives logits.

    Raises:
        GeoSegError: `not_our_model` if weights are missing or do not fit, `no_network` for a model of `ONNX_ONLY`.
    """
    path = Path(path)
    described = read_model(path)
    if onnx_only(described):
        what = "a model of another program" if is_foreign(described) else "a forest"
        raise GeoSegError(
            "no_network",
            f"{path.name} is {what}: it has no network to load.",
            "Choose a model of a network, e.g. a unet; or predict with the ONNX runtime.",
        )
    network = build(described.architecture)
    weights = {
        item.name.removeprefix(PREFIX): torch.from_numpy(np.array(onnx.numpy_helper.to_array(item)))
        for item in _read(path, _graph).graph.initializer
        if item.name.startswith(PREFIX)
    }
    try:
        missing = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise not_our_model(path, str(error)) from error
    absent = [name for name in missing.missing_keys if not name.endswith("num_batches_tracked")]
    if absent or missing.unexpected_keys:
        raise not_our_model(path, f"weights do not fit: {', '.join([*absent, *missing.unexpected_keys][:3])}")
    return network.to(device).eval()


def run(job: DescribeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """The job `describe`: what the model is, needs and scored.

    `foreign` says that a model is of another program: its `bands` are channels that read what the user chooses, its
    `pixel_size` is in metres, 0 for any, and its `crs` empty.
    """
    model = read_model(folder / job.model)
    a, b, _, d, e, _ = model.recipe.grid.transform
    return {
        "classes": model.classes,
        "recipe": model.recipe,
        "bands": [band.name for band in model.recipe.bands],
        "sources": [
            {
                "key": source.key,
                "name": source.name,
                "bands": [band.name for band in model.recipe.bands if band.source == source.key],
            }
            for source in model.recipe.sources
        ],
        "metrics": model.metrics,
        "architecture": model.architecture,
        "pixel_size": [float(np.hypot(a, d)), float(np.hypot(b, e))],
        "crs": model.recipe.grid.crs,
        "warnings": model.warnings,
        "reach_px": model.reach_px,
        "trained": model.trained,
        "foreign": is_foreign(model),
        "tile_px": model.tile_px,
    }


def not_our_model(path: Path, why: str, details: str = "") -> GeoSegError:
    """The error for a file that is no model of ours."""
    return GeoSegError(
        "not_our_model",
        f"{path.name} is not a GeoSeg model: {why}.",
        "Choose a model.onnx that GeoSeg has trained.",
        details,
    )


def _graph(path: Path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)


def _read(path: Path, what: Callable[[Path], T]) -> T:
    if not path.is_file():
        raise GeoSegError(
            "model_missing", f"There is no model file {path}.", "Was it moved or deleted? Choose it again."
        )
    if not path.stat().st_size:
        raise not_our_model(path, "the file is empty")
    try:
        return what(path)
    except (DecodeError, ValueError) as error:
        raise not_our_model(path, "it is no ONNX file") from error
