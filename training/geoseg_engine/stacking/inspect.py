"""The job `inspect`: what a file offers as a source, so that its bands can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bands.sources.registry import KINDS
from ..channel import Channel
from ..contract import GeoSegError, InspectJob
from ..raster.sources import is_plain_file

OFFERS = ("bands", "subdatasets", "layers")
"""Parts of the result of which a source has at least one."""


def run(job: InspectJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Return what a path offers; the first kind of source that it turns out to be decides.

    Args:
        job: names the path, relative to `folder` unless it is a GDAL dataset name.
        folder: of the job.
        channel: not used.

    Returns:
        `kind` is `raster`, `series` (dates were found), `vector` or `container` (rasters inside, to be chosen from
        `subdatasets`); `bands`, `variables` of NetCDF, `dates` ISO in the file's order, `remarks` on dates that are
        ambiguous or missing, `masks` that `Series.mask` can name with their values, vector `layers` with fields,
        `crs`, `size` (width, height).

    Raises:
        GeoSegError: `file_missing`, `cannot_open`.
    """
    path = job.path
    if is_plain_file(path):
        path = str(folder / path)
        if not Path(path).exists():
            raise GeoSegError(
                "file_missing",
                f"The file does not exist: {path}",
                "Was it moved or deleted? Choose it again.",
            )
    found: dict[str, Any] = {
        "kind": "vector",
        **{
            part: []
            for part in ("bands", "variables", "dates", "remarks", "masks", "layers", "subdatasets", "size")
        },
        "crs": "",
    }
    reasons = []
    for kind in KINDS.values():
        reason = kind.inspect(path, found)
        if any(found[part] for part in OFFERS):
            return found
        if reason is not None:
            reasons.append(reason)
    if all(reasons):
        raise GeoSegError(
            "cannot_open",
            f"{Path(path).name} is neither a raster nor a vector file that the engine can open.",
            "Export the layer in QGIS (Export > Save As) and use that.",
            reasons[0],
        )
    return found
