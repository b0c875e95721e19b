"""A forest with its search on bands and texture beside one of scikit-learn of the size that was found."""

from __future__ import annotations

from pathlib import Path

from measuring import Row
from train_forest_search import beside_scikit_learn


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, on 7 bands with the texture of two windows."""
    return beside_scikit_learn(folder, repeat, small, (3, 7))
