"""The report of an evaluation: warnings first, then scores, classes, matrix, examples, calibration, training, data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import Dataset, encode, kept_json
from .bar_charts import importance_chart
from .charts import curve, reliability_chart, score_bar
from .evaluation_text import (
    area_sentence,
    calibration_sentences,
    data_rows,
    headline,
    interval_sentence,
    main_numbers,
    reasons,
    settings,
    split_sentence,
)
from .html import (
    head_row,
    header,
    names_and_values,
    number,
    paragraph,
    section,
    span,
    table,
    text,
    unit_of,
    warning_boxes,
    write_page,
)

HISTORY_FILE, PLAN_FILE, IMPORTANCE_FILE = "history.json", "plan.json", "importance.json"
BANDS_SHOWN = 25
NUMBERS = ' class="n"'
"""Attributes of cells with numbers."""


def write_report(
    path: Path,
    metrics: dict[str, Any],
    *,
    title: str = "",
    dataset: Dataset | None = None,
    run_folder: Path | None = None,
    examples: dict[str, list[dict[str, Any]]] | None = None,
) -> None:
    """Write the report.

    Args:
        path: the .html.
        metrics: content of metrics.json as `evaluate` writes it.
        title: heading; empty names dataset and split.
        dataset: adds grid, bands, split and label counts.
        run_folder: folder of the training; curves, reasons and importance of bands are read from its history.json,
            plan.json and importance.json, if they exist.
        examples: `best` and `worst` tiles with their pictures as data URIs.
    """
    data = encode(metrics)
    title = title or report_title(data)
    parts = [
        header(title, headline(data)),
        *warning_boxes(data.get("warnings", [])),
        cards(main_numbers(data)),
        section(
            "Classes",
            paragraph(interval_sentence(data)),
            paragraph(data.get("split_note") or ""),
            class_table(data),
        ),
        section(
            "Confusion matrix",
            paragraph("Rows are the truth, columns the prediction; in pixels, and in percent of the row."),
            matrix_table(data),
        ),
        section("Areas", paragraph(area_sentence(data)), area_table(data)),
        examples_part(examples or {}, bool(data.get("foreground_iou") is not None)),
        calibration_part(data),
        training_part(data, run_folder),
        importance_part(read(run_folder, IMPORTANCE_FILE)),
        data_part(dataset),
        section("Settings", names_and_values(settings(data))),
    ]
    write_page(path, title, parts)


def report_title(data: dict[str, Any]) -> str:
    """Return the default title: map against labels, or dataset and split."""
    if data.get("truth"):
        return f"{Path(data['prediction']).stem} against {data['truth']}"
    return f"{data.get('dataset') or 'GeoSeg'}: scores on the {data.get('split') or 'evaluated'} split"


def cards(numbers: Sequence[tuple[str, str, str]]) -> str:
    """Return the main scores as cards: name, value, note."""
    cells = "".join(
        f'<div class="card">{text(name)}<div class="big">{text(value)}</div><small>{text(note)}</small></div>'
        for name, value, note in numbers
    )
    return f'<div class="cards">{cells}</div>'


def examples_part(examples: dict[str, list[dict[str, Any]]], binary: bool) -> str:
    """Return the best and worst tiles: image, truth and prediction side by side.

    Args:
        examples: `best` and `worst` tiles.
        binary: whether their score is the IoU of the object.
    """
    parts = []
    for kind, title in (("worst", "Where it is worst"), ("best", "Where it is best")):
        tiles = "".join(map(tile, examples.get(kind) or []))
        if tiles:
            parts.append(f'<h3>{title}</h3><div class="tiles">{tiles}</div>')
    score = "IoU of the object" if binary else "mean IoU of the classes in the truth"
    note = f"Tiles of the evaluated split, by {score}. Pixels that are not evaluated have no colour in the truth."
    return section("Examples", *([paragraph(note), *parts] if parts else []))


def tile(found: dict[str, Any]) -> str:
    """Return one example tile."""
    pictures = "".join(
        f'<figure><img src="{text(found[key])}" alt="{key}"><figcaption>{key}</figcaption></figure>'
        for key in ("image", "truth", "prediction")
    )
    where = f"row {found['row']}, column {found['col']}, {found['size_px']} px"
    return f'<div class="tile"><b>IoU {number(found["iou"])}</b> <small>{where}</small><div>{pictures}</div></div>'


def calibration_part(data: dict[str, Any]) -> str:
    """Return the reliability curve and the calibration."""
    rows = data.get("reliability") or []
    if not rows:
        return ""
    return section("Calibration", *map(paragraph, calibration_sentences(data)), reliability_chart(rows))


def training_part(data: dict[str, Any], run_folder: Path | None) -> str:
    """Return the curves of the training, and the reasons of the automatic settings.

    Args:
        data: content of metrics.json.
        run_folder: folder of the training; None is none.
    """
    history = read(run_folder, HISTORY_FILE)
    epochs = history if isinstance(history, list) else []
    drawn = [curve(epochs, ("train_loss", "validation_loss")), curve(epochs, ("miou",), 0.0, 1.0)]
    plan = read(run_folder, PLAN_FILE)
    why = reasons(data, plan if isinstance(plan, dict) else {})
    listed = "".join(f"<li>{text(reason)}</li>" for reason in why)
    return section(
        "Training",
        f'<div class="charts">{"".join(drawn)}</div>' if any(drawn) else "",
        f'<h3>What was chosen, and why</h3><ul class="why">{listed}</ul>' if listed else "",
    )


def importance_part(found: Any) -> str:
    """Return the bars of band importance, if it was computed."""
    rows = found.get("bands") if isinstance(found, dict) else None
    if not rows:
        return ""
    permuted = all(row.get("permutation") is not None for row in rows)
    key, unit = (
        ("permutation", "IoU lost when the band's values are shuffled (validation)")
        if permuted
        else ("impurity", "share of the trees' gain")
    )
    bars = [(str(row["name"]), float(row.get(key) or 0.0)) for row in rows]
    bars.sort(key=lambda bar: -bar[1])
    left_out = (
        f"The {len(bars) - BANDS_SHOWN} least important are left out." if len(bars) > BANDS_SHOWN else ""
    )
    return section("Importance of bands", paragraph(left_out), importance_chart(bars[:BANDS_SHOWN], unit))


def data_part(dataset: Dataset | None) -> str:
    """Return grid, bands and split."""
    if dataset is None:
        return ""
    table = split_table(dataset) if dataset.counts else ""
    split = f"<h3>Labelled pixels</h3>{paragraph(split_sentence(dataset))}{table}" if table else ""
    return section("Data", names_and_values(data_rows(dataset)), split)


def read(folder: Path | None, name: str) -> Any:
    """Return the content of a JSON file of a run; None if it is missing or damaged.

    Args:
        folder: folder of the run; None gives None.
        name: name of the file.
    """
    return None if folder is None else kept_json(folder / name)


def class_table(data: dict[str, Any]) -> str:
    """Return precision, recall, F1, IoU with its interval, and pixels per class."""
    colours = {item["id"]: item["color"] for item in data.get("classes", [])}
    bounds = (data.get("intervals") or {}).get("per_class") or [None] * len(data["per_class"])
    heads = ("precision", "recall", "F1", "IoU", "true px", "predicted px")
    head = f"<th>class</th>{head_row(heads[:4], NUMBERS)}<th></th>{head_row(heads[4:], NUMBERS)}"
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
    return table(head, rows)


def matrix_table(data: dict[str, Any]) -> str:
    """Return the confusion matrix, shaded by the share of its row."""
    names = [row["name"] for row in data["per_class"]]
    head = "<th></th>" + head_row(names, NUMBERS)
    rows = []
    for index, (name, counts) in enumerate(zip(names, data["confusion"], strict=True)):
        total = sum(counts) or 1
        cells = "".join(
            f'<td style="background:{_shade(count / total, column == index)}">{count:,}<br>'
            f"<small>{count / total:.1%}</small></td>"
            for column, count in enumerate(counts)
        )
        rows.append(f"<tr><th>{text(name)}</th>{cells}</tr>")
    return table(head, rows, "matrix")


def area_table(data: dict[str, Any]) -> str:
    """Return the area of each class on the map and in truth, and their difference."""
    rows = data.get("areas") or []
    if not rows:
        return ""
    colours = {item["id"]: item["color"] for item in data.get("classes", [])}
    longest = max(max(row["mapped_m2"], row["true_m2"]) for row in rows)
    unit, size = unit_of(longest)
    head = "<th>class</th>" + head_row((f"on the map, {unit}", f"in truth, {unit}", "difference"), NUMBERS)
    body = "".join(
        f'<tr><td><span class="swatch" style="background:{text(colours.get(row["id"], "#888"))}"></span>'
        f'{text(row["name"])}</td><td class="n">{row["mapped_m2"] / size:,.3f}</td>'
        f'<td class="n">{row["true_m2"] / size:,.3f}</td>'
        f'<td class="n">{"–" if row["difference"] is None else format(row["difference"], "+.1%")}</td></tr>'
        for row in rows
    )
    return table(head, body)


def split_table(dataset: Dataset) -> str:
    """Return the labelled pixels per class and split."""
    head = "<th>split</th>" + head_row((item.name for item in dataset.classes), NUMBERS)
    rows = "".join(
        f"<tr><td>{text(split)}</td>"
        + "".join(f'<td class="n">{counts.get(str(item.id), 0):,}</td>' for item in dataset.classes)
        + "</tr>"
        for split, counts in dataset.counts.items()
    )
    return table(head, rows)


def _shade(share: float, right: bool) -> str:
    red, green, blue = (46, 133, 64) if right else (200, 69, 47)
    return f"rgba({red},{green},{blue},{share * 0.55:.2f})"
