"""All bands of the stack in a table, how each is treated, and how its values are spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ....contract import Band
from ....jobs.composition import HEIGHT_UNIT, Composition
from ....panel.texts import number_text, tr
from ....panel.widgets.notes import small_label
from .band_settings import BandSettings, gap_text, resampling_names, scaling_names
from .histogram import Histogram

SIZE = (840, 600)
WIDE_COLUMNS = {0: 11.0, 1: 5.5, 2: 9.0}
"""Columns whose width the user can change, in heights of a line."""


class BandWindow(QDialog):
    """Not modal, so that one can look and choose.

    Signals:
        settings_changed: names of bands, and the fields of the contract's Band that were set for them.
        values_requested: compute the distribution of the values.
    """

    settings_changed = pyqtSignal(object, object)
    values_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Bands of the stack"))
        self.setModal(False)
        self.resize(*SIZE)
        self._bands: tuple[Band, ...] = ()
        self._units: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self.table = self._make_table()
        self.histogram = Histogram()
        self.facts = small_label("")
        self.settings = BandSettings()
        self.settings.changed.connect(self._on_settings_changed)
        self.look = QPushButton(tr("&Compute statistics"))
        self.look.clicked.connect(self.values_requested)
        left = QVBoxLayout()
        for widget in (self.histogram, self.facts):
            left.addWidget(widget)
        left.addStretch(1)
        left.addWidget(self.look)
        lower = QHBoxLayout()
        lower.addLayout(left, 3)
        lower.addWidget(self.settings, 2)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table, 1)
        layout.addLayout(lower)

    def _make_table(self) -> QTableWidget:
        table = QTableWidget()
        table.setTabKeyNavigation(False)
        headers = [
            tr("Band"),
            tr("From"),
            tr("Made by"),
            tr("Resampling"),
            tr("Missing values"),
            tr("Scaling"),
            tr("Clip at %"),
            tr("With value"),
        ]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setAlternatingRowColors(True)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.setAccessibleName(tr("Bands of the stack"))
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for column, width_em in WIDE_COLUMNS.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            header.resizeSection(column, round(width_em * self.fontMetrics().height()))
        header.setStretchLastSection(True)
        table.verticalHeader().setDefaultSectionSize(round(1.6 * self.fontMetrics().height()))
        table.itemSelectionChanged.connect(self._show_selected)
        return table

    def set_bands(self, composition: Composition) -> None:
        """Show the bands; what was selected stays selected, and values stay with bands of their name."""
        chosen = {band.name for band in self.selected()}
        self._bands = composition.bands
        self._units = {source.key: source.height_unit for source in composition.sources}
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(self._bands))
            for row, band in enumerate(self._bands):
                for column, text in enumerate(row_texts(band, composition.source_name(band))):
                    item = QTableWidgetItem(text)
                    item.setToolTip(text)
                    self.table.setItem(row, column, item)
            self.table.clearSelection()
            for row, band in enumerate(self._bands):
                if band.name in chosen or (not chosen and row == 0):
                    self._select_row(row)
        self._show_shares()
        self._show_selected()

    def show_values(self, summary: Mapping[str, Any]) -> None:
        """Show the result of the job `summarize`."""
        self._values = {str(item.get("name")): dict(item) for item in summary.get("bands") or []}
        self.look.setText(tr("&Compute statistics again"))
        self._show_shares()
        self._show_selected()

    def show_waiting(self, text: str) -> None:
        """Show that the engine reads, or why it could not."""
        if not self._values:
            self.histogram.show_text(text)
        self.facts.setText(text)

    def forget_values(self) -> None:
        """Grid or bands have changed: what was read is no longer true."""
        self._values = {}
        self.histogram.show_text(tr("Press “Compute statistics”"))
        self.facts.setText("")
        self._show_shares()

    def selected(self) -> list[Band]:
        """Return the bands of the selected rows."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [self._bands[row] for row in rows if row < len(self._bands)]

    def _select_row(self, row: int) -> None:
        for column in range(self.table.columnCount()):
            self.table.item(row, column).setSelected(True)

    def _show_shares(self) -> None:
        for row, band in enumerate(self._bands):
            share = self._values.get(band.name, {}).get("valid_share")
            text = f"{100 * share:.1f} %" if isinstance(share, (int, float)) else ""
            self.table.item(row, self.table.columnCount() - 1).setText(text)

    def _show_selected(self) -> None:
        bands = self.selected()
        self.settings.show_bands(bands, self._units.get(bands[0].source, "") if bands else "")
        if not bands:
            return
        values = self._values.get(bands[0].name)
        if values is None:
            self.histogram.show_text(tr("Press “Compute statistics”"))
            self.facts.setText("")
            return
        self.histogram.show_band(values, clip_values(values, bands[0].clip_percent))
        self.facts.setText(facts_text(values))

    def _on_settings_changed(self, fields: dict[str, Any]) -> None:
        chosen = self.selected()
        names = [band.name for band in chosen]
        if HEIGHT_UNIT in fields:  # of the raster, so of all that is derived from it
            sources = {band.source for band in chosen}
            names = [band.name for band in self._bands if band.source in sources and band.derive]
        if names:
            self.settings_changed.emit(names, fields)

    def keyPressEvent(self, event: Any) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)


def row_texts(band: Band, source: str) -> list[str]:
    """Return a band as the table shows it; the share of values comes later."""
    made = str(band.parameters.get("expression") or band.derive.replace("_", " "))
    low, high = band.clip_percent
    clip = tr("no") if (low, high) == (0, 100) else f"{low:g} – {high:g}"
    resampling = resampling_names()[band.resampling].split(":")[0] if band.source else ""
    return [band.name, source, made, resampling, gap_text(band.fill), scaling_names()[band.scaling], clip, ""]


def percentile_points(values: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return (percent, value) of a summary, ascending; percentiles come as a mapping or as pairs."""
    found = values.get("percentiles") or {}
    pairs = found.items() if isinstance(found, dict) else found
    points = [(float(str(key).lstrip("p")), float(value)) for key, value in pairs if value is not None]
    for key, percent in (("min", 0.0), ("max", 100.0)):
        if isinstance(values.get(key), (int, float)):
            points.append((percent, float(values[key])))
    return sorted(points)


def clip_values(values: Mapping[str, Any], percents: tuple[float, float]) -> tuple[float, float] | None:
    """Return the approximate values of two percentiles, from those that are known; None without any."""
    points = percentile_points(values)
    if len(points) < 2:
        return None
    found = []
    for percent in percents:
        below = max((item for item in points if item[0] <= percent), default=points[0])
        above = min((item for item in points if item[0] >= percent), default=points[-1])
        span = above[0] - below[0]
        share = (percent - below[0]) / span if span else 0.0
        found.append(below[1] + share * (above[1] - below[1]))
    return found[0], found[1]


def facts_text(values: Mapping[str, Any]) -> str:
    """Return the statistics of a band in one line."""
    names = (("min", tr("min")), ("max", tr("max")), ("mean", tr("mean")), ("deviation", tr("deviation")))
    parts = [f"{name} {number_text(values.get(key))}" for key, name in names]
    middle = dict(percentile_points(values)).get(50.0)
    return ", ".join([*parts, *([f"{tr('median')} {number_text(middle)}"] if middle is not None else [])])
