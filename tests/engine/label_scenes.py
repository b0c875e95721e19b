"""A raster to burn labels into, and what comes of it."""

import numpy as np
from data_scenes import channel, hills, one_band_each, sources_of, write_raster

from geoseg_engine.contract import Area, Labels, RasterizeJob, StackJob
from geoseg_engine.dataset.datasets import read_ids
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.stacking import stack


def write_stack(folder):
    """A stack of 60 rows and 80 columns at 10 m, as recipe only."""
    sources = sources_of(write_raster(folder / "a.tif", hills(60, 80)))
    job = StackJob(sources, one_band_each(sources), output="stack.recipe.json")
    stack.run(job, folder, channel(folder))
    return folder


def burn(folder, source: Labels, area: Area = Area()) -> tuple[np.ndarray, dict]:  # noqa: B008
    result = labels.run(RasterizeJob("stack.recipe.json", source, area), folder, channel(folder))
    return read_ids(folder / "labels.tif"), result


def codes(result: dict) -> list[str]:
    return [item["code"] for item in result["warnings"]]
