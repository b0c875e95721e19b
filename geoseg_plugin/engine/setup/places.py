"""Where an environment, its cache and what else belongs to it lie: beside each other, on one disk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ...contract import GeoSegError
from ...paths import plugin_dir
from ..environment import interpreter

LONGEST_INSIDE = len("\\Lib\\site-packages\\") + 171
"""Longest path below an environment on Windows: a licence text of PyTorch."""
LONGEST_PATH = 259


@dataclass(frozen=True)
class Places:
    """Files and folders that belong to the environment at `root`; all have its name and an ending of their own.

    Where the folder around the root cannot be written, they are inside it, and an update changes the environment in
    place.
    """

    root: Path

    @classmethod
    def of(cls, root: Path) -> Places:
        """Return the places of an environment; a link to a folder, perhaps on another disk, is followed."""
        whole = Path(root).expanduser().absolute()
        return cls(whole.resolve() if whole.is_symlink() else whole)

    @property
    def can_swap(self) -> bool:
        """Whether a new environment can be made beside the old one and take its place by renaming."""
        parent = self.root.parent
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        return os.access(parent, os.W_OK) and not os.path.ismount(self.root)

    @property
    def staging(self) -> Path:
        """Folder of the new environment during an update."""
        return self.root.with_name(self.root.name + ".new")

    @property
    def former(self) -> Path:
        """Folder of the old environment while the new one takes its place."""
        return self.root.with_name(self.root.name + ".old")

    @property
    def lock(self) -> Path:
        """File that one installation at a time holds."""
        return self._beside("lock")

    @property
    def log(self) -> Path:
        """Log of all installations."""
        return self._beside("log")

    @property
    def cache(self) -> Path:
        """Folder of what was downloaded; on the same disk, so that files are linked, not copied."""
        return self._beside("cache")

    @property
    def own_python(self) -> Path:
        """Folder of the Python that was brought, if one was."""
        return self._beside("python")

    @property
    def own_uv(self) -> Path:
        """Folder of the program uv."""
        return self._beside("uv")

    def _beside(self, ending: str) -> Path:
        if self.can_swap:
            return self.root.with_name(f"{self.root.name}.{ending}")
        return self.root / f"geoseg.{ending}"


def site_packages(root: Path) -> Path:
    """Return the folder of an environment's packages, whether or not it exists."""
    if (root / "Lib" / "site-packages").is_dir() or sys.platform == "win32":
        return root / "Lib" / "site-packages"
    found = sorted(root.glob("lib/python3*/site-packages"))
    return found[0] if found else root / "lib" / "python3" / "site-packages"


def scripts_dir(root: Path) -> Path:
    """Return the folder of an environment's programs."""
    return interpreter(root).parent


def check_path_length(root: Path, windows: bool | None = None, long_paths: bool | None = None) -> None:
    """Refuse a folder whose longest file could not be written on Windows.

    Args:
        root: folder of the environment.
        windows: whether this is Windows; None finds out.
        long_paths: whether Windows allows long paths; None reads it from the registry.

    Raises:
        GeoSegError: `path_too_long`.
    """
    if not (sys.platform == "win32" if windows is None else windows):
        return
    spare = LONGEST_PATH - LONGEST_INSIDE - len(".new")
    length = len(str(root))
    if length > spare and not (_long_paths_enabled() if long_paths is None else long_paths):
        raise GeoSegError(
            "path_too_long",
            f"{root} has {length} characters; with the longest file in it, Windows allows {spare}.",
            "Choose a shorter folder, e.g. C:\\geoseg (GEOSEG_ENGINE_DIR), or let an administrator enable long paths.",
        )


def check_outside_plugin(root: Path) -> None:
    """Refuse a folder inside the plugin: QGIS removes it with the plugin's next update.

    Raises:
        GeoSegError: `not_writable`.
    """
    if root.resolve().is_relative_to(plugin_dir()):
        raise GeoSegError("not_writable", f"{root} is inside the plugin, which QGIS replaces when it is updated.",
                          "Choose another folder.")  # fmt: skip


def _long_paths_enabled() -> bool:
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False


def bytes_of(folder: Path) -> int:
    """Return the size of all files in a folder, hard links once; 0 if it does not exist."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = Path(place, name).lstat()
            except OSError:
                continue
            if found.st_nlink > 1 and (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            total += found.st_size
    return total
