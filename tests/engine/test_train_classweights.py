"""Class weights: their rules, absent classes, and a mean of 1 over the pixels."""

import pytest

from geoseg_engine.contract import CLASS_WEIGHTS
from geoseg_engine.training.label_statistics import class_weights

COUNTS = [900, 100, 0, 25]


@pytest.mark.parametrize("kind", CLASS_WEIGHTS)
def test_absent_classes_weigh_nothing_and_pixels_one_on_average(kind):
    weights = class_weights(COUNTS, kind)
    assert weights[2] == 0
    assert sum(w * n for w, n in zip(weights, COUNTS, strict=True)) / sum(COUNTS) == pytest.approx(1)
    assert weights[0] <= weights[1] <= weights[3]


@pytest.mark.parametrize(
    ("kind", "ratio"), [("none", 1), ("inverse", 9), ("sqrt", 3), ("median", 9), ("effective", 8.65)]
)
def test_how_much_more_a_rarer_class_weighs(kind, ratio):
    weights = class_weights(COUNTS, kind)
    assert weights[1] / weights[0] == pytest.approx(ratio, rel=2e-3)


def test_effective_numbers_tell_no_difference_among_classes_of_many_pixels():
    rare, many, more = class_weights([1_000, 1_000_000, 9_000_000], "effective")
    assert many == pytest.approx(more)
    assert rare / many > 10


def test_without_any_pixel_all_weigh_the_same():
    assert class_weights([0, 0], "sqrt") == [1.0, 1.0]
