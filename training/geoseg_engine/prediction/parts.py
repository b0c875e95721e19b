"""Finished parts of a prediction in a folder beside its output: each is there as a whole, or not at all.

An interrupted run resumes with them, and several machines that share the folder can each predict some of them. A part
is a GeoTIFF with the codes of all layers over one unit.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from ..contract import GeoSegError, Grid
from ..outputs import check_whole, write_error
from ..raster.grid import Window, affine_of
from .result_layers import MISSING, Codes, Layer, Piece, band_count
from .run_plan import PLAN_FILE, RunPlan, needed_units, read_plan, units
from .shards import DONE_FILE

FACTS_TAG = "GEOSEG_FACTS"
MAX_OPEN = 64
PLAIN_SHARE = 0.2
"""Of the free disk that parts may take without compression."""


def parts_folder(output: Path) -> Path:
    """Return the folder of the parts of a prediction."""
    return output.with_name(f".predict-{output.stem}")


class Parts:
    """The parts of one prediction."""

    def __init__(
        self,
        folder: Path,
        grid: Grid,
        window: Window,
        plan: RunPlan,
        layers: Sequence[Layer],
        bands: int,
        packed: bool = True,
    ) -> None:
        """Describe the parts; nothing is read.

        Args:
            folder: folder of the parts.
            grid: grid of the recipe.
            window: part of the grid to predict.
            plan: size of the units.
            layers: layers of each part.
            bands: number of bands that the model reads.
            packed: whether new parts are compressed.
        """
        self._packed = packed
        self.folder, self.unit_px, self.units = folder, plan.unit_px, units(grid, plan.unit_px)
        self.needed = needed_units(self.units, window)
        self._key, self._grid, self._layers, self._bands = plan.key, grid, layers, bands

    @property
    def columns(self) -> int:
        """Units side by side."""
        return -(-self._grid.width // self.unit_px)

    def path(self, index: int) -> Path:
        """Return the file of one unit."""
        return self.folder / f"{index:07d}.tif"

    def still_ours(self) -> None:
        """Check that no other run has taken over the folder: its parts would be mixed with ours.

        Raises:
            GeoSegError: `in_work`.
        """
        plan = read_plan(self.folder)
        if plan is None or plan.key != self._key:
            raise in_work(self.folder)

    def present(self) -> set[int]:
        """Return the numbers of the units that are there.

        Raises:
            GeoSegError: `in_work`.
        """
        self.still_ours()
        names = {entry.name for entry in os.scandir(self.folder)}
        return {index for index in self.needed if f"{index:07d}.tif" in names}

    def save(self, index: int, codes: Codes | None, out_of_range: NDArray[np.int64], valid_px: int) -> None:
        """Write one part.

        Args:
            index: number of the unit.
            codes: codes (bands of all layers, rows, cols); None if no pixel has a result.
            out_of_range: (bands of the model,) pixels outside the range of the training data.
            valid_px: pixels with a value.

        Raises:
            GeoSegError: `in_work`, `disk_full`, `write_failed`.
        """
        path = self.path(index)
        partial = path.with_name(f"{path.stem}.{socket.gethostname()}-{os.getpid()}.part.tif")
        try:
            with rasterio.open(
                partial, "w", **self._profile(self.units[index], codes is not None)
            ) as dataset:
                if codes is not None:
                    dataset.write(codes)
                dataset.update_tags(
                    **{FACTS_TAG: json.dumps({"beyond": out_of_range.tolist(), "seen": valid_px})}
                )
            if self._packed or codes is None:
                with rasterio.open(partial) as dataset:  # what GDAL could not write when closing shows here
                    dataset.checksum(dataset.count)
            else:
                check_whole(partial, path)
            self.still_ours()
            partial.replace(path)
        except (RasterioIOError, FileNotFoundError) as error:
            self.still_ours()  # the run that has taken the folder took what was just being written, too
            raise write_error(path, error) from error
        finally:
            partial.unlink(missing_ok=True)

    def _profile(self, unit: Window, filled: bool) -> dict[str, Any]:
        """Creation options of a part; blocks without result take no room, uncompressed only in an empty part."""
        packing = {"compress": "zstd", "zstd_level": 1, "predictor": 2} if self._packed else {}
        return {
            "driver": "GTiff",
            "width": unit.width,
            "height": unit.height,
            "transform": affine_of(self._grid, unit),
            "count": band_count(self._layers),
            "dtype": "uint16",
            "nodata": MISSING,
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "interleave": "band",
            "sparse_ok": self._packed or not filled,
            **packing,
        }

    def facts(self) -> tuple[NDArray[np.int64], int]:
        """Return sums over all units: pixels out of range, (bands,), and pixels with a value."""
        out_of_range, valid_px = np.zeros(self._bands, np.int64), 0
        for index in self.needed:
            with rasterio.open(self.path(index)) as dataset:
                found = json.loads(dataset.tags()[FACTS_TAG])
            out_of_range += np.array(found["beyond"], np.int64)
            valid_px += int(found["seen"])
        return out_of_range, valid_px


class PartBuilder:
    """Puts the pieces of a unit together and writes it when it is complete; pieces come unit by unit."""

    def __init__(self, parts: Parts, bands: int) -> None:
        """Begin without any piece; `bands` is the number of bands of all layers."""
        self._parts, self._count = parts, bands
        self._begin(-1)

    def _begin(self, index: int) -> None:
        self._index, self._pixels, self._valid_px = index, 0, 0
        self._codes: Codes | None = None
        self._out_of_range: Any = 0

    def add(self, index: int, piece: Piece) -> None:
        """Add one piece of a unit.

        Args:
            index: number of the unit.
            piece: result on one window of it.
        """
        if index != self._index:
            self._begin(index)
        unit = self._parts.units[index]
        if piece.codes is not None:
            if piece.window == unit:
                self._codes = piece.codes
            else:
                if self._codes is None:
                    self._codes = np.full((self._count, unit.height, unit.width), MISSING, np.uint16)
                self._codes[:, *piece.window.within(unit)] = piece.codes
        self._pixels += piece.window.height * piece.window.width
        self._out_of_range = self._out_of_range + piece.out_of_range
        self._valid_px += piece.valid_px
        if self._pixels == unit.height * unit.width:
            self._parts.save(index, self._codes, self._out_of_range, self._valid_px)
            self._begin(-1)


class PartsReader:
    """Reads windows of single bands across parts; a context manager."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: OrderedDict[int, Any] = OrderedDict()

    def __enter__(self) -> PartsReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()

    def read(self, band: int, window: Window) -> Codes:
        """Read a window of one band across parts.

        Args:
            band: number of the band among those of all layers, from 0.
            window: pixels of the recipe's grid.

        Returns:
            Codes (rows, cols).
        """
        unit_px, columns = self._parts.unit_px, self._parts.columns
        result = np.empty((window.height, window.width), np.uint16)
        for row in range(window.row // unit_px, (window.row + window.height - 1) // unit_px + 1):
            for col in range(window.col // unit_px, (window.col + window.width - 1) // unit_px + 1):
                index = row * columns + col
                unit = self._parts.units[index]
                shared = window.shared(unit)
                inner = shared.moved(-unit.row, -unit.col)
                result[shared.within(window)] = self._dataset(index).read(band + 1, window=inner.rasterio)
        return result

    def _dataset(self, index: int) -> Any:
        if index not in self._open:
            self._open[index] = rasterio.open(self._parts.path(index))
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(index)
        return self._open[index]


def prepare_parts(folder: Path, key: str, resume: bool) -> RunPlan | None:
    """Make the folder ready: parts of another prediction are removed.

    Without a plan no plan is removed: another shard that starts at the same time may be about to write it.

    Args:
        folder: folder of the parts.
        key: as of `plan_key`.
        resume: whether to keep parts of the same prediction.

    Returns:
        The plan of the same prediction, if there is one.

    Raises:
        GeoSegError: `in_work` if parts cannot be removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = read_plan(folder)
    if plan is not None and plan.key == key and resume:
        return plan
    old = [folder / PLAN_FILE] if plan is not None else []
    try:
        for path in (*old, folder / DONE_FILE, *folder.glob("*.tif")):
            path.unlink(missing_ok=True)
    except PermissionError as error:
        raise in_work(folder) from error
    return None


def in_work(folder: Path) -> GeoSegError:
    """Return the error of a run whose parts another run has replaced."""
    return GeoSegError(
        "in_work",
        f"Another prediction to the same file has begun or ended: the parts in {folder} are not of this one.",
        "Wait until it has ended and start again, or choose another name for the result.",
    )


def held_bytes(folder: Path) -> int:
    """Return the disk space that parts take already, in bytes."""
    total = 0
    for path in folder.glob("*.tif"):
        with suppress(FileNotFoundError):  # another shard has just renamed it
            total += path.stat().st_size
    return total


def room_for_plain(folder: Path, units: Sequence[Window], layers: Sequence[Layer]) -> bool:
    """Whether a disk has so much room that parts need not be compressed, which saves a third of their time.

    Args:
        folder: folder of the parts.
        units: squares that the parts hold, each whole.
        layers: layers of each part.
    """
    pixels = sum(unit.width * unit.height for unit in units)
    return PLAIN_SHARE * shutil.disk_usage(folder).free >= 2 * band_count(layers) * pixels


def remove_parts(folder: Path) -> None:
    """Remove the folder, its plan first: what an interruption leaves cannot be mistaken for parts to resume with."""
    (folder / PLAN_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
