"""Step 5: how good the model is on held-out data, and what a map shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QTabBar, QVBoxLayout, QWidget

from ...jobs.choices import NamedPath
from ...panel.texts import interval_text, share, tr
from ...panel.widgets.notes import Note, ProblemList, small_label, wrap
from ...panel.widgets.page import Page, heading, primary_button
from ...panel.widgets.tables import ReadOnlyTable, fill_scores
from .map_page import MapResults
from .widgets.matrix import ConfusionMatrix
from .widgets.reliability import ReliabilityChart, calibration_sentence


class ResultsPage(Page):
    """One tab about a model, one about a map (`map`, with signals of its own).

    Emits `run_chosen`, `evaluate_requested`, `errors_requested`, `report_requested`.
    """

    run_chosen = pyqtSignal(str)
    evaluate_requested = pyqtSignal(str)
    errors_requested = pyqtSignal(str)
    report_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("How good a model is on held-out data, and what a map shows.")
        super().__init__(tr("Results"), intro, parent)
        self.tabs = QTabBar()
        self.tabs.addTab(tr("Model"))
        self.tabs.addTab(tr("Map"))
        self.tabs.setExpanding(True)
        self.tabs.setDrawBase(True)
        self.tabs.setAccessibleName(tr("Model or map"))
        self.body.addWidget(self.tabs)
        self._make_model_part()
        self.map = MapResults(self)
        self.body.addWidget(self.map)
        self.body.addStretch(1)
        self.foot.addWidget(self.next_step)
        self.foot.addWidget(self.model_foot)
        self.foot.addWidget(self.map.foot)
        self.tabs.currentChanged.connect(self._show_part)
        self._show_part(0)
        self.settle()
        self.show_nothing(tr("Train a model first: its results appear here."))

    def _make_model_part(self) -> None:
        self.model_part, self.model_foot = QWidget(), QWidget()
        self._column = QVBoxLayout(self.model_part)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self._column.addWidget(heading(tr("Run")))
        self.run = QComboBox()
        self.run.setAccessibleName(tr("Run"))
        self.remember("run", self.run, in_project=False)
        self.run.currentIndexChanged.connect(lambda _index: self.run_chosen.emit(self.folder()))
        self.problem_list = ProblemList(max_lines=16)
        self._column.addWidget(self.run)
        self._column.addWidget(self.problem_list)
        self._add_scores()
        self.body.addWidget(self.model_part)
        self.primary = primary_button(tr("Evalu&ate on held-out test blocks"))
        self.primary.clicked.connect(lambda: self.evaluate_requested.emit(self.folder()))
        below = QVBoxLayout(self.model_foot)
        below.setContentsMargins(0, 0, 0, 0)
        self._add_buttons(below)
        below.addWidget(self.primary)

    def show_map(self) -> None:
        """Turn to the tab about maps."""
        self.tabs.setCurrentIndex(1)

    def show_model(self) -> None:
        """Turn to the tab about models."""
        self.tabs.setCurrentIndex(0)

    def shows_model(self) -> bool:
        """Return whether the tab about models is the one that is shown."""
        return bool(self.tabs.currentIndex() == 0)

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        super().set_busy(busy)
        self.map.set_busy(busy)

    def _show_part(self, index: int) -> None:
        for number, parts in enumerate(((self.model_part, self.model_foot), (self.map, self.map.foot))):
            for part in parts:
                part.setVisible(number == index)

    def _add_scores(self) -> None:
        self.headline = wrap(Note())
        font = self.headline.font()
        font.setPointSizeF(max(font.pointSizeF(), 6) * 1.5)
        font.setBold(True)
        self.headline.setFont(font)
        self.baseline = wrap(Note())
        self.more_scores = small_label("")
        self.scores = ReadOnlyTable(tr("Scores per class"))
        self.intervals_note = small_label("")
        self.matrix_title = heading(tr("Confusion matrix"))
        self.matrix = ConfusionMatrix()
        self.matrix_note = small_label(
            tr("Rows: labels. Columns: predictions. Correct pixels are on the diagonal.")
        )
        self.reliability_title = heading(tr("Calibration of the confidence"))
        self.reliability = ReliabilityChart()
        self.reliability_note = small_label("")
        for widget in (
            self.headline,
            self.baseline,
            self.more_scores,
            self.scores,
            self.intervals_note,
            self.matrix_title,
            self.matrix,
            self.matrix_note,
            self.reliability_title,
            self.reliability,
            self.reliability_note,
        ):
            self._column.addWidget(widget)

    def _add_buttons(self, below: QVBoxLayout) -> None:
        row = QHBoxLayout()
        self.errors_button = QPushButton(tr("Show &errors on the map"))
        self.errors_button.clicked.connect(lambda: self.errors_requested.emit(self.folder()))
        self.report_button = QPushButton(tr("&Open report"))
        self.report_button.clicked.connect(lambda: self.report_requested.emit(self.folder()))
        row.addWidget(self.errors_button, 1)
        row.addWidget(self.report_button, 1)
        below.addLayout(row)

    def folder(self) -> str:
        """Folder of the chosen run; empty if there is none."""
        return self.run.currentData() or ""

    def set_runs(self, runs: Sequence[NamedPath], current: str) -> None:
        """Finished runs; `current` is chosen."""
        with QSignalBlocker(self.run):
            self.run.clear()
            if not runs:
                self.run.addItem(tr("none yet"), "")
            for item in runs:
                self.run.addItem(f"{item.title}  {item.note}".strip(), item.path)
            self.run.setCurrentIndex(max(self.run.findData(current), 0))
        self.run_chosen.emit(self.folder())

    def show_nothing(self, why: str) -> None:
        """No evaluation to show, and why."""
        self.headline.setText("")
        self.baseline.setText(why)
        for widget in (
            *(self.headline, self.more_scores, self.scores, self.intervals_note),
            *(self.matrix, self.matrix_title, self.matrix_note),
            *(self.reliability_title, self.reliability, self.reliability_note),
        ):
            widget.hide()
        self.problem_list.set_problems([])
        self.set_ready(bool(self.folder()))
        for button in (self.errors_button, self.report_button):
            button.setEnabled(False)

    def _show_reliability(self, result: dict[str, Any]) -> None:
        bins = result.get("reliability") or []
        self.reliability.set_bins(bins)
        self.reliability_note.setText(
            f"{calibration_sentence(result.get('ece'))} {tr('Below the dashed line, it is too high.')}".strip()
        )
        for widget in (self.reliability_title, self.reliability_note):
            widget.setVisible(not self.reliability.isHidden())

    def show_result(self, result: dict[str, Any]) -> None:
        """Show the result of an evaluation."""
        confusion = result.get("confusion") or []
        classes = result.get("classes") or []
        found = intervals_of(result)
        self.headline.setText(headline(result))
        self.headline.setToolTip(tr("Intersection over union, averaged over the classes; 1 is perfect."))
        self.baseline.setText(
            tr("Accuracy {}; a map with the largest class everywhere has {}.").format(
                share(result.get("accuracy")), share(largest_class_share(confusion))
            )
        )
        colors = {str(item.get("id")): str(item.get("color", "")) for item in classes}
        fill_scores(self.scores, result.get("per_class") or [], colors, found["per_class"])
        self.more_scores.setText(more_scores(result))
        notes = (intervals_sentence(result), str(result.get("split_note") or ""))
        self.intervals_note.setText(" ".join(filter(None, notes)))
        self._show_reliability(result)
        self.matrix.set_matrix([str(item.get("name")) for item in classes], confusion)
        for widget in (self.headline, self.matrix_title, self.matrix_note):
            widget.show()
        for label in (self.more_scores, self.intervals_note):
            label.setVisible(bool(label.text()))
        self.problem_list.set_problems(result.get("warnings") or [])
        self.set_ready(bool(self.folder()))
        for button in (self.errors_button, self.report_button):
            button.setEnabled(True)


def intervals_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return the 95 % intervals of an evaluation, always with `per_class`."""
    return {"per_class": [], **(result.get("intervals") or {})}


def headline(result: dict[str, Any]) -> str:
    """Return the score in large letters, with its interval."""
    binary = result.get("foreground_iou") is not None
    key = "foreground_iou" if binary else "miou"
    text = (tr("IoU {}") if binary else tr("Mean IoU {}")).format(share(result.get(key)))
    ends = interval_text(intervals_of(result).get(key))
    return f"{text} ({ends})" if ends else text


def more_scores(result: dict[str, Any]) -> str:
    """Further overall scores in one line."""
    names = (
        ("miou", tr("mean IoU {}"), result.get("foreground_iou") is not None),
        ("fw_iou", tr("IoU weighted by area {}"), True),
        ("kappa", tr("kappa {}"), True),
        ("mean_f1", tr("mean F1 {}"), True),
    )
    parts = [
        text.format(share(result[key]))
        for key, text, wanted in names
        if wanted and result.get(key) is not None
    ]
    line = ", ".join(parts)
    return f"{line[:1].upper()}{line[1:]}." if line else ""


def intervals_sentence(result: dict[str, Any]) -> str:
    """Return what the brackets mean."""
    found = intervals_of(result)
    if not any(interval_text(ends) for ends in (found.get("miou"), *found["per_class"])):
        return ""
    if result.get("folds"):
        return tr("With 95 % intervals, from the differences between folds.")
    blocks = found.get("blocks")
    count = f"{blocks} " if isinstance(blocks, int) else ""
    return tr("With 95 % intervals, from resampling the {}blocks of the evaluation.").format(count)


def largest_class_share(confusion: Sequence[Sequence[int]]) -> float | None:
    """Return the accuracy of a map with the most frequent class everywhere; None without pixels."""
    totals = [sum(row) for row in confusion]
    return max(totals) / sum(totals) if sum(totals) else None
