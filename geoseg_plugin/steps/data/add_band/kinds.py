"""The kinds of band that the panel can add: one entry each, with its name in the menu and its dialog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qgis.PyQt.QtWidgets import QWidget

from ....jobs.additions import Addition
from ....jobs.bandroles import LayerBands
from ....panel.texts import tr
from ..state import RasterRow
from .derived import radar_dialog, relief_dialog
from .dialog import AddDialog, band_options
from .expression import ExpressionDialog
from .index import IndexDialog
from .series import SeriesDialog
from .vector import VectorDialog


@dataclass(frozen=True)
class DialogInputs:
    """What the dialogs are filled with.

    Attributes:
        parent: of the dialog.
        rows: raster layers of the project.
        additions: bands that are added already.
        layer_bands: reads what the files of the layers state of their bands.
        inspect: lets the engine list what a file offers to a dialog of time series.
    """

    parent: QWidget
    rows: Sequence[RasterRow]
    additions: tuple[Addition, ...]
    layer_bands: Callable[[], list[LayerBands]]
    inspect: Callable[[SeriesDialog, str], None]


@dataclass(frozen=True)
class AddableBand:
    """A kind of band: its name in the menu, and what makes its dialog."""

    title: str
    dialog: Callable[[DialogInputs], AddDialog]


def addable_bands() -> dict[str, AddableBand]:
    """Return the kinds of band that can be added, in the order of the menu."""
    return {
        "index": AddableBand(
            tr("Spectral index…"),
            lambda given: IndexDialog(band_options(given.rows, ()), given.parent, given.layer_bands()),
        ),
        "expression": AddableBand(
            tr("Expression…"),
            lambda given: ExpressionDialog(band_options(given.rows, given.additions), given.parent),
        ),
        "relief": AddableBand(
            tr("Relief of a DEM…"), lambda given: relief_dialog(band_options(given.rows, ()), given.parent)
        ),
        "radar": AddableBand(
            tr("Radar: decibels, speckle filter…"),
            lambda given: radar_dialog(band_options(given.rows, ()), given.parent),
        ),
        "vector": AddableBand(tr("Vector layer…"), lambda given: VectorDialog(given.parent)),
        "series": AddableBand(tr("Time series…"), series_dialog),
    }


def series_dialog(given: DialogInputs) -> AddDialog:
    """Return the dialog of time series, connected to the engine."""
    dialog = SeriesDialog(given.parent)
    dialog.inspect_requested.connect(lambda path: given.inspect(dialog, path))
    return dialog
