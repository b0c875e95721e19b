"""The window that compares models: what to compare on the left, the ranked table on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ...contract import CATALOGUE, COMPARED, COMPARED_PRESET, BandSet, CompareJob
from ...forms.rows import row_of
from ...forms.ticks import TickList
from ...jobs.choices import NamedPath
from ...jobs.experiments import CONTENDERS
from ...panel.texts import split_names, tr
from ...panel.widgets.notes import Note, ProblemList, small_label, wrap
from ...panel.widgets.page import Page, lets_shrink
from .state import preset_names
from .widgets.ranking import Figure, RankingTable

SIZE = (1080, 720)
LEFT_PX = 320


@dataclass(frozen=True)
class CompareChoices:
    """What is to be compared.

    Attributes:
        models: keys of CONTENDERS.
        sets: names of the suggested band sets that are ticked.
        own_sets: further ones as the user wrote them.
        seeds: runs of each model.
        preset, minutes: how long one training may take; 0 minutes leaves it to the preset.
        split: on which models are evaluated.
    """

    models: tuple[str, ...]
    sets: tuple[str, ...]
    own_sets: str
    seeds: int
    preset: str
    minutes: float
    split: str


class CompareChoicesPage(Page):
    """The left side. Emits `compare_requested`."""

    compare_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Every ticked model is trained on every ticked band set and evaluated on the same blocks.")
        super().__init__(tr("Compare"), intro, parent)
        self.section(tr("Models"))
        self.models = self.remember("models_left_out", TickList(tr("Models to compare")))
        self.models.set_entries(
            {key: tr(CATALOGUE[key].name) for key in CONTENDERS},
            {key: tr(CATALOGUE[key].about) for key in CONTENDERS},
        )
        self.models.leave_out([key for key in CONTENDERS if key not in COMPARED])
        self.body.addWidget(self.models)
        self.section(tr("Band sets"))
        self.sets = self.remember("sets_left_out", TickList(tr("Band sets to compare")))
        self.body.addWidget(self.sets)
        self.own_sets = self.remember("own_sets", QLineEdit())
        self.own_sets.setPlaceholderText(tr("more: optical = red, nir; …"))
        self.own_sets.setToolTip(tr("Name = bands with commas; several sets with semicolons."))
        self.own_sets.setAccessibleName(tr("More band sets"))
        self.body.addWidget(self.own_sets)
        self._add_length()
        self.finish(tr("&Compare"))
        self.primary.clicked.connect(self.compare_requested)

    def _add_length(self) -> None:
        form = self.section(tr("Effort"))
        self.seeds = self.spin_box("seeds", 1, 5, 1)
        self.seeds.setToolTip(tr("With another seed each time: three show how much is chance."))
        self.preset = self.remember("preset", QComboBox())
        for key, name in preset_names().items():
            self.preset.addItem(name, key)
        self.preset.setCurrentIndex(self.preset.findData(COMPARED_PRESET))
        self.minutes = self.remember("minutes", row_of(CompareJob, "minutes").control)
        self.split = self.remember("split", QComboBox())
        for key in ("test", "validation"):
            self.split.addItem(split_names()[key], key)
        form.addRow(tr("Runs per model"), self.seeds)
        form.addRow(tr("Goal per run"), self.preset)
        form.addRow(tr("Time per run"), self.minutes)
        form.addRow(tr("Evaluated on"), self.split)

    def set_band_sets(self, sets: Sequence[BandSet]) -> None:
        """Suggested band sets; only the first comes ticked."""
        names = [item.name for item in sets]
        if names == self.sets.keys():
            return
        fresh = not self.sets.keys() and not self.sets.left_out()
        tips = {item.name: ", ".join(item.bands) or tr("all of the dataset") for item in sets}
        self.sets.set_entries({name: name for name in names}, tips)
        if fresh:
            self.sets.leave_out(names[1:])

    def choices(self) -> CompareChoices:
        """Return what is chosen now."""
        return CompareChoices(
            models=tuple(self.models.ticked()),
            sets=tuple(self.sets.ticked()),
            own_sets=self.own_sets.text(),
            seeds=self.seeds.value(),
            preset=self.preset.currentData(),
            minutes=float(self.minutes.value()),
            split=self.split.currentData(),
        )


class CompareWindow(QDialog):
    """Not modal: the comparison runs meanwhile, and the table fills as runs finish.

    Signals:
        shown_requested: show the comparison of this folder.
        resume_requested, report_requested, folder_requested: folder of a comparison.
        table_requested: save the table of the comparison of this folder.
        use_requested: use the model of the run of this folder.
    """

    shown_requested = pyqtSignal(str)
    resume_requested = pyqtSignal(str)
    report_requested = pyqtSignal(str)
    folder_requested = pyqtSignal(str)
    table_requested = pyqtSignal(str)
    use_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Compare models"))
        self.setModal(False)
        self.resize(*SIZE)
        self._busy = self._resumable = self._has_rows = False
        self.page = CompareChoicesPage()
        self.comparisons = QComboBox()
        self.comparisons.setAccessibleName(tr("Comparisons"))
        lets_shrink(self.comparisons)
        self.comparisons.currentIndexChanged.connect(lambda _index: self.shown_requested.emit(self.folder()))
        self.state = wrap(Note())
        self.table = RankingTable()
        self.problems = ProblemList(max_lines=6)
        self.figure = Figure(tr("Scores with their intervals"))
        self.note = small_label("")
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.page)
        splitter.addWidget(self._right_side())
        splitter.setSizes([LEFT_PX, SIZE[0] - LEFT_PX])
        splitter.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 6)
        layout.addWidget(splitter)
        self.table.row_chosen.connect(self._enable)
        self.show_result({})

    def _right_side(self) -> QWidget:
        self.resume_button = self._button(tr("&Resume"), lambda: self.resume_requested.emit(self.folder()))
        self.use_button = self._button(tr("&Use this model"), self._on_use_clicked)
        self.report_button = self._button(
            tr("Open &report"), lambda: self.report_requested.emit(self.folder())
        )
        self.table_button = self._button(tr("Save &table…"), lambda: self.table_requested.emit(self.folder()))
        self.folder_button = self._button(
            tr("Open &folder"), lambda: self.folder_requested.emit(self.folder())
        )
        top, buttons = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.comparisons, 1)
        top.addWidget(self.resume_button)
        for button in (self.use_button, self.report_button, self.table_button, self.folder_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        right = QWidget()
        layout = QVBoxLayout(right)
        layout.addLayout(top)
        for widget in (self.state, self.problems):
            layout.addWidget(widget)
        layout.addWidget(self.table, 3)
        layout.addWidget(self.note)
        layout.addWidget(self.figure, 2)
        layout.addLayout(buttons)
        return right

    def _button(self, text: str, action: Any) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked=False: action())
        return button

    def folder(self) -> str:
        """Folder of the comparison that is shown; empty if there is none."""
        return self.comparisons.currentData() or ""

    def set_comparisons(self, entries: Sequence[NamedPath], current: str) -> None:
        """Show all comparisons; `current` is chosen, and `note` is its state."""
        with QSignalBlocker(self.comparisons):
            self.comparisons.clear()
            if not entries:
                self.comparisons.addItem(tr("no comparison yet"), "")
            for entry in entries:
                self.comparisons.addItem(f"{entry.title}  {entry.note}".strip(), entry.path)
            self.comparisons.setCurrentIndex(max(self.comparisons.findData(current), 0))
        self.shown_requested.emit(self.folder())

    def show_result(self, result: Mapping[str, Any], state: str = "", resumable: bool = False) -> None:
        """Show the results of a comparison so far; `state` describes it."""
        rows = result.get("rows") or []
        self.table.show_rows(rows, str(result.get("score", "miou")))
        failed = [
            {
                "severity": "warning",
                "code": item.get("code", ""),
                "message": f"{item.get('name')}: {item.get('error')}",
                "hint": item.get("hint", ""),
            }
            for item in result.get("unfinished") or []
        ]
        self.problems.set_problems([*failed, *(result.get("warnings") or [])])
        self.state.setText(state)
        self.state.setVisible(bool(state))
        self.figure.show_file(Path(str(result.get("figure") or "")))
        has_intervals = any(row.get("interval") for row in rows)
        self.note.setText(
            tr(
                "Intervals show how far a score depends on the blocks of the evaluation; the spread is over runs."
            )
            if has_intervals
            else ""
        )
        self.note.setVisible(has_intervals)
        self._resumable, self._has_rows = resumable, bool(rows)
        self._enable()

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        self._busy = busy
        self.page.set_busy(busy)
        self._enable()

    def _enable(self) -> None:
        self.resume_button.setVisible(self._resumable)
        self.resume_button.setEnabled(not self._busy)
        row = self.table.chosen()
        self.use_button.setEnabled(bool(row and row.get("runs")))
        for button in (self.report_button, self.table_button):
            button.setEnabled(self._has_rows)
        self.folder_button.setEnabled(bool(self.folder()))

    def _on_use_clicked(self) -> None:
        row = self.table.chosen()
        if row and row.get("runs"):
            self.use_requested.emit(str(row["runs"][0]))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)
