"""Scripts of scripts/bench and scripts/studies, and a run of one in small."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "scripts" / name for name in ("bench", "studies")]
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.py"))
MAIN = "if __name__ == "
SCRIPTS = [file for file in FILES if MAIN in file.read_text(encoding="utf-8")]
MODULES = [file for file in FILES if file not in SCRIPTS]
ELSEWHERE = {"real_cases.py", "kill_and_resume.py"}
"""Scripts that tests/e2e/test_studies_in_qgis.py and test_train_kill.py run."""
OWN_ROWS = {"forest_search", "forest_texture"}
"""Rows of tables that a script of their own measures too: train_forest_search.py."""


def scripts_in(folder: str) -> list[Path]:
    """Scripts of a folder that the engine's Python runs."""
    return [file for file in SCRIPTS if file.parent.name == folder and file.name not in ELSEWHERE]


def rows_of(script: Path) -> list[str]:
    """Names in the literal ROWS of a script; none where it has no such table."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROWS":
            return list(ast.literal_eval(node.value))
    return []


def run_small(
    script: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a script with --small in an empty folder; it must end well, say something and leave nothing there.

    It runs in this process, which has loaded torch, and finds its modules by what it puts on the path itself.

    Returns:
        What it printed.
    """
    monkeypatch.chdir(here)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = [row for row in rows_of(script) if row not in OWN_ROWS]
    monkeypatch.setattr(sys, "argv", [str(script), "--small", *rows])
    others = [
        folder for folder in sys.path if not Path(folder).is_relative_to(ROOT) or "site-packages" in folder
    ]
    monkeypatch.setattr(sys, "path", [str(script.parent), *others])
    code: object = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr().out
    assert not code, f"{code}: {said}"
    assert said.strip()
    assert list(here.iterdir()) == [], "what is made small is thrown away"
    return said
