"""States of layers change with everything that a result depends on, and only with that; results are known as such."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docked import add, polygon_layer, raster_layer
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRuleBasedRenderer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from geoseg_plugin.layers import facts, publish, styles
from geoseg_plugin.layers.facts import raster_facts, state_of, unfiltered_count
from geoseg_plugin.layers.legendclasses import LEGEND_FIELD
from geoseg_plugin.layers.publish import Item, style_file
from geoseg_plugin.layers.results import RESULT_MARK, SHOWN, WRITTEN, result_kind

FIELDS = ("class",)
BOX = "POLYGON((500300 4999900, 500350 4999900, 500350 4999950, 500300 4999900))"


@pytest.fixture(autouse=True)
def _clean_project(qgis_app: Any, qgis_new_project: None) -> None:
    """Every test begins with an empty project."""


def saved(layer: QgsVectorLayer, path: Path) -> QgsVectorLayer:
    """The layer in a GeoPackage."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsCoordinateTransformContext(), options)
    return add(QgsVectorLayer(str(path), "labels", "ogr"))


def square(layer: QgsVectorLayer, value: str = "x") -> QgsFeature:
    feature = QgsFeature(layer.fields())
    feature.setAttribute("class", value)
    feature.setGeometry(QgsGeometry.fromWkt(BOX))
    return feature


def first(layer: QgsVectorLayer) -> QgsFeature:
    return next(layer.getFeatures())


def moved(layer: QgsVectorLayer) -> None:
    shape = first(layer).geometry()
    shape.translate(1, 0)
    layer.changeGeometry(first(layer).id(), shape)


EDITS: dict[str, Callable[[QgsVectorLayer], object]] = {
    "added": lambda layer: layer.addFeature(square(layer)),
    "deleted": lambda layer: layer.deleteFeature(first(layer).id()),
    "moved": moved,
    "another class": lambda layer: layer.changeAttributeValue(first(layer).id(), 1, "other"),
    "class taken away": lambda layer: layer.changeAttributeValue(first(layer).id(), 1, None),
}


@pytest.mark.parametrize("most", [facts.MAX_READ, 0], ids=["read", "too many to read"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_state_and_undo_brings_it_back(
    edit: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_READ", most)
    layer = saved(polygon_layer(), tmp_path / "labels.gpkg")
    before = state_of(layer, FIELDS)
    assert state_of(layer, FIELDS) == before
    layer.startEditing()
    EDITS[edit](layer)
    edited = state_of(layer, FIELDS)
    assert edited != before
    layer.undoStack().undo()
    assert state_of(layer, FIELDS) == before
    layer.undoStack().redo()
    assert state_of(layer, FIELDS) == edited
    if most:
        layer.commitChanges()
        assert state_of(layer, FIELDS) == edited, "saving changes nothing that a result depends on"
    else:
        layer.rollBack()
        assert state_of(layer, FIELDS) == before


def test_a_field_that_does_not_count_changes_nothing_and_a_filter_does(tmp_path: Path) -> None:
    layer = saved(polygon_layer(), tmp_path / "labels.gpkg")
    before = state_of(layer, FIELDS)
    layer.startEditing()
    layer.changeAttributeValue(first(layer).id(), layer.fields().lookupField("note"), "y")
    assert state_of(layer, FIELDS) == before != state_of(layer, ("class", "note"))
    layer.rollBack()
    layer.setSubsetString("\"class\" = 'scarp'")
    assert state_of(layer, FIELDS) != before and (layer.featureCount(), unfiltered_count(layer)) == (1, 2)
    layer.setSubsetString("")
    assert state_of(layer, FIELDS) == before
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    assert state_of(layer, FIELDS) != before


def test_where_the_legend_gives_the_classes_its_rules_count() -> None:
    layer = polygon_layer()
    before, plain = state_of(layer, (LEGEND_FIELD,)), state_of(layer, FIELDS)
    layer.setRenderer(QgsRuleBasedRenderer(layer.renderer().symbol().clone()))
    assert state_of(layer, (LEGEND_FIELD,)) != before and state_of(layer, FIELDS) == plain


RASTER_CHANGES: dict[str, Callable[[QgsRasterLayer], object]] = {
    "name": lambda layer: layer.setName("other"),
    "crs": lambda layer: layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633")),
    "nodata": lambda layer: layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(1, 1)]),
    "codes": lambda layer: layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, [])),
    "file": lambda layer: Path(layer.source()).write_bytes(Path(layer.source()).read_bytes() + b"\0"),
}


@pytest.mark.parametrize("change", RASTER_CHANGES)
def test_the_state_of_a_raster_changes_with_what_the_engine_would_read(change: str, tmp_path: Path) -> None:
    layer = raster_layer(tmp_path, "image", 2)
    before = state_of(layer)
    layer.setOpacity(0.5)
    assert state_of(layer) == before, "how it looks is nobody's input"
    RASTER_CHANGES[change](layer)
    assert state_of(layer) != before


def test_facts_of_rasters_say_what_their_pixels_are(tmp_path: Path) -> None:
    layer, other = raster_layer(tmp_path, "image", 2), raster_layer(tmp_path, "east", 2)
    found = raster_facts([layer], QgsCoordinateReferenceSystem("EPSG:32632"))
    assert (found.pixel, found.projected, found.of_labels, len(found.bands)) == ((10.0, 10.0), True, True, 2)
    assert found.pixel_m2 == pytest.approx(100) and found.extent == (500_000, 4_999_600, 500_500, 5_000_000)
    assert not raster_facts([layer, other], QgsCoordinateReferenceSystem("EPSG:4326")).of_labels
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2225"))
    assert raster_facts([layer]).pixel_m2 == pytest.approx(100 * 0.3048**2, rel=1e-3), "US feet"
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    assert not raster_facts([layer]).projected


def test_a_result_is_known_by_its_mark_its_style_and_its_file(tmp_path: Path) -> None:
    layer = raster_layer(tmp_path, "classes", 1)
    assert result_kind(layer) == ""
    layer.setCustomProperty(RESULT_MARK, True)
    assert result_kind(layer) == SHOWN, "a project of an earlier version"
    for name, is_result, kind in (("map", True, WRITTEN), ("stack", False, "")):
        path = Path(raster_layer(tmp_path, name, 1).source())
        assert style_file(Item(path, name, styles.style_stack, is_result=is_result), {})
        assert result_kind(QgsRasterLayer(str(path), "loaded by anybody")) == kind
    path = Path(raster_layer(tmp_path, "bare", 1).source())
    gdal.Open(str(path), gdal.GA_Update).SetMetadataItem("GEOSEG_RESULT", "yes")
    assert not path.with_suffix(".qml").exists() and result_kind(QgsRasterLayer(str(path), "x")) == WRITTEN
    polygons = saved(polygon_layer(), tmp_path / "polygons.gpkg")
    assert result_kind(polygons) == ""
    item = Item(tmp_path / "polygons.gpkg", "Polygons", lambda _layer: None, "labels")
    publish.save_style(polygons, item)
    again = QgsVectorLayer(f"{tmp_path / 'polygons.gpkg'}|layername=polygons", "again", "ogr")
    assert result_kind(again) == WRITTEN, "it travels in the GeoPackage"
