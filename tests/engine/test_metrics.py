import json

import numpy as np
import pytest

from geoseg_engine.contract import GeoSegError, LabelClass
from geoseg_engine.scores.metrics import confusion, score_warnings, scores

CLASSES = (LabelClass(0, "other"), LabelClass(1, "water"), LabelClass(2, "rock"))


def test_confusion_has_truth_in_rows_and_leaves_ignored_pixels_out():
    labels = np.array([[0, 0, 1, 255], [1, 1, 0, 1]], np.uint8)
    predicted = np.array([[0, 1, 1, 1], [1, 0, 0, 255]], np.uint8)
    matrix = confusion(labels, predicted, 2)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[2, 1], [1, 2]]


def test_scores_by_hand():
    result = scores(np.array([[50, 10, 0], [5, 30, 0], [0, 5, 0]]), CLASSES)
    water = result["per_class"][1]
    assert water["precision"] == pytest.approx(30 / 45)
    assert water["recall"] == pytest.approx(30 / 35)
    assert water["f1"] == pytest.approx(60 / 80)
    assert water["iou"] == pytest.approx(30 / 50)
    rock = result["per_class"][2]
    assert rock["precision"] is None and rock["recall"] == 0 and rock["iou"] == 0
    assert result["miou"] == pytest.approx((50 / 65 + 30 / 50 + 0) / 3)
    assert result["accuracy"] == pytest.approx(0.8)
    assert result["majority_accuracy"] == pytest.approx(0.6)
    assert any("never predicted" in line for line in score_warnings(result))


def test_a_class_absent_from_the_truth_is_not_in_the_mean():
    result = scores(np.array([[8, 0, 2], [0, 10, 0], [0, 0, 0]]), CLASSES)
    assert result["per_class"][2]["iou"] == 0 and result["per_class"][2]["recall"] is None
    assert result["miou"] == pytest.approx((0.8 + 1) / 2)


def test_an_empty_matrix_gives_none_and_valid_json():
    result = scores(np.zeros((2, 2)), CLASSES[:2])
    assert result["miou"] is None and result["accuracy"] is None
    json.dumps(result, allow_nan=False)
    assert score_warnings(result)


def test_accuracy_no_better_than_the_largest_class_is_said():
    result = scores(np.array([[97, 0], [3, 0]]), CLASSES[:2])
    assert result["accuracy"] == pytest.approx(0.97) == result["majority_accuracy"]
    assert any("no better" in line for line in score_warnings(result))


def test_adding_matrices_of_parts_equals_the_whole():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 3, (2, 40, 30)).astype(np.uint8)
    parts = sum(confusion(labels[r : r + 7], predicted[r : r + 7], 3) for r in range(0, 40, 7))
    assert (parts == confusion(labels, predicted, 3)).all()


def test_an_unknown_class_is_named():
    with pytest.raises(GeoSegError, match="class 7"):
        confusion(np.array([0, 1]), np.array([0, 7]), 2)


def test_only_an_object_against_a_background_has_a_foreground():
    matrix = np.array([[50, 10], [5, 35]])
    background = scores(matrix, (LabelClass(0, "Background"), LabelClass(1, "water")))
    assert background["foreground_iou"] == pytest.approx(35 / 50)
    equals = scores(matrix, (LabelClass(0, "land", "l"), LabelClass(1, "water", "w")))
    assert equals["foreground_iou"] is None and equals["miou"] == background["miou"]


def test_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score, jaccard_score

    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 5000)
    guess = np.where(random.random(5000) < 0.6, truth, random.integers(0, 3, 5000))
    result = scores(confusion(truth, guess, 3), CLASSES)
    assert result["kappa"] == pytest.approx(cohen_kappa_score(truth, guess))
    assert result["fw_iou"] == pytest.approx(jaccard_score(truth, guess, average="weighted"))
    assert result["miou"] == pytest.approx(jaccard_score(truth, guess, average="macro"))


def test_kappa_and_weighted_iou_by_hand():
    result = scores(np.array([[40, 10], [20, 30]]), CLASSES[:2])
    assert result["kappa"] == pytest.approx((0.7 - 0.5) / 0.5)
    assert result["fw_iou"] == pytest.approx(0.5 * 40 / 70 + 0.5 * 30 / 60)
    assert scores(np.array([[9, 0], [0, 0]]), CLASSES[:2])["kappa"] is None


@pytest.mark.parametrize("seed", range(12))
def test_every_score_is_that_of_scikit_learn(seed):
    from sklearn import metrics

    random = np.random.default_rng(seed)
    count, pixels = int(random.integers(2, 6)), int(random.integers(1, 200))
    truth = random.integers(0, count, pixels)
    given = np.where(random.random(pixels) < 0.6, truth, random.integers(0, count, pixels))
    if seed % 3 == 0:
        truth[truth == count - 1] = 0  # a class that is predicted only
    if seed % 4 == 0:
        given[given == 0] = 1  # one that is never predicted
    classes = [LabelClass(number, str(number)) for number in range(count)]
    found = scores(confusion(truth.astype(np.uint8), given.astype(np.uint8), count), classes)
    every, present = list(range(count)), sorted(set(truth.tolist()))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, given))
    assert found["mean_f1"] == pytest.approx(
        metrics.f1_score(truth, given, labels=present, average="macro", zero_division=0)
    )
    for name, average in (("miou", "macro"), ("fw_iou", "weighted")):
        theirs = metrics.jaccard_score(truth, given, labels=present, average=average, zero_division=0)
        assert found[name] == pytest.approx(theirs)
    theirs = metrics.precision_recall_fscore_support(truth, given, labels=every, zero_division=np.nan)
    for place, row in enumerate(found["per_class"]):
        ours = [
            np.nan if row[key] is None else row[key] for key in ("precision", "recall", "f1", "support_px")
        ]
        assert ours == pytest.approx([values[place] for values in theirs], nan_ok=True)
        union = (truth == place) | (given == place)
        both = (truth == place) & (given == place)
        assert row["iou"] == (pytest.approx(both.sum() / union.sum()) if union.any() else None)
