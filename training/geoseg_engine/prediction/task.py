"""A prediction that is ready to run: what is predicted from what, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from ..channel import Channel
from ..contract import Grid, PredictJob, Recipe
from ..modelfile.reading import ModelFile
from ..raster.grid import Window, full_window, grid_bounds, subgrid
from ..vector.area import area_geometry
from ..vector.scan_fill import ScanFill
from .result_layers import Layer


@dataclass(frozen=True)
class PredictionTask:
    """The inputs of one prediction, matched and checked.

    Attributes:
        job: the request.
        folder: folder that the paths of the job are relative to.
        model: the model file.
        recipe: bands of the model on a grid that covers the layers.
        window: part of that grid that is mapped; the network sees the pixels around it too.
        area: outside it nothing is predicted; None is no limit.
        layers: results that are kept for every pixel.
    """

    job: PredictJob
    folder: Path
    model: ModelFile
    recipe: Recipe
    window: Window
    area: ScanFill | None
    layers: tuple[Layer, ...]

    @property
    def grid(self) -> Grid:
        """Grid of the result."""
        return subgrid(self.recipe.grid, self.window)


def area_of(job: PredictJob, grid: Grid, window: Window, channel: Channel) -> ScanFill | None:
    """Return the area to predict, ready to be rasterised window by window.

    Args:
        job: the prediction.
        grid: grid of the recipe.
        window: part of the grid that is mapped.
        channel: problems of the area's layer are logged as warnings.

    Returns:
        The area inside the window; None if nothing limits the prediction.

    Raises:
        GeoSegError: as `area_geometry`.
    """
    geometry, problems = (
        (None, ()) if job.area is None else area_geometry(job.area, np.empty(0, object), grid)
    )
    for problem in problems:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    if window != full_window(grid):
        mapped = shapely.box(*grid_bounds(grid, window))
        geometry = mapped if geometry is None else shapely.intersection(geometry, mapped)
    if geometry is None:
        return None
    parts = shapely.get_parts(np.array([geometry], object))
    polygons = parts[shapely.get_dimensions(parts) == 2]
    return ScanFill(polygons, grid)
