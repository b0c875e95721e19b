"""A trained network over a stack, window by window: shared by `predict` and `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, Problem
from ..modelfile.calibration import PLAIN, Calibration
from ..modelfile.reading import ModelFile
from ..raster.grid import Window
from ..raster.window_blending import Lattice
from ..stacking.reader import StackReader
from .blending import blended, blended_cuts, lattice_for, log_blending
from .block_reader import BandReader, Block
from .runtimes.averaging import averaged_runtime
from .runtimes.runtime import Runtime
from .runtimes.selection import Choice, choose_runtime, halo_cost
from .runtimes.tiling_invariance import largest_difference
from .window_size import core_for
from .windows import Cut, Frame, cuts, halves

SAMPLE_PX = 384
SAMPLE_TRIES = 25
CHECK_PX = 128
"""Pixels by which the checked window is larger than the smallest allowed."""
CHECKED_WORTH = 0.5
"""Share of the best speed that a runtime must have to be preferred because windows do not change its predictions."""
OUT_OF_RANGE_SHARE = 0.3
"""Share of a band's pixels out of range from which a warning is given."""


@dataclass(frozen=True)
class Variants:
    """Which predictions of a pixel are averaged; see `averaging.averaged`."""

    tta: str = "none"
    dropout_passes: int = 0
    disagreement: bool = False


ONE_VARIANT = Variants()


@dataclass(frozen=True)
class Opened:
    """Names of the runtime and precision in use: enough to open the same again."""

    runtime: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Setup:
    """A network that is ready to run over a stack.

    Attributes:
        frame: raster and network.
        choice: the runtime, with its speed and memory.
        core_px: side of a core in pixels.
        calibration: calibration of the model.
        lattice: windows of a network whose output depends on them; None for others.
        classes: channels of the output that are classes; one more is the disagreement.
        variants: predictions that are averaged for each pixel.
        opened: names of runtime and precision.
    """

    frame: Frame
    choice: Choice
    core_px: int
    calibration: Calibration = PLAIN
    lattice: Lattice | None = None
    """Of networks that no cut leaves exact."""

    classes: int = 0
    """Channels of the output that are classes; one more is the disagreement."""
    variants: int = 1
    """Predictions that are averaged for each pixel."""
    opened: Opened = Opened()

    def cuts(self, inside: Window | None = None) -> Iterator[Cut]:
        """Yield windows whose cores cover a part of the raster once, or all of it, row by row."""
        if self.lattice:
            return blended_cuts(self.lattice, self.frame, self.core_px, inside)
        return cuts(self.frame, self.core_px, inside)

    def output(self, block: Block, log: Callable[[str], None]) -> NDArray[Any]:
        """Return the output q of the model over a block's core.

        Args:
            block: z-scores of one window.
            log: receives a line if a window must be halved.

        Returns:
            Output (classes, rows, cols), with one more channel for the disagreement if requested.

        Raises:
            GeoSegError: `out_of_memory`.
        """
        if self.lattice:
            return blended(self.lattice, self.runtime, block.cut, block.scores)
        return probabilities(self.runtime, self.frame, block, log)

    @property
    def step_px(self) -> int:
        """Parts of the raster that are predicted separately begin at multiples of it."""
        return self.lattice.align_px if self.lattice else self.frame.align_px

    @property
    def runtime(self) -> Runtime:
        """The network, ready to run."""
        return self.choice.runtime


def probabilities(runtime: Runtime, frame: Frame, block: Block, log: Callable[[str], None]) -> NDArray[Any]:
    """Return the output q of the model over a block's core, in smaller windows if memory is short.

    Args:
        runtime: the network.
        frame: raster and network.
        block: z-scores of one window.
        log: receives a line for every window that is halved.

    Returns:
        Output (classes, rows, cols) over the core.

    Raises:
        GeoSegError: `out_of_memory` if the smallest window does not fit.
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
    return Block(cut, block.scores[:, rows, cols], block.valid, block.out_of_range, block.valid_px)


def set_up(
    model: ModelFile,
    stack: StackReader,
    device: str,
    runtime: str,
    core_px: int,
    outputs_bytes_px: float,
    log: Callable[[str], None],
    precision: str = "auto",
    int8_loss: float = 0.005,
    variants: Variants = ONE_VARIANT,
    check_windows: bool = False,
) -> Setup:
    """Choose runtime and window size on a window of the raster itself.

    Args:
        model, stack: the model file, and bands to predict from.
        device, runtime, core_px, precision, int8_loss: as in the job.
        outputs_bytes_px: bytes per pixel of the results of one window.
        log: receives what was chosen.
        variants: predictions that are averaged for each pixel.
        check_windows: prefer a runtime whose output does not depend on the size of the windows.

    Raises:
        GeoSegError: as `choose_runtime`, `averaged_runtime`.
    """
    grid = stack.grid
    frame = Frame(grid.height, grid.width, model.reach_px, model.align_px)
    reader = BandReader(stack, model)
    lattice = None if model.tile_exact else lattice_for(model, frame)
    if lattice:
        frame = replace(frame, reach_px=lattice.window_px)
    scores, classes = sample(frame, reader), len(model.classes)
    host = 12 * reader.count + (12 if variants == ONE_VARIANT else 24) * classes + 2 * outputs_bytes_px + 2

    def core_of(choice: Choice, count: int = 1) -> int:
        speed = choice.px_per_s / count
        return core_px or core_for(frame, host, choice.bytes_px, choice.runtime.device, speed)

    def map_px_per_s(choice: Choice) -> float:
        side = core_of(choice)
        around = ((side + 2 * frame.halo_px) / side) ** 2 - 1
        return choice.px_per_s / (1 + halo_cost(choice.runtime) * around)

    pixels = grid.height * grid.width
    choices = choose_runtime(model, scores, pixels, device, runtime, log, precision, int8_loss, map_px_per_s)
    choice = choices[0]
    if lattice:
        log_blending(lattice, choice.runtime, scores, log)
    elif check_windows and core_of(choice) < max(frame.height, frame.width):
        larger = sample(frame, reader, CHECK_PX + frame.min_px(frame.width))
        choice = window_independent(choices, larger, frame, map_px_per_s)
    log(f"Predicting with {choice.runtime.title}.")
    chosen = choice.runtime
    mean = averaged_runtime(
        chosen, model, variants.tta, variants.dropout_passes, variants.disagreement, log, grid
    )
    count, opened = getattr(mean, "count", 1), Opened(chosen.name, chosen.precision)
    core, choice = core_of(choice, count), replace(choice, runtime=mean)
    return Setup(frame, choice, core, model.calibration, lattice, classes, count, opened)


def window_independent(
    choices: Sequence[Choice], scores: NDArray[np.float32], frame: Frame, worth: Callable[[Choice], float]
) -> Choice:
    """Return the fastest choice whose output does not depend on the size of the windows.

    A choice that is less than half as fast as the first is not considered.

    Args:
        choices: the fastest first.
        scores: z-scores (bands, rows, cols) of a window that is larger than the smallest allowed.
        frame: raster and network.
        worth: as in `choose_runtime`.

    Returns:
        A choice with its `difference`; the first if all depend on it.
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


def sample(frame: Frame, reader: BandReader, max_px: int = SAMPLE_PX) -> NDArray[np.float32]:
    """Return z-scores of an aligned window with values: the middle one, or the first that has any.

    Args:
        frame: raster and network.
        reader: bands of the stack.
        max_px: largest side of the window in pixels.

    Returns:
        Z-scores (bands, rows, cols); zeros if no window that was tried has values.
    """
    for cut in sample_cuts(frame, max_px):
        block = reader.read(cut)
        if block.valid.any():
            return block.scores
    return np.zeros_like(block.scores)


def sample_cuts(frame: Frame, max_px: int = SAMPLE_PX) -> list[Cut]:
    """Return aligned windows without halo over a raster, the middle one first.

    Args:
        frame: raster and network.
        max_px: largest side of a window in pixels.
    """
    size = min(max_px, max(frame.height, frame.width))
    all_cuts = list(islice(cuts(Frame(frame.height, frame.width, 0, frame.align_px), size), 10_000))
    step = max(len(all_cuts) // SAMPLE_TRIES, 1)
    return [all_cuts[len(all_cuts) // 2], *all_cuts[::step]]


def class_ids(output: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the class that the output q decides for.

    Args:
        output: output q (classes, rows, cols).
        valid: (rows, cols), False where a pixel has no value.

    Returns:
        Class ids (rows, cols); IGNORE where there is no value.
    """
    ids = output.argmax(axis=0).astype(np.uint8)
    ids[~valid] = IGNORE
    return ids


def class_confidence(shares: NDArray[Any], output: NDArray[Any]) -> NDArray[Any]:
    """Return the calibrated probability (rows, cols) of the class that the output q decides for.

    Args:
        shares: `calibrated(output, …)`, (classes, rows, cols), 0 to 1.
        output: output q of the model, of the same shape.
    """
    if shares is output:
        return np.asarray(shares.max(axis=0))
    return np.take_along_axis(shares, output.argmax(axis=0)[None], axis=0)[0]


def windows_warning(runtime: str, difference: float | None) -> list[Problem]:
    """Return the warning that the output of a runtime depends on the size of the windows.

    Args:
        runtime: its title.
        difference: largest difference of the output; None or 0 give no warning.
    """
    if not difference:
        return []
    return [
        Problem(
            "windows_differ",
            f"On this computer {runtime} gives other values in windows of another size (up to {difference:.1g} in "
            "probability). Single pixels of the map depend on how the raster was divided.",
            "Resumed and shared runs are not affected: they keep the windows of the first run.",
            "warning",
        )
    ]


def out_of_range_warnings(
    names: Sequence[str], out_of_range: NDArray[np.int64], valid_px: int
) -> Iterable[Problem]:
    """Yield a warning for every band with many values outside the range of the training data.

    Args:
        names: names of the bands.
        out_of_range: (bands,) pixels out of range.
        valid_px: pixels with a value.
    """
    for name, count in zip(names, out_of_range, strict=True):
        if valid_px and count / valid_px > OUT_OF_RANGE_SHARE:
            yield Problem(
                "beyond_training",
                f"{count / valid_px:.0%} of the pixels of band '{name}' are outside the range of the training data.",
                "Check that the data and their units match the training data. If they do, add training samples "
                "from this area.",
                "warning",
            )
