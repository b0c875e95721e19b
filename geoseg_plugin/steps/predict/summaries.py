"""Texts about a model, a plan and a result of prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsUnitTypes

from ...layers.notes import runtime_text
from ...panel.texts import as_sentence, duration, share, tr


def model_note(result: dict[str, Any]) -> str:
    """Return a model as text, from the result of `describe`."""
    metrics = result.get("metrics") or {}
    miou = metrics.get("miou") if isinstance(metrics, dict) else None
    size = result.get("pixel_size")
    side = size[0] if isinstance(size, (list, tuple)) and size else size
    foreign = bool(result.get("foreign"))
    parts = [(tr("{} channels") if foreign else tr("{} bands")).format(len(result.get("bands") or []))]
    if isinstance(side, (int, float)) and side > 0:
        crs = QgsCoordinateReferenceSystem(str(result.get("crs") or ""))
        unit = QgsUnitTypes.toAbbreviatedString(crs.mapUnits()) if crs.isValid() else "m" if foreign else ""
        parts.append(tr("pixels of {:g} {}").format(side, unit).strip())
    if miou is not None:
        parts.append(tr("validation IoU {}").format(share(miou)))
    text = ", ".join(parts)
    if not foreign:
        return text
    why = tr(
        "A third-party model: its file does not state which bands it reads. Choose a band for each channel."
    )
    return f'{text}. {why} <a href="models-of-other-programs">{tr("Guide")}</a>'


def plan_sentence(result: Mapping[str, Any], settings: Mapping[str, Any], pace: float | None) -> str:
    """Return what will be done, the predictions per pixel, and how long that takes.

    Args:
        result: of the dry run.
        settings: fields of the job.
        pace: megapixels per second and prediction that the model reached before; None if it is not known.
    """
    sentence = str(result.get("sentence") or "")
    if not sentence:
        return ""
    predictions = int(result.get("looks") or 1)
    parts = [as_sentence(sentence)]
    if predictions > 1:
        parts.append(tr("{0} predictions per pixel: about {0} times as long.").format(predictions))
    grid = result.get("grid")
    if pace and isinstance(grid, Mapping):
        seconds = grid.get("width", 0) * grid.get("height", 0) / 1e6 / pace * predictions
        parts.append(tr("About {}, as fast as last time.").format(duration(max(seconds, 1))))
    cleaning = settings.get("cleaning")
    if cleaning is not None and cleaning.anything:
        parts.append(tr("The classes are post-processed at the end."))
    return " ".join(parts)


def result_note(result: Mapping[str, Any]) -> str:
    """Return how a map was predicted (with the averaged augmentations), and how it was post-processed."""
    parts = []
    by = runtime_text(result)
    if by:
        parts.append(tr("Run by {}.").format(by))
    if result.get("resumed_parts"):
        parts.append(tr("{} parts were already there.").format(result["resumed_parts"]))
    cleaned = result.get("cleaned")
    if isinstance(cleaned, Mapping):
        parts.append(tr("Post-processing changed {} pixels.").format(cleaned.get("changed_px", "–")))
    return " ".join(parts)
