"""Gaps are filled and nothing else is changed."""

import numpy as np
import pytest
from data_scenes import hills

from geoseg_engine.bands.gaps import fill_gaps, reach_px
from geoseg_engine.contract import Band

BAND = Band("a", "s", fill="interpolate", parameters={"reach_px": 4})


def with_gaps() -> np.ndarray:
    values = hills(60, 70)
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    values[20:40, 20:40] = np.nan
    return values


@pytest.mark.parametrize("fill", ["", "median", "0", "-3.5", "interpolate"])
def test_values_stay_as_they_are(fill):
    values = with_gaps()
    found = fill_gaps(values, Band("a", "s", fill=fill))
    known = np.isfinite(values)
    np.testing.assert_array_equal(found[known], values[known])
    assert found.dtype == np.float32


def test_a_number_fills_every_gap():
    values = with_gaps()
    assert (fill_gaps(values, Band("a", "s", fill="7"))[np.isnan(values)] == 7).all()


def test_interpolation_reaches_as_far_as_it_says():
    found = fill_gaps(with_gaps(), BAND)
    assert np.isnan(found[26:34, 26:34]).all() and np.isfinite(found[20:23, 20:40]).all()


def test_interpolation_keeps_a_constant_and_lies_within_its_neighbours():
    values = with_gaps()
    level = np.where(np.isnan(values), np.nan, np.float32(5))
    np.testing.assert_allclose(fill_gaps(level, BAND)[np.isfinite(fill_gaps(level, BAND))], 5, rtol=1e-6)
    found = fill_gaps(values, BAND)
    assert np.nanmin(found) >= np.nanmin(values) and np.nanmax(found) <= np.nanmax(values)


def test_a_pixel_does_not_depend_on_the_array_it_lies_in():
    values, reach = with_gaps(), reach_px(BAND)
    expected = fill_gaps(values, BAND)
    for row, col in ((10, 12), (17, 30), (35, 41)):
        part = fill_gaps(values[row - reach : row + 9 + reach, col - reach : col + 9 + reach], BAND)
        np.testing.assert_array_equal(
            part[reach:-reach, reach:-reach], expected[row : row + 9, col : col + 9]
        )


def test_nothing_but_gaps_stays_nothing():
    nothing = np.full((5, 5), np.nan, np.float32)
    assert np.isnan(fill_gaps(nothing, BAND)).all()
