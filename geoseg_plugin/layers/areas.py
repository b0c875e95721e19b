"""Areas as text: the rows of an areas result as texts, for tables, layouts and logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

KM2_FROM_M2 = 1e7
"""From ten square kilometres on, areas are shown in them; below, in hectares."""


def tr(text: str) -> str:
    return QCoreApplication.translate("areas", text)


def unit_of(areas_m2: Iterable[float]) -> tuple[str, float]:
    """Return the unit in which all areas of one table are shown, and its square metres."""
    return ("km²", 1e6) if max(areas_m2, default=0.0) >= KM2_FROM_M2 else ("ha", 1e4)


def area_text(area_m2: float | None, unit_m2: float) -> str:
    """Return an area without unit; a dash where there is none. Any thread.

    Args:
        area_m2: in square metres.
        unit_m2: square metres of the unit in which it is shown.
    """
    if area_m2 is None:
        return "–"
    value = area_m2 / unit_m2
    return f"{value:,.{decimals(value)}f}".replace(",", "\u202f")


def decimals(value: float) -> int:
    return 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2


def percent_text(share: float | None) -> str:
    """A share of one in percent."""
    if share is None:
        return "–"
    return "<0.1\u00a0%" if 0 < share < 0.0005 else f"{100 * share:.1f}\u00a0%"


def rows_of_prediction(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a prediction as one of areas: what it counted itself."""
    areas, counts = result.get("areas_m2") or {}, result.get("counts") or {}
    total = sum(areas.values())
    rows = [
        {
            "id": item.get("id"),
            "name": item.get("name"),
            "color": item.get("color"),
            "pixels": counts.get(str(item.get("id"))),
            "area_m2": areas[str(item.get("id"))],
            "share": areas[str(item.get("id"))] / total if total else None,
        }
        for item in result.get("classes", ())
        if str(item.get("id")) in areas
    ]
    return {"rows": rows, "total_m2": total} if rows else {}


def is_adjusted(result: Mapping[str, Any]) -> bool:
    """Whether a sample corrected these areas."""
    return any(row.get("adjusted_m2") is not None for row in result.get("rows", ()))


def largest_area(row: Mapping[str, Any]) -> float:
    """The area of a class on the map or by the sample, whichever is larger: some are only in the sample."""
    return max(float(row.get(key) or 0.0) for key in ("area_m2", "adjusted_m2"))


def interval_of(row: Mapping[str, Any], unit_m2: float) -> str:
    """Return the interval of a class as `12.1–14.9`, or nothing. Any thread.

    Args:
        row: of an areas result.
        unit_m2: square metres of the unit in which it is shown.
    """
    low, high = row.get("low_m2"), row.get("high_m2")
    if low is None or high is None:
        return ""
    return f"{area_text(low, unit_m2)}–{area_text(high, unit_m2)}"


def area_table(
    result: Mapping[str, Any], narrow: bool = False
) -> tuple[list[str], list[list[str]], list[str]]:
    """Return heads, rows and colours of the areas of classes, as texts. Any thread.

    Args:
        result: of an areas job.
        narrow: leave out the shares where a sample adds a column.
    """
    rows = list(result.get("rows", ()))
    unit, unit_m2 = unit_of(row.get("area_m2") or 0.0 for row in rows)
    adjusted = is_adjusted(result)
    heads = [tr("Class"), tr("Share"), tr("Map, {}").format(unit)]
    if adjusted:
        heads.append(tr("Sample, {}").format(unit))
    texts = [area_row(row, unit_m2, adjusted) for row in rows]
    if narrow and adjusted:
        heads, texts = [head for head in heads if head != tr("Share")], [[row[0], *row[2:]] for row in texts]
    return heads, texts, [str(row.get("color") or "") for row in rows]


def area_row(row: Mapping[str, Any], unit_m2: float, adjusted: bool) -> list[str]:
    """Return one class as texts; the interval is below the area that the sample gives. Any thread.

    Args:
        row: of an areas result.
        unit_m2: square metres of the unit in which areas are shown.
        adjusted: whether there is a column of the sample.
    """
    texts = [str(row.get("name")), percent_text(row.get("share")), area_text(row.get("area_m2"), unit_m2)]
    if adjusted:
        interval = interval_of(row, unit_m2)
        best = area_text(row.get("adjusted_m2"), unit_m2)
        texts.append(f"{best}\n{interval}" if interval else best)
    return texts


def accuracy_sentence(result: Mapping[str, Any], printed: bool = False) -> str:
    """Return the accuracy of the map by the sample, and how many points have no class yet. Any thread.

    Args:
        result: of an areas job.
        printed: leave out what the user still has to do.
    """
    overall, sample = result.get("overall") or {}, result.get("sample") or {}
    if overall.get("accuracy") is None:
        return ""
    level = round(100 * float(result.get("confidence_level") or 0.95))
    left_out = sample.get("left_out") or 0
    used = sample.get("used", "?")
    points = tr("{} of {}").format(used, sample.get("points", "?")) if printed and left_out else used
    text = tr("By {} points, {} of the map is right ({} % interval {}–{}).").format(
        points,
        percent_text(overall["accuracy"]),
        level,
        percent_text(overall.get("low")),
        percent_text(overall.get("high")),
    )
    if not left_out or printed:
        return text
    open_points = tr("1 point has no class yet.") if left_out == 1 else tr("{} points have no class yet.")
    return f"{text} {open_points.format(left_out)}"


def area_sentences(result: Mapping[str, Any]) -> Sequence[str]:
    """A line a class, and one of the whole."""
    heads, rows, _colors = area_table(result)
    lines = [", ".join((row[0], *_with_heads(heads[1:], row[1:]))) for row in rows]
    accuracy = accuracy_sentence(result)
    return [*lines, accuracy] if accuracy else lines


def _with_heads(heads: Sequence[str], texts: Sequence[str]) -> list[str]:
    found = []
    for head, text in zip(heads, texts, strict=True):
        best, _, interval = text.partition("\n")
        found.append(f"{head}: {best} ({interval})" if interval else f"{head}: {best}")
    return found
