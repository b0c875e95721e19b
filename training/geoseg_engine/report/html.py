"""HTML pages that are complete in themselves: style for light and dark, sections, tables; nothing is loaded."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..contract import without_folders
from ..outputs import whole_file

UNITS = (("km²", 1e6), ("ha", 1e4), ("m²", 1.0))
SHEET = """
:root {
  color-scheme: light dark; --page: #fff; --card: #f6f7f9; --ink: #1b1f24; --quiet: #59636e; --line: #d4d9df;
  --warn: #b35900; --warn-back: #fff6ea; --one: #2f6fb5; --two: #c8452f; --three: #2e8540;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16191d; --card: #20252b; --ink: #e3e7ec; --quiet: #9aa5b1; --line: #3a424b;
    --warn: #f0a04b; --warn-back: #2e2519; --one: #74aee8; --two: #f0836f; --three: #6cc07e;
  }
}
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, "Segoe UI", sans-serif; color: var(--ink); background: var(--page);
  max-width: 62rem; margin: 2rem auto 4rem; padding: 0 1.2rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .5rem 0; max-width: 48rem; } small, .quiet, figcaption { color: var(--quiet); }
small, figcaption { font-size: .82rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); vertical-align: middle; text-align: left; }
th { font-weight: 600; } th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.words { max-width: 36rem; overflow-wrap: anywhere; }
.warn { border-left: .3rem solid var(--warn); background: var(--warn-back); padding: .5rem .9rem; margin: .5rem 0; }
.swatch { display: inline-block; width: .85em; height: .85em; border: 1px solid var(--line); border-radius: 2px;
  margin-right: .45em; vertical-align: -.05em; }
.cards { display: flex; gap: .8rem; flex-wrap: wrap; margin: 1.1rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem;
  flex: 1 1 10rem; }
.big { font-size: 1.9rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.matrix td { text-align: right; min-width: 4.5rem; font-variant-numeric: tabular-nums; }
.charts { display: flex; gap: 1rem 2rem; flex-wrap: wrap; align-items: flex-start; }
svg { max-width: 100%; height: auto; fill: var(--ink); font-family: inherit; }
svg .axis { stroke: var(--line); fill: none; } svg .guide { stroke: var(--quiet); fill: none; }
svg .note { fill: var(--quiet); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .9rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem; }
.tile div { display: grid; grid-template-columns: repeat(3, 1fr); gap: .35rem; }
.tile img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated;
  background: var(--line); display: block; }
.tile figure { margin: 0; } figcaption { text-align: center; }
ul.why { margin: .4rem 0; padding-left: 1.2rem; max-width: 48rem; }
@media print { body { margin: 0; max-width: none; } .card, .tile { break-inside: avoid; } }
"""


def text(value: Any) -> str:
    """Return any value as text for HTML; folders are removed from paths, because pages are passed on."""
    shown = str(value)
    return html.escape(shown if shown.startswith("data:") else without_folders(shown))


def number(value: float | None, digits: int = 3) -> str:
    """Return a score as text, or a dash.

    Args:
        value: the score; None gives a dash.
        digits: decimals.
    """
    return "–" if value is None else f"{value:.{digits}f}"


def span(interval: list[float] | None) -> str:
    """Return an interval as text, e.g. `0.71–0.83`; empty without one."""
    return f"{interval[0]:.3f}–{interval[1]:.3f}" if interval else ""


def unit_of(area_m2: float) -> tuple[str, float]:
    """Return the largest unit of which an area has one or more: its name, and its size in m²."""
    return next((item for item in UNITS if area_m2 >= item[1]), UNITS[-1])


def write_page(path: Path, title: str, parts: Iterable[str], style: str = "") -> None:
    """Write an HTML page.

    Args:
        path: the .html.
        title: title of the window.
        parts: content of the body; empty parts are left out.
        style: CSS after that of all pages.
    """
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{SHEET}{style}</style></head><body>"
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def header(title: str, sentence: str) -> str:
    """Return the heading of a page.

    Args:
        title: the heading.
        sentence: text below it.
    """
    return f"<header><h1>{text(title)}</h1><p>{text(sentence)}</p></header>"


def section(title: str, *parts: str) -> str:
    """Return a heading and its content; nothing without content."""
    content = "\n".join(part for part in parts if part)
    return f"<section><h2>{text(title)}</h2>{content}</section>" if content else ""


def paragraph(sentence: str) -> str:
    """Return a sentence as a paragraph; nothing for an empty one."""
    return f'<p class="quiet">{text(sentence)}</p>' if sentence else ""


def warning_boxes(warnings: Iterable[dict[str, Any]]) -> list[str]:
    """Return a box per warning, with its message and hint."""
    return [
        f'<div class="warn"><b>{text(item["message"])}</b> {text(item.get("hint", ""))}</div>'
        for item in warnings
    ]


def head_row(names: Iterable[str], attributes: str = "") -> str:
    """Return heading cells.

    Args:
        names: their texts.
        attributes: attributes of each cell, e.g. ` class="n"` for numbers.
    """
    return "".join(f"<th{attributes}>{text(name)}</th>" for name in names)


def cells(values: Iterable[str], attributes: str = "") -> str:
    """Return cells of a row.

    Args:
        values: their texts.
        attributes: attributes of each cell.
    """
    return "".join(f"<td{attributes}>{text(value)}</td>" for value in values)


def table(head: str, rows: Iterable[str], kind: str = "") -> str:
    """Return a table that scrolls where it is wider than the page.

    Args:
        head: cells of the first row.
        rows: whole rows.
        kind: class of the table; may be empty.
    """
    named = f' class="{kind}"' if kind else ""
    return f'<div class="scroll"><table{named}><tr>{head}</tr>{"".join(rows)}</table></div>'


def names_and_values(rows: Sequence[tuple[str, Any]]) -> str:
    """Return a table of two columns; rows without a value are left out."""
    known = [(name, value) for name, value in rows if value not in (None, "", 0, [], ())]
    shown = ((name, f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in known)
    body = "".join(f'<tr><th>{text(a)}</th><td class="words">{text(b)}</td></tr>' for a, b in shown)
    return f"<table>{body}</table>" if body else ""
