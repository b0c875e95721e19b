"""The settings of the stages of a map as parameters: each stage has the settings of its own job, with a prefix."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingAlgorithm, QgsProcessingContext

from ..contract import (
    Cleaning,
    ForestJob,
    MapJob,
    Outlines,
    PredictJob,
    Problem,
    TileJob,
    TrainJob,
    params_of,
)
from ..forms.fields import grouped
from ..forms.parameters import add_fields, fields_from
from ..jobs.mapping import MAP_FILES
from .parameters import Parameters, advanced, choice, file, missing_file_problems, tr
from .training_fields import ADVANCED as OF_TRAINING

MAIN = ("model", "minutes")
OWN = ("final_model", "new_split")
SPLIT, BASELINE, NETWORK, MAP = "SPLIT_", "BASELINE_", "NETWORK_", "MAP_"
"""Prefixes of the keys of each stage."""
STAGES: dict[str, tuple[type, tuple[str, ...]]] = {
    SPLIT: (TileJob, ("tile_px", "stride_px", *grouped(TileJob, "folds"))),
    BASELINE: (ForestJob, ("bands", "search", *grouped(ForestJob, "search"), "calibrate")),
    NETWORK: (TrainJob, ("preset", "bands", "epochs", "patience", *(name for name in OF_TRAINING))),
}
CLEANING, BOUNDARIES = grouped(Cleaning), grouped(Outlines)
OF_MAP = ("tta", *grouped(PredictJob, "tta"))
EXTRA = ("confidence", "margin", "entropy", "disagreement", "beyond", "probability")


def add_map_settings(algorithm: QgsProcessingAlgorithm) -> None:
    """Add MODEL and MAX_MINUTES, and folded away the settings of every stage."""
    add_fields(algorithm, MapJob, MAIN)
    algorithm.addParameter(
        advanced(file("MODEL_FILE", tr("Existing model, instead of training"), "onnx", True))
    )
    add_fields(algorithm, MapJob, OWN, advanced=True)
    for prefix, (job, names) in STAGES.items():
        add_fields(algorithm, job, distinct(names), advanced=True, prefix=prefix)
    add_fields(algorithm, PredictJob, distinct(OF_MAP), advanced=True, prefix=MAP)
    add_fields(algorithm, Cleaning, CLEANING, advanced=True, prefix=MAP)
    add_fields(algorithm, Outlines, BOUNDARIES, advanced=True, prefix=MAP)
    titles = ", ".join(params_of(PredictJob)[name].title for name in EXTRA)
    extra = choice("RASTERS_TO_WRITE", tr("Rasters to write besides classes"), EXTRA, ["confidence"], True)
    extra.setFlags(extra.flags() | Qgis.ProcessingParameterFlag.Optional)
    extra.setHelp(titles)
    algorithm.addParameter(advanced(extra))


def distinct(names: tuple[str, ...]) -> list[str]:
    """Return names without those that were there already."""
    return list(dict.fromkeys(names))


def map_settings(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> dict[str, Any]:
    """Return the parameters of `add_map_settings` as fields of MapJob.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        context: of the run.
    """
    inner = {
        prefix: fields_from(algorithm, parameters, context, job, distinct(names), prefix)
        for prefix, (job, names) in STAGES.items()
    }
    wanted = algorithm.parameterAsEnumStrings(dict(parameters), "RASTERS_TO_WRITE", context)
    always = ("output", "polygons")
    files: dict[str, Any] = {
        name: text if name in (*always, *wanted) else "" for name, text in MAP_FILES.items()
    }
    return {
        **fields_from(algorithm, parameters, context, MapJob, (*MAIN, *OWN)),
        "model_file": algorithm.parameterAsString(dict(parameters), "MODEL_FILE", context),
        "split": TileJob("", "", **inner[SPLIT]),
        "baseline": ForestJob("", **inner[BASELINE]),
        "network": TrainJob("", **inner[NETWORK]),
        "prediction": PredictJob(
            "",
            **files,
            **fields_from(algorithm, parameters, context, PredictJob, distinct(OF_MAP), MAP),
            cleaning=Cleaning(**fields_from(algorithm, parameters, context, Cleaning, CLEANING, MAP)),
            outlines=Outlines(**fields_from(algorithm, parameters, context, Outlines, BOUNDARIES, MAP)),
        ),
    }


def map_file_problems(settings: dict[str, Any]) -> list[Problem]:
    """List the files of the settings that do not exist.

    Args:
        settings: fields of MapJob.
    """
    return missing_file_problems(settings["model_file"], tr("Existing model"))
