"""The Predict step: a model and layers -> styled classes, confidence and polygons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsCoordinateReferenceSystem, QgsMapLayer, QgsRasterLayer, QgsUnitTypes
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QFileDialog

from ..contract import GeoSegError, Problem, Source
from ..jobs import engine as engine_jobs
from ..jobs import predict
from ..layers import publish, snapshot
from .choices import NamedPath, PredictChoices
from .controller_checks import as_error
from .controller_data import PLAN_MS, is_written_raster, single_shot
from .inputs_from_layers import Export, canvas_extent
from .pages.predict import Slot
from .questions import Question
from .slots import Need, needs_of, proposed, slot_sources
from .words import share, tr

if TYPE_CHECKING:
    from .controller import Controller


class PredictController(QObject):
    """Keeps the Predict page up to date and predicts."""

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk, self.page = desk, desk.dock.predict
        self._announced = ""
        self._needs: tuple[Need, ...] = ()
        self._browsed: list[NamedPath] = []
        self._to_export: set[str] = set()
        self._timer = single_shot(self, PLAN_MS, self.plan)
        self._layers_timer = single_shot(self, 100, self._propose_layers)
        desk.project.layersAdded.connect(self._on_layers_added)
        self.page.changed.connect(self._timer.start)
        self.page.model_chosen.connect(self._on_model_chosen)
        self.page.browse_requested.connect(self.browse)
        self.page.predict_requested.connect(self.predict)

    def close(self) -> None:
        """Let go of the project."""
        self._timer.stop()
        self._layers_timer.stop()
        self.desk.project.layersAdded.disconnect(self._on_layers_added)

    def refresh(self) -> None:
        """Show the models of the workspace, newest first."""
        run = self.desk.run
        newest = str(run / "model.onnx") if run is not None and (run / "model.onnx").exists() else ""
        current = "" if newest == self._announced else newest
        self._announced = newest
        self.page.set_models([*self._browsed, *self._workspace_models()], current)

    def browse(self) -> None:
        """Choose a model file from elsewhere."""
        title, kinds = tr("Choose a model"), tr("GeoSeg model (*.onnx)")
        path, _kind = QFileDialog.getOpenFileName(self.desk.dock, title, str(self.desk.workspace.root), kinds)
        if path:
            self.use_model(Path(path))

    def use_model(self, path: Path) -> None:
        """Choose a model file."""
        named = NamedPath(path.stem if path.stem != "model" else path.parent.name, str(path), tr("(file)"))
        self._browsed = [named, *(item for item in self._browsed if item.path != named.path)]
        self.page.set_models([*self._browsed, *self._workspace_models()], named.path)

    def plan(self) -> None:
        """Ask the engine whether the layers fit the model."""
        choices = self.page.choices()
        if not choices.model or not choices.slots:
            self.desk.forget("predict plan")
            return
        problems = slot_problems(choices, self.desk, self._needs)
        if problems:
            self.page.sentence.set_text("")
            self.page.problem_list.set_problems(problems)
            self.desk.forget("predict plan")
            return
        try:
            folder = self.desk.workspace.scratch("predict")
            sources, exports = self._sources(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            self.page.problem_list.set_problems([row(as_error(error))])
            return
        extent, crs = self._extent(choices)
        submission = predict.plan(folder, Path(choices.model), sources, extent=extent, extent_crs=crs)
        exports = [item for item in exports if not is_written_raster(item)]
        question = Question(
            "predict plan", tr("Match layers"), exports, [submission], self._on_planned, self._on_not_planned
        )
        self.desk.ask(question)

    def predict(self) -> None:
        """Predict with the chosen model and layers."""
        choices = self.page.choices()
        problems = [
            item for item in slot_problems(choices, self.desk, self._needs) if item.severity == "error"
        ]
        if problems:
            self.page.problem_list.set_problems(problems)
            self.desk.report(GeoSegError(problems[0].code, problems[0].message, problems[0].hint))
            return
        model = Path(choices.model)
        try:
            self.desk.refuse_unwritable()
            name = model.parent.name if model.stem == "model" else model.stem
            folder = self.desk.workspace.new_prediction(name)
            sources, exports = self._sources(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            self.desk.report(as_error(error))
            return
        extent, crs = self._extent(choices)
        ticked = {
            "confidence": choices.confidence,
            "polygons": choices.polygons,
            "entropy": choices.entropy,
        }
        outputs = [key for key, wanted in ticked.items() if wanted]
        submission = predict.predict(folder, model, sources, outputs, extent=extent, extent_crs=crs)
        self.desk.start(submission.title, exports, [submission], self._on_predicted, self._on_failed)

    def show_state(self) -> None:
        """Tick when the workspace holds a prediction of the current run."""
        name = self.desk.run.name if self.desk.run is not None else ""
        done = any(
            entry.finished and name and entry.folder.name.startswith(name)
            for entry in self.desk.view.predictions()
        )
        models = self.page.model.currentData()
        text = tr("Choose a model and layers.") if models else tr("Train a model first, or browse for one.")
        self.desk.dock.steps.set_state(
            "predict", done, tr("Predicted with {}").format(name) if done else text
        )

    def _workspace_models(self) -> list[NamedPath]:
        found = self.desk.view.models(self.desk.run)
        return [NamedPath(entry.title, str(entry.folder / "model.onnx")) for entry in found]

    def _sources(self, choices: PredictChoices, folder: Path) -> tuple[tuple[Source, ...], list[Export]]:
        sources, exports, notes = slot_sources(
            self._needs, choices.slots, folder, self.desk.project, self._to_export
        )
        for note in notes:
            self.desk.dock.footer.add_log("info", note)
        return sources, exports

    def _extent(self, choices: PredictChoices) -> tuple[tuple[float, float, float, float] | None, str]:
        if choices.extent_kind != "map" or self.desk.iface is None:
            return None, ""
        return canvas_extent(self.desk.iface.mapCanvas())

    def _on_model_chosen(self, path: str) -> None:
        self._needs = ()
        if not path:
            self.desk.forget("describe")
            return
        try:
            folder = self.desk.workspace.scratch("describe")
        except OSError as error:
            self.page.problem_list.set_problems([row(as_error(error))])
            return
        submission = engine_jobs.describe(folder, Path(path))
        self.desk.ask(
            Question(
                "describe",
                tr("Read the model"),
                [],
                [submission],
                self._on_described,
                lambda problem: self.page.problem_list.set_problems([problem]),
            )
        )

    def _on_described(self, result: dict[str, Any]) -> None:
        self._needs = needs_of(result)
        slots = self._slots()
        classes = publish.classes_from(result)
        self.page.set_slots(slots, model_note(result), classes)
        self.page.problem_list.set_problems(result.get("warnings") or [])
        self.plan()

    def _slots(self) -> list[Slot]:
        layers = [
            layer
            for layer in self.desk.project.mapLayers().values()
            if not layer.customProperty(publish.RESULT_MARK)
        ]
        return [slot_of(item, layers) for item in self._needs]

    def _on_layers_added(self, *_layers: object) -> None:
        self._layers_timer.start()

    def _propose_layers(self) -> None:
        for slot in self._slots():
            self.page.propose(slot.key, slot.proposed)

    def _on_planned(self, result: dict[str, Any]) -> None:
        self.page.sentence.set_text(str(result.get("sentence") or ""))
        self.page.problem_list.set_problems(
            [*(result.get("problems") or []), *(result.get("warnings") or [])]
        )

    def _on_not_planned(self, problem: dict[str, Any]) -> None:
        if self._retry_with_export(problem):
            self.plan()
            return
        self.page.sentence.set_text("")
        self.page.problem_list.set_problems([problem])

    def _on_predicted(self, result: dict[str, Any], folder: Path) -> None:
        self.desk.step_back()
        publish.publish_prediction(folder, result, later=self.desk.soon)
        text = tr("Predicted: {}").format(folder.name)
        self.page.next_step.show_done(text, tr("See the results"), "results")
        self.page.problem_list.set_problems(result.get("warnings") or [])

    def _on_failed(self, problem: dict[str, Any]) -> None:
        if self._retry_with_export(problem):
            self.desk.afterwards(self.predict)

    def _retry_with_export(self, problem: dict[str, Any]) -> bool:
        if problem.get("code") != "cannot_open":
            return False
        ids = self.page.choices().slots.values()
        layers = [
            layer for layer in map(self.desk.project.mapLayer, ids) if isinstance(layer, QgsRasterLayer)
        ]
        found = snapshot.layer_named_in(str(problem.get("message", "")), layers)
        if found is None or found.id() in self._to_export:
            return False
        self._to_export.add(found.id())
        return True


def slot_of(need: Need, layers: list[QgsMapLayer]) -> Slot:
    """A slot of the model with the layer that fits best."""
    source = need.source
    name = source.name or source.key
    bands = ", ".join(band.removeprefix(f"{name}: ") for band in need.bands)
    return Slot(source.key, name, bands, proposed(need, layers), need.kind)


def slot_problems(choices: PredictChoices, desk: Controller, needs: tuple[Need, ...]) -> list[Problem]:
    """Slots without a layer, and what is wrong with the layers themselves."""
    found = []
    rasters = [need.source.key for need in needs if need.kind == "raster"]
    if not all(choices.slots.get(key) for key in rasters):
        found.append(
            Problem("no_layer", tr("A layer is missing."), tr("Choose a raster layer for every line above."))
        )
    for layer_id in choices.slots.values():
        layer = desk.project.mapLayer(layer_id)
        if isinstance(layer, QgsRasterLayer):
            found += snapshot.problems(layer)
    return found


def model_note(result: dict[str, Any]) -> str:
    """A model in words."""
    metrics = result.get("metrics") or {}
    miou = metrics.get("miou") if isinstance(metrics, dict) else None
    size = result.get("pixel_size")
    side = size[0] if isinstance(size, (list, tuple)) and size else size
    parts = [tr("{} bands").format(len(result.get("bands") or []))]
    if isinstance(side, (int, float)):
        crs = QgsCoordinateReferenceSystem(str(result.get("crs") or ""))
        unit = QgsUnitTypes.toAbbreviatedString(crs.mapUnits()) if crs.isValid() else ""
        parts.append(tr("pixels of {:g} {}").format(side, unit).strip())
    if miou is not None:
        parts.append(tr("validation IoU {}").format(share(miou)))
    return ", ".join(parts)


def row(error: GeoSegError) -> Problem:
    """An error as a row of a problem list."""
    return Problem(error.code, error.message, error.hint)
