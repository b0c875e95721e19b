"""Whether every pixel of a stack is sure to have a value, so that none needs to be read to know."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...contract import Band, Grid, Source
from ...raster.grid import whole
from ...raster.nodata import no_values
from ...raster.resample import mapping
from ...raster.sources import open_source, source_grid
from ...stacking.reader import StackReader
from ...stacking.recipes import SUFFIX, recipe_path


def always_valid(reader: StackReader, stack: Path) -> bool:
    """True only if it is certain; a written composite is not, because it holds NaN where there is no value."""
    composite = stack.with_suffix("").with_suffix(".tif") if stack.name.endswith(SUFFIX) else stack
    if composite.exists() and recipe_path(stack).exists():
        return False
    recipe = reader.recipe
    bands = (*recipe.bands, *recipe.intermediates)
    if any(band.derive for band in bands):
        return False
    used = [source for source in recipe.sources if any(band.source == source.key for band in bands)]
    return all(_complete(source, bands, recipe.grid) for source in used)


def _complete(source: Source, bands: tuple[Band, ...], grid: Grid) -> bool:
    """Whether a source is one raster of whole numbers without nodata or mask that holds all pixels of the grid."""
    if source.kind != "raster" or source.paths or source.nodata is not None:
        return False
    with open_source(source) as dataset:
        indexes = {band.index for band in bands if band.source == source.key}
        for index in indexes:
            whole_numbers = np.dtype(dataset.dtypes[index - 1]).kind in "iu"
            if not whole_numbers or not no_values(dataset)[index - 1].complete:
                return False
        own = source_grid(source, dataset)
        shift = mapping(grid, own).shift
    if shift is None:
        return False
    ground = whole(grid)
    return (
        shift[0] >= 0
        and shift[1] >= 0
        and shift[0] + ground.height <= own.height
        and shift[1] + ground.width <= own.width
    )
