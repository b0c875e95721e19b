"""Cutting a raster so that prediction by windows equals prediction of the whole.

A convolutional network without global pooling or instance statistics sees a bounded neighbourhood. If origin
and size of every window are multiples of the network's total stride and the halo is at least its
reach, no kept pixel can tell a window from the whole raster. At the raster's true border there is no
halo: the network pads there, as it does at the border of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import GeoSegError
from ..raster.grid import Window, up_to


@dataclass(frozen=True)
class Frame:
    """A raster's size and the network's needs.

    Beyond its right and lower border the raster is continued with pixels without value up to the next
    multiple of `align_px`: the one definition of "the whole" that every cut reproduces.

    Attributes:
        height, width: of the raster in pixels.
        reach_px: how far beyond a pixel the network looks.
        align_px: total stride of the network.
    """

    height: int
    width: int
    reach_px: int
    align_px: int

    @property
    def halo_px(self) -> int:
        """The reach, rounded up to a multiple of `align_px`."""
        return up_to(self.reach_px, self.align_px)

    @property
    def full(self) -> Window:
        """The whole raster with its continuation, as one window."""
        return Window(0, 0, up_to(self.height, self.align_px), up_to(self.width, self.align_px))


@dataclass(frozen=True)
class Cut:
    """One window to predict: `core` is kept, `read` is what the network must see."""

    core: Window
    read: Window

    def keep(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """The core's part of an array (…, rows, cols) over `read`."""
        row, col = self.core.row - self.read.row, self.core.col - self.read.col
        return array[..., row : row + self.core.height, col : col + self.core.width]


def cuts(frame: Frame, core_px: int) -> Iterator[Cut]:
    """Cover the raster once with cores of `core_px` (rounded up to `align_px`), row by row."""
    core_px = up_to(max(core_px, 1), frame.align_px)
    for row in range(0, frame.height, core_px):
        for col in range(0, frame.width, core_px):
            yield cut_at(frame, row, col, core_px, core_px)


def cut_at(frame: Frame, row: int, col: int, height: int, width: int) -> Cut:
    """The cut of an aligned core; the core is clipped to the raster, its halo to the raster's frame."""
    halo, full = frame.halo_px, frame.full
    top, left = max(row - halo, 0), max(col - halo, 0)
    bottom = min(up_to(row + height, frame.align_px) + halo, full.height)
    right = min(up_to(col + width, frame.align_px) + halo, full.width)
    core = Window(row, col, min(height, frame.height - row), min(width, frame.width - col))
    return Cut(core, Window(top, left, bottom - top, right - left))


def halves(frame: Frame, cut: Cut) -> tuple[Cut, Cut]:
    """Two cuts with the cores that make up a cut's core; both read only what the cut reads.

    Raises:
        GeoSegError: `out_of_memory` if the core cannot be divided further.
    """
    core, align = cut.core, frame.align_px
    by_rows = core.height >= core.width
    length = core.height if by_rows else core.width
    first = up_to((length + 1) // 2, align)
    if first >= length:
        raise GeoSegError(
            "out_of_memory",
            f"Not even a window of {cut.read.width} × {cut.read.height} pixels fits into memory.",
            "Close other programs, choose the CPU as device, or train a narrower model.",
        )
    if by_rows:
        return (
            cut_at(frame, core.row, core.col, first, core.width),
            cut_at(frame, core.row + first, core.col, length - first, core.width),
        )
    return (
        cut_at(frame, core.row, core.col, core.height, first),
        cut_at(frame, core.row, core.col + first, core.height, length - first),
    )
