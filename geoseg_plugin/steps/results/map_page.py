"""The other half of step 5: the areas of the classes of a map, its accuracy, and a printable sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ...contract import SampleJob
from ...forms.rows import row_of
from ...jobs.choices import NamedPath
from ...layers.areas import accuracy_sentence, area_table
from ...panel.texts import interval_text, share, tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.notes import NextStep, Note, ProblemList, small_label, wrap
from ...panel.widgets.page import Page, heading, lets_shrink, narrow_form, needed_px, primary_button
from ...panel.widgets.tables import ReadOnlyTable, fill_scores
from .state import EXPECTED_RANGE, HALF_WIDTH, HALF_WIDTH_RANGE, ComparisonChoices, SampleDesign
from .widgets.area_bars import AreaBars


class MapResults(QWidget):
    """Areas, sample, comparison and sheet of one map. `foot` holds its buttons, below the page.

    Signals: each requests something about the map of `path()`.
    """

    map_chosen = pyqtSignal(str)
    areas_requested = pyqtSignal()
    table_requested = pyqtSignal()
    sample_requested = pyqtSignal(object)
    design_changed = pyqtSignal()
    comparison_requested = pyqtSignal(object)
    errors_requested = pyqtSignal()
    report_requested = pyqtSignal()
    sheet_requested = pyqtSignal()
    labels_chosen = pyqtSignal(str)

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page, self._busy = page, False
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(8)
        self.body.addWidget(heading(tr("Map")))
        self.map = QComboBox()
        self.map.setAccessibleName(tr("Map"))
        page.remember("map", self.map, in_project=False)
        self.map.currentIndexChanged.connect(lambda _index: self.map_chosen.emit(self.path()))
        self.body.addWidget(self.map)
        self.problem_list = ProblemList(max_lines=12)
        self.areas_title = heading(tr("Areas"))
        self.note = small_label("")
        self.table = ReadOnlyTable(tr("Areas of the classes"))
        self.bars = AreaBars()
        self.bars_note = small_label(tr("Bars: the map. Dots and lines: the sample, with its interval."))
        for widget in (self.problem_list, self.areas_title, self.note, self.table, self.bars, self.bars_note):
            self.body.addWidget(widget)
        self._add_area_buttons()
        self._add_sample()
        self._add_comparison()
        self._make_foot()
        self.show_areas({})
        self.show_comparison({})

    def _add_area_buttons(self) -> None:
        row = QHBoxLayout()
        self.areas_button = button(tr("&Measure areas"), self.areas_requested)
        self.table_button = button(tr("Open &table"), self.table_requested)
        row.addWidget(self.areas_button, 1)
        row.addWidget(self.table_button, 1)
        self.body.addLayout(row)

    def _add_sample(self) -> None:
        why = tr(
            "Pixel counts are biased; a reference sample corrects them. Interpret random points to get areas with "
            "intervals that can be published."
        )
        form = self._folded(tr("Correct the areas by a sample"), why)
        self.sample_group = form.parentWidget()
        self.half_width = percent_box(HALF_WIDTH, *HALF_WIDTH_RANGE)
        self.half_width.setPrefix("± ")
        self.expected = percent_box(SampleDesign().expected, *EXPECTED_RANGE)
        self.points = self._page.remember("sample_points", row_of(SampleJob, "count").control)
        self.points.setSpecialValueText(tr("automatic"))
        self.allocation = row_of(SampleJob, "allocation").control
        self._page.remember("sample_half_width", self.half_width)
        self._page.remember("sample_expected", self.expected)
        self._page.remember("sample_allocation", self.allocation)
        form.addRow(tr("95 % interval"), self.half_width)
        form.addRow(tr("Expected accuracy"), self.expected)
        form.addRow(tr("Points"), self.points)
        self.allocation.setMinimumWidth(needed_px(self.allocation))
        form.addRow(tr("Allocation"), self.allocation)
        self.half_width.setToolTip(
            tr("Of the overall accuracy, to either side. Half as wide costs four times as many points.")
        )
        self.expected.setToolTip(tr("Expected share of the pixels of a class on the map that are correct."))
        self.points.valueChanged.connect(lambda count: self.half_width.setEnabled(count == 0))
        self.plan_note = small_label("")
        self.plan_note.hide()
        form.addRow(self.plan_note)
        self.sample_button = QPushButton(tr("&Create sample points"))
        self.sample_button.clicked.connect(lambda: self.sample_requested.emit(self.design()))
        form.addRow(self.sample_button)
        for box in (self.half_width, self.expected, self.points):
            box.valueChanged.connect(self.design_changed)
        self.allocation.currentIndexChanged.connect(self.design_changed)
        self.sample_group.collapsedStateChanged.connect(self.design_changed)
        self.created = small_label("")
        self.created.hide()
        form.addRow(self.created)
        self.sample = LayerBox(Qgis.LayerFilter.PointLayer, tr("no sample: count only"))
        self.sample.setMinimumWidth(needed_px(self.sample))
        form.addRow(tr("Sample"), self.sample)
        self.use_button = button(tr("&Correct the areas"), self.areas_requested)
        form.addRow(self.use_button)
        self.sample.layerChanged.connect(lambda _layer: self._enable())

    def _add_comparison(self) -> None:
        why = tr("Any polygons, lines, points or class raster that were not used for training.")
        form = self._folded(tr("Compare with labels"), why)
        kinds = Qgis.LayerFilter.HasGeometry | Qgis.LayerFilter.RasterLayer
        self.labels = LayerBox(kinds, tr("choose a vector layer or a raster of classes"))
        self.labels.layerChanged.connect(
            lambda layer: self.labels_chosen.emit(layer.id() if layer is not None else "")
        )
        self.class_field = QComboBox()
        lets_shrink(self.class_field)
        self.area = LayerBox(Qgis.LayerFilter.PolygonLayer, tr("everywhere"))
        self.complete = QCheckBox(tr("The rest is background"))
        form.addRow(tr("Labels"), self.labels)
        form.addRow(tr("Class field"), self.class_field)
        form.addRow(tr("Only inside"), self.area)
        form.addRow(self.complete)
        self.complete.setToolTip(
            tr("Labels are complete: objects of the map without a label are false positives.")
        )
        self.compare_button = QPushButton(tr("&Compare"))
        self.compare_button.clicked.connect(lambda: self.comparison_requested.emit(self.comparison()))
        form.addRow(self.compare_button)
        self.fit = wrap(Note())
        self.scores = ReadOnlyTable(tr("Scores per class"))
        self.fit_problems = ProblemList(max_lines=12)
        form.addRow(self.fit_problems)
        form.addRow(self.fit)
        form.addRow(self.scores)
        row = QHBoxLayout()
        self.errors_button = button(tr("Show e&rrors"), self.errors_requested)
        self.report_button = button(tr("Open repor&t"), self.report_requested)
        row.addWidget(self.errors_button, 1)
        row.addWidget(self.report_button, 1)
        form.addRow(row)
        self.set_class_fields([], "")

    def _folded(self, title: str, why: str) -> QFormLayout:
        """A group that opens with a click: why one would, and a form, which is returned."""
        group = QgsCollapsibleGroupBox(title)
        group.setSaveCollapsedState(False)
        group.setCollapsed(True)
        inside = QVBoxLayout()
        inside.setContentsMargins(8, 4, 8, 6)
        inside.addWidget(small_label(why))
        form = narrow_form()
        inside.addLayout(form)
        group.setLayout(inside)
        self.body.addWidget(group)
        return form

    def _make_foot(self) -> None:
        self.foot = QWidget()
        layout = QVBoxLayout(self.foot)
        layout.setContentsMargins(0, 0, 0, 0)
        self.sheet_button = primary_button(tr("Map as &PDF…"))
        self.sheet_button.clicked.connect(self.sheet_requested)
        self.written = NextStep()
        layout.addWidget(self.written)
        layout.addWidget(self.sheet_button)

    def path(self) -> str:
        """Class raster of the chosen map; empty if there is none."""
        return self.map.currentData() or ""

    def design(self) -> SampleDesign:
        """Return the chosen design of the sample."""
        return SampleDesign(
            half_width=self.half_width.value(),
            expected=self.expected.value(),
            count=self.points.value(),
            allocation=self.allocation.currentData(),
        )

    def comparison(self) -> ComparisonChoices:
        """Return the labels to compare with."""
        return ComparisonChoices(
            self.labels.layer_id(),
            self.class_field.currentData() or "",
            self.area.layer_id(),
            "background" if self.complete.isChecked() else "unknown",
        )

    def set_maps(self, maps: Sequence[NamedPath], current: str) -> None:
        """Show the maps to choose from; `current` is chosen."""
        before = self.path()
        with QSignalBlocker(self.map):
            self.map.clear()
            if not maps:
                self.map.addItem(tr("none yet"), "")
            for item in maps:
                self.map.addItem(f"{item.title}  {item.note}".strip(), item.path)
            self.map.setCurrentIndex(max(self.map.findData(current or before), 0))
        self.map_chosen.emit(self.path())

    def set_class_fields(self, fields: Sequence[str], proposed: str) -> None:
        """Show the fields of the label layer."""
        self.class_field.clear()
        self.class_field.addItem(tr("One class: every feature") if fields else tr("Values of the raster"), "")
        for name in fields:
            self.class_field.addItem(name, name)
        self.class_field.setEnabled(bool(fields))
        self.class_field.setCurrentIndex(max(self.class_field.findData(proposed), 0))
        self._enable()

    def show_areas(self, result: dict[str, Any], measured: bool = False) -> None:
        """Show areas; `measured`: there is a table on disk."""
        rows = result.get("rows") or []
        heads, texts, colors = area_table(result, narrow=True)
        self.table.fill(heads, texts if rows else [], colors)
        self.bars.set_rows(rows)
        self.bars_note.setVisible(any(row.get("adjusted_m2") is not None for row in rows))
        self.note.setText(accuracy_sentence(result) or self._about_nothing(bool(rows)))
        self.note.setVisible(bool(self.note.text()))
        self.areas_title.setVisible(bool(rows))
        self.problem_list.set_problems(result.get("warnings") or [])
        self._measured = measured
        self._enable()

    def _about_nothing(self, has_rows: bool) -> str:
        if has_rows:
            return ""
        return tr("Not measured yet.") if self.path() else tr("Predict first: maps appear here.")

    def wants_plan(self) -> bool:
        """Return whether the settings of a sample are visible."""
        return bool(self.path()) and not self.sample_group.isCollapsed()

    def show_plan(self, text: str) -> None:
        """Show how many points there would be; an empty text hides the line."""
        self.plan_note.setText(text)
        self.plan_note.setVisible(bool(text))

    def show_created(self, text: str) -> None:
        """Show what to do with the points; an empty text hides the line."""
        self.created.setText(text)
        self.created.setVisible(bool(text))

    def show_comparison(self, result: dict[str, Any]) -> None:
        """Show the scores of the map beside labels; nothing without a result."""
        intervals = result.get("intervals") or {}
        colors = {str(item.get("id")): str(item.get("color", "")) for item in result.get("classes") or []}
        fill_scores(self.scores, result.get("per_class") or [], colors, intervals.get("per_class") or [])
        ends = interval_text(intervals.get("miou"))
        self.fit.setText(
            tr("Mean IoU {}{}, accuracy {}.").format(
                share(result.get("miou")), f" ({ends})" if ends else "", share(result.get("accuracy"))
            )
            if result
            else ""
        )
        self.fit.setVisible(bool(result))
        self.fit_problems.set_problems(result.get("warnings") or [])
        self._compared = bool(result)
        self._enable()

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        self._busy = busy
        self._enable()

    def _enable(self) -> None:
        if not hasattr(self, "_compared"):
            return
        ready = bool(self.path()) and not self._busy
        for widget in (self.areas_button, self.sample_button, self.sheet_button):
            widget.setEnabled(ready)
        self.use_button.setEnabled(ready and bool(self.sample.layer_id()))
        self.compare_button.setEnabled(ready and bool(self.labels.layer_id()))
        self.table_button.setEnabled(self._measured)
        for widget in (self.errors_button, self.report_button):
            widget.setEnabled(self._compared)


def button(text: str, signal: Any) -> QPushButton:
    """Return a button that sends a signal."""
    found = QPushButton(text)
    found.clicked.connect(lambda: signal.emit())
    found.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return found


def percent_box(value: float, low: float, high: float) -> QDoubleSpinBox:
    """Return a number in percent."""
    found = QDoubleSpinBox()
    found.setDecimals(1)
    found.setRange(low, high)
    found.setValue(value)
    found.setSuffix(" %")
    return found
