"""Cutting a raster so that prediction by windows equals prediction of the whole.

A convolutional network without global pooling or instance statistics sees a bounded neighbourhood. If origin and size
of every window are multiples of the network's total stride and the halo is at least its reach, the kept pixels of a
window equal those of the whole raster. At the raster's true border there is no halo: the network pads there, as it does
at the border of the whole.

In short arithmetic that holds to the last bit only while a convolution adds in the same order in every window, see
`tiling_invariance`. Measured with oneDNN, narrow maps have kernels of their own (1024 channels: up to 14 pixels). So no
window is smaller than MIN_FEATURES of the deepest map, and MIN_PX of the first: small cores read more around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..contract import GeoSegError
from ..raster.grid import Window, round_up

MIN_FEATURES = 24
"""Side of the deepest map of features in the smallest window."""
MIN_PX = 64
"""Side of the smallest window."""


@dataclass(frozen=True)
class Frame:
    """Size of a raster and what the network needs around a pixel.

    Beyond its right and lower border the raster is continued with pixels without value up to the next multiple of
    `align_px`: the one definition of "the whole" that every cut reproduces.

    Attributes:
        height, width: size of the raster in pixels.
        reach_px: distance from a pixel that influences its output.
        align_px: total stride of the network.
    """

    height: int
    width: int
    reach_px: int
    align_px: int

    @property
    def halo_px(self) -> int:
        """Return the reach, rounded up to a multiple of `align_px`."""
        return round_up(self.reach_px, self.align_px)

    def min_px(self, across_px: int) -> int:
        """Return the minimum side of a window; more if the raster is narrower than it in the other direction."""
        minimum = round_up(max(MIN_FEATURES * self.align_px, MIN_PX), self.align_px)
        return round_up(minimum * minimum // min(across_px, minimum), self.align_px)

    @property
    def full(self) -> Window:
        """Return the whole raster with its continuation, as one window."""
        return Window(0, 0, round_up(self.height, self.align_px), round_up(self.width, self.align_px))


@dataclass(frozen=True)
class Cut:
    """One window to predict.

    Attributes:
        core: pixels that are kept.
        read: pixels that the network must see.
    """

    core: Window
    read: Window

    @property
    def kept(self) -> Window:
        """Return the core, in pixels of `read`."""
        return self.core.moved(-self.read.row, -self.read.col)


def cuts(frame: Frame, core_px: int, inside: Window | None = None) -> Iterator[Cut]:
    """Cover a raster, or an aligned part of it, once with cores, row by row.

    Args:
        frame: raster and network.
        core_px: side of a core in pixels, rounded up to `align_px`.
        inside: part of the raster; None is all of it.
    """
    for core in cores(frame, round_up(max(core_px, 1), frame.align_px), inside):
        yield cut_at(frame, core.row, core.col, core.height, core.width)


def cores(frame: Frame, core_px: int, inside: Window | None = None) -> Iterator[Window]:
    """Yield squares that cover a raster, or a part of it, once, row by row; the last ones are smaller.

    Args:
        frame: raster and network.
        core_px: side of a square in pixels.
        inside: part of the raster; None is all of it.
    """
    part = inside or Window(0, 0, frame.height, frame.width)
    bottom, right = part.row + part.height, part.col + part.width
    for row in range(part.row, bottom, core_px):
        for col in range(part.col, right, core_px):
            yield Window(row, col, min(core_px, bottom - row), min(core_px, right - col))


def cut_at(frame: Frame, row: int, col: int, height: int, width: int, inside: Window | None = None) -> Cut:
    """Return the cut of an aligned core; the core is clipped to the raster, what is read to the frame or to `inside`.

    Args:
        frame: raster and network.
        row, col: first pixel of the core.
        height, width: size of the core.
        inside: window that is read from; None is the whole frame.
    """
    full = inside or frame.full
    top, bottom = _span(frame, row, height, full.row, full.row + full.height, full.width)
    left, right = _span(frame, col, width, full.col, full.col + full.width, full.height)
    core = Window(row, col, min(height, frame.height - row), min(width, frame.width - col))
    return Cut(core, Window(top, left, bottom - top, right - left))


def _span(frame: Frame, start: int, size: int, first: int, last: int, across_px: int) -> tuple[int, int]:
    """First and last row (or column) to read for a core: its halo, and no less than the least."""
    low = max(start - frame.halo_px, first)
    high = min(round_up(start + size, frame.align_px) + frame.halo_px, last)
    return lengthened(low, high, frame.min_px(across_px), first, last)


def lengthened(low: int, high: int, minimum: int, first: int, last: int) -> tuple[int, int]:
    """Return a span that has at least a minimum length if there is room, extended at its start first.

    Args:
        low, high: the span, half-open.
        minimum: its minimum length.
        first, last: limits of the room.
    """
    low = max(min(low, high - minimum), first)
    return low, min(max(high, low + minimum), last)


def halves(frame: Frame, cut: Cut) -> tuple[Cut, Cut]:
    """Split a cut into two whose cores make up its core; both read only what the cut reads.

    Args:
        frame: raster and network.
        cut: the window that is too large.

    Raises:
        GeoSegError: `out_of_memory` if the core cannot be divided further.
    """
    core, align = cut.core, frame.align_px
    by_rows = core.height >= core.width
    length = core.height if by_rows else core.width
    first = round_up((length + 1) // 2, align)
    if first >= length:
        raise GeoSegError(
            "out_of_memory",
            f"Not even a window of {cut.read.width} × {cut.read.height} pixels fits into memory.",
            "Close other programs, choose the CPU as device, or train a narrower model.",
        )
    if by_rows:
        return (
            cut_at(frame, core.row, core.col, first, core.width, cut.read),
            cut_at(frame, core.row + first, core.col, length - first, core.width, cut.read),
        )
    return (
        cut_at(frame, core.row, core.col, core.height, first, cut.read),
        cut_at(frame, core.row, core.col + first, core.height, length - first, cut.read),
    )
