"""The window that compares models: its job, the table that fills while it runs, and what one does with a row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QFileDialog

from ...contract import COMPARED, BandSet, CompareJob, GeoSegError, Problem
from ...jobs import experiments
from ...jobs.choices import NamedPath
from ...jobs.submission import Submission
from ...jobs.train import job_of
from ...panel.desktop import open_file
from ...panel.project_state import read_page, write_page
from ...panel.records import read_dataset
from ...panel.services import PanelServices
from ...panel.texts import duration, share, state_names, tr
from ...panel.widgets.notes import NextStep
from ...records.workspace import Entry
from .compare_window import CompareChoices, CompareWindow
from .planner import TrainPlanner

PAGE = "compare"
QUICK_MINUTES = 5
"""What the preset `quick` allows one training."""


class CompareController(QObject):
    """Opens the window, runs comparisons, and shows what they have found so far.

    Args:
        services: those of the panel.
        planner: stops when a comparison begins.
        next_step: the line that shows what was done.
    """

    def __init__(self, services: PanelServices, planner: TrainPlanner, next_step: NextStep) -> None:
        super().__init__(services)
        self.services, self._planner, self._next_step = services, planner, next_step
        services.jobs.busy_changed.connect(self.set_busy)
        self.window: CompareWindow | None = None
        self._running: Path | None = None
        self._read_at = 0.0
        services.jobs.runner.progressed.connect(self._on_progressed)

    def close(self) -> None:
        """Close the window."""
        if self.window is not None:
            self.window.close()

    def open(self) -> None:
        """Show the window; choices are those of the last comparison of this project."""
        if self.window is None:
            self.window = self._make_window()
        self.refresh()
        self.window.set_busy(self.services.jobs.busy)
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()

    def _make_window(self) -> CompareWindow:
        window = CompareWindow(self.services.dock)
        window.page.restore(read_page(PAGE, self.services.project))
        window.page.changed.connect(self.describe)
        window.page.compare_requested.connect(self.begin)
        window.shown_requested.connect(self.show)
        window.resume_requested.connect(self.resume)
        window.use_requested.connect(self.use)
        window.report_requested.connect(lambda folder: open_file(Path(folder) / "report.html"))
        window.folder_requested.connect(lambda folder: open_file(Path(folder)))
        window.table_requested.connect(self.save_table)
        return window

    def refresh(self) -> None:
        """Read the workspace again, if the window is there."""
        if self.window is None:
            return
        dataset = read_dataset(self.services.state.dataset)
        self.window.page.set_band_sets(experiments.band_sets_of(dataset) if dataset else [])
        self.describe()
        found = self.services.view.comparisons()
        names = state_names()
        entries = [NamedPath(item.title, str(item.folder), names.get(item.state, "")) for item in found]
        running = self._running if self.services.jobs.busy else None
        self.window.set_comparisons(entries, str(running or self.window.folder()))

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        if self.window is not None:
            self.window.set_busy(busy)

    def describe(self) -> None:
        """Show what would be done, and the problems."""
        if self.window is None:
            return
        page, choices = self.window.page, self.window.page.choices()
        page.set_ready(False)
        if read_dataset(self.services.state.dataset) is None or self.services.state.dataset is None:
            page.sentence.set_text(tr("Make tiles first: there is no dataset to compare on."))
            return
        try:
            job, problems = self._checked(choices)
        except GeoSegError as error:
            job, problems = None, [Problem(error.code, error.message, error.hint)]
        page.problem_list.set_problems(problems)
        page.sentence.set_text(
            "" if job is None else sentence(job, choices, self.services.state.dataset.name)
        )
        page.set_ready(job is not None and not problems)

    def _checked(self, choices: CompareChoices) -> tuple[CompareJob, list[Problem]]:
        dataset = read_dataset(self.services.state.dataset)
        if dataset is None or self.services.state.dataset is None:
            raise GeoSegError("no_dataset", tr("There is no dataset."), tr("Make tiles first."))
        own = experiments.named_sets(choices.own_sets)
        sets = [item for item in experiments.band_sets_of(dataset) if item.name in choices.sets]
        job = self._submission(Path(), choices, [*sets, *own]).job
        if not isinstance(job, CompareJob):
            raise TypeError(f"a comparison made a job of the kind {job.kind}")
        problems = [*job.problems(), *experiments.unknown_bands(own, dataset)]
        if not choices.models:
            problems.append(Problem("models", tr("No model is ticked."), tr("Tick two or more.")))
        if not job.band_sets:
            problems.append(Problem("band_sets", tr("No band set is ticked."), tr("Tick one or more.")))
        return job, problems

    def _submission(self, folder: Path, choices: CompareChoices, sets: list[BandSet]) -> Submission:
        return experiments.compare(
            folder,
            self.services.state.dataset or Path(),
            choices.models,
            sets,
            choices.seeds,
            choices.preset,
            minutes=choices.minutes,
            split=choices.split,
        )

    def begin(self) -> None:
        """Compare what is chosen."""
        if self.window is None or self.services.state.dataset is None:
            return
        try:
            job, problems = self._checked(self.window.page.choices())
            if problems:
                self.window.page.problem_list.set_problems(problems)
                return
            self.services.jobs.check_writable()
            folder = self.services.workspace.new_comparison(self.services.state.dataset.name)
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        write_page(PAGE, self.window.page.values(), self.services.project)
        self._start(
            Submission(job, folder, tr("Compare models on {}").format(self.services.state.dataset.name))
        )

    def resume(self, folder: str) -> None:
        """Resume a comparison; finished runs are kept."""
        try:
            self._start(experiments.again(Path(folder)))
        except GeoSegError as error:
            self.services.errors.show(error)

    def _start(self, submission: Submission) -> None:
        self._planner.stop()
        if self.services.jobs.start(submission.title, [], [submission], self._on_compared, self._on_failed):
            self._running, self._read_at = submission.folder, 0.0
            self.refresh()

    def show(self, folder: str) -> None:
        """Show what a comparison has found so far."""
        if self.window is None:
            return
        if not folder:
            self.window.show_result({})
            return
        path = Path(folder)
        result = experiments.read_comparison(path)
        entry = next((item for item in self.services.view.comparisons() if item.folder == path), None)
        runs = self.services.jobs.busy and path == self._running
        resumable = not runs and entry is not None and entry.state in ("stopped", "cancelled", "failed")
        self.window.show_result(result, state_sentence(path, result, entry, runs), resumable)

    def use(self, run: str) -> None:
        """Work on with a run of the comparison."""
        self.services.choose_run(Path(run))

    def save_table(self, folder: str) -> None:
        """Copy the table to a file that the user chooses."""
        title, kind = tr("Save table"), tr("Table (*.csv)")
        chosen, _filter = QFileDialog.getSaveFileName(self.window, title, "comparison.csv", kind)
        if not chosen:
            return
        try:
            shutil.copyfile(Path(folder) / "comparison.csv", chosen)
        except OSError as error:
            self.services.errors.show(GeoSegError("not_writable", str(error), tr("Choose another folder.")))

    def _on_progressed(self, phase: str, _fraction: float, _seconds_left: float) -> None:
        if phase != "comparing" or self._running is None or self.window is None:
            return
        try:
            written = (self._running / experiments.COMPARISON).stat().st_mtime
        except OSError:
            return
        if written != self._read_at and self.window.folder() == str(self._running):
            self._read_at = written
            self.show(str(self._running))

    def _on_compared(self, result: dict[str, Any], folder: Path) -> None:
        best: dict[str, Any] = next(iter(result.get("rows") or []), {})
        text = tr("{} on {} is first with IoU {}.").format(
            best.get("model"), best.get("bands"), share(best.get("iou"))
        )
        self._next_step.show_done(text)
        self._running = None
        if self.window is not None and self.window.isVisible():
            self.refresh()
            self._choose(folder)
            return

        def lead() -> None:
            self.open()
            self._choose(folder)

        self.services.dock.offer(text, tr("Show the comparison"), lead)

    def _choose(self, folder: Path) -> None:
        if self.window is not None:
            self.window.comparisons.setCurrentIndex(self.window.comparisons.findData(str(folder)))

    def _on_failed(self, _problem: dict[str, Any]) -> None:
        self._running = None


def sentence(job: CompareJob, choices: CompareChoices, dataset: str) -> str:
    """Return what will happen, and how long it can take."""
    networks = sum(item.network is not None for item in job.contenders)
    runs = len(job.contenders) * max(len(job.band_sets), 1) * len(job.seeds)
    text = tr(
        "{} training runs on “{}” (models {} × band sets {} × runs {}), evaluated on {} blocks."
    ).format(runs, dataset, len(job.contenders), len(job.band_sets), len(job.seeds), job.split)
    minutes = job.minutes or (QUICK_MINUTES if choices.preset == "quick" else 0)
    if not networks:
        return text
    if not minutes:
        return f"{text} {tr('Each runs as long as it improves: hours are possible.')}"
    longest = 60 * minutes * networks * max(len(job.band_sets), 1) * len(job.seeds)
    return f"{text} {tr('At most about {}.').format(duration(longest))}"


def state_sentence(folder: Path, result: dict[str, Any], entry: Entry | None, runs: bool) -> str:
    """Return the state of a comparison as text."""
    rows, failed = result.get("rows") or [], result.get("unfinished") or []
    done = sum(len(row.get("runs") or []) for row in rows)
    total = wanted(folder)
    parts = [tr("{} of {} runs are finished").format(done, total) if total else ""]
    if failed:
        parts.append(tr("{} failed").format(len(failed)))
    if runs:
        parts.append(tr("running"))
    elif entry is not None and entry.state in ("cancelled", "stopped", "failed"):
        parts.append(tr("interrupted"))
    if rows:
        parts.append(tr("evaluated on {} blocks of {}").format(result.get("split"), result.get("dataset")))
    return ", ".join(filter(None, parts)) + "."


def wanted(folder: Path) -> int:
    """Return how many trainings a comparison has; 0 if its record cannot be read."""
    try:
        job = job_of(folder)
    except (GeoSegError, json.JSONDecodeError):
        return 0
    if not isinstance(job, CompareJob):
        return 0
    models = len(job.contenders) or len(COMPARED)
    return models * max(len(job.band_sets), 1) * len(job.seeds)
