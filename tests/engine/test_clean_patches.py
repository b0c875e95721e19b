"""Holes and small patches: strips are what the whole raster is, written plainly."""

import clean_references as plain
import numpy as np
import pytest
from clean_references import patchy

from geoseg_engine.channel import Channel
from geoseg_engine.contract import IGNORE, Cleaning
from geoseg_engine.postprocess.cleaning import patches, small_patches


def by_strips(ids, cleaning, folder):
    """Each step over the whole raster in strips of `clean_patches.STRIP_PIXELS`; also how many patches changed."""
    changed = 0
    for holes, limit in ((True, cleaning.fill_holes_px), (False, cleaning.min_patch_px)):
        if limit:
            before, ids = ids, np.full_like(ids, 77)
            changed += small_patches.clean_patches(
                small_patches.Step("cleaning", limit, holes),
                ids.shape,
                cleaning.connectivity,
                lambda window, whole=before: whole[window.row : window.row + window.height],
                lambda codes, window, whole=ids: whole.__setitem__(
                    slice(window.row, window.row + window.height), codes
                ),
                Channel(folder),
            )
    return ids, changed


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("holes", "minimum"), [(9, 0), (0, 2), (0, 6), (0, 40), (15, 8)])
def test_strips_of_any_height_are_the_whole_written_plainly(
    tmp_path, monkeypatch, connectivity, holes, minimum
):
    cleaning = Cleaning(fill_holes_px=holes, min_patch_px=minimum, connectivity=connectivity)
    for seed in range(6):
        ids = patchy(seed, (23, 19), 2 + seed % 3, 1 + seed % 2 * 2, none=(0, 0.05, 0.3)[seed % 3])
        expected = plain.cleaned(ids, cleaning, 0)
        counts = set()
        for rows in (1, 2, 4, 8, 64):
            monkeypatch.setattr(small_patches, "STRIP_PIXELS", rows * 19)
            monkeypatch.setattr(small_patches, "KEPT_BYTES", 700 * rows)
            found, changed = by_strips(ids, cleaning, tmp_path)
            assert np.array_equal(found, expected), (seed, rows)
            counts.add(changed)
        assert len(counts) == 1
        assert ((expected == IGNORE) == (ids == IGNORE)).all()


def test_no_small_patch_is_left_where_there_is_a_large_one(tmp_path):
    ids = patchy(1, (60, 60), 4, 2, none=0.0)
    ids[:30, :30] = 0
    found = by_strips(ids, Cleaning(min_patch_px=12), tmp_path)[0]
    assert min(len(item) for item in plain.flooded(found, 4)[1]) >= 12
    assert np.array_equal(by_strips(found, Cleaning(min_patch_px=12), tmp_path)[0], found)


def test_a_small_patch_goes_to_its_largest_neighbour_whatever_the_border(tmp_path):
    ids = np.zeros((10, 20), np.uint8)
    ids[:, 12:], ids[3:5, 9:12], ids[4, 11] = 1, 2, 1
    found, changed = by_strips(ids, Cleaning(min_patch_px=8), tmp_path)
    assert (found[3:5, 9:12].ravel() == [0, 0, 0, 0, 0, 1]).all() and changed == 1


def test_rings_within_a_hole_all_become_what_is_around_them(tmp_path):
    ids = np.zeros((11, 11), np.uint8)
    ids[2:9, 2:9], ids[4:7, 4:7], ids[5, 5] = 1, 0, 1
    assert (by_strips(ids, Cleaning(fill_holes_px=50), tmp_path)[0] == 0).all()
    outer = by_strips(ids, Cleaning(fill_holes_px=20), tmp_path)[0]
    assert (outer[2:9, 2:9] == 1).all() and (outer == 1).sum() == 49


def test_a_hole_at_the_edge_or_beside_two_classes_is_none(tmp_path):
    ids = np.zeros((12, 12), np.uint8)
    ids[0, 3] = ids[4, 4] = 1
    ids[6:, 6:] = 2
    ids[5, 6] = ids[8, 8] = 1
    ids[10, 2], ids[10, 1] = 1, IGNORE
    ids[6, 6] = 1
    found = by_strips(ids, Cleaning(fill_holes_px=5), tmp_path)[0]
    changed = found != ids
    assert changed[4, 4] and changed[8, 8] and changed.sum() == 2


def test_where_no_patch_is_large_enough_the_largest_stands_for_all(tmp_path):
    ids = np.full((6, 9), IGNORE, np.uint8)
    ids[1, 1:4], ids[1, 4:6] = 2, 1
    ids[4, 4] = 3
    found = by_strips(ids, Cleaning(min_patch_px=100), tmp_path)[0]
    assert found[1, 1:6].tolist() == [2] * 5 and found[4, 4] == 3


def test_patches_and_what_they_touch_are_those_of_flooding():
    random = np.random.default_rng(0)
    for _ in range(20):
        ids = random.integers(0, 3, random.integers(1, 12, 2)).astype(np.uint8)
        for connectivity in (4, 8):
            found = patches.find_patches(ids, connectivity)
            number, members = plain.flooded(ids, connectivity)
            assert np.array_equal(found.of_run[np.repeat(np.arange(len(found.of_run)), found.runs.length)],
                                  number.ravel())  # fmt: skip
            assert found.size_px.tolist() == [len(item) for item in members]
            near = plain.graph(ids, connectivity)[1]
            pairs = {(one, other) for one, item in enumerate(near) for other in item[2] if one < other}
            assert pairs == set(map(tuple, found.touching.T.tolist()))
