"""Run submissions one after the other; for the panel and the Toolbox.

Called in a worker thread: plain data and files only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsSettings

from ..contract import Cancelled, GeoSegError
from ..engine.environment import Environment, check, cleaned, default_root, find
from ..engine.process import EngineProcess, Outcome
from ..engine.session import EngineSession, Event
from ..jobs.submission import Submission, write

POLL_S = 0.1

CHOSEN_PYTHON = "geoseg/engine_python"
"""QgsSettings key of the user's own interpreter; empty uses the managed environment."""


@dataclass(frozen=True)
class Launch:
    """How engines are started.

    Attributes:
        python: interpreter.
        environ: environment; None is `environment.cleaned()`.
        session: builds the session of a job folder; None starts a real engine. Tests give fake ones.
    """

    python: Path
    environ: Mapping[str, str] | None = None
    session: Callable[[Path], EngineProcess] | None = None

    def open(self, folder: Path) -> EngineProcess:
        """An engine session for the job in `folder`, not started yet."""
        if self.session is not None:
            return self.session(folder)
        return EngineProcess(self.python, folder, self.environ or cleaned())


def engine_environment() -> Environment | None:
    """The environment that the user's settings name; reads a few small files, no process."""
    return find(engine_folder(), str(QgsSettings().value(CHOSEN_PYTHON, "") or ""))


def engine_folder() -> Path:
    """The folder of the environment that GeoSeg makes, whether or not it exists."""
    return default_root()


def default_launch() -> Launch:
    """How engines are started with the user's settings.

    Raises:
        GeoSegError: `no_engine` if there is no environment.
    """
    environment = engine_environment()
    errors = [problem for problem in check(environment) if problem.severity == "error"]
    if environment is None or errors:
        raise GeoSegError(errors[0].code, errors[0].message, errors[0].hint)
    return Launch(environment.python)


def run_submission(
    submission: Submission,
    launch: Launch,
    on_events: Callable[[list[Event]], None],
    is_cancelled: Callable[[], bool],
    is_detached: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Write a job, run it and forward its events. Any thread.

    Args:
        submission: job and folder.
        launch: how the engine is started.
        on_events: gets the events as they come.
        is_cancelled: whether the job must stop.
        is_detached: whether the engine must continue alone.

    Raises:
        GeoSegError: if the engine cannot be started; OSError if the folder cannot be written.
    """
    write(submission)
    session = launch.open(submission.folder)
    session.start()
    return follow(session, on_events, is_cancelled, is_detached)


def follow(
    session: EngineSession,
    on_events: Callable[[list[Event]], None],
    is_cancelled: Callable[[], bool],
    is_detached: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Poll a started session to its end. Any thread.

    Args:
        session: of the engine.
        on_events: gets the events as they come.
        is_cancelled: whether the job must stop.
        is_detached: whether the engine must continue alone.
    """
    while session.running:
        if is_detached():
            session.detach()
            return None
        if is_cancelled():
            session.cancel()
        events = session.poll(POLL_S)
        on_events(events)
    return session.outcome


def result_of(outcome: Outcome) -> dict[str, object]:
    """The result of a job that is done.

    Raises:
        Cancelled: if it was cancelled; GeoSegError as the engine reported if it failed.
    """
    if outcome.kind == "cancelled":
        raise Cancelled
    if outcome.problem is not None:
        raise GeoSegError(**outcome.problem)
    return outcome.result
