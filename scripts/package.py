"""Build build/geoseg_plugin.zip: one folder geoseg_plugin/ with all that QGIS and the engine need.

Standard library only. The zip depends on the files alone: names sorted, times fixed.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "geoseg_plugin"
SINGLE = ("metadata.txt", "LICENSE", "CHANGELOG.md")
FOLDERS = ("resources", "training", "docs")
LEFT_OUT = {"__pycache__", "tests", "build", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
LEFT_OUT_SUFFIXES = (".pyc", ".pyo", ".part", ".orig", ".ts")
FIXED_TIME = (2026, 1, 1, 0, 0, 0)


def members(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Files of the zip with their names in it, sorted."""
    found: dict[str, Path] = {}
    for file in _files(root / NAME):
        found[f"{NAME}/{file.relative_to(root / NAME).as_posix()}"] = file
    for folder in FOLDERS:
        for file in _files(root / folder):
            found[f"{NAME}/{file.relative_to(root).as_posix()}"] = file
    for name in SINGLE:
        if (root / name).is_file():
            found[f"{NAME}/{name}"] = root / name
    for name in sorted(found):
        yield found[name], name


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in LEFT_OUT or part.endswith(".egg-info") for part in parts)
        if file.is_file() and not hidden and file.suffix not in LEFT_OUT_SUFFIXES:
            yield file


def build(target: Path, root: Path = ROOT) -> Path:
    """Write the zip under a temporary name, then rename it. Returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file, name in members(root):
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if file.suffix == ".sh" else 0o644) << 16
            archive.writestr(info, file.read_bytes())
    partial.replace(target)
    return target


def main() -> int:
    """Build the zip and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / f"{NAME}.zip")
    target = build(parser.parse_args().output)
    count = len(zipfile.ZipFile(target).namelist())
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
