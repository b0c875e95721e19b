"""Steps of training beside the plain recipe of the usual tools, on a GPU of any maker."""

from __future__ import annotations

from pathlib import Path

from measuring import Row
from train_plain import beside_plain
from train_steps import GPU, SMALL, first_gpu


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns; on the CPU where there is no GPU, to try the script out."""
    return beside_plain(folder, repeat, SMALL if small else GPU, str(first_gpu()), 0.5)
