"""The bands of a stack, window by window, as z-scores in the order of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, GeoSegError
from ..modelfile.reading import ModelFile, missing_score
from ..modelfile.stats import normalise
from ..raster.grid import Window
from ..stacking.reader import StackReader
from ..vector.scan_fill import ScanFill
from .windows import Cut

STRIP_PX, SCALED_PX = 256, 32
"""Rows read and rows normalised at once: what is on the way to z-scores stays small, and in the processor's cache."""


@dataclass(frozen=True)
class Block:
    """One window ready for the network.

    Attributes:
        cut: the window.
        scores: z-scores (bands, rows, cols) over `cut.read`; without a value 0, or NaN for a model that wants it.
        valid: (rows, cols) over `cut.core`; False where a band has no value; such a pixel gets no class.
        out_of_range: (bands,) valid pixels of the core outside the range of the training pixels.
        valid_px: valid pixels of the core.
        out_of_range_px: (rows, cols) over `cut.core`, number of bands out of range, at most 254; None if not counted.
    """

    cut: Cut
    scores: NDArray[np.float32]
    valid: NDArray[np.bool_]
    out_of_range: NDArray[np.int64]
    valid_px: int
    out_of_range_px: NDArray[np.uint8] | None = None


class BandReader:
    """The stack's bands in the order of the model."""

    def __init__(
        self,
        stack: StackReader,
        model: ModelFile,
        area: ScanFill | None = None,
        count_out_of_range: bool = False,
    ) -> None:
        """Find the model's bands in the stack by name.

        Args:
            stack: bands to read.
            model: the model that they are read for.
            area: outside it no pixel is valid; None is no limit.
            count_out_of_range: whether to count for every pixel the bands outside the range of the training pixels.

        Raises:
            GeoSegError: `missing_bands`.
        """
        wanted = [band.name for band in model.recipe.bands]
        missing = [name for name in wanted if name not in stack.band_names]
        if missing:
            raise GeoSegError(
                "missing_bands",
                f"The model needs {', '.join(missing)}; the stack has {', '.join(stack.band_names)}.",
                "Choose the layers that the model was trained on, or layers of the same kind.",
            )
        order = [stack.band_names.index(name) for name in wanted]
        self._order = None if order == list(range(len(stack.band_names))) else order
        self._stack, self._statistics = stack, model.statistics
        self._missing = missing_score(model)
        self._area, self._count_out_of_range = area, count_out_of_range
        self._low, self._high = (
            np.array(limits, np.float32)[:, None, None]
            for limits in (model.statistics.low, model.statistics.high)
        )
        self.count = len(wanted)
        self._last = (Window(0, 0, 0, 0), np.empty((self.count, 0, 0), np.float32))

    def read(self, cut: Cut) -> Block:
        """Read and normalise a window, strip by strip; outside the area nothing is read.

        A core without any valid pixel is not normalised, because its scores are not used.
        """
        window, core = cut.read, cut.core
        wanted = np.ones((core.height, core.width), bool) if self._area is None else self._area.mask(core)
        out_of_range = np.zeros(self.count, np.int64)
        if not wanted.any():
            return Block(cut, np.empty((self.count, 0, 0), np.float32), wanted, out_of_range, 0)
        scores = np.empty((self.count, window.height, window.width), np.float32)
        valid = np.empty((window.height, window.width), bool)
        out_of_range_px = np.zeros((core.height, core.width), np.uint8) if self._count_out_of_range else None
        known = self._known(window)
        have = known.shape[2]
        for top in range(0, window.height, STRIP_PX):
            strip = Window(window.row + top, window.col, min(STRIP_PX, window.height - top), window.width)
            rows = slice(top, top + strip.height)
            scores[:, rows, :have] = known[:, rows]
            scores[:, rows, have:] = self._values(
                Window(strip.row, strip.col + have, strip.height, strip.width - have)
            )
            values = scores[:, rows]
            valid[rows] = ~np.isnan(values).any(axis=0)
            inner = strip.shared(core)
            if not inner.empty:
                inside = values[:, *inner.within(strip)]
                good = valid[inner.within(window)] & wanted[inner.within(core)]
                out = ((inside < self._low) | (inside > self._high)) & good
                out_of_range += np.count_nonzero(out, axis=(1, 2))
                if out_of_range_px is not None:
                    out_of_range_px[inner.within(core)] = np.minimum(out.sum(axis=0), IGNORE - 1)
        self._keep(cut, scores)
        kept = valid[core.within(window)] & wanted
        if kept.any():
            for top in range(0, window.height, SCALED_PX):
                part = scores[:, top : top + SCALED_PX]
                part[:] = normalise(part, self._statistics, self._missing)
        return Block(cut, scores, kept, out_of_range, int(kept.sum()), out_of_range_px)

    def _keep(self, cut: Cut, values: NDArray[np.float32]) -> None:
        """Remember the last columns of a window: the next one to its right begins with them."""
        window, core = cut.read, cut.core
        right = window.col + window.width
        width = min(2 * (right - core.col - core.width), window.width)
        last = Window(window.row, right - width, window.height, width)
        self._last = (last, values[:, :, window.width - width :].copy())

    def _known(self, window: Window) -> NDArray[np.float32]:
        """The first columns of a window as the one before left them; none where it was another's neighbour."""
        last, values = self._last
        skipped = window.col - last.col
        same_rows = (last.row, last.height) == (window.row, window.height)
        if (
            not same_rows
            or not 0 <= skipped < last.width
            or last.col + last.width >= window.col + window.width
        ):
            return np.empty((self.count, window.height, 0), np.float32)
        return values[:, :, skipped:]

    def _values(self, window: Window) -> NDArray[np.float32]:
        values: NDArray[np.float32] = self._stack.read(window)
        return values if self._order is None else values[self._order]
