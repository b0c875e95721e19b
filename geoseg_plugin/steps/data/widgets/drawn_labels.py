"""What labels that are drawn need besides a class field: only the selected ones, and the size of points and lines."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QLabel, QWidget

from ....contract import Labels
from ....forms.rows import row_of
from ....panel.texts import tr
from ....panel.widgets.page import Page

ROWS = {"point_radius": "points", "line_width": "lines", "size_unit": ""}
"""Fields of the rows, and the kind of labels that each is for; the unit is for both."""


class DrawnLabels:
    """Rows below the label layer that show only where they matter.

    Args:
        page: remembers the values.
        form: gets the rows.
    """

    def __init__(self, page: Page, form: QFormLayout) -> None:
        self.selected_only = QCheckBox()
        page.remember(
            "selected_only", self.selected_only, in_project=False
        )  # a selection is not in it either
        self.selected_only.setToolTip(tr("Labels are only the features that are selected on the map."))
        form.addRow(self.selected_only)
        self._rows: dict[str, tuple[QWidget, QWidget]] = {}
        for name in ROWS:
            row = row_of(Labels, name)
            control: Any = page.remember(row.key, row.control)
            control.setToolTip(row.about)
            control.setAccessibleDescription(row.about)
            label = QLabel(row.title if name != "size_unit" else tr("Unit"))
            label.setBuddy(control)
            form.addRow(label, control)
            self._rows[name] = (label, control)
        self.show_kinds(points=False, lines=False)
        self.show_selection(0)

    def show_kinds(self, points: bool, lines: bool) -> None:
        """Show the size of points where there are points, and that of lines where there are lines."""
        shown = {"points": points, "lines": lines, "": points or lines}
        for name, kind in ROWS.items():
            for widget in self._rows[name]:
                widget.setVisible(shown[kind])

    def show_selection(self, count: int) -> None:
        """Offer to use only the selected features, or show that none is selected where that was chosen."""
        self.selected_only.setText(tr("Selected features only ({})").format(count))
        self.selected_only.setVisible(count > 0 or self.selected_only.isChecked())
