"""Findings of a check of the labels -> layers styled by reason, and where to look. Main thread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from osgeo import ogr
from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsLayerTreeGroup,
    QgsMarkerSymbol,
    QgsProject,
    QgsRectangle,
    QgsRendererCategory,
    QgsSimpleLineSymbolLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from . import publish
from .colors import FINDING_COLORS

LAYER = "findings"
GEOMETRIES = ("Polygon", "LineString", "Point")


def tr(text: str) -> str:
    return publish.tr(text)


def finding_names() -> dict[str, str]:
    """What attributes of a finding are called in forms and tables."""
    return {
        "code": tr("Kind"),
        "reason": tr("Why"),
        "severity": tr("Weight"),
        "feature": tr("Feature id"),
        "feature_id": tr("Feature id"),
        "class": tr("Class"),
        "class_name": tr("Class"),
        "layer": tr("Layer"),
    }


def publish_findings(
    file: Path, title: str, project: QgsProject | None = None, later: publish.Later = publish.at_once
) -> QgsLayerTreeGroup:
    """Show the findings in one group on top: points above lines above polygons, by kind of fault.

    Nothing is saved into the file: writing to it while another layer of it is open made that layer unreadable.

    Args:
        file: GeoPackage with the findings.
        title: of the group.
        project: gets the layers; None is the current one.
        later: runs an action in one of the next turns of the event loop.
    """
    sources = [(part, f"{LAYER}|geometrytype={part}") for part in parts_of(file)]
    items = [
        publish.Item(file, shape_name(part), style_findings, source, keeps_style=False)
        for part, source in sources
    ]
    return publish.publish(items, title, {tr("Made by"): tr("GeoSeg, check of the labels")}, project, later)


def parts_of(file: Path) -> list[str]:
    """Kinds of geometry that a file of findings holds, points first."""
    source = ogr.Open(str(file))
    layer = source.GetLayerByName(LAYER) if source is not None else None
    names = {
        feature.GetGeometryRef().GetGeometryName() for feature in layer or [] if feature.GetGeometryRef()
    }
    kinds = {name.removeprefix("MULTI") for name in names}
    return [part for part in reversed(GEOMETRIES) if part.upper() in kinds]


def shape_name(part: str) -> str:
    """What a layer of findings is called."""
    return {"Polygon": tr("Findings"), "LineString": tr("Findings, lines")}.get(part, tr("Findings, places"))


def style_findings(layer: QgsVectorLayer) -> None:
    """One bright outline a kind of fault, on a dark casing; forms and map tips give the reason."""
    codes = sorted(codes_in([layer]))
    is_point = layer.geometryType() == Qgis.GeometryType.Point
    categories = []
    for number, code in enumerate(codes):
        color = FINDING_COLORS[number % len(FINDING_COLORS)]
        symbol = marker(color) if is_point else outline(color)
        categories.append(QgsRendererCategory(code, symbol, code.replace("_", " ").capitalize()))
    layer.setRenderer(QgsCategorizedSymbolRenderer("code", categories))
    for name, alias in finding_names().items():
        place = layer.fields().lookupField(name)
        if place >= 0:
            layer.setFieldAlias(place, alias)
    layer.setDisplayExpression('"reason"')
    layer.setMapTipTemplate('<b>[% "reason" %]</b>')
    layer.triggerRepaint()


def outline(color: str) -> QgsFillSymbol:
    """A polygon's bright outline on a dark one."""
    symbol = QgsFillSymbol.createSimple({"style": "no", "outline_color": color, "outline_width": "0.7"})
    symbol.insertSymbolLayer(0, QgsSimpleLineSymbolLayer(QColor(0, 0, 0, 170), 1.3))
    return symbol


def marker(color: str) -> QgsMarkerSymbol:
    """A place: a bright ring with a cross."""
    return QgsMarkerSymbol.createSimple(
        {
            "name": "cross_fill",
            "color": color,
            "outline_color": "#1b1b1b",
            "outline_width": "0.3",
            "size": "4.5",
        }
    )


def extent_of(layers: Iterable[QgsVectorLayer], code: str, project: QgsProject) -> QgsRectangle:
    """Return the rectangle that holds all findings of a kind, in the project's CRS; empty if there are none. Main
    thread.

    Args:
        layers: of findings.
        code: of the kind.
        project: with the CRS.
    """
    box = QgsRectangle()
    box.setNull()
    for layer in layers:
        request = QgsFeatureRequest().setFilterExpression(f"\"code\" = '{code}'").setNoAttributes()
        to_map = QgsCoordinateTransform(layer.crs(), project.crs(), project)
        for feature in layer.getFeatures(request):
            if not feature.hasGeometry():
                continue
            try:
                box.combineExtentWith(to_map.transformBoundingBox(feature.geometry().boundingBox()))
            except QgsCsException:
                continue
    return box


def codes_in(layers: Iterable[QgsVectorLayer]) -> set[str]:
    """Kinds of fault that have a place on the map."""
    found: set[str] = set()
    for layer in layers:
        index = layer.fields().lookupField("code")
        request = QgsFeatureRequest().setFlags(Qgis.FeatureRequestFlag.NoGeometry)
        found |= {str(item.attribute(index)) for item in layer.getFeatures(request)} if index >= 0 else set()
    return found
