"""Suspicious labels that are better ignored: along borders between classes, and in small patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ...contract import IGNORE, Grid
from ...raster.components import label_components
from ...raster.grid import Window

FIRST_HALO_PX = 64


def border_halo_px(border_px: int) -> int:
    """Return the padding that a window needs for its border band: half the band, rounded up."""
    return (border_px + 1) // 2


def along_borders(ids: NDArray[np.uint8], border_px: int) -> NDArray[np.bool_]:
    """Return which pixels are in the band along borders between classes.

    A pixel is in it if a pixel of another class is at most `border_halo_px(border_px)` rows and columns away
    (chessboard distance), so the band takes the same width on both sides of the border. IGNORE is no class.

    Args:
        ids: class ids (rows, cols), IGNORE where there is none.
        border_px: width of the band; odd widths are rounded up to even ones.

    Returns:
        Boolean (rows, cols); false where `ids` is IGNORE.
    """
    size = 2 * border_halo_px(border_px) + 1
    low, high = ids, ids + np.uint8(1)  # IGNORE is above every class in one, and 0 in the other
    for axis in (0, 1):
        low = minimum_filter1d(low, size, axis, mode="nearest")
        high = maximum_filter1d(high, size, axis, mode="nearest")
    return (ids != IGNORE) & ((low != ids) | (high - np.uint8(1) != ids))


def small_patches(
    burn: Callable[[Window], NDArray[np.uint8]], window: Window, grid: Grid, min_area_px: int, fill: int
) -> NDArray[np.bool_]:
    """Return which pixels of a window belong to a patch of one class (4-connected) below a minimum area.

    Patches are followed beyond the window as far as needed, never beyond the grid, so the result does not depend on
    the window. A patch below `min_area_px` reaches fewer pixels than that from any of its pixels.

    Args:
        burn: gives class ids, uint8 (rows, cols), of a window inside the grid.
        window: inside the grid.
        grid: where patches end.
        min_area_px: patches of fewer pixels are small.
        fill: id of unlabelled pixels, which form no patches.

    Returns:
        Boolean (rows, cols).
    """
    halo_px = min(FIRST_HALO_PX, min_area_px)
    while True:
        wide = window.padded(halo_px).clipped(grid.height, grid.width)
        ids = burn(wide)
        patches, count = label_components(ids, (ids != IGNORE) & (ids != fill))
        core = patches[window.within(wide)]
        area = np.bincount(patches[patches >= 0], minlength=count)
        small = np.append(area < min_area_px, False)
        if (
            halo_px >= min_area_px
            or not (small & _cut_off(patches, wide, grid, count) & _present(core, count)).any()
        ):
            return small[core]
        halo_px = min(2 * halo_px, min_area_px)


def _cut_off(patches: NDArray[np.int32], wide: Window, grid: Grid, count: int) -> NDArray[np.bool_]:
    """Boolean (count + 1,): patches that touch a side of the window which is not a side of the grid."""
    sides = []
    if wide.row > 0:
        sides.append(patches[0])
    if wide.row + wide.height < grid.height:
        sides.append(patches[-1])
    if wide.col > 0:
        sides.append(patches[:, 0])
    if wide.col + wide.width < grid.width:
        sides.append(patches[:, -1])
    return _present(np.concatenate(sides), count) if sides else np.zeros(count + 1, bool)


def _present(patches: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    found = np.zeros(count + 1, bool)
    found[patches.ravel()] = True
    found[count] = False
    return found
