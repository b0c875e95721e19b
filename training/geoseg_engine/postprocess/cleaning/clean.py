"""The job `clean`: removes speckle, frayed edges and holes from a class raster of any size.

What depends on a pixel's neighbourhood is done in windows with a halo, what depends on whole patches in strips; both
give the result of the whole raster. Between the steps the raster is kept in a folder beside the result.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from ...channel import Channel
from ...contract import IGNORE, Cleaning, CleanJob, Grid, Problem, Source, encode, former_names
from ...outputs import prepare_folder, whole_file
from ...raster.class_areas import class_areas
from ...raster.grid import Window, rasterio_profile, round_up, windows
from ...raster.sources import open_source
from ...raster.stream import pump
from ...raster.writer import OVERVIEWS, PACKED_SHARE, read_classes
from ..classraster import ClassRaster, Codes, has_background, open_classes
from .neighbourhood import filtered, halo_px
from .small_patches import Step, clean_patches

WINDOW_PX = 1024
"""Least side of windows."""

Read = Callable[[Window], Codes]
Write = Callable[[Codes, Window], None]


class ClassCounts:
    """Counts of the finished raster: pixels and area of each class, and the number of changed pixels."""

    def __init__(self, raster: ClassRaster) -> None:
        self._grid = raster.grid
        self._codes = [*(raster.code(item.id) for item in raster.classes), IGNORE]
        self._names = [*(str(item.id) for item in raster.classes), ""]
        self._pixels = np.zeros(len(self._codes), np.int64)
        self._areas_m2 = np.zeros(len(self._codes))
        self._changed_px = 0

    def add(self, codes: Codes, before: Codes, window: Window) -> None:
        """Count a window.

        Args:
            codes: result (rows, cols).
            before: codes before cleaning.
            window: pixels of the raster.
        """
        self._changed_px += int(np.count_nonzero(codes != before))
        counts, areas_m2 = class_areas(self._grid, codes, window, self._codes)
        self._pixels += counts.sum(axis=0)
        self._areas_m2 += areas_m2

    def result(self) -> dict[str, Any]:
        """changed_px, counts and areas_m2 by value, nodata_px."""
        pixels = dict(zip(self._names, self._pixels.tolist(), strict=True))
        areas_m2 = dict(zip(self._names, self._areas_m2.round(2).tolist(), strict=True))
        none = pixels.pop("")
        areas_m2.pop("")
        return {"changed_px": self._changed_px, "counts": pixels, "areas_m2": areas_m2, "nodata_px": none}


def run(job: CleanJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Clean a class raster into another.

    Args:
        job: the job.
        folder: folder of the job; its paths are relative to it.
        channel: for progress and cancelling.

    Raises:
        GeoSegError: as `open_classes`; `not_writable`, `disk_full`.
        Cancelled: if the user stops; nothing is left under the final name then.
    """
    output = folder / job.output
    found = clean(folder / job.classes, job.cleaning, output, job.background, channel)
    channel.artifact("classes", output)
    pixels = sum(found["counts"].values())
    share = f"{100 * found['changed_px'] / max(pixels, 1):.3g} %"
    return {
        "sentence": f"{found['changed_px']} of {pixels} pixels ({share}) have another class now.",
        "output": str(output),
        **found,
    }


def clean(
    classes: Path, cleaning: Cleaning, output: Path, background: int | None, channel: Channel
) -> dict[str, Any]:
    """Clean a class raster from file to file, in the order of the fields of `Cleaning`.

    Args:
        classes: the raster.
        cleaning: what is done.
        output: the result; has the raster's type, nodata, colours and names.
        background: value of the class that is neither opened nor closed, and that closing takes from; -1 is none,
            None as the raster's class names say.
        channel: for progress and cancelling.

    Returns:
        changed_px, patches (that took another class as a whole), counts and areas_m2 per value, nodata_px, classes,
        grid, warnings.

    Raises:
        GeoSegError: as `open_classes`; `not_writable`, `disk_full`.
        Cancelled: if the user stops; nothing is left under the final name then.
    """
    with ExitStack() as stack:
        raster = stack.enter_context(open_classes(classes))
        again = stack.enter_context(open_source(Source("classes", str(classes), classes.stem), classes=True))
        grid, before = raster.grid, replace(raster, dataset=again)
        prepare_folder(output.parent, int((2 + OVERVIEWS) * PACKED_SHARE * grid.width * grid.height))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".clean-", dir=output.parent)))
        writer = stack.enter_context(raster.writer(output, {"GEOSEG_CLEANING": json.dumps(tag_of(cleaning))}))
        if background is None:
            background = 0 if has_background(read_classes(raster.dataset)) else -1
        tally = ClassCounts(raster)

        def finish(codes: Codes, window: Window) -> None:
            tally.add(codes, before.read(window), window)
            writer.write(raster.raw(codes), window)

        patches = in_steps(raster, cleaning, raster.code(background), scratch, finish, channel)
        channel.send("progress", phase="finishing the file", done=0, total=1, rate="")
    return {
        **tally.result(),
        "patches": patches,
        "classes": raster.classes,
        "grid": grid,
        "warnings": _warnings(cleaning, background),
    }


def in_steps(
    raster: ClassRaster, cleaning: Cleaning, background: int, scratch: Path, finish: Write, channel: Channel
) -> int:
    """Do the requested steps; the last one writes the result.

    Args:
        raster: the class raster.
        cleaning: the steps.
        background: code of the background; -1 is none.
        scratch: folder of rasters between the steps.
        finish: receives the result.
        channel: for progress and cancelling.

    Returns:
        Number of patches that took another class.
    """
    grid, changed = raster.grid, 0
    size = grid.height, grid.width
    steps: list[Callable[[Read, Write], int]] = []
    if cleaning.majority_px or cleaning.opening_px or cleaning.closing_px:
        steps.append(lambda read, write: clean_local(grid, cleaning, background, read, write, channel))
    for step in (
        Step("filling holes", cleaning.fill_holes_px, holes=True),
        Step("removing small patches", cleaning.min_patch_px),
    ):
        if step.limit_px:
            steps.append(
                lambda read, write, step=step: clean_patches(  # type: ignore[misc]
                    step, size, cleaning.connectivity, read, write, channel
                )
            )
    read: Read = raster.read
    with ExitStack() as kept:
        for number, step_of in enumerate(steps[:-1]):
            path = scratch / f"step{number}.tif"
            with writing(path, grid) as write:
                changed += step_of(read, write)
            read = kept.enter_context(reading(path))
        return changed + steps[-1](read, finish)


def clean_local(
    grid: Grid, cleaning: Cleaning, background: int, read: Read, write: Write, channel: Channel
) -> int:
    """Apply majority filter, opening and closing in windows with a halo.

    Args:
        grid: grid of the raster.
        cleaning: the steps.
        background: code of the background; -1 is none.
        read: reads codes of a window.
        write: receives codes of a window.
        channel: for progress and cancelling.

    Returns:
        0, because no patch changes as a whole.
    """
    halo = halo_px(cleaning)
    side = round_up(max(WINDOW_PX, 4 * halo), WINDOW_PX)
    total, done = grid.height * grid.width, 0

    def padded(window: Window) -> tuple[Window, Codes]:
        return window, read(window.padded(halo))

    def computed(item: tuple[Window, Codes]) -> tuple[Window, Codes]:
        nonlocal done
        channel.progress("smoothing", done, total)
        done += item[0].height * item[0].width
        return item[0], filtered(item[1], cleaning, background)

    pump(windows(grid, side), padded, computed, lambda item: write(item[1], item[0]))
    channel.progress("smoothing", total, total)
    return 0


@contextmanager
def writing(path: Path, grid: Grid) -> Iterator[Write]:
    """Yield a function that writes codes of a window to a raster between two steps.

    Args:
        path: the raster.
        grid: its grid.
    """
    with (
        whole_file(path) as partial,
        rasterio.open(partial, "w", **rasterio_profile(grid, 1, "uint8", None)) as dataset,
    ):
        yield lambda codes, window: dataset.write(codes, 1, window=window.rasterio)


@contextmanager
def reading(path: Path) -> Iterator[Read]:
    """Read what `writing` wrote; windows of patches never reach outside."""
    with rasterio.open(path) as dataset:
        yield lambda window: dataset.read(1, window=window.rasterio)


def _warnings(cleaning: Cleaning, background: int) -> list[Problem]:
    if not cleaning.closing_px or background >= 0:
        return []
    return [
        Problem(
            "closing_without_background",
            "Nothing was closed: closing fills gaps in the background, and there is none.",
            "Name the class to take from as the background, or use opening.",
            "warning",
        )
    ]


def tag_of(cleaning: Cleaning) -> dict[str, Any]:
    """Return the steps for the tag GEOSEG_CLEANING of a raster, whose keys are the former names of the fields."""
    former = {name: old for old, name in former_names(Cleaning).items()}
    return {former.get(name, name): value for name, value in encode(cleaning).items()}
