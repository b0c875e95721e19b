"""Reading a model file: its metadata, and the torch network rebuilt from it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from ..channel import Channel
from ..contract import (
    Band,
    DescribeJob,
    GeoSegError,
    Grid,
    LabelClass,
    Problem,
    Recipe,
    Source,
    check_order,
    check_sound,
    decode,
    parse_json,
)
from ..contract.decoding import shown
from ..models import build, check_architecture, state_shapes
from .calibration import PLAIN, Calibration
from .export import PREFIX
from .metadata import read_metadata
from .onnx_file import array_of, check_external_data, not_our_model, read_graph, read_guarded, weights_of
from .source_paths import with_folders
from .stats import Statistics
from .third_party import THIRD_PARTY, describe_third_party

OWN = "geoseg:"
FOREST, FAST = "forest", "fast"
"""Architectures of a forest; `fast` computes its own features and tells missing values from the mean."""
ONNX_ONLY = (FOREST, FAST, THIRD_PARTY)
"""Architectures that exist only as an ONNX graph, not as a torch network."""


@dataclass(frozen=True)
class ModelDescription:
    """The metadata of a model.

    Attributes:
        recipe: the bands it was trained on; its files have names, and paths where `source_paths` finds them.
        classes: in the order of its output channels.
        statistics: of its bands.
        architecture: name and settings of the network.
        reach_px, align_px, tile_exact: see `models.Traits`.
        tile_px: side of the crops it was trained on, in pixels.
        metrics: validation scores, or an empty dict.
        warnings: of the dataset and the training.
        trained: when, by which version, on what device, with which settings.
        fingerprint: of the dataset it was trained on; empty in models of older versions.
        calibration: how its graph turns logits into its output.
    """

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


@dataclass(frozen=True, kw_only=True)
class ModelFile(ModelDescription):
    """A model and its file: `path` is that of the .onnx."""

    path: Path


def read_model(
    path: Path | str, third_party_bands: Sequence[Band] = (), sources: Sequence[Source] = ()
) -> ModelFile:
    """Read the metadata of a model file, ours or third-party (see `third_party`).

    Args:
        path: of the .onnx.
        third_party_bands: the bands that a third-party model's channels read, in order; empty uses the first bands of
            the first source.
        sources: of `third_party_bands`. A third-party model without sources has an empty one in its recipe.

    Raises:
        GeoSegError: `model_missing` without a file, `not_our_model` for a damaged one and for a third-party one that
            has no classes per pixel.
    """
    path = Path(path)
    found = read_guarded(path, read_metadata)
    check_external_data(path)
    if not any(key.startswith(OWN) for key in found):
        return _describe_third_party(path, read_graph(path), tuple(third_party_bands), tuple(sources))
    try:
        description = _parse_description(
            {key.removeprefix(OWN): text for key, text in found.items() if key.startswith(OWN)}
        )
    except GeoSegError as error:
        raise not_our_model(path, f"GeoSeg's metadata are damaged ({error.message.rstrip('.')})") from error
    description = replace(description, recipe=with_folders(description.recipe, path))
    return ModelFile(
        path=path, **{item.name: getattr(description, item.name) for item in fields(description)}
    )


def _parse_description(texts: dict[str, str]) -> ModelDescription:
    """Metadata of a model, checked: each value by itself, and whether all are of one model.

    Raises:
        GeoSegError: with the first fault.
    """
    known = {item.name for item in fields(ModelDescription)}
    description = decode(
        ModelDescription, {key: parse_json(text, key) for key, text in texts.items() if key in known}
    )
    check_sound(description.recipe, "recipe")
    check_order(description.classes, "classes")
    check_architecture(description.architecture)
    bands, classes = len(description.recipe.bands), len(description.classes)
    statistics, calibration = description.statistics, description.calibration
    for what, number, wanted in (
        ("bands of the network", description.architecture.get("bands"), bands),
        ("classes of the network", description.architecture.get("classes"), classes),
        *((name, len(getattr(statistics, name)), bands) for name in ("mean", "std", "low", "high")),
        ("bias", len(calibration.bias) or classes, classes),
        ("weights", len(calibration.weights) or classes, classes),
    ):
        if number != wanted:
            raise GeoSegError("bad_json", f"{what}: {shown(number)} instead of {wanted}.")
    for key in ("job", "plan", "provenance"):
        if not isinstance(description.trained.get(key, {}), dict):
            raise GeoSegError("bad_json", f"'{key}' of the training is {shown(description.trained[key])}.")
    return description


def _describe_third_party(
    path: Path, model: onnx.ModelProto, bands: tuple[Band, ...], sources: tuple[Source, ...]
) -> ModelFile:
    """A third-party model as one of ours; its grid has only the size of a pixel, in metres, if known."""
    found = read_guarded(path, lambda file: describe_third_party(file, model))
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


def is_third_party(model: ModelFile) -> bool:
    """Return whether a model is third-party: its bands and grid are chosen by the user."""
    return bool(model.architecture.get("name") == THIRD_PARTY)


def is_fast(model: ModelFile) -> bool:
    """Return whether a model is a forest that computes its own features and handles missing values."""
    return bool(model.architecture.get("name") == FAST)


def missing_score(model: ModelFile) -> float:
    """Return the score of a pixel without value that a model expects: 0, or NaN if it handles missing values."""
    return float("nan") if is_fast(model) else 0.0


def onnx_only(model: ModelFile) -> bool:
    """Return whether a model exists only as an ONNX graph: it runs in ONNX Runtime and cannot be trained further."""
    return model.architecture.get("name") in ONNX_ONLY


def load_network(path: Path | str, device: torch.device | str = "cpu") -> nn.Module:
    """Rebuild the torch network from the model file alone; evaluation mode, returns logits.

    Args:
        path: of the .onnx.
        device: of the network.

    Raises:
        GeoSegError: `not_our_model` if weights are missing or do not fit, `no_network` for a model of `ONNX_ONLY`.
    """
    path = Path(path)
    described = read_model(path)
    if onnx_only(described):
        what = "a third-party model" if is_third_party(described) else "a forest"
        raise GeoSegError(
            "no_network",
            f"{path.name} is {what}: it has no torch network.",
            "Choose a model of a network, e.g. a U-Net, or predict with ONNX Runtime.",
        )
    held = weights_of(path, PREFIX)
    wanted = state_shapes(described.architecture)
    if wanted is not None:  # before the network has memory
        _check_weights(path, {name: tuple(item.dims) for name, item in held.items()}, wanted)
    network = build(described.architecture)
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    _check_weights(path, {name: tuple(item.dims) for name, item in held.items()}, own)
    weights = {name: torch.from_numpy(array_of(path, item)) for name, item in held.items()}
    network.load_state_dict(weights, strict=False)
    return network.to(device).eval()


def _check_weights(path: Path, held: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> None:
    """Check that a file holds a network's weights, each in its shape; counts of batches may be missing."""
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    misfits = sorted((held.keys() ^ wanted.keys()) - counters)
    misfits += [name for name in held if name in wanted and held[name] != wanted[name]]
    if misfits:
        raise not_our_model(path, f"weights do not fit: {', '.join(misfits[:3])}")


def run(job: DescribeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Run the job `describe`: bands, classes, scores and settings of a model.

    Args:
        job: path of the model.
        folder: of the job; its path is relative to it.
        channel: not used.

    Returns:
        Plain values. `foreign` is true for a third-party model: its `bands` are channels that read what the user
        chooses, its `pixel_size` is in metres, 0 for any, and its `crs` empty.
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
        "foreign": is_third_party(model),
        "tile_px": model.tile_px,
    }
