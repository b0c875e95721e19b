"""Every script of scripts/bench and scripts/studies runs to its end on a made scene: a script that nobody runs rots."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "scripts" / name for name in ("bench", "studies")]
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.py"))
MAIN = "if __name__ == "
SCRIPTS = [
    ROOT / "scripts" / "exactness.py",
    *(file for file in FILES if MAIN in file.read_text(encoding="utf-8")),
]
MODULES = [file for file in FILES if file not in SCRIPTS]
IN_QGIS = {"real_cases.py"}
"""Work the panel; tests/e2e/test_studies_in_qgis.py runs them."""
LIMIT_S = 600


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [item for item in SCRIPTS if item.name not in IN_QGIS], ids=lambda item: item.stem
)
def test_the_script_runs_to_its_end(script: Path, tmp_path: Path) -> None:
    here, scratch = tmp_path / "here", tmp_path / "scratch"
    here.mkdir(), scratch.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch)}
    ended = subprocess.run(
        [sys.executable, str(script), "--small"],
        cwd=here,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip()
    assert list(here.iterdir()) == [], "what is made small is thrown away"


def test_every_module_is_used_by_a_script() -> None:
    used = {name for script in SCRIPTS for name in reached(script)}
    assert [module.stem for module in MODULES if module.stem not in used] == []


def reached(file: Path) -> Iterator[str]:
    """Modules of the two folders that a file imports or names as rows of its table, and theirs in turn."""
    names, rows = set(), set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(item.name for item in node.names)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ROWS":
            rows.update(f"{file.stem}_{name}" for name in ast.literal_eval(node.value))
    for module in MODULES:
        if module.stem in names | rows:
            yield module.stem
            yield from reached(module)


def test_what_is_left_out_of_a_small_study_is_a_job_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts" / "studies"), *sys.path])
    from ablations import BASE, VARIANTS
    from compare_cases import CONTENDERS

    from geoseg_engine.contract import CompareJob

    jobs = [
        replace(BASE, dataset="data", **changes) for kind in VARIANTS.values() for changes in kind.values()
    ]
    assert [job.problems() for job in [*jobs, CompareJob("data", CONTENDERS)] if job.problems()] == []
