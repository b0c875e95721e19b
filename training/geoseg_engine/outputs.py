"""Result files that are whole or not there, and a clear reason when a folder cannot take them."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import RasterioIOError

from .contract import DISK_FULL, GeoSegError, remove_with_sidecars, replace_with_sidecars

SPARE_BYTES = 4 << 20
PROBE_BYTES = 1 << 16
"""What must still go behind a file that is finished, so that nothing of it can have been lost."""
WORDS_OF_FULL = ("no space", "space left", "quota", "is full", "file too large")


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
            check_whole(partial, path)
        replace_with_sidecars(partial, path)
    except (RasterioIOError, sqlite3.OperationalError) as error:
        raise write_error(path, error) from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise write_error(path, error) from error
        raise
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
    require_room({folder: needs_bytes})


def require_room(needs: Mapping[Path, int]) -> None:
    """Raise unless every disk has room for all that is expected to be written to it, and SPARE_BYTES.

    Args:
        needs: file or folder, which may not exist yet, to the bytes it is expected to take, temporary files with it.

    Raises:
        GeoSegError: `disk_full` with what is left and what is needed.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for path, size in needs.items():
        folder = _existing(path)
        disk = folder.stat().st_dev
        first, before = disks.get(disk, (folder, 0))
        disks[disk] = first, before + max(size, 0)
    for folder, size in disks.values():
        free = shutil.disk_usage(folder).free
        if free < size + SPARE_BYTES:
            left, needed = distinguished(free, size + SPARE_BYTES)
            files = (
                f" for the result and its temporary files, {size_title(SPARE_BYTES)} of it" if size else ""
            )
            raise GeoSegError(
                "disk_full",
                f"The disk of {folder} has {left} left; {needed} are needed{files}{' to stay free' * bool(size)}.",
                "Free some space or choose another output folder, then run again.",
            )


def size_title(size: float, digits: int = 0) -> str:
    """Bytes for people: `12 kB`, `3.5 MB`, `120 GB`; of less than 10 one more digit."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:,.{digits + (size < 10 * factor)}f} {unit}"
    return f"{size:.0f} bytes"


def distinguished(smaller: float, larger: float) -> tuple[str, str]:
    """Two sizes for people, with as many digits as it takes to see which is larger."""
    for digits in range(4):
        titles = size_title(smaller, digits), size_title(larger, digits)
        if titles[0] != titles[1]:
            break
    return titles


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((place for place in (path, *path.absolute().parents) if place.exists()), Path())


def takes_files(folder: Path) -> bool:
    """Whether a file can be made in a folder; a full disk counts as able, since room is another question."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        return error.errno in DISK_FULL


def check_whole(partial: Path, path: Path) -> None:
    """Raise if blocks of a finished raster are not in the file.

    GDAL writes the last blocks when the file is closed, and rasterio does not tell when that fails.

    Raises:
        GeoSegError: `disk_full`, `write_failed`.
    """
    _check_not_full(partial, path)
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
    full = isinstance(error, OSError) and error.errno in DISK_FULL
    if (
        full
        or any(word in text.lower() for word in WORDS_OF_FULL)
        or _is_full(path.parent)
        or limit_bytes() is not None
    ):
        return GeoSegError(
            "disk_full",
            full_sentence(path),
            "Free some space or choose another output folder, then run again.",
            text,
        )
    if "permission" in text.lower() or "read-only" in text.lower():
        return not_writable(path.parent)
    return GeoSegError(
        "write_failed", f"{path} could not be written: {text}", "Choose another output folder.", text
    )


def full_sentence(what: object) -> str:
    """That a disk is full, or a limit on the size of files reached where the system sets one."""
    limit = limit_bytes()
    if limit is None:
        return f"The disk is full: {what}."
    return (
        f"The disk is full, or a file would be larger than the {size_title(limit)} that are allowed: {what}."
    )


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < SPARE_BYTES


def limit_bytes() -> int | None:
    """How large the system lets a file of this process be; None where it sets no limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _check_not_full(partial: Path, path: Path) -> None:
    """Raise if nothing more can be written behind a file: libraries that buffer do not tell what they lost on closing.

    Raises:
        GeoSegError: `disk_full`.
    """
    with partial.open("r+b", buffering=0) as file:
        end = file.seek(0, 2)
        try:
            written = file.write(bytes(PROBE_BYTES))
        except OSError as error:
            raise write_error(path, error) from error
        finally:
            file.truncate(end)
    if written < PROBE_BYTES:
        raise write_error(path, OSError(errno.ENOSPC, "No space left on device"))


@contextmanager
def whole_folder(path: Path, replacing: bool = True) -> Iterator[Path]:
    """Give an empty folder beside `path`; it takes the place of `path` when the block ends, or vanishes if it fails.

    Args:
        path: the final name.
        replacing: whether a folder of that name goes with all that is in it; else only an empty one does.

    Raises:
        GeoSegError: `not_writable` or `disk_full`.
        OSError: a folder that must not be replaced has been filled meanwhile.
    """
    partial = path.with_name(f"{path.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    prepare_folder(partial)
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path) if replacing else path.rmdir()
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
