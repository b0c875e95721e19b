"""Build build/geoseg_plugin.zip: one folder geoseg_plugin/ with all that QGIS and the engine need.

Standard library only. The zip depends on the files and the address alone: names sorted, times fixed.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "geoseg_plugin"
ADDRESS = "https://example.org/geoseg"
"""The project's page. Homepage, repository and tracker in the zip follow from it; `--address` gives another."""

METADATA, CHANGELOG = "metadata.txt", "CHANGELOG.md"
SINGLE = (METADATA, "LICENSE", CHANGELOG)
FOLDERS = ("resources", "training", "docs")
LEFT_OUT = {
    "pictures",
    "__pycache__",
    "tests",
    "build",
    "dist",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
}
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


def metadata(root: Path = ROOT, address: str = ADDRESS) -> str:
    """Complete metadata.txt with the project's addresses and the changelog.

    Args:
        root: checkout.
        address: page of the project; its issues are at `/issues` below it.

    Returns:
        The text for the zip.
    """
    own = (root / METADATA).read_text(encoding="utf-8").rstrip("\n")
    address = address.rstrip("/")
    links = {"homepage": address, "repository": address, "tracker": f"{address}/issues"}
    changes = changelog((root / CHANGELOG).read_text(encoding="utf-8"))
    return "\n".join([own, *(f"{key}={value}" for key, value in links.items()), f"changelog={changes}", ""])


def changelog(text: str) -> str:
    """Put a changelog in Markdown into the form of a value in metadata.txt.

    Args:
        text: title, sections with the version as heading, paragraphs and lists.

    Returns:
        One indented line per version, paragraph and point; `%` doubled, as QGIS and the plugin repository read it.
    """
    lines: list[str] = []
    for block in re.split(r"\n(?=\s*\n|##? |- )", text):
        line = " ".join(block.split())
        if line and not line.startswith("# "):
            lines.append(line.removeprefix("## ").replace("%", "%%"))
    return "".join(f"\n    {line}" for line in lines)


def build(target: Path, root: Path = ROOT, address: str = ADDRESS) -> Path:
    """Write the zip under a temporary name, then rename it.

    Args:
        target: path of the zip.
        root: checkout.
        address: page of the project, see `metadata`.

    Returns:
        The path of the zip.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file, name in members(root):
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            made = name == f"{NAME}/{METADATA}"
            archive.writestr(info, metadata(root, address).encode() if made else file.read_bytes())
    partial.replace(target)
    return target


def main() -> int:
    """Build the zip and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / f"{NAME}.zip")
    parser.add_argument(
        "--address", default=ADDRESS, help="page of the project, with its issues below at /issues"
    )
    wanted = parser.parse_args()
    target = build(wanted.output, address=wanted.address)
    count = len(zipfile.ZipFile(target).namelist())
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
