"""Statistics, sampling and augmentation."""

import numpy as np
import pytest
import torch
from training_scenes import blobs

from geoseg_engine.contract import IGNORE, Band
from geoseg_engine.modelfile.stats import Statistics, measure, normalise
from geoseg_engine.training import scene as scenes
from geoseg_engine.training.sampler import Sampler, crop_start, cut_batch, group_pixels

BANDS = tuple(Band(f"b{index}", "r1", index) for index in (1, 2, 3))


ASPECT = (Band("height", "dem"), Band("east", "dem", 1, "aspect_sin"), Band("north", "dem", 1, "aspect_cos"))


def make_scene(rows: int = 96, cols: int = 128, **changes: np.ndarray) -> scenes.Scene:
    image, labels, split = blobs(rows, cols)
    made, _ = scenes.scene_from_arrays(
        changes.get("image", image), changes.get("labels", labels), split, BANDS, 2
    )
    return made


def test_statistics_come_from_train_pixels_only():
    image, labels, split = blobs()
    image[:, split != 0] += 1e6
    made, _ = scenes.scene_from_arrays(image, labels, split, BANDS, 2)
    assert 950 < made.statistics.mean[0] < 1050


def test_statistics_leave_out_nan_and_clip_outliers():
    values = np.random.default_rng(0).normal(-5, 2, (1, 10_000)).astype(np.float32)
    values[0, :100] = np.nan
    values[0, 100:110] = 1e9
    found, problems = measure(values, BANDS[:1])
    assert not problems
    assert found.mean[0] == pytest.approx(-5, abs=0.1)
    assert found.std[0] == pytest.approx(2, abs=0.1)
    assert -11 < found.low[0] < found.high[0] < 1


def test_constant_and_empty_bands_are_named():
    values = np.array([[7.0] * 50, [np.nan] * 50], dtype=np.float32)
    found, problems = measure(values, BANDS[:2])
    assert [item.code for item in problems] == ["constant_band", "empty_band"]
    assert found.std == (1.0, 1.0)
    assert np.array_equal(normalise(values[:, :, None], found), np.zeros((2, 50, 1), dtype=np.float32))


def test_normalise_gives_z_scores_and_zero_for_nan():
    statistics = Statistics((10.0,), (2.0,), (6.0,), (14.0,))
    scores = normalise(np.array([[[10, 12, 100, np.nan, -np.inf]]], dtype=np.float32), statistics)
    assert scores.dtype == np.float32
    assert scores[0, 0].tolist() == [0, 1, 2, 0, -2]


def test_the_loss_can_only_see_train_pixels_and_no_buffer():
    image, labels, split = blobs()
    split[:, 70:77] = IGNORE  # the buffer that a split leaves
    made, _ = scenes.scene_from_arrays(image, labels, split, BANDS, 2)
    assert (made.train[split != 0] == IGNORE).all()
    assert (made.validation[split != 1] == IGNORE).all()
    of_train = np.pad(np.where(split == 0, labels, IGNORE), 40, constant_values=IGNORE)
    sampler = Sampler(made, 32, 0)
    for step in range(20):
        for (row, col), seen in zip(sampler.corners(step, 4), sampler.crops(step, 4)[1], strict=True):
            window = np.s_[row + 40 : row + 72, col + 40 : col + 72]
            assert np.array_equal(seen.numpy(), of_train[window])
            assert (seen != IGNORE).any()


@pytest.mark.parametrize("size", [5, 24, 40])
def test_squares_cut_in_one_go_are_those_cut_one_by_one(size):
    array = torch.randn(3, 30, 33).half()
    corners = [(0, 0), (-3, 4), (29, 30), (8, -3), (3, 2)]
    expected = torch.stack([scenes.cut(array, row, col, size, size, 7.0) for row, col in corners])
    assert torch.equal(cut_batch(array, corners, size, 7.0), expected)
    assert torch.equal(cut_batch(array, corners[:1], 5, 7.0), expected[:1, :, :5, :5])


@pytest.mark.parametrize(("class_balanced_fraction", "expected"), [(0.0, 0.0), (0.6, 0.3), (1.0, 0.5)])
def test_the_share_drawn_by_class_is_the_given_one(class_balanced_fraction, expected):
    labels = np.zeros((400, 400), dtype=np.uint8)
    labels[300:302, 40:42] = 1
    split = np.zeros_like(labels)
    made, _ = scenes.scene_from_arrays(np.zeros((3, 400, 400), np.float32), labels, split, BANDS, 2)
    _, crops = Sampler(made, 16, 0, class_balanced_fraction).crops(0, 400)
    assert float((crops == 1).flatten(1).any(dim=1).float().mean()) == pytest.approx(expected, abs=0.07)


def test_a_step_depends_on_seed_and_number_alone():
    made = make_scene()
    one, other = Sampler(made, 32, 7), Sampler(made, 32, 7)
    other.crops(3, 8)
    assert torch.equal(one.crops(5, 4)[0], other.crops(5, 4)[0])
    assert not torch.equal(one.crops(5, 4)[0], one.crops(6, 4)[0])
    assert not torch.equal(one.crops(5, 4)[0], Sampler(made, 32, 8).crops(5, 4)[0])


def test_a_rare_class_is_seen_in_a_third_of_the_crops():
    labels = np.zeros((200, 200), dtype=np.uint8)
    labels[150:153, 40:43] = 1
    split = np.zeros_like(labels)
    made, _ = scenes.scene_from_arrays(np.zeros((3, 200, 200), np.float32), labels, split, BANDS, 2)
    _, crops = Sampler(made, 32, 0).crops(0, 300)
    share = float((crops == 1).any(dim=2).any(dim=1).float().mean())
    assert 0.12 < share < 0.4


def test_a_huge_polygon_does_not_drown_the_small_ones():
    labels = np.full((100, 100), IGNORE, dtype=np.uint8)
    labels[:50, :50] = 1
    for col in range(60, 100, 5):
        labels[90:93, col : col + 3] = 1
    pixels = group_pixels(labels, 1)
    random = np.random.default_rng(0)
    small = np.mean([pixels.draw(random) // 100 >= 90 for _ in range(2000)])
    assert small > 0.2
    assert all(labels.ravel()[pixels.draw(random)] == 1 for _ in range(200))


@pytest.mark.parametrize("shape", [(20, 24), (20, 100), (96, 128)])
def test_crops_work_at_borders_and_on_small_rasters(shape):
    made = make_scene(*shape)
    images, labels = Sampler(made, 48, 0).crops(0, 6)
    assert images.shape == (6, 3, 48, 48)
    assert labels.shape == (6, 48, 48)
    assert torch.isfinite(images).all()


def test_place_shifts_inside_or_centres():
    assert crop_start(-5, 10, 100) == 0
    assert crop_start(95, 10, 100) == 90
    assert crop_start(3, 10, 6) == -2


def test_aspect_keeps_its_zero_and_scale():
    values = np.random.default_rng(0).uniform(-0.2, 1, (3, 1000)).astype(np.float32)
    statistics, _ = measure(values, ASPECT)
    assert statistics.mean[1:] == (0.0, 0.0)
    assert statistics.std[1] == statistics.std[2]
