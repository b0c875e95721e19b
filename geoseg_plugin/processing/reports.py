"""Small HTML reports for the Results Viewer."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from .parameters import tr

STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:1.5em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .8em;border-bottom:1px solid #ccc;"
    "text-align:right}td:first-child,th:first-child{text-align:left}.error{color:#b3261e}.note{color:#555}"
)


def checks_html(result: Mapping[str, Any]) -> str:
    """The problems found by a check, errors first."""
    found = sorted(result.get("problems", ()), key=lambda item: item.get("severity") == "warning")
    items = "".join(
        f"<li class='{html.escape(str(item.get('severity', 'error')))}'>{html.escape(str(item.get('message', '')))}"
        f"<br><span class='note'>{html.escape(str(item.get('hint', '')))}</span></li>"
        for item in found
    )
    text = f"<ul>{items}</ul>" if found else f"<p>{tr('Nothing to complain about.')}</p>"
    counts = result.get("counts") or {}
    rows = [
        (item.get("name"), counts.get(str(item.get("id")), "–"))
        for item in result.get("classes", ())
        if isinstance(item, Mapping)
    ]
    return page(tr("Label check"), text + table((tr("Class"), tr("Pixels")), rows))


def table(heads: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A table; empty without rows."""
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in heads)
    return f"<table><tr>{head}</tr>{body}</table>" if body else ""


def page(title: str, body: str) -> str:
    """A whole document."""
    return (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
