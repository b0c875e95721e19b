"""Prediction with networks whose output depends on the window: overlapping windows, blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import GeoSegError
from ..modelfile.reading import ModelFile, is_third_party
from ..raster.grid import Window, round_up
from ..raster.window_blending import MIN_WINDOW_PX, Lattice, blend
from .runtimes.runtime import Runtime
from .windows import Cut, Frame, cores


def lattice_for(model: ModelFile, frame: Frame) -> Lattice:
    """Return the windows of a model whose output depends on them.

    They are as large as the training crops, because statistics over a window are learnt from those. The windows of a
    third-party model are as large and overlap as its file states, and may begin anywhere.

    Args:
        model: the model file.
        frame: raster and network.
    """
    if is_third_party(model):
        size, stated = (frame.full.height, frame.full.width), model.architecture
        return Lattice(*size, model.tile_px, 1, stated["margin_px"], stated["overlap"])
    window_px = round_up(max(model.tile_px, MIN_WINDOW_PX), frame.align_px)
    return Lattice(frame.full.height, frame.full.width, window_px, frame.align_px)


def blended_cuts(lattice: Lattice, frame: Frame, core_px: int, inside: Window | None = None) -> Iterator[Cut]:
    """Cover a raster once with cores; each reads all windows that count in it.

    Args:
        lattice: windows of the raster.
        frame: raster and network.
        core_px: side of a core in pixels.
        inside: part of the raster to cover; None is all of it.

    Returns:
        Cuts, row by row.
    """
    for core in cores(frame, core_px, inside):
        yield Cut(core, lattice.around(core))


def blended(lattice: Lattice, runtime: Runtime, cut: Cut, scores: NDArray[Any]) -> NDArray[Any]:
    """Return the output q over a cut's core, blended from the windows that touch it.

    Args:
        lattice: windows of the raster.
        runtime: the network.
        cut: what is kept and what is read.
        scores: z-scores (bands, rows, cols) over `cut.read`.

    Returns:
        Output (classes, rows, cols) over `cut.core`.

    Raises:
        GeoSegError: `out_of_memory` if one window does not fit: a smaller one would give another output.
    """
    try:
        return blend(lattice, cut.core, cut.read, scores, runtime.predict_window)
    except MemoryError as error:
        raise GeoSegError(
            "out_of_memory",
            f"A window of {lattice.window_px} × {lattice.window_px} pixels does not fit into memory.",
            "Close other programs, choose the CPU as device, or train on smaller crops.",
        ) from error


def origin_dependence(lattice: Lattice, runtime: Runtime, scores: NDArray[Any]) -> float | None:
    """Return the share of a sample's pixels that keep their class when the windows are moved by a quarter of a window.

    Args:
        lattice: windows of the raster.
        runtime: the network.
        scores: z-scores (bands, rows, cols) of the sample.

    Returns:
        Share, 0 to 1; None if the sample is too small.
    """
    step = max(lattice.stride_px // 2 // lattice.align_px, 1) * lattice.align_px
    side = lattice.window_px + 2 * lattice.stride_px
    if min(scores.shape[1:]) < side + step:
        return None
    part = replace(lattice, height=side, width=side)
    whole = Window(0, 0, side, side)
    answers = [
        blend(
            part, whole, whole, scores[:, shift : shift + side, shift : shift + side], runtime.predict_window
        )
        for shift in (0, step)
    ]
    inner = slice(lattice.stride_px, side - lattice.stride_px)
    moved = slice(lattice.stride_px - step, side - lattice.stride_px - step)
    one, other = answers[0][:, inner, inner], answers[1][:, moved, moved]
    return float(np.mean(one.argmax(axis=0) == other.argmax(axis=0)))


def log_blending(
    lattice: Lattice, runtime: Runtime, scores: NDArray[Any], log: Callable[[str], None]
) -> None:
    """Log that windows are blended, and how much their position matters.

    Args:
        lattice: windows of the raster.
        runtime: the network.
        scores: z-scores (bands, rows, cols) of a sample.
        log: receives the line.
    """
    kept = origin_dependence(lattice, runtime, scores)
    place = (
        "" if kept is None else f" On a sample, {kept:.1%} of the pixels keep their class with windows moved."
    )
    log(
        f"This network's answer depends on its window: windows of {lattice.window_px} px overlap by "
        f"{lattice.overlap:.0%} and are blended.{place}"
    )
