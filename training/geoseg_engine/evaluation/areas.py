"""The job `areas`: the area of each class of a map; with a reference sample, an unbiased estimate of the true area.

Counted pixels include every mistake of the map. A sample with true classes gives the true area with its interval (see
`estimation`).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..channel import Channel
from ..contract import AreasJob, GeoSegError, LabelClass, Problem, encode
from ..outputs import prepare_folder, whole_file
from ..raster.crs import check_unit_known
from ..raster.sources import parse_crs
from ..report.bar_charts import area_chart
from .classmap import ClassAreas, ClassMap, class_map, map_areas
from .estimation import Estimates, estimates, half_widths
from .reference_points import ReferencePoints, read_points

TABLE_FILE, CHART_FILE, JSON_FILE = "areas.csv", "areas.svg", "areas.json"
MIN_POINTS = 2
OTHER_COLOR = "#999999"
"""Of true classes that the map does not have."""


@dataclass(frozen=True)
class AdjustedAreas:
    """Estimates for a map, or for the classes of it that have points.

    Attributes:
        sample: the sample.
        found: the estimates.
        total_m2: area that they are of.
        reach: standard errors from the estimate to either end of an interval.
    """

    sample: ReferencePoints
    found: Estimates
    total_m2: float
    reach: float


def run(job: AreasJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Count and estimate; write areas.csv, areas.svg and areas.json to the output folder.

    Args:
        job: the job.
        folder: folder of the job; its paths are relative to it.
        channel: for progress and cancelling.

    Raises:
        GeoSegError: `empty_map`, `unknown_unit`; as `class_map`, `read_points`.
    """
    output = folder / job.output
    prepare_folder(output)
    with class_map(folder / job.classes) as found:
        check_unit_known(parse_crs(found.grid.crs), f"The area of '{found.name}'")
        sample = read_points(job, folder, found) if job.sample else None
        held = map_areas(found, channel, "areas")
    if not held.pixels.any():
        raise GeoSegError("empty_map", f"No pixel of '{found.name}' has a class.", "Choose another raster.")
    adjusted = None if sample is None else adjusted_areas(held, sample, job.confidence_level)
    rows = class_rows(found.classes, held, adjusted)
    warnings = [*sample.problems, *few_points_warnings(found, held, sample)] if sample else []
    result = {
        "rows": rows,
        "total_m2": round(float(held.area_m2.sum()), 2),
        "overall": None if adjusted is None else overall_accuracy(adjusted),
        "sample": None if sample is None else sample_facts(sample),
        "confidence_level": job.confidence_level,
        "warnings": encode(warnings),
    }
    write_table(output / TABLE_FILE, rows)
    with whole_file(output / CHART_FILE) as partial:
        partial.write_text(area_chart(rows, job.confidence_level), encoding="utf-8")
    matrix = {} if adjusted is None else matrices(adjusted, found)
    with whole_file(output / JSON_FILE) as partial:
        text = json.dumps(
            {"map": str(folder / job.classes), **result, **matrix}, ensure_ascii=False, indent=1
        )
        partial.write_text(text, encoding="utf-8")
    files = {"table": TABLE_FILE, "chart": CHART_FILE, "json": JSON_FILE}
    for name in files.values():
        channel.artifact("areas", (output / name).resolve())
    return {**result, **{kind: str(output / name) for kind, name in files.items()}}


def adjusted_areas(held: ClassAreas, sample: ReferencePoints, level: float) -> AdjustedAreas:
    """Estimate areas over the classes that have points; the other classes are left out.

    Args:
        held: pixels and area of the map's classes.
        sample: the reference sample.
        level: confidence level, 0 to 1.

    Raises:
        GeoSegError: `other_map` if no class of the sample is on the map.
    """
    area_m2 = np.append(held.area_m2, np.zeros(len(sample.other)))
    area_m2 = np.where(sample.counts.sum(axis=1) > 0, area_m2, 0.0)
    total_m2 = float(area_m2.sum())
    if not total_m2:
        raise GeoSegError(
            "other_map",
            "All points of the sample belong to classes that are not on this map.",
            "Choose the map that the sample was created from.",
        )
    return AdjustedAreas(sample, estimates(sample.counts, area_m2 / total_m2), total_m2, half_widths(level))


def class_rows(
    classes: Sequence[LabelClass], held: ClassAreas, adjusted: AdjustedAreas | None
) -> list[dict[str, Any]]:
    """Return one row per class: counted and estimated area; true classes that the map does not have come last.

    Args:
        classes: classes of the map.
        held: pixels and area of each.
        adjusted: the estimates; None without a sample.
    """
    total = float(held.area_m2.sum())
    rows = [
        {
            "id": item.id,
            "name": item.name,
            "color": item.color,
            "pixels": int(held.pixels[place]),
            "share": round(float(held.area_m2[place]) / total, 8),
            "area_m2": round(float(held.area_m2[place]), 2),
        }
        for place, item in enumerate(classes)
    ]
    if adjusted is not None:
        nothing = {"id": None, "color": OTHER_COLOR, "pixels": 0, "share": 0.0, "area_m2": 0.0}
        rows += [{**nothing, "name": name} for name in adjusted.sample.other]
        for place, row in enumerate(rows):
            row |= estimate_of(adjusted, place)
    return rows


def estimate_of(adjusted: AdjustedAreas, place: int) -> dict[str, float | None]:
    """Return area and accuracies of a class with their intervals; None where the sample gives no estimate.

    Args:
        adjusted: the estimates.
        place: number of the class.
    """
    found, total_m2, reach = adjusted.found, adjusted.total_m2, adjusted.reach
    area = float(found.shares[place]) * total_m2
    half = float(found.shares_error[place]) * total_m2 * reach
    row: dict[str, float | None] = {
        "adjusted_m2": round(area, 2),
        "low_m2": round(max(area - half, 0.0), 2),
        "high_m2": round(min(area + half, total_m2), 2),
    }
    for kind, values, errors in (
        ("users", found.users, found.users_error),
        ("producers", found.producers, found.producers_error),
    ):
        row |= bounded(kind, float(values[place]), float(errors[place]) * reach)
    return row


def overall_accuracy(adjusted: AdjustedAreas) -> dict[str, float | None]:
    """Return the overall accuracy with its interval."""
    found = bounded("overall", adjusted.found.overall, adjusted.found.overall_error * adjusted.reach)
    return {"accuracy": found["overall"], "low": found["overall_low"], "high": found["overall_high"]}


def bounded(name: str, value: float, half: float) -> dict[str, float | None]:
    """Return a share with its interval, both within 0..1.

    Args:
        name: key of the share.
        value: the share.
        half: half the width of the interval.
    """
    if math.isnan(value) or math.isnan(half):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {
        name: round(value, 6),
        f"{name}_low": round(max(value - half, 0.0), 6),
        f"{name}_high": round(min(value + half, 1.0), 6),
    }


def sample_facts(sample: ReferencePoints) -> dict[str, int]:
    """Return the number of points, of those used and of those left out."""
    return {
        "points": sample.points,
        "used": sample.points - sample.left_out,
        "left_out": sample.left_out,
    }


def few_points_warnings(found: ClassMap, held: ClassAreas, sample: ReferencePoints) -> list[Problem]:
    """Return warnings of classes with too few points.

    Args:
        found: the map.
        held: area of its classes.
        sample: the reference sample.
    """
    points = sample.counts.sum(axis=1)[: len(found.classes)]
    problems = []
    for item, count, area_m2 in zip(found.classes, points.tolist(), held.area_m2.tolist(), strict=True):
        if not area_m2 or count >= MIN_POINTS:
            continue
        what = (
            f"its {area_m2 / 1e6:,.3f} km² are not included in the adjusted areas"
            if not count
            else "the largest possible variance is assumed for its estimates"
        )
        problems.append(
            Problem(
                "thin_class",
                f"Class '{item.name}' of the map has {count} point{'s' * (count != 1)} with a reference: {what}.",
                "Set the reference class of more points of this class.",
                "warning",
            )
        )
    return problems


def matrices(adjusted: AdjustedAreas, found: ClassMap) -> dict[str, Any]:
    """Return the matrices of points and of area shares; rows are the map, columns the true classes.

    Args:
        adjusted: the estimates.
        found: the map.
    """
    return {
        "matrix_classes": [*(item.name for item in found.classes), *adjusted.sample.other],
        "matrix_points": adjusted.sample.counts.tolist(),
        "matrix_shares": adjusted.found.cells.round(8).tolist(),
    }


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV with their keys as header.

    Args:
        path: the .csv.
        rows: at least one; all with the same keys.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
