"""Compare the files of installed packages with their RECORD: quick enough to do it after every installation.

A full disk or an antivirus leaves half a package whose `.dist-info` is there: the tools then take it for installed, and
only its import fails.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("RECORD", "METADATA")


@dataclass(frozen=True)
class Broken:
    """A package whose files do not match its record.

    Attributes:
        name: normalized name of the package.
        version: as its folder states.
        what: the first file that differs, and how.
    """

    name: str
    version: str
    what: str


def normalized(name: str) -> str:
    """Return the name of a package in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(site: Path) -> dict[str, str]:
    """Return the packages in a folder: normalized name -> version."""
    found = {}
    for folder in site.glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        found[normalized(name)] = version
    return dict(sorted(found.items()))


def broken_packages(site: Path) -> list[Broken]:
    """Compare every file with the size that its package's RECORD states. Returns the packages that do not match.

    Programs and compiled files are not compared: the first are written anew when an environment moves, and Python makes
    the second.

    Args:
        site: folder of an environment's packages.
    """
    found = []
    sizes = _sizes(site)
    for folder in sorted(site.glob("*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        what = _difference(folder, sizes)
        if what:
            found.append(Broken(normalized(name), version, what))
    return found


def clear_halves(site: Path) -> list[str]:
    """Remove records that the tools cannot work with, and folders that an interrupted pip left.

    The files of such a package stay; they are overwritten when it is installed again.

    Args:
        site: folder of an environment's packages.

    Returns:
        What was removed.
    """
    halves = [
        item for item in site.glob("*.dist-info") if not all((item / name).is_file() for name in NEEDED)
    ]
    left = [item for item in site.glob("~*") if item.is_dir()]
    for folder in (*halves, *left):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    return [item.name for item in (*halves, *left)]


def _difference(folder: Path, sizes: dict[str, int]) -> str:
    """Return how a package differs from its record; empty if it does not."""
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        return f"{folder.name}/{missing[0]} is missing"
    rows = [row for row in _record(folder / "RECORD") if len(row) == 3 and row[0]]
    if not rows:
        return f"{folder.name}/RECORD is empty or damaged"
    for row in rows:
        if not row[2].isdigit() or row[0].startswith(("..", "/")) or row[0].endswith(".pyc"):
            continue
        size = sizes.get(row[0].replace("\\", "/"))
        if size is None:
            return f"{row[0]} is missing"
        if size != int(row[2]):
            return f"{row[0]} has {size} bytes instead of {row[2]}"
    return ""


def _record(file: Path) -> list[list[str]]:
    """Return the rows of a record; after a power cut it may hold anything."""
    text = file.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    try:
        return list(csv.reader(text.split("\n")))
    except csv.Error:
        return []


def _sizes(site: Path) -> dict[str, int]:
    """Return path relative to the folder -> size in bytes, for all files."""
    found: dict[str, int] = {}
    waiting = [("", str(site))]
    while waiting:
        prefix, place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            path = prefix + entry.name
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        waiting.append((path + "/", entry.path))
                else:
                    found[path] = entry.stat().st_size
    return found
