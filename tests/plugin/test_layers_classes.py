"""Classes follow the legend, and nothing that is drawn gets lost."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsFillSymbol,
    QgsRendererCategory,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)

from geoseg_plugin.layers.classes import class_fields, classes_of
from geoseg_plugin.layers.colors import CLASS_COLORS


@pytest.fixture
def layer(qgis_app: object) -> QgsVectorLayer:
    fields = "&field=when:date&field=size:double&field=code:integer&field=kind:string(20)"
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32632{fields}", "slides", "memory")
    features = []
    for code, kind in ((10, "rock"), (2, "debris"), (1, "soil"), (1, None)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([None, 1.5, code, kind])
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
