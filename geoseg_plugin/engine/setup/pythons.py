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

from ...contract import GeoSegError
from ..environment import cleaned
from ..liveness import answer

SUPPORTED = ((3, 12), (3, 11), (3, 13), (3, 14))
"""Versions for which all pinned packages exist, the one with lists of tested wheels first."""

ANSWER_S = 20
QUESTION = (
    "import sys, platform, ssl, venv, importlib.util as u;"
    "print('%d.%d.%d' % sys.version_info[:3], sys.maxsize > 2**32, platform.machine(),"
    " bool(u.find_spec('ensurepip')))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make environments.

    Attributes:
        path: of the program.
        version: major and minor number.
        processor: as `platform.machine()` in it; under Rosetta that is not the machine's.
        has_pip: whether it brings pip into a new environment (ensurepip).
    """

    path: Path
    version: tuple[int, int]
    processor: str = ""
    has_pip: bool = True


def find_python(
    chosen: str = "", processor: str = "", versions: tuple[tuple[int, int], ...] = SUPPORTED
) -> Interpreter:
    """The user's choice if it will do, else the first that does; one that brings pip goes first.

    Args:
        chosen: path of an interpreter; empty looks for one.
        processor: which the Python must be built for, e.g. `arm64` on Apple silicon; empty takes any.
        versions: that will do.

    Raises:
        GeoSegError: `no_python`, with every interpreter that was looked at and why it will not do.
    """
    tried: list[str] = []
    second: Interpreter | None = None
    for path in [Path(chosen)] if chosen else candidates():
        found = inspect_interpreter(path)
        if isinstance(found, Interpreter) and processor and found.processor not in ("", processor):
            found = f"is a Python for {found.processor}, not for {processor}"
        if isinstance(found, Interpreter) and found.version not in versions:
            found = f"is Python {found.version[0]}.{found.version[1]}"
        if isinstance(found, Interpreter):
            if found.has_pip or chosen:
                return found
            second = second or found
        else:
            tried.append(f"{path}: {found}")
    if second is not None:
        return second
    wanted = " to ".join(f"{major}.{minor}" for major, minor in sorted({min(versions), max(versions)}))
    what = f"{chosen} cannot be used: {tried[0].partition(': ')[2]}." if chosen else "No usable Python found."
    raise GeoSegError("no_python", what, f"Install Python {wanted} (with venv, 64 bit) and choose it here.",
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
        lacking = next((name for name in ("venv", "ssl") if name in done.stderr), "")
        return f"has no module {lacking}" if lacking else "does not run"
    number, is_64_bit, processor, brings_pip = (*done.stdout.split(), "", "", "", "")[:4]
    try:
        major, minor = (int(part) for part in number.split(".")[:2])
    except ValueError:
        return "does not state its version"
    if is_64_bit != "True":
        return f"is a 32 bit Python {number}"
    if (major, minor) not in SUPPORTED:
        return f"is Python {number}"
    return Interpreter(path, (major, minor), processor, brings_pip != "False")


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
