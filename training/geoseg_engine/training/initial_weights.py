"""Initial weights of a training: from an earlier model, or from an encoder of the job `pretrain`.

Weights of a model are matched by the names of its bands and classes and by their shapes; its statistics are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..contract import Band, Dataset, GeoSegError, LabelClass, Problem, TrainJob
from ..modelfile.reading import ModelFile, load_network, onnx_only, read_model
from ..modelfile.stats import Statistics
from ..models import ENSEMBLE, build, check_architecture
from ..models.torchfile import read_torch

SETTINGS = ("width", "levels", "encoder", "decoder")
"""Settings of a network that are those of the earlier model where the job leaves them on automatic."""
KIND = "encoder"


@dataclass(frozen=True)
class Axes:
    """Axes of a tensor along bands and along classes; None where there is none."""

    bands: int | None
    classes: int | None


def open_initial_model(job: TrainJob, folder: Path) -> ModelFile | None:
    """Read the model that a job starts from; None if it starts from random weights.

    Args:
        job: its `start_from` is relative to `folder`.
        folder: of the job.

    Raises:
        GeoSegError: `start_from` for a model of another architecture, or of one that cannot be trained.
    """
    if not job.start_from:
        return None
    model = read_model(folder / job.start_from)
    name = str(model.architecture.get("name"))
    if onnx_only(model) or name == ENSEMBLE:
        raise GeoSegError(
            "start_from",
            f"{model.path.name} is a {name}: it cannot be trained further.",
            "Choose the model of a single network.",
        )
    if name != job.architecture:
        raise GeoSegError(
            "start_from",
            f"{model.path.name} is a {name}, but a {job.architecture} is to be trained: nothing of it fits.",
            f"Choose the architecture {name}, or another model to start from.",
        )
    return model


def with_network_size(job: TrainJob, architecture: dict[str, Any]) -> TrainJob:
    """Return the job with an earlier network's size where it left the size on automatic.

    Args:
        job: settings.
        architecture: of the earlier network.
    """
    known = {name: architecture[name] for name in SETTINGS if name in architecture}
    return replace(job, **{name: value for name, value in known.items() if not getattr(job, name)})


def leak_warnings(model: ModelFile, dataset: Dataset) -> list[Problem]:
    """Return a warning where the model may have been trained on pixels that are held out now.

    Args:
        model: that training starts from.
        dataset: that it trains on.
    """
    if not dataset.fingerprint or model.fingerprint == dataset.fingerprint:
        return []
    return [
        Problem(
            "start_from_other_split",
            f"{model.path.name} was trained on another version of labels and split: it may have seen pixels that are "
            "held out now, and scores may be too good.",
            "Evaluate on data that neither training has seen, or train from random weights.",
            "warning",
        )
    ]


def merge_statistics(
    model: ModelFile, measured: Statistics, bands: Sequence[Band]
) -> tuple[Statistics, list[Problem]]:
    """Return the model's statistics for its bands, so that its weights see the same scores; else the measured ones.

    A band whose measured mean is outside the model's limits holds other values altogether (another unit): its measured
    statistics are used, with a warning.

    Args:
        model: that training starts from.
        measured: statistics of the training pixels.
        bands: of the dataset, in the order of `measured`.

    Returns:
        Statistics of `bands`, and warnings `other_values`.
    """
    earlier = {band.name: place for place, band in enumerate(model.recipe.bands)}
    rows, problems = [], []
    for place, band in enumerate(bands):
        own = _row(measured, place)
        if band.name not in earlier:
            rows.append(own)
            continue
        old = _row(model.statistics, earlier[band.name])
        if old[2] <= own[0] <= old[3]:
            rows.append(old)
            continue
        rows.append(own)
        problems.append(
            Problem(
                "other_values",
                f"Band '{band.name}' has a mean of {own[0]:g} here; in {model.path.name} its values are between "
                f"{old[2]:g} and {old[3]:g}. It is scaled by its values here.",
                "Check that it is the same quantity in the same unit.",
                "warning",
            )
        )
    mean, std, low, high = (tuple(column) for column in zip(*rows, strict=True))
    return Statistics(mean, std, low, high), problems


def load_matching_weights(
    network: nn.Module,
    architecture: dict[str, Any],
    bands: Sequence[Band],
    classes: Sequence[LabelClass],
    model: ModelFile,
) -> str:
    """Fill a network with the weights of an earlier model that match.

    Input channels of bands and output channels of classes are matched by name. Those of new bands are 0, so that
    nothing changes before they are learned; those of new classes stay random.

    Args:
        network: changed in place.
        architecture: of the network.
        bands: of the network, in order.
        classes: of the network, in order.
        model: the earlier model.

    Returns:
        What was kept, in one sentence.
    """
    old = load_network(model.path).state_dict()
    new = network.state_dict()
    axes_new, axes_old = find_axes(architecture), find_axes(model.architecture)
    by_band = _matches([band.name for band in bands], [band.name for band in model.recipe.bands])
    by_class = _matches([item.name for item in classes], [item.name for item in model.classes])
    kept = 0
    for name, value in new.items():
        if name in old and axes_new.get(name) == axes_old.get(name):
            filled = fit_tensor(value, old[name], axes_new[name], by_band, by_class)
            if filled is not None:
                value.copy_(filled)
                kept += 1
    parts = [f"{kept} of {len(new)} tensors are kept"]
    added = [band.name for place, band in enumerate(bands) if place not in by_band]
    fresh = [item.name for place, item in enumerate(classes) if place not in by_class]
    if added:
        parts.append(f"bands {', '.join(added)} are new")
    if fresh:
        parts.append(f"classes {', '.join(fresh)} are new")
    return f"Started from {model.path.name}: {'; '.join(parts)}."


def fit_tensor(
    new: Tensor, old: Tensor, where: Axes, bands: dict[int, int], classes: dict[int, int]
) -> Tensor | None:
    """Return values for `new` from `old`; None where their shapes do not match.

    Args:
        new: initial values.
        old: of the earlier model.
        where: the axes of bands and classes in both.
        bands, classes: index in the new network -> index in the old one.
    """
    free = {axis for axis in (where.bands, where.classes) if axis is not None}
    if new.dim() != old.dim() or any(
        new.shape[axis] != old.shape[axis] for axis in range(new.dim()) if axis not in free
    ):
        return None
    result = old
    if where.bands is not None:
        if not bands:
            return None
        size = new.shape[where.bands]
        none = torch.zeros_like(result.select(where.bands, 0))
        columns = [
            result.select(where.bands, bands[place]) if place in bands else none for place in range(size)
        ]
        result = torch.stack(columns, where.bands)
    if where.classes is not None:
        if result.shape[: where.classes] != new.shape[: where.classes]:
            return None
        rows = [
            result.select(where.classes, classes[place])
            if place in classes
            else new.select(where.classes, place)
            for place in range(new.shape[where.classes])
        ]
        result = torch.stack(rows, where.classes)
    return result


def find_axes(architecture: dict[str, Any]) -> dict[str, Axes]:
    """Return the axes of bands and classes of every tensor of a network: those that grow with a band or class more."""
    plain, more_bands, more_classes = (
        _shapes({**architecture, **change})
        for change in (
            {},
            {"bands": architecture["bands"] + 1},
            {"classes": architecture["classes"] + 1},
        )
    )
    return {
        name: Axes(_grown(shape, more_bands[name]), _grown(shape, more_classes[name]))
        for name, shape in plain.items()
    }


def _shapes(architecture: dict[str, Any]) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: value.shape for name, value in build(architecture).state_dict().items()}


def _grown(one: torch.Size, other: torch.Size) -> int | None:
    return next((axis for axis, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), None)


def _matches(new: Sequence[str], old: Sequence[str]) -> dict[int, int]:
    return {place: old.index(name) for place, name in enumerate(new) if name in old}


def _row(statistics: Statistics, place: int) -> tuple[float, float, float, float]:
    return statistics.mean[place], statistics.std[place], statistics.low[place], statistics.high[place]


def with_encoder_size(job: TrainJob, dataset: Dataset, folder: Path) -> tuple[TrainJob, list[Problem]]:
    """Return the job with the size of the pretrained network where it left that on automatic, and warnings.

    Args:
        job: its `weights` may be an encoder of ours, a file of another program or none.
        dataset: with the bands that are used.
        folder: paths of the job are relative to it.

    Raises:
        GeoSegError: `weights` for an encoder of another architecture, and for a damaged one.
    """
    saved = _read_encoder(folder / job.weights) if job.weights else None
    if saved is None:
        return job, []
    architecture, name = saved["architecture"], Path(job.weights).name
    if architecture["name"] != job.architecture:
        raise GeoSegError(
            "weights",
            f"{name} is the encoder of a {architecture['name']}, but a {job.architecture} is to be trained.",
            f"Choose the architecture {architecture['name']}, or pretrain a {job.architecture}.",
        )
    return with_network_size(job, architecture), [
        *_other_bands(saved, dataset, name),
        *_seen(saved, dataset, name),
    ]


def _read_encoder(path: Path) -> dict[str, Any] | None:
    """Return the content of encoder.pt; None for other files, which `models.load_encoder` checks."""
    try:
        saved = read_torch(path)
    except (OSError, ValueError):
        return None
    if not isinstance(saved, dict) or not isinstance(saved.get("kind"), str) or saved["kind"] != KIND:
        return None
    try:
        check_architecture(saved.get("architecture"))
    except GeoSegError as error:
        raise GeoSegError("weights", f"{path.name} is damaged. {error.message}", "Pretrain again.") from error
    bands = saved.get("bands")
    if not isinstance(bands, list | tuple) or not all(isinstance(name, str) for name in bands):
        raise GeoSegError("weights", f"{path.name} is damaged: it names no bands.", "Pretrain again.")
    return saved


def _other_bands(saved: dict[str, Any], dataset: Dataset, name: str) -> list[Problem]:
    bands = [band.name for band in dataset.recipe.bands]
    if bands == list(saved["bands"]):
        return []
    return [
        Problem(
            "weights_other_bands",
            f"{name} was pretrained on the bands {', '.join(saved['bands'])}; the dataset has {', '.join(bands)}. Its "
            "first convolution expects other values.",
            "Train on the bands of the pretraining, or pretrain on these.",
            "warning",
        )
    ]


def _seen(saved: dict[str, Any], dataset: Dataset, name: str) -> list[Problem]:
    """Return a warning where pretraining may have seen pixels that are held out now."""
    if str(saved.get("fingerprint", "")) == dataset.fingerprint:
        return []
    return [
        Problem(
            "weights_other_split",
            f"{name} was pretrained on another version of labels and split: it may have seen pixels, without their "
            "labels, that are held out now, and scores may be a little too good.",
            "Pretrain on this dataset if scores are to be published.",
            "warning",
        )
    ]
