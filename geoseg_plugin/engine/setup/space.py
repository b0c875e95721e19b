"""Whether the disks have room: that of the environment, and that of pip's cache where it is another one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ...contract import GeoSegError

MB = 1_000_000
UPDATE_MB = 1500
"""For an update with the same build of PyTorch."""


def existing(path: Path) -> Path:
    """Return the path itself or the first folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_mb(path: Path) -> float:
    """Return what is free on the disk of a path, in MB of 10^6 bytes."""
    return shutil.disk_usage(existing(path)).free / MB


def same_disk(one: Path, other: Path) -> bool:
    """Whether two paths are on one disk."""
    return existing(one).stat().st_dev == existing(other).stat().st_dev


def check_space(root: Path, needed_mb: float) -> None:
    """Refuse to begin where the environment cannot fit.

    Raises:
        GeoSegError: `disk_full`.
    """
    free = free_mb(root)
    if free < needed_mb:
        raise GeoSegError(
            "disk_full",
            f"The disk of {root} has {free / 1000:.1f} GB free, {needed_mb / 1000:.1f} GB are needed.",
            "Free some space, or set GEOSEG_ENGINE_DIR to a folder on another disk.",
        )


def other_pip_cache(
    root: Path, beside: Path, download_mb: float, settings: Mapping[str, str], environ: Mapping[str, str]
) -> Path | None:
    """Return a folder for pip's cache where the usual one is on another disk that is nearly full; None keeps it.

    Args:
        root: folder of the environment.
        beside: cache folder on its disk.
        download_mb: what is downloaded.
        settings: the user's settings for pip.
        environ: variables.
    """
    usual = Path(settings["cache-dir"]) if settings.get("cache-dir") else _usual(environ, beside)
    if same_disk(usual, root) or free_mb(usual) >= download_mb:
        return None
    return beside / "pip"


def _usual(environ: Mapping[str, str], beside: Path) -> Path:
    home = Path("~").expanduser() if environ.get("HOME") or environ.get("USERPROFILE") else beside
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home) / "pip" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "pip"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "pip"
