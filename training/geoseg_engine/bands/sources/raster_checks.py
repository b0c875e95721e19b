"""Warnings about what raster files leave open: an assumed CRS, bad bands, more images, undeclared nodata."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...contract import SPECKLE_FILTERS, Band, Problem, Source
from ...raster.grid import Window, windows_on_lattice
from ...raster.netcdf import crs_of, numbers_in
from ...raster.nodata import no_values
from ...raster.pixel_values import exact_dtype, raster_values
from ...raster.sources import band_title, open_source, source_grid, title, value_bands

SAMPLE_VALUES, STRIP_VALUES = 1 << 20, 1 << 16
"""Values of a source that are read to find undeclared gaps; those that are read at once."""

FILES_CHECKED = 4
"""Files of a mosaic whose values are read."""

USUAL_GAPS = (-999, -9999, -99999, -9998, -32767, -32768, 32767, 65535, -(2**31), 2**31 - 1)
"""Whole numbers by which programs mark gaps."""

ENDLESS = 1e19
"""Numbers beyond it are marks of gaps, not measurements: 1e20, 9.97e36, the largest float32."""

RIM_SHARE, INSIDE_SHARE, FEW_VALUES = 0.01, 0.1, 16
"""Of all pixels that a rim has at least; of the rim's size that pixels of its value inside have at most; values of a
raster that counts as classes."""


def raster_warnings(source: Source, bands: Sequence[Band]) -> Iterator[Problem]:
    """Yield warnings about the files of a raster or a mosaic, of which the first FILES_CHECKED are checked.

    Codes: `assumed_crs` (degrees without a CRS), `bad_bands` (marked so in the file), `more_images`, `first_band`
    (more is there than is read), `undeclared_gaps` and `undeclared_rim` (values that look like nodata).

    Args:
        source: of kind `raster`.
        bands: of the source that are used.

    Raises:
        GeoSegError: as `open_source`.
    """
    reported: set[str] = set()
    for path in (source.path, *source.paths)[:FILES_CHECKED]:
        one = replace(source, path=path, paths=(), name=title(source))
        with open_source(one) as dataset:
            checks = (
                assumed_crs(one, dataset),
                _bad_bands(one, dataset, bands),
                _more_images(one, dataset),
                _first_of_several(one, dataset, bands),
            )
            for problem in chain(*checks, _gaps(one, dataset, bands)):
                if path == source.path or problem.code not in reported:
                    yield problem
                reported.add(problem.code)


def assumed_crs(source: Source, dataset: Any) -> Iterator[Problem]:
    """Yield a warning where a NetCDF file has longitude and latitude but names no CRS.

    Args:
        source: names the layer, and the CRS if the user gave one.
        dataset: the open file.
    """
    if not source.crs and dataset.driver == "netCDF" and crs_of(dataset)[1]:
        yield Problem(
            "assumed_crs",
            f"Layer '{title(source)}' has longitude and latitude but names no CRS: WGS 84 is assumed.",
            "Set its CRS (layer properties, Source) if it is another.",
            "warning",
        )


def _more_images(source: Source, dataset: Any) -> Iterator[Problem]:
    others = [name for name in dataset.subdatasets if name != source.path]
    if others and source.path not in dataset.subdatasets:
        yield Problem(
            "more_images",
            f"The file of layer '{title(source)}' holds {len(dataset.subdatasets)} images; only the first is read.",
            "Add the others as separate layers: "
            + ", ".join(others[1:3])
            + (" …" if len(others) > 3 else ""),
            "warning",
        )


def _bad_bands(source: Source, dataset: Any, bands: Sequence[Band]) -> Iterator[Problem]:
    used = sorted({band.index for band in bands} & bad_bands(dataset))
    if used:
        yield Problem(
            "bad_bands",
            f"{len(used)} of the {dataset.count} bands of layer '{title(source)}' are marked as bad in its file and "
            f"are used: {ranges(used)}.",
            "Untick them, or name the other bands.",
            "warning",
        )


def _first_of_several(source: Source, dataset: Any, bands: Sequence[Band]) -> Iterator[Problem]:
    """Terrain of band 1 where there are others: it may not have been chosen."""
    names = [
        band.name for band in bands if band.derive and band.derive not in SPECKLE_FILTERS and band.index == 1
    ]
    if names and len(value_bands(dataset)) > 1:
        yield Problem(
            "first_band",
            f"Layer '{title(source)}' has {dataset.count} bands; the first is used as heights, "
            f"'{band_title(source, dataset, 1)}'.",
            "Choose the band of heights, or a layer of its own.",
            "warning",
        )


def bad_bands(dataset: Any) -> set[int]:
    """Return the bands, from 1, that a file marks as bad: ENVI's bad band list, for all bands or at each."""
    for tags in (dataset.tags(ns="ENVI"), dataset.tags()):
        marks = numbers_in(tags.get("bbl", ""))
        if len(marks) == dataset.count:
            return {index for index, mark in enumerate(marks, 1) if not mark}
    return {index for index in dataset.indexes if numbers_in(dataset.tags(index).get("bbl", "")) == [0.0]}


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as `3, 101–130`."""
    starts = [place for place, number in enumerate(numbers) if not place or number != numbers[place - 1] + 1]
    ends = [*(start - 1 for start in starts[1:]), len(numbers) - 1]
    parts = [
        f"{numbers[start]}–{numbers[end]}" if end > start else f"{numbers[start]}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return ", ".join(parts)


@dataclass
class GapStatistics:
    """Values of a source that look like gaps.

    Attributes:
        px: pixels that were read; all of them if `complete`.
        marks: pixels of each value that looks like a mark of gaps, by band and value.
        rim, rim_px: value of a rim around the scene, and its pixels; none without a rim.
    """

    px: int
    complete: bool
    marks: dict[tuple[int, float], int]
    rim: float = 0.0
    rim_px: int = 0

    @property
    def of_px(self) -> str:
        """`14,400 pixels`, or `sampled pixels`."""
        return f"{self.px:,} {'' if self.complete else 'sampled '}pixels"


@dataclass
class Extremes:
    """The range of a band, and beside it the usual marks of gaps that were the lowest or highest of some strip."""

    low: float = math.inf
    high: float = -math.inf
    marks: dict[float, int] = field(default_factory=dict)

    def add(self, values: NDArray[Any]) -> None:
        """Add values, NaN where there is none."""
        values = values[np.isfinite(values)]
        while len(values):
            low, high = float(values.min()), float(values.max())
            mark = next((end for end in (low, high) if end in USUAL_GAPS or abs(end) > ENDLESS), None)
            if mark is None:
                self.low, self.high = min(self.low, low), max(self.high, high)
                return
            rest = values[values != mark]
            self.marks[mark] = self.marks.get(mark, 0) + len(values) - len(rest)
            values = rest

    def outliers(self) -> dict[float, int]:
        """Return the pixels of marks farther from all other values than these are apart, or beyond any measurement."""
        low, high = self.low, self.high
        far: dict[float, int] = {}
        for mark in sorted(self.marks, key=lambda mark: max(low - mark, mark - high)):
            if low > high:  # nothing else is there
                return {}
            if max(low - mark, mark - high) > high - low or abs(mark) > ENDLESS:
                far[mark] = self.marks[mark]
            else:
                low, high = min(low, mark), max(high, mark)
        return far


@dataclass
class Rim:
    """Pixels of one value in all bands: those joined with the border of the raster, and those inside."""

    value: float
    joined_px: int = 0
    inside_px: int = 0

    def add(self, same: NDArray[np.bool_], part: Window, height: int, width: int) -> None:
        """Count the pixels of the value in a window.

        Args:
            same: boolean (rows, cols), which pixels have the value.
            part: the window.
            height, width: of the raster.
        """
        ends = part.row == 0, part.row + part.height == height, part.col == 0, part.col + part.width == width
        lines = same[0], same[-1], same[:, 0], same[:, -1]
        count = int(np.count_nonzero(same))
        if count and any(line.any() for line, end in zip(lines, ends, strict=True) if end):
            patches, _ = ndimage.label(same)
            edges = patches[0], patches[-1], patches[:, 0], patches[:, -1]
            outer = np.unique(np.concatenate([edge for edge, end in zip(edges, ends, strict=True) if end]))
            sizes = np.bincount(patches.ravel())
            joined = int(sizes[outer[outer > 0]].sum())
            self.joined_px += joined
            count -= joined
        self.inside_px += count


def _gaps(source: Source, dataset: Any, bands: Sequence[Band]) -> Iterator[Problem]:
    indexes = sorted({band.index for band in bands})
    if not indexes or source.nodata is not None:
        return
    whole = {band.index for band in bands if band.resampling not in ("nearest", "mode")}
    seen = _statistics(source, dataset, indexes, all(index in whole for index in indexes))
    for value in dict.fromkeys(value for _, value in seen.marks):
        marked = {index: count for (index, other), count in seen.marks.items() if other == value}
        names = f"band{'s' * (len(marked) > 1)} {ranges(sorted(marked))}"
        yield Problem(
            "undeclared_gaps",
            f"Layer '{title(source)}' has the value {value:.8g} in {max(marked.values()):,} of {seen.of_px} ({names}), "
            "far from all others, and does not declare it as nodata.",
            _declare(value),
            "warning",
        )
    if seen.rim_px:
        yield Problem(
            "undeclared_rim",
            f"Layer '{title(source)}' is {seen.rim:g}{' in all bands' if len(indexes) > 1 else ''} in "
            f"{seen.rim_px:,} of {seen.of_px}, all connected with its border, and declares no nodata.",
            _declare(seen.rim),
            "warning",
        )


def _declare(value: float) -> str:
    return (
        f"If these pixels hold no measurement, set {value:.8g} as additional no data value (layer properties, "
        f"Transparency), or nodata of the source."
    )


def _statistics(source: Source, dataset: Any, indexes: list[int], continuous: bool) -> GapStatistics:
    """Read a source strip by strip, so that memory does not grow with it."""
    parts = windows_on_lattice(source_grid(source, dataset), SAMPLE_VALUES / len(indexes))
    kind = exact_dtype(dataset, indexes)
    top = {"uint8": 255.0, "uint16": 65535.0}.get(dataset.dtypes[indexes[0] - 1], 0.0)
    bare = continuous and all(no_values(dataset)[index - 1].complete for index in indexes)
    rims = [Rim(value) for value in dict.fromkeys((0.0, top))] if bare else []
    extremes = [Extremes() for _ in indexes]
    different: set[float] = set()
    for part in parts:
        same = np.zeros((len(rims), part.height, part.width), bool)
        height = max(STRIP_VALUES // (part.width * len(indexes)), 1)
        for row in range(0, part.height, height):
            strip = Window(part.row + row, part.col, min(height, part.height - row), part.width)
            values = raster_values(source, dataset, indexes, strip, kind)
            for found, band in zip(extremes, values, strict=True):
                found.add(band)
            for place, rim in enumerate(rims):
                same[place, row : row + strip.height] = (values == rim.value).all(axis=0)
            if len(different) <= FEW_VALUES:
                different |= set(np.unique(values[:, ::3, ::3]).tolist())
        for rim, mask in zip(rims, same, strict=True):
            rim.add(mask, part, dataset.height, dataset.width)
    px = sum(part.height * part.width for part in parts)
    seen = GapStatistics(px, len(parts) == 1, {})
    for index, found in zip(indexes, extremes, strict=True):
        seen.marks |= {(index, mark): count for mark, count in found.outliers().items()}
    for rim in rims:
        wide = (
            rim.joined_px > max(RIM_SHARE * px, seen.rim_px) and rim.inside_px <= INSIDE_SHARE * rim.joined_px
        )
        if wide and len(different) > FEW_VALUES:
            seen.rim, seen.rim_px = rim.value, rim.joined_px
    return seen
