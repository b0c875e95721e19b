"""Bands that are derived from a pixel and its neighbours, in the raster's own pixels: by name, with their halo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..contract import TERRAIN_DEFAULTS, Band, Grid
from ..raster.grid import Window
from . import position, relief, speckle

Parameters = Mapping[str, float | str]


@dataclass(frozen=True)
class Derivation:
    """Computation of one name, or of a family of names.

    Attributes:
        halo_px: pixels needed around a window, from a band's parameters and the raster's own grid.
        compute: (values, grid, window, bands) -> (bands, rows, cols) of the window; `values` is float64 or float32
            (rows, cols) of `window.padded(halo)`, NaN where invalid and beyond the edge. All bands have
            the same halo.
    """

    halo_px: Callable[[Parameters, Grid], int]
    compute: Callable[[np.ndarray, Grid, Window, tuple[Band, ...]], np.ndarray]


RELIEF = Derivation(lambda parameters, grid: relief.HALO_PX, relief.relief_bands)

DERIVATIONS: dict[str, Derivation] = {
    **dict.fromkeys(relief.ATTRIBUTES, RELIEF),
    **{
        name: Derivation(partial(position.position_halo_px, name), position.position_bands)
        for name in TERRAIN_DEFAULTS
    },
    "lee": Derivation(speckle.lee_halo_px, speckle.lee_bands),
    "decibel": Derivation(speckle.decibel_halo_px, speckle.decibel_bands),
}
"""Value of `Band.derive` -> computation; names that share an entry are computed together."""


def halo_px(bands: tuple[Band, ...], grid: Grid) -> int:
    """Return the pixels around a window that bands need.

    Args:
        bands: each with `derive` and its parameters.
        grid: the raster's own.

    Raises:
        GeoSegError: as `halo_px` of the derivation.
    """
    return max(_halo(band, grid) for band in bands)


def _halo(band: Band, grid: Grid) -> int:
    return DERIVATIONS[band.derive].halo_px(band.parameters, grid)


def derive_bands(values: np.ndarray, grid: Grid, window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Derive bands from one band of a raster.

    Args:
        values: float64, or float32 where that holds them, (rows, cols) of `window.padded(halo_px(bands, grid))`,
            NaN where invalid and beyond the edge.
        grid: the raster's own.
        window: inside the grid.
        bands: each with `derive` and its parameters.

    Returns:
        (bands, rows, cols) of the window, of the values' type.
    """
    result = np.empty((len(bands), window.height, window.width), values.dtype)
    widest = halo_px(bands, grid)
    groups: dict[tuple[int, int], list[int]] = {}
    for place, band in enumerate(bands):
        groups.setdefault((id(DERIVATIONS[band.derive]), _halo(band, grid)), []).append(place)
    for (_, halo), places in groups.items():
        cut = slice(widest - halo, -(widest - halo) or None)
        chosen = tuple(bands[place] for place in places)
        result[places] = DERIVATIONS[chosen[0].derive].compute(values[cut, cut], grid, window, chosen)
    return result
