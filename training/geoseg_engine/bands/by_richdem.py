"""Terrain attributes by RichDEM, where it is installed and its single cell size is right."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from ..contract import Grid
from ..raster.geodesy import plane_of
from ..raster.grid import affine_of
from .pixel_steps import is_plane, unit_m

RICHDEM_NAMES = {
    "slope": "slope_degrees",
    "aspect_sin": "aspect",
    "aspect_cos": "aspect",
    "curvature": "curvature",
    "profile_curvature": "profile_curvature",
    "planform_curvature": "planform_curvature",
}
VOID = -9999.0
_SILENCE = threading.Lock()


@cache
def richdem_is_installed() -> bool:
    """Return whether RichDEM can be imported."""
    if importlib.util.find_spec("richdem") is None:
        return False
    try:
        importlib.import_module("richdem")
    except ImportError:
        return False
    return True


def fits_richdem(grid: Grid) -> bool:
    """Return whether RichDEM is installed and right for a grid: north-up, square pixels, one scale.

    Elsewhere (degrees, Mercator, polar grids, oblong or rotated pixels, axes to the west or south) it would use a
    wrong cell size or direction, and the same formulae are computed by `relief`.
    """
    affine = affine_of(grid)
    square = affine.b == 0 == affine.d and math.isclose(affine.a, -affine.e, rel_tol=1e-6)
    return square and is_plane(grid) and plane_of(grid).axes == ((1, 0), (0, 1)) and richdem_is_installed()


def richdem_attributes(heights_m: np.ndarray, grid: Grid, names: tuple[str, ...]) -> np.ndarray:
    """Compute attributes of a north-up grid of square pixels.

    Args:
        heights_m: (rows + 2, cols + 2), NaN for voids, edges extrapolated.
        grid: the DEM's.
        names: keys of RICHDEM_NAMES.

    Returns:
        Float64 (names, rows, cols), units as in `relief`; values of voids have no meaning.
    """
    richdem = importlib.import_module("richdem")
    cell_m = affine_of(grid).a * unit_m(grid)
    raster = richdem.rdarray(np.where(np.isnan(heights_m), VOID, heights_m.astype(np.float64)), no_data=VOID)
    raster.geotransform = (0.0, cell_m, 0.0, 0.0, 0.0, -cell_m)

    @cache
    def attribute(name: str) -> np.ndarray:
        with _silent():
            found = richdem.TerrainAttribute(raster, attrib=name)
        return np.asarray(found, np.float64)[1:-1, 1:-1]

    def values_of(name: str) -> np.ndarray:
        found = attribute(RICHDEM_NAMES[name])
        if not name.startswith("aspect"):
            return found
        angle = np.radians(found)
        part = np.sin(angle) if name == "aspect_sin" else np.cos(angle)
        return np.where(attribute("slope_degrees") > 0, part, 0.0)

    return np.stack([values_of(name) for name in names])


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the output of native code: RichDEM prints 10 kB of progress bars per call."""
    with _SILENCE, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
