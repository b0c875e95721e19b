"""scripts/bench/on_a_card.sh runs to its end on the CPU with --small, and refuses a computer without a card."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "bench" / "on_a_card.sh"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the script in this engine, out of sight of any card."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", str(SCRIPT), "--engine", sys.executable, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8")


def test_small_runs_every_part_and_leaves_nothing(tmp_path):
    done = run("--small", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for title in (
        "Proof",
        "Training",
        "Prediction: network input",
        "all but the network",
        "maps of the device",
    ):
        assert title in done.stdout
    assert "convolution: ok" in done.stdout and "0.0000%" in done.stdout


def test_without_a_card_it_says_what_to_do():
    done = run()
    assert done.returncode == 1 and "finds no card" in done.stdout


def test_a_missing_engine_and_unknown_options_end_at_once():
    assert run("--engine", "/nowhere/python").returncode == 2
    assert run("--fast").returncode == 2
