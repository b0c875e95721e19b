"""Connected areas of a strip of a class raster: which runs of pixels are one, and sums over their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Areas:
    """Areas of equal code, from the runs of pixels in the rows.

    Attributes:
        start, stop: of each run, counted as row · (width + 1) + column.
        area: number of each run's area, 0 to count - 1.
        code: of each area.
        first, last: how many runs lie in the first row, the one before the strip, and in the last.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    area: NDArray[np.int32]
    code: NDArray[Any]
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many areas there are."""
        return len(self.code)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Areas of pixels, given as row · (width + 1) + column; each must lie in one."""
        return self.area[np.searchsorted(self.start, places, "right") - 1].astype(np.int64)


def areas_of(codes: NDArray[Any], vertical: NDArray[np.bool_], connectivity: int) -> Areas:
    """Areas of equal code other than 0 whose pixels share edges (4), or edges or corners (8).

    Args:
        codes, vertical: as of `tracing.trace`.
    """
    height, stride = vertical.shape
    place = np.flatnonzero(vertical)
    row, col = np.divmod(place, stride)
    run_code = codes[row, col + 1]
    wanted = np.flatnonzero(run_code)
    start, code = place[wanted], run_code[wanted]
    stop = place[np.minimum(wanted + 1, len(place) - 1)]
    reach = stride - (connectivity == 8)
    low = np.searchsorted(stop, start + reach, "right")
    high = np.searchsorted(start, stop + 2 * stride - reach, "left")
    overlaps = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(len(start)), overlaps)
    lower = np.arange(len(upper)) + np.repeat(low - np.cumsum(overlaps) + overlaps, overlaps)
    same = code[upper] == code[lower]
    upper, lower = upper[same], lower[same]
    starts = np.concatenate([[0], np.cumsum(np.bincount(upper, minlength=len(start)))]).astype(np.int32)
    graph = csr_array((np.ones(len(lower), np.int8), lower.astype(np.int32), starts), shape=(len(start),) * 2)
    count, area = connected_components(graph, connection="weak") if len(start) else (0, np.zeros(0, np.int32))
    area_code = np.zeros(count, codes.dtype)
    area_code[area] = code
    first = int(np.searchsorted(start, stride))
    last = len(start) - int(np.searchsorted(start, (height - 1) * stride))
    return Areas(start, stop, area, area_code, first, last)


def sums(
    areas: Areas, stride: int, pixel_m2: Floats, columns_px: int, confidence: NDArray[Any] | None
) -> Floats:
    """(areas, 3) pixels, m² and summed confidence over the strip's own pixels.

    Args:
        stride: width + 1.
        pixel_m2: (rows, n) size of a pixel of each row, for each so many columns.
        columns_px: how many columns these are, a power of two.
        confidence: (rows, width); NaN counts as 0.
    """
    own = slice(areas.first, None)
    area = areas.area[own]
    length = (areas.stop - areas.start)[own]
    row, col = np.divmod(areas.start[own], stride)
    total = np.zeros((areas.count, 3))
    total[:, 0] = np.bincount(area, length, areas.count)
    total[:, 1] = np.bincount(area, _area_m2(row - 1, col, length, pixel_m2, columns_px), areas.count)
    if confidence is not None and len(area):
        flat = np.append(np.nan_to_num(confidence, copy=True).ravel(), 0)
        begin = (row - 1) * (stride - 1) + col
        bounds = np.stack([begin, begin + length], axis=1).ravel()
        total[:, 2] = np.bincount(area, np.add.reduceat(flat, bounds, dtype=np.float64)[::2], areas.count)
    return total


def _area_m2(
    row: NDArray[Any], col: NDArray[Any], length: NDArray[Any], pixel_m2: Floats, columns_px: int
) -> Floats:
    """Area in m² of runs of pixels; the rest as of `sums`."""
    count = pixel_m2.shape[1]
    if count == 1:
        return np.asarray(length * pixel_m2[row, 0])
    shift = columns_px.bit_length() - 1
    first, last = col >> shift, (col + length - 1) >> shift
    area_m2 = length * pixel_m2.ravel().take(row * count + first)
    across = np.flatnonzero(last > first)
    if not len(across):
        return np.asarray(area_m2)
    before = np.cumsum(pixel_m2, axis=1) * columns_px - pixel_m2 * columns_px
    row, begin, end = row[across], col[across], (col + length)[across]

    def up_to(place: NDArray[Any], part: NDArray[Any]) -> Floats:
        return np.asarray(before[row, part] + (place - part * columns_px) * pixel_m2[row, part])

    area_m2[across] = up_to(end, last[across]) - up_to(begin, first[across])
    return np.asarray(area_m2)
