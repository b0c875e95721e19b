"""The job `terrain`: attributes of a DEM as a raster of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bands.neighbourhood import halo_px
from ..bands.relief import ATTRIBUTES, engine_of, light_direction
from ..bands.sources.registry import own_grid
from ..channel import Channel
from ..contract import Band, GeoSegError, Recipe, TerrainJob, encode
from ..raster.sources import title
from ..raster.writer import check_crs_storable
from .file_checks import file_problems
from .heights import height_problems, value_problems, with_units
from .stack import write_stack


def run(job: TerrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Write the attributes of a DEM as one raster on the DEM's own grid.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress, warnings and the artifacts.

    Raises:
        GeoSegError: as `open_source` and `write_stack`; `bad_parameter`, `radius`, `no_richdem`, `no_grid`,
            `crs_not_kept`.
    """
    bands = with_units(
        tuple(Band(name, job.dem.key, 1, name, parameters=job.parameters) for name in job.attributes),
        (job.dem,),
    )
    grid = own_grid(job.dem, bands)
    if grid is None:
        raise GeoSegError(
            "no_grid",
            f"Layer '{title(job.dem)}' has no pixels.",
            "Choose a raster of heights as elevation model.",
        )
    halo_px(bands, grid)  # this and the next check parameters before anything is written
    light_direction(job.parameters)
    engines = {band.name: engine_of(band, grid) if band.derive in ATTRIBUTES else "numpy" for band in bands}
    check_crs_storable(grid.crs)
    output, recipe = folder / job.output, Recipe((job.dem,), bands, grid)
    warnings = [*file_problems(recipe), *height_problems(recipe), *value_problems(recipe)]
    for problem in warnings:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    write_stack(recipe, output, channel)
    engine = "richdem" if "richdem" in engines.values() else "numpy"
    by = "; ".join(
        f"{name}: {', '.join(band for band, used in engines.items() if used == name)}"
        for name in dict.fromkeys(engines.values())
    )
    channel.log(f"Terrain attributes of '{title(job.dem)}' by {by}.")
    return {
        "output": str(output),
        "bands": list(job.attributes),
        "engine": engine,
        "engines": engines,
        "warnings": encode(warnings),
    }
