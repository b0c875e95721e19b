"""geoseg:stackrasters"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterCrs,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..contract import Area, GridRequest, Problem
from ..jobs import prepare
from ..layers import styles
from ..layers.publish import Item
from ..layers.snapshot import crs_text
from .base import GeoSegAlgorithm
from .gather import all_bands, band_problems, gather_area, gather_rasters, layer_problems
from .parameters import Parameters, advanced, chosen_bands, polygons, rasters, real, terrain, tr


class StackRasters(GeoSegAlgorithm):
    """Aligns bands of many rasters on one grid."""

    ID = "stackrasters"
    TITLE = "Stack rasters"
    TAGS = ("align", "resample", "composite", "merge bands")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(rasters())
        self.addParameter(
            QgsProcessingParameterString(
                "BANDS", tr("Bands (layer:1,3-4; other:1), empty for all"), None, False, True
            )
        )
        self.addParameter(
            QgsProcessingParameterRasterLayer(
                "DEM", tr("Elevation model whose terrain attributes are added"), None, True
            )
        )
        self.addParameter(terrain("TERRAIN"))
        self.addParameter(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))
        self.addParameter(advanced(polygons("MASK", tr("Polygons to cover"), optional=True)))
        self.addParameter(advanced(QgsProcessingParameterCrs("TARGET_CRS", tr("Target CRS"), None, True)))
        self.addParameter(
            advanced(
                real("TARGET_RESOLUTION", tr("Pixel size in units of the target CRS"), None, optional=True)
            )
        )
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Stack")))
        self.addOutput(QgsProcessingOutputFile("RECIPE", tr("Recipe")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        layers = self.parameterAsLayerList(parameters, "LAYERS", context)
        found = layer_problems(self, parameters, context, ("LAYERS", "DEM"), ("MASK",))
        return found or band_problems(self.parameterAsString(parameters, "BANDS", context), layers)

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layers = self.parameterAsLayerList(parameters, "LAYERS", context)
        dem = self.parameterAsRasterLayer(parameters, "DEM", context)
        attributes = tuple(self.parameterAsEnumStrings(parameters, "TERRAIN", context))
        bands = chosen_bands(self.parameterAsString(parameters, "BANDS", context), layers)
        bands = {layer.id(): bands.get(layer.id()) or all_bands(layer) for layer in layers}
        derived = {dem.id(): attributes} if dem is not None and attributes else {}
        if derived and all(layer.source() != dem.source() for layer in layers):
            layers = [*layers, dem]
        elif derived:
            derived = {layer.id(): attributes for layer in layers if layer.source() == dem.source()}
        self.rasters = gather_rasters(layers, bands, derived)
        self.grid = self._grid(parameters, context)
        extent = self.grid.extent
        plain = Area("extent", extent=extent, extent_crs=self.grid.extent_crs) if extent else Area()
        self.area = gather_area(self, parameters, context, "MASK", otherwise=plain)

    def _grid(self, parameters: Parameters, context: QgsProcessingContext) -> GridRequest:
        size = 0.0
        if parameters.get("TARGET_RESOLUTION") is not None:
            size = self.parameterAsDouble(parameters, "TARGET_RESOLUTION", context)
        extent = self.parameterAsExtent(parameters, "EXTENT", context)
        corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        given = not extent.isNull() and not extent.isEmpty()
        return GridRequest(
            crs=crs_text(self.parameterAsCrs(parameters, "TARGET_CRS", context)),
            pixel_size=(size, size) if size > 0 else None,
            extent=corners if given else None,
            extent_crs=crs_text(self.parameterAsExtentCrs(parameters, "EXTENT", context)) if given else "",
        )

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        folder = self.job_folder()
        area, exports = self.area.located(folder)
        self.exports += exports
        result = self.run_rasters(
            lambda inputs: prepare.stack(folder, inputs, self.grid, area, output=output),
            feedback,
            output.parent / f"{output.stem}_copies",
        )
        feedback.pushInfo(str(result.get("sentence", "")))
        notes = {tr("Made by"): tr("GeoSeg, stack"), tr("Bands"): ", ".join(result.get("bands", ()))}
        self.dress_later(Item(output, tr("Stack"), styles.style_stack), notes)
        return {"OUTPUT": str(output), "RECIPE": result.get("recipe", "")}
