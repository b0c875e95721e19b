"""Every script of scripts/studies runs to its end on a made scene."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from script_runs import ROOT, run_small, scripts_in


@pytest.mark.parametrize("script", scripts_in("studies"), ids=lambda item: item.stem)
def test_the_script_runs_to_its_end(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_small(script, tmp_path, monkeypatch, capsys)


def test_what_is_left_out_of_a_small_study_is_a_job_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts" / "studies"), *sys.path])
    from ablations import BASE, VARIANTS
    from compare_cases import CONTENDERS

    from geoseg_engine.contract import CompareJob

    jobs = [
        replace(BASE, dataset="data", **changes) for kind in VARIANTS.values() for changes in kind.values()
    ]
    assert [job.problems() for job in [*jobs, CompareJob("data", CONTENDERS)] if job.problems()] == []
