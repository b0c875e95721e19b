"""The results of an evaluation: metrics, confusion matrix, areas and report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..channel import Channel
from ..contract import Dataset, LabelClass, Problem, write_json
from ..outputs import whole_file
from ..report.evaluation import write_report
from ..scores.intervals import interval_warnings, intervals
from ..scores.metrics import Matrix, score_warnings, scores
from .areas import write_table
from .evaluator import Evaluator

METRICS_FILE, CONFUSION_FILE, AREAS_FILE, ERRORS_FILE, REPORT_FILE = (
    "metrics.json",
    "confusion.csv",
    "areas.csv",
    "errors.tif",
    "report.html",
)


@dataclass
class Evaluation:
    """An evaluation that is complete but for its files.

    Attributes:
        evaluator: with its counts.
        facts: for the metrics.
        found: problems of the inputs.
        shown: best and worst tiles with their pictures.
        dataset: dataset of the labels; None for any other labels.
    """

    evaluator: Evaluator
    facts: dict[str, Any]
    found: list[Problem]
    shown: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"best": [], "worst": []})
    dataset: Dataset | None = None


def write_results(evaluation: Evaluation, output: Path, channel: Channel) -> dict[str, Any]:
    """Write all results but the raster of errors.

    Args:
        evaluation: the evaluation.
        output: folder of the results.
        channel: for the artifacts.

    Returns:
        The result of the job.
    """
    evaluator, dataset = evaluation.evaluator, evaluation.dataset
    result = scores(evaluator.matrix, evaluator.classes)
    bounds = intervals(evaluator.blocks.matrices(), evaluator.classes, evaluator.blocks.cell_px)
    warnings = as_warnings([*score_warnings(result), *interval_warnings(bounds)])
    summary = {
        **result,
        "intervals": bounds,
        "ece": evaluator.reliability.error(),
        "reliability": evaluator.reliability.curve(),
        "areas": area_rows(evaluator),
        "tiles": {
            kind: [{key: tile[key] for key in ("row", "col", "size_px", "iou")} for tile in tiles]
            for kind, tiles in evaluation.shown.items()
        },
        "classes": evaluator.classes,
        "errors_kind": "true_false" if evaluator.binary else "right_wrong",
        "warnings": [*evaluation.found, *warnings, *unpredicted_warning(evaluator)],
        **evaluation.facts,
    }
    write_json(output / METRICS_FILE, summary)
    write_confusion(output / CONFUSION_FILE, evaluator.matrix, evaluator.classes)
    write_table(output / AREAS_FILE, summary["areas"])
    run_folder = Path(evaluation.facts["model"]).parent if evaluation.facts["model"] else None
    write_report(
        output / REPORT_FILE, summary, dataset=dataset, run_folder=run_folder, examples=evaluation.shown
    )
    files = {
        "metrics": METRICS_FILE,
        "confusion": CONFUSION_FILE,
        "table": AREAS_FILE,
        "errors": ERRORS_FILE,
        "report": REPORT_FILE,
    }
    for kind, name in files.items():
        channel.artifact("areas" if kind == "table" else kind, (output / name).resolve())
    paths = {kind: str(output / name) for kind, name in files.items() if kind != "confusion"}
    return {**summary, **paths}


def area_rows(evaluator: Evaluator) -> list[dict[str, Any]]:
    """Return the area of each class on the map and in the reference, both over the evaluated pixels."""
    rows = []
    for place, item in enumerate(evaluator.classes):
        mapped, true = float(evaluator.mapped_m2[place]), float(evaluator.true_m2[place])
        rows.append(
            {
                "id": item.id,
                "name": item.name,
                "color": item.color,
                "mapped_px": int(evaluator.matrix[:, place].sum()),
                "mapped_m2": round(mapped, 2),
                "true_px": int(evaluator.matrix[place].sum()),
                "true_m2": round(true, 2),
                "difference": round(mapped / true - 1, 6) if true else None,
            }
        )
    return rows


def unpredicted_warning(evaluator: Evaluator) -> list[Problem]:
    """Return the warning of labels without a prediction."""
    if not evaluator.unpredicted_px:
        return []
    return [
        Problem(
            "scores",
            f"{evaluator.unpredicted_px} labelled pixels have no prediction, because the data have no value there.",
            "They are not included in the scores.",
            "warning",
        )
    ]


def write_confusion(path: Path, matrix: Matrix, classes: Sequence[LabelClass]) -> None:
    """Write the matrix as CSV: rows are the truth, columns the prediction.

    Args:
        path: the .csv.
        matrix: (K, K).
        classes: the classes.
    """
    names = [item.name for item in classes]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["truth \\ predicted", *names])
        table.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))


def as_warnings(sentences: Iterable[str]) -> list[Problem]:
    """Return sentences as warnings."""
    return [Problem("scores", sentence, "", "warning") for sentence in sentences]
