"""The figure of a comparison: one bar a model with its interval, grouped by band set; SVG without any library."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

WIDTH, LABELS, RIGHT, TOP = 760, 200, 70, 46
BAR, GAP, HEADING, FOOT = 18, 10, 28, 34
PALETTE = ("#4477aa", "#ccbb44", "#66ccee", "#ee6677", "#228833", "#aa3377")
"""Paul Tol's bright scheme, that colour-blind readers can tell apart; one colour a model in every band set."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; } .soft { fill: #666; } .head { font-weight: 600; }
.paper { fill: #fff; } .line { stroke: #ccc; } .whisker { stroke: #222; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
 text { fill: #eee; } .soft { fill: #aaa; } .paper { fill: #1e1e1e; } .line { stroke: #555; }
 .whisker { stroke: #eee; }
}
"""
TITLES = {"foreground_iou": "IoU of the class", "miou": "mean IoU of the classes"}


def figure(rows: Sequence[dict[str, Any]], score: str, split: str) -> str:
    """The SVG of a comparison's rows.

    Args:
        rows: of `ranking.ranked`; those without a score are left out.
        score: `foreground_iou` or `miou`.
        split: that was judged.
    """
    rows = [row for row in rows if row["iou"] is not None]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["bands"], []).append(row)
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(models_of(rows))}
    headed = len(groups) > 1
    height = TOP + len(rows) * (BAR + GAP) + headed * len(groups) * HEADING + FOOT
    top = axis_top(rows)
    parts = [
        f'<rect class="paper" fill="#fff" width="{WIDTH}" height="{height}"/>',
        f'<text class="head" x="16" y="26">{html.escape(TITLES[score])}, {html.escape(split)} split</text>',
        *axis(top, height),
    ]
    y = TOP
    for name, group in groups.items():
        if headed:
            parts.append(f'<text class="head" x="16" y="{y + 16}">{html.escape(name)}</text>')
            y += HEADING
        for row in group:
            parts += bar(row, y, top, colours[row["model"]])
            y += BAR + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img"><style>{STYLE}</style>{"".join(parts)}</svg>\n'
    )


def models_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the models, each once."""
    return list(dict.fromkeys(row["model"] for row in rows))


def axis_top(rows: Sequence[dict[str, Any]]) -> float:
    """End of the axis: the next tenth above the longest bar and whisker."""
    longest = max((max([row["iou"], *(row["interval"] or ())]) for row in rows), default=1.0)
    return min(max(math.ceil(longest * 10 - 1e-9) / 10, 0.1), 1.0)


def axis(top: float, height: int) -> list[str]:
    """Lines and numbers at every tenth or fifth."""
    step = 0.1 if top <= 0.5 else 0.2
    parts = []
    for number in range(math.floor(top / step + 1e-9) + 1):
        x = place(number * step, top)
        parts.append(f'<path class="line" stroke="#ccc" d="M{x:.1f},{TOP - 6}V{height - FOOT}"/>')
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{height - 14}" text-anchor="middle">{number * step:.1f}</text>'
        )
    return parts


def bar(row: dict[str, Any], y: int, top: float, colour: str) -> list[str]:
    """One model: name, bar, whisker of its interval, value."""
    start, end, middle = place(0.0, top), place(row["iou"], top), y + BAR / 2
    parts = [
        f'<text x="{LABELS - 10}" y="{middle + 5}" text-anchor="end">{html.escape(shortened(row["model"]))}</text>',
        f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
    ]
    if row["interval"]:
        low, high = (place(value, top) for value in row["interval"])
        cap = BAR / 3
        parts.append(
            f'<path class="whisker" stroke="#222" fill="none" d="M{low:.1f},{middle}H{high:.1f}'
            f'M{low:.1f},{middle - cap:.1f}v{2 * cap:.1f}M{high:.1f},{middle - cap:.1f}v{2 * cap:.1f}"/>'
        )
        end = max(end, high)
    parts.append(f'<text x="{end + 8:.1f}" y="{middle + 5}">{row["iou"]:.3f}</text>')
    return parts


def place(value: float, top: float) -> float:
    """Where a score lies on the axis, in pixels."""
    return LABELS + min(max(value / top, 0.0), 1.0) * (WIDTH - LABELS - RIGHT)


def shortened(name: str) -> str:
    """A name that fits before its bar."""
    return name if len(name) <= 26 else f"{name[:25]}…"
