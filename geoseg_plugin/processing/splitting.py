"""Areas of training, validation and test as layers of their own, as parameters of `maketiles`."""

from __future__ import annotations

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext

from ..contract import SPLITS, Problem
from ..layers.inputs.areas import AreaSnapshot
from .inputs.labels import polygon_area
from .inputs.problems import layer_problems
from .parameters import Parameters, advanced, polygons, tr

AREA_KEYS = ("TRAIN_AREA", "VALIDATION_AREA", "TEST_AREA")
"""In the order of SPLITS."""


def add_split_areas(algorithm: QgsProcessingAlgorithm) -> None:
    """Add TRAIN_AREA, VALIDATION_AREA and TEST_AREA."""
    titles = (tr("Area for training"), tr("Area for validation"), tr("Area for test"))
    for key, title in zip(AREA_KEYS, titles, strict=True):
        algorithm.addParameter(advanced(polygons(key, title, optional=True)))


def split_area_problems(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[Problem]:
    """Complaints about the areas of the splits: all three or none."""
    missing = [key for key in AREA_KEYS if not parameters.get(key)]
    found = layer_problems(algorithm, parameters, context, (), AREA_KEYS)
    if missing and len(missing) < len(SPLITS):
        message = tr("Areas of the splits: {} is missing.").format(", ".join(missing))
        found.append(Problem("split_areas", message, tr("Give all three, or none for blocks.")))
    return found


def gather_split_areas(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> tuple[AreaSnapshot, ...]:
    """The areas of train, validation and test; none if blocks are to be dealt."""
    if not all(parameters.get(key) for key in AREA_KEYS):
        return ()
    return tuple(polygon_area(algorithm, parameters, context, key) for key in AREA_KEYS)
