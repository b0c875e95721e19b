"""Result folders that are whole or not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..outputs import prepare_folder


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
