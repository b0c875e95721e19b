"""The Train step: train a network or a baseline, resume, re-attach; afterwards the model is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...contract import CrossValidateJob, ForestJob, GeoSegError, SearchJob, TrainJob
from ...engine.environment import Environment
from ...engine.liveness import job_kind
from ...engine.packages import has_package
from ...engine.setup.maintenance import plan_of
from ...jobs import train
from ...jobs.choices import NamedPath
from ...jobs.submission import Submission
from ...panel.records import read_dataset
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import share, tr
from ...records.runs import epochs_of
from ...records.workspace import Entry
from ...tasks.execution import engine_environment
from .comparison import CompareController
from .experiments import ExperimentsController
from .page import TrainPage
from .planner import TrainPlanner
from .runs import RunsController
from .state import dataset_sentence
from .tensorboard import TensorBoardController

ZOO_PACKAGE = "segmentation_models_pytorch"


class TrainController(StepController):
    """Keeps the Train page up to date and trains."""

    def __init__(self, services: PanelServices, page: TrainPage) -> None:
        super().__init__(services)
        self.page = page
        self._followed: Path | None = None
        self._charted: Path | None = None
        self.page.train_requested.connect(self.begin)
        self.page.resume_requested.connect(self.resume)
        self.page.attach_requested.connect(self.attach)
        self.page.start.pretrain_requested.connect(self.pretrain)
        self.page.zoo_requested.connect(self.install_zoo)
        self.page.experiment_requested.connect(self.open_experiment)
        self.planner = TrainPlanner(services, page, self.job)
        self.board = TensorBoardController(services, page)
        self.comparison = CompareController(services, self.planner, page.next_step)
        self.experiments = ExperimentsController(services, self.planner, page.next_step, self.job)
        self.runs = RunsController(services, self.repeat)
        services.jobs.runner.epoch_completed.connect(self.page.show_epoch)
        services.jobs.runner.submission_finished.connect(self._on_submission_finished)

    def close(self) -> None:
        """Plan nothing more, close the windows, and end TensorBoard."""
        for part in (self.planner, self.board, self.comparison, self.runs, self.experiments):
            part.close()

    def refresh(self) -> None:
        """Show what would be trained on, which models one could begin from, and which runs wait to be resumed."""
        self.board.refresh()
        self.page.set_zoo(has_zoo())
        dataset = read_dataset(self.services.state.dataset)
        if dataset is None:
            self.page.set_dataset("")
        else:
            bands = {band.name: band_tip(band) for band in dataset.recipe.bands}
            classes = [(item.name, item.color) for item in dataset.classes]
            self.page.set_dataset(dataset_sentence(dataset), bands, classes)
        networks = [
            item for item in self.services.view.runs() if item.finished and job_kind(item.folder) == "train"
        ]
        self.page.start.set_models(
            [NamedPath(entry.title, str(entry.folder / train.MODEL)) for entry in networks]
        )
        runs = self.services.view.open_runs()
        if not self.services.jobs.busy and self.services.state.run != self._charted:
            self._chart(self.services.state.run)
        followed = self._followed if self.services.jobs.busy else None
        self.page.set_unfinished(
            [
                NamedPath(entry.title, str(entry.folder), entry.state)
                for entry in runs
                if entry.folder != followed
            ]
        )
        self.comparison.refresh()
        self.runs.refresh()

    def job(self) -> TrainJob | ForestJob | None:
        """Return the job that the page describes; None while there is nothing to train on.

        Raises:
            GeoSegError: `start` if what to start from is not chosen; `no_run` if that run has no readable record.
        """
        dataset = self.services.state.dataset
        return self.page.choices().job(dataset) if dataset is not None and read_dataset(dataset) else None

    def begin(self) -> None:
        """Train a new model on the current dataset."""
        try:
            job = self.job()
            if job is None or self.services.state.dataset is None:
                return
            folder = self._new_run(self.services.state.dataset.name)
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        title = tr("Train on {}").format(self.services.state.dataset.name)
        self._run(folder, title, Submission(job, folder, title))

    def pretrain(self) -> None:
        """Pretrain the encoder of the chosen network on the stack of the current dataset."""
        dataset = self.services.state.dataset
        if dataset is None or read_dataset(dataset) is None:
            return
        try:
            folder = self._new_run(f"{dataset.name}-weights")
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        title = tr("Pretrain an encoder on {}").format(dataset.name)
        submission = Submission(self.page.choices().pretraining(dataset), folder, title)
        if self.services.jobs.start(title, [], [submission], self._on_pretrained):
            self.page.clear_curves()

    def open_experiment(self, way: str) -> None:
        """Open one of the other ways to train."""
        ways: dict[str, Callable[[], None]] = {
            "compare": self.comparison.open,
            "crossvalidate": self.experiments.cross_validate,
            "search": self.experiments.search,
            "runs": self.runs.open,
        }
        ways[way]()

    def repeat(self, submission: Submission) -> None:
        """Run a training, cross-validation or search with the settings of an earlier one."""
        if isinstance(submission.job, (CrossValidateJob, SearchJob)):
            self.experiments.run(submission)
        elif self._run(submission.folder, submission.title, submission):
            self.services.step_wanted.emit("train")

    def install_zoo(self) -> None:
        """Add segmentation-models-pytorch to the engine's environment; one of the user's own is left alone."""
        environment: Environment | None = engine_environment()
        if environment is None or not environment.managed:
            text = tr("The engine runs in an environment of your own, in which GeoSeg installs nothing.")
            hint = tr("Install segmentation-models-pytorch there, with the torchvision of its PyTorch.")
            self.services.errors.show(GeoSegError("own_environment", text, hint))
            return
        plan = replace(plan_of(environment.python.parent.parent), zoo=True)
        self.services.jobs.follow(
            lambda: self.services.jobs.runner.install(plan),
            lambda _result, _folder: self.refresh(),
        )

    def _new_run(self, name: str) -> Path:
        self.services.jobs.check_writable()
        return self.services.workspace.new_run(name)

    def resume(self, folder: str) -> None:
        """Resume a run from its last epoch, or a cross-validation or search from its last run."""
        if job_kind(Path(folder)) in ("crossvalidate", "search"):
            self.experiments.resume(folder)
            return
        try:
            submission = train.resume(Path(folder))
        except GeoSegError as error:
            self.services.errors.show(error)
            return
        if self._run(Path(folder), submission.title, submission):
            self._chart(Path(folder))

    def _chart(self, folder: Path | None) -> None:
        """Show the curves that a run has behind it."""
        self._charted = folder
        self.page.clear_curves(monitor_of(folder))
        for event in epochs_of(folder) if folder is not None else []:
            self.page.show_epoch(event)

    def _run(self, folder: Path, title: str, submission: Submission) -> bool:
        self.planner.stop()
        if not self.services.jobs.start(title, [], [submission], self._on_trained, self._on_failed):
            return False
        self._followed = self._charted = folder
        self.page.clear_curves(getattr(submission.job, "monitor", "miou"))
        self.refresh()
        return True

    def attach(self, folder: str) -> None:
        """Follow a run whose engine outlived QGIS."""
        if self.services.jobs.follow(
            lambda: self.services.jobs.runner.attach(Path(folder)), self._on_trained
        ):
            self._followed = self._charted = Path(folder)
            self.page.clear_curves(monitor_of(Path(folder)))
            self.refresh()
            self.services.step_wanted.emit("train")

    def offer_running(self) -> None:
        """Offer to re-attach to a run that is still going on."""
        entry = self.running_run()
        if entry is None:
            return
        folder = str(entry.folder)
        text = tr("The training “{}” is still running.").format(entry.title)
        self.services.dock.offer(text, tr("Re-attach"), lambda: self.attach(folder))

    def running_run(self) -> Entry | None:
        """Return a run whose engine is alive although nothing here follows it."""
        if self.services.jobs.busy:
            return None
        return next((entry for entry in self.services.view.open_runs() if entry.state == "running"), None)

    def show_state(self) -> None:
        """Tick when the current run has a model."""
        run, dataset = self.services.state.run, self.services.state.dataset
        if self.services.freshness.steps["train"].done:
            text = tr("Trained: {}").format(run.name if run else "")
        elif dataset is not None and read_dataset(dataset) is not None:
            text = tr("Train a model on {}.").format(dataset.name)
        else:
            text = tr("Make tiles first.")
        self.services.mark_step("train", text)

    def _on_submission_finished(self, kind: str, result: dict[str, Any], folder: str) -> None:
        if kind == TrainJob.kind and result.get("cancelled"):
            self.services.state.run = Path(folder)
            self._show_trained(result, tr("Stopped."))

    def _on_trained(self, result: dict[str, Any], folder: Path) -> None:
        self.services.state.run = folder
        if result.get("cancelled"):
            return
        self._show_trained(result, tr("Trained."))
        self.services.run_trained.emit(folder)

    def _show_trained(self, result: dict[str, Any], text: str) -> None:
        """Show the score, and below the curves which epoch was kept and why."""
        summary = f"{text} {tr('Validation IoU {}.').format(share(result.get('miou')))}"
        self.page.next_step.show_done(summary, tr("Next: predict"), "predict")
        self.page.curves.show_end(
            str(result.get("kept_sentence") or ""), str(result.get("calibration_sentence") or "")
        )
        self.page.problem_list.set_problems(result.get("warnings") or [])

    def _on_pretrained(self, result: dict[str, Any], folder: Path) -> None:
        weights = folder / str(result.get("encoder") or train.ENCODER)
        self.page.start.use_weights(str(weights))
        self.page.next_step.show_done(tr("The encoder is pretrained; the next training starts from it."))

    def _on_failed(self, _problem: dict[str, Any]) -> None:
        self.refresh()


def has_zoo() -> bool:
    """Return whether the engine's environment has the library behind `Other…`."""
    environment = engine_environment()
    return environment is not None and has_package(environment.python, ZOO_PACKAGE)


def band_tip(band: Any) -> str:
    """Return where a band comes from."""
    made = str(band.parameters.get("expression") or band.derive.replace("_", " "))
    return f"{band.name}: {made}" if made else str(band.name)


def monitor_of(folder: Path | None) -> str:
    """Return the score that decides in a run; mean IoU where it has no readable record."""
    try:
        job = train.job_of(folder) if folder is not None else None
    except GeoSegError:
        job = None
    return str(getattr(job, "monitor", "miou"))
