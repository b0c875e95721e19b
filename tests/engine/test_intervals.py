"""Block bootstrap, cells and reliability: against known truth, and independent of how the raster was cut."""

import numpy as np
import pytest

from geoseg_engine.contract import LabelClass
from geoseg_engine.scores import cells
from geoseg_engine.scores.cells import Cells, ious, lattice_px
from geoseg_engine.scores.intervals import interval_warnings, intervals, outer_share
from geoseg_engine.scores.metrics import confusion, scores
from geoseg_engine.scores.reliability import Reliability

CLASSES = (LabelClass(0, "other"), LabelClass(1, "water"), LabelClass(2, "rock"))
BINARY = (LabelClass(0, "background"), LabelClass(1, "scar"))


def pair(rows=70, cols=90, classes=3, seed=0):
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, (rows, cols)).astype(np.uint8)
    ids = np.where(random.random((rows, cols)) < 0.7, truth, random.integers(0, classes, (rows, cols)))
    truth[random.random((rows, cols)) < 0.2] = 255
    truth[:, 64:] = 255
    return truth, ids.astype(np.uint8)


@pytest.mark.parametrize("step", [7, 32, 100])
def test_matrices_of_cells_do_not_depend_on_the_windows_and_add_up(step):
    truth, ids = pair()
    found = Cells(16, 70, 90, 3)
    for row in range(0, 70, step):
        for col in range(0, 90, step):
            part = np.s_[row : row + step, col : col + step]
            found.add(row, col, truth[part], ids[part])
    matrices, corners = found.matrices(), found.corners()
    assert len(matrices) == len(corners) == 5 * 4
    for matrix, (row, col) in zip(matrices, corners, strict=True):
        part = np.s_[row : row + 16, col : col + 16]
        assert (matrix == confusion(truth[part], ids[part], 3)).all()
    assert (matrices.sum(axis=0) == confusion(truth, ids, 3)).all()


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(cells, "MAX_CELLS", 10)
    truth, ids = pair()
    found = Cells(8, 70, 90, 3)
    found.add(0, 0, truth, ids)
    assert 0 < len(found.matrices()) <= 10
    assert lattice_px(8, 70, 90) == 32


def test_ious_of_many_matrices_equal_the_scores():
    truth, ids = pair()
    matrix = confusion(truth, ids, 3)
    assert ious(matrix).tolist() == pytest.approx(
        [row["iou"] for row in scores(matrix, CLASSES)["per_class"]]
    )
    assert np.isnan(ious(np.diag([3, 0]))[1])


def blocks(count, spread, seed):
    """Matrices of blocks whose share of right pixels differs from block to block."""
    random = np.random.default_rng(seed)
    shares = np.clip(random.normal(0.7, spread, (count, 2)), 0.05, 0.95)
    hits = (100 * shares).astype(np.int64)
    return np.stack(
        [np.stack([hits[:, 0], 100 - hits[:, 0]], 1), np.stack([100 - hits[:, 1], hits[:, 1]], 1)], 1
    )


def test_intervals_hold_the_score_and_narrow_with_blocks():
    few, many = (intervals(blocks(count, 0.15, 1), BINARY, 64) for count in (12, 300))
    for found, matrices in ((few, blocks(12, 0.15, 1)), (many, blocks(300, 0.15, 1))):
        result = scores(matrices.sum(axis=0), BINARY)
        low, high = found["foreground_iou"]
        assert low < result["foreground_iou"] < high
        assert found["per_class"][1] == found["foreground_iou"]
        assert found["miou"][0] < result["miou"] < found["miou"][1]
    assert np.diff(many["miou"]) < 0.5 * np.diff(few["miou"])
    assert intervals(blocks(12, 0.15, 1), BINARY, 64) == few


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    true = scores(blocks(200_000, 0.15, 99).sum(axis=0), BINARY)["miou"]
    held = 0
    for seed in range(60):
        low, high = intervals(blocks(40, 0.15, seed), BINARY, 64)["miou"]
        held += low <= true <= high
    assert 50 <= held <= 60


def test_of_few_blocks_the_interval_is_wider_than_the_percentiles_of_the_draws():
    assert outer_share(5) < 0.002 < outer_share(20) < outer_share(1000) < 0.025
    true, held = scores(blocks(200_000, 0.15, 99).sum(axis=0), BINARY)["miou"], 0
    for seed in range(100):
        low, high = intervals(blocks(6, 0.15, seed), BINARY, 64)["miou"]
        held += low <= true <= high
    assert held >= 88


def test_few_blocks_are_told_and_absent_classes_have_no_interval():
    matrices = np.zeros((3, 3, 3), np.int64)
    matrices[:, :2, :2] = blocks(3, 0.1, 0)
    found = intervals(matrices, CLASSES, 32)
    assert found["per_class"][2] is None and found["foreground_iou"] is None and found["miou"]
    assert "3 blocks of 32 px" in interval_warnings(found)[0]
    one = intervals(matrices[:1], CLASSES, 32)
    assert one["miou"] is None and "one block" in interval_warnings(one)[0]
    assert interval_warnings(intervals(blocks(20, 0.1, 0), BINARY, 64)) == []


def test_reliability_of_honest_and_boasting_confidence():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, (400, 300)).astype(np.float32)
    right = random.random((400, 300)) < confidence
    whole, parts, boasting = Reliability(), Reliability(), Reliability()
    whole.add(confidence, right)
    for row in range(0, 400, 64):
        parts.add(confidence[row : row + 64], right[row : row + 64])
    boasting.add(np.minimum(confidence + 0.2, 1), right)
    assert parts.curve() == whole.curve() and parts.error() == whole.error()
    assert whole.error() < 0.01 and boasting.error() > 0.1
    rows = whole.curve()
    assert sum(row["pixels"] for row in rows) == 120_000 and rows[-1]["high"] == 1
    assert all(row["low"] - 1e-6 <= row["confidence"] <= row["high"] for row in rows)
    by_hand = sum(abs(row["accuracy"] - row["confidence"]) * row["pixels"] for row in rows) / 120_000
    assert whole.error() == pytest.approx(by_hand, abs=1e-5)
    assert Reliability().error() is None and Reliability().curve() == []


def test_both_calibration_errors_are_the_same_number():
    from geoseg_engine.modelfile.calibration import calibration_error

    random = np.random.default_rng(1)
    shares = random.dirichlet((2, 1, 1), 5000).T
    truth = random.integers(0, 3, 5000)
    found = Reliability()
    found.add(shares.max(axis=0), shares.argmax(axis=0) == truth)
    assert found.error() == pytest.approx(calibration_error(shares, truth), abs=1e-6)
