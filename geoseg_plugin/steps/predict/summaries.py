"""A model, a plan and a result of prediction in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsUnitTypes

from ...layers.notes import runtime_text
from ...panel.texts import duration, share, tr


def model_note(result: dict[str, Any]) -> str:
    """A model in words, from the answer of `describe`."""
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
    why = tr("A model of another program: it does not say which bands it reads. Choose one for each channel.")
    return f'{text}. {why} <a href="models-of-other-programs">{tr("Guide")}</a>'


def plan_sentence(result: Mapping[str, Any], settings: Mapping[str, Any], pace: float | None) -> str:
    """What will be done, how often each pixel is looked at, and how long that takes.

    Args:
        result: of the dry run.
        settings: fields of the job.
        pace: megapixels a second and view that the model reached before; None if it is not known.
    """
    said = str(result.get("sentence") or "")
    if not said:
        return ""
    looks = int(result.get("looks") or 1)
    parts = [said if said.endswith(".") else f"{said}."]
    if looks > 1:
        parts.append(tr("Each pixel is looked at {0} times: about {0} times as long.").format(looks))
    grid = result.get("grid")
    if pace and isinstance(grid, Mapping):
        seconds = grid.get("width", 0) * grid.get("height", 0) / 1e6 / pace * looks
        parts.append(tr("About {}, as fast as last time.").format(duration(max(seconds, 1))))
    cleaning = settings.get("cleaning")
    if cleaning is not None and cleaning.anything:
        parts.append(tr("The classes are cleaned at the end."))
    return " ".join(parts)


def result_note(result: Mapping[str, Any]) -> str:
    """By what a map was made (which names the views that were averaged), and what was done to it."""
    said = []
    by = runtime_text(result)
    if by:
        said.append(tr("Run by {}.").format(by))
    if result.get("resumed_parts"):
        said.append(tr("{} parts were there already.").format(result["resumed_parts"]))
    cleaned = result.get("cleaned")
    if isinstance(cleaned, Mapping):
        said.append(tr("Cleaning changed {} pixels.").format(cleaned.get("changed_px", "–")))
    return " ".join(said)
