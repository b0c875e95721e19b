"""Points and lines as labels in QGIS: what is written for the engine, what the panel shows, what the Toolbox takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docked import DataDesk, add, layer_id
from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType
from toolbox import checked, raster, record, run

from geoseg_plugin.jobs.choices import MoreLabels
from geoseg_plugin.layers import snapshot
from geoseg_plugin.layers.inputs.dataset import label_inputs
from geoseg_plugin.layers.inputs.dataset_problems import data_problems
from geoseg_plugin.processing.provider import GeoSegProvider

POINTS = ("Point(500105 4999905)", "Point(500205 4999805)", "Point(500305 4999705)")
LINES = ("LineString(500105 4999905, 500205 4999805)", "LineString(500305 4999705, 500355 4999705)")


def drawn(kind: str, name: str, texts: tuple[str, ...], classes: str = "aba") -> QgsVectorLayer:
    """A layer in the project with a feature for each WKT and a field `class`."""
    layer = QgsVectorLayer(f"{kind}?crs=EPSG:32632&field=class:string&field=plot:int", name, "memory")
    for number, (text, value) in enumerate(zip(texts, classes, strict=False)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([value, number])
        feature.setGeometry(QgsGeometry.fromWkt(text))
        layer.dataProvider().addFeatures([feature])
    found: QgsVectorLayer = add(layer)
    return found


def written(layer: QgsVectorLayer, path: Path, field: str = "class", **more: Any) -> list[tuple[Any, str]]:
    """Values and geometries of a snapshot."""
    snapshot.polygon_snapshot(layer, path, (field,), **more)()
    found = QgsVectorLayer(str(path), "written", "ogr")
    return [(item[field] or None, item.geometry().asWkt()) for item in found.getFeatures()]


@pytest.mark.parametrize(
    ("kind", "text", "type_"),
    [
        ("PointZ", "PointZ(1 2 3)", QgsWkbTypes.Type.MultiPoint),
        ("MultiPoint", "MultiPoint((1 2), (3 4))", QgsWkbTypes.Type.MultiPoint),
        ("LineString", "LineString(1 2, 3 4)", QgsWkbTypes.Type.MultiLineString),
        ("CompoundCurve", "CompoundCurve((0 0, 2 0), CircularString(2 0, 3 1, 4 0))", QgsWkbTypes.Type.MultiLineString),
    ],
)  # fmt: skip
def test_points_and_lines_are_written_as_they_are(
    qgis_new_project: object, tmp_path: Path, kind: str, text: str, type_: QgsWkbTypes.Type
) -> None:
    layer = drawn(kind, "drawn", (text,))
    snapshot.polygon_snapshot(layer, tmp_path / "l.gpkg", ("class",))()
    found = QgsVectorLayer(str(tmp_path / "l.gpkg"), "written", "ogr")
    assert found.featureCount() == 1 and found.wkbType() == type_
    shape = next(found.getFeatures()).geometry()
    assert not shape.isEmpty() and not shape.constGet().is3D()


def test_unsaved_points_are_written(qgis_new_project: object, tmp_path: Path) -> None:
    layer = drawn("Point", "gps", POINTS[:1])
    layer.startEditing()
    feature = QgsFeature(layer.fields())
    feature.setAttributes(["new", 9])
    feature.setGeometry(QgsGeometry.fromWkt(POINTS[1]))
    layer.addFeature(feature)
    assert {value for value, _ in written(layer, tmp_path / "l.gpkg")} == {"a", "new"}
    layer.rollBack()


def test_joined_and_virtual_fields_name_classes(qgis_new_project: object, tmp_path: Path) -> None:
    layer = drawn("Point", "gps", POINTS)
    table = add(QgsVectorLayer("NoGeometry?field=id:int&field=cover:string", "plots", "memory"))
    for values in ([0, "forest"], [1, "water"], [2, "forest"]):
        row = QgsFeature(table.fields())
        row.setAttributes(values)
        table.dataProvider().addFeatures([row])
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(table)
    join.setJoinFieldName("id")
    join.setTargetFieldName("plot")
    join.setPrefix("")
    join.setUsingMemoryCache(True)
    assert layer.addJoin(join)
    assert [value for value, _ in written(layer, tmp_path / "j.gpkg", "cover")] == [
        "forest",
        "water",
        "forest",
    ]
    layer.addExpressionField("upper(\"class\") || '!'", QgsField("loud", QMetaType.Type.QString))
    assert [value for value, _ in written(layer, tmp_path / "v.gpkg", "loud")] == ["A!", "B!", "A!"]
    from geoseg_plugin.layers.classes import class_fields, classes_of

    assert {"cover", "loud"} <= set(class_fields(layer))
    assert [item.value for item in classes_of(layer, "cover")] == ["forest", "water"]
    assert [item.value for item in classes_of(layer, "loud")] == ["A!", "B!"]


@pytest.mark.parametrize("options", ["xField=lon&yField=lat", "wktField=shape"])
def test_points_of_a_csv_file_are_labels(qgis_new_project: object, tmp_path: Path, options: str) -> None:
    path = tmp_path / "gps.csv"
    path.write_text(
        "lon,lat,shape,class\n9.001,45.15,Point(9.001 45.15),a\n9.002,45.16,Point(9.002 45.16),b\n",
        encoding="utf-8",
    )
    uri = f"{path.as_uri()}?type=csv&{options}&crs=EPSG:4326"
    layer = add(QgsVectorLayer(uri, "gps", "delimitedtext"))
    assert snapshot.problems(layer, labels=True) == []
    rows = written(layer, tmp_path / "l.gpkg")
    assert [value for value, _ in rows] == ["a", "b"] and "9.0009999" in rows[0][1]


def test_points_are_labels_and_no_area(qgis_new_project: object) -> None:
    layer = drawn("Point", "gps", POINTS)
    assert snapshot.problems(layer, labels=True) == []
    assert [item.code for item in snapshot.problems(layer)] == ["not_polygons"]
    table = add(QgsVectorLayer("NoGeometry?field=id:int", "table", "memory"))
    assert "not_polygons" in [item.code for item in snapshot.problems(table, labels=True)]
    empty = drawn("LineString", "roads", ())
    assert "lines" in snapshot.problems(empty, labels=True)[0].hint


def chosen(desk: DataDesk, layer: QgsVectorLayer, field: str = "class") -> Any:
    desk.page.label_layer.setLayer(layer)
    desk.data.look_again()
    desk.page.class_field.setCurrentIndex(max(desk.page.class_field.findData(field), 0))
    return desk.page.choices()


def hidden(desk: DataDesk) -> dict[str, bool]:
    return {name: control.isHidden() for name, (_label, control) in desk.page.drawn._rows.items()}


def test_sizes_show_where_they_matter(data_desk: DataDesk) -> None:
    page = data_desk.page
    polygons = QgsProject.instance().mapLayersByName("labels")[0]
    chosen(data_desk, polygons)
    assert all(hidden(data_desk).values())
    points, lines = drawn("Point", "gps", POINTS), drawn("LineString", "roads", LINES)
    chosen(data_desk, points)
    assert hidden(data_desk) == {"point_radius": False, "line_width": True, "size_unit": False}
    chosen(data_desk, lines)
    assert hidden(data_desk) == {"point_radius": True, "line_width": False, "size_unit": False}
    chosen(data_desk, polygons)
    page.options.more_labels.set_layers([MoreLabels(points.id(), "class"), MoreLabels(lines.id(), "")])
    page.options.more_labels.changed.emit()
    assert not any(hidden(data_desk).values())


def test_the_panel_makes_labels_of_points_with_their_size(data_desk: DataDesk) -> None:
    points = drawn("Point", "gps", POINTS)
    data_desk.page.area_kind.setCurrentIndex(data_desk.page.area_kind.findData("rasters"))
    choices = chosen(data_desk, points)
    assert choices.sampled and choices.unlabelled == "unknown"
    assert "samples" in data_desk.page.unlabelled_note.text()
    rows = data_desk.page.drawn._rows
    rows["point_radius"][1].setValue(2.5)
    rows["size_unit"][1].setCurrentIndex(rows["size_unit"][1].findData("m"))
    labels = label_inputs(data_desk.page.choices(), QgsProject.instance()).labels
    assert (labels.point_radius, labels.line_width, labels.size_unit) == (2.5, 0.0, "m")
    assert labels.unlabelled == "unknown" and [item.name for item in labels.classes] == ["a", "b"]
    assert not data_problems(data_desk.page.choices(), QgsProject.instance())
    remembered = data_desk.page.values()
    rows["point_radius"][1].setValue(0)
    data_desk.page.restore(remembered)
    assert data_desk.page.choices().point_radius == 2.5
    polygons = QgsProject.instance().mapLayersByName("labels")[0]
    choices = chosen(data_desk, polygons)
    assert not choices.sampled and choices.unlabelled == "background"


def test_the_only_layer_that_can_be_labels_is_proposed(data_desk: DataDesk) -> None:
    QgsProject.instance().removeMapLayer(layer_id("labels"))
    data_desk.page.label_layer.setLayer(None)
    points = drawn("Point", "gps", POINTS)
    data_desk.data.look_again()
    assert data_desk.page.label_layer.layer_id() == points.id()


def test_selected_features_alone_are_offered_counted_and_used(data_desk: DataDesk, tmp_path: Path) -> None:
    points, page = drawn("Point", "gps", POINTS), data_desk.page
    box = page.drawn.selected_only
    chosen(data_desk, points)
    assert box.isHidden()
    points.selectByIds([1, 3])
    data_desk.data.look_again()
    assert not box.isHidden() and box.text() == "Selected features only (2)"
    before = data_desk.services.freshness.prints()
    box.click()
    assert page.legend.names() == ["a"], "classes are those of the selected features"
    ticked = data_desk.services.freshness.prints()
    assert ticked["labels"] != before["labels"]
    found = label_inputs(page.choices(), QgsProject.instance())
    assert [item.name for item in found.labels.classes] == ["a"]
    points.selectByIds([2])
    assert data_desk.services.freshness.prints()["labels"] != ticked["labels"]
    points.removeSelection()
    data_desk.data.look_again()
    assert not box.isHidden(), "what is chosen stays in sight"
    problems = data_problems(page.choices(), QgsProject.instance())
    assert [item.code for item in problems] == ["nothing_selected"]
    box.click()
    data_desk.data.look_again()
    assert box.isHidden()


def test_a_selection_is_noticed(data_desk: DataDesk) -> None:
    points = drawn("Point", "gps", POINTS)
    chosen(data_desk, points)
    watch = data_desk.services.freshness.watch
    watch._timer.stop()
    points.selectByIds([1])
    assert watch._timer.isActive()


def test_the_filter_of_the_label_layer_is_shown(data_desk: DataDesk) -> None:
    points = drawn("Point", "gps", POINTS)
    points.setSubsetString("\"class\" = 'a'")
    chosen(data_desk, points)
    assert data_desk.page.filter_note.text() == "2 of 3 by the layer's filter"


def test_the_toolbox_takes_points_with_their_size(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qgis_new_project: object,
) -> None:
    points, taken = drawn("Point", "gps", POINTS), record(monkeypatch)
    lines = drawn("LineString", "roads", LINES)
    points.selectByIds([1, 3])
    run(
        provider,
        "rasterizelabels",
        STACK=str(raster(tmp_path / "stack.tif")),
        LABELS=QgsProcessingFeatureSourceDefinition(points.id(), True),
        MORE_LABELS=[lines.id()],
        CLASS_FIELD="class",
        POINT_RADIUS=3,
        LINE_WIDTH=4.5,
        SIZE_UNIT="m",
        OUTPUT=str(tmp_path / "labels.tif"),
    )
    labels: Any = taken[0].job.labels
    assert (labels.point_radius, labels.line_width, labels.size_unit) == (3, 4.5, "m")
    assert QgsVectorLayer(labels.path, "w", "ogr").featureCount() == 2
    assert QgsVectorLayer(labels.more[0].path, "w", "ogr").wkbType() == QgsWkbTypes.Type.MultiLineString


@pytest.mark.parametrize("name", ["rasterizelabels", "checklabels", "maketiles"])
def test_points_pass_the_check_of_the_toolbox(
    provider: GeoSegProvider, tmp_path: Path, name: str, qgis_new_project: object
) -> None:
    points = drawn("Point", "gps", POINTS)
    stack = str(raster(tmp_path / "stack.tif"))
    parameters = {"STACK": stack, "LAYERS": [stack], "LABELS": points.id(), "CLASS_FIELD": "class"}
    parameters["OUTPUT"] = str(tmp_path / ("out" if name == "maketiles" else "out.tif"))
    if name == "checklabels":
        parameters["OUTPUT"] = str(tmp_path / "out.gpkg")
    known = {item.name() for item in provider.algorithm(name).parameterDefinitions()}
    assert checked(provider, name, **{key: value for key, value in parameters.items() if key in known}) == ""
    area = {**parameters, "LABELLED_AREA": points.id()}
    assert "not polygons" in checked(provider, name, **{key: area[key] for key in area if key in known})


def test_a_filter_of_the_dialog_is_refused_and_not_passed_over(
    provider: GeoSegProvider, tmp_path: Path, qgis_new_project: object
) -> None:
    points = drawn("Point", "gps", POINTS)
    stack, output = str(raster(tmp_path / "stack.tif")), str(tmp_path / "out.tif")
    for filtered in (
        QgsProcessingFeatureSourceDefinition(points.id(), filterExpression="\"class\" = 'a'"),
        QgsProcessingFeatureSourceDefinition(points.id(), featureLimit=1),
    ):
        told = checked(provider, "rasterizelabels", STACK=stack, LABELS=filtered, OUTPUT=output)
        assert "feature filter" in told


def test_a_map_is_evaluated_at_points(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qgis_new_project: object,
) -> None:
    points, taken = drawn("Point", "gps", POINTS), record(monkeypatch, {"errors": "errors.tif"})
    run(
        provider,
        "evaluate",
        PREDICTION=str(raster(tmp_path / "map.tif", bands=1)),
        TRUTH=points.id(),
        CLASS_FIELD="class",
        POINT_RADIUS=1.5,
        OUTPUT=str(tmp_path / "evaluation"),
    )
    job: Any = taken[0].job
    assert job.truth.point_radius == 1.5 and job.truth.unlabelled == "unknown"
