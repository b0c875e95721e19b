"""Comparing models from the dock: choices become a job, the table fills, a row becomes the current model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docked import Desk, prepared
from qgis.PyQt.QtCore import Qt

from geoseg_plugin.contract import EVENTS_FILE, BandSet, CompareJob, write_json
from geoseg_plugin.jobs import experiments
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.steps.train.compare_window import CompareWindow
from geoseg_plugin.steps.train.comparison import sentence
from geoseg_plugin.steps.train.widgets.ranking import Figure, RankingTable, cells

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="9" height="9"/></svg>'


def row(rank: int, model: str, iou: float | None, folder: Path, **more: Any) -> dict[str, Any]:
    """A row as the engine writes it."""
    return {
        "rank": rank,
        "model": model,
        "bands": "all bands",
        "iou": iou,
        "interval": [0.4, 0.6] if iou else None,
        "seeds": [42],
        "runs": [str(folder / model)],
        "per_class": [{"name": "scarp", "iou": iou}, {"name": "deposit", "iou": 0.1 * rank}],
        "parameters": 1_900_000,
        "train_s": 60.0 / rank,
        "predict_s": 0.5,
        "size_mb": 7.6,
        **more,
    }


def compared(folder: Path, **more: Any) -> dict[str, Any]:
    """A comparison of two models."""
    (folder / "comparison.svg").write_text(SVG, encoding="utf-8")
    rows = [row(1, "Random forest", 0.5, folder), row(2, "U-Net", 0.4, folder, interval=None)]
    result = {"rows": rows, "score": "miou", "split": "test", "dataset": "landslides", "unfinished": [],
              "figure": str(folder / "comparison.svg"), "warnings": [], **more}  # fmt: skip
    write_json(folder / "comparison.json", result)
    return result


def opened(desk: Desk) -> CompareWindow:
    """The window, opened from the Train page."""
    actions = {action.text(): action for action in desk.pages.train.experiments_button.menu().actions()}
    actions["Compare models…"].trigger()
    window = desk.panel.train.comparison.window
    assert window is not None
    return window


def test_choices_become_a_job(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    window = opened(desk)
    window.page.models.leave_out([key for key in window.page.models.keys() if key not in ("forest", "unet")])  # noqa: SIM118
    window.page.own_sets.setText("only red = red")
    window.page.seeds.setValue(2)
    assert "models 2 × band sets 2 × runs 2" in window.page.sentence.text()
    assert "8 training runs" in window.page.sentence.text() and "20 min" in window.page.sentence.text()
    window.page.primary.click()
    job = desk.runner.job()
    assert isinstance(job, CompareJob) and job.problems() == []
    assert [item.name for item in job.contenders] == ["Random forest", "U-Net"]
    assert job.band_sets == (BandSet("all bands"), BandSet("only red", ("red",)))
    assert (job.dataset, job.seeds) == (str(dataset), (42, 43))
    assert desk.runner.submissions[0].folder.parent == desk.services.workspace.root / "comparisons"
    assert not window.page.primary.isEnabled(), "a job runs"


@pytest.mark.parametrize(
    ("own", "part"), [("red", "has no name"), ("a = blue", "no band blue"), ("all bands = red", "named all")]
)
def test_band_sets_that_cannot_be_are_said(desk: Desk, tmp_path: Path, own: str, part: str) -> None:
    prepared(desk, tmp_path)
    window = opened(desk)
    window.page.own_sets.setText(own)
    assert part in window.page.problem_list.texts()[0] and not window.page.primary.isEnabled()


def test_without_dataset_or_ticks_nothing_starts(desk: Desk, tmp_path: Path) -> None:
    window = opened(desk)
    assert "Make tiles first" in window.page.sentence.text() and not window.page.primary.isEnabled()
    prepared(desk, tmp_path)
    window.page.models.leave_out(window.page.models.keys())
    assert "No model is ticked." in window.page.problem_list.texts()


def test_the_table_fills_while_it_runs(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    window = opened(desk)
    window.page.primary.click()
    folder = desk.runner.submissions[0].folder
    write_job(desk.runner.submissions[0])
    desk.runner.progressed.emit("comparing", 0.1, -1.0)
    assert window.table.rowCount() == 0
    compared(folder)
    desk.runner.progressed.emit("comparing", 0.5, -1.0)
    assert window.table.rowCount() == 2 and not window.figure.isHidden()
    assert "2 of 5 runs are finished, running" in window.state.text()
    assert window.resume_button.isHidden()
    desk.runner.finish(**compared(folder))
    assert "Random forest" in desk.pages.train.next_step.text()


def test_a_row_becomes_the_current_model(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    folder = desk.services.workspace.new_comparison("landslides")
    compared(folder)
    run = folder / "U-Net"
    (run / "evaluation").mkdir(parents=True)
    write_json(run / "evaluation" / "result.json", {"dataset": "x", "result": {"miou": 0.4, "per_class": []}})
    (run / "evaluation" / EVENTS_FILE).write_text(
        '{"type": "hello"}\n{"type": "done", "result": {}}\n', encoding="utf-8"
    )
    (run / "model.onnx").touch()
    window = opened(desk)
    window.table.selectRow(1)
    assert window.table.chosen() is not None and window.use_button.isEnabled()
    window.use_button.click()
    assert desk.services.state.run == run and desk.dock.current_step() == "results"
    assert desk.pages.results.folder() == str(run) and "0.400" in desk.pages.results.headline.text()
    assert desk.pages.predict.choices().model == str(run / "model.onnx")


def test_a_broken_comparison_goes_on(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    folder = desk.services.workspace.new_comparison("landslides")
    write_job(experiments.compare(folder, dataset, ("forest", "unet")))
    (folder / EVENTS_FILE).write_text('{"type": "hello"}\n', encoding="utf-8")
    compared(folder, unfinished=[{"name": "U-Net", "error": "No memory.", "hint": "Smaller crops."}])
    window = opened(desk)
    assert "U-Net: No memory." in window.problems.texts()
    assert "interrupted" in window.state.text() and not window.resume_button.isHidden()
    window.resume_button.click()
    assert desk.runner.submissions[0].folder == folder and desk.runner.job().resume


def test_rows_sort_by_their_numbers(qgis_app: Any, tmp_path: Path) -> None:
    table = RankingTable()
    names = ("a", "b", "c")
    table.show_rows(
        [row(n + 1, names[n], value, tmp_path) for n, value in enumerate((0.5, 0.09, None))], "miou"
    )
    table.sortItems(7, Qt.SortOrder.AscendingOrder)
    assert [table.item(line, 1).text() for line in range(3)] == ["c", "b", "a"], "fastest first"
    table.sortItems(3, Qt.SortOrder.AscendingOrder)
    assert [table.item(line, 1).text() for line in range(3)] == ["a", "b", "c"], "without score last"
    table.selectRow(1)
    chosen = table.chosen()
    assert chosen is not None and chosen["model"] == "b"
    assert len(cells(chosen, True)) == table.columnCount()


def test_a_figure_that_cannot_be_read_is_hidden(qgis_app: Any, tmp_path: Path) -> None:
    figure = Figure("f")
    figure.show_file(tmp_path / "none.svg")
    assert figure.isHidden()
    (tmp_path / "f.svg").write_text(SVG, encoding="utf-8")
    figure.show_file(tmp_path / "f.svg")
    figure.resize(60, 30)
    assert not figure.isHidden() and not figure.grab().isNull()


def test_the_sentence_counts_networks_only(qgis_app: Any, tmp_path: Path) -> None:
    window = CompareWindow()
    window.page.minutes.setValue(10)
    submission = experiments.compare(
        tmp_path, tmp_path, ("forest", "unet"), [BandSet("all")], 3, minutes=10.0
    )
    assert isinstance(submission.job, CompareJob)
    assert "30 min" in sentence(submission.job, window.page.choices(), "d")
