"""The report of a comparison: one HTML file with the table, the figure and the settings in words."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import CompareJob, Dataset
from ..outputs import whole_file
from .figure import TITLES

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --warn: #c60; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } tr.best td { font-weight: 600; }
.warn { border-left: .3rem solid var(--warn); background: var(--soft); padding: .5rem 1rem; margin: .5rem 0; }
svg { max-width: 100%; height: auto; } small { opacity: .75; }
"""


def write_page(path: Path, result: dict[str, Any], dataset: Dataset, job: CompareJob, drawing: str) -> None:
    """Write the report.

    Args:
        path: of the .html.
        result: of the comparison, as plain data.
        dataset: that was compared on.
        job: what was asked for.
        drawing: the figure's SVG.
    """
    title = f"Comparison of models on {dataset.name}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(headline(result))}</p>",
        *(
            f'<div class="warn"><b>{html.escape(item["message"])}</b> {html.escape(item.get("hint", ""))}</div>'
            for item in result["warnings"]
        ),
        drawing,
        f"<p><small>{html.escape(reading(result))}</small></p>",
        "<h2>Table</h2>",
        f'<div class="wide">{table(result)}</div>',
        *classes_part(result["rows"]),
        *unfinished_part(result["unfinished"]),
        *remarks_part(result["rows"]),
        "<h2>Settings</h2>",
        settings(dataset, job, result),
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        + "\n".join(parts)
        + "</body></html>\n"
    )
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def headline(result: dict[str, Any]) -> str:
    """The result in one sentence."""
    rows = [row for row in result["rows"] if row["iou"] is not None]
    if not rows:
        return "No model is finished yet."
    best = rows[0]
    return (
        f"{best['model']} on {best['bands']} is first of {len(result['rows'])} with "
        f"{TITLES[result['score']]} {best['iou']:.3f} on the {result['split']} split."
    )


def reading(result: dict[str, Any]) -> str:
    """How the figure and the table are to be read."""
    if any(row["interval"] for row in result["rows"]):
        return (
            "Whiskers and brackets are 95 % intervals: how far the score depends on which blocks of ground are "
            "judged. The spread is the standard deviation over seeds."
        )
    return "The spread is the standard deviation over seeds."


def table(result: dict[str, Any]) -> str:
    """All rows with their scores, times and sizes."""
    names = (
        *(
            "",
            "model",
            "bands",
            TITLES[result["score"]],
            "interval",
            "spread",
            "mean IoU",
            "accuracy",
            "kappa",
        ),
        *("training", "prediction", "size", "parameters", "seeds", "device"),
    )
    lines = []
    for row in result["rows"]:
        numbers = [number(row["iou"]), interval(row["interval"]), number(row["spread"]), number(row["miou"])]
        numbers += [number(row["accuracy"]), number(row["kappa"]), duration(row["train_s"])]
        numbers += [duration(row["predict_s"]), f"{row['size_mb']:.1f} MB"]
        numbers += ["–" if row["parameters"] is None else f"{row['parameters']:,}"]
        texts = [", ".join(map(str, row["seeds"])), row["device"]]
        lines.append(
            f"<tr{' class=best' if row['rank'] == 1 else ''}>"
            + _cells([str(row["rank"]), row["model"], row["bands"]])
            + _cells(numbers, ' class="n"')
            + _cells(texts)
            + "</tr>"
        )
    return f"<table><tr>{_heads(names)}</tr>{''.join(lines)}</table>"


def classes_part(rows: Sequence[dict[str, Any]]) -> list[str]:
    """IoU of each class, where there is more than one to look at."""
    if not rows:
        return []
    names = [item["name"] for item in rows[0]["per_class"]]
    lines = "".join(
        f"<tr>{_cells([row['model'], row['bands']])}"
        + _cells([number(item["iou"]) for item in row["per_class"]], ' class="n"')
        + "</tr>"
        for row in rows
    )
    head = _heads(("model", "bands", *names))
    return [
        "<h2>IoU of each class</h2>",
        f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>',
    ]


def unfinished_part(unfinished: Sequence[dict[str, Any]]) -> list[str]:
    """Runs that failed, with their reasons."""
    if not unfinished:
        return []
    lines = "".join(f"<tr>{_cells([item['name'], item['error'], item['hint']])}</tr>" for item in unfinished)
    return ["<h2>Not finished</h2>", f"<table>{lines}</table>"]


def remarks_part(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What training and evaluation warned of."""
    lines = "".join(
        f"<tr>{_cells([row['model'], row['bands'], text])}</tr>" for row in rows for text in row["warnings"]
    )
    return ["<h2>Remarks</h2>", f"<table>{lines}</table>"] if lines else []


def settings(dataset: Dataset, job: CompareJob, result: dict[str, Any]) -> str:
    """What was compared on what, in words."""
    grid = dataset.recipe.grid
    how = f"spatial blocks of {dataset.block_px} px" if dataset.block_px else "areas given by the user"
    rows = [
        ("dataset", f"{dataset.name}, {grid.width} × {grid.height} pixels of {abs(grid.transform[0]):.6g}"),
        ("bands", ", ".join(band.name for band in dataset.recipe.bands)),
        ("classes", ", ".join(item.name for item in dataset.classes)),
        ("split", f"{how}, {dataset.buffer_px} px between them used by none; judged on {job.split}"),
        *((f"band set {item.name}", ", ".join(item.bands) or "all") for item in job.band_sets),
        ("seeds", ", ".join(map(str, job.seeds))),
        ("time of one training", f"at most {job.minutes:g} min" if job.minutes else "as its goal says"),
        ("runs", str(sum(len(row["seeds"]) for row in result["rows"]))),
    ]
    lines = "".join(f"<tr><th>{html.escape(name)}</th>{_cells([text])}</tr>" for name, text in rows)
    return f"<table>{lines}</table>"


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def interval(value: Sequence[float] | None) -> str:
    """`[0.71, 0.80]`."""
    return "–" if value is None else f"[{value[0]:.2f}, {value[1]:.2f}]"


def duration(seconds: float | None) -> str:
    """Seconds or minutes, as people say it."""
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _cells(texts: Sequence[str], attributes: str = "") -> str:
    return "".join(f"<td{attributes}>{html.escape(text)}</td>" for text in texts)


def _heads(names: Sequence[str]) -> str:
    return "".join(f"<th>{html.escape(name)}</th>" for name in names)
