"""Augmentation: labels stay with their pixels, directions turn with the hill, what cannot be turned is not."""

import numpy as np
import pytest
import torch
from data_scenes import utm_grid

from geoseg_engine.bands import relief
from geoseg_engine.contract import AUGMENTATIONS, IGNORE, Band, Grid
from geoseg_engine.raster.grid import full_window
from geoseg_engine.training.augmentation import (
    DirectionalBands,
    augment,
    copy_rare,
    drop_bands,
    resize,
    rotate_and_shift,
    rotate_quarters,
    source_size,
)

ASPECT = (Band("height", "dem"), Band("east", "dem", 1, "aspect_sin"), Band("north", "dem", 1, "aspect_cos"))
MOVING = ("flip", "turn", "rotate", "scale", "shift", "cutmix", "copy_paste")


def discs(batch: int = 8, side: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose first band equals the label (discs of class 1, some of class 2), a band of noise, part ignored."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side]
    labels = np.zeros((batch, side, side), np.uint8)
    for label in labels:
        for index in (1, 1, 1, 2):
            row, col, reach = *random.integers(0, side, 2), random.integers(5, 9)
            label[(rows - row) ** 2 + (cols - col) ** 2 < reach**2] = index
    images = np.stack([labels.astype(np.float32), random.normal(size=labels.shape).astype(np.float32)], 1)
    labels[:, :4, :9] = IGNORE
    return torch.from_numpy(images), torch.from_numpy(labels)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_labels_stay_with_their_pixels(kind, seed):
    random = np.random.default_rng(seed)
    crop_px = 48
    images, labels = discs(side=source_size(crop_px, random, (kind,)), seed=seed)
    new, moved = augment(images, labels, crop_px, DirectionalBands(), random, (kind,))
    assert new.shape == (8, 2, crop_px, crop_px) and moved.shape == (8, crop_px, crop_px)
    assert moved.dtype == torch.uint8 and new.dtype == torch.float32
    assert torch.isfinite(new).all()
    assert set(moved.unique().tolist()) <= {0, 1, 2, IGNORE}
    assert (moved == IGNORE).flatten(1).any(dim=1).all()
    if kind in MOVING:
        known = moved != IGNORE
        agrees = (new[:, 0] - moved).abs()[known] < 0.5
        assert agrees.float().mean() > (0.95 if kind in ("rotate", "scale") else 0.9999)
    else:
        assert torch.equal(moved, labels)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_each_kind_does_something_and_the_same_for_the_same_seed(kind):
    # Scaling happens when the crops are cut.
    images, labels = discs(side=40 if kind == "scale" else 48)
    one, other, third = (
        augment(images, labels, 48, DirectionalBands(), np.random.default_rng(seed), (kind,))
        for seed in (3, 3, 4)
    )
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    if kind != "scale":
        assert not torch.equal(one[0], third[0])
        assert not torch.equal(one[0], images)


def test_without_kinds_nothing_changes():
    images, labels = discs()
    new, moved = augment(images, labels, 48, DirectionalBands(), np.random.default_rng(0), ())
    assert torch.equal(new, images) and torch.equal(moved, labels)


def test_all_kinds_together():
    images, labels = discs()
    new, moved = augment(images, labels, 48, DirectionalBands(), np.random.default_rng(0), AUGMENTATIONS)
    known = moved != IGNORE
    assert torch.isfinite(new).all()
    assert ((new[:, 0] - moved).abs()[known] < 0.8).float().mean() > 0.75


def terrain(heights: np.ndarray) -> torch.Tensor:
    """Height, aspect_sin and aspect_cos as the engine derives them."""
    grid = utm_grid(heights.shape[1], heights.shape[0])
    bands = tuple(
        Band(name, "dem", 1, name, parameters={"engine": "numpy"}) for name in ("aspect_sin", "aspect_cos")
    )
    halo = np.pad(heights.astype(float), 1, constant_values=np.nan)
    found = relief.relief_bands(halo, grid, full_window(grid), bands)
    return torch.from_numpy(np.stack([heights, *found]).astype(np.float32))


def hill(side: int = 64, angle: float = 0.0) -> np.ndarray:
    """A smooth surface in metres, turned counter-clockwise by an angle about the raster's middle."""
    rows, cols = np.mgrid[:side, :side] - (side - 1) / 2
    east = np.cos(angle) * cols - np.sin(angle) * rows
    south = np.sin(angle) * cols + np.cos(angle) * rows
    return 500 + 120 * np.sin(east / 15 + 0.4) + 90 * np.cos(south / 11 + east / 30)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_aspect_of_a_turned_dem_is_the_turned_aspect(turns, mirrored):
    image = terrain(hill())[None]
    labels = (image[:, 0] > 500).to(torch.uint8)
    ways = np.array([turns]), np.array([int(mirrored)])
    turned, moved = rotate_quarters(image, labels, *ways, DirectionalBands.of(ASPECT))
    assert torch.equal(moved, (turned[:, 0] > 500).to(torch.uint8))
    assert torch.equal(turned[0, 0], torch.rot90(image[0, 0], turns).flip([1] if mirrored else []))
    expected = terrain(turned[0, 0].numpy())
    assert torch.allclose(turned[0, 1:, 1:-1, 1:-1], expected[1:, 1:-1, 1:-1], atol=2e-3)


class Fixed:
    """A generator whose angles are all the same."""

    def __init__(self, angle: float) -> None:
        self.angle = angle

    def uniform(self, low, high, size):
        return np.full(size, self.angle)

    def random(self, size):
        return np.zeros(size)

    def integers(self, low, high, size):
        return np.zeros(size, int)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, 2.2, -1.1])
def test_aspect_turns_by_free_angles_too(angle):
    image = terrain(hill())[None]
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    turned, moved = rotate_and_shift(image, labels, True, False, DirectionalBands.of(ASPECT), Fixed(angle))
    expected = terrain(hill(angle=angle))
    inside = np.s_[20:-20, 20:-20]
    assert torch.allclose(turned[0, 0][inside], expected[0][inside], atol=2.0)
    off = (turned[0, 1:] - expected[1:])[:, *inside].abs()  # large only on summits, where aspect jumps
    assert off.median() < 0.01
    assert (off < 0.05).float().mean() > 0.9
    assert (moved[0][inside] == 0).all()
    corner = IGNORE if angle in (0.3, 2.2, -1.1) else 0
    assert moved[0, 0, 0] == corner


def test_a_free_angle_of_a_right_angle_is_a_quarter_turn():
    images, labels = discs()
    one = rotate_and_shift(images, labels, True, False, DirectionalBands(), Fixed(np.pi / 2))
    other = rotate_quarters(images, labels, np.ones(8, int), np.zeros(8, int), DirectionalBands())
    assert torch.equal(one[1], other[1])
    assert torch.allclose(one[0], other[0], atol=1e-4)


def test_shifted_ground_keeps_its_values_and_ignores_what_comes_in():
    images, labels = discs()
    moved_images, moved = rotate_and_shift(
        images, labels, False, True, DirectionalBands(), np.random.default_rng(1)
    )
    known = moved != IGNORE
    assert torch.allclose(moved_images[:, 0][known], moved[known].float(), atol=1e-3)


def test_a_lone_aspect_component_forbids_other_turns_than_half_ones():
    directions = DirectionalBands.of(ASPECT[:2])
    assert directions.allows_rotation and not directions.allows_quarter_rotation
    assert directions.allowed(("flip", "turn", "rotate", "shift")) == ("flip", "turn", "shift")
    assert "'east'" in directions.restriction()
    image = terrain(hill())[None]
    for mirrored in (False, True):
        ways = np.array([2]), np.array([int(mirrored)])
        turned, _ = rotate_quarters(image[:, :2], torch.zeros(1, 64, 64), *ways, directions)
        expected = terrain(turned[0, 0].numpy())
        assert torch.allclose(turned[0, 1, 1:-1, 1:-1], expected[1, 1:-1, 1:-1], atol=2e-3)


@pytest.mark.parametrize(
    ("band", "reason"),
    [
        (Band("shade", "dem", 1, "hillshade"), "fixed light"),
        (Band("vv", "sar", 1, "decibel"), "direction of view"),
        (Band("Aspect (degrees)", "r2"), "by its name"),
        (Band("warm", derive="expression", inputs={"a": "north"}), "computed from a direction"),
        (Band("warmer", derive="expression", inputs={"a": "warm"}), "computed from a direction"),
    ],
)
def test_what_cannot_be_turned_is_left_as_it_is_and_named(band, reason):
    others = (Band("warm", derive="expression", inputs={"a": "north"}), *ASPECT[1:])
    directions = DirectionalBands.of((Band("red", "r1"), band), others)
    assert directions.allowed(AUGMENTATIONS) == tuple(
        kind for kind in AUGMENTATIONS if kind not in ("flip", "turn", "rotate")
    )
    assert directions.restriction().startswith("no rotation or mirroring: band ")
    assert band.name in directions.restriction() and reason in directions.restriction()
    images, labels = discs()
    kept, _ = augment(images, labels, 48, directions, np.random.default_rng(0), ("flip", "turn", "rotate"))
    assert torch.equal(kept, images)


@pytest.mark.parametrize(
    ("grid", "free"),
    [
        (Grid("EPSG:32632", (10.0, 0, 5e5, 0, -10.0, 52e5), 64, 64), True),
        (Grid("EPSG:4326", (1e-4, 0, 10.0, 0, -1e-4, 47.0), 64, 64), True),
        (
            Grid("EPSG:2048", (10.0, 0, 36e3, 0, -10.0, 3753e3), 64, 64),
            True,
        ),  # south is up, west to the right
        (Grid("EPSG:3413", (10.0, 0, 1e5, 0, -10.0, -2e6), 64, 64), True),
        (Grid("EPSG:3413", (10.0, 0, 8e5, 0, -10.0, 12e5), 64, 64), False),
        (Grid("EPSG:5513", (10.0, 0, 1043e3, 0, -10.0, 745e3), 64, 64), False),  # the map is a mirror image
    ],
)
def test_directions_are_mirrored_only_where_north_is_up(grid, free):
    directions = DirectionalBands.of(ASPECT, (), grid)
    assert directions.allows_rotation == free and (free or "north" in directions.restriction())
    assert DirectionalBands.of((Band("red", "r1"), Band("s", "d", 1, "slope")), (), grid).allows_rotation


def test_ordinary_bands_turn_freely():
    bands = (
        Band("red", "r1"),
        Band("ndvi", derive="expression", inputs={"a": "red"}),
        Band("s", "d", 1, "slope"),
    )
    assert DirectionalBands.of(bands).restriction() == ""
    assert DirectionalBands.of(bands).allowed(AUGMENTATIONS) == AUGMENTATIONS


def test_bands_are_dropped_but_never_all_and_directions_as_a_whole():
    images = torch.ones(400, 3, 2, 2)
    new = drop_bands(images, DirectionalBands.of(ASPECT), np.random.default_rng(0))
    kept = new[:, :, 0, 0]
    assert (kept.sum(dim=1) > 0).all()
    assert 0.05 < (kept == 0).float().mean() < 0.15
    assert torch.equal(kept[:, 1], kept[:, 2])
    assert torch.equal(drop_bands(images[:, :1], DirectionalBands(), np.random.default_rng(0)), images[:, :1])


def test_only_rare_classes_are_pasted():
    images, labels = discs(16)
    new, moved = copy_rare(images, labels, np.random.default_rng(0))
    changed = moved != labels
    assert changed.any()
    assert set(moved[changed].tolist()) <= {1, 2}
    assert ((new != images).any(dim=1) >= changed).all()


def test_scaled_crops_come_back_to_their_size():
    random = np.random.default_rng(1)
    sizes = {source_size(32, random) for _ in range(50)}
    assert min(sizes) < 32 < max(sizes)
    assert {source_size(32, random, ("flip",)) for _ in range(50)} == {32}
    images, labels = torch.randn(2, 3, 39, 39), torch.full((2, 39, 39), IGNORE, dtype=torch.uint8)
    new, moved = resize(images, labels, 32)
    assert new.shape == (2, 3, 32, 32)
    assert (moved == IGNORE).all()
