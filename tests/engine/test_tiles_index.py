"""The tile index: its counts are the raster's, whatever the tiles and the windows are."""

import numpy as np
import pytest
from data_scenes import channel, utm_grid, write_raster
from tile_scenes import labelled_scene, tile

from geoseg_engine.contract import IGNORE, TileJob
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.split.cell_counts import MANY_VALUES, CellCounts
from geoseg_engine.dataset.tile_index import TileCounter, count_labels, without_empty_tiles
from geoseg_engine.raster.grid import Window, windows

COLUMNS = {0: "n_background", 1: "n_a", 2: "n_b"}


def random_ids(rows, cols, values, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, values + 1, (rows // 5 + 1, cols // 7 + 1)).astype(np.uint8)
    ids = np.repeat(np.repeat(coarse, 5, 0), 7, 1)[:rows, :cols].copy()
    ids[ids == values] = IGNORE
    return ids


def counted(ids, tile_px, stride_px, values, window_px):
    grid = utm_grid(ids.shape[1], ids.shape[0])
    counter = TileCounter(grid, tile_px, stride_px, values)
    for window in windows(grid, window_px):
        counter.add(window, ids[window.within(Window(0, 0, *ids.shape))])
    return counter


@pytest.mark.parametrize("values", [1, 3, MANY_VALUES + 60])
@pytest.mark.parametrize(("tile_px", "stride_px"), [(32, 32), (32, 20), (48, 7), (256, 256)])
@pytest.mark.parametrize("window_px", [50, 64, 1000])
def test_counts_of_tiles_are_those_of_their_pixels(values, tile_px, stride_px, window_px):
    ids = random_ids(190, 230, values)
    counter = counted(ids, tile_px, stride_px, values, window_px)
    found = counter.label_counts()
    for place, window in enumerate(counter.windows()):
        part = ids[window.row : window.row + window.height, window.col : window.col + window.width]
        np.testing.assert_array_equal(found[place], np.bincount(part.ravel(), minlength=256)[:values])


@pytest.mark.parametrize("seed", range(5))
def test_counts_of_tiles_add_up_to_the_rasters_and_tiles_cover_it_once(seed):
    rng = np.random.default_rng(seed)
    side = int(rng.integers(1, 6)) * 16
    rows, cols = (int(count) * side for count in rng.integers(1, 7, 2))
    ids = random_ids(rows, cols, 4, seed)
    counter = counted(ids, side, side, 4, 37)
    np.testing.assert_array_equal(
        counter.label_counts().sum(axis=0), np.bincount(ids.ravel(), minlength=256)[:4]
    )
    covered = np.zeros(ids.shape, int)
    for window in counter.windows():
        covered[window.row : window.row + window.height, window.col : window.col + window.width] += 1
    assert (covered == 1).all()


def test_a_label_raster_is_counted_in_one_pass(tmp_path):
    ids = random_ids(700, 900, 3)
    path = write_raster(tmp_path / "l.tif", ids, tiled=True, blockxsize=256, blockysize=256, compress="zstd")
    counter = TileCounter(utm_grid(900, 700), 64, 64, 3)
    count_labels(path, counter)
    np.testing.assert_array_equal(counter.label_counts(), counted(ids, 64, 64, 3, 700).label_counts())


def test_cells_may_come_in_any_order_of_windows():
    ids = random_ids(60, 80, 3)
    edges = np.array([0, 10, 33, 60]), np.array([0, 5, 50, 80])
    found = []
    for size in (9, 60, 100):
        cells = CellCounts(*edges, 3)
        for window in reversed(list(windows(utm_grid(80, 60), size))):
            cells.add(window, ids[window.within(Window(0, 0, 60, 80))])
        found.append(cells.counts)
    assert (found[0] == found[1]).all() and (found[1] == found[2]).all()
    assert found[0].sum() == (ids != IGNORE).sum()


def test_sparse_and_empty_tiles_can_be_left_out():
    ids = np.zeros((160, 320), np.uint8)
    ids[:, :64] = IGNORE
    ids[40:44, 100:300] = 1
    frame = counted(ids, 32, 32, 3, 100).frame(COLUMNS, 0.9)
    objects = int((frame.n_a > 0).sum())
    empty = int(((frame.n_a == 0) & (frame.n_background > 0)).sum())
    whole = without_empty_tiles(frame, COLUMNS, True, 0.0, 1.0, 1)
    assert len(whole) == len(frame) == 50 and objects == 7
    assert len(without_empty_tiles(frame, COLUMNS, True, 0.5, 1.0, 1)) == 40
    assert len(without_empty_tiles(frame, COLUMNS, True, 0.5, 0.0, 1)) == objects
    half = without_empty_tiles(frame, COLUMNS, True, 0.5, 0.5, 1)
    assert len(half) == objects + round(0.5 * empty) and set(frame.tile_id[frame.n_a > 0]) <= set(
        half.tile_id
    )
    assert half.tile_id.tolist() == without_empty_tiles(frame, COLUMNS, True, 0.5, 0.5, 1).tile_id.tolist()
    assert half.tile_id.tolist() != without_empty_tiles(frame, COLUMNS, True, 0.5, 0.5, 2).tile_id.tolist()
    assert len(without_empty_tiles(frame, COLUMNS, False, 0.0, 0.0, 1)) == 50, (
        "unknown ground is not empty ground"
    )


def test_the_job_leaves_out_tiles_but_no_pixel(tmp_path):
    labelled_scene(tmp_path)
    whole, dataset, _, _ = tile(tmp_path, tile_px=16)
    result, other, _, _ = tile(tmp_path, tile_px=16, empty_share=0.25)
    assert sum(result["tile_counts"].values()) < sum(whole["tile_counts"].values())
    assert other.counts == dataset.counts


def test_largest_and_smallest_tile(tmp_path):
    labelled_scene(tmp_path)
    for side in (16, 1024):
        result = tiles.run(TileJob("stack.tif", "labels.tif", tile_px=side), tmp_path, channel(tmp_path))
        assert sum(result["tile_counts"].values()) == {16: 19 * 21, 1024: 1}[side]
