"""Folds partition the labelled ground; areas and polygons of the label layer itself can name the split."""

import numpy as np
import pytest
from data_scenes import UTM, channel, pixel_box, utm_grid, write_polygons
from tile_scenes import gap_px, labelled_scene, nine_boxes, tile

from geoseg_engine.contract import IGNORE, SPLITS, Area, GeoSegError, Labels, RasterizeJob, TileJob
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.datasets import open_dataset_stack, read_dataset, read_ids
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.dataset.split.folds import fold_roles
from geoseg_engine.dataset.split.splitters import NONE, TEST, TRAIN, VALIDATION, Regions
from geoseg_engine.raster.grid import Window, windows


def folds_of(folder, count):
    found = []
    for number in range(1, count + 1):
        dataset, home = read_dataset(folder / "folds" / str(number))
        found.append((dataset, home, read_ids(home / dataset.split)))
    return found


@pytest.mark.parametrize(("folds", "seed"), [(3, 1), (5, 42)])
def test_folds_partition_the_labelled_ground(tmp_path, folds, seed):
    labelled_scene(tmp_path)
    result, dataset, _, ids = tile(tmp_path, folds=folds, seed=seed, buffer_px=0)
    made = folds_of(tmp_path, folds)
    assert len(result["folds"]) == folds
    tests = np.stack([split == TEST for _, _, split in made])
    assert (tests.sum(axis=0) == (ids != IGNORE)).all(), "every labelled pixel is tested once"
    validated = np.stack([split == VALIDATION for _, _, split in made])
    np.testing.assert_array_equal(validated, np.roll(tests, -1, axis=0))
    for one, home, _ in made:
        assert all(one.counts[name][str(item.id)] for name in SPLITS for item in one.classes)
        assert (home / one.tiles).exists() and (home / one.labels).samefile(tmp_path / "labels.tif")
        with open_dataset_stack(one, home) as reader:
            assert reader.read(Window(0, 0, 5, 5)).shape == (1, 5, 5)
    assert len({one.fingerprint for one, _, _ in made} | {dataset.fingerprint}) == folds + 1


def test_folds_have_a_buffer_of_their_own(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, folds=4, block_px=60, buffer_px=6)
    for one, _, split in folds_of(tmp_path, 4):
        assert gap_px(split) >= 6 and one.split_distance_px >= 7


def test_numbers_in_a_field_are_folds(tmp_path):
    labelled_scene(tmp_path)
    path = write_polygons(tmp_path / "area.gpkg", nine_boxes(), fold=[1, 1, 2, 2, 3, 3, 7, 7, 7])
    area = Area("polygons", str(path), split_field="fold")
    _, _, split, _ = tile(tmp_path, folds=5, area=area, buffer_px=0)
    made = folds_of(tmp_path, 4)
    np.testing.assert_array_equal(split, made[0][2])
    assert (made[0][2][10:70, 10:70] == TEST).all() and (made[3][2][210:270, 10:70] == TEST).all()
    assert (made[1][2][110:170, 110:170] == VALIDATION).all() and (made[1][2][10:70, 10:70] == TRAIN).all()
    tests = np.stack([fold == TEST for _, _, fold in made]).sum(axis=0)
    assert tests.max() == 1 and tests.sum() == 9 * 3600


@pytest.mark.parametrize("folds", [1, 2])
def test_too_few_folds_are_refused(tmp_path, folds):
    labelled_scene(tmp_path)
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, folds=folds)
    assert caught.value.code == "too_few_folds" and not (tmp_path / "folds").exists()


def test_more_folds_than_blocks_are_refused_and_the_old_ones_stay(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, folds=3)
    before = (tmp_path / "folds" / "2" / "dataset.json").read_bytes()
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, folds=9, block_px=160)
    assert caught.value.code == "too_few_blocks"
    assert (tmp_path / "folds" / "2" / "dataset.json").read_bytes() == before
    assert not (tmp_path / "folds.part").exists()


def test_a_folder_with_other_files_is_not_replaced_by_folds(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, folds=3)
    path = write_polygons(tmp_path / "folds" / "area.gpkg", nine_boxes(), fold=[1, 1, 2, 2, 3, 3, 7, 7, 7])
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, folds=5, area=Area("polygons", str(path), split_field="fold"))
    assert caught.value.code == "not_folds" and "area.gpkg" in caught.value.message and path.exists()


def test_folds_of_an_earlier_making_are_forgotten(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, folds=3)
    tile(tmp_path)
    assert not (tmp_path / "folds").exists() and (tmp_path / "dataset.json").exists()


def test_roles_of_folds():
    assert fold_roles(4, 3).tolist() == [VALIDATION, TRAIN, TRAIN, TEST]


def test_layers_of_their_own_name_the_splits(tmp_path):
    labelled_scene(tmp_path)
    parts = [pixel_box(0, 0, 300, 150), pixel_box(0, 170, 140, 160), pixel_box(160, 170, 140, 160)]
    areas = tuple(
        Area("polygons", str(write_polygons(tmp_path / f"{name}.gpkg", [box])))
        for name, box in zip(SPLITS, parts, strict=True)
    )
    _, dataset, split, _ = tile(tmp_path, split_areas=areas, buffer_px=0)
    assert (split[:, :150] == TRAIN).all() and (split[:140, 170:] == VALIDATION).all()
    assert (split[160:, 170:] == TEST).all() and (split[:, 150:170] == NONE).all()
    assert dataset.split_distance_px == 21


def test_an_extent_can_be_the_test_and_validation_is_carved(tmp_path):
    labelled_scene(tmp_path)
    west = Area("extent", extent=pixel_box(0, 0, 300, 200).bounds, extent_crs=UTM)
    east = Area("extent", extent=pixel_box(0, 200, 300, 130).bounds, extent_crs=UTM)
    _, dataset, split, _ = tile(tmp_path, split_areas=(west, Area(), east))
    assert (split[:, 200:] == TEST).all() and set(np.unique(split[:, :200])) == {TRAIN, VALIDATION, NONE}
    assert "split_carved" in {item.code for item in dataset.warnings}
    with pytest.raises(GeoSegError) as caught:
        tile(tmp_path, split_areas=(Area(), Area(), Area()))
    assert caught.value.code == "no_split_areas"


def test_objects_that_name_their_split_take_the_background_around_them(tmp_path):
    labelled_scene(tmp_path)
    boxes = [pixel_box(row, col, 9, 9) for row in range(20, 300, 40) for col in range(20, 330, 40)]
    use = [
        "test" if box.centroid.x > 602_500 else "val" if box.centroid.y < 5_197_800 else "train"
        for box in boxes
    ]
    use[0] = "later"
    path = write_polygons(tmp_path / "objects.gpkg", boxes, kind=["a"] * len(boxes), split=use)
    source = Labels(str(path), "", "l", "kind", unlabelled="background")
    labels.run(RasterizeJob("stack.tif", source), tmp_path, channel(tmp_path))
    area = Area("polygons", str(path), split_field="split")
    tiles.run(TileJob("stack.tif", "labels.tif", area=area, buffer_px=8), tmp_path, channel(tmp_path))
    dataset, home = read_dataset(tmp_path)
    split = read_ids(home / dataset.split)
    assert all(dataset.counts[name]["0"] > 1000 for name in SPLITS)
    assert (split[20:29, 20:29] == NONE).all(), "a polygon that names no split is left out"
    split[20:29, 20:29] = TRAIN
    assert (split[:, 300:] == TEST).all() and (split[:100, :100] == TRAIN).all() and gap_px(split) >= 8


def test_ground_of_the_nearest_polygon_does_not_depend_on_the_window():
    grid = utm_grid(150, 130)
    shapes = (
        (pixel_box(5, 5, 9, 9), TRAIN),
        (pixel_box(90, 100, 5, 30), TEST),
        (pixel_box(60, 20, 9, 9), VALIDATION),
    )
    regions = Regions(grid, shapes, 5, nearest=True)
    whole = regions.window(Window(0, 0, 130, 150))
    assert gap_px(whole) >= 5 and (whole[:3, :3] == TRAIN).all() and (whole[-3:, -3:] == TEST).all()
    for window in windows(grid, 41):
        np.testing.assert_array_equal(regions.window(window), whole[window.within(Window(0, 0, 130, 150))])
