"""How large the blocks of a split should be, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from ...contract import IGNORE, Grid
from ...raster.geodesy import pixel_size_m
from ...raster.grid import Window
from ...stacking.reader import StackReader
from .block_size import stack_variogram

TILES_PER_BLOCK = 4
OBJECTS_PER_BLOCK = 4
STRIPS, STRIP_ROWS = 8, 64


@dataclass(frozen=True)
class Scale:
    """What the data say about distance.

    Attributes:
        range_px: distance up to which the bands' values are alike, by their variogram; 0 where none shows.
        open_ended: they still are at the longest distance that was looked at, which `range_px` then is.
        object_px: typical breadth of an object of the labels; 0 where there is none.
    """

    range_px: float = 0.0
    open_ended: bool = False
    object_px: float = 0.0


def measure_scale(reader: StackReader, labels: Path, background: bool, seed: int) -> Scale:
    """Range of the variogram of a stack, and breadth of the objects in its labels.

    Blocks smaller than the range leave training ground next to test ground that looks the same (Roberts et al.
    2017, Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure).
    """
    found = stack_variogram(reader, seed)
    return Scale(found.range_px, found.open_ended, object_breadth(labels, background))


def object_breadth(labels: Path, background: bool) -> float:
    """Diameter in pixels of a disc with the mean chord of the labelled objects; 0 where rows meet none.

    The mean chord of a disc is π/4 of its diameter. Rows of eight strips are looked at.
    """
    first = 1 if background else 0
    pixels = runs = 0
    with rasterio.open(labels) as raster:
        for row in np.unique(np.linspace(0, max(raster.height - STRIP_ROWS, 0), STRIPS).astype(int)):
            strip = Window(int(row), 0, min(STRIP_ROWS, raster.height), raster.width)
            ids = raster.read(1, window=strip.rasterio)
            inside = (ids >= first) & (ids != IGNORE)
            begins = inside.copy()
            begins[:, 1:] &= ids[:, 1:] != ids[:, :-1]
            pixels, runs = pixels + int(inside.sum()), runs + int(begins.sum())
    return pixels / runs * 4 / math.pi if runs else 0.0


def wanted_block(scale: Scale, tile_px: int, grid: Grid) -> int:
    """Side of a block in pixels before the number of blocks is looked at: whole tiles, at least four."""
    if scale.range_px:
        wanted = scale.range_px
    elif scale.object_px:
        wanted = OBJECTS_PER_BLOCK * scale.object_px
    else:
        wanted = max(grid.width, grid.height) / 10
    return max(TILES_PER_BLOCK, math.ceil(wanted / tile_px)) * tile_px


def block_reason(scale: Scale, block_px: int, wanted_px: int, grid: Grid) -> str:
    """Why blocks have their side, in words that follow a colon."""
    if scale.range_px:
        far = "at least to" if scale.open_ended else "up to about"
        why = f"the bands' values are alike {far} {_ground(scale.range_px, grid)}"
        enough = block_px >= scale.range_px
    elif scale.object_px:
        why = f"objects are about {_ground(scale.object_px, grid)} across, and the bands show no range of their own"
        enough = block_px >= OBJECTS_PER_BLOCK * scale.object_px
    else:
        why, enough = "four tiles or a tenth of the raster", block_px >= wanted_px
    if enough:
        return why
    return f"{why}, but larger blocks would be too few to give every split its share of every class"


def _ground(length_px: float, grid: Grid) -> str:
    width, height = pixel_size_m(grid, grid.height / 2, grid.width / 2)
    metres = length_px * math.sqrt(width * height)
    rounded = float(f"{metres:.2g}")
    return (
        f"{rounded:,.0f} m ({length_px:.0f} px)" if rounded >= 10 else f"{rounded:g} m ({length_px:.0f} px)"
    )
