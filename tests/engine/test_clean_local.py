"""Majority, opening and closing by window are what they are of the whole raster, written plainly."""

import clean_references as plain
import numpy as np
import pytest
from clean_references import patchy

from geoseg_engine.contract import IGNORE, Cleaning
from geoseg_engine.postprocess.cleaning import neighbourhood


def by_windows(ids, cleaning, background, random):
    """Random rows and columns cut the raster; each window is cleaned on its own, with its halo."""
    halo = neighbourhood.halo_px(cleaning)
    padded = np.pad(ids, halo, constant_values=IGNORE)
    result = np.zeros_like(ids)
    cuts = [sorted({0, size, *random.integers(1, size, 3).tolist()}) for size in ids.shape]
    for top, bottom in zip(cuts[0], cuts[0][1:], strict=False):
        for left, right in zip(cuts[1], cuts[1][1:], strict=False):
            window = padded[top : bottom + 2 * halo, left : right + 2 * halo]
            result[top:bottom, left:right] = neighbourhood.filtered(window, cleaning, background)
    return result


@pytest.mark.parametrize("background", [0, 1, -1])
@pytest.mark.parametrize(
    "cleaning",
    [
        Cleaning(majority_px=3),
        Cleaning(majority_px=7),
        Cleaning(opening_px=1),
        Cleaning(opening_px=2),
        Cleaning(closing_px=1),
        Cleaning(closing_px=2),
        Cleaning(majority_px=3, opening_px=1, closing_px=1),
    ],
    ids=str,
)
def test_windows_with_their_halo_are_the_whole_written_plainly(cleaning, background):
    for seed in range(2):
        ids = patchy(seed, smooth=1 + 2 * seed, classes=3 + seed)
        expected = plain.cleaned(ids, cleaning, background)
        found = by_windows(ids, cleaning, background, np.random.default_rng(seed))
        assert np.array_equal(found, expected)
        assert ((expected == IGNORE) == (ids == IGNORE)).all()


def whole(ids, background=0, **cleaning):
    asked = Cleaning(**cleaning)
    padded = np.pad(np.asarray(ids, np.uint8), neighbourhood.halo_px(asked), constant_values=IGNORE)
    return neighbourhood.filtered(padded, asked, background)


def test_a_tie_keeps_the_class():
    assert whole([[1, 2, 3]], majority_px=3).tolist() == [[1, 2, 3]]
    assert whole([[1, 1, 2, 2, 3, 2]], majority_px=3).tolist() == [[1, 1, 2, 2, 2, 2]]
    assert whole([[1, 2, 1, 1]], majority_px=3).tolist() == [[1, 1, 1, 1]]


def test_opening_takes_a_narrow_road_but_not_a_field_that_the_edge_cuts():
    ids = np.zeros((15, 15), np.uint8)
    ids[7, :10] = 1
    ids[:4, 11:] = 2
    opened = whole(ids, opening_px=2)
    assert (opened[7] == 0).all()
    assert (opened == 2).sum() == 13 and opened[0, 11] == opened[3, 14] == 2  # the inner corner is rounded
    ids[5:11, 10:] = 1
    assert (whole(ids, opening_px=1)[5:11, 11:] == 1).all()


def test_closing_joins_what_a_gap_parts_and_takes_background_only():
    ids = np.zeros((9, 12), np.uint8)
    ids[2:7, 1:5], ids[2:7, 6:10] = 1, 1
    ids[4, 5] = 2
    closed = whole(ids, closing_px=1)
    assert closed[3, 5] == closed[5, 5] == 1 and closed[4, 5] == 2
    assert np.array_equal(whole(ids, background=-1, closing_px=1), ids)


def test_what_two_classes_would_fill_goes_to_the_one_that_is_more_around():
    ids = np.zeros((7, 7), np.uint8)
    ids[1:6, 2], ids[1:6, 4] = 2, 2
    ids[3, 1], ids[3, 5] = 1, 1
    ids[2, 3] = ids[4, 3] = 1
    assert whole(ids, closing_px=1)[3, 3] == plain.closed(ids, 1, 0)[3, 3]


def test_a_disc_is_the_pixels_whose_centres_are_within_the_radius():
    for radius in range(1, 9):
        assert sorted(neighbourhood.disc_offsets(radius)) == sorted(plain.disc(radius))
