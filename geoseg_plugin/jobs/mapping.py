"""From layers and labels to a map that is kept up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..contract import Area, GridRequest, Labels, MapJob
from .composition import composed
from .prepare import Bands, grid_of
from .submission import Submission

MAP_FILES = {
    "output": "classes.tif",
    "confidence": "confidence.tif",
    "margin": "margin.tif",
    "entropy": "entropy.tif",
    "disagreement": "disagreement.tif",
    "beyond": "beyond.tif",
    "probability": "probability.tif",
    "polygons": "polygons.gpkg",
}
"""Field of a prediction -> name of its file in the folder of the map."""


def update_map(
    folder: Path,
    rasters: Bands,
    labels: Labels,
    area: Area | None = None,
    grid: GridRequest | None = None,
    **settings: Any,
) -> Submission:
    """Return the job that makes a map, or brings it up to date.

    Args:
        folder: of the map; the same folder again updates it.
        rasters: with their ticked bands, or a whole composition.
        labels: polygons, or a raster of classes.
        area: in which labels are complete.
        grid: as requested.
        settings: further fields of MapJob.
    """
    parts = composed(rasters)
    job = MapJob(
        parts.sources,
        labels,
        bands=parts.bands,
        intermediates=parts.intermediates,
        grid=grid_of(parts, grid),
        area=area or Area(),
        **settings,
    )
    return Submission(job, folder, "Map from layers")
