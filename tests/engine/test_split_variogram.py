"""The range of a variogram is the one a field was made with, and blocks follow from it."""

import numpy as np
import pytest
from data_scenes import one_band_each, sources_of, utm_grid, write_raster
from scipy import ndimage

from geoseg_engine.contract import Recipe
from geoseg_engine.dataset.split.block_size import (
    Scale,
    _spherical,
    block_reason,
    empirical_variogram,
    first_component,
    fitted_variogram,
    object_width_px,
    preferred_block_px,
    sample_windows,
    stack_variogram,
)
from geoseg_engine.stacking.reader import StackReader


def field_of_range(rows, cols, range_px, seed=0):
    """Noise averaged over discs: values farther apart than the disc's breadth share nothing."""
    noise = np.random.default_rng(seed).normal(size=(rows, cols))
    radius = range_px / 2
    y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    disc = ((x**2 + y**2) <= radius**2).astype(float)
    return ndimage.convolve(noise, disc / np.sqrt(disc.sum()), mode="wrap").astype(np.float32)


def reader_of(folder, *bands):
    sources = sources_of(*(write_raster(folder / f"b{i}.tif", band) for i, band in enumerate(bands)))
    return StackReader(
        Recipe(sources, one_band_each(sources), utm_grid(bands[0].shape[1], bands[0].shape[0]))
    )


@pytest.mark.parametrize("range_px", [20, 60])
def test_the_range_of_a_made_field_is_found(tmp_path, range_px):
    with reader_of(tmp_path, field_of_range(500, 600, range_px)) as reader:
        found = stack_variogram(reader)
    assert found.range_px == pytest.approx(range_px, rel=0.45) and not found.open_ended


def test_noise_has_no_range_and_a_slope_has_no_end(tmp_path):
    rng = np.random.default_rng(1)
    with reader_of(tmp_path, rng.normal(size=(400, 400)).astype(np.float32)) as reader:
        assert stack_variogram(reader).range_px == 0
    slope = np.add.outer(np.arange(400.0), np.arange(400.0)).astype(np.float32)
    with reader_of(tmp_path, slope + rng.normal(size=slope.shape).astype(np.float32)) as reader:
        found = stack_variogram(reader)
        assert found.open_ended and found.range_px > 150


def test_a_constant_or_empty_stack_has_no_range(tmp_path):
    with reader_of(tmp_path, np.full((90, 90), 4, np.float32)) as reader:
        assert stack_variogram(reader).range_px == 0
    with reader_of(tmp_path, np.full((90, 90), np.nan, np.float32)) as reader:
        assert stack_variogram(reader).range_px == 0


def test_matherons_estimator_of_a_line():
    points = np.column_stack([np.arange(200.0), np.zeros(200)])
    values = np.arange(200) % 2 * 2.0
    lags, semivariance, pairs = empirical_variogram(points, values, 100)
    assert lags[0] == 1 and semivariance[0] == 2 and pairs[0] == 199


def test_a_spherical_model_is_fitted_to_itself():
    lags = np.geomspace(1, 300, 24)
    found = fitted_variogram(lags, 0.2 + 0.8 * _spherical(lags / 90), np.full(24, 1000))
    assert found.model == "spherical" and found.range_px == pytest.approx(90, rel=0.05)
    found = fitted_variogram(lags, 0.2 + 0.8 * (1 - np.exp(-3 * lags / 90)), np.full(24, 1000))
    assert found.model == "exponential" and found.range_px == pytest.approx(90, rel=0.05)


def test_the_first_component_leaves_out_bands_that_never_change():
    rng = np.random.default_rng(0)
    common = rng.normal(size=500)
    values = np.column_stack([common * 1000, common + 0.1 * rng.normal(size=500), np.ones(500)])
    assert abs(np.corrcoef(first_component(values), common)[0, 1]) > 0.98


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 3000), (900, 40), (500, 500)])
def test_places_lie_on_the_grid(width, height):
    for window in sample_windows(utm_grid(width, height), np.random.default_rng(0)):
        assert not window.empty and window == window.clipped(height, width)


def test_blocks_follow_the_range_then_the_objects_then_the_raster():
    grid = utm_grid(2000, 1000)
    assert preferred_block_px(Scale(range_px=300), 32, grid) == 320
    assert preferred_block_px(Scale(range_px=30), 32, grid) == 128
    assert preferred_block_px(Scale(object_px=40), 32, grid) == 160
    assert preferred_block_px(Scale(), 32, grid) == 224
    assert (
        block_reason(Scale(40.0), 128, 128, grid) == "the bands' values are alike up to about 400 m (40 px)"
    )
    assert "too few" in block_reason(Scale(400.0), 128, 416, grid)
    assert "at least to" in block_reason(Scale(400.0, True), 500, 416, grid)
    assert "objects" in block_reason(Scale(object_px=10.0), 128, 128, grid)


def test_breadth_of_discs(tmp_path):
    y, x = np.mgrid[:512, :512]
    ids = (((x % 64 - 32) ** 2 + (y % 64 - 32) ** 2) < 15**2).astype(np.uint8)
    path = write_raster(tmp_path / "l.tif", ids, nodata=255)
    assert object_width_px(path, True) == pytest.approx(30, rel=0.12)
    assert object_width_px(write_raster(tmp_path / "e.tif", ids * 0, nodata=255), True) == 0
