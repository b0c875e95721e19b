"""The picture of areas: a bar a class in its colour, and the adjusted area with its interval; plain SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from .tables import unit_of

WIDTH, NAMES, RIGHT, TOP = 760, 200, 110, 62
BAR, GAP, FOOT = 20, 12, 40
LONGEST_NAME = 26
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; } .soft { fill: #666; } .head { font-weight: 600; }
.paper { fill: #fff; } .line { stroke: #ccc; } .mark { stroke: #222; } .halo { stroke: #fff; }
.dot { fill: #222; } .bar { stroke: #888; stroke-width: .5; }
@media (prefers-color-scheme: dark) {
 text { fill: #eee; } .soft { fill: #aaa; } .paper { fill: #1e1e1e; } .line { stroke: #555; }
 .mark { stroke: #eee; } .halo { stroke: #1e1e1e; } .dot { fill: #eee; }
}
"""


def area_chart(rows: Sequence[dict[str, Any]], level: float) -> str:
    """The SVG of the rows of `areas`.

    Args:
        rows: with or without adjusted areas.
        level: of their intervals.
    """
    adjusted = any(row.get("adjusted_m2") is not None for row in rows)
    longest = max(max(row["area_m2"], row.get("high_m2") or 0.0) for row in rows)
    unit, size = unit_of(longest)
    step = nice_step(longest / size)
    top = math.ceil(longest / size / step - 1e-9) * step
    height = TOP + len(rows) * (BAR + GAP) + FOOT
    note = f"bars: counted on the map; dots: adjusted by the sample, with {level:.0%} intervals"
    parts = [
        f'<rect class="paper" fill="#fff" width="{WIDTH}" height="{height}"/>',
        f'<text class="head" x="16" y="24">Area of each class in {unit}</text>',
        f'<text class="soft" x="16" y="44">{note if adjusted else "counted on the map"}</text>',
        *axis(top, step, height),
    ]
    for number, row in enumerate(rows):
        parts += bar(row, TOP + number * (BAR + GAP), top, size)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img"><style>{STYLE}</style>{"".join(parts)}</svg>\n'
    )


def nice_step(most: float) -> float:
    """1, 2 or 5 times a power of ten, of which three to eight fit into a number."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(factor * power for factor in (1, 2, 5, 10) if most / (factor * power) <= 6)


def axis(top: float, step: float, height: int) -> list[str]:
    """Lines and numbers."""
    parts = []
    for number in range(round(top / step) + 1):
        x = place(number * step, top)
        parts.append(f'<path class="line" stroke="#ccc" d="M{x:.1f},{TOP - 6}V{height - FOOT}"/>')
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{height - 16}" text-anchor="middle">{number * step:,.10g}</text>'
        )
    return parts


def bar(row: dict[str, Any], y: int, top: float, size: float) -> list[str]:
    """One class: name, bar, and dot and whisker of what the sample says."""
    start, end, middle = place(0.0, top), place(row["area_m2"] / size, top), y + BAR / 2
    name = row["name"] if len(row["name"]) <= LONGEST_NAME else f"{row['name'][: LONGEST_NAME - 1]}…"
    parts = [
        f'<text x="{NAMES - 10}" y="{middle + 5}" text-anchor="end">{html.escape(name)}</text>',
        f'<rect class="bar" x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{BAR}" rx="2" '
        f'fill="{html.escape(row["color"])}"/>',
    ]
    shown = row["area_m2"]
    if row.get("adjusted_m2") is not None:
        shown = row["adjusted_m2"]
        dot, low, high = (place(row[key] / size, top) for key in ("adjusted_m2", "low_m2", "high_m2"))
        cap = BAR / 4
        path = f"M{low:.1f},{middle}H{high:.1f}"
        path += "".join(f"M{x:.1f},{middle - cap:.1f}v{2 * cap:.1f}" for x in (low, high))
        parts += [
            f'<path class="halo" stroke="#fff" stroke-width="4" fill="none" d="{path}"/>',
            f'<path class="mark" stroke="#222" stroke-width="1.5" fill="none" d="{path}"/>',
        ]
        parts.append(f'<circle class="dot" cx="{dot:.1f}" cy="{middle}" r="3.5"/>')
        end = max(end, high)
    parts.append(f'<text x="{end + 8:.1f}" y="{middle + 5}">{shown / size:,.4g}</text>')
    return parts


def place(value: float, top: float) -> float:
    """Where an area lies on the axis, in pixels."""
    return NAMES + (value / top if top else 0.0) * (WIDTH - NAMES - RIGHT)
