"""Cross-validation and search of settings, for the training that the Train page describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QDialog

from ...contract import GeoSegError, TrainJob
from ...jobs import experiments
from ...jobs.submission import Submission
from ...panel.services import PanelServices
from ...panel.texts import interval_text, share, tr
from ...panel.widgets.notes import NextStep
from ...records.runs import model_of
from .experiment_dialogs import FoldsDialog, SearchDialog
from .planner import MakeJob, TrainPlanner


class ExperimentsController(QObject):
    """Opens the dialogs, starts the jobs, and shows their results.

    Args:
        services: those of the panel.
        planner: stops when a job begins.
        next_step: the line that shows what was done.
        make_job: the job that the Train page describes now.
    """

    def __init__(
        self, services: PanelServices, planner: TrainPlanner, next_step: NextStep, make_job: MakeJob
    ) -> None:
        super().__init__(services)
        self.services = services
        self._planner, self._next_step, self._make_job = planner, next_step, make_job
        self.dialog: QDialog | None = None

    def close(self) -> None:
        """Close what is open."""
        if self.dialog is not None:
            self.dialog.close()

    def cross_validate(self) -> None:
        """Open the dialog, then train once per fold."""
        training = self._training()
        if training is None or self.services.state.dataset is None:
            return
        folds = experiments.fold_count(self.services.state.dataset)
        if not folds:
            text = tr("This dataset has no folds: make tiles again with 5 folds (Advanced).")
            self.services.dock.offer(text, tr("Split"), lambda: self.services.step_wanted.emit("tiles"))
            return
        dialog = FoldsDialog(model_of(training), folds, self.services.dock)

        def start() -> None:
            ensemble = dialog.ensemble.isChecked()
            self._start(
                "folds", lambda folder: experiments.cross_validate(folder, training, ensemble=ensemble)
            )

        self._open(dialog, start)

    def search(self) -> None:
        """Open the dialog, then search settings."""
        training = self._training()
        if training is None:
            return
        dialog = SearchDialog(model_of(training), self.services.dock)

        def start() -> None:
            settings = dialog.settings()
            self._start("search", lambda folder: experiments.search(folder, training, **settings))

        self._open(dialog, start)

    def _training(self) -> TrainJob | None:
        """The network that the page describes; a problem is shown."""
        try:
            job = self._make_job()
            if self.services.jobs.busy:
                raise GeoSegError(
                    "busy", tr("A job is running."), tr("Wait for its end, or cancel it first.")
                )
        except GeoSegError as error:
            self.services.errors.show(error)
            return None
        if isinstance(job, TrainJob):
            problem = next(iter(job.problems()), None)
            if problem is None:
                return job
            self.services.errors.show(GeoSegError(problem.code, problem.message, problem.hint))
        elif job is None:
            self.services.errors.show(
                GeoSegError("no_dataset", tr("There is no dataset."), tr("Make tiles first."))
            )
        else:
            text = tr("Baselines cannot be cross-validated or searched here.")
            self.services.errors.show(
                GeoSegError("no_network", text, tr("Choose a network on the Train page."))
            )
        return None

    def _open(self, dialog: QDialog, start: Callable[[], None]) -> None:
        self.dialog = dialog
        dialog.accepted.connect(start)
        dialog.open()

    def _start(self, name: str, make: Callable[[Path], Submission]) -> None:
        dataset = self.services.state.dataset
        if dataset is None:
            return
        try:
            self.services.jobs.check_writable()
            submission = make(self.services.workspace.new_run(f"{dataset.name}-{name}"))
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        self.run(submission)

    def resume(self, folder: str) -> None:
        """Resume what was interrupted: finished folds and trials are kept."""
        try:
            self.run(experiments.again(Path(folder)))
        except GeoSegError as error:
            self.services.errors.show(error)

    def run(self, submission: Submission) -> None:
        """Run a cross-validation or a search."""
        searching = submission.job.kind == "search"
        done = self._on_searched if searching else self._on_validated
        self._planner.stop()
        self.services.jobs.start(submission.title, [], [submission], done)

    def _on_validated(self, result: dict[str, Any], folder: Path) -> None:
        mapped = (folder / "model.onnx").exists()
        if mapped:
            self.services.state.run = folder
            self.services.refresh()
        ends = interval_text((result.get("intervals") or {}).get("miou"))
        text = tr("{} folds: mean IoU {}").format(len(result.get("folds") or []), share(result.get("miou")))
        self._next_step.show_done(f"{text} ({ends})." if ends else f"{text}.")
        if mapped:
            self.services.run_scored.emit(folder, text)

    def _on_searched(self, result: dict[str, Any], folder: Path) -> None:
        self.services.state.run = folder
        self.services.refresh()
        text = tr("Trial {} is best: {} on validation, the automatic settings {}.").format(
            result.get("best_trial"), share(result.get("score")), share(result.get("automatic"))
        )
        self._next_step.show_done(text, tr("Next: predict"), "predict")
        self.services.run_trained.emit(folder)
