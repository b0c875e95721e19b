"""One word for one thing: words that the project does not use in names and on screen, with what it says instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sources import ENGINE, PLUGIN, ROOT, for_each, place, python_files, tree

NAMES = {
    "ground": "labelled pixels, area, terrain, reference data or training data",
    "told": "summary, message or text",
    "tell": "summary, message or text",
    "said": "summary, message or text",
    "asked": "requested",
    "voice": "predictor",
    "surety": "confidence",
    "seenground": "training overlap",
    "verdict": "summary",
    "judge": "evaluate",
    "judged": "evaluated",
    "judging": "evaluation",
    "judgement": "evaluation",
    "descent": "optimizer",
    "feeding": "batches",
    "complaints": "problems",
    "refuse": "check",
    "dress": "save style",
    "desk": "services",
    "least": "min",
    "most": "max",
}
"""Part of an identifier -> what to write."""
SCREEN = {
    **{word: NAMES[word] for word in ("ground", "told", "said", "asked", "surety", "judged", "judge")},
    "broken off": "interrupted",
    "go on": "resume",
    "goes on": "resumes",
    "least area": "minimum size",
    "so many": "a number",
    "nobody": "a plain sentence",
    "somebody": "a plain sentence",
    "whoever": "a plain sentence",
    "shall": "is",
    "found for you": "automatic",
    "corners join": "8-connectedness",
    "model of others": "third-party model",
    "model of another program": "third-party model",
}
"""Words of texts that a user reads -> what to write."""
GROUND_CONTROL = "ground control points"
FILES = [*python_files(PLUGIN), *python_files(ENGINE)]
PAGES = [
    *sorted((ROOT / "resources" / "help").glob("*.html")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
]


def parts(name: str) -> list[str]:
    """`leastAreaPx` or `least_area_px` as its words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


def named(file: Path) -> Iterator[tuple[int, str]]:
    """Names that a file gives: of itself, classes, functions, arguments, variables and attributes."""
    yield 1, file.stem
    for node in ast.walk(tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


def shown(file: Path) -> Iterator[tuple[int, str]]:
    """Texts for the screen: of `tr`, of declarations, of problems and errors."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in ("tr", "Param", "Model", "Problem", "GeoSegError", "when"):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        yield inner.lineno, inner.value


@for_each(FILES)
def test_names_use_the_terms(file: Path) -> None:
    wrong = [
        f"{place(file, line)} {name}: say {NAMES[word]}"
        for line, name in named(file)
        for word in parts(name)
        if word in NAMES
    ]
    assert wrong == []


@for_each(FILES)
def test_screen_texts_use_the_terms(file: Path) -> None:
    wrong = [
        f"{place(file, line)} {text!r}: {word} → {SCREEN[word]}"
        for line, text in shown(file)
        for word in SCREEN
        if re.search(rf"\b{word}\b", text, re.IGNORECASE) and GROUND_CONTROL not in text
    ]
    assert wrong == []


@for_each(PAGES)
def test_pages_use_the_terms(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    wrong = [word for word in SCREEN if word != "ground" and re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    assert wrong == []
