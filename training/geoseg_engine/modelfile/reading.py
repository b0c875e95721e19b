"""Read a model file: what it is, and the torch network rebuilt from it alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from torch import nn

from ..channel import Channel
from ..contract import DescribeJob, GeoSegError, LabelClass, Problem, Recipe, decode
from ..models import build
from .calibration import PLAIN, Calibration
from .export import PREFIX
from .stats import Statistics

ONNX_ONLY = ("forest",)
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


def read_model(path: Path | str) -> ModelFile:
    """Read the metadata of a model file.

    Raises:
        GeoSegError: `model_missing` without a file, `not_our_model` for a foreign or broken one.
    """
    path = Path(path)
    model = _load(path)
    found = {item.key: item.value for item in model.metadata_props}
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
        kind = found.get("model_type", "").strip('"') if "geoseg:recipe" not in found else ""
        what = f"it is a {kind} of another program" if kind else "GeoSeg's metadata are missing or damaged"
        raise not_our_model(path, what, f"{type(error).__name__}: {error}") from error


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
        raise GeoSegError(
            "no_network",
            f"{path.name} is a {described.architecture['name']}: it has no network to load.",
            "Choose a model of a network, e.g. a unet; or predict with the ONNX runtime.",
        )
    network = build(described.architecture)
    weights = {
        item.name.removeprefix(PREFIX): torch.from_numpy(np.array(onnx.numpy_helper.to_array(item)))
        for item in _load(path).graph.initializer
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
    """The job `describe`: what the model is, needs and scored."""
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
    }


def not_our_model(path: Path, why: str, details: str = "") -> GeoSegError:
    """The error for a file that is no model of ours."""
    return GeoSegError(
        "not_our_model",
        f"{path.name} is not a GeoSeg model: {why}.",
        "Choose a model.onnx that GeoSeg has trained.",
        details,
    )


def _load(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise GeoSegError(
            "model_missing", f"There is no model file {path}.", "Was it moved or deleted? Choose it again."
        )
    try:
        return onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise not_our_model(path, "it is no ONNX file") from error
