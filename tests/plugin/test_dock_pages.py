"""Pages: what they show, what they ask for, what they remember; no controller behind them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from docked import polygon_layer, raster_layer
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QLabel, QToolButton

from geoseg_plugin import paths
from geoseg_plugin.contract import LabelClass, Problem
from geoseg_plugin.jobs.choices import NamedPath, RasterChoice
from geoseg_plugin.panel.assembly import Pages
from geoseg_plugin.panel.dock import GeoSegDock
from geoseg_plugin.panel.texts import duration
from geoseg_plugin.panel.widgets.footer import Footer
from geoseg_plugin.panel.widgets.guide import GuideWindow, sections
from geoseg_plugin.panel.widgets.notes import ProblemList
from geoseg_plugin.steps.data.page import DataPage
from geoseg_plugin.steps.data.state import RasterRow
from geoseg_plugin.steps.data.widgets.band_tree import BandTree
from geoseg_plugin.steps.engine.page import EnginePage
from geoseg_plugin.steps.engine.setup_state import SetupView
from geoseg_plugin.steps.predict.page import PredictPage, Slot
from geoseg_plugin.steps.results.page import ResultsPage, largest_class_share
from geoseg_plugin.steps.split.page import SplitPage
from geoseg_plugin.steps.train.page import TrainPage
from geoseg_plugin.steps.train.widgets.chart import TrainingChart

ROWS = [
    RasterRow("id_optical", "optical", ("blue", "green", "red"), "7 m", tick=True),
    RasterRow("id_dem", "dem", ("elevation",), "10 m", tick=True, dem=True),
    RasterRow("id_gone", "gone", ("x",), problem="The file is gone."),
]


@pytest.fixture(autouse=True)
def _clean_project(qgis_app: Any, qgis_new_project: None) -> None:
    """Every test begins with an empty project."""


def top_item(tree: BandTree, name: str) -> Any:
    return next(
        item for item in map(tree.topLevelItem, range(tree.topLevelItemCount())) if item.text(0) == name
    )


def test_the_tree_proposes_bands_and_of_a_dem_its_terrain_only() -> None:
    tree = BandTree()
    tree.set_layers(ROWS)
    optical, dem = tree.choices()
    assert optical == RasterChoice("id_optical", (1, 2, 3))
    assert dem.bands == () and len(dem.terrain) == 6


def test_ticking_a_layer_ticks_its_bands_and_unticking_clears_all() -> None:
    from qgis.PyQt.QtCore import Qt

    tree = BandTree()
    tree.set_layers(ROWS)
    heard: list[int] = []
    tree.ticks_changed.connect(lambda: heard.append(1))
    top_item(tree, "dem").setCheckState(0, Qt.CheckState.Unchecked)
    assert [item.layer_id for item in tree.choices()] == ["id_optical"]
    top_item(tree, "dem").setCheckState(0, Qt.CheckState.Checked)
    assert tree.choices()[1] == RasterChoice("id_dem", (1,))
    top_item(tree, "optical").child(1).setCheckState(0, Qt.CheckState.Unchecked)
    assert tree.choices()[0].bands == (1, 3)
    assert top_item(tree, "optical").checkState(0) == Qt.CheckState.PartiallyChecked
    assert len(heard) == 3


def test_ticks_survive_new_layers_and_new_layers_wait_for_the_user() -> None:
    tree = BandTree()
    tree.set_layers(ROWS[:1])
    tree.set_choices([RasterChoice("id_optical", (2,))])
    tree.set_layers(ROWS)
    assert tree.choices() == (RasterChoice("id_optical", (2,)),)


def test_unlabelled_ground_follows_the_choices_until_the_user_chooses() -> None:
    page = DataPage()
    page.label_layer.setLayer(polygon_layer())
    page.set_class_fields(["class"])
    assert page.choices().unlabelled == "background"
    page.class_field.setCurrentIndex(page.class_field.findData("class"))
    assert page.choices().unlabelled == "unknown"
    page.area_kind.setCurrentIndex(page.area_kind.findData("polygons"))
    assert page.choices().unlabelled == "background"
    page.unknown.click()
    page.area_kind.setCurrentIndex(page.area_kind.findData("rasters"))
    page.background.click()
    page.area_kind.setCurrentIndex(page.area_kind.findData("bounds"))
    assert page.choices().unlabelled == "background"


def test_background_everywhere_is_warned_of() -> None:
    page = DataPage()
    page.label_layer.setLayer(polygon_layer())
    page.area_kind.setCurrentIndex(page.area_kind.findData("rasters"))
    assert page.choices().risks_false_background
    assert "every pixel" in page.unlabelled_note.text().lower()
    page.area_kind.setCurrentIndex(page.area_kind.findData("concave_hull"))
    assert not page.choices().risks_false_background


def test_a_data_page_is_remembered() -> None:
    labels = polygon_layer()
    page = DataPage()
    page.set_rasters(ROWS)
    page.label_layer.setLayer(labels)
    page.set_class_fields(["class", "note"])
    page.class_field.setCurrentIndex(page.class_field.findData("note"))
    page.area_ratio.setValue(0.7)
    page.options.pixel_size.setValue(5)
    page.unknown.click()
    page.tree.set_choices([RasterChoice("id_dem", (1,), ("slope",))])
    values = page.values()
    other = DataPage()
    other.label_layer_changed.connect(lambda _id: other.set_class_fields(["class", "note"]))
    other.set_rasters(ROWS)
    other.restore(values)
    assert other.choices() == page.choices()
    other.restore({"area_kind": "no such kind", "unheard of": 1})
    assert other.choices().area_kind == page.choices().area_kind


def test_requests_go_out_as_signals() -> None:
    data, tiles, train = DataPage(), SplitPage(), TrainPage()
    heard: list[str] = []
    data.prepare_requested.connect(lambda: heard.append("prepare"))
    tiles.tiles_requested.connect(lambda: heard.append("tiles"))
    train.train_requested.connect(lambda: heard.append("train"))
    train.set_dataset("A dataset.")
    for page in (data, tiles, train):
        page.primary.click()
    assert heard == ["prepare", "tiles", "train"]


def test_a_busy_panel_starts_nothing() -> None:
    page = TrainPage()
    page.set_dataset("A dataset.")
    page.set_busy(True)
    assert not page.primary.isEnabled()
    page.set_busy(False)
    assert page.primary.isEnabled()
    page.set_dataset("")
    assert not page.primary.isEnabled()


def test_shares_always_sum_to_one_hundred() -> None:
    page = SplitPage()
    for key, value in (("train", 90), ("test", 50), ("validation", 100), ("validation", 0), ("train", 10)):
        page.shares[key].setValue(value)
        assert sum(box.value() for box in page.shares.values()) == 100, (key, value)
        assert page.shares[key].value() == value
    assert sum(page.choices().fractions) == pytest.approx(1)


def test_the_tile_sentence_names_ground_size_and_step() -> None:
    page = SplitPage()
    assert "Prepare data first" in page.sentence.text()
    page.set_datasets([NamedPath("a", "/a")], "/a")
    page.set_pixel_size(10, "m")
    page.overlap.setCurrentIndex(page.overlap.findData(50))
    assert "640 m" in page.sentence.text() and "every 32 px" in page.sentence.text()


def test_unfinished_runs_are_resumed_or_attached() -> None:
    page = TrainPage()
    heard: list[str] = []
    page.resume_requested.connect(lambda folder: heard.append(f"resume {folder}"))
    page.attach_requested.connect(lambda folder: heard.append(f"attach {folder}"))
    page.set_unfinished([NamedPath("one", "/one", "stopped"), NamedPath("two", "/two", "running")])
    page.resume_button.click()
    page.unfinished.setCurrentIndex(1)
    page.resume_button.click()
    assert heard == ["resume /one", "attach /two"]
    page.set_unfinished([])
    assert page.unfinished_row.isHidden()


def test_predict_slots_are_filled_with_the_proposed_layers(tmp_path: Path) -> None:
    layer = raster_layer(tmp_path, "dem", 1)
    page = PredictPage()
    page.set_models([NamedPath("run", "/model.onnx")], "")
    page.set_slots([Slot("r1", "dem", "slope", layer.id()), Slot("r2", "optical", "red")], "2 bands", [])
    assert page.choices().slots == {"r1": layer.id(), "r2": ""}
    other = raster_layer(tmp_path, "optical", 3)
    page.propose("r2", other.id())
    assert page.choices().slots["r2"] == other.id()


RESULT = {
    "miou": 0.75,
    "accuracy": 0.9,
    "confusion": [[80, 5], [5, 10]],
    "classes": [
        {"id": 0, "name": "none", "color": "#808080"},
        {"id": 1, "name": "scarp", "color": "#ff0000"},
    ],
    "per_class": [
        {"id": 0, "name": "none", "precision": 0.9, "recall": 0.9, "f1": 0.9, "iou": 0.8, "support_px": 85},
        {"id": 1, "name": "scarp", "precision": None, "recall": 0.7, "f1": 0.7, "iou": 0.5, "support_px": 15},
    ],
    "warnings": [{"severity": "warning", "message": "Few pixels.", "hint": "Label more."}],
}


def test_results_show_scores_baseline_and_warnings() -> None:
    page = ResultsPage()
    page.set_runs([NamedPath("run", "/run")], "/run")
    page.show_result(RESULT)
    assert "0.750" in page.headline.text()
    assert "0.850" in page.baseline.text(), "the largest class is named beside the accuracy"
    assert [page.scores.item(3, column).text() for column in (0, 1)] == ["0.500", "–"]
    assert page.problem_list.texts() == ["Few pixels."]
    assert "scarp predicted as none: 5 px" in page.matrix.accessibleDescription()
    page.show_nothing("Not yet.")
    assert not page.errors_button.isEnabled()


def test_results_show_intervals_and_calibration() -> None:
    page = ResultsPage()
    bins = [
        {"low": 0.5, "high": 0.6, "confidence": 0.55, "accuracy": 0.4, "pixels": 10},
        {"low": 0.6, "high": 0.7, "confidence": None, "accuracy": None, "pixels": 0},
        {"low": 0.9, "high": 1.0, "confidence": 0.97, "accuracy": 0.9, "pixels": 90},
    ]
    more = {
        "foreground_iou": 0.5,
        "kappa": 0.61,
        "fw_iou": 0.7,
        "ece": 0.034,
        "reliability": bins,
        "intervals": {
            "foreground_iou": [0.4, 0.58],
            "miou": [0.6, 0.8],
            "per_class": [None, [0.4, 0.58]],
            "blocks": 9,
        },
    }
    page.show_result({**RESULT, **more})
    assert page.headline.text() == "IoU 0.500 (0.40–0.58)"
    assert "kappa 0.610" in page.more_scores.text() and "weighted by area 0.700" in page.more_scores.text()
    assert page.scores.item(1, 0).text() == "0.800" and page.scores.item(3, 0).text() == "0.500\n0.40–0.58"
    assert "9 blocks" in page.intervals_note.text()
    assert "3.4 percent" in page.reliability_note.text()
    assert "90 pixels" in page.reliability.accessibleDescription()
    page.reliability.resize(300, 160)
    assert not page.reliability.grab().isNull()
    page.show_result(RESULT)
    assert page.headline.text() == "Mean IoU 0.750"
    for widget in (page.reliability, page.reliability_title, page.reliability_note, page.intervals_note):
        assert widget.isHidden()


def test_the_share_of_the_largest_class() -> None:
    assert largest_class_share([[80, 5], [5, 10]]) == pytest.approx(0.85)
    assert largest_class_share([]) is None


def test_the_chart_replaces_repeated_epochs_after_resuming() -> None:
    chart = TrainingChart()
    for epoch in (1, 2, 3, 2):
        chart.add_epoch({"epoch": epoch, "train_loss": None, "validation_loss": 0.5, "miou": 0.1 * epoch})
    assert [item["epoch"] for item in chart.epochs()] == [1, 2]
    assert "0.200" in chart.accessibleDescription()
    chart.resize(300, 220)
    assert not chart.grab().isNull()


def test_problems_are_listed_once_errors_first() -> None:
    shown = ProblemList()
    warning = Problem("a", "One <b>.", "Do it.", "warning")
    shown.set_problems([warning, {"severity": "error", "message": "Two.", "hint": ""}, warning])
    assert shown.texts() == ["Two.", "One <b>."]
    assert "<b>." in shown.toPlainText()
    shown.set_problems([])
    assert shown.isHidden()


def test_the_footer_tells_progress_and_asks_to_cancel() -> None:
    footer = Footer()
    heard: list[int] = []
    footer.cancel_requested.connect(lambda: heard.append(1))
    footer.show_running("Train")
    footer.show_progress("Training", 0.5, 200)
    cancel = footer._cancel
    cancel.click()
    assert heard == [1] and not cancel.isEnabled()
    footer.set_device("")
    assert footer._badge.isHidden()
    footer.add_log("error", "Broken.")
    assert "!! Broken." in footer.log.toPlainText()


def test_durations_in_words() -> None:
    assert [duration(item) for item in (-1, 35, 240, 4800)] == ["", "35 s", "4 min", "1 h 20 min"]


def test_every_link_leads_into_the_guide() -> None:
    dock = GeoSegDock(paths.guide(), Pages().by_key())
    known = sections(paths.guide().read_text(encoding="utf-8"))
    links = {
        anchor
        for step in dock.pages
        for label in dock.page(step).findChildren(QLabel)
        for anchor in re.findall(r'<a href="([^"]+)"', label.text())
        if anchor not in dock.pages or "Guide" in label.text()
    }
    assert links and links <= known.keys()
    window = GuideWindow(paths.guide())
    assert all(window.open_at(anchor) for anchor in links)


def test_the_panel_fits_360_px_and_names_its_inputs() -> None:
    dock = GeoSegDock(paths.guide(), Pages().by_key())
    assert dock.minimumSizeHint().width() <= 380
    for step in dock.pages:
        dock.show_step(step)
        assert dock.current_step() == step
    buttons = dock.steps.findChildren(QToolButton)
    assert [button.accessibleName() for button in buttons] == [button.text() for button in buttons]


def test_painted_widgets_are_legible_on_dark_window_color() -> None:
    from geoseg_plugin.panel.widgets.shades import ink, window_color

    page = ResultsPage()
    half_dark = QPalette()
    half_dark.setColor(QPalette.ColorRole.Window, QColor("#323232"))
    half_dark.setColor(QPalette.ColorRole.Text, QColor("#eeeeee"))
    half_dark.setColor(QPalette.ColorRole.WindowText, QColor("#000000"))
    page.setPalette(half_dark)
    assert ink(page, window_color(page)).lightnessF() > 0.8


def test_the_engine_page_sets_up_with_one_button_and_opens_the_rest() -> None:
    page = EnginePage()
    heard: list[str] = []
    page.setup_requested.connect(lambda: heard.append("set up"))
    page.change_requested.connect(lambda: heard.append("change"))
    page.install_button.click()
    page.change_button.click()
    assert heard == ["change"], "before the computer was looked at nothing is installed"
    page.show_view(SetupView("card", "A card", button="Set up"))
    page.install_button.click()
    assert heard == ["change", "set up"]


def test_classes_of_a_legend_are_escaped() -> None:
    page = PredictPage()
    page.set_slots([], "", [LabelClass(0, "<scarp>", "", "#ff0000")])
    assert "&lt;scarp&gt;" in page.legend.text()
    assert QSize(0, 0) != page.sizeHint()
    assert QgsProject.instance().mapLayers() == {}
