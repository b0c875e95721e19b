"""The Data step: layers of the project -> page; choices -> plan, check and dataset."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import Qgis, QgsMapLayer, QgsRasterLayer, QgsUnitTypes, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer

from ...contract import GeoSegError, Labels, Problem, present
from ...jobs import freshness, prepare
from ...jobs.choices import DataChoices, RasterRow
from ...jobs.rasterfacts import reference_of, tiles_named
from ...jobs.submission import Submission
from ...jobs.workspace import discard
from ...layers import snapshot
from ...layers.classes import class_fields, legend_field
from ...layers.exports import RasterExport
from ...layers.facts import unfiltered_count
from ...layers.inputs.areas import shown_extent
from ...layers.inputs.dataset import DataInputs, chosen_classes, data_inputs, facts_of
from ...layers.inputs.dataset_problems import data_problems, missing_choices
from ...layers.inputs.folder import InputFolder, RefusedRasters
from ...layers.inputs.rasters import RasterSnapshot
from ...layers.legendclasses import LEGEND_FIELD, has_legend_classes
from ...layers.results import SHOWN, result_kind
from ...panel.background_queries import Question
from ...panel.texts import tr
from ...panel.widgets.notes import as_row
from .area_band import AreaBand, area_of_result
from .bands_controller import BandsController
from .checks_controller import ChecksController, as_error

if TYPE_CHECKING:
    from ...panel.services import Controller

PLAN_MS = 600
MOST_LIVE = 20_000
"""Features of a label layer that is being edited: all of them are read for its classes, on the main thread."""
DEM_WORDS = ("dem", "dtm", "dsm", "dgm", "srtm", "elevation", "altitude")
CLASS_WORDS = ("class", "type", "label", "category", "landcover", "landuse", "code")


class DataController(QObject):
    """Keeps the Data page up to date and prepares datasets."""

    _found: list[Any]

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk, self.page = desk, desk.dock.data
        self._refused = RefusedRasters()
        self._rasters: list[RasterSnapshot] = []
        self._timer = single_shot(self, PLAN_MS, self.plan)
        self._planned: dict[str, str] = {}
        self._tiles: dict[str, list[str]] = {}
        self._sentence, self._found = "", []
        self.page.changed.connect(self._on_page_changed)
        self.page.label_layer_changed.connect(self._on_label_layer_changed)
        self.page.class_field_changed.connect(self._on_class_field_changed)
        self.page.labels_edited.connect(self._show_classes)
        self.page.prepare_requested.connect(self.prepare)
        self.page.bands.mosaics_changed.connect(self.refresh_layers)
        self.page.problem_list.cure_requested.connect(self.merge_tiles)
        canvas = desk.iface.mapCanvas() if desk.iface is not None else None
        self.area = AreaBand(canvas)
        desk.dock.visibilityChanged.connect(self._show_area)
        scratch = "plan"
        self.bands = BandsController(
            desk, lambda: self._take(self.page.choices(), desk.workspace.scratch(scratch) / "inputs")
        )
        self.checks = ChecksController(desk, lambda folder: self._take(self.page.choices(), folder))
        desk.fresh.layers_changed.connect(self.look_again)
        if canvas is not None:
            canvas.extentsChanged.connect(self._on_map_moved)

    def close(self) -> None:
        """Let go of the project."""
        self.desk.dock.visibilityChanged.disconnect(self._show_area)
        self.area.close()
        self.bands.close()
        self._timer.stop()
        if self.desk.iface is not None:
            self.desk.iface.mapCanvas().extentsChanged.disconnect(self._on_map_moved)

    def look_again(self) -> None:
        """Layers have changed: show them as they are now, and plan anew where an input is another one."""
        self.refresh_layers()
        layer = self.page.label_layer.currentLayer()
        if isinstance(layer, QgsVectorLayer) and layer.isModified() and layer.featureCount() > MOST_LIVE:
            text = tr("{} features: classes and plan follow when the edits are saved.")
            self.page.show_label_notes("", text.format(layer.featureCount()))
        else:
            self._on_label_layer_changed(self.page.label_layer.layer_id())
            prints = self.desk.fresh.prints()
            if prints != self._planned and not self.desk.fresh.reading:
                self.plan()
        self.desk.show_states()

    def refresh_layers(self) -> None:
        """Show the raster layers of the project, in the order of the layer tree; results of GeoSeg last."""
        ordered = [node.layer() for node in self.desk.project.layerTreeRoot().findLayers()]
        layers = [layer for layer in ordered if layer is not None]
        kinds = {layer.id(): result_kind(layer) for layer in layers}
        shown = [layer for layer in layers if kinds[layer.id()] == SHOWN]
        for combo in (self.page.label_layer, self.page.area_layer):
            combo.setExceptedLayerList(shown)
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
        rows = [raster_row(layer, bool(kinds[layer.id()])) for layer in rasters]
        rows = mosaic_rows(rows, self.page.bands.mosaics)
        self.bands.rows = tuple(row for row in rows if not row.result)
        self.page.set_rasters(rows)
        self._propose_labels([layer for layer in layers if not kinds[layer.id()]])

    def merge_tiles(self, code: str) -> None:
        """Take the layers that a problem speaks of as one raster."""
        layer_ids = self._tiles.pop(code, None)
        if layer_ids:
            self.page.bands.add_mosaic(layer_ids)
            self.plan()

    def plan(self) -> None:
        """Ask the engine what would result; the answer is a sentence and a list of problems."""
        choices = self.page.choices()
        self._planned = self.desk.fresh.prints()
        self.page.show_reference(self._automatic_reference(choices))
        missing = missing_choices(choices)
        problems = data_problems(choices, self.desk.project)
        known = [item for item in problems if item not in missing]
        self.desk.forget("check")
        if not choices.band_count or any(item.severity == "error" for item in known):
            self.desk.forget("plan")
            self.area.set_area("", "")
            self.page.show_suggestion(None)
            self._found = []
            self._show("", known)
            return
        if any(item.code in ("no_labels", "no_area") for item in missing):
            choices = dataclasses.replace(choices, area_kind="rasters")
        self._ask(choices, known)

    def _show(self, sentence: str, problems: Sequence[Any], failure: dict[str, Any] | None = None) -> None:
        """Show a plan; with an error in it, or while something must still be chosen, nothing can be prepared.

        A `failure` of the engine to look at the inputs says nothing of them: only without an engine it stands in
        the way, too.
        """
        choices = self.page.choices()
        facts = facts_of(choices, self.desk.project)
        tiles = [(as_row(item).code, tiles_named(item, facts)) for item in problems]
        self._tiles = {code: layer_ids for code, layer_ids in tiles if len(layer_ids) > 1}
        cures = dict.fromkeys(self._tiles, tr("Merge tiles into one raster"))
        self.page.show_plan(sentence, [*problems, *([failure] if failure else [])], cures)
        self.page.show_missing([item.hint for item in missing_choices(choices)])
        errors = [item for item in problems if as_row(item).severity == "error"]
        self.page.set_blocked(bool(errors) or (failure or {}).get("code") == "no_engine")

    def _automatic_reference(self, choices: DataChoices) -> str:
        """Name of the layer that gives the grid where the user chooses none."""
        facts = facts_of(choices, self.desk.project)
        layer = self.desk.project.mapLayer(reference_of(facts))
        return layer.name() if layer is not None and len(facts) > 1 else ""

    def _on_page_changed(self) -> None:
        self.page.show_missing([item.hint for item in missing_choices(self.page.choices())])
        self._timer.start()

    def _on_map_moved(self) -> None:
        """What the map shows is another area now."""
        if self.page.area_kind.currentData() == "extent":
            self.desk.fresh.watch.touch()

    def prepare(self) -> None:
        """Write the stack and the label raster of a new dataset."""
        choices = self.page.choices()
        problems = [item for item in data_problems(choices, self.desk.project) if item.severity == "error"]
        if problems:
            self.plan()
            self.desk.log_problem(problems[0])
            return
        layer = self.desk.project.mapLayer(choices.label_layer_id)
        try:
            self.desk.refuse_unwritable()
            folder = self.desk.workspace.new_dataset(choices.name or layer.name())
        except (GeoSegError, OSError) as error:
            self.desk.report(as_error(error))
            return
        try:
            taken = self._take(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            discard(folder)
            self.desk.report(as_error(error))
            return
        self._log_notes(taken)
        prints = self.desk.fresh.prints(hurry=True)

        def prepared(result: dict[str, Any], _folder: Path) -> None:
            with contextlib.suppress(OSError):  # then it is not known what the dataset was made from
                freshness.keep_inputs(folder, prints)
            self._on_prepared(result)

        title = tr("Prepare {}").format(folder.name)
        submissions = dataset_submissions(folder, taken, choices.write_stack)
        self.desk.start(title, taken.exports, submissions, prepared, self._on_failed, made=folder)

    def show_state(self) -> None:
        """Tick when the current dataset has labels on a grid."""
        self._show_area()
        step = self.desk.states["data"]
        text = tr("Choose rasters and polygons, then prepare them.")
        self.desk.fresh.show(
            "data", step, tr("Prepared: {}").format(self.desk.dataset) if step.done else text
        )

    def _show_area(self, *_visible: object) -> None:
        """The area is on the map while somebody looks at this page."""
        self.area.show(self.desk.dock.current_step() == "data" and self.desk.dock.isUserVisible())

    def _ask(self, choices: DataChoices, known: list[Problem]) -> None:
        try:
            folder = self.desk.workspace.scratch("plan")
            taken = self._take(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            failed = as_error(error)
            self._show("", known, {"code": failed.code, "message": failed.message, "hint": failed.hint})
            return
        exports = [item for item in taken.exports if not is_written_raster(item)]
        self.bands.show(taken.bands)
        submission = prepare.plan(folder, taken.bands, taken.grid, taken.area, taken.labels)
        self._show(self._sentence, [*known, *self._found])
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

    def _take(self, choices: DataChoices, folder: Path) -> DataInputs:
        canvas = self.desk.iface.mapCanvas() if self.desk.iface is not None else None
        inputs = InputFolder(folder, self._refused.layer_ids)
        self._rasters = inputs.rasters
        return data_inputs(choices, inputs, self.desk.project, shown_extent(canvas))

    def _on_planned(self, result: dict[str, Any], known: list[Problem], taken: DataInputs) -> None:
        found = [*(result.get("problems") or []), *(result.get("warnings") or [])]
        sentence = str(result.get("sentence") or "")
        self._sentence, self._found = sentence, found
        self._show(sentence, [*known, *found])
        self.page.show_suggestion(result.get("suggestion"))
        self.area.set_area(*area_of_result(result))
        blocking = [item for item in known if item.severity == "error"]
        if taken.labels is not None and not blocking and not result.get("problems"):
            self._check(taken, taken.labels, known)

    def _check(self, taken: DataInputs, labels: Labels, known: list[Problem]) -> None:
        """Look at the labels themselves, from the files that were written for the plan."""
        tile_px = self.desk.dock.tiles.choices().tile_px
        folder = self.desk.workspace.scratch("plan")
        submission = prepare.check(folder, taken.bands, labels, taken.area, taken.grid, tile_px)
        self.desk.ask(
            Question(
                "check",
                tr("Check the labels"),
                [],
                [submission],
                lambda result: self._on_looked(result, known),
                lambda problem: self._show(self._sentence, [*known, *self._found], problem),
            )
        )

    def _on_looked(self, result: dict[str, Any], known: list[Problem]) -> None:
        self._found = [*self._found, *(result.get("problems") or [])]
        self._show(self._sentence, [*known, *self._found])

    def _on_not_planned(self, problem: dict[str, Any], known: list[Problem]) -> None:
        if self._retry_with_export(problem):
            self.plan()
            return
        self._sentence, self._found = "", []
        self._show("", known, problem)

    def _on_prepared(self, result: dict[str, Any]) -> None:
        output = Path(str(result.get("output", "")))
        self.desk.dataset = output.parent
        problems = result.get("warnings") or []
        self.page.show_prepared(tr("Prepared {}.").format(output.parent.name), problems)

    def _on_failed(self, problem: dict[str, Any]) -> None:
        if self._retry_with_export(problem):
            self.desk.afterwards(self.prepare)

    def _retry_with_export(self, problem: dict[str, Any]) -> bool:
        """After the engine could not open a layer: let QGIS write a copy of it, once."""
        found = self._refused.note(problem, self._rasters)
        if found is None:
            return False
        text = tr("The engine cannot open layer “{}”: QGIS writes a copy for it.").format(found.raster.name)
        self.desk.dock.show_note(text)
        self.desk.dock.footer.add_log("warning", text)
        return True

    def _log_notes(self, taken: DataInputs) -> None:
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
        if isinstance(layer, QgsVectorLayer):
            fields = class_fields(layer)
            if has_legend_classes(layer):
                fields = [LEGEND_FIELD, *fields]
            self.page.set_class_fields(fields, proposed_field(layer, fields))
        else:
            self.page.set_class_fields([], is_raster=isinstance(layer, QgsRasterLayer))
        vectors = [
            item for item in self.desk.project.mapLayers().values() if isinstance(item, QgsVectorLayer)
        ]
        self.page.show_label_notes(
            "" if layer is not None else unlisted_text(vectors),
            filter_text(layer) if isinstance(layer, QgsVectorLayer) else "",
        )

    def _on_class_field_changed(self, _field: str) -> None:
        self._show_classes()

    def _show_classes(self) -> None:
        self.page.legend.set_classes(chosen_classes(self.page.choices(), self.desk.project))


def dataset_submissions(folder: Path, taken: DataInputs, write_stack: bool) -> list[Submission]:
    """Stack and labels; without writing the stack its recipe takes its place."""
    labels = present(taken.labels, "the label layer")
    if write_stack:
        return prepare.dataset(folder, taken.bands, taken.grid, taken.area, labels)
    planned = prepare.stack(folder, taken.bands, taken.grid, taken.area, labels)
    recipe = dataclasses.replace(planned, job=dataclasses.replace(planned.job, dry_run=True))  # type: ignore[call-arg]
    recipe_file = (folder / prepare.STACK).with_suffix(".recipe.json")
    return [recipe, prepare.rasterize(folder, labels, taken.area, stack_path=recipe_file)]


def raster_row(layer: QgsRasterLayer, is_result: bool = False) -> RasterRow:
    """A raster layer as the band tree shows it; results of GeoSeg are not proposed."""
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
    tick = not problems and not is_result
    return RasterRow(layer.id(), layer.name(), names, size, details, tick, dem, problem, result=is_result)


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


def unlisted_text(layers: Sequence[QgsVectorLayer]) -> str:
    """Which vector layers cannot be labels, and why; empty if all can."""
    kinds = {Qgis.GeometryType.Point: tr("points"), Qgis.GeometryType.Line: tr("lines")}
    names = [
        f"“{layer.name()}” ({kinds[layer.geometryType()]})"
        for layer in layers
        if layer.geometryType() in kinds
    ]
    if not names:
        return ""
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return tr("Not listed: {}. Labels are polygons or a raster of classes: buffer points and lines.").format(
        listed
    )


def filter_text(layer: QgsVectorLayer) -> str:
    """How many features the layer's filter leaves; empty without a filter."""
    if not layer.subsetString():
        return ""
    return tr("Filtered: {} of {} features are used.").format(layer.featureCount(), unfiltered_count(layer))


def polygon_problem(layer: QgsVectorLayer) -> bool:
    """Whether a vector layer cannot give labels."""
    return any(
        item.code in ("not_polygons", "layer_invalid", "file_missing") for item in snapshot.problems(layer)
    )


def is_written_raster(export: Any) -> bool:
    """Whether a raster copy for planning is there already."""
    return isinstance(export, RasterExport) and export.path.exists()


def single_shot(parent: QObject, milliseconds: int, action: Any) -> QTimer:
    """A timer that calls `action` once, some time after its last start."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer
