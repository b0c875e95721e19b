"""Charts of the evaluation report as inline SVG: curves over the epochs, reliability, a score per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .html import number, text

WIDTH, HEIGHT, MARGIN = 460, 240, 44
COLOURS = {"train_loss": "--one", "validation_loss": "--two", "miou": "--three", "foreground_iou": "--one"}
TITLES = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "miou": "mean IoU (validation)",
    "foreground_iou": "IoU of the object (validation)",
}
SQUARE = 300


def curve(
    epochs: Sequence[dict[str, Any]], keys: Sequence[str], low: float = 0.0, high: float | None = None
) -> str:
    """Return lines over the epochs on one pair of axes; empty without two known points.

    Args:
        epochs: rows of history.json.
        keys: keys of the lines.
        low: lower end of the axis, or below if a value is.
        high: upper end; None is above the largest value.
    """
    lines = {key: [(row["epoch"], row[key]) for row in epochs if row.get(key) is not None] for key in keys}
    lines = {key: points for key, points in lines.items() if len(points) > 1}
    if not lines:
        return ""
    values = [value for points in lines.values() for _, value in points]
    first, last = min(p[0][0] for p in lines.values()), max(p[-1][0] for p in lines.values())
    low = min(low, *values)
    top = high if high is not None else low + (max(values) - low) * 1.05 or 1.0

    def place(epoch: float, value: float) -> tuple[float, float]:
        x = MARGIN + (epoch - first) / max(last - first, 1) * (WIDTH - 1.5 * MARGIN)
        return x, HEIGHT - MARGIN - (value - low) / (top - low) * (HEIGHT - 2 * MARGIN)

    drawn = []
    for tick in range(5):
        value = low + (top - low) * tick / 4
        (x, y), (end, _) = place(first, value), place(last, value)
        drawn.append(f'<path class="axis" d="M{x:.1f},{y:.1f}H{end:.1f}"/>')
        drawn.append(_label(x - 6, y, f"{value:.2g}", "end"))
    for index, (key, points) in enumerate(lines.items()):
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
        paint = f"var({COLOURS[key]})"
        drawn.append(f'<polyline points="{path}" style="fill:none;stroke:{paint};stroke-width:2"/>')
        drawn.append(f'<rect x="{MARGIN + 175 * index}" y="6" width="14" height="4" style="fill:{paint}"/>')
        drawn.append(f'<text x="{MARGIN + 20 + 175 * index}" y="13">{TITLES[key]}</text>')
    middle = (place(first, low)[0] + place(last, low)[0]) / 2
    drawn.append(_label(middle, HEIGHT - 22, f"epoch {first} to {last}", "middle"))
    return _svg(WIDTH, HEIGHT, " and ".join(TITLES[key] for key in lines), drawn)


def reliability_chart(curve: Sequence[dict[str, Any]]) -> str:
    """Return accuracy over confidence: below the diagonal the confidence is too high.

    Points are as large as their share of the pixels.
    """
    left, top, side = 58, 14, SQUARE - 70
    total = sum(row["pixels"] for row in curve) or 1

    def place(confidence: float, accuracy: float) -> tuple[float, float]:
        return left + confidence * side, top + (1 - accuracy) * side

    drawn = [f'<rect class="axis" x="{left}" y="{top}" width="{side}" height="{side}"/>']
    (x, y), (end, up) = place(0, 0), place(1, 1)
    drawn.append(f'<path class="guide" stroke-dasharray="4 4" d="M{x},{y}L{end},{up}"/>')
    for value in (0, 0.25, 0.5, 0.75, 1):
        drawn.append(_label(place(value, 0)[0], y + 14, f"{value:g}", "middle"))
        drawn.append(_label(left - 6, place(0, value)[1], f"{value:g}", "end"))
    points = [place(row["confidence"], row["accuracy"]) for row in curve]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn.append(f'<polyline points="{path}" style="fill:none;stroke:var(--one);stroke-width:1.5"/>')
    for row, (x, y) in zip(curve, points, strict=True):
        radius = 2.5 + 7 * (row["pixels"] / total) ** 0.5
        share = row["pixels"] / total
        note = (
            f"confidence {row['confidence']:.2f}, accuracy {row['accuracy']:.2f}, {share:.1%} of the pixels"
        )
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" style="fill:var(--one);fill-opacity:.75">'
            f"<title>{note}</title></circle>"
        )
    drawn.append(_label(left + side / 2, SQUARE - 18, "confidence of the model", "middle"))
    turned = f'transform="translate(12 {top + side / 2}) rotate(-90)" text-anchor="middle"'
    drawn.append(f'<text class="note" {turned}>accuracy</text>')
    return _svg(SQUARE, SQUARE, "reliability curve", drawn)


def score_bar(value: float | None, interval: Sequence[float] | None, colour: str) -> str:
    """Return a score as a bar in the class's colour, its interval as a line through the end.

    Args:
        value: 0 to 1; None gives nothing.
        interval: its ends; None is none.
        colour: as CSS writes it.
    """
    if value is None:
        return ""
    drawn = [
        '<rect class="axis" x=".5" y="3.5" width="139" height="11" rx="2"/>',
        f'<rect x="1" y="4" width="{138 * value:.1f}" height="10" rx="2" style="fill:{colour}"/>',
    ]
    if interval:
        low, high = (1 + 138 * end for end in interval)
        drawn.append(
            f'<path d="M{low:.1f},9H{high:.1f}M{low:.1f},5v8M{high:.1f},5v8" '
            'style="stroke:var(--ink);stroke-width:1.5;fill:none"/>'
        )
    return _svg(140, 18, f"IoU {number(value)}", drawn)


def _label(x: float, y: float, words: str, anchor: str, quiet: bool = True) -> str:
    kind = ' class="note"' if quiet else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" dy=".32em" text-anchor="{anchor}">{text(words)}</text>'


def _svg(width: float, height: float, title: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" font-size="12" '
        f'aria-label="{text(title)}">{"".join(drawn)}</svg>'
    )
