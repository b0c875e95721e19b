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

from ...contract import Problem, TerrainJob
from ...jobs.inputs import as_source
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.folder import InputFolder
from ...layers.inputs.rasters import raster_snapshot
from ...layers.publish import Item
from ..base import GeoSegAlgorithm
from ..inputs.problems import layer_problems
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

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return layer_problems(self, parameters, context, ("DEM",))

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        dem = self.parameterAsRasterLayer(parameters, "DEM", context)
        self.dem = raster_snapshot(dem, (1,))

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        attributes = tuple(self.parameterAsEnumStrings(parameters, "ATTRIBUTES", context))
        settings = terrain_settings(self, parameters, context)
        unit = height_unit(self, parameters, context)
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            dem = dataclasses.replace(self.dem.located(inputs), height_unit=unit)
            job = TerrainJob(as_source(dem, "dem"), attributes, str(output), parameters=settings)
            return [Submission(job, folder, tr("Terrain attributes"))]

        result = self.run_with_inputs(located, folder, feedback)
        feedback.pushInfo(tr("Computed with {}.").format(result.get("engine", "")))
        notes = {tr("Made by"): tr("GeoSeg, terrain attributes"), tr("Engine"): str(result.get("engine", ""))}
        self.style_later(Item(output, tr("Terrain attributes"), styles.style_stack, is_result=False), notes)
        return {"OUTPUT": str(output)}
