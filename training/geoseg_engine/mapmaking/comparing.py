"""The score of a map, and how it compares with the one before on the same test areas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..contract import kept_json
from ..contract.stages import Made

KEPT = ("miou", "accuracy", "per_class", "split")
"""Of the metrics of an evaluation, what the result of a map holds."""
STILL = 0.005
"""A difference that is nothing in two digits."""


def compared(
    evaluation: Path, record: Mapping[str, Made], before: Mapping[str, Made], same_areas: bool
) -> dict[str, Any]:
    """Return the scores of a map as fields of its result.

    Args:
        evaluation: folder of its evaluation.
        record: what was made.
        before: what was made when the run began.
        same_areas: whether the split was kept.

    Returns:
        `miou`, its interval, the one before where they compare, the difference, and a sentence.
    """
    metrics = kept_json(evaluation / "metrics.json")
    metrics = metrics if isinstance(metrics, dict) else {}
    now, old = _score(record), _score(before)
    interval = _interval(metrics)
    previous = old if same_areas and now is not None and old is not None else None
    found = {
        "miou": now,
        "interval": interval,
        "scores": {"interval": interval, **{key: metrics[key] for key in KEPT if key in metrics}},
        "previous_miou": previous,
        "difference": round(now - previous, 4) if previous is not None and now is not None else None,
        "comparable": previous is not None,
    }
    labels_changed = _test_state(record) != _test_state(before)
    return {**found, "score_sentence": _sentence(now, interval, previous, old, labels_changed)}


def _score(record: Mapping[str, Made]) -> float | None:
    value = record["accuracy"].result.get("miou") if "accuracy" in record else None
    return float(value) if isinstance(value, int | float) else None


def _interval(metrics: Mapping[str, Any]) -> list[float] | None:
    bounds = metrics.get("intervals")
    found = bounds.get("miou") if isinstance(bounds, dict) else None
    return found if isinstance(found, list) and len(found) == 2 else None


def _test_state(record: Mapping[str, Made]) -> Any:
    return record["split"].result.get("counts", {}).get("test") if "split" in record else None


def _sentence(
    now: float | None,
    interval: list[float] | None,
    previous: float | None,
    old: float | None,
    labels_changed: bool,
) -> str:
    if now is None:
        return "There is no score: no labelled pixel lies in the test areas."
    text = f"IoU {now:.2f}"
    if interval:
        text += f" ({interval[0]:.2f} to {interval[1]:.2f})"
    if previous is None and old is not None:
        return f"{text}; the test areas are new, so it does not compare with {old:.2f} before."
    if previous is None:
        return f"{text}."
    difference = now - previous
    shown = "unchanged" if abs(difference) < STILL else f"{difference:+.2f}"
    edited = ", whose labels have changed" if labels_changed else ""
    return f"{text}, {shown} on the same test areas{edited}."
