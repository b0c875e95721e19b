"""The model of a cross-validation: all folds' networks in one file, each with its own statistics and calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contract import Dataset, Problem, decode
from ..modelfile.calibration import Calibration
from ..modelfile.description import describe
from ..modelfile.export import export
from ..modelfile.reading import ModelFile, load_network, read_model
from ..modelfile.stac import write_sidecar
from ..modelfile.stats import Statistics
from ..models import build, traits
from ..models.ensemble import Member

KEPT = ("split", "folds", "intervals", "device", "seconds")
"""Of the summary, what the model file says of its training."""


def write_ensemble(models: Sequence[Path], dataset: Dataset, summary: dict[str, Any], path: Path) -> None:
    """Write the model whose probabilities are the mean of the models' calibrated ones.

    Each network sees values by its own fold's statistics and is calibrated as in its own file; the decision is made
    once, of the mean, so that confidence stays apart from it. The file's own fingerprint is of no dataset where
    the networks are of several folds: together they were trained on all pixels, so that no split of the
    dataset is left to evaluate the ensemble on.

    Args:
        models: model.onnx of every fold.
        dataset: that was folded.
        summary: out-of-fold scores, as `crossvalidate.summarise` gives them.
        path: of the .onnx.

    Raises:
        GeoSegError: `export_mismatch`; as `read_model`.
    """
    files = [read_model(model) for model in models]
    first = files[0]
    shared = joint([file.statistics for file in files])
    architecture = {
        "name": "ensemble",
        "members": [
            {
                "name": "member",
                "network": file.architecture,
                "bands": len(first.recipe.bands),
                "classes": len(first.classes),
            }
            for file in files
        ],
        "bands": len(first.recipe.bands),
        "classes": len(first.classes),
    }
    network = build(architecture)
    for member, file in zip(network.members, files, strict=True):  # type: ignore[arg-type]
        fill(member, file, shared)
    own = {key: value for key, value in summary.items() if key not in (*KEPT, "warnings", "classes")}
    described = replace(
        dataset, recipe=first.recipe, classes=first.classes, fingerprint=joint_fingerprint(files)
    )
    metadata = describe(
        described,
        shared,
        architecture,
        traits(network),
        first.tile_px,
        own,
        [decode(Problem, item) for item in summary["warnings"]],
        {
            **{key: summary[key] for key in KEPT},
            **{key: first.trained.get(key, {}) for key in ("job", "plan")},
        },
    )
    noise = samples(len(first.recipe.bands), traits(network).align_px)
    export(network, shared, metadata, noise, path, Calibration(weights=joint_weights(files)))
    write_sidecar(path)


def joint(parts: Sequence[Statistics]) -> Statistics:
    """Statistics whose limits hold the limits of all parts, so that no value is lost before a member clips it."""

    def column(name: str, take: Any) -> tuple[float, ...]:
        return tuple(
            float(take(values)) for values in zip(*(getattr(part, name) for part in parts), strict=True)
        )

    return Statistics(
        column("mean", np.mean), column("std", np.mean), column("low", min), column("high", max)
    )


def fill(member: Member, file: ModelFile, shared: Statistics) -> None:
    """Load the weights of a model file into a member, and the mapping from the shared scores to its own.

    Args:
        member: member of the ensemble.
        file: its model file.
        shared: statistics of the ensemble.
    """
    own = file.statistics
    low, high = own.z_limits()
    numbers = zip(shared.mean, shared.std, own.mean, own.std, strict=True)
    pairs = [(std / its, (mean - centre) / its) for mean, std, centre, its in numbers]
    decision = file.calibration
    bias = decision.bias or (0.0,) * len(file.classes)
    member.network.load_state_dict(load_network(file.path).state_dict())
    member.set_scales([pair[0] for pair in pairs], [pair[1] for pair in pairs], low, high)
    member.set_calibration(1 / decision.temperature, bias)


def joint_weights(files: Sequence[ModelFile]) -> tuple[float, ...]:
    """Weights of the classes in the decision: the geometric mean of the folds'; empty where none decides."""
    if not any(file.calibration.weights_classes for file in files):
        return ()
    ones = np.ones(len(files[0].classes))
    logs = [np.log(file.calibration.weights or ones) for file in files]
    weights = np.exp(np.mean(logs, axis=0))
    return tuple(round(float(value), 6) for value in weights / weights.max())


def joint_fingerprint(files: Sequence[ModelFile]) -> str:
    """That of the dataset where all were trained on the same split of it, else a text that is no dataset's."""
    if len({file.fingerprint for file in files}) == 1:
        return files[0].fingerprint
    return hashlib.sha256(" ".join(file.fingerprint for file in files).encode()).hexdigest()


def samples(bands: int, align_px: int) -> list[Tensor]:
    """Return noise of three shapes to check the exported model; one has invalid pixels.

    Args:
        bands: number of bands.
        align_px: sides are multiples of it.
    """
    random = np.random.default_rng(0)
    shapes = ((2, 4, 6), (1, 6, 6), (3, 6, 2))
    noise = [random.normal(0, 1, (n, bands, rows * align_px, cols * align_px)) for n, rows, cols in shapes]
    found = [torch.from_numpy(item.astype(np.float32)) for item in noise]
    found[1][:, :, :3, :5] = torch.nan
    return found
