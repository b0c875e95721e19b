"""Bar charts as SVG: areas of classes, scores of a comparison, importance of bands."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract import without_folders
from .html import unit_of

WIDTH, NAMES_PX, VALUES_PX, TITLE_PX, NOTE_PX, FOOT_PX = 760, 200, 110, 46, 16, 40
"""Width of a chart; left of the bars; right of them; height of title, note and axis."""
BAR_PX, GAP_PX, HEADING_PX = 20, 12, 28
LONGEST_NAME = 26
PALETTE = ("#4477aa", "#ccbb44", "#66ccee", "#ee6677", "#228833", "#aa3377")
"""Paul Tol's bright scheme, for colour-blind readers; one colour per model, the same in every band set."""
TITLES = {"foreground_iou": "IoU of the class", "miou": "mean IoU of the classes"}
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; } .soft { fill: #666; } .head { font-weight: 600; }
.paper { fill: #fff; } .line { stroke: #ccc; } .whisker { stroke: #222; } .halo { stroke: #fff; }
.dot { fill: #222; } .bar { stroke: #888; stroke-width: .5; }
@media (prefers-color-scheme: dark) {
 text { fill: #eee; } .soft { fill: #aaa; } .paper { fill: #1e1e1e; } .line { stroke: #555; }
 .whisker { stroke: #eee; } .halo { stroke: #1e1e1e; } .dot { fill: #eee; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar of a chart.

    Attributes:
        name: text left of it.
        value: its length, in units of the axis.
        label: text right of it.
        colour: as CSS writes it.
        interval: ends of its whisker, in units of the axis; None is none.
        dot: place of a dot on the whisker; None is none.
    """

    name: str
    value: float
    label: str
    colour: str
    interval: tuple[float, float] | None = None
    dot: float | None = None


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from 0 to `top`, from `left` to `right` in pixels of the chart."""

    top: float
    left: float = NAMES_PX
    right: float = WIDTH - VALUES_PX

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.left + (value / self.top if self.top else 0.0) * (self.right - self.left)

    def lines(self, step: float, text: str, first_px: int, last_px: int) -> list[str]:
        """Return a line and a number for every step.

        Args:
            step: distance of two numbers, in units of the axis.
            text: format of the numbers.
            first_px, last_px: upper and lower end of the lines.
        """
        parts = []
        for number in range(math.floor(self.top / step + 1e-9) + 1):
            x, shown = self.place(number * step), format(number * step, text)
            parts.append(f'<path class="line" stroke="#ccc" d="M{x:.1f},{first_px}V{last_px}"/>')
            parts.append(
                f'<text class="soft" x="{x:.1f}" y="{last_px + 24}" text-anchor="middle">{shown}</text>'
            )
        return parts

    @staticmethod
    def _paint(colour: str) -> str:
        return f'style="fill:{colour}"' if colour.startswith("var(") else f'fill="{html.escape(colour)}"'

    def bar(self, bar: Bar, y: float, height: float = BAR_PX) -> list[str]:
        """Return a bar with its name, its whisker and its label.

        Args:
            bar: the bar.
            y: its upper edge in pixels.
            height: its height in pixels.
        """
        start, end, middle = self.place(0.0), self.place(max(bar.value, 0.0)), y + height / 2
        parts = [
            f'<text x="{start - 10:.1f}" y="{middle + 5}" text-anchor="end">{html.escape(bar.name)}</text>',
            f'<rect class="bar" x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{height}" rx="2" '
            f"{self._paint(bar.colour)}/>",
        ]
        if bar.interval is not None:
            low, high = (self.place(value) for value in bar.interval)
            cap = height / 4
            path = f"M{low:.1f},{middle}H{high:.1f}"
            path += "".join(f"M{x:.1f},{middle - cap:.1f}v{2 * cap:.1f}" for x in (low, high))
            parts += [
                f'<path class="halo" stroke="#fff" stroke-width="4" fill="none" d="{path}"/>',
                f'<path class="whisker" stroke="#222" stroke-width="1.5" fill="none" d="{path}"/>',
            ]
            end = max(end, high)
        if bar.dot is not None:
            parts.append(f'<circle class="dot" cx="{self.place(bar.dot):.1f}" cy="{middle}" r="3.5"/>')
        parts.append(f'<text x="{end + 8:.1f}" y="{middle + 5}">{html.escape(bar.label)}</text>')
        return parts


def area_chart(rows: Sequence[dict[str, Any]], level: float) -> str:
    """Return the chart of class areas as an SVG file.

    Args:
        rows: rows of the job `areas`, with or without adjusted areas.
        level: confidence level of their intervals, 0 to 1.
    """
    adjusted = any(row.get("adjusted_m2") is not None for row in rows)
    longest = max(max(row["area_m2"], row.get("high_m2") or 0.0) for row in rows)
    unit, size = unit_of(longest)
    step = nice_step(longest / size)
    note = f"bars: counted on the map; dots: adjusted by the sample, with {level:.0%} intervals"
    return chart(
        f"Area of each class in {unit}",
        note if adjusted else "counted on the map",
        {"": [area_bar(row, size) for row in rows]},
        Axis(math.ceil(longest / size / step - 1e-9) * step),
        (step, ",.10g"),
    )


def area_bar(row: dict[str, Any], size: float) -> Bar:
    """Return the bar of a row of `areas`.

    Args:
        row: with or without an adjusted area.
        size: m² per unit of the axis.
    """
    counted, adjusted = row["area_m2"] / size, row.get("adjusted_m2")
    if adjusted is None:
        return Bar(row["name"], counted, f"{counted:,.4g}", row["color"])
    interval = (row["low_m2"] / size, row["high_m2"] / size)
    return Bar(row["name"], counted, f"{adjusted / size:,.4g}", row["color"], interval, adjusted / size)


def nice_step(maximum: float) -> float:
    """Return 1, 2 or 5 times a power of ten, of which three to eight fit into a number."""
    if maximum <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(maximum / 4))
    return next(factor * power for factor in (1, 2, 5, 10) if maximum / (factor * power) <= 6)


def comparison_chart(rows: Sequence[dict[str, Any]], score: str, split: str) -> str:
    """Return the chart of a comparison as an SVG file: one bar per model, grouped by band set.

    Args:
        rows: of `ranking.ranked`; those without a score are left out.
        score: `foreground_iou` or `miou`.
        split: the split that was evaluated.
    """
    rows = [row for row in rows if row["iou"] is not None]
    models = dict.fromkeys(row["model"] for row in rows)
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(models)}
    groups: dict[str, list[Bar]] = {}
    for row in rows:
        interval = None if row["interval"] is None else (row["interval"][0], row["interval"][1])
        bar = Bar(row["model"], row["iou"], f"{row['iou']:.3f}", colours[row["model"]], interval)
        groups.setdefault(row["bands"], []).append(bar)
    top = axis_top(rows)
    return chart(
        f"{TITLES[score]}, {split} split",
        "",
        groups if len(groups) > 1 else {"": [bar for bars in groups.values() for bar in bars]},
        Axis(top),
        (0.1 if top <= 0.5 else 0.2, ".1f"),
    )


def axis_top(rows: Sequence[dict[str, Any]]) -> float:
    """Return the end of the axis: the next tenth above the longest bar and whisker, at most 1."""
    longest = max((max([row["iou"], *(row["interval"] or ())]) for row in rows), default=1.0)
    return min(max(math.ceil(longest * 10 - 1e-9) / 10, 0.1), 1.0)


def chart(
    title: str, note: str, groups: Mapping[str, Sequence[Bar]], axis: Axis, ticks: tuple[float, str]
) -> str:
    """Return a bar chart as an SVG file for light and dark backgrounds.

    Args:
        title: first line.
        note: second line; may be empty.
        groups: heading -> bars; an empty heading is left out.
        axis: of all bars.
        ticks: step of the numbers on the axis, and their format.
    """
    y = first = TITLE_PX + NOTE_PX * bool(note)
    parts = []
    for heading, bars in groups.items():
        if heading:
            parts.append(f'<text class="head" x="16" y="{y + 16}">{html.escape(heading)}</text>')
            y += HEADING_PX
        for bar in bars:
            name = bar.name if len(bar.name) <= LONGEST_NAME else f"{bar.name[: LONGEST_NAME - 1]}…"
            parts += axis.bar(Bar(name, bar.value, bar.label, bar.colour, bar.interval, bar.dot), y)
            y += BAR_PX + GAP_PX
    height = y + FOOT_PX
    head = [
        f'<rect class="paper" fill="#fff" width="{WIDTH}" height="{height}"/>',
        f'<text class="head" x="16" y="26">{html.escape(title)}</text>',
        f'<text class="soft" x="16" y="44">{html.escape(note)}</text>' if note else "",
        *axis.lines(*ticks, first - 6, y),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img"><style>{STYLE}</style>{"".join([*head, *parts])}</svg>\n'
    )


def importance_chart(rows: Sequence[tuple[str, float]], unit: str) -> str:
    """Return the bars of band importance as inline SVG in the colours of the page.

    Args:
        rows: name and value of each band; a value below zero has no length.
        unit: what the values are, in words.
    """
    if not rows:
        return ""
    left = max(len(name) for name, _ in rows) * 7 + 14
    axis = Axis(max(max(value for _, value in rows), 1e-9), left, left + 260)
    drawn = [
        part
        for index, (name, value) in enumerate(rows)
        for part in axis.bar(
            Bar(without_folders(name), value, f"{value:.3f}", "var(--one)"), 22 * index + 4, 15
        )
    ]
    width, height = max(left + 330, left + 7 * len(unit)), 22 * len(rows) + 24
    drawn.append(f'<text class="note" x="{left}" y="{height - 6}">{html.escape(unit)}</text>')
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" font-size="12" '
        f'aria-label="importance of bands: {html.escape(unit)}">{"".join(drawn)}</svg>'
    )
