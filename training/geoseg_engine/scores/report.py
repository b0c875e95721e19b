"""One HTML file about a run, complete in itself: warnings on top, then settings, scores, matrix and curves."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import Dataset, encode
from ..outputs import whole_file

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --warn: #c60; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.warn { border-left: .3rem solid var(--warn); background: var(--soft); padding: .5rem 1rem; margin: .5rem 0; }
.swatch { display: inline-block; width: .8em; height: .8em; border: 1px solid var(--line); margin-right: .4em; }
.big { font-size: 2rem; font-weight: 600; } .tiles { display: flex; gap: 2.5rem; flex-wrap: wrap; }
.matrix td { text-align: right; min-width: 4rem; } small { opacity: .75; } svg { max-width: 100%; height: auto; }
"""
CURVE_WIDTH, CURVE_HEIGHT, MARGIN = 640, 240, 44
COLOURS = {"train_loss": "#4477aa", "validation_loss": "#ee6677", "miou": "#228833"}
TITLES = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "miou": "mean IoU (validation)",
}


def write_report(
    path: Path,
    metrics: dict[str, Any],
    *,
    title: str = "GeoSeg report",
    dataset: Dataset | None = None,
    history: Path | None = None,
    facts: dict[str, Any] | None = None,
    pictures: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the report.

    Args:
        path: of the .html.
        metrics: content of metrics.json as `evaluate` writes it.
        title: heading.
        dataset: adds grid, bands, split and label counts.
        history: history.json of the training; adds curves.
        facts: further rows of the settings table.
        pictures: (caption, data URI or relative file name).
    """
    data = encode(metrics)
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p>{_text(headline(data))}</p>",
        *warnings_part(data.get("warnings", [])),
        *numbers_part(data),
        "<h2>Per class</h2>",
        class_table(data),
        "<h2>Confusion matrix</h2>",
        "<p>Rows are the truth, columns the prediction; in pixels, and in percent of the row.</p>",
        matrix_table(data),
        *split_part(dataset),
        *curves_part(history),
        "<h2>Settings</h2>",
        table(settings(data, dataset, facts or {})),
        *(
            f'<figure><img src="{_text(source)}" alt="{_text(caption)}" style="max-width:100%">'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
            for caption, source in pictures
        ),
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        + "\n".join(parts)
        + "</body></html>\n"
    )
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def headline(data: dict[str, Any]) -> str:
    """The result in one sentence."""
    what = Path(data.get("model") or data.get("prediction") or "").name or "The result"
    where = f"on the {data['split']} split" if data.get("split") else ""
    named = f" of '{data['dataset']}'" if data.get("dataset") else ""
    return (
        f"{what}, judged {where}{named}: {data['pixels']:,} labelled pixels, none of them used for training"
        if data.get("split") == "test" and data.get("own_split")
        else f"{what}, judged {where}{named}: {data['pixels']:,} labelled pixels"
    ) + "."


def warnings_part(warnings: list[dict[str, Any]]) -> list[str]:
    """Boxes with what must not be overlooked."""
    return [
        f'<div class="warn"><b>{_text(item["message"])}</b> {_text(item.get("hint", ""))}</div>'
        for item in warnings
    ]


def numbers_part(data: dict[str, Any]) -> list[str]:
    """The headline numbers; accuracy stands beside what always answering one class would give."""
    boxes = [("mean IoU", data["miou"], "over the classes present in the truth")]
    if data.get("foreground_iou") is not None:
        boxes.insert(0, (f"IoU of '{data['per_class'][1]['name']}'", data["foreground_iou"], ""))
    boxes.append(("mean F1", data["mean_f1"], ""))
    majority = f"always '{data['majority_class']}' would give {_number(data['majority_accuracy'])}"
    boxes.append(("accuracy", data["accuracy"], majority))
    cells = "".join(
        f'<div><div class="big">{_number(value)}</div>{_text(name)}<br><small>{_text(note)}</small></div>'
        for name, value, note in boxes
    )
    return [f'<div class="tiles">{cells}</div>']


def class_table(data: dict[str, Any]) -> str:
    """Precision, recall, F1, IoU and support of each class."""
    colours = {item["id"]: item["color"] for item in data.get("classes", [])}
    head = "".join(
        f"<th>{name}</th>"
        for name in ("class", "precision", "recall", "F1", "IoU", "true px", "predicted px")
    )
    rows = "".join(
        f'<tr><td><span class="swatch" style="background:{_text(colours.get(row["id"], "#888"))}"></span>'
        f"{_text(row['name'])}</td>"
        + "".join(f'<td class="n">{_number(row[key])}</td>' for key in ("precision", "recall", "f1", "iou"))
        + "".join(f'<td class="n">{row[key]:,}</td>' for key in ("support_px", "predicted_px"))
        + "</tr>"
        for row in data["per_class"]
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def matrix_table(data: dict[str, Any]) -> str:
    """The confusion matrix, shaded by the share of its row."""
    names = [row["name"] for row in data["per_class"]]
    head = "<th></th>" + "".join(f"<th>{_text(name)}</th>" for name in names)
    rows = []
    for index, (name, counts) in enumerate(zip(names, data["confusion"], strict=True)):
        total = sum(counts) or 1
        cells = "".join(
            f'<td style="background:{_shade(count / total, column == index)}">{count:,}<br>'
            f"<small>{count / total:.1%}</small></td>"
            for column, count in enumerate(counts)
        )
        rows.append(f"<tr><th>{_text(name)}</th>{cells}</tr>")
    return f'<table class="matrix"><tr>{head}</tr>{"".join(rows)}</table>'


def split_part(dataset: Dataset | None) -> list[str]:
    """Labelled pixels of every class in every split."""
    if dataset is None or not dataset.counts:
        return []
    head = "<th>split</th>" + "".join(f"<th>{_text(item.name)}</th>" for item in dataset.classes)
    rows = "".join(
        f"<tr><td>{_text(split)}</td>"
        + "".join(f'<td class="n">{counts.get(str(item.id), 0):,}</td>' for item in dataset.classes)
        + "</tr>"
        for split, counts in dataset.counts.items()
    )
    how = f"Spatial blocks of {dataset.block_px} px" if dataset.block_px else "Areas given by the user"
    note = f"{how}; {dataset.buffer_px} px between blocks of different splits are used by none."
    return ["<h2>Split</h2>", f"<p>{note}</p>", f"<table><tr>{head}</tr>{rows}</table>"]


def settings(data: dict[str, Any], dataset: Dataset | None, facts: dict[str, Any]) -> list[tuple[str, Any]]:
    """Rows of the settings table, in words."""
    trained = data.get("trained") or {}
    job, plan = trained.get("job") or {}, trained.get("plan") or {}
    network = data.get("architecture") or {}
    rows: list[tuple[str, Any]] = []
    if dataset is not None:
        grid = dataset.recipe.grid
        rows += [
            ("grid", f"{grid.width} × {grid.height} pixels of {abs(grid.transform[0]):.6g}, {grid.crs[:60]}"),
            ("bands", ", ".join(band.name for band in dataset.recipe.bands)),
            ("layers", ", ".join(source.name or source.path for source in dataset.recipe.sources)),
            ("unlabelled ground", dataset.unlabelled),
            ("tiles", f"{dataset.tile_px} px, every {dataset.stride_px} px"),
        ]
    rows += [
        ("network", ", ".join(f"{key} {value}" for key, value in network.items())),
        ("loss", job.get("loss")),
        (
            "epochs",
            trained.get("epochs_run") and f"{trained['epochs_run']}, best {trained.get('best_epoch')}",
        ),
        ("crop", plan.get("crop_px") and f"{plan['crop_px']} px, {plan.get('batch_size')} a step"),
        ("learning rate", job.get("learning_rate")),
        ("seed", job.get("seed")),
        ("trained on", trained.get("device") and f"{trained['device']}, {trained.get('precision')}"),
        ("seconds per step", trained.get("seconds_per_step")),
        ("trained", trained.get("created")),
        ("predicted with", data.get("runtime")),
    ]
    return [(name, value) for name, value in (*rows, *facts.items()) if value not in (None, "", 0)]


def table(rows: Sequence[tuple[str, Any]]) -> str:
    """Names and values."""
    shown = ((name, f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in rows)
    return (
        "<table>" + "".join(f"<tr><th>{_text(a)}</th><td>{_text(b)}</td></tr>" for a, b in shown) + "</table>"
    )


def curves_part(history: Path | None) -> list[str]:
    """Loss and mean IoU over the epochs, as inline SVG."""
    if history is None or not history.exists():
        return []
    epochs = json.loads(history.read_text(encoding="utf-8"))
    drawn = [curve(epochs, ("train_loss", "validation_loss")), curve(epochs, ("miou",), 0.0, 1.0)]
    return ["<h2>Training</h2>", *filter(None, drawn)]


def curve(
    epochs: list[dict[str, Any]], keys: Sequence[str], low: float = 0.0, high: float | None = None
) -> str:
    """Lines over the epochs on one pair of axes; empty without two known points."""
    lines = {key: [(row["epoch"], row[key]) for row in epochs if row.get(key) is not None] for key in keys}
    lines = {key: points for key, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    first, last = min(p[0][0] for p in lines.values()), max(p[-1][0] for p in lines.values())
    top = high or max(value for points in lines.values() for _, value in points) * 1.05 or 1.0

    def place(epoch: float, value: float) -> str:
        x = MARGIN + (epoch - first) / max(last - first, 1) * (CURVE_WIDTH - 2 * MARGIN)
        y = CURVE_HEIGHT - MARGIN - (value - low) / (top - low) * (CURVE_HEIGHT - 1.5 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    drawn = []
    for tick in range(5):
        value = low + (top - low) * tick / 4
        x, y = place(first, value).split(",")
        end = place(last, value).split(",")[0]
        drawn.append(f'<path d="M{x},{y}H{end}" stroke="#8884"/>')
        drawn.append(f'<text x="{MARGIN - 6}" y="{y}" text-anchor="end" dy=".3em">{value:.2g}</text>')
    for index, (key, points) in enumerate(lines.items()):
        path = " ".join(place(*point) for point in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[key]}" stroke-width="2"/>')
        drawn.append(f'<text x="{MARGIN + 160 * index}" y="14" fill="{COLOURS[key]}">{TITLES[key]}</text>')
    foot = f"epoch {first} to {last}"
    drawn.append(f'<text x="{CURVE_WIDTH / 2}" y="{CURVE_HEIGHT - 12}" text-anchor="middle">{foot}</text>')
    return (
        f'<svg viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" width="{CURVE_WIDTH}" role="img" font-size="12" '
        f'fill="currentColor">{"".join(drawn)}</svg>'
    )


def _shade(share: float, right: bool) -> str:
    red, green, blue = (34, 136, 51) if right else (204, 68, 34)
    return f"rgba({red},{green},{blue},{share * 0.6:.2f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _text(value: Any) -> str:
    return html.escape(str(value))
