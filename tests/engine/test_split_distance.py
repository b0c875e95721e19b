"""The distance between splits is exact, and splits never touch."""

import numpy as np
import pytest
from data_scenes import utm_grid, write_raster
from scipy.spatial.distance import cdist

from geoseg_engine.contract import Dataset, Problem, Recipe
from geoseg_engine.dataset.split.distance import (
    CELL_PX,
    SPLITS_CLOSE,
    STRIP_ROWS,
    distance_m,
    distance_problems,
    distance_sentence,
    min_split_distance_px,
    warnings_for,
)
from geoseg_engine.dataset.split.splitters import NONE, Blocks
from geoseg_engine.raster.grid import Window


def truth(codes):
    """Brute force over all pixels."""
    points = [np.argwhere(codes == split) for split in range(3)]
    found = [
        cdist(points[one], points[other]).min()
        for one, other in ((0, 1), (0, 2), (1, 2))
        if len(points[one]) and len(points[other])
    ]
    return min(found, default=0.0)


def measured(folder, codes):
    return min_split_distance_px(write_raster(folder / "split.tif", codes, nodata=NONE))


@pytest.mark.parametrize("seed", range(12))
def test_equal_to_brute_force_on_random_rasters(tmp_path, seed):
    rng = np.random.default_rng(seed)
    codes = np.full((int(rng.integers(5, 90)), int(rng.integers(5, 90))), NONE, np.uint8)
    for _ in range(int(rng.integers(2, 9))):
        row, col = rng.integers(0, codes.shape[0]), rng.integers(0, codes.shape[1])
        codes[row : row + rng.integers(1, 9), col : col + rng.integers(1, 9)] = rng.integers(0, 3)
    assert measured(tmp_path, codes) == pytest.approx(truth(codes), abs=1e-9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((STRIP_ROWS - 1, 3), (STRIP_ROWS, 4)),
        ((2, 2), (2 * STRIP_ROWS + 40, 30)),
        ((STRIP_ROWS - 40, 0), (STRIP_ROWS + 60, 39)),
        ((CELL_PX - 1, CELL_PX - 1), (CELL_PX, CELL_PX)),
    ],
)
def test_pairs_across_strips_and_cells_are_found(tmp_path, one, other):
    codes = np.full((2 * STRIP_ROWS + 90, 40), NONE, np.uint8)
    codes[one], codes[other] = 0, 2
    assert measured(tmp_path, codes) == pytest.approx(np.hypot(one[0] - other[0], one[1] - other[1]))


def test_one_split_has_no_distance(tmp_path):
    assert measured(tmp_path, np.zeros((20, 20), np.uint8)) == 0
    assert measured(tmp_path, np.full((20, 20), NONE, np.uint8)) == 0


@pytest.mark.parametrize("seed", range(6))
def test_splits_never_touch(tmp_path, seed):
    rng = np.random.default_rng(seed)
    buffer, block = int(rng.integers(1, 12)), int(rng.integers(24, 60))
    codes = rng.integers(0, 4, (-(-200 // block), -(-260 // block))).astype(np.uint8)
    codes[codes == 3] = NONE
    found = Blocks(block, buffer, codes).window(Window(0, 0, 200, 260))
    found[rng.random(found.shape) < 0.4] = NONE
    assert measured(tmp_path, found) >= buffer + 1


def test_the_sentence_has_pixels_and_metres_and_what_it_means():
    grid = utm_grid(100, 100)
    assert "9 px (90 m) apart." in distance_sentence(9.0, grid, 48)
    assert "farther" in distance_sentence(60.0, grid, 48)
    assert distance_m(9.0, grid) == pytest.approx(90, rel=2e-3)
    (warning,) = distance_problems(9.0, grid, 48)
    assert warning.code == "splits_close" and "48 px" in warning.message and "9 px (90 m)" in warning.message
    assert not distance_problems(60.0, grid, 48) and not distance_problems(0.0, grid, 48)


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(202, 161, 0), (3, 165, 0), (1200, 800, 384), (900, 600, 288), (600, 400, 192)],
)
def test_blocks_are_advised_only_where_they_fit(width, height, side):
    (warning,) = distance_problems(9.0, utm_grid(width, height), 48)
    assert (f"blocks of at least {side} px" in warning.hint) == bool(side)
    assert ("too small" in warning.hint) == (not side)
    if side:
        assert (width // side) * (height // side) >= 6


@pytest.mark.parametrize(("reach_px", "told"), [(0, False), (8, False), (9, True), (48, True), (None, True)])
def test_close_splits_concern_only_models_that_look_so_far(reach_px, told):
    close, other = Problem(SPLITS_CLOSE, "x"), Problem("hull_only", "y")
    recipe = Recipe((), (), utm_grid(9, 9))
    dataset = Dataset("d", recipe, "", "", "", (), warnings=(close, other), split_distance_px=8.5)
    assert warnings_for(dataset, reach_px) == [close] * told + [other]
