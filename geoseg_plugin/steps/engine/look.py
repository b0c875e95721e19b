"""A look at this computer before anything is downloaded: cards, Python, free disk, proxy. Not for the main thread."""

from __future__ import annotations

from pathlib import Path

from ...contract import GeoSegError
from ...engine.setup.machine import inspect_machine
from ...engine.setup.maintenance import sizes
from ...engine.setup.pythons import find_python
from ...engine.setup.space import free_mb
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
    machine = inspect_machine()
    return Look(
        machine,
        *python_of(python, machine.processor if machine.system == "macos" else ""),
        str(root),
        free_mb(root),
        find_proxy().name,
        whole / 1e6 if root.exists() else -1,
    )


def python_of(chosen: str, processor: str = "") -> tuple[str, str]:
    """Return version and path of the interpreter that would be used; both empty if none fits.

    Args:
        chosen: by the user; empty looks for one.
        processor: that it must be built for; empty takes any.
    """
    try:
        found = find_python(chosen, processor)
    except GeoSegError:
        return "", ""
    return ".".join(str(part) for part in found.version), str(found.path)
