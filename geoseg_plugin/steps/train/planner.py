"""The plan of a training and a preview of its crops, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject

from ...contract import ForestJob, GeoSegError, TrainJob
from ...jobs import train
from ...panel.background_queries import Query
from ...panel.errors import as_error, problem_of, problem_text
from ...panel.services import PanelServices
from ...panel.texts import as_sentence, tr
from ...panel.timers import single_shot
from .page import TrainPage
from .state import plan_sentence
from .widgets.preview import PreviewWindow

PLAN_MS = 900
MakeJob = Callable[[], "TrainJob | ForestJob | None"]


class TrainPlanner(QObject):
    """Requests the plan while the page is visible, and a preview on request.

    Args:
        services: those of the panel.
        page: the Train page.
        make_job: the job that the page describes now; None while there is nothing to train on.
    """

    def __init__(self, services: PanelServices, page: TrainPage, make_job: MakeJob) -> None:
        super().__init__(services)
        self.services, self.page = services, page
        self._make_job = make_job
        self._planned: tuple[object, dict[str, Any]] | None = None
        self.window: PreviewWindow | None = None
        self._timer = single_shot(self, PLAN_MS, self.plan)
        self.page.changed.connect(self._timer.start)
        self.page.preview_requested.connect(self.preview)
        services.dock.step_shown.connect(lambda _step: self.plan_soon())
        services.jobs.runner.idle.connect(self.plan_soon)

    def close(self) -> None:
        """Request nothing more."""
        self._timer.stop()
        if self.window is not None:
            self.window.close()

    def stop(self) -> None:
        """Stop working on a plan: a training begins."""
        self._timer.stop()
        self.services.queries.stop("trainplan")
        self.page.end_planning()

    def plan_soon(self) -> None:
        """Request the plan once the page has settled."""
        self._timer.start()

    def plan(self) -> None:
        """Request the plan, if the page is visible; an earlier result for the same job is reused."""
        if self.services.dock.current_step() != "train" or self.services.jobs.busy:
            return
        try:
            job = self._make_job()
        except GeoSegError as error:
            self.page.show_plan("", [], [problem_of(error)])
            return
        problems = job.problems() if job is not None else []
        if job is None or problems:
            self.services.queries.withdraw("trainplan")
            self.page.show_plan("", [], problems)
            return
        if self._planned is not None and self._planned[0] == (job, stamp(job)):
            self._show(self._planned[1])
            return
        self._request(job)

    def _request(self, job: TrainJob | ForestJob) -> None:
        key = (job, stamp(job))
        try:
            folder = self.services.workspace.scratch("trainplan")
        except OSError as error:
            self.page.show_plan("", [], [problem_of(as_error(error))])
            return
        self.page.show_planning()
        self.services.queries.submit(
            Query(
                "trainplan",
                tr("Plan the training"),
                [],
                [train.plan(folder, job)],
                lambda result: self._on_planned(key, result),
                lambda problem: self.page.show_plan("", [], [problem]),
            )
        )

    def _on_planned(self, key: object, result: dict[str, Any]) -> None:
        self._planned = (key, result)
        self._show(result)

    def _show(self, result: dict[str, Any]) -> None:
        sentence = plan_sentence(result)
        reasons = [as_sentence(str(item)) for item in result.get("reasons") or []]
        self.page.show_plan(
            sentence, [item for item in reasons if item not in sentence], result.get("warnings") or []
        )

    def preview(self) -> None:
        """Draw crops as the training would see them, in a window of their own."""
        try:
            job = self._make_job()
            folder = self.services.workspace.scratch("preview")
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        if not isinstance(job, TrainJob):
            return
        if self.window is None:
            self.window = PreviewWindow(self.services.dock)
            self.window.again_requested.connect(self.preview)
        self.window.show_drawing()
        self.services.queries.submit(
            Query(
                "preview",
                tr("Preview crops"),
                [],
                [train.preview(folder, job)],
                lambda result: self._on_previewed(folder, result),
                self._on_not_previewed,
            )
        )

    def _on_previewed(self, folder: Path, result: dict[str, Any]) -> None:
        if self.window is not None:
            sentences = [as_sentence(str(item)) for item in result.get("sentences") or []]
            self.window.show_image(folder / str(result.get("image", "preview.png")), sentences)

    def _on_not_previewed(self, problem: dict[str, Any]) -> None:
        if self.window is not None:
            self.window.show_problem(problem_text(problem))


def stamp(job: TrainJob | ForestJob) -> float:
    """When the dataset of a job was written: a plan is about that very one."""
    try:
        return (Path(job.dataset) / "dataset.json").stat().st_mtime
    except OSError:
        return 0.0
