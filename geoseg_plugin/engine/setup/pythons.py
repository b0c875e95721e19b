"""Find a Python interpreter to make the engine's environment from.

Inside QGIS `sys.executable` may be QGIS itself, and starting that would open a second QGIS, so it is
used only if its name contains python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..contract import GeoSegError
from .environment import cleaned
from .liveness import answer

SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))
"""Versions for which all pinned packages exist, the one that was tested most first."""

ANSWER_S = 20
QUESTION = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3], sys.maxsize > 2**32)"


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make environments."""

    path: Path
    version: tuple[int, int]


def find_python(chosen: str = "") -> Interpreter:
    """The user's choice if it will do, else the first that does.

    Raises:
        GeoSegError: `no_python`, with every interpreter that was looked at and why it will not do.
    """
    tried: list[str] = []
    for path in [Path(chosen)] if chosen else candidates():
        found = inspect_interpreter(path)
        if isinstance(found, Interpreter):
            return found
        tried.append(f"{path}: {found}")
    oldest, newest = (f"{major}.{minor}" for major, minor in (SUPPORTED[0], SUPPORTED[-1]))
    what = f"{chosen} cannot be used: {tried[0].partition(': ')[2]}." if chosen else "No usable Python found."
    raise GeoSegError("no_python", what, f"Install Python {oldest} to {newest} (with venv, 64 bit) and choose it here.",
                      "\n".join(tried))  # fmt: skip


def inspect_interpreter(path: Path) -> Interpreter | str:
    """Return what an interpreter is, or the reason why it cannot be used."""
    try:
        done = answer([str(path), "-c", QUESTION], cleaned(), ANSWER_S)
    except OSError as error:
        return f"does not start ({error.strerror or error})"
    except subprocess.TimeoutExpired:
        return "does not answer"
    if done.returncode != 0:
        lacking = "ensurepip" in done.stderr or "venv" in done.stderr
        return "has no venv or ensurepip (package python3-venv)" if lacking else "does not run"
    number, _, is_64_bit = done.stdout.strip().partition(" ")
    major, minor = (int(part) for part in number.split(".")[:2])
    if is_64_bit != "True":
        return f"is a 32 bit Python {number}"
    if (major, minor) not in SUPPORTED:
        return f"is Python {number}"
    return Interpreter(path, (major, minor))


def candidates() -> Iterator[Path]:
    """Interpreters worth a look, each once."""
    seen: set[Path] = set()
    for path in _places():
        if path.is_file() and path not in seen:
            seen.add(path)
            yield path


def _places() -> Iterator[Path]:
    if sys.platform == "win32":
        yield from _windows_places()
    if "python" in Path(sys.executable).stem.lower():
        yield Path(getattr(sys, "_base_executable", "") or sys.executable)
    if sys.platform == "darwin":
        for major, minor in SUPPORTED:
            yield Path(f"/Library/Frameworks/Python.framework/Versions/{major}.{minor}/bin/python3")
            yield Path(f"/opt/homebrew/bin/python{major}.{minor}")
        yield Path(sys.executable).parent / "bin" / "python3"
    for name in (*(f"python{major}.{minor}" for major, minor in SUPPORTED), "python3", "python"):
        if found := shutil.which(name):
            yield Path(found)


def _windows_places() -> Iterator[Path]:
    """QGIS's own Python first: it is always there; then what python.org's installer leaves."""
    yield Path(sys.prefix) / "python.exe"
    root = os.environ.get("OSGEO4W_ROOT")
    local = os.environ.get("LOCALAPPDATA")
    for major, minor in SUPPORTED:
        if root:
            yield Path(root) / "apps" / f"Python{major}{minor}" / "python.exe"
        if local:
            yield Path(local) / "Programs" / "Python" / f"Python{major}{minor}" / "python.exe"
