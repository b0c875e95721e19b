"""The job `areas`: how much ground each class of a map has; with a reference sample how much there really is.

Counting pixels takes every mistake of the map for truth. From a sample that people looked at, the area that is really
there follows with its interval (see `estimation`).
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
    """Estimates of a map's ground, or of the part of it that the sample says something about.

    Attributes:
        sample: that they come from.
        found: the estimates.
        total_m2: the ground that they are of.
        reach: standard errors that an interval reaches to either side.
    """

    sample: ReferencePoints
    found: Estimates
    total_m2: float
    reach: float


def run(job: AreasJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Count and estimate; leave areas.csv, areas.svg and areas.json in the output folder.

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
    """Estimates over the classes that have points; the ground of the others is left out of them."""
    area_m2 = np.append(held.area_m2, np.zeros(len(sample.other)))
    area_m2 = np.where(sample.counts.sum(axis=1) > 0, area_m2, 0.0)
    total_m2 = float(area_m2.sum())
    if not total_m2:
        raise GeoSegError(
            "other_map",
            "The sample's points are all of classes that this map does not hold.",
            "Choose the map that the sample was laid out on.",
        )
    return AdjustedAreas(sample, estimates(sample.counts, area_m2 / total_m2), total_m2, half_widths(level))


def class_rows(
    classes: Sequence[LabelClass], held: ClassAreas, adjusted: AdjustedAreas | None
) -> list[dict[str, Any]]:
    """One row a class: what the map has, and what the sample says of it; true classes that the map lacks come last."""
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
    """Area and accuracies of a class with their intervals; None where the sample says nothing."""
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
    """Overall accuracy with its interval."""
    found = bounded("overall", adjusted.found.overall, adjusted.found.overall_error * adjusted.reach)
    return {"accuracy": found["overall"], "low": found["overall_low"], "high": found["overall_high"]}


def bounded(name: str, value: float, half: float) -> dict[str, float | None]:
    """A share with its interval, both inside 0..1."""
    if math.isnan(value) or math.isnan(half):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {
        name: round(value, 6),
        f"{name}_low": round(max(value - half, 0.0), 6),
        f"{name}_high": round(min(value + half, 1.0), 6),
    }


def sample_facts(sample: ReferencePoints) -> dict[str, int]:
    """How many points there are, were used, were not."""
    return {
        "points": sample.points,
        "used": sample.points - sample.left_out,
        "left_out": sample.left_out,
    }


def few_points_warnings(found: ClassMap, held: ClassAreas, sample: ReferencePoints) -> list[Problem]:
    """Warnings of classes whose points are too few."""
    points = sample.counts.sum(axis=1)[: len(found.classes)]
    problems = []
    for item, count, area_m2 in zip(found.classes, points.tolist(), held.area_m2.tolist(), strict=True):
        if not area_m2 or count >= MIN_POINTS:
            continue
        what = (
            f"its {area_m2 / 1e6:,.3f} km² are not in the adjusted areas"
            if not count
            else "how far its estimates may be off is taken to be the most that is possible"
        )
        problems.append(
            Problem(
                "thin_class",
                f"Class '{item.name}' of the map has {count} point{'s' * (count != 1)} with a reference: {what}.",
                "Look at more points of this class.",
                "warning",
            )
        )
    return problems


def matrices(adjusted: AdjustedAreas, found: ClassMap) -> dict[str, Any]:
    """The matrix of points, and that of shares of the ground; rows are the map, columns the truth."""
    return {
        "matrix_classes": [*(item.name for item in found.classes), *adjusted.sample.other],
        "matrix_points": adjusted.sample.counts.tolist(),
        "matrix_shares": adjusted.found.cells.round(8).tolist(),
    }


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV under the names of their keys."""
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
