"""Read a model file: what it is, and the torch network rebuilt from it alone."""

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
    decode,
    parse_json,
    refuse_disordered,
    refuse_unsound,
)
from ..contract.decoding import shown
from ..models import build, refuse_impossible, state_shapes
from .calibration import PLAIN, Calibration
from .export import PREFIX
from .metadata import read_metadata
from .onnx_file import array_of, not_our_model, read_graph, read_guarded, refuse_foreign_files, weights_of
from .source_paths import with_places
from .stats import Statistics
from .third_party import FOREIGN, understand

OWN = "geoseg:"
ONNX_ONLY = ("forest", FOREIGN)
"""Architectures that exist only as a graph, not as a torch network."""


@dataclass(frozen=True)
class Described:
    """What a model says of itself.

    Attributes:
        recipe: the bands it was trained on; its files have names, and paths where `places` finds them.
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
class ModelFile(Described):
    """A model and where it lies: `path` is that of the .onnx."""

    path: Path


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
    found = read_guarded(path, read_metadata)
    refuse_foreign_files(path)
    if not any(key.startswith(OWN) for key in found):
        return _foreign(path, read_graph(path), tuple(foreign_bands), tuple(sources))
    try:
        said = _described({key.removeprefix(OWN): text for key, text in found.items() if key.startswith(OWN)})
    except GeoSegError as error:
        raise not_our_model(path, f"GeoSeg's metadata are damaged ({error.message.rstrip('.')})") from error
    said = replace(said, recipe=with_places(said.recipe, path))
    return ModelFile(path=path, **{item.name: getattr(said, item.name) for item in fields(said)})


def _described(texts: dict[str, str]) -> Described:
    """What the metadata say, checked: each value by itself, and whether all are of one model.

    Raises:
        GeoSegError: with the first fault.
    """
    known = {item.name for item in fields(Described)}
    said = decode(Described, {key: parse_json(text, key) for key, text in texts.items() if key in known})
    refuse_unsound(said.recipe, "recipe")
    refuse_disordered(said.classes, "classes")
    refuse_impossible(said.architecture)
    bands, classes = len(said.recipe.bands), len(said.classes)
    statistics, calibration = said.statistics, said.calibration
    for what, number, wanted in (
        ("bands of the network", said.architecture.get("bands"), bands),
        ("classes of the network", said.architecture.get("classes"), classes),
        *((name, len(getattr(statistics, name)), bands) for name in ("mean", "std", "low", "high")),
        ("bias", len(calibration.bias) or classes, classes),
        ("weights", len(calibration.weights) or classes, classes),
    ):
        if number != wanted:
            raise GeoSegError("bad_json", f"{what}: {shown(number)} instead of {wanted}.")
    for key in ("job", "plan", "provenance"):
        if not isinstance(said.trained.get(key, {}), dict):
            raise GeoSegError("bad_json", f"'{key}' of the training is {shown(said.trained[key])}.")
    return said


def _foreign(
    path: Path, model: onnx.ModelProto, bands: tuple[Band, ...], sources: tuple[Source, ...]
) -> ModelFile:
    """A foreign model in the words of ours; its grid says no more than the size of a pixel, in metres, if known."""
    found = read_guarded(path, lambda file: understand(file, model))
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
    held = weights_of(path, PREFIX)
    wanted = state_shapes(described.architecture)
    if wanted is not None:  # before the network has memory
        _refuse_misfits(path, {name: tuple(item.dims) for name, item in held.items()}, wanted)
    network = build(described.architecture)
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    _refuse_misfits(path, {name: tuple(item.dims) for name, item in held.items()}, own)
    weights = {name: torch.from_numpy(array_of(path, item)) for name, item in held.items()}
    network.load_state_dict(weights, strict=False)
    return network.to(device).eval()


def _refuse_misfits(path: Path, held: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> None:
    """Raise unless a file holds the weights of a network, each in its shape; batches that were counted may lack."""
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    misfits = sorted((held.keys() ^ wanted.keys()) - counters)
    misfits += [name for name in held if name in wanted and held[name] != wanted[name]]
    if misfits:
        raise not_our_model(path, f"weights do not fit: {', '.join(misfits[:3])}")


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
