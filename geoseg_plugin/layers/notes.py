"""Facts of a result: layer metadata and notes with model, date, device and scores."""

from __future__ import annotations

import datetime
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsLayerMetadata, QgsLayerNotesUtils, QgsMapLayer
from qgis.PyQt.QtCore import QCoreApplication

from ..contract import Dataset


def tr(text: str) -> str:
    return QCoreApplication.translate("notes", text)


def describe(layer: QgsMapLayer, title: str, notes: Mapping[str, str], on_disk: bool = True) -> None:
    """Write title and notes into the metadata of a layer and its notes in the layer tree. Main thread.

    Args:
        layer: to describe.
        title: of the metadata.
        notes: name -> text.
        on_disk: write them beside the file, too.
    """
    metadata = QgsLayerMetadata()
    metadata.setIdentifier(layer.source())
    metadata.setTitle(title)
    metadata.setType("dataset")
    metadata.setAbstract("\n".join(f"{name}: {text}" for name, text in notes.items()))
    metadata.setHistory([f"{name}: {text}" for name, text in notes.items()])
    metadata.setKeywords({"gmd:topicCategory": [], "GeoSeg": ["segmentation"]})
    metadata.setCrs(layer.crs())
    layer.setMetadata(metadata)
    if on_disk:
        layer.saveDefaultMetadata()
    rows = "".join(
        f"<tr><td><b>{html.escape(name)}</b></td><td>{html.escape(text)}</td></tr>"
        for name, text in notes.items()
    )
    QgsLayerNotesUtils.setLayerNotes(layer, f"<p>{html.escape(title)}</p><table>{rows}</table>")


def prediction_notes(folder: Path, result: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of a prediction, in reading order; what is unknown is left out. Any thread.

    Args:
        folder: of the prediction.
        result: of its job.
    """
    model = result.get("model", {})
    facts = {
        tr("Made by"): tr("GeoSeg, prediction"),
        tr("Made at"): now(),
        tr("Folder"): str(folder),
        tr("Model"): model if isinstance(model, str) else str(model.get("path", "")),
        tr("Score of the model"): score_text(result.get("scores")),
        tr("Runtime"): runtime_text(result),
        tr("Averaged over"): views_text(result),
        tr("Inputs"): ", ".join(
            f"{item.get('slot', '')} ← {item.get('file', '')}" for item in result.get("matched", ())
        ),
        tr("Cleaned"): cleaning_text(result),
        tr("Area"): areas_text(result),
        tr("Warnings"): warnings_text(result.get("warnings", ())),
    }
    return kept(facts)


def runtime_text(result: Mapping[str, Any]) -> str:
    """Return what the model was run with; precision and device where its title does not name them."""
    title = str(result.get("runtime") or "")
    rest = [str(result[key]) for key in ("precision", "device") if result.get(key)]
    return joined(title, *(part for part in rest if part.casefold() not in title.casefold()))


def score_text(scores: Any) -> str:
    """Quality of a model, from `records.predictions.scores_of`; empty where nothing is known."""
    if not isinstance(scores, Mapping) or not scores:
        return ""
    ends = scores.get("interval")
    between = f" ({number(ends[0])} – {number(ends[1])})" if ends else ""
    names = {"test": tr("mean IoU on the test set"), "validation": tr("mean IoU on the validation set")}
    split = str(scores.get("split"))
    return f"{names.get(split, tr('mean IoU, {}').format(split))} {number(scores.get('miou'))}{between}"


def views_text(result: Mapping[str, Any]) -> str:
    """How many views were averaged; empty for one."""
    views, passes = result.get("views"), result.get("dropout_passes")
    if not isinstance(views, int) or views < 2:
        return ""
    of_dropout = tr(", with {} passes of dropout").format(passes) if passes else ""
    return tr("{} views of each pixel").format(views) + of_dropout


def cleaning_text(result: Mapping[str, Any]) -> str:
    """What was done to the classes and how many pixels changed; empty if nothing was."""
    cleaned, steps_set = result.get("cleaned"), result.get("cleaning") or {}
    if not isinstance(cleaned, Mapping):
        return ""
    names = {
        "majority_px": tr("majority in {} px"),
        "opening_px": tr("opening by {} px"),
        "closing_px": tr("closing by {} px"),
        "fill_holes_px": tr("holes below {} px"),
        "min_patch_px": tr("patches below {} px"),
    }
    steps_set = {**steps_set, "min_patch_px": steps_set.get("min_patch_px", steps_set.get("least_area_px"))}
    steps = [text.format(steps_set[key]) for key, text in names.items() if steps_set.get(key)]
    changed = tr("{} pixels changed class").format(cleaned.get("changed_px", "–"))
    return "; ".join([", ".join(steps), changed]) if steps else changed


def tiles_notes(folder: Path, dataset: Dataset) -> dict[str, str]:
    """Return the facts of a dataset. Any thread.

    Args:
        folder: of the dataset.
        dataset: as the engine wrote it.
    """
    names = {str(item.id): item.name for item in dataset.classes}
    facts = {
        tr("Made by"): tr("GeoSeg, tiles"),
        tr("Made at"): now(),
        tr("Folder"): str(folder),
        tr("Tile"): tr("{} px, step {} px").format(dataset.tile_px, dataset.stride_px),
        tr("Blocks"): tr("{} px with a buffer of {} px").format(dataset.block_px, dataset.buffer_px),
        tr("Bands"): ", ".join(band.name for band in dataset.recipe.bands),
        tr("Unlabelled pixels"): dataset.unlabelled,
    }
    for split, counts in dataset.counts.items():
        facts[tr("Labelled pixels, {}").format(split)] = ", ".join(
            f"{names.get(key, key)} {count}" for key, count in counts.items()
        )
    facts[tr("Warnings")] = " ".join(item.message for item in dataset.warnings)
    return kept(facts)


def evaluation_notes(folder: Path, result: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of an evaluation: the scores from one confusion matrix. Any thread.

    Args:
        folder: of the evaluation.
        result: of its job.
    """
    facts = {
        tr("Made by"): tr("GeoSeg, evaluation"),
        tr("Made at"): now(),
        tr("Folder"): str(folder),
        tr("Split"): str(result.get("split", "")),
        tr("Mean IoU"): number(result.get("miou")),
        tr("Overall accuracy"): number(result.get("accuracy")),
    }
    for item in result.get("per_class", ()):
        facts[str(item["name"])] = tr("precision {}, recall {}, F1 {}, IoU {}").format(
            *(number(item.get(key)) for key in ("precision", "recall", "f1", "iou"))
        )
    facts[tr("Warnings")] = warnings_text(result.get("warnings", ()))
    return kept(facts)


def areas_text(result: Mapping[str, Any]) -> str:
    """Area of each class in square kilometres or hectares."""
    names = {str(item["id"]): item["name"] for item in result.get("classes", ())}
    parts = []
    for key, area_m2 in (result.get("areas_m2") or {}).items():
        large = area_m2 >= 1e7
        size = f"{area_m2 / 1e6:,.2f} km²" if large else f"{area_m2 / 1e4:,.2f} ha"
        parts.append(f"{names.get(key, key)} {size}")
    return ", ".join(parts)


def warnings_text(warnings: Any) -> str:
    """Messages of warnings as one text."""
    return " ".join(str(item.get("message", "")) for item in warnings if isinstance(item, Mapping))


def number(value: Any) -> str:
    """A score with three decimals; a dash where there is none."""
    return f"{value:.3f}" if isinstance(value, (int, float)) else "–"


def joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def kept(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if text}
