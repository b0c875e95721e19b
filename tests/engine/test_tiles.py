"""Split and tiles: no pixel twice, splits never touch, every class where it can be."""

import json

import geopandas
import numpy as np
import pytest
from data_scenes import (
    channel,
    hills,
    one_band_each,
    pixel_box,
    sources_of,
    utm_grid,
    write_polygons,
    write_raster,
)
from tile_scenes import gap_px, labelled_scene, nine_boxes, tile

from geoseg_engine.contract import (
    IGNORE,
    SPLITS,
    Area,
    Cancelled,
    GeoSegError,
    Labels,
    RasterizeJob,
    StackJob,
    TileJob,
)
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.datasets import open_dataset_stack, read_dataset
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.dataset.split.plan import REACH_PX, buffer_problems
from geoseg_engine.dataset.split.splitters import (
    NONE,
    TEST,
    TRAIN,
    VALIDATION,
    Blocks,
    Regions,
    assign,
)
from geoseg_engine.dataset.tile_index import tile_starts
from geoseg_engine.models.unet import reach
from geoseg_engine.raster.grid import Window, windows
from geoseg_engine.stacking import stack
from geoseg_engine.training.plan import LEVELS


def test_dataset_counts_each_pixel_once(tmp_path):
    labelled_scene(tmp_path)
    result, dataset, split, ids = tile(tmp_path, stride_px=32)
    for index, name in enumerate(SPLITS):
        for item in dataset.classes:
            assert dataset.counts[name][str(item.id)] == ((split == index) & (ids == item.id)).sum()
    assert (split[ids == IGNORE] == NONE).all()
    assert dataset.stride_px == 32 and result["counts"] == dataset.counts


def test_shares_and_classes_of_blocks(tmp_path):
    labelled_scene(tmp_path)
    _, dataset, split, _ = tile(tmp_path)
    total = sum(sum(counts.values()) for counts in dataset.counts.values())
    for name, share in zip(SPLITS, (0.65, 0.15, 0.20), strict=True):
        assert sum(dataset.counts[name].values()) / total == pytest.approx(share, abs=0.06)
        assert all(dataset.counts[name][str(item.id)] for item in dataset.classes)
    assert dataset.block_px >= 48 and gap_px(split) >= dataset.buffer_px > 0


@pytest.mark.parametrize("buffer", [0, 1, 5, 12])
def test_blocks_of_different_splits_are_a_buffer_apart(buffer):
    codes = np.random.default_rng(buffer).integers(0, 4, (6, 7)).astype(np.uint8)
    codes[codes == 3] = NONE
    blocks = Blocks(32, buffer, codes)
    found = blocks.window(Window(0, 0, 190, 220))
    assert gap_px(found) >= buffer
    assert all((found == split).any() for split in range(3))
    for window in windows(utm_grid(220, 190), 50):
        rows, cols = (
            slice(window.row, window.row + window.height),
            slice(window.col, window.col + window.width),
        )
        np.testing.assert_array_equal(blocks.window(window), found[rows, cols])


def test_regions_are_a_buffer_apart_and_test_keeps_its_ground():
    grid = utm_grid(120, 90)
    shapes = (
        (pixel_box(0, 0, 90, 50), TRAIN),
        (pixel_box(0, 50, 45, 70), VALIDATION),
        (pixel_box(45, 40, 45, 80), TEST),
    )
    regions = Regions(grid, shapes, 7)
    found = regions.window(Window(0, 0, 90, 120))
    assert gap_px(found) >= 7 and (found[45:, 40:] == TEST).all()
    for window in windows(grid, 33):
        rows, cols = (
            slice(window.row, window.row + window.height),
            slice(window.col, window.col + window.width),
        )
        np.testing.assert_array_equal(regions.window(window), found[rows, cols])


def test_a_rare_class_reaches_every_split_if_it_has_three_blocks():
    rng = np.random.default_rng(1)
    counts = np.column_stack([rng.integers(500, 1000, 40), np.zeros(40, int)])
    counts[[3, 17, 30], 1] = 5
    codes = assign(counts, (0.65, 0.15, 0.20), 42)
    assert {int(code) for code in codes[[3, 17, 30]]} == {TRAIN, VALIDATION, TEST}
    np.testing.assert_array_equal(codes, assign(counts, (0.65, 0.15, 0.20), 42))


def test_a_split_with_share_0_stays_empty():
    counts = np.random.default_rng(2).integers(1, 100, (20, 3))
    assert set(assign(counts, (0.8, 0.2, 0.0), 1).tolist()) == {TRAIN, VALIDATION}


def test_same_seed_same_split_other_seed_other_split(tmp_path):
    labelled_scene(tmp_path)
    first = tile(tmp_path)[2]
    np.testing.assert_array_equal(first, tile(tmp_path)[2])
    assert (first != tile(tmp_path, seed=7)[2]).any()


def test_buffer_that_eats_the_blocks_is_refused_and_a_wide_one_gets_wide_blocks(tmp_path):
    labelled_scene(tmp_path)
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, block_px=40, buffer_px=30)
    assert caught.value.code == "buffer_too_wide" and "120" in caught.value.hint
    _, dataset, split, _ = tile(tmp_path, buffer_px=40)
    assert dataset.block_px >= 80 and gap_px(split) >= 40


def areas(folder, names, boxes):
    path = write_polygons(folder / "area.gpkg", boxes, use=names)
    return Area("polygons", str(path), split_field="use")


def test_area_polygons_name_their_split(tmp_path):
    labelled_scene(tmp_path)
    names = ["Train"] * 5 + ["VALIDATION", "val"] + ["test", "Testing"]
    _, dataset, split, _ = tile(tmp_path, area=areas(tmp_path, names, nine_boxes()))
    assert (split[10:70, 10:70] == TRAIN).all() and (split[210:270, 210:270] == TEST).all()
    assert (split[110:170, 210:270] == VALIDATION).all() and (split[80:100] == NONE).all()
    assert not {"validation_is_test", "split_carved"} & {item.code for item in dataset.warnings}


def test_validation_polygons_become_the_test_when_there_is_none(tmp_path):
    labelled_scene(tmp_path)
    _, dataset, split, _ = tile(
        tmp_path, area=areas(tmp_path, ["train"] * 7 + ["validation"] * 2, nine_boxes())
    )
    assert (split[210:270, 110:170] == TEST).all() and (split[210:270, 210:270] == TEST).all()
    assert {"validation_is_test", "split_carved"} <= {item.code for item in dataset.warnings}
    boxes = [split[row : row + 60, col : col + 60] for row in (10, 110, 210) for col in (10, 110, 210)][:7]
    assert all(len(np.unique(box)) == 1 for box in boxes), "whole boxes are taken"
    assert 1 <= sum((box == VALIDATION).all() for box in boxes) <= 2


def test_validation_is_carved_as_blocks_out_of_large_train_polygons(tmp_path):
    labelled_scene(tmp_path)
    west_east = areas(tmp_path, ["train", "test"], [pixel_box(0, 0, 300, 165), pixel_box(0, 165, 300, 165)])
    _, dataset, split, _ = tile(tmp_path, area=west_east)
    assert (split[:, 165:] == TEST).all() and set(np.unique(split[:, :165])) == {TRAIN, VALIDATION, NONE}
    assert gap_px(split) >= min(dataset.buffer_px, dataset.block_px // 8) > 0
    assert "split_carved" in {item.code for item in dataset.warnings}


def test_area_without_train_or_without_the_field_is_refused(tmp_path):
    labelled_scene(tmp_path)
    for names, code in ((["test"] * 9, "no_train_area"), (["blue"] * 9, "no_split_values")):
        with pytest.raises(GeoSegError) as caught:
            tile(tmp_path, area=areas(tmp_path, names, nine_boxes()))
        assert caught.value.code == code
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, area=Area("polygons", str(tmp_path / "area.gpkg"), split_field="nope"))
    assert caught.value.code == "no_field" and "use" in caught.value.hint


@pytest.mark.parametrize(
    ("length", "stride", "expected"), [(64, 64, [0]), (10, 64, [0]), (150, 64, [0, 64, 86])]
)
def test_tiles_reach_the_edge(length, stride, expected):
    assert tile_starts(length, 64, stride) == expected


def test_tile_index_has_every_tile_and_agrees_with_the_rasters(tmp_path):
    labelled_scene(tmp_path)
    result, _, split, ids = tile(tmp_path)
    frame = geopandas.read_file(tmp_path / "tiles.gpkg", layer="tiles")
    assert len(frame) == 5 * 6 == sum(result["tile_counts"].values())
    covered = np.zeros(split.shape, bool)
    for record in frame.itertuples():
        part = np.s_[record.row : record.row + 64, record.col : record.col + 64]
        covered[part] = True
        assert record.n_a == (ids[part] == 1).sum() and record.labelled_share == 1
        if record.split != "unused":
            others = (split[part] != NONE) & (split[part] != SPLITS.index(record.split))
            assert others.sum() <= 0.1 * (split[part] != NONE).sum()
    assert covered.all() and result["tile_counts"]["train"] > 0
    blocks = geopandas.read_file(tmp_path / "tiles.gpkg", layer="blocks")
    assert set(blocks["split"]) == set(SPLITS) and blocks.crs == frame.crs


@pytest.mark.parametrize(("rows", "cols"), [(40, 50), (9, 300), (3, 3), (1, 1)])
def test_a_raster_smaller_than_a_tile_is_no_empty_result(tmp_path, rows, cols):
    name = labelled_scene(tmp_path, rows, cols, written=False)
    result, dataset, _, _ = tile(tmp_path, name)
    assert sum(result["tile_counts"].values()) >= 1 and sum(dataset.counts["train"].values()) > 0
    assert "smaller_than_tile" in {item.code for item in dataset.warnings}
    if rows * cols > 1000:
        assert all(sum(dataset.counts[name].values()) for name in SPLITS)


def test_warnings_of_the_labels_travel_in_the_dataset(tmp_path):
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(100, 100)))
    stack.run(StackJob(sources, one_band_each(sources)), tmp_path, channel(tmp_path))
    source = Labels(
        str(write_polygons(tmp_path / "l.gpkg", [pixel_box(10, 10, 9, 9), pixel_box(30, 30, 9, 9)]))
    )
    labels.run(RasterizeJob("stack.tif", source), tmp_path, channel(tmp_path))
    _, dataset, _, _ = tile(tmp_path)
    assert "labels_incomplete" in {item.code for item in dataset.warnings}
    assert "class_missing" in {item.code for item in dataset.warnings}, (
        "two polygons cannot be in three splits"
    )


def test_dataset_is_found_from_its_folder_and_can_be_read(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, output="data/set")
    dataset, folder = read_dataset(tmp_path / "data" / "set")
    assert dataset.labels == "../../labels.tif" and dataset.stack == "../../stack.tif"
    with open_dataset_stack(dataset, folder) as reader:
        written = reader.read(Window(0, 0, 30, 30))
    (tmp_path / "stack.tif").unlink()
    with open_dataset_stack(dataset, folder) as reader:
        np.testing.assert_array_equal(reader.read(Window(0, 0, 30, 30)), written)
    with pytest.raises(GeoSegError) as caught:
        read_dataset(tmp_path / "nowhere")
    assert caught.value.code == "no_dataset"


def test_labels_of_another_grid_or_not_ours_are_refused(tmp_path):
    labelled_scene(tmp_path)
    sources = sources_of(write_raster(tmp_path / "b.tif", hills(50, 50)))
    stack.run(StackJob(sources, one_band_each(sources), output="other.tif"), tmp_path, channel(tmp_path))
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, "other.tif")
    assert caught.value.code == "other_grid"
    (tmp_path / "labels.classes.json").unlink()
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path)
    assert caught.value.code == "not_our_labels"


def spoiled(*_, **__):
    raise Cancelled


@pytest.mark.parametrize("step", ["tile_frame", "write_tiles", "fingerprint"])
def test_a_cancelled_retile_leaves_the_old_dataset_whole(tmp_path, monkeypatch, step):
    labelled_scene(tmp_path)
    tile(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(tiles, step, spoiled)
    with pytest.raises(Cancelled):
        tiles.run(TileJob("stack.tif", "labels.tif", seed=7), tmp_path, channel(tmp_path))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in ("split.tif", "tiles.gpkg", "dataset.json"))


def test_the_fingerprint_tells_one_split_from_another(tmp_path):
    labelled_scene(tmp_path)
    first, again = (tile(tmp_path)[1].fingerprint for _ in range(2))
    other = tile(tmp_path, seed=7)[1].fingerprint
    assert len(first) == 64 and first == again != other
    known = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    del known["fingerprint"]
    (tmp_path / "dataset.json").write_text(json.dumps(known), encoding="utf-8")
    assert read_dataset(tmp_path)[0].fingerprint == ""


def two_blocks(buffer):
    return Blocks(64, buffer, np.array([[TRAIN, TEST]], np.uint8))


@pytest.mark.parametrize(
    ("splitter", "wanted", "expected"),
    [
        (two_blocks(8), -1, ()),
        (two_blocks(2), -1, ("2 px", "8 px")),
        (two_blocks(5), 5, ()),
        (two_blocks(30), 30, ()),
        (Blocks(64, 0, np.array([[TRAIN, NONE]], np.uint8)), -1, ()),
        (Regions(utm_grid(9, 9), (), 16), -1, ("16 px", "32 px")),
        (Regions(utm_grid(9, 9), (), 32, two_blocks(4)), -1, ("4 px", "8 px")),
    ],
)
def test_a_narrow_buffer_is_one_warning_with_its_numbers(splitter, wanted, expected):
    found = buffer_problems(TileJob("", "", buffer_px=wanted), splitter)
    assert len(found) == bool(expected)
    assert all(item.code == "buffer_narrowed" and item.severity == "warning" for item in found)
    assert all(number in found[0].message for number in expected)


def test_the_reach_that_buffers_are_held_against_is_the_default_networks():
    assert reach(LEVELS) == REACH_PX
