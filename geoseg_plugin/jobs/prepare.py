"""From rasters and polygons to a stack and a label raster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..contract import Area, CheckJob, GridRequest, Labels, RasterizeJob, Source, StackJob, TerrainJob
from .inputs import RasterInput, sources_and_bands
from .submission import Submission

STACK, LABELS = "stack.tif", "labels.tif"


def job_folder(dataset_folder: Path, kind: str) -> Path:
    """Where a job of a dataset keeps job.json and its record: `jobs/<kind>/` in the dataset's folder."""
    return dataset_folder / "jobs" / kind


def plan(
    folder: Path,
    rasters: Iterable[RasterInput],
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
) -> Submission:
    """Say what stack would result (grid, bands, bytes, problems) without writing it."""
    sources, bands = sources_and_bands(rasters)
    job = StackJob(sources, bands, grid or GridRequest(), area or Area(), labels, dry_run=True)
    return Submission(job, job_folder(folder, "plan"), "Plan the stack")


def check(
    folder: Path,
    rasters: Iterable[RasterInput],
    labels: Labels,
    area: Area | None = None,
    grid: GridRequest | None = None,
    tile_px: int = 64,
) -> Submission:
    """List what would spoil training."""
    sources, bands = sources_and_bands(rasters)
    job = CheckJob(sources, labels, bands, area or Area(), grid or GridRequest(), tile_px)
    return Submission(job, job_folder(folder, "check"), "Check labels and rasters")


def dataset(
    folder: Path,
    rasters: Iterable[RasterInput],
    grid: GridRequest | None,
    area: Area | None,
    labels: Labels,
) -> list[Submission]:
    """Stack the rasters and burn the labels: stack.tif and labels.tif in `folder`."""
    return [stack(folder, rasters, grid, area, labels), rasterize(folder, labels, area)]


def stack(
    folder: Path,
    rasters: Iterable[RasterInput],
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
    output: Path | None = None,
) -> Submission:
    """Write the stack to `output`; without it to stack.tif in `folder`."""
    sources, bands = sources_and_bands(rasters)
    target = str(output or folder / STACK)
    job = StackJob(sources, bands, grid or GridRequest(), area or Area(), labels, target)
    return Submission(job, job_folder(folder, "stack"), "Stack rasters")


def rasterize(
    folder: Path,
    labels: Labels,
    area: Area | None = None,
    stack_path: Path | None = None,
    output: Path | None = None,
) -> Submission:
    """Burn the labels onto the grid of a stack; without paths those of `folder`."""
    target = str(output or folder / LABELS)
    job = RasterizeJob(str(stack_path or folder / STACK), labels, area or Area(), target)
    return Submission(job, job_folder(folder, "rasterize"), "Rasterize labels")


def terrain(folder: Path, dem: Source, attributes: tuple[str, ...], output: Path) -> Submission:
    """Write terrain attributes of a DEM to `output`."""
    job = TerrainJob(dem, attributes, str(output))
    return Submission(job, job_folder(folder, "terrain"), "Terrain attributes")
