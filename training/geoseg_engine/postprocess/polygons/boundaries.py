"""The areas of a class raster with their boundaries, strip by strip, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...channel import Channel
from ...contract import Grid
from ...raster.geodesy import even_columns_px, row_areas_m2
from ...raster.grid import Window
from .components import areas_of, sums
from .joining import Joiner, Outlined
from .rings import without_touching
from .tracing import NODE, PLAIN, kinds, trace

STRIP_PIXELS = 4_000_000
BLOCK_PX = 64
Read = Callable[[Window], NDArray[Any]]


@dataclass(frozen=True)
class FinishedAreas:
    """Areas that ended in a strip.

    Attributes:
        outlined: the areas.
        corners: (n) row · (width + 1) + column of all corners of border lines in the strips of these areas, sorted.
    """

    outlined: Outlined
    corners: NDArray[np.int64]


def traced_areas(
    read: Read,
    confidence: Read | None,
    grid: Grid,
    connectivity: int,
    shared: bool,
    channel: Channel,
) -> Iterator[FinishedAreas]:
    """Yield all areas of a class raster, each once and in one piece.

    Args:
        read: reads codes of a window, (rows, cols); 0 is no area.
        confidence: reads the confidence that is summed over an area's pixels, (rows, cols); None is none.
        grid: grid of the raster.
        connectivity: whether pixels that touch at a corner only are one area (8) or not (4).
        shared: keep what redrawing needs: nodes on straight lines, and all corners.
        channel: for progress and cancelling.
    """
    joiner, kept, stride = Joiner(), list[tuple[int, NDArray[np.int64]]](), grid.width + 1
    height = max(STRIP_PIXELS // grid.width // BLOCK_PX, 1) * BLOCK_PX
    above = np.zeros(grid.width, read(Window(0, 0, 1, grid.width)).dtype)
    for row in range(0, grid.height, height):
        channel.progress("polygonize", row, grid.height)
        window = Window(row, 0, min(height, grid.height - row), grid.width)
        last = row + window.height == grid.height
        codes = np.zeros((window.height + 1 + last, grid.width + 2), above.dtype)
        codes[0, 1:-1] = above
        codes[1 : window.height + 1, 1:-1] = read(window)
        above = codes[window.height, 1:-1].copy()
        vertical = codes[:, 1:] != codes[:, :-1]
        areas = areas_of(codes, vertical, connectivity)
        pixel_m2 = row_areas_m2(grid, row, window.height)
        totals = sums(
            areas, stride, pixel_m2, even_columns_px(grid), confidence(window) if confidence else None
        )
        chains = trace(codes, vertical, row, shared)
        _keep_map_corners(chains.points, grid)
        outlined = without_touching(joiner.add(areas, totals, chains, stride, row))
        if shared:
            kept.append((row, chains.corners))
        highest = outlined.points[:, 0].min() if len(outlined.points) else row + height
        near = [item for begin, item in kept if begin + height > highest]
        yield FinishedAreas(outlined, np.concatenate([np.zeros(0, np.int64), *near]))
        oldest = joiner.first_row(row + height)
        kept = [(begin, item) for begin, item in kept if begin >= oldest]
    channel.progress("polygonize", grid.height, grid.height)


def _keep_map_corners(points: NDArray[np.int32], grid: Grid) -> None:
    """The corners of the raster count as nodes, so that drawing outlines anew does not cut them."""
    row, col, kind = points.T
    outermost = ((row == 0) | (row == grid.height)) & ((col == 0) | (col == grid.width))
    kind[outermost & (kinds(points) == PLAIN)] += NODE - PLAIN
