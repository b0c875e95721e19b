"""Result rasters, block by block: under their final name only when they are complete."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile

from ..contract import IGNORE, GeoSegError, Grid, LabelClass, beside, decode_all, encode, parse_json
from ..outputs import check_whole, whole_file
from .crs import same_crs
from .grid import Window, rasterio_profile
from .sources import crs_title, parse_crs
from .xmltree import ElementTree, parse_xml

OVERVIEW_FROM_PX = 1024
CLASSES_TAG = "GEOSEG_CLASSES"
RESULT_TAG = "GEOSEG_RESULT"
"""Tag of every raster written here, by which the panel does not offer it as an input in any project."""
STEPS_OF_ONE = 512
"""Shares are rounded to 1/512: float32 holds that exactly and it compresses four times better."""

OVERVIEWS = 4 / 3
"""Pixels of a raster with its overviews, over those without."""
PACKED_SHARE = 0.2
"""Share of the size in memory that a compressed result is expected to need on disk."""


class RasterWriter:
    """One raster being written; a context manager that renames it when the block ends without error."""

    def __init__(
        self,
        path: Path,
        grid: Grid,
        dtype: str,
        nodata: float | None,
        bands: Sequence[str] = ("",),
        classes: Sequence[LabelClass] = (),
        tags: dict[str, str] | None = None,
    ) -> None:
        """Describe the file.

        Args:
            path: final name.
            grid: its pixels.
            dtype: of all bands; predictor 3 is used for floats.
            nodata: value of pixels without result.
            bands: their descriptions.
            classes: give a uint8 raster its colour table, category names and attribute table.
            tags: further metadata.

        Raises:
            GeoSegError: `crs_not_kept`.
        """
        check_crs_storable(grid.crs)
        self.path, self._grid, self._bands, self._classes = path, grid, tuple(bands), tuple(classes)
        self._profile = rasterio_profile(grid, len(self._bands), dtype, nodata)
        if dtype.startswith("float"):
            self._profile["predictor"] = 3
        self._tags = {**(tags or {}), RESULT_TAG: "yes"}
        self._stack = ExitStack()

    def __enter__(self) -> RasterWriter:
        with ExitStack() as stack:
            pixels = self._grid.width * self._grid.height * len(self._bands)
            needed = int(pixels * np.dtype(self._profile["dtype"]).itemsize * PACKED_SHARE * OVERVIEWS)
            self._partial = stack.enter_context(whole_file(self.path, needed))
            self._dataset = stack.enter_context(rasterio.open(self._partial, "w", **self._profile))
            self._dataset.descriptions = tuple(band or None for band in self._bands)
            if self._classes:
                self._dataset.write_colormap(1, colour_table(self._classes))
                self._tags[CLASSES_TAG] = json.dumps(encode(self._classes))
            self._dataset.update_tags(**self._tags)
            stack.push(self._close)
            self._stack = stack.pop_all()
        return self

    def write(self, array: NDArray[Any], window: Window) -> None:
        """Write a window.

        Args:
            array: (rows, cols) or (bands, rows, cols).
            window: inside the grid.
        """
        array = array if array.ndim == 3 else array[None]
        self._dataset.write(array, window=window.rasterio)

    def write_band(self, array: NDArray[Any], window: Window, band: int) -> None:
        """Write a window of one band.

        Args:
            array: (rows, cols).
            window: inside the grid.
            band: from 1.
        """
        self._dataset.write(array, band, window=window.rasterio)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _close(self, kind: type[BaseException] | None, *_: object) -> None:
        """Overviews and the sidecar, while the file still has its temporary name; nothing after an error."""
        if kind is not None:
            return
        self._dataset.close()
        check_whole(self._partial, self.path)
        longest = max(self._grid.width, self._grid.height)
        if longest > OVERVIEW_FROM_PX:
            factors = [2**step for step in range(1, (longest // 256).bit_length())]
            with rasterio.open(self._partial, "r+") as dataset:
                dataset.build_overviews(factors, Resampling.nearest if self._classes else Resampling.average)
        if self._classes:
            write_class_sidecar(beside(self._partial, ".aux.xml"), self._classes)


@lru_cache(maxsize=64)
def check_crs_storable(crs: str) -> None:
    """Raise if a GeoTIFF, with the `.aux.xml` that GDAL writes beside it, cannot store a CRS.

    Raises:
        GeoSegError: `crs_not_kept`.
    """
    with MemoryFile(ext=".tif") as memory:
        profile = rasterio_profile(Grid(crs, (1.0, 0.0, 1.0, 0.0, -1.0, 1.0), 1, 1), 1, "uint8", None)
        with memory.open(**profile):
            pass
        with memory.open() as dataset:
            kept = dataset.crs.to_wkt() if dataset.crs else ""
    if not kept or not same_crs(parse_crs(kept), parse_crs(crs)):
        raise GeoSegError(
            "crs_not_kept",
            f"A GeoTIFF cannot keep the CRS '{crs_title(crs)}' of the result.",
            "Choose another target CRS.",
        )


def colour_table(classes: Sequence[LabelClass]) -> dict[int, tuple[int, int, int, int]]:
    """Return class id -> (red, green, blue, alpha); IGNORE is transparent."""
    table = {item.id: (*_rgb(item.color), 255) for item in classes}
    return {**table, IGNORE: (0, 0, 0, 0)}


def write_class_sidecar(path: Path, classes: Sequence[LabelClass]) -> None:
    """Write GDAL's `.aux.xml` with category names and a raster attribute table (value, name, red, green, blue).

    What GDAL has written there stays: a CRS that GeoTIFF cannot hold.

    Args:
        path: of the raster.
        classes: in the order of their ids.
    """
    root = parse_xml(path.read_bytes()) if path.exists() else ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    names = ElementTree.SubElement(band, "CategoryNames")
    by_id = {item.id: item for item in classes}
    for value in range(max(by_id) + 1):
        ElementTree.SubElement(names, "Category").text = by_id[value].name if value in by_id else ""
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    # type: 0 integer, 2 text; usage: 5 minimum and maximum, 2 name, 6 7 8 red green blue
    fields = (("value", 0, 5), ("class", 2, 2), ("red", 0, 6), ("green", 0, 7), ("blue", 0, 8))
    for index, (name, kind, usage) in enumerate(fields):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(field, tag).text = str(text)
    for index, item in enumerate(classes):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for text in (item.id, item.name, *_rgb(item.color)):
            ElementTree.SubElement(row, "F").text = str(text)
    partial = path.with_name(path.name + ".part")
    try:
        ElementTree.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_classes(dataset: Any) -> tuple[LabelClass, ...]:
    """Return the classes in a raster that GeoSeg wrote; empty for others.

    Raises:
        GeoSegError: `bad_json`, `out_of_range` where they are damaged.
    """
    text = dataset.tags().get(CLASSES_TAG, "")
    if not text:
        return ()
    found = decode_all(LabelClass, parse_json(text, CLASSES_TAG), CLASSES_TAG)
    beyond = [item.id for item in found if not 0 <= item.id <= IGNORE]
    if beyond:
        raise GeoSegError(
            "out_of_range",
            f"{Path(dataset.name).name} names a class {beyond[0]}, which is no byte.",
            "Make the raster again.",
        )
    return found


def _rgb(color: str) -> tuple[int, int, int]:
    text = color.lstrip("#")
    try:
        return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)
    except ValueError:
        return 128, 128, 128
