"""Add a band by a formula over other bands."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QWidget

from ....jobs.additions import Addition, index_addition
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from .dialog import AddDialog, BandOption, name_edit, name_of

SHOWN_ROWS = 7


class ExpressionDialog(AddDialog):
    """Bands have short variable names; a double click puts one into the formula."""

    def __init__(self, options: Sequence[BandOption], parent: QWidget | None = None) -> None:
        intro = tr(
            "A formula over bands, computed where all of them have values, e.g. (nir - red) / (nir + red)."
        )
        super().__init__(tr("Add a band by expression"), intro, parent)
        self._variables = dict(zip(variable_names(options), options, strict=True))
        self.name = name_edit(tr("expression"))
        self.expression = QLineEdit()
        self.expression.setAccessibleName(tr("Expression"))
        self.expression.textChanged.connect(self.check)
        self.bands = QListWidget()
        self.bands.setAccessibleName(tr("Bands and their variables"))
        for variable, option in self._variables.items():
            item = QListWidgetItem(f"{variable}  –  {option.text}" if variable != option.text else variable)
            item.setData(Qt.ItemDataRole.UserRole, variable)
            self.bands.addItem(item)
        self.bands.setFixedHeight(round(self.fontMetrics().height() * 1.4 * SHOWN_ROWS))
        self.bands.itemDoubleClicked.connect(self._on_double_click)
        self.form.addRow(tr("Name"), self.name)
        self.form.addRow(tr("Expression"), self.expression)
        self.form.addRow(small_label(tr("Double-click a band to insert it:")))
        self.form.addRow(self.bands)
        functions = tr(
            "+ - * / ** < > and: sqrt, log, log10, exp, abs, minimum, maximum, where, sin, cos, tan."
        )
        self.form.addRow(small_label(functions))
        self.check()

    def _on_double_click(self, item: QListWidgetItem) -> None:
        self.expression.insert(str(item.data(Qt.ItemDataRole.UserRole)))
        self.expression.setFocus()

    def complaint(self) -> str:
        text = self.expression.text().strip()
        if not text:
            return tr("Write an expression.")
        try:
            used = names_in(text)
        except SyntaxError as error:
            return tr("The expression has an error at character {}.").format(error.offset or 1)
        unknown = sorted(used - set(self._variables))
        if unknown:
            return tr("No band has the variable: {}.").format(", ".join(unknown))
        return "" if used else tr("The expression uses no band.")

    def addition(self) -> Addition:
        text = self.expression.text().strip()
        inputs = [
            dataclasses.replace(option.input, variable=variable)
            for variable, option in self._variables.items()
            if variable in names_in(text)
        ]
        return index_addition(name_of(self.name), text, inputs)


def names_in(text: str) -> set[str]:
    """Return the names in a formula that are not called.

    Raises:
        SyntaxError: with the character as `offset`.
    """
    nodes = list(ast.walk(ast.parse(text, mode="eval")))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called}


def variable_names(options: Sequence[BandOption]) -> list[str]:
    """Return a short unique name per band: letters, digits and underscores of its own name."""
    found: list[str] = []
    for option in options:
        plain = re.sub(r"[^0-9a-z]+", "_", option.short.lower()).strip("_")
        plain = plain if plain and not plain[0].isdigit() else f"b{plain}"
        name, number = plain, 1
        while name in found:
            number += 1
            name = f"{plain}_{number}"
        found.append(name)
    return found
