"""TensorBoard of the engine's environment as a child process; standard library only."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from ..contract import GeoSegError
from .liveness import end_group, start

HOST = "127.0.0.1"
PACKAGE = "tensorboard"
WAIT_S, LOOK_S = 3.0, 0.2


def command(python: Path, logs: Path, port: int) -> list[str]:
    """Return the command that shows all runs below a folder.

    Args:
        python: interpreter.
        logs: folder of the logs.
        port: on which it listens.
    """
    places = ["--logdir", str(logs), "--host", HOST, "--port", str(port)]
    return [str(python), "-m", "tensorboard.main", *places, "--reload_interval", "15"]


class TensorBoard:
    """One TensorBoard, on this computer only.

    Args:
        python: interpreter of the engine environment.
        logs: folder whose runs are shown.
        environ: environment, see `environment.cleaned`.
        make_command: builds the argument list; tests give fakes.
    """

    def __init__(
        self,
        python: Path,
        logs: Path,
        environ: Mapping[str, str],
        make_command: Callable[[Path, Path, int], list[str]] = command,
    ) -> None:
        self.logs = Path(logs)
        self._python = Path(python)
        self._environ = dict(environ)
        self._make_command = make_command
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it can be seen."""
        return f"http://{HOST}:{self._port}/"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it on a free port.

        Raises:
            GeoSegError: `tensorboard` if it cannot be started.
        """
        self._port = free_port()
        arguments = self._make_command(self._python, self.logs, self._port)
        try:
            self._process = start(arguments, self._environ)
        except OSError as error:
            raise GeoSegError("tensorboard", f"TensorBoard cannot be started: {error}.",
                              "Set up the engine again.") from error  # fmt: skip

    def answers(self) -> bool:
        """Whether a browser would get a page by now."""
        with socket.socket() as probe:
            probe.settimeout(LOOK_S)
            return probe.connect_ex((HOST, self._port)) == 0

    def stop(self) -> None:
        """End it with all that it started."""
        if self._process is None:
            return
        end_group(self._process.pid, force=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(WAIT_S)
        if self._process.poll() is None:
            end_group(self._process.pid, force=True)
            self._process.wait()
        self._process = None


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])
