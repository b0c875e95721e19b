"""Processes of the operating system: start in a group, end the group, see whether one lives.

A process id alone proves nothing (ids are used again), so a living engine is recognised by its
command line, which names the job file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..contract import JOB_FILE, PID_FILE, GeoSegError, kept_json

WINDOWS = sys.platform == "win32"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
"""What disks answer that know no locks, e.g. NFS without its lock service."""
READABLE: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}
"""Keyword arguments for reading what other programs print, whatever the user's code page."""


def own_group() -> dict[str, Any]:
    """Keyword arguments for Popen: a process group of its own, and no console window on Windows."""
    if WINDOWS:
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined, unused-ignore]
        return {"creationflags": flags}
    return {"start_new_session": True}


def no_window() -> dict[str, Any]:
    """Keyword arguments for short calls: no console window on Windows."""
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if WINDOWS else {}  # type: ignore[attr-defined, unused-ignore]


def start(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    folder: Path | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, without a shell and with nothing to read.

    Args:
        arguments: the program and its arguments.
        environ: its whole environment.
        folder: working folder; None is that of this process.
        stdout, stderr: where its output goes, as for `subprocess`.

    Returns:
        The running process.

    Raises:
        OSError: if it cannot be started.
    """
    return subprocess.Popen(  # nosec B603  # a list of arguments that the plugin makes, and no shell
        list(arguments), cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        **own_group())  # fmt: skip


def answer(
    arguments: Sequence[str], environ: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end, without a shell, and keep what it prints.

    Args:
        arguments: the program and its arguments.
        environ: its whole environment; None is that of this process.
        timeout_s: seconds to wait at most; None waits for ever.

    Returns:
        Exit code and output as text, whatever the exit code.

    Raises:
        OSError: if it cannot be started; `subprocess.TimeoutExpired`.
    """
    return subprocess.run(  # nosec B603  # a list of arguments that the plugin makes, and no shell
        list(arguments), env=environ, stdin=subprocess.DEVNULL, capture_output=True, **READABLE,
        timeout=timeout_s, check=False, **no_window())  # fmt: skip


def end_group(pid: int, force: bool) -> None:
    """Terminate (or kill, with `force`) a process and all that it started; it may have ended already.

    Windows has no gentle way for a process without a window, so there it is always killed.

    Args:
        pid: of the process that leads the group.
        force: kill instead of asking it to end.
    """
    if WINDOWS:
        answer(["taskkill", "/PID", str(pid), "/T", "/F"])
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL if force else signal.SIGTERM)


def running_pid(folder: Path) -> int | None:
    """Id of the engine that works on the job of this folder, if one lives."""
    try:
        pid = int((folder / PID_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if is_alive(pid, str(folder.resolve() / JOB_FILE)) else None


def is_alive(pid: int, mark: str) -> bool:
    """Whether the process lives and its command line holds `mark` (not checked on Windows).

    Args:
        pid: of a process.
        mark: text that its command line must hold.
    """
    if WINDOWS:
        listed = answer(["tasklist", "/FI", f"PID eq {pid}", "/NH", "/FO", "CSV"])
        return f'"{pid}"' in listed.stdout and "python" in listed.stdout.lower()
    record = Path("/proc") / str(pid)
    if Path("/proc/self/stat").exists():
        try:
            state = (record / "stat").read_text(**READABLE).rpartition(")")[2].split()[0]
            command_line = (record / "cmdline").read_bytes().decode("utf-8", "replace")
        except (OSError, IndexError):
            return False
        return state != "Z" and mark in command_line
    shown = answer(["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)]).stdout.strip()
    return bool(shown) and not shown.startswith("Z") and mark in shown


def describe_exit(code: int | None) -> str:
    """Return an exit code as text: `exit code 3`, `signal SIGKILL`."""
    if code is None:
        return "no exit code"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    if WINDOWS and code > 0xFFFF:
        return f"exit code 0x{code & 0xFFFFFFFF:08X}"
    return f"exit code {code}"


def job_kind(folder: Path) -> str:
    """Kind of the job in a folder; empty if there is none."""
    data = kept_json(folder / JOB_FILE)
    return str(data.get("kind", "")) if isinstance(data, dict) else ""


def last_lines(file: Path, count: int = 30) -> str:
    """Return the end of a text file; empty if there is none.

    Args:
        file: of text.
        count: number of lines.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 16_384))
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return ""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that the system lets go of when the process ends, however it ends.

    Raises:
        GeoSegError: `install_busy` if another process holds it.
    """
    with file.open("a+b") as stream:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:  # a network disk without them: better unlocked than never
                yield
                return
            raise GeoSegError("install_busy", f"Another QGIS is setting up the engine in {file.parent}.",
                              "Wait until it is done.") from error  # fmt: skip
        yield
