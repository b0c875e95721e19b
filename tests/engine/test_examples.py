"""Best and worst tiles: chosen by score, drawn as they are."""

import base64

import numpy as np
import pytest
import rasterio
from prediction_scenes import CLASSES, grid_of, recipe_of, scene, write_raster
from rasterio.io import MemoryFile

from geoseg_engine.contract import Dataset
from geoseg_engine.evaluation import examples
from geoseg_engine.evaluation.examples import Tile, best_and_worst, pictures, png, shown_bands, stretched
from geoseg_engine.scores.cells import Cells
from geoseg_engine.stacking.reader import StackReader


def decoded(uri):
    with MemoryFile(base64.b64decode(uri.split(",")[1])) as memory, memory.open() as file:
        return file.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_png_comes_back_as_it_was_and_large_ones_are_thinned_out():
    rgba = np.random.default_rng(0).integers(0, 256, (4, 13, 7)).astype(np.uint8)
    assert np.array_equal(decoded(png(rgba)), rgba)
    large = np.zeros((4, 500, 300), np.uint8)
    assert decoded(png(large)).shape == (4, 167, 100)


def judged(wrong):
    """Tiles of 8 px of which each has so many wrong pixels; the object fills the left half."""
    truth = np.zeros((8, 8 * len(wrong)), np.uint8)
    for place in range(len(wrong)):
        truth[:, 8 * place : 8 * place + 4] = 1
    ids = truth.copy()
    for place, count in enumerate(wrong):
        for pixel in range(count):
            ids[pixel // 4, 8 * place + pixel % 4] = 0
    return truth, ids


def columns(cells):
    best, worst = best_and_worst(cells, True)
    return {tile.col for tile in [*best, *worst]}


def test_best_and_worst_follow_the_score_and_never_share_a_tile():
    truth, ids = judged([3, 0, 20, 7, 31])
    cells = Cells(8, *truth.shape, 2)
    cells.add(0, 0, truth, ids)
    best, worst = best_and_worst(cells, True)
    assert [tile.col // 8 for tile in worst] == [4, 2]
    assert [tile.col // 8 for tile in best] == [1, 0, 3]
    assert best[0].iou == 1 and worst[0].iou == pytest.approx(1 / 32)
    many = Cells(8, 8, 8 * 20, 2)
    many.add(0, 0, *judged(list(range(20))))
    best, worst = best_and_worst(many, False)
    assert len(best) == len(worst) == examples.EXAMPLES and not set(best) & set(worst)


def test_little_labelled_tiles_are_left_out_unless_all_are():
    truth, ids = judged([0, 10, 20])
    truth[:, :6] = 255
    cells = Cells(8, *truth.shape, 2)
    cells.add(0, 0, truth, ids)
    assert columns(cells) == {8, 16}
    truth[2:] = 255
    sparse = Cells(8, *truth.shape, 2)
    sparse.add(0, 0, truth, ids)
    assert columns(sparse) == {8, 16}
    assert best_and_worst(Cells(8, 8, 8, 2), True) == ([], [])


def test_bands_shown_are_colours_where_names_tell():
    assert shown_bands(["NIR", "blue", "Red", "green"]) == [2, 3, 1]
    assert shown_bands(["a", "b", "c", "d"]) == [0, 1, 2] and shown_bands(["dem", "slope"]) == [0]


def test_one_stretch_for_all_and_gaps_are_transparent():
    image = np.linspace(0, 100, 64, dtype=np.float32).reshape(1, 8, 8)
    gap = image.copy() / 2
    gap[0, 0, 0] = np.nan
    one, other = stretched([image, gap])
    assert one.shape == (4, 8, 8) and one[0].max() == 255 and 110 < other[0].max() < 145
    assert other[3, 0, 0] == 0 and one[3].all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_at_the_border_have_the_classes_colours(tmp_path):
    grid = grid_of(40, 50)
    ids = np.random.default_rng(1).integers(0, 3, (40, 50)).astype(np.uint8)
    recipe = recipe_of(write_raster(tmp_path / "image.tif", scene(40, 50), grid), grid)
    write_raster(tmp_path / "ids.tif", ids, grid, 255)
    dataset = Dataset("d", recipe, "", "", "", CLASSES)

    def truth(window):
        with rasterio.open(tmp_path / "ids.tif") as file:
            return np.where(file.read(1, window=window.rasterio) == 2, 255, 1).astype(np.uint8)

    with StackReader(recipe) as stack:
        (found,) = pictures([Tile(32, 32, 32, 0.5)], dataset, stack, truth, tmp_path / "ids.tif")
    drawn = decoded(found["prediction"])
    assert drawn.shape == (4, 8, 18)
    assert (drawn[:, ids[32:, 32:] == 1].T == (0, 0, 255, 255)).all()
    assert (decoded(found["truth"])[3] == 0).sum() == (ids[32:, 32:] == 2).sum()
