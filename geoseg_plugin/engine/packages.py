"""Whether an interpreter has a package, by looking at files: quick enough for the main thread."""

from __future__ import annotations

from pathlib import Path


def has_package(python: Path, package: str) -> bool:
    """Whether a folder of this import name lies in the interpreter's site-packages.

    Environments made by venv or conda keep them beside the interpreter; packages elsewhere are not seen.

    Args:
        python: interpreter.
        package: name of the module.
    """
    root = python.parent if (python.parent / "Lib").is_dir() else python.parent.parent
    places = [root / "Lib" / "site-packages", *root.glob("lib*/python3*/site-packages")]
    return any((place / package).is_dir() for place in places)
