"""Overlapping windows for networks whose result depends on the window: their positions and weights.

Group and instance normalisation, attention over the image and global pooling make a pixel depend on everything in its
window. Windows cannot be cut exactly then, so they form a lattice that starts at the raster's origin and overlap
by half, and each pixel is the mean of their results, weighted by a Gaussian around each window's centre (Isensee et al.
2021, nnU-Net). The lattice depends on raster and network alone: a pixel's value does not depend on the memory, the
machine or the part of the raster that is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import present
from .grid import Window

SIGMA_SHARE = 1 / 8
"""Deviation of the Gaussian as share of the window's side, as in nnU-Net."""
MIN_WINDOW_PX = 64
"""Minimum side of windows, however small the crops of training were."""


@dataclass(frozen=True)
class Lattice:
    """Windows over a raster, extended to a multiple of `align_px`.

    Attributes:
        height, width: of the extended raster; multiples of `align_px`.
        window_px: side of a window, a multiple of `align_px`; windows are smaller only where the raster is.
        align_px: origin of every window is a multiple of it.
        margin_px: pixels at a window's edges that do not count, but where the edge is that of the raster.
        overlap: share of what counts of a window that the next one covers too.
    """

    height: int
    width: int
    window_px: int
    align_px: int
    margin_px: int = 0
    overlap: float = 0.5

    @property
    def stride_px(self) -> int:
        """Distance of windows, by default half of what counts of them; aligned."""
        free = int((self.window_px - 2 * self.margin_px) * (1 - self.overlap))
        return max(free // self.align_px, 1) * self.align_px

    def over(self, core: Window) -> list[Window]:
        """Return the windows that contribute to a core, row by row."""
        rows = self._spans(core.row, core.height, self.height)
        cols = self._spans(core.col, core.width, self.width)
        return [Window(row, col, height, width) for row, height in rows for col, width in cols]

    def around(self, core: Window) -> Window:
        """Return the window that holds all windows over a core."""
        found = self.over(core)
        row, col = found[0].row, found[0].col
        bottom, right = found[-1].row + found[-1].height, found[-1].col + found[-1].width
        return Window(row, col, bottom - row, right - col)

    def weights(self, window: Window) -> NDArray[np.float32]:
        """Return the weight of every pixel of a window (rows, cols); not yet divided by their sum over windows."""
        return np.outer(
            self._weights(window.row, window.height, self.height),
            self._weights(window.col, window.width, self.width),
        )

    def _spans(self, start: int, size: int, length: int) -> list[tuple[int, int]]:
        """Origin and size along one axis; the last window ends with the raster."""
        side = min(self.window_px, length)
        found = []
        for origin in _origins(length, side, self.stride_px):
            low, high = self._counted(origin, side, length)
            if origin + low < start + size and origin + high > start:
                found.append((origin, side))
        return found

    def _counted(self, origin: int, side: int, length: int) -> tuple[int, int]:
        low = self.margin_px if origin > 0 else 0
        high = side - (self.margin_px if origin + side < length else 0)
        return low, high

    def _weights(self, origin: int, side: int, length: int) -> NDArray[np.float32]:
        low, high = self._counted(origin, side, length)
        places = (np.arange(side) - (side - 1) / 2) / (SIGMA_SHARE * self.window_px)
        weights = np.exp(-0.5 * places**2)
        weights[:low] = weights[high:] = 0
        return weights.astype(np.float32)


def _origins(length: int, side: int, stride: int) -> Iterator[int]:
    last = length - side
    yield from range(0, last, stride)
    yield last


def blend(
    lattice: Lattice,
    core: Window,
    read: Window,
    image: NDArray[Any],
    predict: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    """Predict a core as the weighted mean of the windows' results.

    Windows are processed in the order of the lattice, so the sums of a pixel are the same whatever the core.

    Args:
        lattice: positions of the windows.
        core: window to predict.
        read: window of the image; holds `lattice.around(core)`.
        image: (bands, rows, cols) over `read`.
        predict: gives (classes, rows, cols) of (bands, rows, cols).

    Returns:
        float32 (classes, rows, cols) over the core.
    """
    total: NDArray[np.float32] | None = None
    weight = np.zeros((core.height, core.width), np.float32)
    for window in lattice.over(core):
        rows, cols = window.within(read)
        scores = predict(image[:, rows, cols])
        if total is None:
            total = np.zeros((len(scores), core.height, core.width), np.float32)
        shared = window.shared(core)
        inside, outside = shared.within(window), shared.within(core)
        part = lattice.weights(window)[inside]
        total[:, *outside] += scores[:, *inside] * part
        weight[outside] += part
    total = present(total, "the sum over windows")
    total /= weight
    return total
