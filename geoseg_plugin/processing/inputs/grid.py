"""The grid that an algorithm aligns rasters on: its parameters, and reading them back."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterCrs,
    QgsProcessingParameterRasterLayer,
)

from ...contract import GridRequest
from ...layers.snapshot import crs_text
from ..parameters import Parameters, advanced, real, tr


def add_grid(algorithm: QgsProcessingAlgorithm) -> None:
    """Add REFERENCE, TARGET_CRS and TARGET_RESOLUTION, folded away."""
    reference = tr("Reference layer of the grid: CRS, pixel size, alignment (empty: automatic)")
    size = tr("Pixel size in units of the target CRS")
    for parameter in (
        QgsProcessingParameterRasterLayer("REFERENCE", reference, None, True),
        QgsProcessingParameterCrs("TARGET_CRS", tr("Target CRS"), None, True),
        real("TARGET_RESOLUTION", size, None, optional=True),
    ):
        algorithm.addParameter(advanced(parameter))


def target_grid(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> GridRequest:
    """Return TARGET_CRS and TARGET_RESOLUTION; the reference layer belongs to the stack.

    Args:
        algorithm: that has the parameters.
        parameters: as QGIS hands them over.
        context: of the run.
    """
    size = 0.0
    if parameters.get("TARGET_RESOLUTION") is not None:
        size = algorithm.parameterAsDouble(dict(parameters), "TARGET_RESOLUTION", context)
    crs = crs_text(algorithm.parameterAsCrs(dict(parameters), "TARGET_CRS", context))
    return GridRequest(crs=crs, pixel_size=(size, size) if size > 0 else None)
