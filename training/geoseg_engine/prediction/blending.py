"""Prediction with networks that no cut leaves exact: overlapping windows, blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import GeoSegError
from ..modelfile.reading import ModelFile, is_third_party
from ..raster.grid import Window, up_to
from ..raster.window_blending import MIN_WINDOW_PX, Lattice, blend
from .runtimes.runtime import Runtime
from .windows import Cut, Frame, cores


def lattice_for(model: ModelFile, frame: Frame) -> Lattice:
    """Windows as large as the crops that the model was trained on: statistics over a window are those it knows.

    Those of a foreign model are as large and overlap as its file says, and may begin anywhere.
    """
    if is_third_party(model):
        size, said = (frame.full.height, frame.full.width), model.architecture
        return Lattice(*size, model.tile_px, 1, said["margin_px"], said["overlap"])
    window_px = up_to(max(model.tile_px, MIN_WINDOW_PX), frame.align_px)
    return Lattice(frame.full.height, frame.full.width, window_px, frame.align_px)


def blended_cuts(lattice: Lattice, frame: Frame, core_px: int, inside: Window | None = None) -> Iterator[Cut]:
    """Cover the raster, or a part of it, once with cores; each reads all windows that count in it."""
    for core in cores(frame, core_px, inside):
        yield Cut(core, lattice.around(core))


def blended(lattice: Lattice, runtime: Runtime, cut: Cut, scores: NDArray[Any]) -> NDArray[Any]:
    """Output q (classes, rows, cols) over a cut's core.

    Raises:
        GeoSegError: `out_of_memory` if one window does not fit: a smaller one would give another answer.
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
    """Share of a sample's pixels that keep their class where the windows lie a quarter of a window further on.

    Args:
        lattice: of the raster.
        runtime: of the network.
        scores: z-scores (bands, rows, cols) of the sample.

    Returns:
        None where the sample is too small to tell.
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


def tell(lattice: Lattice, runtime: Runtime, scores: NDArray[Any], log: Callable[[str], None]) -> None:
    """Say that windows are blended, and how much their place matters."""
    kept = origin_dependence(lattice, runtime, scores)
    place = (
        "" if kept is None else f" On a sample, {kept:.1%} of the pixels keep their class with windows moved."
    )
    log(
        f"This network's answer depends on its window: windows of {lattice.window_px} px overlap by "
        f"{lattice.overlap:.0%} and are blended.{place}"
    )
