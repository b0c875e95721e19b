"""What a printed map shows besides the map: title, scores, notes, whose data it is. Plain texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication

from . import notes

LONGEST_NAME = 40
FEW_CLASSES, FEW_FILES = 5, 3
"""As many are named in a line."""
DATED = re.compile(r"^(\d{4})(\d{2})(\d{2})-\d{4}-")
"""With what the name of a run begins: day, time of day."""
TOO_GOOD = ("seen_ground", "other_split")
"""Warnings of an evaluation without which its scores would mislead."""


def tr(text: str) -> str:
    return QCoreApplication.translate("layout", text)


@dataclass(frozen=True)
class Sheet:
    """A map to print.

    Attributes:
        title: above everything.
        layers: on the map, the uppermost first.
        legend: those of them that the legend explains.
        extent, crs: of the map.
        subtitle: below the title.
        areas: result of the engine's `areas`, or what `rows_of_prediction` makes of a prediction.
        scores: lines about how good the map is, below `scores_title`.
        notes: name -> text, about model and data.
        attribution: whose data it is.
        name: of the layout; empty is the title.
    """

    title: str
    layers: tuple[QgsMapLayer, ...]
    legend: tuple[QgsMapLayer, ...]
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    subtitle: str = ""
    areas: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[str, ...] = ()
    scores_title: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    attribution: str = ""
    name: str = ""


def facts_of(layer: QgsMapLayer) -> dict[str, str]:
    """The facts that GeoSeg wrote into a layer's metadata, or beside its file."""
    written = layer.metadata().abstract()
    if not written:
        copy = layer.clone()
        copy.loadDefaultMetadata()
        written = copy.metadata().abstract()
    pairs = [line.partition(": ") for line in written.splitlines()]
    return {name: text for name, colon, text in pairs if colon}


def model_of(layer: QgsMapLayer) -> str:
    """The model file by which a map was made; empty if that is not known or the file is gone."""
    path = facts_of(layer).get(notes.tr("Model"), "")
    return path if path and Path(path).is_file() else ""


def heading_of(classes: QgsRasterLayer, project: QgsProject) -> str:
    """The project's title, else what is drawn: `Map of forest, water`.

    Args:
        classes: the map.
        project: whose title goes first.
    """
    if project.title():
        return str(project.title())
    renderer = classes.renderer()
    entries = renderer.classes() if isinstance(renderer, QgsPalettedRasterRenderer) else []
    drawn = [item.label.replace("_", " ") for item in entries if item.color.alpha() > 0]
    if len(drawn) > FEW_CLASSES:
        return tr("Map of {} classes").format(len(drawn))
    return tr("Map of {}").format(", ".join(drawn)) if drawn else str(classes.name())


def printed_notes(facts: Mapping[str, str]) -> dict[str, str]:
    """Of the facts of a prediction those that are printed."""
    model, inputs = facts.get(notes.tr("Model"), ""), facts.get(notes.tr("Inputs"), "")
    found = {
        tr("Model"): model_name(model),
        tr("Data"): ", ".join(file_name(item) for item in inputs.split(", ") if item),
        tr("Cleaned"): facts.get(notes.tr("Cleaned"), ""),
        tr("Made"): facts.get(notes.tr("Made at"), "")[:10],
    }
    return {name: text for name, text in found.items() if text}


def file_name(item: str) -> str:
    """The file of `slot ← file`, not too long for a line."""
    name = Path(item.partition("←")[2].strip()).name
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]}…{name[-LONGEST_NAME // 2 :]}"


def model_name(path: str) -> str:
    """The run of `…/<run>/model.onnx`, else the file's name: `20260101-0900-slides` is `slides (2026-01-01)`."""
    file = Path(path)
    name = file.parent.name if file.stem == "model" and file.parent.name else file.stem
    dated = DATED.match(name)
    return f"{name[dated.end() :]} ({dated[1]}-{dated[2]}-{dated[3]})" if dated else name


def score_lines(evaluation: Mapping[str, Any], maximum: int = 8) -> list[str]:
    """Return what was evaluated, what makes it look too good, and scores with intervals: overall, then per class.

    Args:
        evaluation: metrics of a model or map.
        most: largest number of classes that are listed.
    """
    if not evaluation:
        return []
    binary = evaluation.get("foreground_iou") is not None
    key, name = ("foreground_iou", tr("IoU {}")) if binary else ("miou", tr("Mean IoU {}"))
    intervals = evaluation.get("intervals") or {}
    per_class = list(evaluation.get("per_class") or [])
    overall = with_interval(evaluation.get(key), intervals.get(key))
    of_one = binary and len(per_class) > 1
    lines = [
        *evaluated_on(evaluation),
        tr("IoU of {}: {}").format(per_class[1].get("name"), overall) if of_one else name.format(overall),
        tr("Accuracy {}").format(with_interval(evaluation.get("accuracy"), intervals.get("accuracy"))),
    ]
    ends = list(intervals.get("per_class") or [])
    if not binary and len(per_class) <= maximum:
        for number, item in enumerate(per_class):
            pair = ends[number] if number < len(ends) else None
            lines.append(tr("{}: IoU {}").format(item.get("name"), with_interval(item.get("iou"), pair)))
    return lines


def evaluated_on(evaluation: Mapping[str, Any]) -> list[str]:
    """Which labels the scores are from and how many pixels were compared, and warnings of TOO_GOOD."""
    labels = str(evaluation.get("truth") or "")
    if not labels and evaluation.get("dataset"):
        labels = tr("{} blocks of '{}'").format(evaluation.get("split", ""), evaluation["dataset"])
    pixels = evaluation.get("pixels")
    counted = tr("{} pixels").format(f"{pixels:,}".replace(",", "\u202f")) if isinstance(pixels, int) else ""
    basis = ", ".join(part for part in (labels, counted) if part)
    warned = [item for item in evaluation.get("warnings") or () if item.get("code") in TOO_GOOD]
    return [
        *([tr("Evaluated on: {}").format(basis)] if basis else []),
        *(tr("Caution: {}").format(item.get("message", "")) for item in warned),
    ]


def with_interval(value: Any, ends: Sequence[float | None] | None) -> str:
    """Return a score with its interval as `0.81 (0.77–0.85)`. Any thread.

    Args:
        value: the score.
        ends: of the interval; None without one.
    """
    if not isinstance(value, (int, float)):
        return "–"
    if not ends or None in ends:
        return f"{value:.2f}"
    return f"{value:.2f} ({ends[0]:.2f}–{ends[1]:.2f})"


def attribution_of(layers: Iterable[QgsMapLayer]) -> str:
    """Return the rights that the layers state, each once."""
    found: dict[str, None] = {}
    for layer in layers:
        rights = (*layer.metadata().rights(), layer.serverProperties().attribution())
        found |= {text.strip(): None for text in rights if text.strip()}
    return "; ".join(found)


def scores_title(of_model: bool) -> str:
    """Return the heading of the scores: of a model on held-out data, or of a map beside labels."""
    return (
        tr("Accuracy of the model on held-out data") if of_model else tr("How well the map fits the labels")
    )


def subtitle_of(notes: Mapping[str, str]) -> str:
    """Data and day in one line."""
    files = [name for name in notes.get(tr("Data"), "").split(", ") if name]
    more = len(files) - FEW_FILES
    named = ", ".join(files[:FEW_FILES]) + (tr(" and {} more").format(more) if more > 0 else "")
    parts = (tr("Predicted from {}").format(named) if files else "", notes.get(tr("Made"), ""))
    return ", ".join(part for part in parts if part)
