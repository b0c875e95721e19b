"""Files that GDAL and SQLite keep beside a file: they go where it goes."""

from __future__ import annotations

from pathlib import Path

SIDECARS = (".aux.xml", ".msk", ".msk.aux.xml", ".ovr", "-wal", "-shm", "-journal")
"""Endings behind the whole name of a file: metadata and CRS, mask, overviews, a database's log."""


def beside(path: Path, ending: str) -> Path:
    """Return the file whose name is that of a file and an ending: `a.tif.ovr`.

    Args:
        path: file, as `a.tif`.
        ending: as `.ovr`.
    """
    return path.with_name(path.name + ending)


def replace_with_sidecars(partial: Path, path: Path) -> None:
    """Rename a file and its sidecar files; those of an older file of the new name are removed.

    Args:
        partial: file with its temporary name.
        path: its final name.
    """
    partial.replace(path)
    for ending in SIDECARS:
        if beside(partial, ending).exists():
            beside(partial, ending).replace(beside(path, ending))
        else:
            beside(path, ending).unlink(missing_ok=True)


def remove_with_sidecars(path: Path) -> None:
    """Delete a file and what lies beside it, as far as they are there."""
    for ending in ("", *SIDECARS):
        beside(path, ending).unlink(missing_ok=True)
