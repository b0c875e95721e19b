"""A look at this computer before anything is downloaded: cards, Python, free disk, proxy. Not for the main thread."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...contract import GeoSegError
from ...engine.setup.machine import inspect_machine
from ...engine.setup.maintenance import sizes
from ...engine.setup.pythons import find_python
from ...tasks.network import find_proxy
from .setup_state import Look


def look(root: Path, python: str = "") -> Look:
    """Return what is found on this computer; starts a few short programs.

    Args:
        root: folder of the environment, whether or not it exists.
        python: interpreter that the user chose; empty finds one.
    """
    size = sizes(root)
    whole = size.environment_bytes + size.cache_bytes + size.python_bytes
    return Look(
        inspect_machine(),
        *python_of(python),
        str(root),
        free_mb(root),
        find_proxy().name,
        whole / 1e6 if root.exists() else -1,
    )


def python_of(chosen: str) -> tuple[str, str]:
    """Return version and path of the interpreter that would be used; both empty if none fits."""
    try:
        found = find_python(chosen)
    except GeoSegError:
        return "", ""
    return ".".join(str(part) for part in found.version), str(found.path)


def free_mb(folder: Path) -> float:
    """Return the free space on the disk of a folder that may not exist yet, in MB of 10^6 bytes; -1 if unknown."""
    existing = next((item for item in (folder, *folder.parents) if item.exists()), folder)
    try:
        return shutil.disk_usage(existing).free / 1e6
    except OSError:
        return -1
