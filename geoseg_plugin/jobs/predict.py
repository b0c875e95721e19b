"""Classify rasters with a trained model."""

from __future__ import annotations

from pathlib import Path

from ..contract import PolygonizeJob, PredictJob, Source
from .submission import Submission

Extent = tuple[float, float, float, float]


def predict(
    folder: Path,
    model: Path,
    sources: tuple[Source, ...] = (),
    extent: Extent | None = None,
    extent_crs: str = "",
    confidence: bool = True,
    polygons: bool = True,
    entropy: bool = False,
    min_area_px: int = 4,
    device: str = "auto",
) -> Submission:
    """Write classes.tif, and what else is ticked, to `folder`. No sources: those of training."""
    job = PredictJob(
        model=str(model),
        sources=sources,
        extent=extent,
        extent_crs=extent_crs,
        confidence="confidence.tif" if confidence else "",
        entropy="entropy.tif" if entropy else "",
        polygons="polygons.gpkg" if polygons else "",
        min_area_px=min_area_px,
        device=device,
    )
    return Submission(job, folder, f"Predict {folder.name}")


def plan(
    folder: Path,
    model: Path,
    sources: tuple[Source, ...] = (),
    extent: Extent | None = None,
    extent_crs: str = "",
) -> Submission:
    """Say which layer fills which slot of the model and what would be written."""
    job = PredictJob(str(model), sources, extent, extent_crs, dry_run=True)
    return Submission(job, folder / "jobs" / "plan", "Match layers with the model")


def polygonize(
    folder: Path,
    classes: Path,
    confidence: Path | None = None,
    min_area_px: int = 4,
    skip_background: bool = True,
    output: Path | None = None,
) -> Submission:
    """Class raster to polygons; without `output` to polygons.gpkg in `folder`."""
    job = PolygonizeJob(
        classes=str(classes),
        confidence=str(confidence or ""),
        skip_background=skip_background,
        min_area_px=min_area_px,
        output=str(output or folder / "polygons.gpkg"),
    )
    return Submission(job, folder, "Polygonize")
