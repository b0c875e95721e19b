"""Run one job in the engine: a process just started, or one that outlived QGIS."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ..contract import CANCEL_FILE, EVENTS_FILE, JOB_FILE, LOG_FILE, GeoSegError, present
from .liveness import running_pid, start
from .session import EngineSession, Outcome, as_problem

__all__ = ["Attached", "EngineProcess", "Outcome", "as_problem", "engine_command"]

QUEUE_LINES, POLL_LINES, LINE_BYTES = 10_000, 2_000, 4_000_000
ORPHAN_S = 2.0
"""Seconds to wait for the end of stdout once the engine itself is gone (a child may hold it open)."""


def engine_command(python: Path, job_file: Path) -> list[str]:
    """Return the command that runs a job.

    Args:
        python: interpreter.
        job_file: job.json; absolute, so that the process can be recognised.
    """
    return [str(python), "-u", "-m", "geoseg_engine", "run", str(job_file)]


class EngineProcess(EngineSession):
    """One engine process of our own.

    Args:
        python: interpreter of the engine environment.
        folder: job folder with job.json; becomes the working folder.
        environ: environment, see `environment.cleaned`.
        command: builds the argument list; tests give fake engines.
    """

    def __init__(
        self,
        python: Path,
        folder: Path,
        environ: Mapping[str, str],
        command: Callable[[Path, Path], list[str]] = engine_command,
    ) -> None:
        super().__init__(Path(folder).resolve())
        self._arguments = command(Path(python), self.folder / JOB_FILE)
        self._environ = dict(environ)
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self._process: subprocess.Popen[bytes] | None = None
        self._stdout_ended = False
        self._gone_at: float | None = None
        self._detached = threading.Event()

    def start(self) -> None:
        """Start the engine.

        Raises:
            GeoSegError: `engine_start` if the interpreter cannot be run.
        """
        (self.folder / CANCEL_FILE).unlink(missing_ok=True)
        with (self.folder / LOG_FILE).open("ab") as log:
            try:
                process = start(self._arguments, self._environ, self.folder, subprocess.PIPE, log)
            except OSError as error:
                raise GeoSegError("engine_start", f"{self._arguments[0]} cannot be started: {error}.",
                                  "Set up the engine again, or choose another Python.") from error  # fmt: skip
        self._process, self.pid = process, process.pid
        output = present(process.stdout, "the engine's output")
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def detach(self) -> None:
        """Leave the engine running. Its further output is read and dropped while QGIS runs."""
        self._detached.set()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            while line := stdout.readline(LINE_BYTES):
                self._put(line)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        while not self._detached.is_set():
            try:
                return self._queue.put(line, timeout=0.5)
            except queue.Full:
                continue
        return None

    def _lines(self, timeout_s: float) -> list[str]:
        lines: list[str] = []
        wait: float | None = timeout_s
        while len(lines) < POLL_LINES and not self._stdout_ended:
            try:
                line = self._queue.get(block=bool(wait), timeout=wait)
            except queue.Empty:
                break
            wait = None
            if line is None:
                self._stdout_ended = True
            else:
                lines.append(line.decode("utf-8", "replace"))
        if self._stdout_ended and not lines:
            time.sleep(min(timeout_s, 0.02))
        return lines

    def _at_end(self) -> bool:
        if self._exit_code() is None:
            return False
        if self._gone_at is None:
            self._gone_at = time.monotonic()
        return self._stdout_ended or (self._queue.empty() and time.monotonic() - self._gone_at > ORPHAN_S)

    def _exit_code(self) -> int | None:
        return self._process.poll() if self._process is not None else None


class Attached(EngineSession):
    """An engine that outlived QGIS: replays its record, then follows it until the process is gone.

    A folder whose engine is gone already replays and ends at once.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(Path(folder).resolve())
        self._offset = 0
        self._rest = b""
        self._drained = False
        self._alive = True

    def start(self) -> None:
        """Find the process.

        Raises:
            GeoSegError: `nothing_to_attach` if the folder holds no record of a job.
        """
        if not (self.folder / EVENTS_FILE).exists():
            raise GeoSegError("nothing_to_attach", f"{self.folder} holds no {EVENTS_FILE}.",
                              "Choose the folder of a run.")  # fmt: skip
        self.pid = running_pid(self.folder) or 0
        self._alive = bool(self.pid)

    def _lines(self, timeout_s: float) -> list[str]:
        alive_before = self._alive = self._alive and running_pid(self.folder) is not None
        lines = self._new_lines()
        if not lines and alive_before:
            time.sleep(timeout_s)
            lines = self._new_lines()
        self._drained = not lines and not alive_before
        return lines

    def _new_lines(self) -> list[str]:
        try:
            with (self.folder / EVENTS_FILE).open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read(1_000_000)
        except OSError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def _at_end(self) -> bool:
        return self._drained

    def _exit_code(self) -> int | None:
        return None
