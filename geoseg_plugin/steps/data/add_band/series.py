"""Add statistics of a time series: which files, variables, dates and clear pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qgis.gui import QgsDoubleSpinBox, QgsFileWidget
from qgis.PyQt.QtCore import QDate, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDateEdit,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QToolButton,
    QWidget,
)

from ....contract import Band, Series
from ....jobs.additions import Addition
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from .dialog import AddDialog

DATE = "yyyy-MM-dd"
USUAL = ("median",)
TICKED, UNTICKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class SeriesDialog(AddDialog):
    """Emits `inspect_requested` with a file; `show_offer` fills in what the engine found there."""

    inspect_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("A NetCDF file, a raster whose bands are dates, or one file per date (choose them all).")
        super().__init__(tr("Add a time series"), intro, parent)
        self._kind = ""
        self._looking = False
        self._codes: dict[str, list[float]] = {}
        self.file = QgsFileWidget()
        self.file.setStorageMode(QgsFileWidget.StorageMode.GetMultipleFiles)
        self.found = small_label("")
        self.variables, self.statistics = self._list(), self._list()
        self.percent = QgsDoubleSpinBox()
        self.percent.setRange(0, 100)
        self.percent.setValue(90)
        self.percent.setSuffix(" %")
        self.start, self.end = QDateEdit(), QDateEdit()
        for edit in (self.start, self.end):
            edit.setDisplayFormat(DATE)
            edit.setCalendarPopup(True)
        self.mask, self.clear = QComboBox(), QLineEdit()
        self._clear_label = QLabel(tr("Clear values"))
        self.mask.currentIndexChanged.connect(self._on_mask_changed)
        self.clear.textChanged.connect(self.check)
        self.form.addRow(tr("Files"), self.file)
        self.form.addRow(self.found)
        self.form.addRow(tr("Variables"), self.variables)
        self.form.addRow(tr("Statistics"), self.statistics)
        self.form.addRow(tr("Percentile"), self.percent)
        self.form.addRow(tr("From"), self.start)
        self.form.addRow(tr("To"), self.end)
        self.form.addRow(tr("Months"), self._month_row())
        self.form.addRow(tr("Mask"), self.mask)
        self.form.addRow(self._clear_label, self.clear)
        self.mask.setToolTip(tr("A variable with clouds or shadows per date."))
        self.clear.setToolTip(tr("Values of the mask that mean clear, with commas between them."))
        fill(self.statistics, [(name, key, key in USUAL) for key, name in statistic_names().items()])
        self.file.fileChanged.connect(self._on_file_changed)
        self.statistics.itemChanged.connect(self.check)
        self.variables.itemChanged.connect(self.check)
        self._on_mask_changed()

    def _list(self) -> QListWidget:
        widget = QListWidget()
        widget.setFixedHeight(round(self.fontMetrics().height() * 1.4 * 5))
        return widget

    def _month_row(self) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        self.months: list[QToolButton] = []
        for month in range(1, 13):
            button = QToolButton()
            button.setText(str(month))
            button.setCheckable(True)
            button.setChecked(True)
            button.setAccessibleName(tr("Month {}").format(month))
            layout.addWidget(button)
            self.months.append(button)
            button.toggled.connect(self.check)
        return row

    def paths(self) -> list[str]:
        """Return the chosen files, sorted as dates in names sort."""
        return sorted(QgsFileWidget.splitFilePaths(self.file.filePath()))

    def show_offer(self, result: dict[str, Any]) -> None:
        """Offer the variables, dates and masks that the engine found in the (first) file."""
        self._looking = False
        remarks = [f"{str(item)[:1].upper()}{str(item)[1:]}." for item in result.get("remarks") or []][:1]
        if result.get("kind") != "series" and len(self.paths()) < 2:
            why = " ".join([tr("This file has no dates."), *remarks])
            self.show_problem({"message": why, "hint": tr("Choose one file per date.")})
            return
        variables = [item for item in result.get("variables") or [] if item.get("dates", True)]
        bands = [] if variables or len(self.paths()) < 2 else result.get("bands") or []
        self._kind = "variables" if variables else "bands"
        self._codes = {str(item["name"]): item.get("values") or [] for item in result.get("masks") or []}
        masks = list(self._codes)
        named = [
            (str(item.get("name")), str(item.get("name")), item.get("name") not in masks)
            for item in variables
        ]
        counted = [
            (str(item.get("name") or item.get("index")), int(item.get("index", 1)), True) for item in bands
        ]
        fill(self.variables, named or counted or [(tr("its values"), 1, True)])
        self.mask.clear()
        self.mask.addItem(tr("none: every pixel is used"), "")
        for name in masks:
            self.mask.addItem(name, name)
        self.mask.setCurrentIndex(1 if masks else 0)
        dates = [str(item)[:10] for item in result.get("dates") or []]
        self._show_dates(dates)
        self.found.setText(" ".join([self.found.text(), *remarks]))
        self.check()

    def show_problem(self, problem: dict[str, Any]) -> None:
        """Say why the file cannot be used."""
        self._looking, self._kind = False, ""
        self.found.setText(f"{problem.get('message', '')} {problem.get('hint', '')}".strip())
        self.check()

    def _show_dates(self, dates: list[str]) -> None:
        count = max(len(dates), len(self.paths()))
        if dates:
            first, last = QDate.fromString(min(dates), DATE), QDate.fromString(max(dates), DATE)
            self.found.setText(tr("{} dates, from {}.").format(count, min(dates)))
            if len(self.paths()) < 2:
                self.found.setText(tr("{} dates from {} to {}.").format(count, min(dates), max(dates)))
                self.start.setDate(first)
                self.end.setDate(last)
        else:
            self.found.setText(tr("{} files; dates are read from their names.").format(count))
        limited = bool(dates) and len(self.paths()) < 2
        for edit in (self.start, self.end):
            edit.setEnabled(limited)

    def _on_mask_changed(self, *_index: int) -> None:
        name = self.mask.currentData() or ""
        for widget in (self.clear, self._clear_label):
            widget.setVisible(bool(name))
        codes = ", ".join(str(code) for code in self._codes.get(name, [])[:12])
        self.clear.setPlaceholderText(tr("values found: {}").format(codes) if codes else "")
        self.clear.setText(clear_code(name, self._codes.get(name, [])))
        self.check()

    def _clear_values(self) -> tuple[float, ...]:
        """Values of the mask that mean clear.

        Raises:
            ValueError: for what is no number.
        """
        return tuple(float(part) for part in self.clear.text().split(",") if part.strip())

    def _on_file_changed(self, *_path: object) -> None:
        fill(self.variables, [])
        self._kind = ""
        paths = self.paths()
        if paths:
            self._looking = True
            self.found.setText(tr("Inspecting {}…").format(Path(paths[0]).name))
            self.inspect_requested.emit(paths[0])
        self.check()

    def complaint(self) -> str:
        if not self.paths():
            return tr("Choose one file or several.")
        if self._looking:
            return tr("The engine is inspecting the file.")
        if not self._kind:
            return tr("The file cannot be used.")
        if not ticked(self.variables):
            return tr("Tick at least one variable.")
        if not ticked(self.statistics):
            return tr("Tick at least one statistic.")
        if not any(button.isChecked() for button in self.months):
            return tr("Choose at least one month.")
        try:
            clear = self._clear_values()
        except ValueError:
            return tr("Clear values are numbers with commas between them.")
        if self.mask.currentData() and not clear:
            return tr("Write the values of the mask that mean clear.")
        return ""

    def addition(self) -> Addition:
        paths = self.paths()
        chosen = ticked(self.variables)
        is_named = self._kind == "variables"
        stem = Path(paths[0]).stem
        bands = []
        for place, (text, value) in enumerate(chosen, 1):
            for title, key in ticked(self.statistics):
                name = f"{text if is_named or len(chosen) > 1 else stem} {title.lower()}"
                parameters: dict[str, float | str] = {}
                if key == "percentile":
                    name += f" {self.percent.value():g}"
                    parameters = {"percent": self.percent.value()}
                bands.append(
                    Band(name, "", place if is_named else int(value), str(key), parameters=parameters)
                )
        months = tuple(month for month, button in enumerate(self.months, 1) if button.isChecked())
        series = Series(
            variables=tuple(str(value) for _text, value in chosen) if is_named else (),
            start=self.start.date().toString(DATE) if self.start.isEnabled() else "",
            end=self.end.date().toString(DATE) if self.end.isEnabled() else "",
            months=months if len(months) < 12 else (),
            mask=self.mask.currentData() or "",
            clear=self._clear_values() if self.mask.currentData() else (),
        )
        title = bands[0].name if len(bands) == 1 else tr("{}: {} bands").format(stem, len(bands))
        return Addition(
            title,
            tuple(bands),
            "series",
            path=paths[0],
            paths=tuple(paths[1:]),
            series=series,
            source_name=stem,
        )


def clear_code(name: str, codes: Iterable[float]) -> str:
    """Return the value of a mask that means clear, if its name states it and it is a yes or no; else nothing."""
    parts = set(re.split(r"[^a-z]+", name.casefold()))
    if not set(codes) <= {0, 1, 255}:
        return ""
    if parts & {"clear", "valid"}:
        return "1"
    return "0" if parts & {"cloud", "clouds", "clm", "cloudmask"} else ""


def fill(widget: QListWidget, entries: Iterable[tuple[str, Any, bool]]) -> None:
    """Show entries (text, value, ticked) to tick."""
    widget.blockSignals(True)
    widget.clear()
    for text, value, is_ticked in entries:
        item = QListWidgetItem(text)
        item.setData(Qt.ItemDataRole.UserRole, value)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(TICKED if is_ticked else UNTICKED)
        widget.addItem(item)
    widget.blockSignals(False)


def ticked(widget: QListWidget) -> list[tuple[str, Any]]:
    """Ticked entries, (text, value)."""
    items = [widget.item(row) for row in range(widget.count())]
    return [
        (item.text(), item.data(Qt.ItemDataRole.UserRole)) for item in items if item.checkState() == TICKED
    ]


def statistic_names() -> dict[str, str]:
    """Return the statistics over the dates by contract key."""
    return {
        "median": tr("Median"),
        "mean": tr("Mean"),
        "minimum": tr("Minimum"),
        "maximum": tr("Maximum"),
        "percentile": tr("Percentile"),
        "deviation": tr("Standard deviation"),
        "amplitude": tr("Amplitude"),
        "trend": tr("Trend per year"),
        "valid_count": tr("Clear dates"),
    }
