"""What a model file says of itself, put together: one place for networks, baselines and ensembles."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import torch

from .. import __version__
from ..contract import Dataset, Problem
from ..models import Traits
from .export import deepness_metadata, own_metadata
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
    """Metadata of a model: key to JSON text.

    Args:
        dataset: what it was trained on; its recipe has exactly the model's bands.
        statistics: of these bands.
        architecture: name and settings of the network.
        facts: reach, alignment and exactness of the network.
        tile_px: side of the crops it was trained on.
        metrics: validation scores.
        warnings: of dataset and training.
        trained: further facts of the run: settings, device, duration.
    """
    own = {
        "recipe": dataset.recipe,
        "classes": dataset.classes,
        "statistics": statistics,
        "architecture": architecture,
        "reach_px": facts.reach_px,
        "align_px": facts.align_px,
        "tile_exact": facts.tile_exact,
        "tile_px": tile_px,
        "metrics": metrics,
        "unlabelled": dataset.unlabelled,
        "warnings": warnings,
        "fingerprint": dataset.fingerprint,
        "trained": {
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "torch": str(torch.__version__),
            "dataset": dataset.name,
            **trained,
        },
    }
    readable = deepness_metadata(dataset.recipe.grid, dataset.classes, statistics, facts)
    return {**readable, **own_metadata(own)}
