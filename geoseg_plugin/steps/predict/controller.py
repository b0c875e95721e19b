"""The Predict step: a model and layers -> styled classes, polygons and layers of confidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer
from qgis.PyQt.QtWidgets import QFileDialog

from ...contract import Cleaning, DescribeJob, GeoSegError, Job, Outlines, PredictJob, Problem
from ...engine.liveness import job_kind
from ...jobs import predict
from ...jobs.choices import NamedPath, PredictChoices
from ...jobs.modelinputs import ModelInput, model_inputs, own_name
from ...jobs.submission import Submission
from ...layers import publish
from ...layers.bandsources import BAND_SOURCES
from ...layers.inputs.areas import shown_extent
from ...layers.inputs.folder import InputFolder, RasterSnapshot, RefusedRasters
from ...layers.inputs.model_inputs import proposed_layer
from ...layers.inputs.prediction import (
    ModelNeeds,
    PredictionInputs,
    band_list,
    prediction_inputs,
    prediction_problems,
)
from ...layers.results import result_kind
from ...panel.background_queries import Query
from ...panel.errors import as_error, problem_of
from ...panel.layer_visibility import hide_earlier_results, show_layer_of
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import state_names, tr
from ...panel.timers import PLAN_MS, single_shot
from ...records.predictions import has_parts, pace_of, with_facts
from ...records.workspace import discard
from .page import PredictPage, Slot
from .state import setting_problems
from .summaries import model_note, plan_sentence, result_note

BEYOND = "beyond_training"
"""Code of the warning about values that do not occur in the training data."""


class PredictController(StepController):
    """Keeps the Predict page up to date and predicts."""

    def __init__(self, services: PanelServices, page: PredictPage) -> None:
        super().__init__(services)
        self.page = page
        self._announced = ""
        self._model = ModelNeeds()
        self._browsed: list[NamedPath] = []
        self._refused = RefusedRasters()
        self._rasters: list[RasterSnapshot] = []
        self._planned: tuple[Job, dict[str, Any]] | None = None
        self._beyond = ""
        self._followed: Path | None = None
        self._timer = single_shot(self, PLAN_MS, self.plan)
        services.freshness.layers_changed.connect(self._on_layers_changed)
        self.page.changed.connect(self._timer.start)
        self.page.model_chosen.connect(self._on_model_chosen)
        self.page.browse_requested.connect(self.browse)
        self.page.predict_requested.connect(self.predict)
        self.page.resume_requested.connect(self.resume)
        self.page.attach_requested.connect(self.attach)
        self.page.place_requested.connect(lambda _code: show_layer_of(self._beyond, services.project))
        self._canvas = services.canvas
        services.jobs.runner.submission_finished.connect(self._on_submission_finished)
        if self._canvas is not None:
            self.page.rectangle.setMapCanvas(self._canvas)
            self._canvas.extentsChanged.connect(self._on_map_moved)

    def close(self) -> None:
        """Let go of the project."""
        self._timer.stop()
        if self._canvas is not None:
            self._canvas.extentsChanged.disconnect(self._on_map_moved)

    def refresh(self) -> None:
        """Show the models of the workspace, newest first, and interrupted predictions."""
        run = self.services.state.run
        newest = str(run / "model.onnx") if run is not None and (run / "model.onnx").exists() else ""
        current = "" if newest == self._announced else newest
        self._announced = newest
        wanted = self.page.wanted_model
        if wanted and Path(wanted).is_file():
            current = wanted
            if wanted not in {item.path for item in (*self._browsed, *self._workspace_models())}:
                self._browsed = [browsed(Path(wanted)), *self._browsed]
        self.page.set_models([*self._browsed, *self._workspace_models()], current)
        self._show_unfinished()

    def browse(self) -> None:
        """Choose a model file from elsewhere."""
        title, kinds = tr("Choose a model"), tr("Models of GeoSeg or Deepness (*.onnx)")
        path, _kind = QFileDialog.getOpenFileName(
            self.services.dock, title, str(self.services.workspace.root), kinds
        )
        if path:
            self.use_model(Path(path))

    def use_model(self, path: Path) -> None:
        """Choose a model file."""
        named = browsed(path)
        self._browsed = [named, *(item for item in self._browsed if item.path != named.path)]
        self.page.set_models([*self._browsed, *self._workspace_models()], named.path)

    def plan(self) -> None:
        """Request whether the layers fit the model; an earlier result for the same job is reused."""
        choices = self.page.choices()
        if not choices.model or not self._model.known:
            self.services.queries.withdraw("predict plan")
            return
        problems = self._problems(choices)
        if any(item.severity == "error" for item in problems):
            self.page.show_plan("", problems)
            self.services.queries.withdraw("predict plan")
            return
        try:
            folder = self.services.workspace.scratch("predict")
            inputs = self._prediction_inputs(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            self.page.show_plan("", [problem_of(as_error(error))])
            return
        submission = self._plan_submission(choices, inputs, folder)
        if self._planned is not None and self._planned[0] == submission.job:
            self._on_planned(self._planned[1])
            return
        exports = inputs.folder.missing if inputs.folder is not None else []

        def planned(result: dict[str, Any]) -> None:
            self._planned = (submission.job, result)
            self._on_planned(result)

        title = tr("Match layers")
        self.services.queries.submit(
            Query("predict plan", title, exports, [submission], planned, self._on_not_planned)
        )

    def predict(self) -> None:
        """Predict with the chosen model and layers."""
        choices = self.page.choices()
        problems = self._problems(choices)
        problems = [item for item in problems if item.severity == "error"]
        if problems:
            self.page.problem_list.set_problems(problems)
            self.services.errors.log(problems[0])
            return
        model = Path(choices.model)
        try:
            self.services.jobs.check_writable()
            name = model.parent.name if model.stem == "model" else model.stem
            folder = self.services.workspace.new_prediction(name)
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        try:
            inputs = self._prediction_inputs(choices, folder / "inputs")
        except (GeoSegError, OSError) as error:
            discard(folder)
            self.services.errors.show(error)
            return
        submission = predict.predict(folder, model, inputs.sources, choices.outputs, **inputs.settings)
        self._run(submission, inputs, made=folder)

    def resume(self, folder: str) -> None:
        """Resume an interrupted prediction."""
        try:
            submission = predict.resume(Path(folder))
        except GeoSegError as error:
            self.services.errors.show(error)
            return
        self._run(submission, PredictionInputs())

    def attach(self, folder: str) -> None:
        """Follow a prediction whose engine outlived QGIS."""
        if self.services.jobs.follow(
            lambda: self.services.jobs.runner.attach(Path(folder)), self._on_predicted
        ):
            self._follow(Path(folder))

    def show_state(self) -> None:
        """Tick when the workspace holds a prediction of the current run."""
        run = self.services.state.run
        if self.services.freshness.steps["predict"].done:
            text = tr("Predicted with {}").format(run.name if run is not None else "")
        elif self.page.model.currentData():
            text = tr("Choose a model and layers.")
        else:
            text = tr("Train a model first, or browse for one.")
        self.services.mark_step("predict", text)

    def _run(self, submission: Submission, inputs: PredictionInputs, made: Path | None = None) -> None:
        if self.services.jobs.start(
            submission.title,
            inputs.exports,
            [submission],
            self._on_predicted,
            self._on_failed,
            made=made,
        ):
            self._follow(submission.folder)

    def _follow(self, folder: Path) -> None:
        """Follow a running prediction; the result of the last one is hidden."""
        self._followed, self._beyond = folder, ""
        self.page.forget_result()
        self._show_unfinished()

    def _plan_submission(self, choices: PredictChoices, inputs: PredictionInputs, folder: Path) -> Submission:
        """The dry run; settings that it does not depend on are left out, so that its result can be reused."""
        settings = {**inputs.settings, "cleaning": Cleaning(), "outlines": Outlines(), "min_area_px": 0}
        if "disagreement" in choices.outputs:
            settings["disagreement"] = predict.FILES["disagreement"]
        return predict.plan(folder, Path(choices.model), inputs.sources, **settings)

    def _problems(self, choices: PredictChoices) -> list[Problem]:
        """What is wrong with layers and settings, known without the engine."""
        return [
            *prediction_problems(choices, self._model, self.services.project),
            *setting_problems(choices.settings),
        ]

    def _prediction_inputs(self, choices: PredictChoices, folder: Path) -> PredictionInputs:
        written, shown = InputFolder(folder, self._refused.layer_ids), shown_extent(self._canvas)
        self._rasters = written.rasters
        inputs = prediction_inputs(choices, self._model, written, self.services.project, shown)
        for note in inputs.notes:
            self.services.dock.footer.add_log("info", note)
        return inputs

    def _workspace_models(self) -> list[NamedPath]:
        found = self.services.view.models(self.services.state.run)
        return [NamedPath(entry.title, str(entry.folder / "model.onnx")) for entry in found]

    def _show_unfinished(self) -> None:
        """Show interrupted predictions that can be resumed, without the one that is followed here."""
        followed = self._followed if self.services.jobs.busy else None
        broken = ("stopped", "cancelled", "failed")
        entries = [
            entry
            for entry in self.services.view.predictions()
            if entry.folder != followed
            and (entry.state == "running" or (entry.state in broken and has_parts(entry.folder)))
        ]
        names = state_names()
        self.page.unfinished.set_entries(
            [
                NamedPath(f"{entry.title} {names[entry.state]}", str(entry.folder), entry.state)
                for entry in entries
                if job_kind(entry.folder) == PredictJob.kind
            ]
        )

    def _on_model_chosen(self, path: str) -> None:
        self._model, self._planned = ModelNeeds(), None
        if not path:
            self.services.queries.withdraw("describe")
            return
        try:
            folder = self.services.workspace.scratch("describe")
        except OSError as error:
            self.page.problem_list.set_problems([problem_of(as_error(error))])
            return
        submission = Submission(DescribeJob(path), folder, "Read the model")
        self.services.queries.submit(
            Query(
                "describe",
                tr("Read the model"),
                [],
                [submission],
                self._on_described,
                lambda problem: self.page.problem_list.set_problems([problem]),
            )
        )

    def _on_described(self, result: dict[str, Any]) -> None:
        note, classes = model_note(result), publish.classes_from(result)
        if result.get("foreign"):
            self._model = ModelNeeds(channels=tuple(str(name) for name in result.get("bands") or ()))
            self.page.set_channels(self._model.channels, band_list(self.services.project), note, classes)
        else:
            ensemble = (result.get("architecture") or {}).get("name") == "ensemble"
            self._model = ModelNeeds(model_inputs(result), ensemble=ensemble)
            self.page.set_slots(self._slots(), note, classes, ensemble)
        self.page.problem_list.set_problems(result.get("warnings") or [])
        self.plan()

    def _slots(self) -> list[Slot]:
        layers = [layer for layer in self.services.project.mapLayers().values() if not result_kind(layer)]
        return [slot_of(item, layers) for item in self._model.inputs]

    def _on_layers_changed(self) -> None:
        """Propose layers anew; where the job is another one now (a CRS, a nodata value), plan it again."""
        self._propose_layers()
        if self._model.known:
            self._timer.start()

    def _on_map_moved(self) -> None:
        """The map extent is the area, and has changed: plan again, if the page is visible."""
        if self.page.isVisible() and self.page.place.currentData() == "map":
            self._timer.start()

    def _propose_layers(self) -> None:
        for slot in self._slots():
            self.page.propose(slot.key, slot.proposed)
        if self._model.channels:
            before = self.page.choices().channels
            self.page.set_bands(self._model.channels, band_list(self.services.project))
            if self.page.choices().channels != before:
                self._timer.start()

    def _on_planned(self, result: dict[str, Any]) -> None:
        choices = self.page.choices()
        pace = next(
            (
                found
                for entry in self.services.view.predictions()
                if entry.finished and (found := pace_of(entry.folder, Path(choices.model)))
            ),
            None,
        )
        problems = [*(result.get("problems") or []), *(result.get("warnings") or [])]
        problems += self._problems(choices)
        self.page.show_plan(plan_sentence(result, choices.settings, pace), problems)

    def _on_not_planned(self, problem: dict[str, Any]) -> None:
        if self._refused.note(problem, self._rasters) is not None:
            self.plan()
            return
        self.page.show_plan("", [problem])

    def _on_submission_finished(self, kind: str, _result: dict[str, Any], folder: str) -> None:
        if kind == PredictJob.kind and Path(folder).parent == self.services.workspace.root / "predictions":
            self.services.map_made.emit(Path(folder))

    def _on_predicted(self, result: dict[str, Any], folder: Path) -> None:
        shard = result.get("shard") or {}
        if shard and not shard.get("complete"):
            self.page.show_result(tr("This part is done; other parts are missing."), [])
            return
        hide_earlier_results(self.services.project)
        publish.publish_prediction(folder, with_facts(folder, result), later=self.services.result_queue.add)
        self._beyond = str(folder / str(result["beyond"])) if result.get("beyond") else ""
        warnings = [*(result.get("warnings") or [])]
        located = [BEYOND] if self._beyond else []
        if not self._beyond and any(item.get("code") == BEYOND for item in warnings):
            warnings = [with_advice(item) for item in warnings]
        text = tr("Predicted: {}").format(folder.name)
        self.page.show_result(text, warnings, located, result_note(result))

    def _on_failed(self, problem: dict[str, Any]) -> None:
        if self._refused.note(problem, self._rasters) is not None:
            self.services.jobs.afterwards(self.predict)


def slot_of(need: ModelInput, layers: list[QgsMapLayer]) -> Slot:
    """Return a slot of the model with the layer that fits best."""
    source = need.source
    name = source.name or source.key
    bands = ", ".join(own_name(band, name) for band in need.bands)
    filled_by = BAND_SOURCES[need.kind].filled_by if need.kind in BAND_SOURCES else "raster layer"
    return Slot(source.key, name, bands, proposed_layer(need, layers), filled_by, need.rows)


def browsed(path: Path) -> NamedPath:
    """Return a model file from elsewhere as an entry of the list."""
    return NamedPath(path.stem if path.stem != "model" else path.parent.name, str(path), tr("(file)"))


def with_advice(warning: dict[str, Any]) -> dict[str, Any]:
    """Return the warning about out-of-range input with a hint how to locate it."""
    if warning.get("code") != BEYOND:
        return warning
    advice = tr("Tick “Out-of-range input” and predict again to locate them.")
    return {**warning, "hint": f"{warning.get('hint', '')} {advice}".strip()}
