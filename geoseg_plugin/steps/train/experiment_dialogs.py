"""The dialogs before a cross-validation and a search: what will be done, and the few choices it has."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from ...contract import SearchJob
from ...forms.fields import row_key, stored_fields
from ...forms.rows import row_of
from ...forms.texts import choice_names
from ...forms.ticks import TickList
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import heading, lets_shrink
from ...panel.widgets.remembered import value_of

WIDTH_PX = 420
LIMITS = ("trials", "max_minutes")
"""Fields of the search that limit its length."""


class SearchDialog(QDialog):
    """Which settings are searched, and how long."""

    def __init__(self, training: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Search settings"))
        intro = tr("Trials of {} with other settings, evaluated on validation data; the best model is kept.")
        names = choice_names(SearchJob, "parameters")
        self.parameters = TickList(tr("Settings to search"))
        self.parameters.set_entries(names)
        self.parameters.leave_out([key for key in names if key not in SearchJob.parameters])
        form = QFormLayout()
        self.fields: dict[str, Any] = {}
        for name in LIMITS:
            row = row_of(SearchJob, name)
            lets_shrink(row.control)
            row.control.setToolTip(row.about)
            form.addRow(row.title, row.control)
            self.fields[name] = row.control
        self.buttons = start_buttons(self, tr("&Search"))
        layout = QVBoxLayout(self)
        layout.addWidget(note(intro.format(training)))
        layout.addWidget(heading(tr("Settings to search")))
        layout.addWidget(self.parameters)
        layout.addLayout(form)
        hint = tr("The first trial has the automatic settings. Below 15 trials, chance decides.")
        layout.addWidget(note(hint))
        layout.addWidget(self.buttons)
        self.parameters.ticks_changed.connect(self._enable)

    def settings(self) -> dict[str, Any]:
        """Return the choices as fields of the job."""
        values = {row_key(SearchJob, name): value_of(field) for name, field in self.fields.items()}
        return {
            "parameters": tuple(self.parameters.ticked()),
            **stored_fields(SearchJob, LIMITS, values),
        }

    def _enable(self) -> None:
        start = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        start.setEnabled(bool(self.parameters.ticked()))


class FoldsDialog(QDialog):
    """Whether the folds also make one model."""

    def __init__(self, training: str, folds: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Cross-validate"))
        text = tr(
            "{} is trained {} times, each time without another part of the area. Every labelled pixel is evaluated "
            "once, by a model that was not trained on its block: scores with intervals, in {} times the time."
        )
        self.ensemble = QCheckBox(tr("Also make &one model of all folds"))
        self.ensemble.setChecked(True)
        layout = QVBoxLayout(self)
        layout.addWidget(note(text.format(training, folds, folds)))
        layout.addWidget(self.ensemble)
        layout.addWidget(note(tr("Usually a little better than each of them, and as many times slower.")))
        layout.addWidget(start_buttons(self, tr("&Cross-validate")))


def note(text: str) -> QLabel:
    """Return a note whose width, and so its height, is set before the dialog is shown."""
    label = small_label(text)
    label.setMinimumWidth(WIDTH_PX)
    return label


def start_buttons(dialog: QDialog, text: str) -> QDialogButtonBox:
    """Start and Cancel."""
    kinds = QDialogButtonBox.StandardButton
    buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel)
    buttons.button(kinds.Ok).setText(text)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    return buttons
