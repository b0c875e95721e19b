"""Steps of training beside the plain recipe of the usual tools, on a GPU."""

from __future__ import annotations

from pathlib import Path

from measuring import Row
from train_plain import beside_plain
from train_steps import GPU, SMALL


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns."""
    return beside_plain(folder, repeat, SMALL if small else GPU, "cuda", 0.5)
