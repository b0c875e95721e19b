"""Added bands, mosaics, and the table of bands with their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QObject

from ...contract import GeoSegError
from ...jobs import prepare
from ...jobs.bandroles import LayerBands
from ...jobs.composition import Composition
from ...layers.inputs.dataset import DataInputs
from ...layers.spectra import layer_bands
from ...panel.background_queries import Query
from ...panel.errors import problem_text
from ...panel.services import PanelServices
from ...panel.texts import tr
from .add_band.dialog import AddDialog
from .add_band.kinds import DialogInputs, addable_bands
from .add_band.series import SeriesDialog
from .state import RasterRow
from .widgets.band_section import BandSection
from .widgets.band_window import BandWindow


class BandsController(QObject):
    """Opens the dialogs that add bands, and the window of bands.

    Args:
        services: those of the panel.
        section: the bands of the Data page.
        snapshot: the layers as chosen now; raises GeoSegError.
    """

    def __init__(
        self, services: PanelServices, section: BandSection, snapshot: Callable[[], DataInputs]
    ) -> None:
        super().__init__(services)
        self.services, self.section = services, section
        self._snapshot = snapshot
        self.rows: tuple[RasterRow, ...] = ()
        self.window: BandWindow | None = None
        self.dialog: AddDialog | None = None
        self._shown = Composition()
        self.section.add_requested.connect(self.open_dialog)
        self.section.table_requested.connect(self.open_table)

    def close(self) -> None:
        """Close what is open."""
        for widget in (self.window, self.dialog):
            if widget is not None:
                widget.close()

    def open_dialog(self, kind: str) -> None:
        """Ask for a band of a kind."""
        self.dialog = self.make_dialog(kind)
        self.dialog.added.connect(self.section.add)
        self.dialog.open()

    def make_dialog(self, kind: str) -> AddDialog:
        """Return the dialog of a kind, filled with what is there now."""
        given = DialogInputs(
            self.services.dock, self.rows, self.section.additions, self._layer_bands, self._inspect
        )
        return addable_bands()[kind].dialog(given)

    def _layer_bands(self) -> list[LayerBands]:
        """Return what the files of the usable layers state about their bands."""
        layers = [self.services.project.mapLayer(row.layer_id) for row in self.rows if not row.problem]
        return [layer_bands(layer) for layer in layers if isinstance(layer, QgsRasterLayer)]

    def open_table(self) -> None:
        """Show the table of bands; the values are read at once."""
        if self.window is None:
            self.window = BandWindow(self.services.dock)
            self.window.settings_changed.connect(self.section.set_fields)
            self.window.values_requested.connect(self.look)
        self.refresh()
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()

    def show(self, composition: Composition) -> None:
        """Show these bands, if the table is open; values of other bands are forgotten."""
        if self.window is None:
            return
        if unsettled(composition) != unsettled(self._shown):
            self.window.forget_values()
        self._shown = composition
        self.window.set_bands(composition)

    def refresh(self) -> None:
        """Show the bands as chosen now."""
        try:
            self.show(self._snapshot().bands)
        except GeoSegError as error:
            self.services.errors.show(error)

    def look(self) -> None:
        """Ask the engine how the values are spread."""
        window = self.window
        if window is None:
            return
        try:
            inputs = self._snapshot()
        except GeoSegError as error:
            window.show_waiting(f"{error.message} {error.hint}")
            return
        if not inputs.bands.bands:
            window.show_waiting(tr("No band is ticked."))
            return
        submission = prepare.summarize(self.services.workspace.scratch("plan"), inputs.bands, inputs.grid)
        window.show_waiting(tr("Computing statistics…"))
        self.services.queries.submit(
            Query(
                "summarize",
                tr("Compute statistics"),
                inputs.exports,
                [submission],
                window.show_values,
                lambda problem: window.show_waiting(problem_text(problem)),
            )
        )

    def _inspect(self, dialog: SeriesDialog, path: str) -> None:
        submission = prepare.inspect(self.services.workspace.scratch("inspect"), path)
        self.services.queries.submit(
            Query(
                "inspect",
                tr("Inspect file"),
                [],
                [submission],
                dialog.show_offer,
                dialog.show_problem,
            )
        )


def unsettled(composition: Composition) -> tuple[Any, ...]:
    """Return what the values depend on, apart from the settings that come after them."""
    bands = [
        (band.name, band.source, band.index, band.derive, band.resampling, band.fill, str(band.parameters))
        for band in composition.bands
    ]
    return (
        tuple((item.key, item.path, item.paths, item.height_unit) for item in composition.sources),
        tuple(bands),
    )
