"""Scripts of scripts/bench and scripts/studies, and a run of one in small."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "scripts" / name for name in ("bench", "studies")]
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.py"))
MAIN = "if __name__ == "
SCRIPTS = [file for file in FILES if MAIN in file.read_text(encoding="utf-8")]
MODULES = [file for file in FILES if file not in SCRIPTS]
ELSEWHERE = {"real_cases.py", "kill_and_resume.py"}
"""Scripts that tests/e2e/test_studies_in_qgis.py and test_train_kill.py run."""
LIMIT_S = 600
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


def run_small(script: Path, here: Path) -> str:
    """Run a script with --small in an empty folder; it must end well, say something and leave nothing there.

    Returns:
        What it printed.
    """
    with TemporaryDirectory(
        prefix="gs-", ignore_cleanup_errors=True
    ) as short:  # holds sockets of 108 characters
        ended = subprocess.run(
            [
                sys.executable,
                str(script),
                "--small",
                *(row for row in rows_of(script) if row not in OWN_ROWS),
            ],
            cwd=here,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": short},
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip()
    assert list(here.iterdir()) == [], "what is made small is thrown away"
    return ended.stdout
