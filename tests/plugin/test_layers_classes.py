"""Classes follow the legend, and nothing that is drawn gets lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsRectangle,
    QgsRendererCategory,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime

from geoseg_plugin.layers import classes
from geoseg_plugin.layers.classes import class_fields, classes_of, in_order, values_of
from geoseg_plugin.layers.colors import CLASS_COLORS
from geoseg_plugin.layers.exports import value_text


@pytest.fixture
def layer(qgis_app: object) -> QgsVectorLayer:
    fields = "&field=when:date&field=size:double&field=code:integer&field=kind:string(20)"
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32632{fields}", "slides", "memory")
    features = []
    for code, kind in ((10, "rock"), (2, "debris"), (1, "soil"), (1, None)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([None, 1.5, code, kind])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(code, 0, code + 1, 1)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def categories(*entries: tuple[object, str, str]) -> list[QgsRendererCategory]:
    return [
        QgsRendererCategory(value, QgsFillSymbol.createSimple({"color": color}), label)
        for value, label, color in entries
    ]


def test_legend_order_names_and_colours(layer: QgsVectorLayer) -> None:
    shown = categories(
        ("soil", "Soil slide", "#112233"), ("rock", "Rock fall", "#445566"), ("", "others", "#000000")
    )
    layer.setRenderer(QgsCategorizedSymbolRenderer("kind", shown))
    found = classes_of(layer, "kind")
    assert [(item.id, item.name, item.value, item.color) for item in found[:2]] == [
        (0, "Soil slide", "soil", "#112233"),
        (1, "Rock fall", "rock", "#445566"),
    ]
    assert (found[2].name, found[2].color in CLASS_COLORS) == ("debris", True)
    assert len(found) == 3


def test_legend_entries_without_polygons_are_left_out(layer: QgsVectorLayer) -> None:
    layer.setRenderer(QgsCategorizedSymbolRenderer('"kind"', categories(("lava", "Lava", "#ff0000"))))
    assert [item.name for item in classes_of(layer, "kind")] == ["debris", "rock", "soil"]


def test_grouped_and_equally_named_entries_stay_apart(layer: QgsVectorLayer) -> None:
    shown = categories((["rock", "soil"], "dry", "#111111"), ("debris", "rock", "#222222"))
    layer.setRenderer(QgsCategorizedSymbolRenderer("kind", shown))
    assert [item.name for item in classes_of(layer, "kind")] == ["rock (rock)", "soil", "rock (debris)"]


def test_numbers_sort_by_size_and_unsaved_edits_count(layer: QgsVectorLayer) -> None:
    layer.startEditing()
    layer.changeAttributeValue(1, layer.fields().lookupField("code"), 100)
    assert [item.value for item in classes_of(layer, "code")] == ["1", "2", "100"]
    layer.rollBack()


def test_no_field_is_one_class_in_the_layers_colour(layer: QgsVectorLayer) -> None:
    layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple({"color": "#abcdef"})))
    (only,) = classes_of(layer, "")
    assert (only.name, only.value, only.color) == ("slides", "", "#abcdef")


def test_fields_likeliest_first(layer: QgsVectorLayer) -> None:
    assert class_fields(layer) == ["kind", "code", "size"]
    layer.setRenderer(QgsCategorizedSymbolRenderer("code", categories((1, "one", "#112233"))))
    assert class_fields(layer) == ["code", "kind", "size"]
    assert classes_of(layer, "missing") == ()


SQUARE = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]


def write_geojson(path: Path, rows: list[tuple[dict[str, object] | None, dict[str, object]]]) -> Path:
    """Features of geometry and properties."""
    features = [
        {"type": "Feature", "geometry": geometry, "properties": properties} for geometry, properties in rows
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@pytest.mark.parametrize("most", [5_000, 0], ids=["short", "long"])
def test_only_features_of_the_layers_own_kind_have_classes(
    most: int, qgis_app: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "MAX_LOOKED_AT", most)
    path = write_geojson(
        tmp_path / "mixed.geojson",
        [
            ({"type": "Polygon", "coordinates": SQUARE}, {"kind": "forest"}),
            ({"type": "Point", "coordinates": [0, 0]}, {"kind": "well"}),
            ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, {"kind": "road"}),
        ],
    )
    layer = QgsVectorLayer(f"{path}|geometrytype=Polygon", "mixed", "ogr")
    assert [item.value for item in classes_of(layer, "kind")] == ["forest"]


def test_a_class_of_features_without_geometry_is_none(qgis_app: object, tmp_path: Path) -> None:
    rows = [({"type": "Polygon", "coordinates": SQUARE}, {"kind": "forest"}), (None, {"kind": "lost"})]
    layer = QgsVectorLayer(str(write_geojson(tmp_path / "some.geojson", rows)), "some", "ogr")
    assert values_of(layer, layer.fields().lookupField("kind")) == {"forest"}


@pytest.mark.parametrize("most", [5_000, 0], ids=["short", "long"])
def test_lists_are_classes_by_their_words(
    most: int, qgis_app: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "MAX_LOOKED_AT", most)
    words = (["building"], ["road", "track"], None, [])
    rows = [({"type": "Polygon", "coordinates": SQUARE}, {"kind": item}) for item in words]
    layer = QgsVectorLayer(str(write_geojson(tmp_path / "lists.geojson", rows)), "lists", "ogr")
    assert values_of(layer, layer.fields().lookupField("kind")) == {"building", "road, track"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["a"], "a"),
        (["a", " b "], "a, b"),
        ([], None),
        ({"b": 1, "a": ["ü"]}, '{"a": ["ü"], "b": 1}'),
        (QDate(2020, 2, 1), "2020-02-01"),
        (QDateTime(2020, 2, 1, 3, 4, 5), "2020-02-01T03:04:05"),
        (float("nan"), None),
        (9007199254740993, "9007199254740993"),
        ("2E1", "2E1"),
    ],
)
def test_values_are_written_as_the_engine_reads_them(value: object, text: str | None) -> None:
    assert value_text(value) == text


def test_words_that_look_like_numbers_come_behind_numbers() -> None:
    assert in_order(["nan", "10", "2E1", "1_1", "9", "inf"]) == ["9", "10", "1_1", "2E1", "inf", "nan"]
