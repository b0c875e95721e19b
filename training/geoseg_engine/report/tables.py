"""Tables of the report: classes, confusion matrix, split, settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contract import Dataset
from .charts import score_bar
from .html import number, span, text

UNITS = (("km²", 1e6), ("ha", 1e4), ("m²", 1.0))


def class_table(data: dict[str, Any]) -> str:
    """Precision, recall, F1, IoU with its interval, and pixels of each class."""
    colours = {item["id"]: item["color"] for item in data.get("classes", [])}
    bounds = (data.get("intervals") or {}).get("per_class") or [None] * len(data["per_class"])
    heads = ("precision", "recall", "F1", "IoU", "true px", "predicted px")
    head = "<th>class</th>" + "".join(f'<th class="n">{name}</th>' for name in heads[:4]) + "<th></th>"
    head += "".join(f'<th class="n">{name}</th>' for name in heads[4:])
    rows = []
    for row, interval in zip(data["per_class"], bounds, strict=True):
        colour = text(colours.get(row["id"], "#888"))
        cells = "".join(f'<td class="n">{number(row[key])}</td>' for key in ("precision", "recall", "f1"))
        iou = f'<td class="n"><b>{number(row["iou"])}</b><br><small>{span(interval)}</small></td>'
        pixels = "".join(f'<td class="n">{row[key]:,}</td>' for key in ("support_px", "predicted_px"))
        rows.append(
            f'<tr><td><span class="swatch" style="background:{colour}"></span>{text(row["name"])}</td>'
            f"{cells}{iou}<td>{score_bar(row['iou'], interval, colour)}</td>{pixels}</tr>"
        )
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def matrix_table(data: dict[str, Any]) -> str:
    """The confusion matrix, shaded by the share of its row."""
    names = [row["name"] for row in data["per_class"]]
    head = "<th></th>" + "".join(f'<th class="n">{text(name)}</th>' for name in names)
    rows = []
    for index, (name, counts) in enumerate(zip(names, data["confusion"], strict=True)):
        total = sum(counts) or 1
        cells = "".join(
            f'<td style="background:{_shade(count / total, column == index)}">{count:,}<br>'
            f"<small>{count / total:.1%}</small></td>"
            for column, count in enumerate(counts)
        )
        rows.append(f"<tr><th>{text(name)}</th>{cells}</tr>")
    return f'<div class="scroll"><table class="matrix"><tr>{head}</tr>{"".join(rows)}</table></div>'


def area_table(data: dict[str, Any]) -> str:
    """Ground of each class on the map and in truth, and by how much the map is off."""
    rows = data.get("areas") or []
    if not rows:
        return ""
    colours = {item["id"]: item["color"] for item in data.get("classes", [])}
    longest = max(max(row["mapped_m2"], row["true_m2"]) for row in rows)
    unit, size = unit_of(longest)
    head = "<th>class</th>" + "".join(
        f'<th class="n">{name}</th>' for name in (f"on the map, {unit}", f"in truth, {unit}", "difference")
    )
    body = "".join(
        f'<tr><td><span class="swatch" style="background:{text(colours.get(row["id"], "#888"))}"></span>'
        f'{text(row["name"])}</td><td class="n">{row["mapped_m2"] / size:,.3f}</td>'
        f'<td class="n">{row["true_m2"] / size:,.3f}</td>'
        f'<td class="n">{"–" if row["difference"] is None else format(row["difference"], "+.1%")}</td></tr>'
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def unit_of(area_m2: float) -> tuple[str, float]:
    """The largest unit of which an area has one or more: its name and how many m² it is."""
    return next((item for item in UNITS if area_m2 >= item[1]), UNITS[-1])


def split_table(dataset: Dataset) -> str:
    """Labelled pixels of every class in every split."""
    head = "<th>split</th>" + "".join(f'<th class="n">{text(item.name)}</th>' for item in dataset.classes)
    rows = "".join(
        f"<tr><td>{text(split)}</td>"
        + "".join(f'<td class="n">{counts.get(str(item.id), 0):,}</td>' for item in dataset.classes)
        + "</tr>"
        for split, counts in dataset.counts.items()
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def names_and_values(rows: Sequence[tuple[str, Any]]) -> str:
    """A table of two columns; rows without a value are left out."""
    known = [(name, value) for name, value in rows if value not in (None, "", 0, [], ())]
    shown = ((name, f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in known)
    body = "".join(f'<tr><th>{text(a)}</th><td class="words">{text(b)}</td></tr>' for a, b in shown)
    return f"<table>{body}</table>" if body else ""


def _shade(share: float, right: bool) -> str:
    red, green, blue = (46, 133, 64) if right else (200, 69, 47)
    return f"rgba({red},{green},{blue},{share * 0.55:.2f})"
