"""From rasters and polygons to a stack and a label raster."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from ..contract import (
    Area,
    CheckJob,
    GridRequest,
    InspectJob,
    Labels,
    RasterizeJob,
    Source,
    StackJob,
    SummarizeJob,
    TerrainJob,
)
from .composition import Composition, composed
from .inputs import RasterInput
from .submission import Submission

STACK, LABELS = "stack.tif", "labels.tif"
FINDINGS = "findings.gpkg"

Bands = Iterable[RasterInput] | Composition
"""Rasters with what is ticked of them, or everything that a stack is made of."""


def job_folder(dataset_folder: Path, kind: str) -> Path:
    """Where a job of a dataset keeps job.json and its record: `jobs/<kind>/` in the dataset's folder."""
    return dataset_folder / "jobs" / kind


def grid_of(parts: Composition, grid: GridRequest | None) -> GridRequest:
    """The grid as asked for; without a reference that of the composition, written down, so that the job says it."""
    grid = grid or GridRequest()
    return grid if grid.reference else dataclasses.replace(grid, reference=parts.reference)


def plan(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
) -> Submission:
    """Say what stack would result (grid, bands, bytes, problems) without writing it."""
    parts = composed(rasters)
    job = StackJob(
        parts.sources,
        parts.bands,
        grid_of(parts, grid),
        area or Area(),
        labels,
        dry_run=True,
        intermediates=parts.intermediates,
    )
    return Submission(job, job_folder(folder, "plan"), "Plan the stack")


def check(
    folder: Path,
    rasters: Bands,
    labels: Labels,
    area: Area | None = None,
    grid: GridRequest | None = None,
    tile_px: int = 64,
    findings: Path | None = None,
) -> Submission:
    """List what would spoil training; with `findings` also as features of a GeoPackage."""
    parts = composed(rasters)
    job = CheckJob(
        parts.sources,
        labels,
        parts.bands,
        area or Area(),
        grid_of(parts, grid),
        tile_px,
        findings=str(findings or ""),
        intermediates=parts.intermediates,
    )
    return Submission(job, job_folder(folder, "check"), "Check labels and rasters")


def summarize(folder: Path, rasters: Bands, grid: GridRequest | None = None) -> Submission:
    """Distribution of the values of every band."""
    parts = composed(rasters)
    job = SummarizeJob(
        sources=parts.sources,
        bands=parts.bands,
        intermediates=parts.intermediates,
        grid=grid_of(parts, grid),
    )
    return Submission(job, job_folder(folder, "summarize"), "Look at the values")


def inspect(folder: Path, path: str) -> Submission:
    """What a file offers: variables, dates, masks, layers, fields."""
    return Submission(InspectJob(path), job_folder(folder, "inspect"), "Look into the file")


def dataset(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None,
    area: Area | None,
    labels: Labels,
) -> list[Submission]:
    """Stack the rasters and burn the labels: stack.tif and labels.tif in `folder`."""
    return [stack(folder, rasters, grid, area, labels), rasterize(folder, labels, area)]


def stack(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
    output: Path | None = None,
) -> Submission:
    """Write the stack to `output`; without it to stack.tif in `folder`."""
    parts = composed(rasters)
    job = StackJob(
        parts.sources,
        parts.bands,
        grid_of(parts, grid),
        area or Area(),
        labels,
        str(output or folder / STACK),
        intermediates=parts.intermediates,
    )
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
