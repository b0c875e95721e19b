"""What an evaluation ends with: metrics, confusion matrix, areas and report."""

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
    """What was judged and how it went.

    Attributes:
        judge: with its counts.
        facts: for the metrics.
        found: what there is to say, as problems.
        shown: best and worst tiles with their pictures.
        dataset: that was judged on; None with any labels.
    """

    judge: Evaluator
    facts: dict[str, Any]
    found: list[Problem]
    shown: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"best": [], "worst": []})
    dataset: Dataset | None = None


def write_results(judged: Evaluation, output: Path, channel: Channel) -> dict[str, Any]:
    """Write all but the raster of errors; returns the job's result."""
    judge, dataset = judged.judge, judged.dataset
    result = scores(judge.matrix, judge.classes)
    bounds = intervals(judge.blocks.matrices(), judge.classes, judge.blocks.cell_px)
    said = as_warnings([*score_warnings(result), *interval_warnings(bounds)])
    summary = {
        **result,
        "intervals": bounds,
        "ece": judge.reliability.error(),
        "reliability": judge.reliability.curve(),
        "areas": area_rows(judge),
        "tiles": {
            kind: [{key: tile[key] for key in ("row", "col", "size_px", "iou")} for tile in tiles]
            for kind, tiles in judged.shown.items()
        },
        "classes": judge.classes,
        "errors_kind": "true_false" if judge.binary else "right_wrong",
        "warnings": [*judged.found, *said, *unpredicted_warning(judge)],
        **judged.facts,
    }
    write_json(output / METRICS_FILE, summary)
    write_confusion(output / CONFUSION_FILE, judge.matrix, judge.classes)
    write_table(output / AREAS_FILE, summary["areas"])
    run_folder = Path(judged.facts["model"]).parent if judged.facts["model"] else None
    write_report(output / REPORT_FILE, summary, dataset=dataset, run_folder=run_folder, examples=judged.shown)
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


def area_rows(judge: Evaluator) -> list[dict[str, Any]]:
    """Ground of each class on the map and in truth, both over the judged pixels alone."""
    rows = []
    for place, item in enumerate(judge.classes):
        mapped, true = float(judge.mapped_m2[place]), float(judge.true_m2[place])
        rows.append(
            {
                "id": item.id,
                "name": item.name,
                "color": item.color,
                "mapped_px": int(judge.matrix[:, place].sum()),
                "mapped_m2": round(mapped, 2),
                "true_px": int(judge.matrix[place].sum()),
                "true_m2": round(true, 2),
                "difference": round(mapped / true - 1, 6) if true else None,
            }
        )
    return rows


def unpredicted_warning(judge: Evaluator) -> list[Problem]:
    """The warning of labels without a prediction."""
    if not judge.unpredicted_px:
        return []
    return [
        Problem(
            "scores",
            f"{judge.unpredicted_px} labelled pixels have no prediction (no value there).",
            "They are not in the scores.",
            "warning",
        )
    ]


def write_confusion(path: Path, matrix: Matrix, classes: Sequence[LabelClass]) -> None:
    """Write the matrix as CSV: rows are the truth, columns the prediction."""
    names = [item.name for item in classes]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["truth \\ predicted", *names])
        table.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))


def as_warnings(sentences: Iterable[str]) -> list[Problem]:
    """Sentences as warnings."""
    return [Problem("scores", sentence, "", "warning") for sentence in sentences]
