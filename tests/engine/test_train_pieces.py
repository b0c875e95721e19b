"""Pieces of validation ground."""

import numpy as np
import pytest

from geoseg_engine.training.pieces import pieces


def ground(*boxes, shape=(600, 500)):
    known = np.zeros(shape, bool)
    for row, col, height, width in boxes:
        known[row : row + height, col : col + width] = True
    return known


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([], 0),
        ([(0, 0, 1, 1)], 1),
        ([(3, 5, 64, 64), (300, 205, 64, 64)], 2),
        ([(0, 0, 600, 112)], 4),
        ([(0, 0, 256, 256), (400, 400, 10, 10)], 5),
    ],
)
def test_parts_count_by_their_size_and_at_least_once(boxes, count):
    assert pieces(ground(*boxes)) == count


def test_polygons_that_nearly_touch_are_one_piece():
    assert pieces(ground((0, 0, 30, 30), (0, 34, 30, 30))) == 1
