"""The Data step: layers of the project -> page; choices -> plan, check and dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsMapLayer, QgsRasterLayer, QgsUnitTypes, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer

from ..contract import GeoSegError, Problem
from ..jobs import prepare
from ..jobs.submission import Submission
from ..layers import publish, snapshot
from ..layers.classes import class_fields, legend_field
from ..layers.legendclasses import LEGEND_FIELD, has_legend_classes
from .area_band import AreaBand, area_of_result
from .choices import DataChoices, RasterRow
from .controller_bands import BandsController
from .controller_checks import ChecksController, as_error
from .inputs_from_layers import Snapshot, data_problems, take
from .labels_from_layers import all_classes
from .questions import Question
from .words import tr

if TYPE_CHECKING:
    from .controller import Controller

PLAN_MS = 600
DEM_WORDS = ("dem", "dtm", "dsm", "dgm", "srtm", "elevation", "height", "altitude")
CLASS_WORDS = ("class", "type", "label", "category", "landcover", "landuse", "code")


class DataController(QObject):
    """Keeps the Data page up to date and prepares datasets."""

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk, self.page = desk, desk.dock.data
        self._to_export: set[str] = set()
        self._timer = single_shot(self, PLAN_MS, self.plan)
        self._layers_timer = single_shot(self, 50, self.refresh_layers)
        self.page.changed.connect(self._timer.start)
        self.page.label_layer_changed.connect(self._on_label_layer_changed)
        self.page.class_field_changed.connect(self._on_class_field_changed)
        self.page.labels_edited.connect(self._show_classes)
        self.page.prepare_requested.connect(self.prepare)
        self.page.bands.mosaics_changed.connect(self.refresh_layers)
        canvas = desk.iface.mapCanvas() if desk.iface is not None else None
        self.area = AreaBand(canvas)
        desk.dock.visibilityChanged.connect(self._show_area)
        scratch = "plan"
        self.bands = BandsController(
            desk, lambda: self._take(self.page.choices(), desk.workspace.scratch(scratch) / "inputs")
        )
        self.checks = ChecksController(desk, lambda folder: self._take(self.page.choices(), folder))
        desk.project.layersAdded.connect(self.refresh_layers_later)
        desk.project.layersRemoved.connect(self.refresh_layers_later)

    def close(self) -> None:
        """Let go of the project."""
        self.desk.dock.visibilityChanged.disconnect(self._show_area)
        self.area.close()
        self.bands.close()
        self._timer.stop()
        self._layers_timer.stop()
        self.desk.project.layersAdded.disconnect(self.refresh_layers_later)
        self.desk.project.layersRemoved.disconnect(self.refresh_layers_later)

    def refresh_layers_later(self, *_layers: object) -> None:
        """Read the project's layers again once it has settled."""
        self._layers_timer.start()

    def refresh_layers(self) -> None:
        """Show the raster layers of the project, in the order of the layer tree."""
        ordered = [node.layer() for node in self.desk.project.layerTreeRoot().findLayers()]
        layers = [layer for layer in ordered if layer is not None]
        results = [layer for layer in layers if layer.customProperty(publish.RESULT_MARK)]
        for combo in (self.page.label_layer, self.page.area_layer):
            combo.setExceptedLayerList(results)
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer not in results]
        rows = mosaic_rows([raster_row(layer) for layer in rasters], self.page.bands.mosaics)
        self.bands.rows = tuple(rows)
        self.page.set_rasters(rows)
        self._propose_labels([layer for layer in layers if layer not in results])

    def plan(self) -> None:
        """Ask the engine what would result; the answer is a sentence and a list of problems."""
        choices = self.page.choices()
        problems = data_problems(choices, self.desk.project)
        self.page.show_plan("", problems)
        self.desk.forget("check")
        blocking = [item for item in problems if item.severity == "error"]
        if not choices.band_count or any(item.code not in ("no_labels", "no_area") for item in blocking):
            self.desk.forget("plan")
            self.area.set_area("", "")
            self.page.show_suggestion(None)
            return
        labels_needed = bool(choices.label_layer_id)
        if not labels_needed or any(item.code == "no_area" for item in problems):
            choices = dataclasses.replace(choices, area_kind="rasters")
        self._ask(choices, problems)

    def prepare(self) -> None:
        """Write the stack and the label raster of a new dataset."""
        choices = self.page.choices()
        problems = [item for item in data_problems(choices, self.desk.project) if item.severity == "error"]
        if problems:
            self.page.show_plan("", problems)
            self.desk.report(GeoSegError(problems[0].code, problems[0].message, problems[0].hint))
            return
        layer = self.desk.project.mapLayer(choices.label_layer_id)
        try:
            self.desk.refuse_unwritable()
            folder = self.desk.workspace.new_dataset(choices.name or layer.name())
            taken = self._take(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            self.desk.report(as_error(error))
            return
        self._log_notes(taken)
        title = tr("Prepare {}").format(folder.name)
        submissions = dataset_submissions(folder, taken, choices.write_stack)
        self.desk.start(title, taken.exports, submissions, self._on_prepared, self._on_failed)

    def show_state(self) -> None:
        """Tick when the current dataset has labels on a grid."""
        folder = self.desk.dataset
        self._show_area()
        done = folder is not None and (folder / prepare.LABELS).exists()
        text = (
            tr("Prepared: {}").format(folder)
            if done
            else tr("Choose rasters and polygons, then prepare them.")
        )
        self.desk.dock.steps.set_state("data", done, text)

    def _show_area(self, *_visible: object) -> None:
        """The area is on the map while somebody looks at this page."""
        self.area.show(self.desk.dock.current_step() == "data" and self.desk.dock.isUserVisible())

    def _ask(self, choices: DataChoices, known: list[Problem]) -> None:
        try:
            folder = self.desk.workspace.scratch("plan")
            taken = self._take(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            failed = as_error(error)
            self.page.show_plan("", [*known, Problem(failed.code, failed.message, failed.hint)])
            return
        exports = [item for item in taken.exports if not is_written_raster(item)]
        self.bands.show(taken.bands)
        submission = prepare.plan(folder, taken.bands, taken.grid, taken.area, taken.labels)
        self.page.show_planning()
        self.desk.ask(
            Question(
                "plan",
                tr("Plan the grid"),
                exports,
                [submission],
                lambda result: self._on_planned(result, known, taken),
                lambda problem: self._on_not_planned(problem, known),
            )
        )

    def _take(self, choices: DataChoices, folder: Path) -> Snapshot:
        canvas = self.desk.iface.mapCanvas() if self.desk.iface is not None else None
        return take(choices, folder, self.desk.project, canvas, self._to_export)

    def _on_planned(self, result: dict[str, Any], known: list[Problem], taken: Snapshot) -> None:
        found = [*(result.get("problems") or []), *(result.get("warnings") or [])]
        sentence = str(result.get("sentence") or "")
        self.page.show_plan(sentence, [*known, *found])
        self.page.show_suggestion(result.get("suggestion"))
        self.area.set_area(*area_of_result(result))
        blocking = [item for item in known if item.severity == "error"]
        if taken.labels is not None and not blocking and not result.get("problems"):
            self._check(taken, sentence, found)

    def _check(self, taken: Snapshot, sentence: str, found: list[Any]) -> None:
        """Look at the labels themselves, from the files that were written for the plan."""
        assert taken.labels is not None
        tile_px = self.desk.dock.tiles.choices().tile_px
        folder = self.desk.workspace.scratch("plan")
        submission = prepare.check(folder, taken.bands, taken.labels, taken.area, taken.grid, tile_px)
        self.desk.ask(
            Question(
                "check",
                tr("Check the labels"),
                [],
                [submission],
                lambda result: self.page.show_plan(sentence, [*found, *(result.get("problems") or [])]),
                lambda problem: self.page.show_plan(sentence, [*found, problem]),
            )
        )

    def _on_not_planned(self, problem: dict[str, Any], known: list[Problem]) -> None:
        if self._retry_with_export(problem):
            self.plan()
            return
        self.page.show_plan("", [*known, problem])

    def _on_prepared(self, result: dict[str, Any], _folder: Path) -> None:
        output = Path(str(result.get("output", "")))
        self.desk.dataset = output.parent
        problems = result.get("warnings") or []
        self.page.show_prepared(tr("Prepared {}.").format(output.parent.name), problems)

    def _on_failed(self, problem: dict[str, Any]) -> None:
        if self._retry_with_export(problem):
            self.desk.afterwards(self.prepare)

    def _retry_with_export(self, problem: dict[str, Any]) -> bool:
        """After the engine could not open a layer: let QGIS write a copy of it, once."""
        if problem.get("code") != "cannot_open":
            return False
        choices = self.page.choices()
        ids = [layer_id for item in choices.rasters for layer_id in (item.layer_id, *item.also)]
        ids += [layer_id for item in choices.additions for layer_id in item.layer_ids]
        layers = [self.desk.project.mapLayer(layer_id) for layer_id in [*ids, choices.label_layer_id]]
        layers = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        found = snapshot.layer_named_in(str(problem.get("message", "")), [item for item in layers if item])
        if found is None or found.id() in self._to_export:
            return False
        self._to_export.add(found.id())
        text = tr("The engine cannot open layer “{}”: QGIS writes a copy for it.").format(found.name())
        self.desk.dock.show_note(tr("GeoSeg"), text)
        self.desk.dock.footer.add_log("warning", text)
        return True

    def _log_notes(self, taken: Snapshot) -> None:
        for note in taken.notes:
            self.desk.dock.footer.add_log("info", note)

    def _propose_labels(self, layers: list[QgsMapLayer]) -> None:
        if self.page.label_layer.currentLayer() is not None:
            return
        polygons = [
            layer for layer in layers if isinstance(layer, QgsVectorLayer) and not polygon_problem(layer)
        ]
        if len(polygons) == 1:
            self.page.label_layer.setLayer(polygons[0])

    def _on_label_layer_changed(self, layer_id: str) -> None:
        layer = self.desk.project.mapLayer(layer_id)
        if not isinstance(layer, QgsVectorLayer):
            self.page.set_class_fields([], is_raster=isinstance(layer, QgsRasterLayer))
            return
        fields = class_fields(layer)
        if has_legend_classes(layer):
            fields = [LEGEND_FIELD, *fields]
        self.page.set_class_fields(fields, proposed_field(layer, fields))

    def _on_class_field_changed(self, _field: str) -> None:
        self._show_classes()

    def _show_classes(self) -> None:
        self.page.legend.set_classes(all_classes(self.page.choices(), self.desk.project))


def dataset_submissions(folder: Path, taken: Snapshot, write_stack: bool) -> list[Submission]:
    """Stack and labels; without writing the stack its recipe takes its place."""
    assert taken.labels is not None
    if write_stack:
        return prepare.dataset(folder, taken.bands, taken.grid, taken.area, taken.labels)
    planned = prepare.stack(folder, taken.bands, taken.grid, taken.area, taken.labels)
    recipe = dataclasses.replace(planned, job=dataclasses.replace(planned.job, dry_run=True))  # type: ignore[call-arg]
    recipe_file = (folder / prepare.STACK).with_suffix(".recipe.json")
    return [recipe, prepare.rasterize(folder, taken.labels, taken.area, stack_path=recipe_file)]


def raster_row(layer: QgsRasterLayer) -> RasterRow:
    """A raster layer as the band tree shows it."""
    problems = [item for item in snapshot.problems(layer) if item.severity == "error"]
    bands = snapshot.value_bands(layer)
    names = tuple(layer.bandName(band) for band in range(1, max(bands, default=0) + 1))
    unit = QgsUnitTypes.toAbbreviatedString(layer.crs().mapUnits()) if layer.crs().isValid() else ""
    size = f"{layer.rasterUnitsPerPixelX():.4g} {unit}".strip()
    details = tr("{} bands, {} × {} px of {}, {}").format(
        len(bands), layer.height(), layer.width(), size, layer.crs().authid() or tr("own CRS")
    )
    words = layer.name().lower().replace("_", " ").replace("-", " ").split()
    dem = len(bands) == 1 and any(word in DEM_WORDS for word in words)
    problem = " ".join(f"{item.message} {item.hint}" for item in problems)
    return RasterRow(layer.id(), layer.name(), names, size, details, not problems, dem, problem)


def mosaic_rows(rows: list[RasterRow], mosaics: tuple[tuple[str, ...], ...]) -> list[RasterRow]:
    """The rows with those of a mosaic as one, in the place of its first layer."""
    known = {row.layer_id: row for row in rows}
    also: dict[str, tuple[str, ...]] = {}
    for first, *rest in mosaics:
        members = tuple(item for item in rest if item in known)
        if first in known and members:
            also[first] = members
    hidden = {item for members in also.values() for item in members}
    return [
        dataclasses.replace(
            row,
            name=tr("{} and {} more").format(row.name, len(also[row.layer_id])),
            facts=tr("mosaic"),
            details="\n".join([row.details, *(known[item].name for item in also[row.layer_id])]),
            also=also[row.layer_id],
        )
        if row.layer_id in also
        else row
        for row in rows
        if row.layer_id not in hidden
    ]


def proposed_field(layer: QgsVectorLayer, fields: list[str]) -> str:
    """What the legend shows, else a field that is called like a class field, else none."""
    shown = legend_field(layer) or (LEGEND_FIELD if LEGEND_FIELD in fields else "")
    if shown:
        return shown
    return next((name for name in fields if name.lower().strip("_ 0123456789") in CLASS_WORDS), "")


def polygon_problem(layer: QgsVectorLayer) -> bool:
    """Whether a vector layer cannot give labels."""
    return any(
        item.code in ("not_polygons", "layer_invalid", "file_missing") for item in snapshot.problems(layer)
    )


def is_written_raster(export: Any) -> bool:
    """Whether a raster copy for planning is there already."""
    return isinstance(export, snapshot.RasterExport) and export.path.exists()


def single_shot(parent: QObject, milliseconds: int, action: Any) -> QTimer:
    """A timer that calls `action` once, some time after its last start."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer
