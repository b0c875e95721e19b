import numpy as np
import pytest

from geoseg_engine.raster.components import label_components


def flooded(ids, wanted):
    """Number areas by flooding from each pixel; slow and plain."""
    result = np.full(ids.shape, -1)
    count = 0
    for start in np.argwhere(wanted):
        if result[tuple(start)] >= 0:
            continue
        front = [tuple(start)]
        result[front[0]] = count
        while front:
            row, col = front.pop()
            for r, c in ((row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)):
                inside = 0 <= r < ids.shape[0] and 0 <= c < ids.shape[1]
                if inside and wanted[r, c] and result[r, c] < 0 and ids[r, c] == ids[row, col]:
                    result[r, c] = count
                    front.append((r, c))
        count += 1
    return result, count


@pytest.mark.parametrize("seed", range(6))
def test_components_equal_flooding(seed):
    random = np.random.default_rng(seed)
    ids = random.integers(0, 3, random.integers(1, 40, 2)).astype(np.uint8)
    wanted = ids != seed % 3
    labels, count = label_components(ids, wanted)
    expected, number = flooded(ids, wanted)
    assert count == number and ((labels >= 0) == wanted).all()
    pairs = np.unique(np.stack([labels[wanted], expected[wanted]]), axis=1)
    assert pairs.shape[1] == count


def test_a_spiral_is_one_component_and_nothing_is_none():
    ids = np.zeros((64, 64), np.uint8)
    ids[::4], ids[2::8, 1:], ids[6::8, :-1] = 1, 0, 0
    ids[1:4, -1] = 1
    count = label_components(ids, ids == 1)[1]
    assert count == flooded(ids, ids == 1)[1]
    assert label_components(ids, ids == 9)[1] == 0
