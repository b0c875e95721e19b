"""Checks of the labels whose findings are shown on the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import QgsLayerTreeGroup, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject

from ...contract import GeoSegError, Problem, present
from ...jobs import prepare
from ...layers import findings
from ...layers.inputs.dataset import DataInputs
from ...layers.inputs.dataset_problems import data_problems
from ...panel.services import PanelServices
from ...panel.texts import tr
from ...records.workspace import discard
from .page import DataPage

ROOM = 1.6
"""How much more than the findings themselves the map shows around them."""


class ChecksController(QObject):
    """Runs the check, publishes its findings and leads to them.

    Args:
        services: those of the panel.
        page: the Data page.
        snapshot: the layers as chosen now, with their files in a folder; raises GeoSegError.
        tile_px: the side of the tiles that would be made, in pixels.
    """

    def __init__(
        self,
        services: PanelServices,
        page: DataPage,
        snapshot: Callable[[Path], DataInputs],
        tile_px: Callable[[], int],
    ) -> None:
        super().__init__(services)
        self.services, self.page, self._tile_px = services, page, tile_px
        self._snapshot = snapshot
        self._group: QgsLayerTreeGroup | None = None
        self.page.check_requested.connect(self.check)
        self.page.problem_list.place_requested.connect(self.go_to)

    def check(self) -> None:
        """Check the labels; the findings come to the map."""
        wrong = data_problems(self.page.choices(), self.services.project)
        wrong = [item for item in wrong if item.severity == "error"]
        if wrong:
            self.page.problem_list.set_problems(wrong)
            self.services.errors.log(wrong[0])
            return
        try:
            self.services.jobs.check_writable()
            folder = self.services.workspace.new_check("labels")
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        try:
            inputs = self._snapshot(folder / "inputs")
        except (GeoSegError, OSError) as error:
            discard(folder)
            self.services.errors.show(error)
            return
        labels = present(inputs.labels, "the label layer")
        tile_px = self._tile_px()
        file = folder / prepare.FINDINGS
        submission = prepare.check(folder, inputs.bands, labels, inputs.area, inputs.grid, tile_px, file)
        title = tr("Check of “{}”").format(labels.name)
        self.services.jobs.start(
            tr("Check the labels"),
            inputs.exports,
            [submission],
            lambda result, _folder: self._on_checked(result, file, title),
            made=folder,
        )

    def go_to(self, code: str) -> None:
        """Show all places of a kind of finding on the map."""
        canvas = self.services.canvas
        if canvas is None:
            return
        box = findings.extent_of(self.layers(), code, self.services.project)
        if box.isNull():
            return
        margin = 60 * canvas.mapUnitsPerPixel() if box.width() == box.height() == 0 else 0
        box.grow(margin)
        box.scale(ROOM)
        canvas.setExtent(box)
        canvas.refresh()

    def layers(self) -> list[QgsVectorLayer]:
        """Return the layers of the last findings that are still in the project."""
        if self._group is None or sip.isdeleted(self._group):
            return []
        found = [node.layer() for node in self._group.findLayers()]
        return [layer for layer in found if isinstance(layer, QgsVectorLayer)]

    def _on_checked(self, result: dict[str, Any], file: Path, title: str) -> None:
        problems = [*(result.get("problems") or [])]
        if not problems:
            good = Problem(
                "all_well", tr("No problems were found."), tr("The labels can be used."), "warning"
            )
            problems = [good]
        self.page.problem_list.set_problems(problems)
        if self._group is not None and not sip.isdeleted(self._group):
            self.services.project.layerTreeRoot().removeChildNode(self._group)
        self._group = None
        if file.exists() and findings.parts_of(file):
            self._group = findings.publish_findings(
                file, title, self.services.project, self.services.result_queue.add
            )
            self.services.result_queue.add(self._locate)

    def codes(self) -> set[str]:
        """Return the kinds of fault that have a place on the map."""
        return findings.codes_in(self.layers())

    def _locate(self) -> None:
        self.page.problem_list.set_located(self.codes())
