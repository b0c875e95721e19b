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
    StackJob,
    SummarizeJob,
)
from .composition import Composition, composed
from .inputs import RasterInput
from .submission import Submission

STACK, LABELS = "stack.tif", "labels.tif"
FINDINGS = "findings.gpkg"

Bands = Iterable[RasterInput] | Composition
"""Rasters with what is ticked of them, or everything that a stack is made of."""


def job_folder(dataset_folder: Path, kind: str) -> Path:
    """Return where a job of a dataset keeps job.json and its record: `jobs/<kind>/` in the folder of the dataset.

    Args:
        dataset_folder: of the dataset.
        kind: of the job.
    """
    return dataset_folder / "jobs" / kind


def grid_of(parts: Composition, grid: GridRequest | None) -> GridRequest:
    """Return the grid as requested; without a reference with that of the composition, so that the job states it.

    Args:
        parts: sources and bands.
        grid: as requested; None leaves all to the reference.
    """
    grid = grid or GridRequest()
    return grid if grid.reference else dataclasses.replace(grid, reference=parts.reference)


def plan(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
) -> Submission:
    """Return the dry run of a stack: its grid, bands, bytes and problems.

    Args:
        folder: gets the job in `jobs/plan`.
        rasters: with their ticked bands, or a whole composition.
        grid: as requested.
        area: to cover.
        labels: whose area is covered where `area` is a hull of them.
    """
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
    """Return the job that lists what would spoil training.

    Args:
        folder: gets the job in `jobs/check`.
        rasters: with their ticked bands, or a whole composition.
        labels: to check.
        area: in which labels are complete.
        grid: as requested.
        tile_px: side of a tile in pixels.
        findings: GeoPackage for the findings as features; None writes none.
    """
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
    """Return the job that computes statistics of the values of each band.

    Args:
        folder: gets the job in `jobs/summarize`.
        rasters: with their ticked bands, or a whole composition.
        grid: as requested.
    """
    parts = composed(rasters)
    job = SummarizeJob(
        sources=parts.sources,
        bands=parts.bands,
        intermediates=parts.intermediates,
        grid=grid_of(parts, grid),
    )
    return Submission(job, job_folder(folder, "summarize"), "Look at the values")


def inspect(folder: Path, path: str) -> Submission:
    """Return the job that lists what a file offers: variables, dates, masks, layers, fields.

    Args:
        folder: gets the job in `jobs/inspect`.
        path: of the file.
    """
    return Submission(InspectJob(path), job_folder(folder, "inspect"), "Look into the file")


def dataset(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None,
    area: Area | None,
    labels: Labels,
) -> list[Submission]:
    """Return the jobs that stack rasters and rasterize labels: stack.tif and labels.tif in `folder`.

    Args:
        folder: of the dataset.
        rasters: with their ticked bands, or a whole composition.
        grid: as requested.
        area: in which labels are complete.
        labels: polygons, or a raster of classes.
    """
    return [stack(folder, rasters, grid, area, labels), rasterize(folder, labels, area)]


def stack(
    folder: Path,
    rasters: Bands,
    grid: GridRequest | None = None,
    area: Area | None = None,
    labels: Labels | None = None,
    output: Path | None = None,
) -> Submission:
    """Return the job that writes a stack.

    Args:
        folder: gets the job in `jobs/stack`.
        rasters: with their ticked bands, or a whole composition.
        grid: as requested.
        area: to cover.
        labels: whose area is covered where `area` is a hull of them.
        output: GeoTIFF to write; None is stack.tif in `folder`.
    """
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
    """Return the job that rasterizes labels on the grid of a stack.

    Args:
        folder: gets the job in `jobs/rasterize`.
        labels: polygons, or a raster of classes.
        area: in which labels are complete.
        stack_path: whose grid is used; None is stack.tif in `folder`.
        output: GeoTIFF to write; None is labels.tif in `folder`.
    """
    target = str(output or folder / LABELS)
    job = RasterizeJob(str(stack_path or folder / STACK), labels, area or Area(), target)
    return Submission(job, job_folder(folder, "rasterize"), "Rasterize labels")
