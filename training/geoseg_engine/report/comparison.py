"""The report of a comparison: one HTML file with the chart, the tables and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import CompareJob, Dataset
from .bar_charts import TITLES
from .html import (
    cells,
    head_row,
    header,
    names_and_values,
    number,
    section,
    table,
    text,
    warning_boxes,
    write_page,
)

WIDER = "body { max-width: 78rem; } tr.best td { font-weight: 600; }"
"""The table of a comparison has more columns than that of one model."""
SHORT = {"foreground_iou": "IoU", "miou": "mean IoU"}


def write_comparison(
    path: Path, result: dict[str, Any], dataset: Dataset, job: CompareJob, drawing: str
) -> None:
    """Write the report.

    Args:
        path: the .html.
        result: result of the comparison, as plain data.
        dataset: dataset of the comparison.
        job: the comparison.
        drawing: the chart as SVG.
    """
    title = f"Comparison of models on {dataset.name}"
    parts = [
        header(title, headline(result)),
        *warning_boxes(result["warnings"]),
        drawing,
        f"<p><small>{text(reading(result))}</small></p>",
        section("Table", rows_table(result)),
        classes_part(result["rows"]),
        unfinished_part(result["unfinished"]),
        remarks_part(result["rows"]),
        section("Settings", settings(dataset, job, result)),
    ]
    write_page(path, title, parts, WIDER)


def headline(result: dict[str, Any]) -> str:
    """Return the result in one sentence."""
    rows = [row for row in result["rows"] if row["iou"] is not None]
    if not rows:
        return "No model is finished yet."
    best = rows[0]
    return (
        f"{best['model']} on {best['bands']} is first of {len(result['rows'])} with "
        f"{TITLES[result['score']]} {best['iou']:.3f} on the {result['split']} split."
    )


def reading(result: dict[str, Any]) -> str:
    """Return how to read chart and table."""
    if any(row["interval"] for row in result["rows"]):
        return (
            "Whiskers and brackets are 95 % intervals: how far the score depends on which blocks are "
            "evaluated. The spread is the standard deviation over seeds."
        )
    return "The spread is the standard deviation over seeds."


def rows_table(result: dict[str, Any]) -> str:
    """Return the table of all models with scores, times and sizes."""
    names = [
        "",
        "model",
        "bands",
        SHORT[result["score"]],
        "interval",
        "spread",
        "mean IoU",
        "accuracy",
        "kappa",
    ]
    names += ["training", "prediction", "size", "parameters", "seeds", "device"]
    lines = []
    for row in result["rows"]:
        numbers = [number(row["iou"]), interval(row["interval"]), number(row["spread"]), number(row["miou"])]
        numbers += [number(row["accuracy"]), number(row["kappa"]), duration(row["train_s"])]
        numbers += [duration(row["predict_s"]), f"{row['size_mb']:.1f} MB"]
        numbers += ["–" if row["parameters"] is None else f"{row['parameters']:,}"]
        texts = [", ".join(map(str, row["seeds"])), row["device"]]
        lines.append(
            f"<tr{' class=best' if row['rank'] == 1 else ''}>"
            + cells([str(row["rank"]), row["model"], row["bands"]])
            + cells(numbers, ' class="n"')
            + cells(texts)
            + "</tr>"
        )
    return table(head_row(names), lines)


def classes_part(rows: Sequence[dict[str, Any]]) -> str:
    """Return the IoU per class."""
    if not rows:
        return ""
    names = [item["name"] for item in rows[0]["per_class"]]
    lines = "".join(
        f"<tr>{cells([row['model'], row['bands']])}"
        + cells([number(item["iou"]) for item in row["per_class"]], ' class="n"')
        + "</tr>"
        for row in rows
    )
    return section("IoU of each class", table(head_row(("model", "bands", *names)), lines))


def unfinished_part(unfinished: Sequence[dict[str, Any]]) -> str:
    """Return the runs that failed, with their errors."""
    lines = "".join(f"<tr>{cells([item['name'], item['error'], item['hint']])}</tr>" for item in unfinished)
    return section("Not finished", f"<table>{lines}</table>" if lines else "")


def remarks_part(rows: Sequence[dict[str, Any]]) -> str:
    """Return the warnings of training and evaluation, each once, with the models that have it."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for words in row["warnings"]:
            about.setdefault(words, []).append(title_of(row))
    lines = "".join(
        f"<tr>{cells([words, 'all' if len(names) == len(rows) else ', '.join(names)])}</tr>"
        for words, names in about.items()
    )
    return section("Remarks", f"<table>{lines}</table>" if lines else "")


def settings(dataset: Dataset, job: CompareJob, result: dict[str, Any]) -> str:
    """Return the settings of the comparison as a table.

    Args:
        dataset: dataset of the comparison.
        job: the comparison.
        result: its result, as plain data.
    """
    grid = dataset.recipe.grid
    how = f"spatial blocks of {dataset.block_px} px" if dataset.block_px else "areas given by the user"
    rows = [
        ("dataset", f"{dataset.name}, {grid.width} × {grid.height} pixels of {abs(grid.transform[0]):.6g}"),
        ("bands", ", ".join(band.name for band in dataset.recipe.bands)),
        ("classes", ", ".join(item.name for item in dataset.classes)),
        ("split", f"{how}, {dataset.buffer_px} px between them not used; evaluated on {job.split}"),
        *((f"band set {item.name}", ", ".join(item.bands) or "all") for item in job.band_sets),
        ("seeds", ", ".join(map(str, job.seeds))),
        ("time of one training", f"at most {job.minutes:g} min" if job.minutes else "as its goal says"),
        ("runs", str(sum(len(row["seeds"]) for row in result["rows"]))),
    ]
    return names_and_values(rows)


def title_of(row: dict[str, Any]) -> str:
    """Return model and band set of a row, e.g. `unet on optical`."""
    return f"{row['model']} on {row['bands']}"


def interval(value: Sequence[float] | None) -> str:
    """Return an interval as text, e.g. `[0.71, 0.80]`."""
    return "–" if value is None else f"[{value[0]:.2f}, {value[1]:.2f}]"


def duration(seconds: float | None) -> str:
    """Return a time in seconds or minutes as text."""
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
