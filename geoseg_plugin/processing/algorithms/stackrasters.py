"""geoseg:stackrasters"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
)

from ...contract import Area, GridRequest, Problem
from ...jobs import prepare
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.folder import NOWHERE, InputFolder
from ...layers.publish import Item
from ...layers.snapshot import crs_text
from ..base import GeoSegAlgorithm
from ..inputs.grid import add_grid, target_grid
from ..inputs.labels import polygon_area
from ..inputs.problems import layer_problems
from ..inputs.stack import add_bands, stack_of
from ..parameters import Parameters, advanced, polygons, rasters, tr


class StackRasters(GeoSegAlgorithm):
    """Aligns bands of many rasters on one grid."""

    ID = "stackrasters"
    TITLE = "Stack rasters"
    TAGS = ("align", "resample", "composite", "merge bands")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(rasters(optional=True))
        add_bands(self)
        self.addParameter(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))
        self.addParameter(advanced(polygons("MASK", tr("Polygons to cover"), optional=True)))
        add_grid(self)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Stack")))
        self.addOutput(QgsProcessingOutputFile("RECIPE", tr("Recipe")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = layer_problems(self, parameters, context, ("LAYERS", "DEM", "SAR"), ("MASK",))
        if found:
            return found
        try:
            stack, _notes = stack_of(self, parameters, context)
        except ValueError as error:
            return [Problem("bands", str(error), tr("The help of this algorithm has examples."))]
        job: Any = prepare.stack(NOWHERE, stack.composition(), self._grid(parameters, context)).job
        return list(job.problems())

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.stack, notes = stack_of(self, parameters, context)
        for note in notes:
            feedback.pushInfo(note)
        self.grid = self._grid(parameters, context)
        extent = self.grid.extent
        plain = Area("extent", extent=extent, extent_crs=self.grid.extent_crs) if extent else Area()
        self.area = polygon_area(self, parameters, context, "MASK", otherwise=plain)

    def _grid(self, parameters: Parameters, context: QgsProcessingContext) -> GridRequest:
        extent = self.parameterAsExtent(parameters, "EXTENT", context)
        corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        given = not extent.isNull() and not extent.isEmpty()
        grid = target_grid(self, parameters, context)
        if not given:
            return grid
        crs = crs_text(self.parameterAsExtentCrs(parameters, "EXTENT", context))
        return dataclasses.replace(grid, extent=corners, extent_crs=crs)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            bands, beside = self.stack.located(inputs), InputFolder(folder)
            area = self.area.located(beside)
            inputs.exports += beside.exports
            return [prepare.stack(folder, bands, self.grid, area, output=output)]

        result = self.run_with_inputs(located, output.parent / f"{output.stem}_copies", feedback)
        feedback.pushInfo(str(result.get("sentence", "")))
        notes = {tr("Made by"): tr("GeoSeg, stack"), tr("Bands"): ", ".join(result.get("bands", ()))}
        self.style_later(Item(output, tr("Stack"), styles.style_stack, is_result=False), notes)
        return {"OUTPUT": str(output), "RECIPE": result.get("recipe", "")}
