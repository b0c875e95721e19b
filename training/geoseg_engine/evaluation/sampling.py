"""The job `samplepoints`: a stratified random sample of a map's pixels, for people to look at.

The pixels of each class are counted first, row by row; numbers of pixels are drawn from 0 to that count, and then only
rows that hold a drawn one are read again. So no raster is held, and the sample does not depend on how it is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import GeoSegError, LabelClass, Problem, SampleJob, counted, encode
from ..outputs import whole_file
from ..raster.grid import Window, affine_of
from ..vector.files import gdal_name
from ..vector.geopackage import write_layer
from .allocation import Counts, allocate, class_errors, expected_error, points_needed
from .classmap import ClassAreas, ClassMap, class_map, map_areas
from .estimation import half_widths

LAYER, REFERENCE = "sample", "reference"
MAX_POINTS, PROGRESS_ROWS = 1_000_000, 64
SMALL_MAP_SHARE = 0.01
"""Share of the pixels from which on a sample is large for its map."""

Z95 = half_widths(0.95)


@dataclass(frozen=True)
class Design:
    """How many points each class of a map gets; arrays hold the classes that have pixels.

    Attributes:
        places: index of each among the map's classes.
        weights: share of the mapped area.
        expected: user's accuracy, as expected.
        pixels, points: of each.
        requested: points in all, before rare classes and small ones changed the number.
    """

    places: Counts
    weights: NDArray[np.float64]
    expected: NDArray[np.float64]
    pixels: Counts
    points: Counts
    requested: int

    @property
    def error(self) -> float:
        """Expected standard error of the overall accuracy."""
        return expected_error(self.weights, self.expected, self.points, self.pixels)


def run(job: SampleJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Create the sample as points at pixel centres; a dry run only returns their numbers.

    Args:
        job: the sample.
        folder: folder of the job.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `judged_sample`, `empty_map`, `unknown_expected`, `too_many_points`; as `class_map`.
    """
    output = folder / job.output
    if not job.dry_run:
        check_no_references(output)
    with class_map(folder / job.classes) as found:
        held = map_areas(found, channel, "count")
        design = sample_design(job, found, held)
        result = summary(job, found, held, design)
        if job.dry_run:
            return result
        channel.log(result.pop("sentence"))
        points = np.zeros(len(held.pixels), np.int64)
        points[design.places] = design.points
        rows, cols = draw_pixels(found, held, points, job.seed, channel)
    frame = as_points(found, points, held, rows, cols, job.seed)
    with whole_file(output) as partial:
        write_layer(frame, partial, LAYER, geometry_type="Point")
    channel.artifact("sample", output.resolve())
    return {"output": str(output), **result}


def sample_design(job: SampleJob, found: ClassMap, held: ClassAreas) -> Design:
    """Return the number of points for the classes of a map.

    Args:
        job: the sample.
        found: the map.
        held: pixels and area of its classes.

    Raises:
        GeoSegError: `empty_map`, `unknown_expected`, `too_many_points`.
    """
    if not held.pixels.any():
        raise GeoSegError("empty_map", f"No pixel of '{found.name}' has a class.", "Choose another raster.")
    kept = np.flatnonzero(held.pixels)
    weights = held.area_m2[kept] / held.area_m2.sum()
    expected = expectations(job, found.classes)[kept]
    requested, points = sample_sizes(job, weights, expected, held.pixels[kept])
    return Design(kept, weights, expected, held.pixels[kept], points, requested)


def summary(job: SampleJob, found: ClassMap, held: ClassAreas, design: Design) -> dict[str, Any]:
    """Return the entries of the result about a design: numbers, expected intervals, warnings.

    Args:
        job: the sample.
        found: the map.
        held: pixels and area of its classes.
        design: points per class.
    """
    points = np.zeros(len(held.pixels), np.int64)
    points[design.places] = design.points
    errors = class_errors(design.expected, design.points, design.pixels)
    warnings = [
        *small_class_warnings(found.classes, held, points),
        *small_map_warning(design),
        *reduced_warning(job, design.requested, len(design.places)),
    ]
    rows = [
        {
            "id": found.classes[place].id,
            "name": found.classes[place].name,
            "weight": round(float(weight), 8),
            "points": int(count),
            "expected": float(share),
            "half_width": round(Z95 * float(error), 6),
        }
        for place, weight, count, share, error in zip(
            design.places.tolist(), design.weights, design.points, design.expected, errors, strict=True
        )
    ]
    return {
        "count": int(design.points.sum()),
        "standard_error": round(design.error, 6),
        "half_width": round(Z95 * design.error, 6),
        "pixels": int(design.pixels.sum()),
        "sentence": sentence(design, rows),
        "rows": rows,
        "warnings": encode(warnings),
    }


def sentence(design: Design, rows: Sequence[dict[str, Any]]) -> str:
    """Return a sentence with the number of points and the expected intervals.

    Args:
        design: points per class.
        rows: rows of the result, one per class.
    """
    worst = max(rows, key=lambda row: row["half_width"])
    right = float(design.weights @ design.expected)
    points, error = counted(int(design.points.sum()), "point"), Z95 * design.error
    text = f"{points}: overall accuracy to ± {error:.1%} (95 % interval), if {right:.0%} of the map is right"
    if len(rows) > 1:
        few = counted(worst["points"], "point")
        text += f"; accuracy of class '{worst['name']}' ({few}) to ± {worst['half_width']:.0%}"
    return f"{text}."


def check_no_references(output: Path) -> None:
    """Check that a new sample does not replace one in which reference classes are already set.

    Raises:
        GeoSegError: `judged_sample`.
    """
    if not output.is_file():
        return
    try:
        old = pyogrio.read_dataframe(
            gdal_name(str(output)), layer=LAYER, columns=[REFERENCE], read_geometry=False
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return
    referenced = int(old[REFERENCE].notna().sum()) if REFERENCE in old else 0
    if referenced:
        raise GeoSegError(
            "judged_sample",
            f"{output} is a sample whose reference class is already set for {referenced} points.",
            "Choose another name for the new sample, or delete that file first.",
        )


def expectations(job: SampleJob, classes: Sequence[LabelClass]) -> NDArray[np.float64]:
    """Return the expected user's accuracy (K,) of each class, 0 to 1.

    Args:
        job: the sample.
        classes: classes of the map.

    Raises:
        GeoSegError: `unknown_expected`.
    """
    given = {name.strip().casefold(): value for name, value in job.expected.items()}
    names = [item.name.strip().casefold() for item in classes]
    strange = [name for name in job.expected if name.strip().casefold() not in names]
    if strange:
        raise GeoSegError(
            "unknown_expected",
            f"The expected accuracies name '{', '.join(strange)}', which is no class of the map.",
            f"The classes are: {', '.join(item.name for item in classes)}.",
        )
    return np.array([given.get(name, job.expected_else) for name in names], np.float64)


def sample_sizes(
    job: SampleJob, weights: NDArray[np.float64], expected: NDArray[np.float64], pixels: Counts
) -> tuple[int, Counts]:
    """Return the total number of points, and that of each class: as the job sets it, or as its standard error needs.

    The formula is that of the best allocation; another one needs more points, and the smallest number is searched.

    Args:
        job: the sample.
        weights: (K,) share of the area of each class.
        expected: (K,) expected user's accuracy, 0 to 1.
        pixels: (K,) pixels of each class.

    Raises:
        GeoSegError: `too_many_points`.
    """

    def at(count: int) -> tuple[Counts, float]:
        points = allocate(count, weights, pixels, job.allocation, job.min_points)
        return points, expected_error(weights, expected, points, pixels)

    count = job.count or points_needed(weights, expected, job.standard_error, int(pixels.sum()))
    too_few = count - 1
    while not job.count and count <= MAX_POINTS and (error := at(count)[1]) > job.standard_error:
        too_few, count = count, max(count + 1, math.ceil(count * (error / job.standard_error) ** 2))
    while not job.count and count - too_few > 1:
        middle = (too_few + count) // 2
        if at(middle)[1] > job.standard_error:
            too_few = middle
        else:
            count = middle
    limit = min(job.max_points or MAX_POINTS, MAX_POINTS) if not job.count else MAX_POINTS
    if count > limit:
        raise too_many_points(job, count, limit, at(limit)[1])
    return count, at(count)[0]


def too_many_points(job: SampleJob, count: int, limit: int, error: float) -> GeoSegError:
    """Return the error of a sample above the limit, with the standard error that the limit would give.

    Args:
        job: the sample.
        count: number of points it would need.
        limit: maximum number of points.
        error: standard error with that maximum.
    """
    why = "" if job.count else f"A standard error of {job.standard_error:g} needs {count:,} points. "
    return GeoSegError(
        "too_many_points",
        f"{why or f'{count:,} points are requested. '}The limit is {limit:,}.",
        f"{limit:,} points give a standard error of {error:.2g} (95 % interval ± {Z95 * error:.1%}). Set a larger "
        "standard error or a number of points, or raise the limit.",
    )


def draw_pixels(
    found: ClassMap, held: ClassAreas, points: Counts, seed: int, channel: Channel
) -> tuple[Counts, Counts]:
    """Draw random pixels, class by class, each in the order of the raster.

    Args:
        found: the map.
        held: pixels of its classes, per row.
        points: (K,) points of each class.
        seed: seed of the random numbers.
        channel: for progress and cancelling.

    Returns:
        Rows and columns of the pixels.
    """
    row_of, nth = [], []
    for place, count in enumerate(points.tolist()):
        rng = np.random.default_rng([seed, found.classes[place].id % 2**64])
        numbers = np.sort(rng.choice(held.pixels[place], count, replace=False)) if count else np.empty(0, int)
        ends = np.cumsum(held.rows_px[:, place], dtype=np.int64)
        rows = np.searchsorted(ends, numbers, side="right")
        row_of.append(rows)
        nth.append(numbers - (ends[rows] - held.rows_px[rows, place]))
    rows, inside = np.concatenate(row_of), np.concatenate(nth)
    classes = np.repeat(np.arange(len(points)), points)
    cols = np.zeros(len(rows), np.int64)
    order = np.argsort(rows, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(rows[order])) + 1)
    for done, group in enumerate(groups):
        if done % PROGRESS_ROWS == 0:
            channel.progress("draw", done, len(groups))
        places = found.places(Window(int(rows[group[0]]), 0, 1, found.grid.width))[0]
        for here in group.tolist():
            cols[here] = np.flatnonzero(places == classes[here])[inside[here]]
    return rows, cols


def as_points(
    found: ClassMap, points: Counts, held: ClassAreas, rows: Counts, cols: Counts, seed: int
) -> geopandas.GeoDataFrame:
    """Return the points with their fields, shuffled so that their order does not reveal their class.

    Args:
        found: the map.
        points: (K,) points of each class.
        held: area of its classes.
        rows, cols: pixels, class by class.
        seed: seed of the shuffle.
    """
    place = np.repeat(np.arange(len(points)), points)
    order = np.random.default_rng(seed).permutation(len(place))
    place, rows, cols = place[order], rows[order], cols[order]
    xs, ys = affine_of(found.grid) * (cols + 0.5, rows + 0.5)
    weight = held.area_m2 / held.area_m2.sum() / np.maximum(points, 1)
    names = np.array([item.name for item in found.classes], object)
    return geopandas.GeoDataFrame(
        {
            "point_id": np.arange(1, len(place) + 1),
            "class_id": np.array([item.id for item in found.classes])[place],
            "class_name": names[place],
            "weight": weight[place],
            REFERENCE: np.full(len(place), None, object),
        },
        geometry=geopandas.points_from_xy(xs, ys),
        crs=found.grid.crs,
    )


def small_class_warnings(classes: Sequence[LabelClass], held: ClassAreas, points: Counts) -> list[Problem]:
    """Return warnings of classes without a pixel, or with so few that all of them are in the sample.

    Args:
        classes: classes of the map.
        held: pixels of each.
        points: (K,) points of each.
    """
    problems = []
    for item, pixels, count in zip(classes, held.pixels.tolist(), points.tolist(), strict=True):
        if pixels and count < pixels:
            continue
        what = (
            f"has only {counted(pixels, 'pixel')}: {'all are' if pixels > 1 else 'it is'} in the sample"
            if pixels
            else "has no pixel on the map and gets no point"
        )
        problems.append(Problem("small_class", f"Class '{item.name}' {what}.", "", "warning"))
    return problems


def small_map_warning(design: Design) -> list[Problem]:
    """Return the warning that the sample is a large part of the map."""
    points, pixels = int(design.points.sum()), int(design.pixels.sum())
    if points <= SMALL_MAP_SHARE * pixels:
        return []
    part = "all of them" if points >= pixels else f"1 in {round(pixels / points):,} of them"
    return [
        Problem(
            "small_map",
            f"The map has only {counted(pixels, 'pixel')}; the sample of {counted(points, 'point')} is {part}.",
            "A wider interval needs fewer points: twice as wide, about a quarter.",
            "warning",
        )
    ]


def reduced_warning(job: SampleJob, wanted: int, classes: int) -> list[Problem]:
    """Return the warning that not every class can have the minimum number of points.

    Args:
        job: the sample.
        wanted: total number of points.
        classes: number of classes.
    """
    if job.allocation != "mixed" or job.min_points < 0 or job.min_points * classes <= wanted:
        return []
    return [
        Problem(
            "few_points",
            f"{wanted} points are too few for {job.min_points} per class in {classes} classes. "
            "Each class gets the same number.",
            "Choose more points, or fewer per class.",
            "warning",
        )
    ]
