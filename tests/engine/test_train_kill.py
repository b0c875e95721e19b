"""A training that is killed at any moment ends, resumed, with the weights of an undisturbed run."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "studies"))

import kill_and_resume as proof  # noqa: E402

MOMENTS = [proof.Moment(0, 0.2), proof.Moment(2, 0.05), proof.Moment(3, 0.0)]
"""In the first epochs; within a later one; just after a checkpoint."""


@pytest.mark.slow
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    job = proof.make_job(None, tmp_path, epochs=9, steps_per_epoch=10, patience=8)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    proof.run(job, whole)
    hits = proof.kill_often(job, parts, MOMENTS)
    assert hits >= 2, "the training is too short for this test"
    assert proof.differences(whole, parts) == []
    assert not list(parts.glob("*.part*"))


def test_what_differs_is_named(tmp_path):
    import torch

    assert proof.equal({"a": [torch.ones(2), 1.0]}, {"a": [torch.ones(2), 1.0]})
    assert not proof.equal({"a": [torch.ones(2), 1.0]}, {"a": [torch.zeros(2), 1.0]})
    assert not proof.equal({"a": None}, {"a": 0.0})
