"""The split of labelled pixels into train, validation and test: by blocks, polygons or folds."""

from ...contract import IGNORE

NONE = IGNORE
"""Value of pixels that belong to no split."""
