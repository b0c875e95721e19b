"""The Train step: train a network or a baseline, resume, re-attach; afterwards the model is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.PyQt.QtCore import QObject

from ...contract import Dataset, ForestJob, GeoSegError, TrainJob
from ...engine.environment import Environment, stamp
from ...engine.liveness import job_kind
from ...engine.packages import has_package
from ...jobs import train
from ...jobs.choices import NamedPath
from ...jobs.register import epochs_of
from ...jobs.submission import Submission
from ...jobs.workspace import Entry
from ...layers import publish
from ...panel.texts import pixels, share, tr
from ...tasks.execution import engine_environment
from .planner import TrainPlanner
from .tensorboard import TensorBoardController

if TYPE_CHECKING:
    from ...panel.services import Controller

ZOO_PACKAGE = "segmentation_models_pytorch"


class TrainController(QObject):
    """Keeps the Train page up to date and trains."""

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk, self.page = desk, desk.dock.train
        self._followed: Path | None = None
        self._charted: Path | None = None
        self.page.train_requested.connect(self.begin)
        self.page.resume_requested.connect(self.resume)
        self.page.attach_requested.connect(self.attach)
        self.page.start.pretrain_requested.connect(self.pretrain)
        self.page.zoo_requested.connect(self.install_zoo)
        self.page.way_requested.connect(self.go_way)
        self.planner = TrainPlanner(desk, self.job)
        self.board = TensorBoardController(desk)
        desk.runner.epoch_completed.connect(self.page.show_epoch)
        desk.runner.submission_finished.connect(self._on_submission_finished)

    def close(self) -> None:
        """Ask nothing more, and end TensorBoard."""
        self.planner.close()
        self.board.close()

    def refresh(self) -> None:
        """Show what would be trained on, which models one could begin from, and which runs wait to be resumed."""
        self.board.refresh()
        self.page.set_zoo(has_zoo())
        dataset = read_dataset(self.desk.dataset)
        if dataset is None:
            self.page.set_dataset("")
        else:
            bands = {band.name: band_tip(band) for band in dataset.recipe.bands}
            classes = [(item.name, item.color) for item in dataset.classes]
            self.page.set_dataset(dataset_sentence(dataset), bands, classes)
        networks = [
            item for item in self.desk.view.runs() if item.finished and job_kind(item.folder) == "train"
        ]
        self.page.start.set_models(
            [NamedPath(entry.title, str(entry.folder / train.MODEL)) for entry in networks]
        )
        runs = self.desk.view.open_runs()
        if not self.desk.runner.busy and self.desk.run != self._charted:
            self._chart(self.desk.run)
        followed = self._followed if self.desk.runner.busy else None
        self.page.set_unfinished(
            [
                NamedPath(entry.title, str(entry.folder), entry.state)
                for entry in runs
                if entry.folder != followed
            ]
        )

    def job(self) -> TrainJob | ForestJob | None:
        """The job that the page describes; None while there is nothing to train on.

        Raises:
            GeoSegError: `start` if what to start from is not chosen; `no_run` if that run has no readable record.
        """
        dataset, choices = self.desk.dataset, self.page.choices()
        if dataset is None or read_dataset(dataset) is None:
            return None
        settings: dict[str, Any] = dict(choices.settings)
        if choices.kind == ForestJob.kind:
            return ForestJob(dataset=str(dataset), **settings)
        for problem in self.page.start.problems():
            raise GeoSegError(problem.code, problem.message, problem.hint)
        if choices.again:
            return train.again(dataset, Path(choices.again), **settings)
        if settings["start_from"]:
            settings |= train.network_of(Path(settings["start_from"]))
        return TrainJob(dataset=str(dataset), **settings)

    def begin(self) -> None:
        """Train a new model on the current dataset."""
        try:
            job = self.job()
            if job is None or self.desk.dataset is None:
                return
            folder = self._new_run(self.desk.dataset.name)
        except (GeoSegError, OSError) as error:
            self.desk.report(as_error(error))
            return
        title = tr("Train on {}").format(self.desk.dataset.name)
        self._run(folder, title, Submission(job, folder, title))

    def pretrain(self) -> None:
        """Make encoder weights from the stack of the current dataset, for the network of the page."""
        choices = self.page.choices()
        if read_dataset(self.desk.dataset) is None or self.desk.dataset is None:
            return
        try:
            folder = self._new_run(f"{self.desk.dataset.name}-weights")
        except (GeoSegError, OSError) as error:
            self.desk.report(as_error(error))
            return
        shared = ("bands", "architecture", "encoder", "width", "levels", "seed", "device", "max_minutes")
        settings: dict[str, Any] = {key: choices.settings[key] for key in shared}
        title = tr("Make encoder weights from {}").format(self.desk.dataset.name)
        submission = train.pretrain(folder, self.desk.dataset, **settings)
        if self.desk.start(title, [], [submission], self._on_pretrained):
            self.page.clear_curves()

    def go_way(self, way: str) -> None:
        """Open one of the other ways to train."""
        ways: dict[str, Callable[[], None]] = {
            "compare": self.desk.compare.open,
            "crossvalidate": self.desk.experiments.cross_validate,
            "search": self.desk.experiments.search,
            "runs": self.desk.runs.open,
        }
        ways[way]()

    def train(self, submission: Submission) -> None:
        """Run a training that was put together elsewhere."""
        if self._run(submission.folder, submission.title, submission):
            self.desk.dock.show_step("train")

    def install_zoo(self) -> None:
        """Add segmentation-models-pytorch to the engine's environment; one of the user's own is left alone."""
        environment: Environment | None = engine_environment()
        if environment is None or not environment.managed:
            text = tr("The engine runs in an environment of your own, in which GeoSeg installs nothing.")
            hint = tr("Install segmentation-models-pytorch there, with the torchvision of its PyTorch.")
            self.desk.report(GeoSegError("own_environment", text, hint))
            return
        made = stamp(environment)
        device, with_richdem = made.get("device", "cpu"), made.get("with_richdem", "True") == "True"
        root = environment.python.parent.parent
        self.desk.follow(
            lambda: self.desk.runner.install(root, device, "", with_richdem, zoo=True),
            lambda _result, _folder: self.refresh(),
        )

    def _new_run(self, name: str) -> Path:
        self.desk.refuse_unwritable()
        return self.desk.workspace.new_run(name)

    def resume(self, folder: str) -> None:
        """Go on with a run from its last epoch, or with a cross-validation or search from its last run."""
        if job_kind(Path(folder)) in ("crossvalidate", "search"):
            self.desk.experiments.resume(folder)
            return
        try:
            submission = train.resume(Path(folder))
        except GeoSegError as error:
            self.desk.report(error)
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
        if not self.desk.start(title, [], [submission], self._on_trained, self._on_failed):
            return False
        self._followed = self._charted = folder
        self.page.clear_curves(getattr(submission.job, "monitor", "miou"))
        self.refresh()
        return True

    def attach(self, folder: str) -> None:
        """Follow a run whose engine outlived QGIS."""
        if self.desk.follow(lambda: self.desk.runner.attach(Path(folder)), self._on_trained):
            self._followed = self._charted = Path(folder)
            self.page.clear_curves(monitor_of(Path(folder)))
            self.refresh()
            self.desk.dock.show_step("train")

    def offer_running(self) -> None:
        """Offer to re-attach to a run that is still going on."""
        entry = self.running_run()
        if entry is None:
            return
        folder = str(entry.folder)
        text = tr("The training “{}” is still running.").format(entry.title)
        self.desk.dock.offer(text, tr("Re-attach"), lambda: self.attach(folder))

    def running_run(self) -> Entry | None:
        """A run whose engine is alive although nothing here follows it."""
        if self.desk.runner.busy:
            return None
        return next((entry for entry in self.desk.view.open_runs() if entry.state == "running"), None)

    def show_state(self) -> None:
        """Tick when the current run has a model."""
        run, step = self.desk.run, self.desk.states["train"]
        if step.done:
            text = tr("Trained: {}").format(run.name if run else "")
        elif read_dataset(self.desk.dataset) is not None:
            text = tr("Train a model on {}.").format(self.desk.dataset.name if self.desk.dataset else "")
        else:
            text = tr("Make tiles first.")
        self.desk.fresh.show("train", step, text)

    def _on_submission_finished(self, kind: str, result: dict[str, Any], folder: str) -> None:
        if kind == TrainJob.kind and result.get("cancelled"):
            self.desk.run = Path(folder)
            self._say_trained(result, tr("Stopped."))

    def _on_trained(self, result: dict[str, Any], folder: Path) -> None:
        self.desk.run = folder
        if result.get("cancelled"):
            return
        self._say_trained(result, tr("Trained."))
        self.desk.afterwards(lambda: self.desk.results.evaluate(str(folder)))

    def _say_trained(self, result: dict[str, Any], text: str) -> None:
        """The score, and below the curves which epoch was kept and why, in the engine's words."""
        said = f"{text} {tr('Validation IoU {}.').format(share(result.get('miou')))}"
        self.page.next_step.show_done(said, tr("Next: predict"), "predict")
        self.page.curves.show_end(
            str(result.get("kept_sentence") or ""), str(result.get("calibration_sentence") or "")
        )
        self.page.problem_list.set_problems(result.get("warnings") or [])

    def _on_pretrained(self, result: dict[str, Any], folder: Path) -> None:
        weights = folder / str(result.get("encoder") or train.ENCODER)
        self.page.start.use_weights(str(weights))
        self.page.next_step.show_done(tr("Encoder weights are made; the next training begins from them."))

    def _on_failed(self, _problem: dict[str, Any]) -> None:
        self.refresh()


def has_zoo() -> bool:
    """Whether the engine's environment has the networks of `More…`."""
    environment = engine_environment()
    return environment is not None and has_package(environment.python, ZOO_PACKAGE)


def read_dataset(folder: Path | None) -> Dataset | None:
    """The dataset of a folder; None if it has no tiles yet or cannot be read."""
    if folder is None or not (folder / "dataset.json").exists():
        return None
    try:
        return publish.read_dataset(folder)
    except GeoSegError:
        return None


def dataset_sentence(dataset: Dataset) -> str:
    """A dataset in words."""
    total = sum(dataset.counts.get("train", {}).values())
    return tr("“{}”: {} bands, {} classes, {} labelled pixels to learn from.").format(
        dataset.name, len(dataset.recipe.bands), len(dataset.classes), pixels(total)
    )


def band_tip(band: Any) -> str:
    """Where a band comes from."""
    made = str(band.parameters.get("expression") or band.derive.replace("_", " "))
    return f"{band.name}: {made}" if made else str(band.name)


def as_error(error: GeoSegError | OSError) -> GeoSegError:
    """An error of the file system as one of ours."""
    return error if isinstance(error, GeoSegError) else GeoSegError("not_writable", str(error))


def monitor_of(folder: Path | None) -> str:
    """The score that decides in a run; mean IoU where it has no readable record."""
    try:
        job = train.job_of(folder) if folder is not None else None
    except GeoSegError:
        job = None
    return str(getattr(job, "monitor", "miou"))
