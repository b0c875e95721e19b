"""A trained network over a stack, window by window: what `predict` and `evaluate` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, GeoSegError, Problem
from ..modelfile.calibration import PLAIN, Calibration
from ..modelfile.reading import ModelFile
from ..modelfile.stats import normalise
from ..raster.grid import Window
from ..raster.window_blending import Lattice
from ..stacking.reader import StackReader
from ..vector.scanfill import ScanFill
from .blending import blended, blended_cuts, lattice_for, tell
from .runtimes.averaging import averaged
from .runtimes.selection import Choice, choose_runtime, halo_work
from .runtimes.tiling_invariance import largest_difference
from .runtimes.torch_runtime import Runtime
from .window_size import core_for
from .windows import Cut, Frame, cuts, halves

STRIP_PX, SCALED_PX = 256, 32
"""Rows read and rows normalised at once: what is on the way to z-scores stays small, and in the processor's cache."""
SAMPLE_PX = 384
SAMPLE_TRIES = 25
CHECK_PX = 128
"""By so much the window that is checked is larger than the smallest allowed."""
CHECKED_WORTH = 0.5
"""Share of the best speed that a runtime must have to be preferred because windows do not change its answers."""
BEYOND_SHARE = 0.3
"""Share of a band's pixels beyond the range of the training pixels from which the user is warned."""


@dataclass(frozen=True)
class Answers:
    """Which answers to a pixel are averaged; see `averaging.averaged`."""

    tta: str = "none"
    dropout_passes: int = 0
    disagreement: bool = False


ONE_ANSWER = Answers()


@dataclass(frozen=True)
class Opened:
    """What a choice fell on, by name: enough to take the same again."""

    runtime: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Block:
    """One window ready for the network.

    Attributes:
        cut: where.
        scores: z-scores (bands, rows, cols) over `cut.read`.
        valid: (rows, cols) over `cut.core`; False where any band has no value: such a pixel gets no class.
        beyond: per band, valid pixels of the core beyond the range of the training pixels.
        seen: valid pixels of the core.
        beyond_px: (rows, cols) over `cut.core`, number of such bands, at most 254; None where it is not counted.
    """

    cut: Cut
    scores: NDArray[np.float32]
    valid: NDArray[np.bool_]
    beyond: NDArray[np.int64]
    seen: int
    beyond_px: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Setup:
    """What a run over a stack needs: the raster's frame, the chosen runtime, the core's side, the calibration."""

    frame: Frame
    choice: Choice
    core_px: int
    calibration: Calibration = PLAIN
    lattice: Lattice | None = None
    """Of networks that no cut leaves exact."""

    classes: int = 0
    """Channels of the output that are classes; one more is the disagreement."""
    views: int = 1
    """Answers that are averaged."""
    opened: Opened = Opened()

    def cuts(self, inside: Window | None = None) -> Iterator[Cut]:
        """Windows whose cores cover a part of the raster once, or all of it, row by row."""
        if self.lattice:
            return blended_cuts(self.lattice, self.frame, self.core_px, inside)
        return cuts(self.frame, self.core_px, inside)

    def output(self, block: Block, log: Callable[[str], None]) -> NDArray[Any]:
        """Output q of the model (classes, rows, cols) over a block's core.

        Raises:
            GeoSegError: `out_of_memory`.
        """
        if self.lattice:
            return blended(self.lattice, self.runtime, block.cut, block.scores)
        return probabilities(self.runtime, self.frame, block, log)

    @property
    def step_px(self) -> int:
        """Parts of the raster that are predicted apart begin at multiples of it."""
        return self.lattice.align_px if self.lattice else self.frame.align_px

    @property
    def runtime(self) -> Runtime:
        """The network, ready to run."""
        return self.choice.runtime


class BandReader:
    """The stack's bands in the order of the model."""

    def __init__(
        self,
        stack: StackReader,
        model: ModelFile,
        area: ScanFill | None = None,
        count_beyond: bool = False,
    ) -> None:
        """Find the model's bands in the stack by name.

        Args:
            stack, model: what to read for what.
            area: outside it no pixel is valid; None is no such limit.
            count_beyond: whether blocks tell for every pixel how many bands lie beyond the training pixels.

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
        self._area, self._count_beyond = area, count_beyond
        self._low, self._high = (
            np.array(limits, np.float32)[:, None, None]
            for limits in (model.statistics.low, model.statistics.high)
        )
        self.count = len(wanted)
        self._last = (Window(0, 0, 0, 0), np.empty((self.count, 0, 0), np.float32))

    def read(self, cut: Cut) -> Block:
        """Read and normalise a window, strip by strip; outside the area nothing is read.

        A core without any valid pixel is not normalised: nothing looks at its scores.
        """
        window, core = cut.read, cut.core
        wanted = np.ones((core.height, core.width), bool) if self._area is None else self._area.mask(core)
        beyond = np.zeros(self.count, np.int64)
        if not wanted.any():
            return Block(cut, np.empty((self.count, 0, 0), np.float32), wanted, beyond, 0)
        scores = np.empty((self.count, window.height, window.width), np.float32)
        valid = np.empty((window.height, window.width), bool)
        beyond_px = np.zeros((core.height, core.width), np.uint8) if self._count_beyond else None
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
                seen = values[:, *inner.within(strip)]
                good = valid[inner.within(window)] & wanted[inner.within(core)]
                out = ((seen < self._low) | (seen > self._high)) & good
                beyond += np.count_nonzero(out, axis=(1, 2))
                if beyond_px is not None:
                    beyond_px[inner.within(core)] = np.minimum(out.sum(axis=0), IGNORE - 1)
        self._keep(cut, scores)
        kept = valid[core.within(window)] & wanted
        if kept.any():
            for top in range(0, window.height, SCALED_PX):
                part = scores[:, top : top + SCALED_PX]
                part[:] = normalise(part, self._statistics)
        return Block(cut, scores, kept, beyond, int(kept.sum()), beyond_px)

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


def probabilities(runtime: Runtime, frame: Frame, block: Block, log: Callable[[str], None]) -> NDArray[Any]:
    """Output q of the model (classes, rows, cols) over a block's core; in smaller windows if memory is short.

    Raises:
        GeoSegError: `out_of_memory` if even the smallest window does not fit.
    """
    try:
        return runtime.predict_window(block.scores, block.cut.kept)
    except MemoryError:
        parts = halves(frame, block.cut)
    size = f"{block.cut.read.width} × {block.cut.read.height}"
    log(f"A window of {size} pixels does not fit into memory: it is halved.")
    done = [probabilities(runtime, frame, _part(block, cut), log) for cut in parts]
    return np.concatenate(done, axis=1 if parts[0].core.row != parts[1].core.row else 2)


def _part(block: Block, cut: Cut) -> Block:
    rows, cols = cut.read.within(block.cut.read)
    return Block(cut, block.scores[:, rows, cols], block.valid, block.beyond, block.seen)


def set_up(
    model: ModelFile,
    stack: StackReader,
    device: str,
    runtime: str,
    core_px: int,
    outputs_bytes_px: float,
    log: Callable[[str], None],
    job_px: int = 0,
    precision: str = "auto",
    int8_loss: float = 0.005,
    answers: Answers = ONE_ANSWER,
    check_windows: bool = False,
) -> Setup:
    """Choose runtime and window size on a window of the raster itself.

    Args:
        model, stack: what to run over what.
        device, runtime, core_px, precision, int8_loss: as in the job.
        outputs_bytes_px: bytes a pixel of the results of one window.
        log: told of choices.
        job_px: pixels that will be predicted; 0 is all of the raster.
        answers: which are averaged.
        check_windows: whether a runtime is preferred whose answers do not depend on the size of the windows.

    Raises:
        GeoSegError: as `choose_runtime`, `averaged`.
    """
    grid = stack.grid
    frame = Frame(grid.height, grid.width, model.reach_px, model.align_px)
    reader = BandReader(stack, model)
    lattice = None if model.tile_exact else lattice_for(model, frame)
    if lattice:
        frame = replace(frame, reach_px=lattice.window_px)
    scores, classes = sample(frame, reader), len(model.classes)
    host = 12 * reader.count + (12 if answers == ONE_ANSWER else 24) * classes + 2 * outputs_bytes_px + 2

    def core_of(choice: Choice, views: int = 1) -> int:
        speed = choice.px_per_s / views
        return core_px or core_for(frame, host, choice.bytes_px, choice.runtime.device, speed)

    def map_px_per_s(choice: Choice) -> float:
        side = core_of(choice)
        around = ((side + 2 * frame.halo_px) / side) ** 2 - 1
        return choice.px_per_s / (1 + halo_work(choice.runtime) * around)

    job_px = job_px or grid.height * grid.width
    choices = choose_runtime(model, scores, job_px, device, runtime, log, precision, int8_loss, map_px_per_s)
    choice = choices[0]
    if lattice:
        tell(lattice, choice.runtime, scores, log)
    elif check_windows and core_of(choice) < max(frame.height, frame.width):
        larger = sample(frame, reader, CHECK_PX + frame.least_px(frame.width))
        choice = window_independent(choices, larger, frame, map_px_per_s)
    log(f"Predicting with {choice.runtime.title}.")
    chosen = choice.runtime
    mean = averaged(chosen, model, answers.tta, answers.dropout_passes, answers.disagreement, log, grid)
    views, opened = getattr(mean, "views", 1), Opened(chosen.name, chosen.precision)
    core, choice = core_of(choice, views), replace(choice, runtime=mean)
    return Setup(frame, choice, core, model.calibration, lattice, classes, views, opened)


def window_independent(
    choices: Sequence[Choice], scores: NDArray[np.float32], frame: Frame, worth: Callable[[Choice], float]
) -> Choice:
    """The fastest whose answers do not depend on the size of the windows, if it is half as fast as the first.

    Args:
        choices: the fastest first.
        scores: z-scores (bands, rows, cols) of a window that is larger than the smallest allowed.
        frame: raster and network.
        worth: as in `choose_runtime`.

    Returns:
        A choice with its `difference`; the first if all differ.
    """
    tried: list[Choice] = []
    for choice in choices:
        if worth(choice) < CHECKED_WORTH * worth(choices[0]):
            break
        try:
            difference = largest_difference(choice.runtime.predict_window, scores, frame)
        except MemoryError:
            return choice
        tried.append(replace(choice, difference=difference))
        if not difference:
            return tried[-1]
    return tried[0]


def sample(frame: Frame, reader: BandReader, most_px: int = SAMPLE_PX) -> NDArray[np.float32]:
    """Z-scores of an aligned window with values: the middle one, or else the first that has any; zeros without."""
    size = min(most_px, max(frame.height, frame.width))
    all_cuts = list(islice(cuts(Frame(frame.height, frame.width, 0, frame.align_px), size), 10_000))
    middle = len(all_cuts) // 2
    step = max(len(all_cuts) // SAMPLE_TRIES, 1)
    for cut in (all_cuts[middle], *all_cuts[::step]):
        block = reader.read(cut)
        if block.valid.any():
            return block.scores
    return np.zeros_like(block.scores)


def class_ids(output: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The class that the output q (classes, rows, cols) decides for; IGNORE where there is no value."""
    ids = output.argmax(axis=0).astype(np.uint8)
    ids[~valid] = IGNORE
    return ids


def class_confidence(shares: NDArray[Any], output: NDArray[Any]) -> NDArray[Any]:
    """Calibrated probability (rows, cols) of the class that the output q decides for.

    Args:
        shares: `calibrated(output, …)`, (classes, rows, cols).
        output: the model's q.
    """
    if shares is output:
        return np.asarray(shares.max(axis=0))
    return np.take_along_axis(shares, output.argmax(axis=0)[None], axis=0)[0]


def windows_warning(runtime: str, difference: float | None) -> list[Problem]:
    """What is said where the answers of a runtime depend on the size of the windows."""
    if not difference:
        return []
    return [
        Problem(
            "windows_differ",
            f"On this computer {runtime} gives other values in windows of another size (at most {difference:.1g} of "
            "the probability), so single pixels of the map depend on how the raster was divided.",
            "Resumed and shared runs are not affected: they keep the windows of the first run.",
            "warning",
        )
    ]


def beyond_warnings(names: Sequence[str], beyond: NDArray[np.int64], seen: int) -> Iterable[Problem]:
    """One warning for every band that lies mostly outside what the model has seen."""
    for name, count in zip(names, beyond, strict=True):
        if seen and count / seen > BEYOND_SHARE:
            yield Problem(
                "beyond_training",
                f"{count / seen:.0%} of the pixels of band '{name}' lie beyond the values that the model was "
                "trained on.",
                "Check that it is the same kind of data in the same units; if so, train on samples from here too.",
                "warning",
            )
