"""geoseg:terrainattributes"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...contract import Problem
from ...jobs import prepare
from ...jobs.inputs import as_source
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.publish import Item
from ..base import GeoSegAlgorithm
from ..inputs.gather import gather_rasters, layer_problems
from ..parameters import Parameters, add_terrain_settings, height_unit, terrain, terrain_settings, tr


class TerrainAttributes(GeoSegAlgorithm):
    """Slope, aspect, curvatures, position, roughness and hillshade of an elevation model."""

    ID = "terrainattributes"
    TITLE = "Terrain attributes"
    TAGS = ("dem", "slope", "aspect", "curvature", "richdem", "tpi", "tri", "roughness", "hillshade")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("DEM", tr("Elevation model")))
        self.addParameter(terrain("ATTRIBUTES"))
        add_terrain_settings(self)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Terrain attributes")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return layer_problems(self, parameters, context, ("DEM",))

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        dem = self.parameterAsRasterLayer(parameters, "DEM", context)
        self.rasters = gather_rasters([dem], {dem.id(): (1,)})

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        attributes = tuple(self.parameterAsEnumStrings(parameters, "ATTRIBUTES", context))
        settings = terrain_settings(self, parameters, context)
        unit = height_unit(self, parameters, context)
        folder = self.job_folder()
        result = self.run_rasters(
            lambda inputs: with_settings(
                prepare.terrain(
                    folder,
                    as_source(dataclasses.replace(inputs[0], height_unit=unit), "dem"),
                    attributes,
                    output,
                ),
                settings,
            ),
            feedback,
            folder,
        )
        feedback.pushInfo(tr("Computed with {}.").format(result.get("engine", "")))
        notes = {tr("Made by"): tr("GeoSeg, terrain attributes"), tr("Engine"): str(result.get("engine", ""))}
        self.dress_later(Item(output, tr("Terrain attributes"), styles.style_stack, is_result=False), notes)
        return {"OUTPUT": str(output)}


def with_settings(submission: Submission, settings: dict[str, float | str]) -> Submission:
    """The terrain job with parameters of its attributes."""
    job: Any = submission.job
    return dataclasses.replace(submission, job=dataclasses.replace(job, parameters=settings))
