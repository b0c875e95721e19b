"""Small HTML reports for the Results Viewer."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from ..layers.notes import number
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


def evaluation_html(result: Mapping[str, Any]) -> str:
    """Scores per class and the confusion matrix they come from."""
    scores = [
        (
            item["name"],
            *(number(item.get(key)) for key in ("precision", "recall", "f1", "iou")),
            item.get("support_px"),
        )
        for item in result.get("per_class", ())
    ]
    heads = (tr("Class"), tr("Precision"), tr("Recall"), tr("F1"), tr("IoU"), tr("Labelled pixels"))
    names = [str(item["name"]) for item in result.get("classes", ())]
    matrix = [(name, *row) for name, row in zip(names, result.get("confusion", ()), strict=False)]
    summary = tr("Mean IoU {}, overall accuracy {}, on the {} blocks.").format(
        number(result.get("miou")), number(result.get("accuracy")), result.get("split", "")
    )
    warnings = "".join(
        f"<p class='error'>{html.escape(str(item.get('message', '')))}</p>"
        for item in result.get("warnings", ())
    )
    return page(
        tr("Evaluation"),
        f"<p>{html.escape(summary)}</p>{warnings}{table(heads, scores)}"
        f"<h2>{tr('Confusion matrix')}</h2><p class='note'>{tr('Rows: labels. Columns: prediction. Pixels.')}</p>"
        f"{table(('', *names), matrix)}",
    )


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
