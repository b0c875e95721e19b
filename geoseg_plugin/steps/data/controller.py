"""The Data step: layers of the project -> page; choices -> plan, check and dataset."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsRasterLayer, QgsUnitTypes, QgsVectorLayer

from ...contract import GeoSegError, Labels, Problem, present
from ...jobs import prepare
from ...jobs.choices import DataChoices
from ...jobs.rasterfacts import reference_of, tiles_named
from ...jobs.submission import Submission
from ...layers import snapshot
from ...layers.class_field import proposed_field
from ...layers.classes import class_fields
from ...layers.facts import unfiltered_count
from ...layers.inputs.areas import shown_extent
from ...layers.inputs.dataset import DataInputs, chosen_classes, data_inputs, facts_of
from ...layers.inputs.dataset_problems import data_problems, missing_choices
from ...layers.inputs.dataset_state import StateOf, dataset_state
from ...layers.inputs.folder import InputFolder, RasterSnapshot, RefusedRasters
from ...layers.legendclasses import LEGEND_FIELD, has_legend_classes
from ...layers.results import SHOWN, result_kind
from ...panel.background_queries import Query
from ...panel.errors import as_error, problem_of
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import tr
from ...panel.timers import PLAN_MS, single_shot
from ...panel.widgets.notes import as_row
from ...records import freshness
from ...records.workspace import discard
from .area_band import AreaBand, area_of_result
from .bands_controller import BandsController
from .checks_controller import ChecksController
from .page import DataPage
from .state import RasterRow, mosaic_rows

MAX_LIVE = 20_000
"""Features of a label layer that is being edited: all of them are read for its classes, on the main thread."""
DEM_NAMES = ("dem", "dtm", "dsm", "dgm", "srtm", "elevation", "altitude")


class DataController(StepController):
    """Keeps the Data page up to date and prepares datasets.

    Args:
        services: those of the panel.
        page: the Data page.
        tile_px: the side of the tiles that would be made, in pixels.
    """

    _found: list[Any]

    def __init__(self, services: PanelServices, page: DataPage, tile_px: Callable[[], int]) -> None:
        super().__init__(services)
        self.page, self._tile_px = page, tile_px
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
        self.page.labels_edited.connect(self._show_drawn)
        self.page.prepare_requested.connect(self.prepare)
        self.page.bands.mosaics_changed.connect(self.refresh_layers)
        self.page.problem_list.fix_requested.connect(self.merge_tiles)
        canvas = services.canvas
        self.area = AreaBand(canvas)
        services.dock.visibilityChanged.connect(self._show_area)
        self.bands = BandsController(services, page.bands, self._inputs_for_plan)
        self.checks = ChecksController(
            services, page, lambda folder: self._data_inputs(self.page.choices(), folder), tile_px
        )
        services.freshness.follow(self)
        services.engine_probed.connect(self.plan)
        services.freshness.layers_changed.connect(self.look_again)
        if canvas is not None:
            canvas.extentsChanged.connect(self._on_map_moved)

    def close(self) -> None:
        """Let go of the project."""
        self.services.dock.visibilityChanged.disconnect(self._show_area)
        self.area.close()
        self.bands.close()
        self._timer.stop()
        if self.services.canvas is not None:
            self.services.canvas.extentsChanged.disconnect(self._on_map_moved)

    def look_again(self) -> None:
        """Show layers that have changed, and plan again if an input is another one."""
        self.refresh_layers()
        layer = self.page.label_layer.currentLayer()
        if isinstance(layer, QgsVectorLayer) and layer.isModified() and layer.featureCount() > MAX_LIVE:
            text = tr("{} features: classes and plan follow when the edits are saved.")
            self.page.show_label_note(text.format(layer.featureCount()))
        else:
            self._on_label_layer_changed(self.page.label_layer.layer_id())
            prints = self.services.freshness.prints()
            if prints != self._planned and not self.services.freshness.reading:
                self.plan()
        self.services.states_wanted.emit()

    def refresh_layers(self) -> None:
        """Show the raster layers of the project, in the order of the layer tree; results of GeoSeg last."""
        ordered = [node.layer() for node in self.services.project.layerTreeRoot().findLayers()]
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
        """Merge the layers that a problem names into one raster."""
        layer_ids = self._tiles.pop(code, None)
        if layer_ids:
            self.page.bands.add_mosaic(layer_ids)
            self.plan()

    def plan(self) -> None:
        """Request the plan of the engine: a sentence and a list of problems."""
        choices = self.page.choices()
        self._planned = self.services.freshness.prints()
        self.page.show_reference(self._automatic_reference(choices))
        missing = missing_choices(choices)
        problems = data_problems(choices, self.services.project)
        known = [item for item in problems if item not in missing]
        self.services.queries.withdraw("check")
        if not choices.band_count or any(item.severity == "error" for item in known):
            self.services.queries.withdraw("plan")
            self.area.set_area("", "")
            self.page.show_suggestion(None)
            self._found = []
            self._show("", known)
            return
        if any(item.code in ("no_labels", "no_area") for item in missing):
            choices = dataclasses.replace(choices, area_kind="rasters")
        self._request_plan(choices, known)

    def _show(self, sentence: str, problems: Sequence[Any], failure: dict[str, Any] | None = None) -> None:
        """Show a plan; with an error in it, or while something is not chosen, nothing can be prepared.

        A `failure` of the engine is no problem of the inputs: it blocks only where there is no engine.
        """
        choices = self.page.choices()
        facts = facts_of(choices, self.services.project)
        tiles = [(as_row(item).code, tiles_named(item, facts)) for item in problems]
        self._tiles = {code: layer_ids for code, layer_ids in tiles if len(layer_ids) > 1}
        fixes = dict.fromkeys(self._tiles, tr("Merge tiles into one raster"))
        self.page.show_plan(sentence, [*problems, *([failure] if failure else [])], fixes)
        self.page.show_missing([item.hint for item in missing_choices(choices)])
        errors = [item for item in problems if as_row(item).severity == "error"]
        self.page.set_blocked(bool(errors) or (failure or {}).get("code") == "no_engine")

    def _automatic_reference(self, choices: DataChoices) -> str:
        """Name of the layer that gives the grid where the user chooses none."""
        facts = facts_of(choices, self.services.project)
        layer = self.services.project.mapLayer(reference_of(facts))
        return layer.name() if layer is not None and len(facts) > 1 else ""

    def _on_page_changed(self) -> None:
        self.page.show_missing([item.hint for item in missing_choices(self.page.choices())])
        self._timer.start()

    def _on_map_moved(self) -> None:
        """The map extent is the area, and has changed."""
        if self.page.area_kind.currentData() == "extent":
            self.services.freshness.watch.touch()

    def prepare(self) -> None:
        """Write the stack and the label raster of a new dataset."""
        choices = self.page.choices()
        problems = [
            item for item in data_problems(choices, self.services.project) if item.severity == "error"
        ]
        if problems:
            self.plan()
            self.services.errors.log(problems[0])
            return
        layer = self.services.project.mapLayer(choices.label_layer_id)
        try:
            self.services.jobs.check_writable()
            folder = self.services.workspace.new_dataset(choices.name or layer.name())
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        try:
            inputs = self._data_inputs(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            discard(folder)
            self.services.errors.show(error)
            return
        self._log_notes(inputs)
        prints = self.services.freshness.prints(hurry=True)

        def prepared(result: dict[str, Any], _folder: Path) -> None:
            with contextlib.suppress(OSError):  # then it is not known what the dataset was made from
                freshness.keep_inputs(folder, prints)
            self._on_prepared(result)

        title = tr("Prepare {}").format(folder.name)
        submissions = dataset_submissions(folder, inputs, choices.write_stack)
        self.services.jobs.start(title, inputs.exports, submissions, prepared, self._on_failed, made=folder)

    def show_state(self) -> None:
        """Tick when the current dataset has labels on a grid."""
        self._show_area()
        step = self.services.freshness.steps["data"]
        text = tr("Choose rasters and polygons, then prepare them.")
        self.services.mark_step(
            "data", tr("Prepared: {}").format(self.services.state.dataset) if step.done else text
        )

    def _show_area(self, *_visible: object) -> None:
        """Show the area on the map while this page is visible."""
        self.area.show(self.services.dock.current_step() == "data" and self.services.dock.isUserVisible())

    def _request_plan(self, choices: DataChoices, known: list[Problem]) -> None:
        try:
            folder = self.services.workspace.scratch("plan")
            inputs = self._data_inputs(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            self._show("", known, problem_of(as_error(error)))
            return
        self.bands.show(inputs.bands)
        submission = prepare.plan(folder, inputs.bands, inputs.grid, inputs.area, inputs.labels)
        self._show(self._sentence, [*known, *self._found])
        self.page.show_planning()
        self.services.queries.submit(
            Query(
                "plan",
                tr("Plan the grid"),
                inputs.folder.missing,
                [submission],
                lambda result: self._on_planned(result, known, inputs),
                lambda problem: self._on_not_planned(problem, known),
            )
        )

    def _data_inputs(self, choices: DataChoices, folder: Path) -> DataInputs:
        written = InputFolder(folder, self._refused.layer_ids)
        self._rasters = written.rasters
        return data_inputs(choices, written, self.services.project, shown_extent(self.services.canvas))

    def _inputs_for_plan(self) -> DataInputs:
        return self._data_inputs(self.page.choices(), self.services.workspace.scratch("plan") / "inputs")

    def complete(self) -> bool:
        """Return whether everything is chosen that a dataset needs."""
        return not missing_choices(self.page.choices())

    def described(self, state: StateOf) -> dict[str, Any]:
        """Return everything that a dataset is made from, part by part, as JSON-able data."""
        shown = shown_extent(self.services.canvas)
        return dataset_state(self.page.choices(), self.services.project, shown, state)

    def _on_planned(self, result: dict[str, Any], known: list[Problem], inputs: DataInputs) -> None:
        found = [*(result.get("problems") or []), *(result.get("warnings") or [])]
        sentence = str(result.get("sentence") or "")
        self._sentence, self._found = sentence, found
        self._show(sentence, [*known, *found])
        self.page.show_suggestion(result.get("suggestion"))
        self.area.set_area(*area_of_result(result))
        blocking = [item for item in known if item.severity == "error"]
        if inputs.labels is not None and not blocking and not result.get("problems"):
            self._check(inputs, inputs.labels, known)

    def _check(self, inputs: DataInputs, labels: Labels, known: list[Problem]) -> None:
        """Look at the labels themselves, from the files that were written for the plan."""
        tile_px = self._tile_px()
        folder = self.services.workspace.scratch("plan")
        submission = prepare.check(folder, inputs.bands, labels, inputs.area, inputs.grid, tile_px)
        self.services.queries.submit(
            Query(
                "check",
                tr("Check the labels"),
                [],
                [submission],
                lambda result: self._on_checked(result, known),
                lambda problem: self._show(self._sentence, [*known, *self._found], problem),
            )
        )

    def _on_checked(self, result: dict[str, Any], known: list[Problem]) -> None:
        self._found = [*self._found, *(result.get("problems") or [])]
        self._show(self._sentence, [*known, *self._found])

    def _on_not_planned(self, problem: dict[str, Any], known: list[Problem]) -> None:
        if self._will_copy(problem):
            self.plan()
            return
        self._sentence, self._found = "", []
        self._show("", known, problem)

    def _on_prepared(self, result: dict[str, Any]) -> None:
        output = Path(str(result.get("output", "")))
        self.services.state.dataset = output.parent
        problems = result.get("warnings") or []
        self.page.show_prepared(tr("Prepared {}.").format(output.parent.name), problems)

    def _on_failed(self, problem: dict[str, Any]) -> None:
        if self._will_copy(problem):
            self.services.jobs.afterwards(self.prepare)

    def _will_copy(self, problem: dict[str, Any]) -> bool:
        """Whether the next run gets a copy of the raster that the engine could not open."""
        found = self._refused.note(problem, self._rasters)
        if found is None:
            return False
        text = tr("The engine cannot open layer “{}”: QGIS writes a copy for it.").format(found.raster.name)
        self.services.dock.show_note(text)
        self.services.dock.footer.add_log("warning", text)
        return True

    def _log_notes(self, inputs: DataInputs) -> None:
        for note in inputs.notes:
            self.services.dock.footer.add_log("info", note)

    def _propose_labels(self, layers: list[QgsMapLayer]) -> None:
        if self.page.label_layer.currentLayer() is not None:
            return
        usable = [layer for layer in layers if isinstance(layer, QgsVectorLayer) and can_be_labels(layer)]
        polygons = [layer for layer in usable if not snapshot.is_sampled(layer)]
        if len(polygons) == 1 or len(usable) == 1:
            self.page.label_layer.setLayer((polygons or usable)[0])

    def _on_label_layer_changed(self, layer_id: str) -> None:
        layer = self.services.project.mapLayer(layer_id)
        if isinstance(layer, QgsVectorLayer):
            fields = class_fields(layer)
            if has_legend_classes(layer):
                fields = [LEGEND_FIELD, *fields]
            self.page.set_class_fields(fields, proposed_field(layer, fields))
        else:
            self.page.set_class_fields([], is_raster=isinstance(layer, QgsRasterLayer))
        self.page.show_label_note(filter_text(layer) if isinstance(layer, QgsVectorLayer) else "")
        self._show_drawn()

    def _show_drawn(self) -> None:
        """Show what the kinds of the label layers need, and the selection."""
        choices, layers = self.page.choices(), self.services.project.mapLayer
        drawn = [layers(choices.label_layer_id), *(layers(item.layer_id) for item in choices.more_labels)]
        kinds = {layer.geometryType() for layer in drawn if isinstance(layer, QgsVectorLayer)}
        selected = drawn[0].selectedFeatureCount() if isinstance(drawn[0], QgsVectorLayer) else 0
        self.page.show_drawn(Qgis.GeometryType.Point in kinds, Qgis.GeometryType.Line in kinds, selected)

    def _on_class_field_changed(self, _field: str) -> None:
        self._show_classes()

    def _show_classes(self) -> None:
        self.page.legend.set_classes(chosen_classes(self.page.choices(), self.services.project))


def dataset_submissions(folder: Path, inputs: DataInputs, write_stack: bool) -> list[Submission]:
    """Return the jobs of stack and labels; if the stack is not written, its recipe is used instead."""
    labels = present(inputs.labels, "the label layer")
    if write_stack:
        return prepare.dataset(folder, inputs.bands, inputs.grid, inputs.area, labels)
    planned = prepare.stack(folder, inputs.bands, inputs.grid, inputs.area, labels)
    recipe = dataclasses.replace(planned, job=dataclasses.replace(planned.job, dry_run=True))  # type: ignore[call-arg]
    recipe_file = (folder / prepare.STACK).with_suffix(".recipe.json")
    return [recipe, prepare.rasterize(folder, labels, inputs.area, stack_path=recipe_file)]


def raster_row(layer: QgsRasterLayer, is_result: bool = False) -> RasterRow:
    """Return a raster layer as the band tree shows it; results of GeoSeg are not proposed."""
    problems = [item for item in snapshot.problems(layer) if item.severity == "error"]
    bands = snapshot.value_bands(layer)
    names = tuple(layer.bandName(band) for band in range(1, max(bands, default=0) + 1))
    unit = QgsUnitTypes.toAbbreviatedString(layer.crs().mapUnits()) if layer.crs().isValid() else ""
    size = f"{layer.rasterUnitsPerPixelX():.4g} {unit}".strip()
    details = tr("{} bands, {} × {} px of {}, {}").format(
        len(bands), layer.height(), layer.width(), size, layer.crs().authid() or tr("own CRS")
    )
    parts = layer.name().lower().replace("_", " ").replace("-", " ").split()
    dem = len(bands) == 1 and any(part in DEM_NAMES for part in parts)
    problem = " ".join(f"{item.message} {item.hint}" for item in problems)
    tick = not problems and not is_result
    return RasterRow(layer.id(), layer.name(), names, size, details, tick, dem, problem, result=is_result)


def filter_text(layer: QgsVectorLayer) -> str:
    """Return how many features the layer's filter leaves; empty without a filter."""
    if not layer.subsetString():
        return ""
    used, whole = layer.featureCount(), unfiltered_count(layer)
    if whole < 0:
        return tr("{} features by the layer's filter").format(used)
    return tr("{} of {} by the layer's filter").format(used, whole)


def can_be_labels(layer: QgsVectorLayer) -> bool:
    """Return whether a vector layer can give labels."""
    wrong = ("not_polygons", "layer_invalid", "file_missing")
    return not any(item.code in wrong for item in snapshot.problems(layer, labels=True))
