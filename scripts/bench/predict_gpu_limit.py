"""As `predict_limit`, on a GPU."""

from __future__ import annotations

from pathlib import Path

from measuring import Row
from predict_limit import GPU_BAR, beside_limit


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Row of the first GPU."""
    return beside_limit(folder, repeat, small, "cuda:0", GPU_BAR)
