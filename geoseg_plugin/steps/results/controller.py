"""The Results step: evaluate a run on its test blocks, show scores and the error layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsLayerTreeGroup

from ...contract import EvaluateJob, GeoSegError
from ...jobs.choices import NamedPath
from ...jobs.submission import Submission
from ...layers import publish
from ...panel.desktop import open_file
from ...panel.records import dataset_of, evaluation_folder, report_of
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import share, tr
from .map_controller import MapResultsController
from .page import ResultsPage


class ResultsController(StepController):
    """Keeps the Results page up to date and evaluates."""

    def __init__(self, services: PanelServices, page: ResultsPage) -> None:
        super().__init__(services)
        self.page = page
        self._chosen = self._offered = ""
        self.page.run_chosen.connect(self._show)
        self.page.evaluate_requested.connect(self.evaluate)
        self.page.errors_requested.connect(self.show_errors)
        self.page.report_requested.connect(self.open_report)
        self.maps = MapResultsController(services, page)
        services.run_trained.connect(self._on_run_trained)
        services.run_chosen.connect(self._on_run_chosen)
        services.run_scored.connect(self._offer_scores)
        services.dock.step_shown.connect(self._on_step_shown)

    def refresh(self) -> None:
        """Show the finished runs, newest first."""
        entries = self.services.view.models(self.services.state.run)
        named = []
        for entry in entries:
            result = self.services.view.evaluation(entry.folder)
            note = tr("IoU {}").format(share(result["miou"])) if result.get("miou") is not None else ""
            named.append(NamedPath(entry.title, str(entry.folder), note))
        chosen, self._chosen = self._chosen, ""
        self.page.set_runs(named, chosen or self.page.folder() or str(self.services.state.run or ""))
        self.maps.refresh()

    def show_run(self, run_folder: str) -> None:
        """Choose a run on the page."""
        index = self.page.run.findData(run_folder)
        if index >= 0:
            self.page.run.setCurrentIndex(index)
            self.page.show_model()

    def evaluate(self, run_folder: str) -> None:
        """Compare the run's model with the held-out labels of its dataset."""
        run = Path(run_folder)
        try:
            dataset = dataset_of(run)
        except GeoSegError as error:
            self.services.errors.show(error)
            return
        job = EvaluateJob(str(dataset), str(run / "model.onnx"), split="test")
        submission = Submission(job, evaluation_folder(run), "Evaluate on held-out blocks")
        self.services.jobs.start(submission.title, [], [submission], self._on_evaluated)

    def show_errors(self, run_folder: str) -> None:
        """Put the error layer on the map."""
        folder = evaluation_folder(Path(run_folder))
        result = self.services.view.evaluation(Path(run_folder))
        if result.get("errors"):
            title = tr("Evaluation {}").format(folder.parent.name)
            group = self._group_of(folder.parent)
            publish.publish_evaluation(
                folder, result, title, later=self.services.result_queue.add, group=group
            )

    def _group_of(self, run: Path) -> QgsLayerTreeGroup | None:
        """The group of the newest prediction of a run that is on the map."""
        places = [entry.folder for entry in self.services.view.predictions()]
        made = [place for place in places if place.name == run.name or place.name.startswith(f"{run.name}-")]
        groups = (publish.group_of(place, self.services.project) for place in made)
        return next((group for group in groups if group is not None), None)

    def open_report(self, run_folder: str) -> None:
        """Open the report of a run, or its folder where there is none."""
        run = Path(run_folder)
        open_file(report_of(run, self.services.view.evaluation(run)))

    def show_state(self) -> None:
        """Tick when the current run has been evaluated."""
        run = self.services.state.run
        result = self.services.view.evaluation(run) if run is not None else {}
        text = (
            tr("Evaluate the model on the held-out test blocks.")
            if run is not None
            else tr("Train a model first.")
        )
        if result:
            text = tr("Mean IoU {} on the test blocks").format(share(result.get("miou")))
        self.services.mark_step("results", text)

    def _on_evaluated(self, result: dict[str, Any], folder: Path) -> None:
        """The page and the run stay as they are: a note links to the scores."""
        run = str(folder.parent)
        visible = self.services.dock.current_step() == "results" and self.page.shows_model()
        if visible and self.page.folder() == run:
            return
        if not visible:
            self._chosen = run
        text = tr("“{}” is evaluated: mean IoU {} on the test blocks.").format(
            folder.parent.name, share(result.get("miou"))
        )
        self._offer_scores(folder.parent, text)

    def _on_run_trained(self, run: Path) -> None:
        """Evaluate a model once the job that trained it is over."""
        self.services.jobs.afterwards(lambda: self.evaluate(str(run)))

    def _on_run_chosen(self, run: Path) -> None:
        self.show_run(str(run))
        self.services.step_wanted.emit("results")

    def _offer_scores(self, run: Path, text: str) -> None:
        """Show that a run has scores, with a button that leads to them."""

        def lead() -> None:
            self.show_run(str(run))
            self.services.step_wanted.emit("results")

        self._offered = text
        self.services.dock.offer(text, tr("Show the scores"), lead)

    def _on_step_shown(self, step: str) -> None:
        if step == "results":
            self.maps.refresh()
            if self._offered and self.services.dock.messages.text() == self._offered:
                self.services.dock.messages.clear()

    def _show(self, run_folder: str) -> None:
        if not run_folder:
            self.page.show_nothing(tr("Train a model first: its results appear here."))
            return
        result = self.services.view.evaluation(Path(run_folder))
        if result:
            self.page.show_result(result)
        else:
            self.page.show_nothing(tr("This model has not been evaluated yet."))
