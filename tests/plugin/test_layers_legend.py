"""Classes that only the legend knows, label rasters, lines and points, and findings on the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from docked import raster_layer
from engine_results import write_findings
from qgis.core import (
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsGraduatedSymbolRenderer,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRendererRange,
    QgsRuleBasedRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from geoseg_plugin.layers import findings, snapshot
from geoseg_plugin.layers.classes import classes_of
from geoseg_plugin.layers.legendclasses import LEGEND_FIELD, has_legend_classes
from geoseg_plugin.layers.rasterclasses import raster_classes

SIZES = (5.0, 50.0, 500.0, None)


@pytest.fixture
def layer(qgis_app: object, qgis_new_project: None) -> QgsVectorLayer:
    """Four squares with a size each."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=size:double&field=kind:string", "slides", "memory")
    features = []
    for number, size in enumerate(SIZES):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([size, "old" if number == 1 else "new"])
        x = 500_000 + 100 * number
        feature.setGeometry(QgsGeometry.fromWkt(f"POLYGON(({x} 0, {x + 50} 0, {x + 50} 50, {x} 0))"))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def symbol(color: str) -> QgsFillSymbol:
    return QgsFillSymbol.createSimple({"color": color})


def graduated(layer: QgsVectorLayer) -> None:
    ranges = [
        QgsRendererRange(0, 10, symbol("#110000"), "small"),
        QgsRendererRange(10, 100, symbol("#220000"), "large"),
        QgsRendererRange(10_000, 20_000, symbol("#330000"), "huge"),
    ]
    layer.setRenderer(QgsGraduatedSymbolRenderer("size", ranges))


def rules(layer: QgsVectorLayer) -> None:
    root = QgsRuleBasedRenderer.Rule(None)
    group = QgsRuleBasedRenderer.Rule(symbol("#000000"), 0, 0, '"size" > 0', "all of them")
    group.appendChild(QgsRuleBasedRenderer.Rule(symbol("#110000"), 0, 0, '"size" < 100', "small"))
    group.appendChild(QgsRuleBasedRenderer.Rule(symbol("#220000"), 100, 0, "\"kind\" = 'old'", "old"))
    group.appendChild(QgsRuleBasedRenderer.Rule(symbol("#330000"), 0, 0, "ELSE", "other"))
    root.appendChild(group)
    layer.setRenderer(QgsRuleBasedRenderer(root))


def exported(layer: QgsVectorLayer, path: Path) -> list[object]:
    snapshot.polygon_snapshot(layer, path, [LEGEND_FIELD])()
    copy = QgsVectorLayer(f"{path}|layername=polygons", "copy", "ogr")
    return [feature.attribute(LEGEND_FIELD) or None for feature in copy.getFeatures()]


def test_ranges_are_classes_and_are_written_as_text(layer: QgsVectorLayer, tmp_path: Path) -> None:
    assert not has_legend_classes(layer)
    graduated(layer)
    assert has_legend_classes(layer)
    found = classes_of(layer, LEGEND_FIELD)
    assert [(item.name, item.value, item.color) for item in found] == [
        ("small", "small", "#110000"),
        ("large", "large", "#220000"),
    ]
    assert exported(layer, tmp_path / "l.gpkg") == ["small", "large", None, None]


def test_rules_are_classes_and_the_last_that_fits_counts(layer: QgsVectorLayer, tmp_path: Path) -> None:
    rules(layer)
    assert [item.name for item in classes_of(layer, LEGEND_FIELD)] == ["small", "old", "other"]
    assert exported(layer, tmp_path / "l.gpkg") == ["small", "old", "other", None]
    assert layer.fields().lookupField(LEGEND_FIELD) < 0, "the user's layer stays as it is"


def test_lines_and_numbers_for_bands(qgis_app: object, tmp_path: Path) -> None:
    roads = QgsVectorLayer(
        "LineString?crs=EPSG:32632&field=width:integer&field=name:string", "roads", "memory"
    )
    feature = QgsFeature(roads.fields())
    feature.setAttributes([7, "A1"])
    feature.setGeometry(QgsGeometry.fromWkt("LINESTRING(0 0, 10 10)"))
    roads.dataProvider().addFeatures([feature])
    snapshot.feature_snapshot(roads, tmp_path / "r.gpkg", ["width", "name", ""])()
    copy = QgsVectorLayer(f"{tmp_path / 'r.gpkg'}|layername=polygons", "copy", "ogr")
    written = next(copy.getFeatures())
    assert (written.attribute("width"), written.attribute("name")) == (7.0, "A1")
    assert written.geometry().asWkt() == "MultiLineString ((0 0, 10 10))"


def test_a_palette_names_the_classes_of_a_label_raster(
    qgis_app: object, qgis_new_project: None, tmp_path: Path
) -> None:
    layer = raster_layer(tmp_path, "mask", 1)
    assert raster_classes(layer) == ()
    entries = [(1, "#112233", "Water"), (7, "#445566", ""), (9, "#778899", "Forest")]
    shown = [QgsPalettedRasterRenderer.Class(value, QColor(color), name) for value, color, name in entries]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, shown))
    found = [(item.value, item.name, item.color) for item in raster_classes(layer)]
    assert found == [("1", "Water", "#112233"), ("7", "7", "#445566"), ("9", "Forest", "#778899")]


def test_findings_come_to_the_map_by_kind_of_fault(
    qgis_app: object, qgis_new_project: None, tmp_path: Path
) -> None:
    file = write_findings(tmp_path / "findings.gpkg")
    project = QgsProject.instance()
    group = findings.publish_findings(file, "Check", project)
    layers = [node.layer() for node in group.findLayers()]
    assert [layer.featureCount() for layer in layers] == [1, 2]
    categories = [item.value() for layer in layers for item in layer.renderer().categories()]
    assert categories == ["invalid", "overlap", "tiny"]
    assert layers[1].attributeAlias(layers[1].fields().lookupField("reason")) == "Why"
    assert findings.codes_in(layers) == {"invalid", "overlap", "tiny"}
    project.setCrs(layers[0].crs())
    box = findings.extent_of(layers, "tiny", project)
    assert np.allclose((box.xMinimum(), box.xMaximum()), (500_030, 500_031))
    assert findings.extent_of(layers, "nothing", project).isNull()
