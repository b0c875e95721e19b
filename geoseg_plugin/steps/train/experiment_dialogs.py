"""The dialogs before a cross-validation and a search: what will be done, and the few choices it has."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ...contract import SEARCHED, SearchJob
from ...forms.ticks import TickList
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import heading, lets_shrink

WIDTH_PX = 420


class SearchDialog(QDialog):
    """Which settings are searched, and how long."""

    def __init__(self, training: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Search settings"))
        intro = tr("Trials of {} with other settings, judged on validation blocks; the best model is kept.")
        self.parameters = TickList(tr("Settings to search"))
        names = searched_names()
        self.parameters.set_entries({key: names[key] for key in SEARCHED})
        self.parameters.leave_out([key for key in SEARCHED if key not in SearchJob.parameters])
        self.trials, self.minutes = QSpinBox(), QSpinBox()
        self.trials.setRange(1, 1000)
        self.trials.setValue(20)
        self.minutes.setRange(0, 100_000)
        self.minutes.setSpecialValueText(tr("no limit"))
        self.minutes.setSuffix(tr(" min"))
        for box in (self.trials, self.minutes):
            lets_shrink(box)
        form = QFormLayout()
        form.addRow(tr("Trials"), self.trials)
        form.addRow(tr("Time of all"), self.minutes)
        self.buttons = start_buttons(self, tr("&Search"))
        layout = QVBoxLayout(self)
        layout.addWidget(note(intro.format(training)))
        layout.addWidget(heading(tr("Settings to search")))
        layout.addWidget(self.parameters)
        layout.addLayout(form)
        hint = tr("The first trial is what GeoSeg finds by itself. Below 15 trials luck decides.")
        layout.addWidget(note(hint))
        layout.addWidget(self.buttons)
        self.parameters.ticks_changed.connect(self._enable)

    def _enable(self) -> None:
        start = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        start.setEnabled(bool(self.parameters.ticked()))


class FoldsDialog(QDialog):
    """Whether the folds also make one model."""

    def __init__(self, training: str, folds: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Cross-validate"))
        text = tr(
            "{} is trained {} times, each time on other ground. Every labelled pixel is judged once, by a model that "
            "has not seen its block: scores with honest intervals, at {} times the time."
        )
        self.ensemble = QCheckBox(tr("Also make &one model of all folds"))
        self.ensemble.setChecked(True)
        layout = QVBoxLayout(self)
        layout.addWidget(note(text.format(training, folds, folds)))
        layout.addWidget(self.ensemble)
        layout.addWidget(note(tr("It maps a little better than one of them, and as many times slower.")))
        layout.addWidget(start_buttons(self, tr("&Cross-validate")))


def note(text: str) -> QLabel:
    """A note that knows its width, and so its height, before the dialog is shown."""
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


def searched_names() -> dict[str, str]:
    """What a search can vary, by field of the training."""
    return {
        "learning_rate": tr("Learning rate"),
        "weight_decay": tr("Weight decay"),
        "loss": tr("Loss"),
        "width": tr("Channels of the first level"),
        "levels": tr("Levels"),
        "dropout": tr("Dropout"),
        "augment": tr("Augmentation"),
        "by_class": tr("Share of crops drawn by class"),
    }
