"""Result files that are whole or not there, and a clear reason when a folder cannot take them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import RasterioIOError

from .contract import GeoSegError, remove_with_sidecars, replace_with_sidecars

SPARE_BYTES = 4 << 20


@contextmanager
def whole_file(path: Path, needs_bytes: int = 0) -> Iterator[Path]:
    """Give a temporary name beside `path`; it becomes `path` when the block ends, or vanishes if it fails.

    So does what GDAL and SQLite keep beside it; what lay beside an older `path` goes.

    Args:
        path: the final name; missing folders are made.
        needs_bytes: size expected on disk, asked for beforehand.

    Raises:
        GeoSegError: `not_writable` or `disk_full`.
    """
    prepare_folder(path.parent, needs_bytes)
    partial = path.with_name(f"{path.stem}.part{path.suffix}")
    remove_with_sidecars(partial)
    try:
        yield partial
        if partial.suffix in (".tif", ".tiff"):
            refuse_truncated(partial, path)
        replace_with_sidecars(partial, path)
    except RasterioIOError as error:
        raise write_error(path, error) from error
    finally:
        remove_with_sidecars(partial)


def prepare_folder(folder: Path, needs_bytes: int = 0) -> None:
    """Make a folder and try to write in it.

    Raises:
        GeoSegError: `not_writable` or `disk_full`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError) as error:
        raise not_writable(folder) from error
    except OSError as error:
        raise write_error(folder / "file", error) from error
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needs_bytes + SPARE_BYTES:
        raise GeoSegError(
            "disk_full",
            f"{folder} has {free_bytes / 1e6:,.0f} MB left, the result needs about {needs_bytes / 1e6:,.0f} MB.",
            "Free some space or choose another output folder, then run again.",
        )


def takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder; a full disk counts as able, since room is another question."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)


def refuse_truncated(partial: Path, path: Path) -> None:
    """Raise if blocks of a finished raster are not in the file.

    GDAL writes the last blocks when the file is closed, and rasterio does not tell when that fails.

    Raises:
        GeoSegError: `disk_full`, `write_failed`.
    """
    size = partial.stat().st_size
    with rasterio.open(partial) as dataset:
        for index in dataset.indexes:
            for (row, col), _ in dataset.block_windows(index):
                place = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", index)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", index)
                if place is None or length is None or int(place) + int(length) > size:
                    raise write_error(path, OSError(f"block {row}, {col} of band {index} is missing"))


def not_writable(folder: Path) -> GeoSegError:
    """The folder refuses files."""
    return GeoSegError(
        "not_writable", f"The folder {folder} cannot be written to.", "Choose a folder that you may write to."
    )


def write_error(path: Path, error: Exception) -> GeoSegError:
    """What a failed write means for the user; libraries that only say that it failed are told from a full disk."""
    text = " ".join(str(item) for item in (error, error.__cause__, error.__context__) if item is not None)
    if any(word in text.lower() for word in ("no space", "space left", "quota", "is full")) or _is_full(
        path.parent
    ):
        return GeoSegError(
            "disk_full",
            f"The disk is full: {path}.",
            "Free some space or choose another output folder, then run again.",
            text,
        )
    if "permission" in text.lower() or "read-only" in text.lower():
        return not_writable(path.parent)
    return GeoSegError(
        "write_failed", f"{path} could not be written: {text}", "Choose another output folder.", text
    )


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < SPARE_BYTES
