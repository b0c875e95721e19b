"""Run pip, or another installing command, forward its lines, and stop it when requested."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..contract import Cancelled, GeoSegError, present
from .environment import cleaned
from .liveness import end_group, start

REFUSED = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON")
"""Settings of the user's pip that would install elsewhere; all other settings (index, proxy, certificates) stay."""

KEPT_LINES = 40
NEXT_STEPS = (
    ("No space left", "disk_full", "Free some space or choose another folder, then set up again."),
    ("CERTIFICATE_VERIFY_FAILED", "install_ssl",
     "A proxy or antivirus replaces certificates: set PIP_CERT to its certificate file, or contact your"
     " administrator."),
    ("SSLError", "install_ssl", "Set PIP_CERT to the certificate file of your network."),
    ("ProxyError", "install_network", "Set HTTPS_PROXY to your network's proxy and start QGIS again."),
    ("Temporary failure in name resolution", "install_network", "Is the network there? Then set up again."),
    ("Connection", "install_network", "Is the network there? What is downloaded already is kept; set up again."),
    ("timed out", "install_network", "The network is slow; what is downloaded already is kept; set up again."),
    ("Permission denied", "not_writable", "Choose a folder that you may write to."),
    ("Could not find a version", "install_no_package", "Choose another Python; see the log."),
)  # fmt: skip


def pip_environ() -> dict[str, str]:
    """The environment of pip: cleaned, but with the user's own settings for pip."""
    environ = cleaned()
    environ.update({name: value for name, value in os.environ.items()
                    if name.upper().startswith("PIP_") and name.upper() not in REFUSED})  # fmt: skip
    del environ["PYTHONPATH"]
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return environ


class Command:
    """One command whose output goes to a log file and to a listener, and that can be cancelled."""

    def __init__(self, log: Path, on_line: Callable[[str], None], is_cancelled: Callable[[], bool]) -> None:
        self._log = log
        self._on_line = on_line
        self._is_cancelled = is_cancelled

    def run(self, arguments: list[str], extra: dict[str, str] | None = None) -> list[str]:
        """Run a command to its end. Returns the last lines.

        Args:
            arguments: of the command.
            extra: further variables of its environment.

        Raises:
            Cancelled: the command and its children are ended first.
            GeoSegError: with a code and next step that follow from the last lines.
        """
        try:
            environ = {**pip_environ(), **(extra or {})}
            process = start(arguments, environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except OSError as error:
            raise GeoSegError("install_failed", f"{arguments[0]} cannot be started: {error}.",
                              "Choose another Python.") from error  # fmt: skip
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        with self._log.open("a", encoding="utf-8") as log:
            log.write("$ " + " ".join(arguments) + "\n")
            self._listen(process, kept, log)
        if process.returncode != 0:
            raise explain(arguments, list(kept), process.returncode)
        return list(kept)

    def _listen(self, process: subprocess.Popen[bytes], kept: deque[str], log: IO[str]) -> None:
        lines: queue.Queue[str | None] = queue.Queue()
        output = present(process.stdout, "pip's output")
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
            kept.append(line)
            log.write(line + "\n")
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


def explain(arguments: list[str], lines: list[str], code: int) -> GeoSegError:
    """Return the error for a command that failed, with a next step read from its output.

    Args:
        arguments: of the command.
        lines: its output.
        code: its exit code.
    """
    text = "\n".join(lines)
    what = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "")
    for sign, problem, hint in NEXT_STEPS:
        if sign in text:
            return GeoSegError(problem, f"The installation stopped: {what}", hint, text)
    return GeoSegError("install_failed", f"The installation stopped with exit code {code}: {what}",
                       "Look at the log, then set up again: finished steps are kept.", text)  # fmt: skip
