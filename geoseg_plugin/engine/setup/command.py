"""Run a program of the installation, forward its lines without secrets, and stop it when requested."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ...contract import Cancelled, GeoSegError, present
from ..liveness import end_group, start
from .failures import explain
from .redaction import redacted, secrets_of

KEPT_LINES = 400
LONGEST_LOG = 2_000_000
"""Bytes of a log of many installations."""
NOT_RUNNABLE = "install_not_runnable"
"""Code of the error for a program that the system does not let run."""


class Command:
    """Programs whose output goes to a log file and to a listener, and that can be cancelled.

    Args:
        log: file that is appended to; it and its folder are made.
        on_line: called with every line.
        is_cancelled: called ten times per second.
    """

    def __init__(self, log: Path, on_line: Callable[[str], None], is_cancelled: Callable[[], bool]) -> None:
        self._log = log
        self._on_line = on_line
        self._is_cancelled = is_cancelled

    def run(self, arguments: Sequence[str], environ: dict[str, str]) -> list[str]:
        """Run a program to its end. Returns the last lines.

        Args:
            arguments: the program and its arguments, without secrets.
            environ: its whole environment.

        Raises:
            Cancelled: the program and its children are ended first.
            GeoSegError: with a code and next step that follow from its output, or `install_not_runnable`.
        """
        secrets = secrets_of(environ)
        self.write("$ " + redacted(" ".join(arguments), secrets))
        try:
            process = start(arguments, environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except OSError as error:
            raise GeoSegError(
                NOT_RUNNABLE,
                f"{arguments[0]} cannot be started: {error.strerror or error}.",
                "The system or an antivirus forbids programs in this folder: choose another folder, or set up with"
                " a Python that is installed for all users.",
            ) from error
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        with self._log.open("a", encoding="utf-8") as log:
            self._listen(process, kept, log, secrets)
        if process.returncode == 126:
            raise GeoSegError(NOT_RUNNABLE, f"{arguments[0]} may not run here.", "Choose another folder.")
        if process.returncode != 0:
            raise explain(arguments, list(kept), process.returncode)
        return list(kept)

    def write(self, line: str) -> None:
        """Append a line to the log."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def trim(self) -> None:
        """Keep the end of a log that has grown too long."""
        if self._log.is_file() and self._log.stat().st_size > LONGEST_LOG:
            kept = self._log.read_bytes()[-LONGEST_LOG // 10 :]
            self._log.write_bytes(kept[kept.find(b"\n") + 1 :])

    def _listen(
        self, process: subprocess.Popen[bytes], kept: deque[str], log: IO[str], secrets: tuple[str, ...]
    ) -> None:
        lines: queue.Queue[str | None] = queue.Queue()
        output = present(process.stdout, "the program's output")
        threading.Thread(target=_read, args=(output, lines), daemon=True).start()
        while True:
            if self._is_cancelled():
                _stop(process)
                raise Cancelled
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                continue
            if line is None:
                process.wait()
                return
            line = redacted(line, secrets)
            kept.append(line)
            log.write(line + "\n")
            log.flush()
            self._on_line(line)


def _read(stdout: IO[bytes], lines: queue.Queue[str | None]) -> None:
    with stdout:
        for line in stdout:
            lines.put(line.decode("utf-8", "replace").rstrip())
    lines.put(None)


def _stop(process: subprocess.Popen[bytes]) -> None:
    end_group(process.pid, force=False)
    deadline = time.monotonic() + 3.0
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    end_group(process.pid, force=True)
    process.wait()
