"""What a first-time user met: words that are cut, buttons that do something else, pages that are taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docked import DataDesk as Desk
from docked import add, finished_run, prepared
from osgeo import gdal, osr
from qgis.core import QgsProject, QgsRasterLayer, QgsTask
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractItemView, QApplication, QComboBox, QLineEdit
from setup_states import situation

from geoseg_plugin import paths
from geoseg_plugin.panel.assembly import GeoSegPanel
from geoseg_plugin.panel.dock import GeoSegDock
from geoseg_plugin.panel.widgets.messages import Messages
from geoseg_plugin.panel.widgets.notes import NextStep
from geoseg_plugin.steps.engine.setup_state import Situation, setup_view
from geoseg_plugin.steps.results.page import ResultsPage
from geoseg_plugin.tasks.engine_task import EngineTask
from geoseg_plugin.tasks.runner import TaskRunner

WIDTH_PX = 305
"""The width that the panel gets by itself."""
LOWEST, NARROWEST = 27, 18
"""In lines of text: 450 × 300 px where a line has 17 px."""
LONG = "A class with a very long name, as legends of land cover have"
PROBE = {
    "device": "cpu",
    "providers": ["CPUExecutionProvider"],
    "provider_note": "CUDAExecutionProvider is installed but does not run here (no CUDA device)",
    "versions": {},
}


@pytest.fixture
def desk(data_desk: Desk) -> Desk:
    return data_desk


def scores(*names: str) -> dict[str, Any]:
    """An evaluation with these classes."""
    per_class = [
        {
            "id": number,
            "name": name,
            "iou": 0.884,
            "precision": 0.9,
            "recall": 1.0,
            "f1": 0.9,
            "support_px": 11127,
        }
        for number, name in enumerate(names)
    ]
    classes = [{"id": item["id"], "name": item["name"], "color": "#ff0000"} for item in per_class]
    ends = {"miou": [0.5, 0.9], "per_class": [[0.22, 1.0]] * len(names)}
    confusion = [[9 if row == column else 1 for column in range(len(names))] for row in range(len(names))]
    return {
        "miou": 0.7,
        "accuracy": 0.8,
        "per_class": per_class,
        "classes": classes,
        "intervals": ends,
        "confusion": confusion,
    }


def tile(folder: Path, name: str, west: float, columns: int = 60) -> QgsRasterLayer:
    """A DEM in degrees, 50 rows."""
    path = folder / f"{name}.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), columns, 50, 1, gdal.GDT_Int16)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(4326)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((west, 0.001, 0, 45.2, 0, -0.001))
    dataset.GetRasterBand(1).SetDescription(name)
    dataset.GetRasterBand(1).WriteArray(np.arange(50 * columns, dtype=np.int16).reshape(50, columns))
    dataset = None
    return add(QgsRasterLayer(str(path), name, "gdal"))


# a set-up that does what its words say


def test_while_a_job_runs_the_focus_is_in_no_field(desk: Desk) -> None:
    desk.dock.show()
    QApplication.setActiveWindow(desk.dock)
    desk.panel.engine.situation = lambda: situation("card")
    desk.panel.engine.show_state()
    for step in ("engine", "data"):
        desk.dock.show_step(step)
        page = desk.dock.page(step)
        button = page.install_button if step == "engine" else page.primary
        button.setFocus()
        button.click()
        assert desk.runner.busy and QApplication.focusWidget() is page
        QTest.keyClick(page, Qt.Key.Key_A)
        assert not isinstance(QApplication.focusWidget(), QLineEdit)
        desk.runner.fail("x", "No.")
        assert QApplication.focusWidget() is button, "it comes back when the job has ended"


@pytest.mark.parametrize(
    ("stamp", "probe", "named"),
    [
        ({"build": "cpu"}, PROBE, False),
        ({"build": "cu130"}, PROBE, True),
        ({}, PROBE, False),
        ({}, {**PROBE, "device": "cuda:0"}, True),
    ],
)
def test_cuda_is_spoken_of_only_where_a_gpu_was_asked_for(
    stamp: dict[str, str], probe: dict[str, Any], named: bool
) -> None:
    view = setup_view(Situation(python="python", managed=bool(stamp), stamp=stamp, probe=probe))
    assert ("CUDA" in " ".join(value for _name, value in view.facts)) is named


# tiles of one raster, errors that stand, folders that are left


@pytest.fixture
def tiled(desk: Desk, tmp_path: Path) -> Desk:
    """Image and polygons, and two tiles of a DEM that share three columns."""
    for name, west in (("west", 9.0), ("east", 9.057)):
        tile(tmp_path, name, west)
    desk.data.look_again()
    return desk


def test_tiles_are_merged_in_one_click(tiled: Desk) -> None:
    page = tiled.page
    (text,) = page.problem_list.texts()
    assert "'east'" in text and "only 3 × 50 pixels" in text and "CRS" not in text
    assert not page.primary.isEnabled() and "Merge tiles into one raster" in page.problem_list.toPlainText()
    tiled.asked.submissions = []
    page.problem_list.anchorClicked.emit(QUrl("fix:tiles_of_one"))
    assert page.problem_list.texts() == []
    names = [source.name for source in tiled.asked.job().sources]
    merged = next(source for source in tiled.asked.job().sources if source.name in ("east", "west"))
    assert len(names) == 3 and len(merged.paths) == 1, "two of them are one source"
    tiled.asked.finish(sentence="Stack.", problems=[])
    assert page.primary.isEnabled()


@pytest.mark.parametrize("code", ["tiles_of_one", "sliver"])
def test_what_the_engine_says_of_tiles_is_solved_in_one_click(
    code: str,
    desk: Desk,
    tmp_path: Path,
) -> None:
    for name, west in (("west", 9.0), ("east", 9.05)):
        tile(tmp_path, name, west)
    desk.data.look_again()
    while desk.asked.job().kind != "stack" or len(desk.asked.job().sources) < 4:
        desk.asked.finish()
    problem = {
        "code": code,
        "severity": "error",
        "message": "They share a strip.",
        "details": ["west", "east"],
    }
    desk.asked.finish(sentence="", problems=[problem])
    assert not desk.page.primary.isEnabled()
    desk.page.problem_list.anchorClicked.emit(QUrl(f"fix:{code}"))
    assert any(len(source.paths) == 1 for source in desk.asked.job().sources)
    desk.page.bands.add_mosaic([desk.page.bands.mosaics[0][0], desk.page.tree.choices()[-1].layer_id])
    assert [len(mosaic) for mosaic in desk.page.bands.mosaics] == [3], (
        "what is merged can be merged with more"
    )


def test_with_an_error_nothing_can_be_prepared_until_it_is_solved(desk: Desk) -> None:
    desk.data.plan()
    desk.asked.finish(
        problems=[{"code": "labels_outside", "severity": "error", "message": "None lies there."}]
    )
    assert not desk.page.primary.isEnabled() and "errors" in desk.page.primary.toolTip()
    desk.data.plan()
    assert desk.page.problem_list.texts() == ["None lies there."], (
        "it stays until there is an answer: nothing jumps"
    )
    desk.asked.finish(sentence="Stack.", problems=[{"code": "x", "severity": "warning", "message": "Few."}])
    assert desk.page.primary.isEnabled() and desk.page.problem_list.texts() == ["Few."]
    desk.asked.fail("engine_died", "The engine stopped.")
    assert desk.page.primary.isEnabled(), "a look that failed says nothing of the data"


@pytest.mark.parametrize("end", ["fail", "cancel", "refuse"])
def test_a_job_without_a_result_leaves_no_folder(end: str, desk: Desk) -> None:
    datasets = desk.services.workspace.root / "datasets"
    if end == "refuse":
        from geoseg_plugin.contract import GeoSegError

        desk.runner.refusal = GeoSegError("no_engine", "There is none.", "")
    desk.page.primary.click()
    if end == "fail":
        desk.runner.fail("labels_outside", "None lies there.")
    elif end == "cancel":
        desk.runner.busy = False
        desk.runner.cancelled.emit()
        desk.runner.idle.emit()
    assert list(datasets.iterdir()) == [] and desk.services.state.dataset is None


# what is said is not cut


@pytest.mark.parametrize(
    "text",
    [
        "Tiles made: 19 train, 10 validation, 6 test.",
        "Prepared a_dataset_with_a_name_that_is_long-2.",
        LONG * 2,
    ],
)
def test_the_next_step_is_as_high_as_its_words(text: str, qgis_app: Any) -> None:
    for width in (250, WIDTH_PX, 480):
        line = NextStep()
        line.resize(width, 10)
        line.show_done(text, "Next: train", "train")
        assert line.minimumHeight() >= line.heightForWidth(width) > 0
        line.show_outdated(f"Out of date. {LONG}")
        assert line.minimumHeight() >= line.heightForWidth(width)


def test_a_message_wraps_and_waits_for_its_button(qgis_app: Any) -> None:
    strip = Messages()
    strip.resize(WIDTH_PX, 20)
    strip.show()
    heard: list[str] = []
    strip.offer(LONG * 2, "Show", lambda: heard.append("shown"))
    assert strip.text() == LONG * 2 and strip._note.wordWrap()
    strip.show_error(LONG, "Do this.")
    assert LONG in strip.text() and strip.button.isHidden(), "a newer message takes its place"
    QApplication.sendPostedEvents()
    assert strip._error.width() > 0.7 * strip.width(), "it is as wide as the panel"
    strip.offer("Done.", "Show", lambda: heard.append("shown"))
    strip.button.click()
    assert heard == ["shown"] and strip.text() == ""


def test_names_of_classes_are_never_cut_in_the_scores(qgis_app: Any) -> None:
    page = ResultsPage()
    page.resize(WIDTH_PX, 600)
    page.show()
    page.show_result(scores("water", LONG, "forest"))
    table = page.scores
    assert [table.item(row, 0).text() for row in (0, 2, 4)] == ["water", LONG, "forest"]
    assert [table.columnSpan(row, 0) for row in range(6)] == [5, 1, 5, 1, 5, 1]
    line = table.fontMetrics().lineSpacing()
    assert table.rowHeight(2) > 1.9 * line > table.rowHeight(0), "a long one takes two lines"
    assert sum(table.columnWidth(column) for column in range(5)) <= table.viewport().width() + 1
    assert not table.verticalScrollBar().isVisible() and not table.horizontalScrollBar().isVisible()


def test_the_panel_can_be_low_and_narrow_whatever_it_says(desk: Desk) -> None:
    desk.dock.show()
    problems = [{"severity": "warning", "message": f"{number} {LONG}.", "hint": LONG} for number in range(12)]
    for step in desk.dock.pages:
        page = desk.dock.page(step)
        page.problem_list.set_problems(problems)
        page.next_step.show_done(LONG, LONG, "data")
        if step not in ("results", "engine"):
            page.sentence.set_text(LONG * 2)
    desk.dock.show_error(LONG, LONG)
    desk.dock.resize(WIDTH_PX, 700)
    QApplication.sendPostedEvents()
    smallest = desk.dock.minimumSizeHint()
    line = desk.dock.fontMetrics().height()
    assert smallest.height() <= LOWEST * line and smallest.width() <= NARROWEST * line, (smallest, line)


def test_what_is_out_of_date_is_said_on_its_page_and_in_no_window_of_its_own(desk: Desk) -> None:
    desk.dock.show()
    for step in desk.dock.pages:
        page = desk.dock.page(step)
        desk.dock.show_step(step)
        page.show_outdated("Out of date.")
        assert not page.next_step.isWindow() and page.next_step.isVisible(), step
        page.show_outdated("")
        assert page.next_step.isHidden()


# by keyboard


def test_tab_leads_out_of_every_table_and_list(desk: Desk) -> None:
    views = [view for view in desk.dock.findChildren(QAbstractItemView) if not in_a_combo(view)]
    assert len(views) > 5 and not [view for view in views if view.tabKeyNavigation()]
    desk.dock.resize(WIDTH_PX, 900)
    desk.dock.show()
    QApplication.setActiveWindow(desk.dock)
    page = desk.page
    page.class_field.setFocus()
    met = []
    for _press in range(12):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        met.append(QApplication.focusWidget())
    assert page.legend in met and page.check_button in met and page.area_kind in met
    for _press in range(12):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
        met.append(QApplication.focusWidget())
    assert page.class_field in met, "and back"


def in_a_combo(view: QAbstractItemView) -> bool:
    """Whether a view is the list that a combo box drops down."""
    parent = view.parent()
    while parent is not None:
        if isinstance(parent, QComboBox):
            return True
        parent = parent.parent()
    return False


# what goes on by itself


def test_looks_in_the_background_are_silent_and_jobs_are_not(qgis_app: Any) -> None:
    quiet = QgsTask.Flag.Hidden | QgsTask.Flag.Silent
    assert EngineTask("look", None, silent=True).flags() & quiet == quiet
    assert not EngineTask("job", None).flags() & quiet
    panel = GeoSegPanel(paths.guide(), None)
    asking, working = panel.services.queries._runner, panel.services.jobs.runner
    assert isinstance(working, TaskRunner) and (asking._silent, working._silent) == (True, False)
    panel.close()


def test_how_the_last_job_ended_is_not_said_for_ever(desk: Desk) -> None:
    footer = desk.dock.footer
    desk.page.primary.click()
    desk.runner.fail("x", "It went wrong.")
    assert footer.title() == "Failed" and "It went wrong." in desk.dock.messages.text()
    desk.dock.show()
    QApplication.setActiveWindow(desk.dock)
    desk.page.options.labels["border_px"].setFocus()
    desk.page.options.labels["border_px"].setValue(3)
    assert footer.title() == "Nothing is running"
    desk.page.primary.click()
    desk.runner.fail("x", "It went wrong.")
    QgsProject.instance().clear()
    assert footer.title() == "Nothing is running" and desk.dock.messages.text() == ""


def test_nobody_is_taken_away_from_what_he_looks_at(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)  # type: ignore[arg-type]
    first = finished_run(desk, dataset)  # type: ignore[arg-type]
    second = desk.services.workspace.new_run("other")
    results, page = desk.panel.results, desk.pages.results
    desk.dock.show_step("results")
    page.show_map()
    results._on_evaluated({"miou": 0.5}, second / "evaluation")
    assert not page.shows_model() and page.folder() == str(first), "neither the tab nor the run"
    assert "0.500" in desk.dock.messages.text()
    page.show_model()
    desk.dock.messages.clear()
    results._on_evaluated({"miou": 0.5}, first / "evaluation")
    assert desk.dock.messages.text() == "", "he sees it already"
    desk.dock.show_step("train")
    results._on_evaluated({"miou": 0.5}, first / "evaluation")
    desk.dock.show_step("results")
    assert desk.dock.messages.text() == "", "he has come by himself"


# filters, results


def test_a_filter_is_said_with_its_numbers(desk: Desk) -> None:
    labels = QgsProject.instance().mapLayersByName("labels")[0]
    desk.data.look_again()
    assert desk.page.filter_note.isHidden()
    labels.setSubsetString("\"class\" = 'scarp'")
    desk.data.look_again()
    assert desk.page.filter_note.text() == "1 of 2 by the layer's filter"
    assert desk.page.legend.names() == ["scarp"]


def test_a_result_that_is_ticked_all_the_same_is_warned_of(desk: Desk, tmp_path: Path) -> None:
    layer = QgsProject.instance().mapLayersByName("dem")[0]
    layer.setCustomProperty("geoseg/result", "written")
    desk.data.look_again()
    tree = desk.page.tree
    assert [item.layer_id for item in tree.choices()] == [
        QgsProject.instance().mapLayersByName("optical")[0].id()
    ]
    head = tree.topLevelItem(1)
    assert head.text(0) == "Made by GeoSeg: 1" and head.child(0).text(0) == "dem"
    head.child(0).setCheckState(0, Qt.CheckState.Checked)
    desk.data.plan()
    assert any("is a result of GeoSeg" in text for text in desk.page.problem_list.texts())
    desk.asked.finish(problems=[])
    assert len(desk.asked.job().sources) == 2, "a user may have reasons"


@pytest.fixture(autouse=True)
def _no_window_is_left(qgis_app: Any) -> Iterator[None]:
    """The windows of a test are gone before the next one asks which widget has the focus."""
    yield
    for window in QApplication.topLevelWidgets():
        if isinstance(window, (GeoSegDock, ResultsPage)):
            window.hide()
