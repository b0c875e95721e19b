"""How much validation data there is, and what it is enough for."""

import numpy as np
import pytest

from geoseg_engine.contract import IGNORE, LabelClass
from geoseg_engine.modelfile import validation_data
from geoseg_engine.modelfile.validation_data import ValidationCounter, count_validation

CLASSES = (LabelClass(0, "forest"), LabelClass(1, "field"), LabelClass(2, "water"))


def ground(*boxes, shape=(600, 500)):
    """Class ids: boxes of (row, col, height, width, class)."""
    ids = np.full(shape, IGNORE, np.uint8)
    for row, col, height, width, *of in boxes:
        ids[row : row + height, col : col + width] = of[0] if of else 0
    return ids


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([], 0),
        ([(0, 0, 1, 1)], 1),
        ([(3, 5, 64, 64), (300, 205, 64, 64)], 2),
        ([(0, 0, 600, 112)], 4),
        ([(0, 0, 256, 256), (400, 400, 10, 10)], 5),
        ([(0, 0, 30, 30), (0, 34, 30, 30)], 1),
    ],
)
def test_parts_count_by_their_size_and_at_least_once(boxes, count):
    assert count_validation(ground(*boxes), 3).regions == count


def spots(number, side, of, row=0):
    return [(row, 60 * place, side, side, of) for place in range(number)]


@pytest.mark.parametrize(
    ("boxes", "decides", "weighted"),
    [
        (spots(3, 40, 0) + spots(3, 30, 1, 300), True, (True, False, False)),
        (spots(4, 12, 0) + spots(4, 12, 1, 300), True, (True, True, False)),
        (spots(4, 12, 0) + spots(4, 12, 1, 300) + [(500, 0, 13, 1, 2)], True, (True, True, False)),
        (spots(5, 12, 0) + spots(4, 12, 1, 300) + [(400, 0, 24, 24, 2)], True, (True, True, False)),
        (spots(4, 12, 0) + spots(4, 4, 2, 300), True, (True, False, False)),
        (spots(6, 4, 0) + spots(6, 4, 1, 300), False, (False, False, False)),
        ([(0, 0, 90, 90), (300, 0, 80, 80, 1)], False, (True, False, False)),
        (
            [(0, 0, 90, 90), *[(10, 4 + 20 * place, 9, 9, 1) for place in range(4)]],
            False,
            (True, True, False),
        ),
        ([(0, 0, 256, 256), (0, 256, 256, 200, 1)], True, (True, False, False)),
    ],
)
def test_a_class_counts_with_enough_pixels_in_enough_objects(boxes, decides, weighted):
    found = count_validation(ground(*boxes), 3)
    assert (found.is_sufficient, found.weighted) == (decides, weighted)


def test_what_is_left_alone_is_said_with_its_numbers():
    few = count_validation(ground((0, 0, 3, 6, 1)), 3)
    assert (
        "18 pixels in 1 separate region" in few.too_few_regions() and "all classes" in few.too_few_regions()
    )
    water = count_validation(ground(*spots(4, 12, 0), *spots(4, 12, 1, 300), (500, 0, 13, 1, 2)), 3)
    assert "water (13 pixels, 1 object)" in water.too_few_objects(CLASSES) and water.too_few_regions() == ""
    assert "field" not in water.too_few_objects(CLASSES)
    enough = count_validation(ground(*spots(4, 12, 0), *spots(4, 12, 1, 300), *spots(4, 12, 2, 500)), 3)
    assert enough.too_few_objects(CLASSES) == ""
    assert count_validation(ground(), 3).too_few_regions() == ""


@pytest.mark.parametrize("max_cells", [2048, 40])
def test_windows_count_as_the_whole(monkeypatch, max_cells):
    monkeypatch.setattr(validation_data, "MAX_CELLS", max_cells)
    random = np.random.default_rng(0)
    ids = np.where(random.random((600, 500)) < 0.03, random.integers(0, 3, (600, 500)), IGNORE).astype(
        np.uint8
    )
    counter = ValidationCounter(600, 500, 3)
    for row in range(0, 600, 256):
        for col in range(0, 500, 256):
            counter.add(row, col, ids[row : row + 256, col : col + 256])
    whole, parts = count_validation(ids, 3), counter.counted()
    assert parts.regions == whole.regions and all(np.array(parts.objects) >= whole.objects)
    assert whole.pixels == parts.pixels == tuple(int((ids == index).sum()) for index in range(3))
