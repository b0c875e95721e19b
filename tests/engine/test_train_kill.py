"""A training that is killed at any moment ends, resumed, with the weights of an undisturbed run."""

import sys

from script_runs import ROOT, run_small

SCRIPT = ROOT / "scripts" / "studies" / "kill_and_resume.py"
sys.path.insert(0, str(SCRIPT.parent))

import kill_and_resume as proof  # noqa: E402


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, monkeypatch, capsys):
    said = run_small(SCRIPT, tmp_path, monkeypatch, capsys)
    assert said.count("killed ") >= 2, "the training is too short for this test"
    assert "the same weights, bit for bit" in said


def test_what_differs_is_named(tmp_path):
    import torch

    assert proof.equal({"a": [torch.ones(2), 1.0]}, {"a": [torch.ones(2), 1.0]})
    assert not proof.equal({"a": [torch.ones(2), 1.0]}, {"a": [torch.zeros(2), 1.0]})
    assert not proof.equal({"a": None}, {"a": 0.0})
