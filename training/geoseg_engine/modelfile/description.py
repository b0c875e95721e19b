"""The metadata of a model file, for networks, baselines and ensembles."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import torch

from .. import __version__
from ..contract import Dataset, Problem, encode, file_name, names_input, names_only
from ..models import Traits
from .export import deepness_metadata, own_metadata
from .source_paths import without_folders
from .stats import Statistics


def describe(
    dataset: Dataset,
    statistics: Statistics,
    architecture: dict[str, Any],
    facts: Traits,
    tile_px: int,
    metrics: dict[str, Any],
    warnings: Sequence[Problem],
    trained: dict[str, Any],
) -> dict[str, str]:
    """Return the metadata of a model: key to JSON text. A model is shared: its files have names and no folders.

    Args:
        dataset: what it was trained on; its recipe has exactly the model's bands.
        statistics: of these bands.
        architecture: name and settings of the network.
        facts: reach, alignment and exactness of the network.
        tile_px: side of the crops it was trained on, in pixels.
        metrics: validation scores.
        warnings: of dataset and training.
        trained: further facts of the run: settings, device, duration.
    """
    own = {
        "recipe": without_folders(dataset.recipe),
        "classes": dataset.classes,
        "statistics": statistics,
        "architecture": architecture,
        "reach_px": facts.reach_px,
        "align_px": facts.align_px,
        "tile_exact": facts.tile_exact,
        "tile_px": tile_px,
        "metrics": names_only(encode(metrics)),
        "unlabelled": dataset.unlabelled,
        "warnings": names_only(encode(warnings)),
        "fingerprint": dataset.fingerprint,
        "trained": names_only(encode(_without_run_folders(trained)))
        | {
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "torch": str(torch.__version__),
            "dataset": dataset.name,
        },
    }
    readable = deepness_metadata(dataset.recipe.grid, dataset.classes, statistics, facts)
    return {**readable, **own_metadata(own)}


def _without_run_folders(trained: dict[str, Any]) -> dict[str, Any]:
    """Facts of a run, whose files keep their names only: those of its job and of its provenance."""
    found = dict(trained)
    job, provenance = encode(found.get("job")), encode(found.get("provenance"))
    if isinstance(job, dict):
        found["job"] = {
            key: file_name(value) if _is_file(key, value) else value for key, value in job.items()
        }
    if isinstance(provenance, dict):
        data = dict(provenance["dataset"])
        data.pop("folder", None)
        data["files"] = [{**item, "path": file_name(item["path"])} for item in data.get("files", ())]
        found["provenance"] = {**provenance, "dataset": data}
    return found


def _is_file(key: str, value: Any) -> bool:
    return isinstance(value, str) and (names_input(key) or key == "output")
