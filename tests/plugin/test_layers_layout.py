"""A map to hand over: what stands on the sheet, that it replaces its forerunner, and that files come out whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from classmaps import ADJUSTED, AREAS, class_map, sample_points
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsLayoutFrame,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemPicture,
    QgsLayoutItemScaleBar,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor, QImage

from geoseg_plugin.contract import GeoSegError, LabelClass
from geoseg_plugin.layers import areas, layout, layout_items, publish, sample, styles
from geoseg_plugin.layers.colors import class_color
from geoseg_plugin.layers.sheet import (
    FEW_CLASSES,
    Sheet,
    attribution_of,
    facts_of,
    heading_of,
    printed_notes,
    score_lines,
    subtitle_of,
)

from classmaps import CLASSES  # isort: skip

EVALUATION = {
    "miou": 0.75,
    "accuracy": 0.9,
    "per_class": [{"name": "none", "iou": 0.8}, {"name": "scarp", "iou": None}],
    "intervals": {"miou": [0.7, 0.8], "per_class": [[0.75, 0.85], None]},
}


def classes_layer(folder: Path) -> QgsRasterLayer:
    layer = QgsRasterLayer(str(class_map(folder)), "Classes", "gdal")
    assert QgsProject.instance().addMapLayer(layer)
    return layer


def sheet(layer: QgsRasterLayer, **changes: Any) -> Sheet:
    given: dict[str, Any] = {
        "title": "Slides",
        "layers": (layer,),
        "legend": (layer,),
        "extent": layer.extent(),
        "crs": layer.crs(),
        "areas": AREAS,
        "scores": tuple(score_lines(EVALUATION)),
        "scores_title": "How good",
        "notes": printed_notes(facts_of(layer)),
        "attribution": "© survey",
    }
    return Sheet(**{**given, **changes})


def of_kind(made: Any, kind: type) -> list[Any]:
    return [item for item in made.items() if isinstance(item, kind)]


def test_a_sheet_has_everything_that_a_map_needs(qgis_new_project: None, tmp_path: Path) -> None:
    layer, project = classes_layer(tmp_path), QgsProject.instance()
    made = layout.map_layout(sheet(layer, areas=ADJUSTED), project)
    (shown,) = of_kind(made, QgsLayoutItemMap)
    assert shown.extent().contains(layer.extent()) and shown.crs() == layer.crs()
    assert shown.scale() == pytest.approx(layout.round_scale(shown.scale()))
    (legend,) = of_kind(made, QgsLayoutItemLegend)
    nodes = legend.model().layerLegendNodes(legend.model().rootGroup().findLayers()[0])
    assert [node.data(0) for node in nodes] == ["scarp", "deposit"], "background is not drawn"
    for kind in (QgsLayoutItemScaleBar, QgsLayoutItemPicture, QgsLayoutFrame):
        assert len(of_kind(made, kind)) == 1, kind
    said = "\n".join(item.text() for item in of_kind(made, QgsLayoutItemLabel))
    for text in (
        "Slides",
        "Mean IoU 0.75 (0.70–0.80)",
        "Model: slides (2026-01-01)",
        "a.tif",
        "© survey",
        "96 of 100 points",
    ):
        assert text in said, text
    assert "no class yet" not in said, "that is for whoever fills in the sample"


def test_everything_stays_on_the_page(qgis_new_project: None, tmp_path: Path) -> None:
    layer = classes_layer(tmp_path)
    rows = [{**AREAS["rows"][1], "id": number, "name": f"class {number}"} for number in range(40)]
    notes = {f"fact {number}": "long words " * 8 for number in range(30)}
    made = layout.map_layout(sheet(layer, areas={"rows": rows}, notes=notes), QgsProject.instance())
    page = made.pageCollection().page(0).rect().adjusted(-1, -1, 1, 1)
    for item in (*of_kind(made, QgsLayoutItemLabel), *of_kind(made, QgsLayoutFrame)):
        assert page.contains(item.mapRectToScene(item.rect())), item
    frames = of_kind(made, QgsLayoutFrame)
    assert len(frames[0].multiFrame().tableContents()) == layout.MAX_ROWS + 1, "the largest, and the heads"


def test_long_names_are_shortened_to_their_column(qgis_new_project: None, tmp_path: Path) -> None:
    made = layout.map_layout(sheet(classes_layer(tmp_path)), QgsProject.instance())
    letters = layout_items.text_format(8)
    assert layout_items.fitted(made, "scarp", letters, 40) == "scarp"
    short = layout_items.fitted(made, "a scarp with a long name", letters, 12)
    assert short.endswith("…") and 2 < len(short) < 16
    assert layout_items.one_line("5.5\n5.0–6.0") == "5.5 (5.0–6.0)" and layout_items.one_line("5.5") == "5.5"


def test_the_same_title_replaces_the_layout(qgis_new_project: None, tmp_path: Path) -> None:
    layer, project = classes_layer(tmp_path), QgsProject.instance()
    layout.map_layout(sheet(layer), project)
    layout.map_layout(sheet(layer), project)
    layout.map_layout(sheet(layer, title="Other"), project)
    layout.map_layout(sheet(layer, title="Not kept"), project, keep=False)
    assert sorted(item.name() for item in project.layoutManager().layouts()) == ["Other", "Slides"]


def test_pdf_and_picture_are_whole_and_show_the_classes(qgis_new_project: None, tmp_path: Path) -> None:
    made = layout.map_layout(sheet(classes_layer(tmp_path)), QgsProject.instance())
    for name in ("map.pdf", "map.png"):
        layout.export(made, tmp_path / "out" / name)
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["map.pdf", "map.png"]
    assert (tmp_path / "out" / "map.pdf").read_bytes().startswith(b"%PDF")
    picture = QImage(str(tmp_path / "out" / "map.png"))
    assert (picture.width(), picture.height()) == (1754, 1240) or abs(picture.width() - 1754) <= 2
    colors = {picture.pixelColor(x, y).name() for x in range(60, 1180, 6) for y in range(170, 1100, 6)}
    assert len(colors) >= 3, "ground and two classes"


def test_what_cannot_be_written_says_so(qgis_new_project: None, tmp_path: Path) -> None:
    made = layout.map_layout(sheet(classes_layer(tmp_path)), QgsProject.instance())
    (tmp_path / "map.part.pdf").mkdir()
    with pytest.raises((GeoSegError, OSError)):
        layout.export(made, tmp_path / "map.pdf")


@pytest.mark.parametrize(
    ("scale", "nice"), [(23_417, 25_000), (1000, 1000), (999.5, 1000), (61_000, 70_000), (0, 1000)]
)
def test_scales_are_round_and_never_smaller(scale: float, nice: float) -> None:
    assert layout.round_scale(scale) == nice


def test_scale_and_bar_in_degrees_are_those_of_the_ground(qgis_new_project: None, tmp_path: Path) -> None:
    layer = classes_layer(tmp_path)
    crs = QgsCoordinateReferenceSystem("EPSG:4326")
    made = layout.map_layout(
        sheet(layer, crs=crs, extent=QgsRectangle(10, 59.99, 10.04, 60.01)), QgsProject.instance()
    )
    shown, bar = of_kind(made, QgsLayoutItemMap)[0], of_kind(made, QgsLayoutItemScaleBar)[0]
    m_of_degree = 55_800  # along the parallel of 60° north
    true = 1000 * m_of_degree * shown.extent().width() / shown.rect().width()
    assert layout_items.true_scale(shown) == pytest.approx(true, rel=1e-3)
    assert any(item.text().startswith(f"1 : {round(true, -2):,.0f}".replace(",", "\u202f"))
               for item in of_kind(made, QgsLayoutItemLabel))  # fmt: skip
    told = bar.unitsPerSegment() / bar.mapUnitsPerScaleBarUnit()
    assert (round(told), bar.unitLabel()) == (200, "m")
    assert bar.unitsPerSegment() * m_of_degree == pytest.approx(told, rel=1e-3)


def test_a_layout_of_the_user_is_not_replaced(qgis_new_project: None, tmp_path: Path) -> None:
    layer, manager = classes_layer(tmp_path), QgsProject.instance().layoutManager()
    own = QgsPrintLayout(QgsProject.instance())
    own.setName("Slides")
    manager.addLayout(own)
    for _ in range(2):
        layout.map_layout(sheet(layer), QgsProject.instance())
    assert [item.name() for item in manager.layouts()] == ["Slides", "Slides 2"]
    assert manager.layoutByName("Slides") is own


def test_notes_are_those_that_a_reader_wants(qgis_new_project: None, tmp_path: Path) -> None:
    layer = classes_layer(tmp_path)
    notes = printed_notes(facts_of(layer))
    assert notes == {"Model": "slides (2026-01-01)", "Data": "a.tif", "Made": "2026-01-02"}
    assert printed_notes({"Cleaned": "holes below 9 px"}) == {"Cleaned": "holes below 9 px"}
    assert subtitle_of(notes) == "Predicted from a.tif, 2026-01-02" and subtitle_of({}) == ""
    many = subtitle_of({"Data": "a.tif, b.tif, c.tif, d.tif, e.tif"})
    assert many == "Predicted from a.tif, b.tif, c.tif and 2 more"
    assert score_lines({}) == [] and "scarp: IoU –" in score_lines(EVALUATION)
    metadata = layer.metadata()
    metadata.setRights(["© survey"])
    layer.setMetadata(metadata)
    assert attribution_of([layer, layer]) == "© survey"


def test_the_title_says_what_is_drawn_or_is_that_of_the_project(
    qgis_new_project: None, tmp_path: Path
) -> None:
    layer, project = classes_layer(tmp_path), QgsProject.instance()
    assert heading_of(layer, project) == "Map of scarp, deposit"
    entries = [(number, QColor("#ff0000"), f"dry_wood {number}") for number in range(FEW_CLASSES + 1)]
    styles.set_palette(layer, entries[:1])
    assert heading_of(layer, project) == "Map of dry wood 0"
    styles.set_palette(layer, entries)
    assert heading_of(layer, project) == f"Map of {FEW_CLASSES + 1} classes"
    project.setTitle("Landslides of the valley")
    assert heading_of(layer, project) == "Landslides of the valley"


def test_scores_say_what_they_are_from_and_what_makes_them_too_good() -> None:
    seen = {"code": "seen_ground", "message": "All of it was trained on.", "hint": "Take others."}
    judged = {**EVALUATION, "truth": "plots", "pixels": 4077, "warnings": [seen, {"code": "scores"}]}
    assert score_lines(judged)[:2] == [
        "Evaluated on: plots, 4\u202f077 pixels",
        "Caution: All of it was trained on.",
    ]
    of_model = {**EVALUATION, "split": "test", "dataset": "valley", "truth": "", "pixels": 12}
    assert score_lines(of_model)[0] == "Evaluated on: test blocks of 'valley', 12 pixels"
    assert score_lines(EVALUATION)[0].startswith("Mean IoU")


def test_the_pdf_is_called_as_the_map_is(qgis_new_project: None, tmp_path: Path) -> None:
    made = layout.map_layout(sheet(classes_layer(tmp_path), title="Slides & <scars>"), QgsProject.instance())
    layout.export(made, tmp_path / "map.pdf")
    written = gdal.Open(str(tmp_path / "map.pdf"))
    if written is None:
        pytest.skip("this GDAL reads no PDF")
    assert written.GetMetadata()["TITLE"] == "Slides & <scars>"
    assert "Slides &amp; &lt;scars&gt;</rdf:li>" in written.GetMetadata("xml:XMP")[0]


def test_answered_points_have_a_dark_and_a_light_ring() -> None:
    symbol = sample.seen("#009e73")
    halo, dot = symbol.symbolLayers()
    assert (dot.color().name(), halo.color().name()) == ("#009e73", "#ffffff")
    assert dot.strokeColor().lightness() < 50 and halo.size() > dot.size() + 1


def test_areas_are_told_in_one_unit_with_intervals() -> None:
    heads, rows, colors = areas.area_table(ADJUSTED)
    assert heads == ["Class", "Share", "Map, ha", "Sample, ha"] and colors[1] == "#d55e00"
    assert rows[1] == ["scarp", "25.0\u00a0%", "5.00", "5.50\n5.00–6.00"]
    assert areas.area_table(ADJUSTED, narrow=True)[1][1] == ["scarp", "5.00", "5.50\n5.00–6.00"]
    assert areas.area_table(AREAS)[0] == ["Class", "Share", "Map, ha"]
    assert areas.unit_of([2e8]) == ("km²", 1e6) and areas.area_text(None, 1e4) == "–"
    said = areas.area_sentences(ADJUSTED)
    assert said[1] == "scarp, Share: 25.0\u00a0%, Map, ha: 5.00, Sample, ha: 5.50 (5.00–6.00)"
    assert "96 points, 90.0\u00a0% of the map" in said[-1] and "4 points have no class" in said[-1]


def test_a_class_that_only_the_sample_has_is_told_with_its_area(
    qgis_new_project: None, tmp_path: Path
) -> None:
    other = {"id": None, "name": "quarry", "color": "#999999", "pixels": 0, "share": 0.0, "area_m2": 0.0}
    other |= {"adjusted_m2": 40_000.0, "low_m2": 30_000.0, "high_m2": 50_000.0}
    found = {**ADJUSTED, "rows": [*ADJUSTED["rows"], other]}
    assert areas.area_table(found)[1][-1] == ["quarry", "0.0\u00a0%", "0.00", "4.00\n3.00–5.00"]
    many = [{**AREAS["rows"][1], "id": number, "area_m2": 1.0} for number in range(40)]
    made = sheet(classes_layer(tmp_path), areas={**found, "rows": [*many, other]})
    assert other in layout.shortened(made)["rows"]


def test_a_prediction_counts_its_own_areas() -> None:
    classes = [{"id": 0, "name": "none", "color": "#000000"}, {"id": 1, "name": "scarp", "color": "#ff0000"}]
    found = areas.rows_of_prediction(
        {"classes": classes, "areas_m2": {"0": 300.0, "1": 100.0}, "counts": {"0": 3}}
    )
    assert [row["share"] for row in found["rows"]] == [0.75, 0.25] and found["total_m2"] == 400.0
    assert areas.rows_of_prediction({}) == {}


def test_sample_points_are_ready_to_be_filled_in(qgis_new_project: None, tmp_path: Path) -> None:
    file = sample_points(tmp_path / "p" / "sample.gpkg")
    group = sample.publish_sample(file, "Sample", CLASSES[1:], {"Made by": "GeoSeg"})
    (layer,) = [node.layer() for node in group.findLayers()]
    place = layer.fields().lookupField("reference")
    assert layer.editorWidgetSetup(place).type() == "ValueMap"
    assert layer.editorWidgetSetup(place).config()["map"] == [
        {"scarp": "scarp"},
        {"deposit": "deposit"},
        {"Another class": "another class"},
    ]
    shown = [item.name() for item in layer.editFormConfig().invisibleRootContainer().children()]
    assert shown == ["point_id", "reference"], "the form does not tell what the map says"
    values = [item.value() for item in layer.renderer().categories()]
    assert values == ["", "scarp", "deposit", "another class"]
    again = QgsVectorLayer(f"{file}|layername=sample", "again", "ogr")
    assert again.editorWidgetSetup(place).type() == "ValueMap", "the style lies in the file"


def test_classes_of_a_sample_are_called_as_the_engine_calls_them(qgis_new_project: None) -> None:
    legend = [LabelClass(0, "Wood", "1", "#00aa00"), LabelClass(1, "255", "255"), LabelClass(2, "Lake", "4")]
    agreed = [{"id": 1, "name": "Wood"}]
    assert [item.name for item in sample.sample_classes(agreed, legend)] == ["Wood", "Lake"], (
        "not on the map, but there"
    )
    own = sample.sample_classes([{"id": 1, "name": "1"}, {"id": 9, "name": "9"}], legend)
    assert [(item.name, item.color) for item in own] == [("1", "#00aa00"), ("9", class_color(1))]


def test_answers_that_are_not_saved_yet_count(qgis_new_project: None, tmp_path: Path) -> None:
    file = sample_points(tmp_path / "sample.gpkg")
    layer = QgsVectorLayer(f"{file}|layername=sample", "sample", "ogr")
    assert layer.startEditing() and sample.is_sample(layer)
    first = next(layer.getFeatures())
    layer.changeAttributeValue(first.id(), layer.fields().lookupField("reference"), "scarp")
    sample.sample_snapshot(layer, tmp_path / "copy.gpkg")()
    copy = QgsVectorLayer(f"{tmp_path / 'copy.gpkg'}|layername=polygons", "copy", "ogr")
    answers = [feature["reference"] for feature in copy.getFeatures()]
    assert answers.count("scarp") == 1 and len(answers) == 4
    layer.rollBack()


def test_what_belongs_to_a_map_comes_into_its_group(qgis_new_project: None, tmp_path: Path) -> None:
    folder = tmp_path / "prediction"
    class_map(folder)
    result = {"output": "classes.tif", "classes": []}
    group = publish.publish_prediction(folder, result)
    assert publish.group_of(folder).name() == group.name() and publish.group_of(tmp_path / "other") is None
    file = sample_points(folder / "sample" / "sample.gpkg")
    sample.publish_sample(file, "Sample", CLASSES, {}, group=publish.group_of(folder))
    assert [node.name() for node in group.findLayers()] == ["Reference sample", "Classes"]
    assert len(QgsProject.instance().layerTreeRoot().children()) == 1
