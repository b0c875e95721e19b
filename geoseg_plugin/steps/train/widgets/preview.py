"""A window with crops as training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QPixmap, QResizeEvent
from qgis.PyQt.QtWidgets import QDialog, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ....panel.texts import tr
from ....panel.widgets.notes import Note, wrap


class PreviewWindow(QDialog):
    """Not modal, so that one can change settings and draw again.

    Signals:
        again_requested: draw once more, with the settings of now.
    """

    again_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Crops as the network sees them"))
        self.setModal(False)
        self.resize(760, 560)
        self.note = wrap(Note())
        self.picture = Picture()
        self.again = QPushButton(tr("&Draw again"))
        self.again.clicked.connect(self.again_requested)
        layout = QVBoxLayout(self)
        layout.addWidget(self.picture, 1)
        layout.addWidget(self.note)
        layout.addWidget(self.again, 0, Qt.AlignmentFlag.AlignRight)

    def show_drawing(self) -> None:
        """Show that the engine draws."""
        self.again.setEnabled(False)
        self.note.setText(tr("Drawing crops…"))
        self.show()
        self.raise_()

    def show_image(self, file: Path, sentences: Sequence[str]) -> None:
        """Show the picture with sentences about it."""
        self.again.setEnabled(True)
        self.picture.set_pixmap(QPixmap(str(file)))
        self.note.setText(" ".join(sentences))

    def show_problem(self, text: str) -> None:
        """Show why there is no picture."""
        self.again.setEnabled(True)
        self.note.setText(text)


class Picture(QLabel):
    """A picture as large as there is room, in its own shape."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = QPixmap()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setAccessibleName(tr("Crops as the network sees them"))

    def sizeHint(self) -> QSize:
        return QSize(720, 460)

    def set_pixmap(self, pixmap: QPixmap) -> None:
        """Show a picture; a null one shows nothing."""
        self._whole = pixmap
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self._whole.isNull():
            modes = (Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
            self.setPixmap(self._whole.scaled(self.size(), *modes))
