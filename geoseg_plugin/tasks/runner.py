"""Starts tasks, holds them, and reports on the main thread what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..contract import GeoSegError
from ..engine.environment import stamp
from ..engine.session import LONGEST_CANCEL_S, Event
from ..engine.setup.installation import Installation
from ..engine.setup.plan import Listener, Network, Plan
from .engine_task import EngineTask, Export, Submissions
from .execution import Launch, default_launch
from .guarded import Ending, GuardedTask
from .install_task import Work, WorkTask
from .stream import TimeLeft

ON_CLOSE = "geoseg/on_close"
"""QgsSettings key: `continue` leaves a training running when QGIS closes, `stop` cancels it."""
STOP_S, DETACH_S = LONGEST_CANCEL_S + 5.0, 3.0
"""Seconds that `shutdown` waits at most for a stopped task, and for one that leaves its engine running."""


class TaskRunner(QObject):
    """One job list at a time. All signals are emitted on the main thread.

    A task ends with exactly one of `finished`, `failed`, `cancelled`, and then `idle`. A cancelled
    training that kept its best model first emits `submission_finished`.

    Args:
        launch: states how engines are started when a task begins; the default follows the settings.
        silent: its tasks are looks in the background, which QGIS neither lists nor announces.
    """

    started = pyqtSignal(str)
    hello_received = pyqtSignal(object)
    progressed = pyqtSignal(str, float, float)
    epoch_completed = pyqtSignal(object)
    log_added = pyqtSignal(str, str)
    artifact_written = pyqtSignal(str, str)
    submission_finished = pyqtSignal(str, object, str)
    finished = pyqtSignal(str, object, str)
    failed = pyqtSignal(object)
    cancelled = pyqtSignal()
    idle = pyqtSignal()

    def __init__(
        self,
        parent: QObject | None = None,
        launch: Callable[[], Launch] = default_launch,
        silent: bool = False,
    ) -> None:
        super().__init__(parent)
        self._silent = silent
        self._find_launch = launch
        self._task: GuardedTask | None = None
        self._left = TimeLeft()
        application = QgsApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shutdown)

    @property
    def busy(self) -> bool:
        """Whether a task runs."""
        return self._task is not None

    @property
    def title(self) -> str:
        """Title of the running task; empty when idle."""
        return self._task.description() if self._task is not None else ""

    def start(self, title: str, exports: list[Export] | None, submissions: Submissions) -> None:
        """Run exports, then submissions, in a task. Returns at once. Main thread.

        Args:
            title: of the task.
            exports: write files that the jobs read.
            submissions: the jobs, in their order.

        Raises:
            GeoSegError: `busy` if a task runs, `no_engine` if the engine is not set up.
        """
        self._check_idle()
        self._begin(title, EngineTask(title, self._find_launch(), exports, submissions, silent=self._silent))

    def attach(self, run_folder: Path) -> None:
        """Follow an engine that outlived QGIS; its record is replayed first.

        Raises:
            GeoSegError: `busy` if a task runs.
        """
        self._check_idle()
        title = self.tr("Train {}").format(Path(run_folder).name)
        self._begin(title, EngineTask(title, None, attach=Path(run_folder)))

    def install(self, plan: Plan) -> None:
        """Make, complete or update the managed environment; `finished` gives {"python": path, "warning": text}.

        Args:
            plan: what to install, and where.

        Raises:
            GeoSegError: `busy` if a task runs.
        """

        def work(listener: Listener, network: Network) -> dict[str, Any]:
            environment = Installation(plan, listener, network).run()
            return {"python": str(environment.python), "warning": stamp(environment).get("warning", "")}

        self.maintain(self.tr("Set up the engine"), work, str(plan.root))

    def maintain(self, title: str, work: Work, folder: str = "") -> None:
        """Run a function in a task: a look at this computer, a repair, an offline kit; `finished` gives its result.

        Args:
            title: of the task.
            work: gets who listens to it and how the network is reached.
            folder: that it works on; `finished` gives it too.

        Raises:
            GeoSegError: `busy` if a task runs.
        """
        self._check_idle()
        self._begin(title, WorkTask(title, work, folder, self._silent))

    def cancel(self) -> None:
        """Request that the running task stops; harmless when idle.

        `cancelled` follows within 15 s; where the engine already writes its model, it may take `LONGEST_CANCEL_S`.
        """
        if self._task is not None:
            self._task.stop()

    def shutdown(self, stop: bool | None = None) -> None:
        """Before the plugin goes: end the task. Waits for it, so call it only at the very end.

        A stopped engine is gone within 15 s, one that writes its model within `LONGEST_CANCEL_S`. A task
        that has not ended even then is kept, and the runner stays busy.

        Args:
            stop: cancel a training (it saves); False leaves its engine running, to be attached later.
                None follows the user's setting. Anything but a training is always cancelled.
        """
        task = self._task
        if task is None:
            return
        if stop is None:
            stop = QgsSettings().value(ON_CLOSE, "continue") == "stop"
        left_running = not stop and isinstance(task, EngineTask) and task.detach_if_training()
        if not left_running:
            task.stop()
        if task.waitForFinished(int(1000 * (DETACH_S if left_running else STOP_S))):
            self._task = None

    def _check_idle(self) -> None:
        if self._task is not None:
            raise GeoSegError("busy", f"'{self.title}' is still running.", "Wait for it or cancel it first.")

    def _begin(self, title: str, task: GuardedTask) -> None:
        self._task = task
        self._left = TimeLeft()
        task.batch_ready.connect(self._on_batch_ready)
        task.job_ended.connect(self.submission_finished)
        task.ended.connect(self._on_ended)
        self.started.emit(title)
        QgsApplication.taskManager().addTask(task)

    def _on_batch_ready(self, events: list[Event]) -> None:
        for event in events:
            self._report(event)

    def _report(self, event: Event) -> None:
        kind = event["type"]
        if kind == "progress":
            total = event.get("total") or 0
            fraction = min(1.0, max(0.0, event["done"] / total)) if total else 0.0
            phase = str(event.get("phase", ""))
            self.progressed.emit(phase, fraction, self._left.on_progress(phase, fraction, event["t"]))
        elif kind == "epoch":
            self._left.on_epoch(event)
            self.epoch_completed.emit(event)
        elif kind == "log":
            self.log_added.emit(str(event.get("level", "info")), str(event.get("text", "")))
        elif kind == "artifact":
            self.artifact_written.emit(str(event.get("kind", "")), str(event.get("path", "")))
        elif kind == "hello":
            self.hello_received.emit(event)

    def _on_ended(self, ending: Ending) -> None:
        task, self._task = self._task, None
        QTimer.singleShot(0, lambda: _release(task))
        if ending.cancelled:
            self.cancelled.emit()
        elif ending.problem is not None:
            self.failed.emit(ending.problem)
        elif not ending.detached:
            self.finished.emit(ending.title, ending.result, ending.folder)
        self.idle.emit()


def _release(task: Any) -> None:
    """Holds the last reference until the task manager has let go of the task."""
