"""Z-scores on the device, from the numbers of the files: what `BandReader` makes on the host, to the last bit.

Every step is one that IEEE 754 defines (compare, subtract, divide), in the type and order of `raster_values` and
`normalise`. On a CPU the steps go over strips that fit into its cache, on a GPU over the whole window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...contract import IGNORE, present
from ...device.devices import Device
from ...modelfile.stats import Statistics
from ...raster.grid import Window
from .raw_bands import RawLayer, RawWindow

STRIP_ELEMENTS = 32_767
"""Pixels of a band at once on a CPU: they stay in its cache, and torch computes them in the thread that asks."""


@dataclass(frozen=True)
class Uploaded:
    """A `RawWindow` whose arrays are on the device.

    Attributes:
        window: the same on the host.
        raw: numbers of each layer, (bands, rows, cols); unsigned 16-bit numbers as signed ones of the same bits.
        invalid: masks of the files, of each layer; None for none.
        wanted: (rows, cols) over the core; None is all of it.
    """

    window: RawWindow
    raw: tuple[Tensor, ...]
    invalid: tuple[Tensor | None, ...]
    wanted: Tensor | None


@dataclass(frozen=True)
class Scores:
    """One window ready for the network, see `Block`.

    Attributes:
        image: z-scores (1, bands, rows, cols) over `cut.read`.
        valid: (rows, cols) over the core; None where every pixel is.
        counts: (bands + 1), pixels out of range by band, and pixels with a value.
        out_of_range_px: (rows, cols) over the core, int16; None if not counted.
    """

    image: Tensor
    valid: Tensor | None
    counts: Tensor
    out_of_range_px: Tensor | None


@dataclass(frozen=True)
class _Placed:
    """Numbers of a layer on a window, the columns of the window before included."""

    raw: Tensor
    place: Window
    invalid: Tensor | None


class ScoreMaker:
    """Makes z-scores of uploaded windows, one after another: the next may begin with the last columns of this one."""

    def __init__(
        self, statistics: Statistics, layers: Sequence[RawLayer], device: Device, count_out_of_range: bool
    ) -> None:
        """Put the statistics on the device.

        Args:
            statistics: of the model.
            layers: as of `RawReader`.
            device: that computes.
            count_out_of_range: whether to count for every pixel the bands outside the range of the training pixels.
        """
        self._layers, self._device, self._counts_px = tuple(layers), device, count_out_of_range
        self._bands = len(statistics.mean)

        def numbers(column: Sequence[float]) -> list[float]:
            return [float(value) for value in np.asarray(column, np.float32)]

        self._low, self._high = numbers(statistics.low), numbers(statistics.high)
        # as tensors: a GPU multiplies by the inverse of a number instead of dividing by it
        self._mean, self._std = (
            torch.tensor(numbers(column), dtype=torch.float32, device=device.torch_device).unbind()
            for column in (statistics.mean, statistics.std)
        )
        self._last: tuple[Window, tuple[_Placed, ...]] | None = None

    def knows(self, window: RawWindow) -> bool:
        """Whether the columns that a window leaves out are still here."""
        if not window.known_px:
            return True
        read = window.cut.read
        if self._last is None:
            return False
        last = self._last[0]
        return (last.row, last.height, last.col + last.width) == (
            read.row,
            read.height,
            read.col + window.known_px,
        )

    def forget(self) -> None:
        """Drop the columns that are kept for the next window."""
        self._last = None

    def made(self, uploaded: Uploaded, keep_px: int = 0) -> Scores | None:
        """Return the z-scores of a window; None where no pixel of its core can have a value.

        Args:
            uploaded: the window; `knows` it.
            keep_px: columns that the next window begins with.
        """
        window = uploaded.window
        placed = self._with_known(uploaded) if window.parts else ()
        self._keep(window, placed, keep_px)
        return None if window.empty else self._scores(uploaded, placed)

    def _with_known(self, uploaded: Uploaded) -> tuple[_Placed, ...]:
        """The parts, begun with the columns of the window before."""
        window = uploaded.window
        found = []
        for number, part in enumerate(window.parts):
            raw, invalid, place = uploaded.raw[number], uploaded.invalid[number], part.place
            if window.known_px:
                before = present(self._last, "the window before")[1][number]
                raw, place = _joined(before.raw, before.place, raw, place)
                if before.invalid is not None or invalid is not None:
                    shape = uploaded.raw[number]
                    one = before.invalid if before.invalid is not None else _none(before.raw)
                    other = invalid if invalid is not None else _none(shape)
                    invalid = _joined(one, before.place, other, part.place)[0]
            found.append(_Placed(raw, place, invalid))
        return tuple(found)

    def _keep(self, window: RawWindow, placed: tuple[_Placed, ...], keep_px: int) -> None:
        if not keep_px or not placed:
            self._last = None
            return
        read = window.cut.read
        first = read.width - keep_px
        kept = []
        for part in placed:
            skipped = min(max(first - part.place.col, 0), part.place.width)
            place = Window(
                part.place.row, max(part.place.col - first, 0), part.place.height, part.place.width - skipped
            )
            invalid = None if part.invalid is None else part.invalid[:, :, skipped:].clone()
            kept.append(_Placed(part.raw[:, :, skipped:].clone(), place, invalid))
        self._last = (Window(read.row, read.col + first, read.height, keep_px), tuple(kept))

    def _scores(self, uploaded: Uploaded, placed: tuple[_Placed, ...]) -> Scores:
        cut = uploaded.window.cut
        height, width = cut.read.height, cut.read.width
        at = self._device.torch_device
        core = cut.kept
        image = torch.empty((1, self._bands, height, width), device=at)
        whole = Window(0, 0, height, width)
        gaps = any(layer.gaps for layer in self._layers) or any(
            part.invalid is not None or part.place != whole for part in placed
        )
        valid = torch.ones((core.height, core.width), dtype=torch.bool, device=at) if gaps else None
        if uploaded.wanted is not None:
            valid = uploaded.wanted.clone()
        over = (
            torch.zeros((core.height, core.width), dtype=torch.int16, device=at) if self._counts_px else None
        )
        counts = torch.zeros(self._bands + 1, dtype=torch.int64, device=at)
        for strip in self._strips(whole):
            values, missing = self._values(placed, strip)
            self._finish(image[0], values, missing, strip, core, valid, over, counts)
        counts[-1] = core.height * core.width if valid is None else torch.count_nonzero(valid)
        if over is not None:
            over.clamp_(max=IGNORE - 1)
        return Scores(image, valid, counts, over)

    def _strips(self, whole: Window) -> Iterator[Window]:
        for rows in strips(whole.height, whole.width, self._device.is_gpu):
            yield Window(rows.start, 0, rows.stop - rows.start, whole.width)

    def _values(self, placed: tuple[_Placed, ...], strip: Window) -> tuple[list[Tensor], list[Tensor | None]]:
        """Of each band, in the order of the model: values (rows, cols) of a strip, and where there is none."""
        values: list[Any] = [None] * self._bands
        missing: list[Tensor | None] = [None] * self._bands
        for layer, part in zip(self._layers, placed, strict=True):
            shared = part.place.shared(strip)
            rows, cols = shared.within(part.place)
            for number, place in enumerate(layer.places):
                raw = part.raw[number, rows, cols]
                gone = _gone(layer, number, raw)
                if part.invalid is not None:
                    own = part.invalid[number, rows, cols]
                    gone = own if gone is None else gone | own
                found = _value(layer, number, raw)
                if shared != strip:
                    found, gone = _around(found, gone, shared.within(strip), strip)
                values[place], missing[place] = found, gone
        return values, missing

    def _finish(
        self,
        image: Tensor,
        values: list[Tensor],
        missing: list[Tensor | None],
        strip: Window,
        core: Window,
        valid: Tensor | None,
        over: Tensor | None,
        counts: Tensor,
    ) -> None:
        """Scale the values of a strip, and count those out of range in the core."""
        inner = strip.shared(core)
        inside, here = inner.within(strip), inner.within(core)
        good = None
        if valid is not None and not inner.empty:
            good = valid[here]
            for gone in missing:
                if gone is not None:
                    good &= ~gone[inside]
        rows = slice(strip.row, strip.row + strip.height)
        for place, (value, gone) in enumerate(zip(values, missing, strict=True)):
            clipped = torch.clamp(value, self._low[place], self._high[place])
            if not inner.empty:
                out = torch.ne(value[inside], clipped[inside])
                if good is not None:
                    out &= good
                counts[place] += torch.count_nonzero(out)
                if over is not None:
                    over[here] += out
            target = image[place, rows]
            torch.div(clipped.sub_(self._mean[place]), self._std[place], out=target)
            if gone is not None:
                target.masked_fill_(gone, 0.0)


def strips(height: int, width: int, whole: bool) -> Iterator[slice]:
    """Yield the rows to compute at once.

    Args:
        height, width: of all.
        whole: whether that is all of them.
    """
    step = height if whole else max(STRIP_ELEMENTS // max(width, 1), 1)
    for top in range(0, height, max(step, 1)):
        yield slice(top, min(top + step, height))


def _joined(first: Tensor, at: Window, second: Tensor, then: Window) -> tuple[Tensor, Window]:
    """Two parts side by side, of which one may have no columns."""
    if not at.width or not at.height:
        return second, then
    if not then.width or not then.height:
        return first, at
    place = Window(at.row, at.col, at.height, at.width + then.width)
    return torch.cat([first, second], dim=2), place


def _none(like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=torch.bool, device=like.device)


def _unsigned(layer: RawLayer, raw: Tensor) -> Tensor:
    """Numbers whose type torch computes in: 16 unsigned bits arrive as signed ones."""
    return raw.to(torch.int32).bitwise_and_(0xFFFF) if layer.dtype == np.uint16 else raw


def _value(layer: RawLayer, number: int, raw: Tensor) -> Tensor:
    """Values of numbers, float32; scaled in float64 as `raster_values` does."""
    raw = _unsigned(layer, raw)
    if not layer.scale:
        return raw.to(torch.float32)
    return raw.to(torch.float64).mul_(layer.scale[number]).add_(layer.offset[number]).to(torch.float32)


def _gone(layer: RawLayer, number: int, raw: Tensor) -> Tensor | None:
    """Where numbers mean no value; None if none does."""
    marked = layer.nodata[number]
    gone = None
    if layer.dtype.kind == "f":
        gone = torch.isfinite(raw).logical_not_()
        if marked is not None:
            gone |= raw == float(np.float32(marked))
    elif marked is not None:
        as_held = (
            int(np.array(marked, layer.dtype).view(np.int16)) if layer.dtype == np.uint16 else int(marked)
        )
        gone = raw == as_held
    return gone


def _around(
    found: Tensor, gone: Tensor | None, inside: tuple[slice, slice], strip: Window
) -> tuple[Tensor, Tensor]:
    """Values of a part of a strip in all of it; nothing has a value around them."""
    values = torch.zeros((strip.height, strip.width), device=found.device)
    missing = torch.ones((strip.height, strip.width), dtype=torch.bool, device=found.device)
    values[inside] = found
    missing[inside] = False if gone is None else gone
    return values, missing
