"""The Results step: evaluate a run on its test blocks, show scores and the error layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsLayerTreeGroup
from qgis.PyQt.QtCore import QObject, QUrl
from qgis.PyQt.QtGui import QDesktopServices

from ...contract import CrossValidateJob, ForestJob, GeoSegError, SearchJob, TrainJob
from ...jobs import evaluate, train
from ...jobs.choices import NamedPath
from ...layers import publish
from ...panel.texts import share, tr
from .map_controller import MapResultsController

if TYPE_CHECKING:
    from ...panel.services import Controller


class ResultsController(QObject):
    """Keeps the Results page up to date and evaluates."""

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk, self.page = desk, desk.dock.results
        self._chosen = self._offered = ""
        self.page.run_chosen.connect(self._show)
        self.page.evaluate_requested.connect(self.evaluate)
        self.page.errors_requested.connect(self.show_errors)
        self.page.report_requested.connect(self.open_report)
        self.maps = MapResultsController(desk)
        desk.dock.step_shown.connect(self._on_step_shown)

    def refresh(self) -> None:
        """Show the finished runs, newest first."""
        entries = self.desk.view.models(self.desk.run)
        named = []
        for entry in entries:
            result = self.desk.view.evaluation(entry.folder)
            note = tr("IoU {}").format(share(result["miou"])) if result.get("miou") is not None else ""
            named.append(NamedPath(entry.title, str(entry.folder), note))
        chosen, self._chosen = self._chosen, ""
        self.page.set_runs(named, chosen or self.page.folder() or str(self.desk.run or ""))
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
            self.desk.report(error)
            return
        submission = evaluate.evaluate(evaluation_folder(run), dataset, run / "model.onnx")
        self.desk.start(submission.title, [], [submission], self._on_evaluated)

    def show_errors(self, run_folder: str) -> None:
        """Put the error layer on the map."""
        folder = evaluation_folder(Path(run_folder))
        result = self.desk.view.evaluation(Path(run_folder))
        if result.get("errors"):
            title = tr("Evaluation {}").format(folder.parent.name)
            group = self._group_of(folder.parent)
            publish.publish_evaluation(folder, result, title, later=self.desk.soon, group=group)

    def _group_of(self, run: Path) -> QgsLayerTreeGroup | None:
        """The group of the newest prediction of a run that is on the map."""
        places = [entry.folder for entry in self.desk.view.predictions()]
        made = [place for place in places if place.name == run.name or place.name.startswith(f"{run.name}-")]
        groups = (publish.group_of(place, self.desk.project) for place in made)
        return next((group for group in groups if group is not None), None)

    def open_report(self, run_folder: str) -> None:
        """Open the report of a run, or its folder where there is none."""
        run = Path(run_folder)
        named = self.desk.view.evaluation(run).get("report")
        places = (
            *([Path(named)] if named else []),
            evaluation_folder(run) / "report.html",
            run / "report.html",
            evaluation_folder(run),
        )
        found = next((place for place in places if place.is_absolute() and place.exists()), run)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(found)))

    def show_state(self) -> None:
        """Tick when the current run has been evaluated."""
        run = self.desk.run
        result = self.desk.view.evaluation(run) if run is not None else {}
        text = (
            tr("Evaluate the model on the held-out test blocks.")
            if run is not None
            else tr("Train a model first.")
        )
        if result:
            text = tr("Mean IoU {} on the test blocks").format(share(result.get("miou")))
        self.desk.fresh.show("results", self.desk.states["results"], text)

    def _on_evaluated(self, result: dict[str, Any], folder: Path) -> None:
        """The page that the user looks at stays, and so does the run: a note leads to the scores."""
        run = str(folder.parent)
        looked_at = self.desk.dock.current_step() == "results" and self.page.shows_model()
        if looked_at and self.page.folder() == run:
            return
        if not looked_at:
            self._chosen = run
        text = tr("“{}” is evaluated: mean IoU {} on the test blocks.").format(
            folder.parent.name, share(result.get("miou"))
        )
        self.offer_scores(run, text)

    def offer_scores(self, run: str, text: str) -> None:
        """Say that a run has scores, and lead there if the user wants it."""

        def lead() -> None:
            self.show_run(run)
            self.desk.dock.show_step("results")

        self._offered = text
        self.desk.dock.offer(text, tr("Show the scores"), lead)

    def _on_step_shown(self, step: str) -> None:
        if step == "results":
            self.maps.refresh()
            if self._offered and self.desk.dock.messages.text() == self._offered:
                self.desk.dock.messages.clear()

    def _show(self, run_folder: str) -> None:
        if not run_folder:
            self.page.show_nothing(tr("Train a model first: its results appear here."))
            return
        result = self.desk.view.evaluation(Path(run_folder))
        if result:
            self.page.show_result(result)
        else:
            self.page.show_nothing(tr("This model has not been evaluated yet."))


def evaluation_folder(run: Path) -> Path:
    """Where a run keeps its evaluation."""
    return run / "evaluation"


def dataset_of(run: Path) -> Path:
    """The dataset that a run was trained on.

    Raises:
        GeoSegError: `no_run` if the run's record is missing, `no_dataset` if the dataset is gone.
    """
    try:
        job = train.job_of(run)
    except GeoSegError as error:
        raise GeoSegError("no_run", tr("The record of run {} cannot be read.").format(run.name),
                          tr("Choose another run.")) from error  # fmt: skip
    if isinstance(job, CrossValidateJob):
        raise GeoSegError("seen_ground", tr("Together the folds have seen all ground: nothing is held out."),
                          tr("The scores shown are of each fold on ground it has not seen."))  # fmt: skip
    if isinstance(job, SearchJob):
        job = job.training
    if not isinstance(job, (TrainJob, ForestJob)):
        raise GeoSegError("no_run", tr("{} holds no trained model.").format(run.name),
                          tr("Choose another run."))  # fmt: skip
    dataset = Path(job.dataset)
    if not dataset.exists():
        raise GeoSegError("no_dataset", tr("The dataset {} of this run is gone.").format(dataset),
                          tr("Put it back, or train on another dataset."))  # fmt: skip
    return dataset
