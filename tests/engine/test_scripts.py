"""Every script of scripts/bench runs to its end on a made scene: a script that nobody runs rots."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from script_runs import MODULES, SCRIPTS, rows_of, run_small, scripts_in


@pytest.mark.parametrize("script", scripts_in("bench"), ids=lambda item: item.stem)
def test_the_script_runs_to_its_end(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_small(script, tmp_path, monkeypatch, capsys)


def test_every_module_is_used_by_a_script() -> None:
    used = {name for script in SCRIPTS for name in reached(script)}
    assert [module.stem for module in MODULES if module.stem not in used] == []


def reached(file: Path) -> Iterator[str]:
    """Modules of the two folders that a file imports or names as rows of its table, and theirs in turn."""
    names, rows = set(), {f"{file.stem}_{name}" for name in rows_of(file)}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(item.name for item in node.names)
    for module in MODULES:
        if module.stem in names | rows:
            yield module.stem
            yield from reached(module)
