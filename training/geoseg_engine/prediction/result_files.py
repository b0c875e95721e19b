"""The files of a prediction, made of its parts: rasters, post-processed classes, polygons.

Every file is written in one order, block by block, however the raster was cut. So the same prediction gives the same
bytes with any size of windows, in shards, and after an interruption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import IGNORE, Grid, LabelClass, PolygonizeJob, PredictJob, Problem
from ..modelfile.reading import ModelFile
from ..postprocess.cleaning.clean import clean
from ..postprocess.polygons.polygonize import polygon_bytes, polygonize
from ..raster.class_areas import class_areas
from ..raster.grid import Window
from ..raster.stream import pump
from ..raster.writer import OVERVIEWS, PACKED_SHARE, RasterWriter
from .inference import out_of_range_warnings
from .parts import Parts, PartsReader
from .result_layers import CLASSES, Layer, band_count, first_band
from .task import PredictionTask

ROWS_PX, COLUMNS_PX = 512, 4096
"""What is read and written at once: a row of blocks of the files, so many columns of it."""


WRITTEN_AT_ONCE = 2
"""Files: while the overviews of one are made, the next is written."""


class ClassCounts:
    """Pixels and area of each class, and of IGNORE, over all windows."""

    def __init__(self, grid: Grid, classes: Sequence[LabelClass]) -> None:
        """Begin with nothing; no other codes are counted than those of `classes` and IGNORE."""
        self._grid = grid
        self._codes = sorted({*(item.id for item in classes), IGNORE})
        self.pixels = np.zeros(IGNORE + 1, np.int64)
        self.areas_m2 = np.zeros(IGNORE + 1)

    def add(self, ids: np.ndarray, window: Window) -> None:
        """Count the classes of a window.

        Args:
            ids: class ids (rows, cols).
            window: pixels of the grid.
        """
        counts, areas_m2 = class_areas(self._grid, ids, window, self._codes)
        self.pixels[self._codes] += counts.sum(axis=0)
        self.areas_m2[self._codes] += areas_m2


@dataclass(frozen=True)
class RasterFiles:
    """The rasters of a prediction.

    Attributes:
        parts: the parts, all there.
        layers: layers of the parts.
        grid: grid of the files.
        classes: classes of the class raster.
        tags: metadata of every file.
        row, col: position of the grid's first pixel in the grid of the parts.
    """

    parts: Parts
    layers: Sequence[Layer]
    grid: Grid
    classes: Sequence[LabelClass]
    tags: Mapping[str, str]
    row: int = 0
    col: int = 0

    def write(self, files: Mapping[str, Path], channel: Channel) -> ClassCounts:
        """Write the layers that have a file.

        Args:
            files: path of each layer, by its key.
            channel: for progress and cancelling.

        Returns:
            Pixels and area of each class.

        Raises:
            GeoSegError: `not_writable`, `disk_full`.
            Cancelled: if the user stops; the file in work is not there then.
        """
        counts = ClassCounts(self.grid, self.classes)
        wanted = [layer for layer in self.layers if layer.key in files]
        total = self.grid.height * self.grid.width * sum(len(layer.bands) for layer in wanted)
        done, writing = 0, []
        with ThreadPoolExecutor(WRITTEN_AT_ONCE, "files") as pool:
            for layer in sorted(wanted, key=lambda layer: not layer.is_share):  # their overviews take longest
                copied: Future[int] = Future()
                writing.append(pool.submit(self._write, layer, files, counts, done, total, channel, copied))
                done = copied.result()
            names = ", ".join(files[layer.key].name for layer in wanted)
            channel.send("progress", phase=f"finishing {names}", done=0, total=1, rate="")
            for each in writing:
                each.result()
        return counts

    def _write(
        self,
        layer: Layer,
        files: Mapping[str, Path],
        counts: ClassCounts,
        done: int,
        total: int,
        channel: Channel,
        copied: Future[int],
    ) -> None:
        """Write one file; `copied` gets the pixels done, or what went wrong, before its overviews are made."""
        try:
            with self._writer(layer, files[layer.key]) as writer:
                with PartsReader(self.parts) as reader:
                    done = self._copy(layer, reader, writer, counts, done, total, channel)
                copied.set_result(done)
        except BaseException as error:
            if not copied.done():
                copied.set_exception(error)
            raise

    def _writer(self, layer: Layer, path: Path) -> RasterWriter:
        classes = self.classes if layer.key == CLASSES else ()
        dtype, nodata = ("float32", float("nan")) if layer.is_share else ("uint8", float(IGNORE))
        return RasterWriter(path, self.grid, dtype, nodata, layer.bands, classes, dict(self.tags))

    def _copy(
        self,
        layer: Layer,
        reader: PartsReader,
        writer: RasterWriter,
        counts: ClassCounts,
        done: int,
        total: int,
        channel: Channel,
    ) -> int:
        """Band by band and row of blocks by row of blocks. Returns the pixels done."""
        first = first_band(self.layers, layer.key)

        def read(item: tuple[int, Window]) -> tuple[int, Window, np.ndarray]:
            codes = reader.read(first + item[0], item[1].moved(self.row, self.col))
            return *item, layer.values(codes)

        def count(item: tuple[int, Window, np.ndarray]) -> tuple[int, Window, np.ndarray]:
            nonlocal done
            if layer.key == CLASSES:
                counts.add(item[2], item[1])
            done += item[2].size
            channel.progress("write", done, total)
            return item

        items = ((band, window) for band in range(len(layer.bands)) for window in chunks(self.grid))
        pump(items, read, count, lambda item: writer.write_band(item[2], item[1], item[0] + 1))
        return done


def chunks(grid: Grid) -> Iterator[Window]:
    """Yield windows of whole blocks, in the order of blocks in a file."""
    for row in range(0, grid.height, ROWS_PX):
        for col in range(0, grid.width, COLUMNS_PX):
            yield Window(row, col, min(ROWS_PX, grid.height - row), min(COLUMNS_PX, grid.width - col))


def write_files(task: PredictionTask, parts: Parts, runtime: str, channel: Channel) -> dict[str, Any]:
    """Write the rasters, post-process the classes, and write the polygons.

    Args:
        task: the prediction.
        parts: all of its parts.
        runtime: title of the runtime, for the metadata of the rasters.
        channel: for progress and cancelling.

    Returns:
        The entries of the result about the files: paths, areas_m2, counts, nodata_px, cleaned, warnings.

    Raises:
        GeoSegError: `not_writable`, `disk_full`.
        Cancelled: if the user stops; the file in work is not there then.
    """
    job, folder, scratch = task.job, task.folder, parts.folder
    files = {layer.key: folder / getattr(job, layer.key) for layer in task.layers if getattr(job, layer.key)}
    named = {key: str(path) for key, path in files.items()}
    if job.polygons:
        files.setdefault("confidence", scratch / "confidence.tif")
    if job.cleaning.anything:
        files[CLASSES] = scratch / "classes.tif"
    tags = {"GEOSEG_MODEL": task.model.path.name, "GEOSEG_RUNTIME": runtime}
    row, col = task.window.row, task.window.col
    rasters = RasterFiles(parts, task.layers, task.grid, task.model.classes, tags, row, col)
    counts = rasters.write(files, channel)
    result = {**named, **summary_of(counts, task, parts), "cleaned": None}
    if job.cleaning.anything:
        found = clean(files[CLASSES], job.cleaning, folder / job.output, None, channel)
        result["cleaned"] = {key: found[key] for key in ("changed_px", "patches")}
        result |= {key: found[key] for key in ("counts", "areas_m2")}
        result["warnings"] += found["warnings"]
    if job.polygons:
        result["polygons"], warnings = make_polygons(job, files["confidence"], folder, channel)
        result["warnings"] += warnings
    return result


def summary_of(counts: ClassCounts, task: PredictionTask, parts: Parts) -> dict[str, Any]:
    """Return the counts of a result and the warnings about them.

    Args:
        counts: pixels and area of each class.
        task: the prediction.
        parts: its parts.

    Returns:
        areas_m2 and counts by class id, nodata_px (pixels inside the area without a class), warnings.
    """
    classes, pixels = task.model.classes, counts.pixels
    out_of_range, valid_px = parts.facts()
    names = [band.name for band in task.model.recipe.bands]
    return {
        "areas_m2": {str(item.id): round(float(counts.areas_m2[item.id]), 2) for item in classes},
        "counts": {str(item.id): int(pixels[item.id]) for item in classes},
        "nodata_px": int(pixels[-1]) - outside_px(task),
        "warnings": [
            *out_of_range_warnings(names, out_of_range, valid_px),
            *class_warnings(task.model, pixels[: len(classes)]),
        ],
    }


def outside_px(task: PredictionTask) -> int:
    """Return the number of pixels of the map outside the area."""
    if task.area is None:
        return 0
    moved = (part.moved(task.window.row, task.window.col) for part in chunks(task.grid))
    masks = (task.area.mask(part) for part in moved)
    return sum(int(np.count_nonzero(~mask)) for mask in masks)


def class_warnings(model: ModelFile, counts: NDArray[np.int64]) -> list[Problem]:
    """Return a warning if no class, or one class only, was predicted.

    Args:
        model: the model file.
        counts: (classes,) pixels.
    """
    if not counts.sum():
        return [
            Problem(
                "all_nodata",
                "No pixel has a value in every band of the model: the result is empty.",
                "Check the nodata values and where the layers overlap.",
                "warning",
            )
        ]
    if (counts > 0).sum() > 1:
        return []
    return [
        Problem(
            "one_class_predicted",
            f"Every pixel was given the class '{model.classes[int(counts.argmax())].name}'.",
            "Check that this area resembles the training data. Look at the confidence raster.",
            "warning",
        )
    ]


def make_polygons(
    job: PredictJob, confidence: Path, folder: Path, channel: Channel
) -> tuple[str, list[Problem]]:
    """Write the polygons of the finished class raster.

    Args:
        job: the prediction.
        confidence: raster whose mean is the score of a polygon.
        folder: folder of the job.
        channel: for progress and cancelling.

    Returns:
        Path of the GeoPackage, and warnings.
    """
    polygons = PolygonizeJob(
        classes=job.output,
        confidence=str(confidence),
        min_area_px=job.min_area_px,
        output=job.polygons,
        outlines=job.outlines,
    )
    result = polygonize(polygons, folder, channel)
    return result["output"], result["warnings"]


def scratch_bytes(job: PredictJob, window: Window, layers: Sequence[Layer]) -> int:
    """Return the disk space of the parts and of the rasters between them and the files, compressed, in bytes.

    Args:
        job: the prediction.
        window: pixels to predict.
        layers: layers of the parts.
    """
    between = 4 * bool(job.polygons and not job.confidence) + 3 * job.cleaning.anything
    return int(window.width * window.height * PACKED_SHARE * (2 * band_count(layers) + between))


def files_bytes(job: PredictJob, folder: Path, window: Window, layers: Sequence[Layer]) -> dict[Path, int]:
    """Return the disk space of each file of the result with its overviews, compressed, in bytes.

    Args:
        job: the prediction.
        folder: folder of the job.
        window: pixels to predict.
        layers: layers of the parts.
    """
    pixels = window.width * window.height * OVERVIEWS
    found = {
        folder / getattr(job, layer.key): int(
            pixels * PACKED_SHARE * len(layer.bands) * (4 if layer.is_share else 1)
        )
        for layer in layers
        if getattr(job, layer.key)
    }
    if job.polygons:
        found[folder / job.polygons] = polygon_bytes(window.height, window.width)
    return found
