"""Sessions with the fake engines, through the same EngineProcess as the real one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from waiting import PATIENCE

from geoseg_plugin.engine.process import EngineProcess
from geoseg_plugin.engine.session import EngineSession, Event
from geoseg_plugin.tasks.execution import Launch

SCRIPTS = Path(__file__).parent / "fake_engines"
PYTHON = Path(getattr(sys, "_base_executable", "") or sys.executable)


def fake_command(name: str) -> Callable[[Path, Path], list[str]]:
    """Argument list of a fake engine."""
    return lambda python, job_file: [str(python), "-u", str(SCRIPTS / f"{name}.py"), str(job_file)]


def fake_session(name: str, folder: Path, **environ: str) -> EngineProcess:
    """A session of a fake engine in a folder, not started."""
    return EngineProcess(PYTHON, folder, {**os.environ, **environ}, fake_command(name))


def fake_launch(name: str, **environ: str) -> Launch:
    """What a runner needs to start fake engines."""
    return Launch(PYTHON, session=lambda folder: fake_session(name, folder, **environ))


def poll_to_end(session: EngineSession, timeout_s: float = 20.0) -> list[Event]:
    """All events until the session has an outcome."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE * timeout_s
    while session.running:
        assert time.monotonic() < deadline, f"still running; events so far: {events[-5:]}"
        events += session.poll(0.05)
    return events


def kinds(events: list[Event]) -> list[str]:
    """Types of events."""
    return [event["type"] for event in events]
