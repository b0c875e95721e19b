"""Parameters of a training, for every algorithm that trains networks."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext

from ..contract import Problem, TrainJob
from ..forms.fields import grouped
from ..forms.parameters import add_fields, fields_from
from .parameters import Parameters, missing_file_problems, tr

MAIN = ("preset", "architecture", "bands", "epochs", "patience", "max_minutes")
"""What matters most: goal, model, bands, time."""
ADVANCED = (*grouped(TrainJob, *MAIN), "start_from", "weights", "freeze_epochs")
DOWNLOADED = "imagenet"
"""Encoder weights that are no file."""


def add_training(algorithm: QgsProcessingAlgorithm) -> None:
    """Add the parameters of a training; most of them are folded away."""
    add_fields(algorithm, TrainJob, MAIN)
    add_fields(algorithm, TrainJob, ADVANCED, advanced=True)


def training_settings(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> dict[str, Any]:
    """Return the parameters of `add_training` as fields of TrainJob."""
    return fields_from(algorithm, parameters, context, TrainJob, (*MAIN, *ADVANCED))


def training_file_problems(settings: dict[str, Any]) -> list[Problem]:
    """List the files of a training that do not exist.

    Args:
        settings: fields of TrainJob.
    """
    weights = "" if settings["weights"] == DOWNLOADED else settings["weights"]
    return [
        *missing_file_problems(settings["start_from"], tr("Model to start from")),
        *missing_file_problems(weights, tr("Encoder weights")),
    ]
