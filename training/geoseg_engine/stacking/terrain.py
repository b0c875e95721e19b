"""The job `terrain`: attributes of a DEM as a raster of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bands.relief import uses_richdem
from ..channel import Channel
from ..contract import Band, Recipe, TerrainJob
from ..raster.sources import open_source, source_grid, title
from .stack import write_stack


def run(job: TerrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Write the attributes of a DEM as one raster on the DEM's own grid.

    Raises:
        GeoSegError: as `open_source` and `write_stack`.
    """
    with open_source(job.dem) as dataset:
        grid = source_grid(job.dem, dataset)
    bands = tuple(Band(name, job.dem.key, 1, name) for name in job.attributes)
    output = folder / job.output
    write_stack(Recipe((job.dem,), bands, grid), output, channel)
    engine = "richdem" if uses_richdem(grid) else "numpy"
    channel.log(f"Terrain attributes of '{title(job.dem)}' by {engine}.")
    return {"output": str(output), "bands": list(job.attributes), "engine": engine}
