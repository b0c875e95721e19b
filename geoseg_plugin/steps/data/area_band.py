"""The area of the next dataset, drawn on the map before it is used."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsGeometry, QgsProject
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtGui import QColor

COLOR, WIDTH_PX = "#e6007e", 2


class AreaBand:
    """A rubber band that comes and goes with the Data page; does nothing without a map."""

    def __init__(self, canvas: QgsMapCanvas | None) -> None:
        self._canvas = canvas
        self._band: QgsRubberBand | None = None
        self._geometry = QgsGeometry()
        self._crs = QgsCoordinateReferenceSystem()
        self._visible = False
        if canvas is not None:
            canvas.destinationCrsChanged.connect(self._draw)

    def set_area(self, wkt: str, crs: str) -> None:
        """Draw this area, in its CRS; an empty text draws nothing."""
        self._geometry = QgsGeometry.fromWkt(wkt) if wkt else QgsGeometry()
        self._crs = QgsCoordinateReferenceSystem(crs)
        self._draw()

    def show(self, visible: bool) -> None:
        """Show or hide it."""
        self._visible = visible
        self._draw()

    def close(self) -> None:
        """Take it off the map for good."""
        if self._canvas is not None:
            self._canvas.destinationCrsChanged.disconnect(self._draw)
            if self._band is not None:
                self._canvas.scene().removeItem(self._band)
        self._band = self._canvas = None

    def drawn(self) -> QgsGeometry:
        """Return what is on the map now, in its CRS; empty when nothing is."""
        return self._band.asGeometry() if self._band is not None else QgsGeometry()

    def _draw(self) -> None:
        if self._canvas is None:
            return
        if self._band is None:
            self._band = QgsRubberBand(self._canvas, Qgis.GeometryType.Polygon)
            self._band.setStrokeColor(QColor(COLOR))
            self._band.setSecondaryStrokeColor(QColor(255, 255, 255, 160))
            self._band.setFillColor(QColor(0, 0, 0, 0))
            self._band.setWidth(WIDTH_PX)
        self._band.reset(Qgis.GeometryType.Polygon)
        if self._visible and not self._geometry.isNull() and self._crs.isValid():
            self._band.setToGeometry(self._geometry, self._crs)


def area_of_result(result: dict[str, Any]) -> tuple[str, str]:
    """Return WKT and CRS of the area in the result of a dry run; empty without one."""
    grid = result.get("grid") or {}
    crs = str(grid.get("crs") or "") if isinstance(grid, dict) else ""
    return str(result.get("area_wkt") or ""), crs or QgsProject.instance().crs().authid()
