"""How values of a band become the network's input, by the band's own settings."""

import numpy as np
import pytest

from geoseg_engine.contract import Band
from geoseg_engine.modelfile.stats import measure, normalise

VALUES = np.random.default_rng(1).gamma(2.0, 300.0, (1, 5000)).astype(np.float32)


def scores(band: Band, values: np.ndarray = VALUES) -> tuple[np.ndarray, np.ndarray]:
    statistics, _ = measure(VALUES, [band])
    clipped = np.clip(values, statistics.low[0], statistics.high[0])
    return normalise(values[:, None], statistics)[0, 0], clipped[0]


def test_zscore():
    found, clipped = scores(Band("a", "s"))
    assert found.mean() == pytest.approx(0, abs=1e-4) and found.std() == pytest.approx(1, rel=1e-4)
    assert clipped.max() == pytest.approx(np.percentile(VALUES, 99.5), rel=1e-5)


def test_robust():
    found, clipped = scores(Band("a", "s", scaling="robust"))
    low, middle, high = np.percentile(clipped, (25, 50, 75))
    np.testing.assert_allclose(found, (clipped - middle) / ((high - low) / 1.349), rtol=1e-3, atol=1e-4)


def test_minmax_runs_from_0_to_1_between_the_clip_limits():
    found, _ = scores(Band("a", "s", scaling="minmax", clip_percent=(2, 98)))
    assert found.min() == 0 and found.max() == pytest.approx(1)
    beyond, _ = scores(Band("a", "s", scaling="minmax"), np.array([[-1e6, 1e6, np.nan]], np.float32))
    np.testing.assert_allclose(beyond, [0, 1, 0], atol=1e-6)


def test_none_only_clips():
    found, clipped = scores(Band("a", "s", scaling="none", clip_percent=(0, 100)))
    np.testing.assert_array_equal(found, VALUES[0])
    np.testing.assert_array_equal(found, clipped)


@pytest.mark.parametrize("scaling", ["zscore", "robust", "minmax", "none"])
def test_limits_are_scores_of_the_clip_percentiles(scaling):
    statistics, _ = measure(VALUES, [Band("a", "s", scaling=scaling, clip_percent=(5, 90))])
    low, high = statistics.z_limits()
    ends = np.percentile(VALUES, (5, 90)).astype(np.float32)
    np.testing.assert_allclose(normalise(ends[None], statistics)[0], [low[0], high[0]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scaling", ["zscore", "robust", "minmax"])
def test_a_constant_band_is_named_and_becomes_0(scaling):
    band = Band("flat", "s", scaling=scaling)
    statistics, problems = measure(np.full((1, 50), 7.0, np.float32), [band])
    assert [problem.code for problem in problems] == ["constant_band"]
    assert (normalise(np.full((1, 4), 7.0, np.float32), statistics) == 0).all()


def test_robust_of_a_band_that_is_mostly_one_value_keeps_a_scale():
    values = np.zeros((1, 1000), np.float32)
    values[0, :100] = np.arange(100)
    statistics, problems = measure(values, [Band("a", "s", scaling="robust")])
    assert statistics.mean == (0,) and statistics.std[0] > 1 and not problems
