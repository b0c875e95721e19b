"""The confidence raster of a map: from the same prediction, on the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import JOB_FILE, GeoSegError, Grid, PredictJob, Source, file_exists, read_job
from ..raster.grid import Window
from ..raster.resample import mapping
from ..raster.sources import coincide, open_source, source_grid

Confidences = Callable[[Window], NDArray[Any]]
"""Confidence (rows, cols) of a window inside a grid, 0 outside the raster."""


@contextmanager
def confidence_of(path: Path, own: Grid | None, grid: Grid) -> Iterator[Confidences | None]:
    """Yield the confidence of a map's classes on the pixels of a grid.

    Args:
        path: class raster.
        own: its pixels; None if it is no raster.
        grid: pixels that are wanted.

    Yields:
        Confidence of a window; None unless the job beside the map has written the map together with a confidence,
        without post-processing the classes afterwards, and the grid's pixels are those of the map.
    """
    file = confidence_file(path)
    shift = None if own is None else mapping(grid, own).shift
    if file is None or own is None or shift is None:
        yield None
        return
    source = Source("confidence", str(file), file.stem)
    with open_source(source) as dataset:
        if not coincide(source_grid(source, dataset), own):
            yield None
            return

        def confidences(window: Window) -> NDArray[Any]:
            there = window.moved(*shift)
            inside = there.clipped(own.height, own.width)
            found = np.zeros((window.height, window.width), np.float32)
            if not inside.empty:
                found[inside.within(there)] = np.nan_to_num(dataset.read(1, window=inside.rasterio))
            return found

        yield confidences


def confidence_file(path: Path) -> Path | None:
    """Return the confidence raster that the job beside a class raster has written with it; None if there is none."""
    folder = path.resolve().parent
    try:
        job = read_job(folder / JOB_FILE)
    except (OSError, GeoSegError):
        return None  # no job, or one of another version
    if not isinstance(job, PredictJob) or not job.confidence or job.cleaning.anything:
        return None
    file = folder / job.confidence
    same = (folder / job.output).resolve() == path.resolve()
    return file if same and file_exists(str(file)) else None
