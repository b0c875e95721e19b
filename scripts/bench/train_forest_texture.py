"""A forest with its search on bands and texture beside one of scikit-learn of the size that was found."""

from __future__ import annotations

from train_forest_search import run_texture as run

__all__ = ["run"]
