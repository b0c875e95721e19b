"""The rows of a comparison: scores of several seeds combined, ranked, and written as a table."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract import Problem
from ..outputs import whole_file
from ..report.comparison import title_of

PER_CLASS = ("iou", "f1", "precision", "recall")
COLUMNS = (
    "rank",
    "model",
    "bands",
    "seeds",
    "iou",
    "spread",
    "low",
    "high",
    "miou",
    "accuracy",
    "kappa",
    "train_s",
    "predict_s",
    "size_mb",
    "parameters",
    "device",
)


@dataclass(frozen=True)
class FinishedRun:
    """One finished run of a comparison.

    Attributes:
        model, bands: names of contender and band set.
        seed: seed of the run.
        folder: folder of the run.
        band_names: bands that it was trained on.
        evaluation: result of the job `evaluate`.
        members: seeds of the runs whose mean this is; empty for a single run.
        train_s, size_mb, parameters: time of training, size of the model file, number of weights.
        warnings: of training and evaluation.
    """

    model: str
    bands: str
    seed: int
    folder: str
    band_names: tuple[str, ...]
    evaluation: dict[str, Any]
    train_s: float
    size_mb: float
    parameters: int | None
    warnings: tuple[str, ...] = ()
    members: tuple[int, ...] = ()


def score_name(cells: Sequence[FinishedRun]) -> str:
    """What models are ranked by: the IoU of the one class against a background, else the mean of all classes'."""
    binary = all(cell.evaluation.get("foreground_iou") is not None for cell in cells)
    return "foreground_iou" if cells and binary else "miou"


def rank(cells: Sequence[FinishedRun], score: str) -> list[dict[str, Any]]:
    """Return one row for each model and band set, the best first; models without a score come last.

    Args:
        cells: finished runs.
        score: `foreground_iou` or `miou`.
    """
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.bands), []).append(cell)
    rows = [row_of(group, score) for group in groups.values()]
    rows.sort(key=lambda row: -1.0 if row["iou"] is None else row["iou"], reverse=True)
    return [{"rank": rank, **row} for rank, row in enumerate(rows, 1)]


def row_of(cells: Sequence[FinishedRun], score: str) -> dict[str, Any]:
    """Return the row of all seeds of one model and band set.

    Args:
        cells: their finished runs.
        score: `foreground_iou` or `miou`.
    """
    first = cells[0]
    found = [cell.evaluation for cell in cells]
    values = [item[score] for item in found]
    known = [value for value in values if value is not None]
    intervals = [(item.get("intervals") or {}).get(score) for item in found]
    return {
        "model": first.model,
        "bands": first.bands,
        "band_names": list(first.band_names),
        "seeds": [seed for cell in cells for seed in (cell.members or (cell.seed,))],
        "iou": mean(values),
        "spread": statistics.stdev(known) if len(known) > 1 else None,
        "interval": mean_interval(intervals),
        "miou": mean(item["miou"] for item in found),
        "per_class": per_class([item["per_class"] for item in found]),
        "accuracy": mean(item["accuracy"] for item in found),
        "kappa": mean(item.get("kappa") for item in found),
        "train_s": mean(cell.train_s for cell in cells),
        "predict_s": mean(item.get("seconds") for item in found),
        "size_mb": mean(cell.size_mb for cell in cells),
        "parameters": first.parameters,
        "device": found[0].get("device") or "",
        "runs": [cell.folder for cell in cells],
        "warnings": list(dict.fromkeys(text for cell in cells for text in cell.warnings)),
    }


def per_class(found: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Mean scores of each class over the seeds."""
    return [
        {"name": rows[0]["name"], **{key: mean(row[key] for row in rows) for key in PER_CLASS}}
        for rows in zip(*found, strict=True)
    ]


def mean_interval(intervals: Sequence[Sequence[float | None] | None]) -> list[float] | None:
    """Mean of lower and of upper ends; None unless every seed has both."""
    lows, highs = [], []
    for interval in intervals:
        if interval is None or interval[0] is None or interval[1] is None:
            return None
        lows.append(interval[0])
        highs.append(interval[1])
    return [statistics.fmean(lows), statistics.fmean(highs)] if lows else None


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are known; None of none."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(known) if known else None


def close_second(rows: Sequence[dict[str, Any]]) -> list[Problem]:
    """Return a warning if the intervals of the first two models overlap."""
    if len(rows) < 2 or not rows[0]["interval"] or not rows[1]["interval"]:
        return []
    best, second = rows[0], rows[1]
    if second["interval"][1] < best["interval"][0]:
        return []
    return [
        Problem(
            "within_uncertainty",
            f"The difference between {title_of(best)} ({best['iou']:.3f}) and {title_of(second)} "
            f"({second['iou']:.3f}) is within its uncertainty.",
            "Use the faster of the two, or add labels to the evaluated split.",
            "warning",
        )
    ]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the table: one line per row, then the scores per class, the folders of the runs last.

    Args:
        path: the .csv.
        rows: as of `rank`.
    """
    names = [item["name"] for item in rows[0]["per_class"]] if rows else []
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow([*COLUMNS, *(f"{key} {name}" for name in names for key in PER_CLASS), "runs"])
        for row in rows:
            low, high = row["interval"] or (None, None)
            flat = {**row, "low": low, "high": high, "seeds": " ".join(map(str, row["seeds"]))}
            cells = [flat[key] for key in COLUMNS]
            cells += [item[key] for item in row["per_class"] for key in PER_CLASS]
            table.writerow([*map(_rounded, cells), " ".join(row["runs"])])


def _rounded(value: Any) -> Any:
    return "" if value is None else round(value, 6) if isinstance(value, float) else value
