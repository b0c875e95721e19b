"""The job `summarize`: the distribution of the values of every band, from windows spread over the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..channel import Channel
from ..contract import Area, Grid, SummarizeJob, encode, present, write_json
from ..outputs import prepare_folder
from ..raster.grid import Window, window_px, windows
from .reader import StackReader, open_stack
from .recipe_plan import raise_errors
from .stack_plan import plan_stack

PERCENTILES = (0.5, 2.0, 25.0, 50.0, 75.0, 98.0, 99.5)
WINDOWS = 5
"""Sampled windows along each side of the grid."""
KEPT_VALUES, KEPT_OF_BAND = 64_000_000, 1_200_000
"""Values kept for percentiles and histogram, of all bands and of one."""


@dataclass
class Tally:
    """Statistics of one band; `kept` holds every valid value, or a random `share` of too many."""

    share: float
    px: int = 0
    valid: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    squares: float = 0.0
    shift: float = math.nan
    kept: list[np.ndarray] = field(default_factory=list)
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, values: np.ndarray) -> None:
        """Add values of any shape, NaN where there is none."""
        self.px += values.size
        known = values[np.isfinite(values)]
        if not known.size:
            return
        if math.isnan(self.shift):
            self.shift = float(known[0])
        centred = known.astype(np.float64) - self.shift
        self.valid += known.size
        self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
        self.total += float(centred.sum())
        self.squares += float(np.dot(centred, centred))
        if self.share < 1:
            chosen = self.chance.random(known.size) < self.share
            chosen[0] |= not self.kept
            known = known[chosen]
        self.kept.append(known)

    def summary(self, name: str, bins: int) -> dict[str, Any]:
        """Return the statistics as in the result; numbers are None for a band without values.

        Args:
            name: of the band.
            bins: of the histogram, at least 1.
        """
        share = self.valid / self.px if self.px else 0.0
        if not self.valid:
            empty = dict.fromkeys(("min", "max", "mean", "deviation"))
            histogram: dict[str, list[float]] = {"edges": [], "counts": []}
            return {"name": name, "valid_share": share, **empty, "percentiles": {}, "histogram": histogram}
        values = np.concatenate(self.kept).astype(np.float64)
        found = np.percentile(values, PERCENTILES)
        mean = self.total / self.valid
        counts, edges = np.histogram(values, bins, (float(found[0]), float(found[-1])))
        return {
            "name": name,
            "valid_share": share,
            "min": self.low,
            "max": self.high,
            "mean": self.shift + mean,
            "deviation": math.sqrt(max(self.squares / self.valid - mean * mean, 0.0)),
            "percentiles": {
                f"{percent:g}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)
            },
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        }


def run(job: SummarizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Summarize a stack, or bands as they would be stacked, and write the result as JSON.

    The histogram runs from the 0.5 to the 99.5 percentile; values beyond are not in its counts.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress.

    Raises:
        GeoSegError: for problems of the stack; as `open_stack`.
    """
    output = folder / job.output
    with reader_of(job, folder) as reader:
        parts = sample_windows(reader.grid, len(reader.band_names), job.sample_px)
        tallies = tallies_of(reader, parts, channel)
        pixels = sum(part.height * part.width for part in parts)
        grid = reader.grid
        result: dict[str, Any] = {
            "bands": [
                tally.summary(name, max(job.bins, 1))
                for name, tally in zip(reader.band_names, tallies, strict=True)
            ],
            "pixels": pixels,
            "complete": pixels == grid.width * grid.height,
            "grid": encode(grid),
        }
    prepare_folder(output.parent)
    write_json(output, result)
    return {**result, "output": str(output)}


def reader_of(job: SummarizeJob, folder: Path) -> StackReader:
    """Open the stack of the job.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.

    Raises:
        GeoSegError: as `run`.
    """
    if job.stack:
        return open_stack(folder / job.stack)
    plan = plan_stack(
        job.sources,
        job.bands,
        job.grid,
        Area(),
        None,
        check_values=False,
        intermediates=job.intermediates,
    )
    raise_errors(plan.problems)
    return StackReader(present(plan.recipe, "the recipe of a plan"))


def sample_windows(grid: Grid, bands: int, sample_px: int) -> list[Window]:
    """Return windows of equal size spread over the grid, or all of a small grid.

    Args:
        grid: of the stack.
        bands: number of bands that are read.
        sample_px: pixels of all windows together, about; 0 is all.
    """
    if not sample_px or grid.width * grid.height <= sample_px:
        return list(windows(grid, window_px(bands)))
    share = math.sqrt(sample_px / (grid.width * grid.height)) / WINDOWS
    height, width = (max(round(length * share), 1) for length in (grid.height, grid.width))
    return [
        Window(int(row), int(col), height, width)
        for row in np.unique(np.linspace(0, grid.height - height, WINDOWS).astype(int))
        for col in np.unique(np.linspace(0, grid.width - width, WINDOWS).astype(int))
    ]


def tallies_of(reader: StackReader, parts: list[Window], channel: Channel) -> list[Tally]:
    """Read windows and return the statistics of every band.

    Args:
        reader: of the stack.
        parts: windows to read.
        channel: gets progress.
    """
    bands = len(reader.band_names)
    pixels = sum(part.height * part.width for part in parts)
    share = min(KEPT_OF_BAND, KEPT_VALUES / bands) / pixels
    tallies = [Tally(share) for _ in range(bands)]
    for done, part in enumerate(parts):
        channel.progress("summarize", done, len(parts))
        for tally, values in zip(tallies, reader.read(part), strict=True):
            tally.add(values.ravel())
    channel.progress("summarize", len(parts), len(parts))
    return tallies
