"""The Predict page: what can be chosen reaches the job, bands can be corrected, what was broken off goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docked
import numpy as np
import pytest
from docked import polygon_layer, raster_layer
from engine_results import raster
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QUrl

from geoseg_plugin.contract import Cleaning, Outlines
from geoseg_plugin.jobs import predict as predict_jobs
from geoseg_plugin.jobs.choices import NamedPath
from geoseg_plugin.jobs.submission import write
from geoseg_plugin.layers.bandorder import BandOrder
from geoseg_plugin.records.predictions import pace_of
from geoseg_plugin.steps.predict.page import PredictPage, Slot
from geoseg_plugin.steps.predict.summaries import plan_sentence, result_note
from geoseg_plugin.steps.predict.widgets.band_binding import by_name

RECIPE = {
    "sources": [{"key": "r1", "path": "/a/optical.tif", "name": "optical"}],
    "bands": [
        {"name": "optical: red", "source": "r1", "index": 1},
        {"name": "optical: nir", "source": "r1", "index": 2},
    ],
    "grid": {},
}
DESCRIBED = {"recipe": RECIPE, "bands": ["optical: red", "optical: nir"], "classes": []}


class Desk(docked.Desk):
    """A dock with its controller and fake runners, and models to choose."""

    def __init__(self, iface: Any = None) -> None:
        super().__init__(iface)
        self.page = self.pages.predict

    def use(self, model: Path, described: dict[str, Any]) -> None:
        """Choose a model of which the engine tells this."""
        model.parent.mkdir(parents=True, exist_ok=True)
        model.touch()
        self.panel.predict.use_model(model)
        while self.asked.job().kind != "describe":
            self.asked.finish()
        self.asked.finish(**described)


@pytest.fixture
def desk(workspace: None) -> Iterator[Desk]:
    made = Desk()
    yield made
    made.panel.close()


def described_raster(folder: Path, name: str, descriptions: tuple[str, ...]) -> Any:
    layer = raster_layer(folder, name, len(descriptions))
    dataset = gdal.Open(layer.source(), gdal.GA_Update)
    for band, text in enumerate(descriptions, 1):
        dataset.GetRasterBand(band).SetDescription(text)
    dataset = None
    QgsProject.instance().removeMapLayer(layer.id())
    from qgis.core import QgsRasterLayer

    return QgsProject.instance().addMapLayer(QgsRasterLayer(str(folder / f"{name}.tif"), name))


def choose(combo: Any, value: Any) -> None:
    combo.setCurrentIndex(combo.findData(value))


def test_all_choices_reach_the_job(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    area = polygon_layer("valley")
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    page = desk.page
    choose(page.place, "polygons")
    page.area_layer.setLayer(area)
    page.layers.ticks["disagreement"].setChecked(True)
    assert "disagreement" not in page.choices().outputs, "one view has nobody to disagree with"
    choose(page.quality.fields["tta"], "flips")
    page.layers.ticks["beyond"].setChecked(True)
    page.quality.fields["dropout_passes"].setValue(3)
    choose(page.quality.fields["precision"], "int8")
    choose(page.cleaning.fields["majority_px"], "5")
    page.cleaning.fields["min_patch_px"].setValue(9)
    page.outlines.fields["simplify_m"].setValue(2.5)
    page.outlines.fields["smooth"].setValue(2)
    page.outlines.fields["right_angles"].setChecked(True)
    assert "2" in page.cleaning.title()
    assert "12 predictions" in page.quality.title() and "int8" in page.quality.title()
    page.primary.click()
    job = desk.runner.job()
    assert (job.tta, job.dropout_passes, job.precision, job.int8_loss) == ("flips", 3, "int8", 0.005)
    assert job.cleaning == Cleaning(majority_px=5, min_patch_px=9)
    assert job.outlines == Outlines(simplify_m=2.5, smooth=2), "smoothing goes before right angles"
    assert (job.disagreement, job.beyond, job.entropy) == ("disagreement.tif", "beyond.tif", "")
    assert job.problems() == []
    for export in desk.runner.exports:
        export()
    assert job.area.kind == "polygons" and Path(job.area.path).exists()


def test_a_rectangle_and_what_is_still_missing(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    page = desk.page
    choose(page.place, "rectangle")
    desk.panel.predict.plan()
    assert page.problem_list.texts() == ["There is no rectangle yet."]
    choose(page.place, "polygons")
    desk.panel.predict.plan()
    assert page.problem_list.texts() == ["No area layer is chosen."]
    choose(page.place, "rectangle")
    crs = QgsCoordinateReferenceSystem("EPSG:32632")
    page.rectangle.setOutputCrs(crs)
    page.rectangle.setOutputExtentFromUser(QgsRectangle(500_000, 4_999_800, 500_100, 4_999_900), crs)
    page.primary.click()
    job = desk.runner.job()
    assert job.extent == (500_000, 4_999_800, 500_100, 4_999_900) and job.extent_crs == "EPSG:32632"


def test_the_area_of_the_map_follows_the_map(
    qgis_app: Any, qgis_new_project: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", "/usr/bin/python3")
    canvas = QgsMapCanvas()
    canvas.resize(200, 100)
    desk = Desk(SimpleNamespace(mapCanvas=lambda: canvas))
    raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    choose(desk.page.place, "map")
    desk.panel.predict._timer.stop()
    canvas.setExtent(QgsRectangle(500_000, 4_999_800, 500_200, 4_999_900))
    assert not desk.panel.predict._timer.isActive(), "nobody reads the page"
    desk.dock.show()
    desk.dock.show_step("predict")
    desk.panel.predict._timer.stop()
    canvas.setExtent(QgsRectangle(500_100, 4_999_800, 500_300, 4_999_900))
    assert desk.panel.predict._timer.isActive()
    desk.page.primary.click()
    assert desk.runner.job().extent[0] == pytest.approx(500_100)
    desk.panel.close()
    desk.dock.close()


def test_the_engine_is_asked_once_for_the_same_thing(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    assert desk.asked.job().dry_run
    grid = {"width": 1000, "height": 1000}
    desk.asked.finish(sentence="Predict 2 classes", problems=[], grid=grid)
    desk.page.cleaning.fields["min_patch_px"].setValue(4)
    desk.panel.predict.plan()
    assert not desk.asked.busy, "cleaning does not change which layers fit"
    assert desk.page.sentence.text() == "Predict 2 classes. The classes are post-processed at the end."
    choose(desk.page.quality.fields["tta"], "all")
    desk.panel.predict.plan()
    assert desk.asked.busy and desk.asked.job().tta == "all"


def test_bands_are_matched_by_name_and_can_be_corrected(desk: Desk, tmp_path: Path) -> None:
    layer = described_raster(tmp_path, "optical", ("nir", "green", "red"))
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    assert desk.page.choices().bindings == {"r1": {1: 3, 2: 1}}
    desk.page.primary.click()
    source = desk.runner.job().sources[0]
    assert source.path.endswith(".vrt") and source.name == "optical"
    for export in desk.runner.exports:
        export()
    made = gdal.Open(source.path)
    found = [int(made.GetRasterBand(band).ReadAsArray()[0, 0]) for band in (1, 2)]
    assert found == [3, 1] and made.GetRasterBand(1).GetDescription() == ""
    table = desk.page.slots._bindings["r1"]
    table.choose({1: 1, 2: 2})
    assert desk.page.choices().bindings == {"r1": {1: 1, 2: 2}}, "a choice of the user is kept as it is"
    assert layer.isValid()


def test_a_band_that_a_layer_does_not_have_is_not_replaced_by_another(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 1)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    assert desk.page.choices().bindings == {}, (
        "the engine is given the layer as it is, and says what is missing"
    )
    page = desk.page.slots
    page._bindings["r1"].choose({1: 1})
    assert desk.page.choices().bindings == {"r1": {1: 1, 2: 2}}
    before = len(desk.runner.submissions)
    desk.page.primary.click()
    assert len(desk.runner.submissions) == before
    assert "has 1 bands; the model reads band 2" in desk.dock.footer.log.toPlainText()


def test_bands_in_another_order_keep_what_says_where_there_are_values(tmp_path: Path) -> None:
    path = tmp_path / "rgba.tif"
    made = gdal.GetDriverByName("GTiff").Create(str(path), 4, 3, 4, gdal.GDT_Byte, options=["ALPHA=YES"])
    for band in range(1, 5):
        made.GetRasterBand(band).Fill(band)
    made = None
    BandOrder(str(path), tmp_path / "order.vrt", {1: 3, 2: 2, 3: 1})()
    found = gdal.Open(str(tmp_path / "order.vrt"))
    assert [int(found.GetRasterBand(band).ReadAsArray()[0, 0]) for band in (1, 2, 3)] == [3, 2, 1]
    assert all(found.GetRasterBand(band).GetMaskFlags() & gdal.GMF_ALPHA for band in (1, 2, 3))


def test_what_the_project_remembers_is_not_lost_before_the_model_is_read(desk: Desk, tmp_path: Path) -> None:
    remembered = {
        "model": str(tmp_path / "a" / "model.onnx"),
        "slots": {"r1": "x"},
        "bindings": {},
        "channels": [],
    }
    desk.page.restore(remembered)
    assert desk.page.values().items() >= remembered.items()
    desk.use(tmp_path / "b" / "model.onnx", DESCRIBED)
    assert desk.page.wanted_model == "", "the user has chosen another"
    assert desk.page.values()["model"] == str(tmp_path / "b" / "model.onnx")


def test_names_of_a_written_stack_are_found_too() -> None:
    rows = ((1, "red"), (2, "nir"))
    stack = ["Band 1: optical: nir", "Band 2: dem", "Band 3: optical: red"]
    assert by_name(rows, stack, "optical") == {1: 3, 2: 1}
    assert by_name(rows, ["Band 1: red", "Band 2: red"], "optical") == {}, "two of one name tell nothing"
    assert by_name(rows, ["Band 1", "Band 2"]) == {}


def test_bands_without_names_stay_at_their_numbers(desk: Desk, tmp_path: Path) -> None:
    layer = raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    assert desk.page.choices().bindings == {}
    desk.page.primary.click()
    assert desk.runner.job().sources[0].path == layer.source()


def test_a_model_of_another_program_reads_the_bands_that_are_chosen(desk: Desk, tmp_path: Path) -> None:
    optical, dem = raster_layer(tmp_path, "optical", 3), raster_layer(tmp_path, "dem", 1)
    described = {
        "foreign": True,
        "bands": ["channel 1", "channel 2"],
        "pixel_size": [0.1, 0.1],
        "classes": [],
    }
    desk.use(tmp_path / "roads.onnx", described)
    page = desk.page
    assert "third-party" in page.model_note.text() and "0.1 m" in page.model_note.text()
    first = page.slots.channels._combos[0]
    choose(first, f"{dem.id()}#1")
    choose(page.slots.channels._combos[1], f"{optical.id()}#3")
    third = raster_layer(tmp_path, "later", 1)
    desk.panel.predict._propose_layers()
    assert page.choices().channels == ((dem.id(), 1), (optical.id(), 3)), "kept when layers come"
    page.primary.click()
    job = desk.runner.job()
    assert [(source.key, source.name) for source in job.sources] == [("r1", "dem"), ("r2", "optical")]
    assert [(band.source, band.index) for band in job.foreign_bands] == [("r1", 1), ("r2", 3)]
    assert third.isValid()


def test_why_a_model_is_refused_is_shown(desk: Desk, tmp_path: Path) -> None:
    model = tmp_path / "cars.onnx"
    model.touch()
    desk.panel.predict.use_model(model)
    while desk.asked.job().kind != "describe":
        desk.asked.finish()
    desk.asked.fail("not_our_model", "cars.onnx finds objects.", "Choose a segmentation model.")
    assert desk.page.problem_list.texts() == ["cars.onnx finds objects."]
    assert not desk.page.primary.isEnabled()


def broken_off(desk: Desk, tmp_path: Path) -> Path:
    folder = desk.services.workspace.new_prediction("north")
    write(predict_jobs.predict(folder, tmp_path / "model.onnx", tta="flips", resume=False))
    events = [{"v": "1.0", "type": "hello", "t": 0}, {"v": "1.0", "type": "progress", "t": 1}]
    (folder / "events.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events), encoding="utf-8"
    )
    return folder


def test_a_prediction_that_was_broken_off_goes_on(desk: Desk, tmp_path: Path) -> None:
    folder = broken_off(desk, tmp_path)
    desk.services.refresh()
    assert desk.page.unfinished.isHidden(), "nothing is done yet: there is nothing to go on from"
    (folder / ".predict-classes").mkdir()
    desk.services.refresh()
    assert not desk.page.unfinished.isHidden()
    assert "north" in desk.page.unfinished.entries.currentText()
    desk.page.unfinished.button.click()
    job = desk.runner.job()
    assert job.resume and job.tta == "flips" and desk.runner.submissions[0].folder == folder


def test_warnings_stay_and_lead_to_where_they_apply(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    page = desk.page
    page.primary.click()
    folder = desk.runner.submissions[0].folder
    folder.mkdir(parents=True, exist_ok=True)
    beyond = raster(folder / "beyond.tif", np.ones((8, 8), np.uint8), 255)
    classes = raster(folder / "classes.tif", np.ones((8, 8), np.uint8), 255)
    warning = {
        "code": "beyond_training",
        "message": "Band nir lies beyond.",
        "hint": "",
        "severity": "warning",
    }
    desk.runner.finish(
        output=str(classes),
        beyond=str(beyond),
        classes=[],
        runtime="ONNX Runtime",
        precision="int8",
        warnings=[warning],
    )
    while desk.services.result_queue.busy:
        desk.services.result_queue.run_next()
    assert "ONNX Runtime, int8" in page.result_note.text()
    desk.panel.predict.plan()
    if desk.asked.busy:
        desk.asked.finish(sentence="Predict.", problems=[])
    assert page.warnings.texts() == ["Band nir lies beyond."], "a new plan does not take them away"
    nodes = {node.name(): node for node in QgsProject.instance().layerTreeRoot().findLayers()}
    assert not nodes["Beyond training"].itemVisibilityChecked()
    page.warnings.anchorClicked.emit(QUrl("beyond_training"))
    assert nodes["Beyond training"].isVisible()
    page.primary.click()
    assert page.warnings.texts() == []


def test_without_the_layer_the_warning_says_how_to_get_it(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    desk.page.primary.click()
    warning = {"code": "beyond_training", "message": "Beyond.", "hint": "Check units.", "severity": "warning"}
    desk.runner.finish(output="classes.tif", classes=[], warnings=[warning])
    assert "Out-of-range input" in desk.page.warnings.toPlainText()


def test_the_project_remembers_model_layers_and_choices(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 2)
    other = raster_layer(tmp_path, "other", 2)
    model = tmp_path / "north" / "model.onnx"
    desk.use(model, DESCRIBED)
    page = desk.page
    page.slots.combos["r1"].setLayer(other)
    page.slots._bindings["r1"].choose({1: 2, 2: 1})
    choose(page.quality.fields["tta"], "all")
    page.cleaning.fields["min_patch_px"].setValue(7)
    kept = json.loads(json.dumps(page.values()))
    again = PredictPage()
    again.restore(kept)
    assert again.wanted_model == str(model)
    again.set_models([NamedPath("x", "/other.onnx"), NamedPath("north", str(model))], again.wanted_model)
    again.set_slots([Slot("r1", "optical", "red, nir", "", "raster layer", ((1, "red"), (2, "nir")))], "", [])
    found = again.choices()
    assert found.model == str(model) and found.slots == {"r1": other.id()}
    assert found.bindings == {"r1": {1: 2, 2: 1}}
    assert (found.settings["tta"], found.settings["cleaning"].min_patch_px) == ("all", 7)


def test_a_remembered_model_from_elsewhere_is_in_the_list_again(desk: Desk, tmp_path: Path) -> None:
    model = tmp_path / "elsewhere.onnx"
    model.touch()
    desk.page.restore({"model": str(model)})
    desk.panel.predict.refresh()
    assert desk.page.choices().model == str(model)


def test_a_plan_tells_how_often_and_how_long() -> None:
    result = {"sentence": "Predict 2 classes", "grid": {"width": 6000, "height": 1000}, "looks": 4}
    settings = {"cleaning": Cleaning()}
    said = plan_sentence(result, settings, 0.5)
    assert "4 predictions per pixel: about 4 times as long" in said and "About 48 s" in said
    assert plan_sentence({"sentence": ""}, settings, 0.5) == ""
    told = {"runtime": "PyTorch", "precision": "bf16", "views": 4, "resumed_parts": 3}
    text = result_note({**told, "cleaned": {"changed_px": 5}})
    for part in ("PyTorch, bf16", "3 parts", "changed 5 pixels"):
        assert part in text


def test_the_pace_is_that_of_the_same_model(tmp_path: Path) -> None:
    folder, model = tmp_path / "map", tmp_path / "model.onnx"
    write(predict_jobs.predict(folder, model, tta="flips"))
    events = [{"type": "hello"}, {"type": "done", "result": {"mpx_per_s": 0.25}}]
    (folder / "events.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events), encoding="utf-8"
    )
    assert pace_of(folder, model) == 1.0
    events[1]["result"]["looks"] = 1  # type: ignore[index]
    (folder / "events.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events), encoding="utf-8"
    )
    assert pace_of(folder, model) == 0.25, "a model of pixels was asked once, whatever was wanted"
    assert pace_of(folder, tmp_path / "other.onnx") is None


def test_the_page_fits_into_a_narrow_panel(desk: Desk, tmp_path: Path) -> None:
    described_raster(tmp_path, "optical", ("a name that is rather long for a band", "nir"))
    desk.use(tmp_path / "north" / "model.onnx", DESCRIBED)
    for group in (*desk.page.findChildren(type(desk.page.layers)),):
        group.setCollapsed(False)
    desk.page.resize(340, 900)
    assert desk.page.minimumSizeHint().width() <= 340
