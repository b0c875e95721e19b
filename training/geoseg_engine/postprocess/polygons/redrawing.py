"""Boundaries redrawn: with fewer corners, smoother, or with right angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import Grid, Outlines
from ...raster.geodesy import pixel_size_m
from .arcs import arcs_of, offsets_of, outlines_of
from .joining import Outlined
from .orthogonalize import orthogonalized
from .pixel_metres import PixelMetres
from .simplify import Surroundings, simplified, smoothed

ORTHOGONALIZE_PX = 1.5
"""How far outlines may move before they become upright, in pixels, where the user gives no tolerance."""

Floats = NDArray[np.float64]


class Redrawing:
    """How boundaries are redrawn."""

    def __init__(self, outlines: Outlines, grid: Grid, metres: PixelMetres) -> None:
        self._outlines, self._metres, self._grid = outlines, metres, grid
        self._stride = grid.width + 1
        self._tolerance_m = outlines.simplify_m
        if outlines.right_angles and not outlines.simplify_m:
            self._tolerance_m = ORTHOGONALIZE_PX * max(pixel_size_m(grid, grid.height / 2, grid.width / 2))

    @property
    def anything(self) -> bool:
        """Whether outlines become other than the edges of pixels."""
        return bool(self._tolerance_m or self._outlines.smooth)

    def redrawn(
        self,
        outlined: Outlined,
        corners: NDArray[np.int64],
        order: NDArray[np.int64],
        hole: NDArray[np.bool_],
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Row and column of the outlines of areas, drawn anew, and where each outline begins.

        Args:
            outlined: areas with their outlines along the edges of pixels.
            corners: of all border lines near them, as row · (width + 1) + column, sorted.
            order, hole: as of `rings.in_order`.
        """
        arcs = arcs_of(outlined)
        surroundings = Surroundings(corners, self._stride)
        kept = np.ones(len(arcs.points), bool)
        if self._tolerance_m:
            kept = simplified(arcs, self._tolerance_m, self._metres, surroundings, self._stride)
        if self._outlines.smooth:
            drawn, begins = smoothed(arcs, kept, self._outlines.smooth, surroundings, self._stride)
        else:
            drawn, begins = arcs.points[kept].astype(np.float64), _begins(kept, arcs.offsets)
        points, offsets = outlines_of(arcs, drawn, begins, len(outlined.owner))
        if self._outlines.right_angles:
            return orthogonalized(
                points, offsets, outlined.owner, order, hole, self._metres, self._grid.transform
            )
        return points, offsets


def _begins(kept: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Where each arc begins among the corners kept."""
    return offsets_of(kept.astype(np.int64))[offsets]
