"""Radar: Lee's filter against its formula pixel by pixel, decibels, and the same value in every window."""

import numpy as np
import pytest
from data_scenes import sources_of, utm_grid, write_raster

from geoseg_engine.bands.speckle import decibels, lee
from geoseg_engine.contract import Band, Recipe
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.stacking.reader import StackReader


def speckled(rows: int = 50, cols: int = 60, looks: float = 1.0) -> np.ndarray:
    """Two fields of radar intensity with speckle, a gap and a pixel of 0."""
    rng = np.random.default_rng(3)
    field = np.full((rows, cols), 0.05)
    field[:, cols // 2 :] = 0.4
    values = field * rng.gamma(looks, 1 / looks, field.shape)
    values[10:14, 10:14] = np.nan
    values[30, 5] = 0
    return values


def by_hand(values: np.ndarray, row: int, col: int, half: int, looks: float) -> float:
    part = values[max(row - half, 0) : row + half + 1, max(col - half, 0) : col + half + 1]
    mean, variance = np.nanmean(part), np.nanvar(part)
    weight = np.clip(1 - (mean**2 / looks) / variance, 0, 1)
    return mean + weight * (values[row, col] - mean)


@pytest.mark.parametrize(("half", "looks"), [(1, 1.0), (3, 4.0)])
def test_filter_is_its_formula(half, looks):
    values = speckled()
    found = lee(np.pad(values, half, constant_values=np.nan), half, looks)
    for row, col in ((0, 0), (25, 30), (14, 14), (49, 59), (9, 12)):
        assert found[row, col] == pytest.approx(by_hand(values, row, col, half, looks), rel=1e-9)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))


def test_filter_smooths_fields_and_keeps_their_level():
    values = speckled(200, 200, looks=4.0)
    values[np.isnan(values)] = 0.05
    found = lee(np.pad(values, 3, constant_values=np.nan), 3, 4.0)
    for part in (np.s_[20:180, 20:90], np.s_[20:180, 110:180]):
        assert found[part].std() < 0.5 * values[part].std()
        assert found[part].mean() == pytest.approx(values[part].mean(), rel=0.03)


def test_a_constant_stays():
    np.testing.assert_allclose(lee(np.full((9, 9), 0.3), 2, 1.0), 0.3)


def test_decibels():
    found = decibels(np.array([1.0, 10, 0.001, 0, -1, np.nan]))
    np.testing.assert_allclose(found, [0, 10, -30, np.nan, np.nan, np.nan])


def test_bands_of_a_stack_do_not_depend_on_the_window(tmp_path):
    values = speckled().astype(np.float32)
    sources = sources_of(write_raster(tmp_path / "sar.tif", values, nodata=np.nan))
    bands = (
        Band("db", "r1", 1, "decibel"),
        Band("smooth db", "r1", 1, "decibel", parameters={"lee_px": 5, "looks": 2}),
        Band("lee", "r1", 1, "lee", parameters={"size_px": 7}),
        Band("slope", "r1", 1, "slope"),
    )
    recipe = Recipe(sources, bands, utm_grid(60, 50))
    with StackReader(recipe) as reader:
        expected = reader.read(full_window(recipe.grid))
        for window in windows(recipe.grid, 13):
            rows, cols = window.within(full_window(recipe.grid))
            np.testing.assert_array_equal(reader.read(window), expected[:, rows, cols])
    np.testing.assert_allclose(expected[0], decibels(values), rtol=1e-6)
    assert np.isnan(expected[0, 30, 5]) and np.isfinite(expected[1:3, 30, 5]).all()
