"""Which epoch is kept: the latest that is as good as the best, by the blocks of ground it was validated on."""

import numpy as np
import pytest
import torch

from geoseg_engine.contract import LabelClass
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.scores.metrics import scores
from geoseg_engine.training import checkpoint
from geoseg_engine.training.model_selection import score_function, within_standard_error
from geoseg_engine.training.optimizer import OptimizerSettings
from geoseg_engine.training.trainer import Trainer

CLASSES = (LabelClass(0, "background"), LabelClass(1, "field"))
MIOU = score_function("miou", True)


def blocks(accuracies, pixels=1000):
    """Blocks of two equal classes, of each this share right."""
    right = np.round(np.array(accuracies) * pixels / 2).astype(np.int64)
    wrong = pixels // 2 - right
    return np.stack([np.stack([right, wrong], 1), np.stack([wrong, right], 1)], 1)


@pytest.mark.parametrize(
    ("monitor", "key"), [("miou", "miou"), ("foreground_iou", "foreground_iou"), ("f1", "mean_f1")]
)
def test_the_score_of_blocks_is_that_of_the_table(monitor, key):
    matrix = np.array([[90, 5], [2, 3]])
    assert float(score_function(monitor, True)(matrix)) == pytest.approx(scores(matrix, CLASSES)[key])


def test_a_class_that_is_not_there_has_no_part_in_the_mean():
    assert float(MIOU(np.array([[90, 10], [0, 0]]))) == pytest.approx(0.9)


def test_a_loss_has_no_blocks():
    assert score_function("loss", True) is None


def test_a_drop_that_all_blocks_share_counts_and_one_of_a_single_block_does_not():
    best = blocks([0.9] * 12)
    assert not within_standard_error(blocks([0.85] * 12), best, MIOU)
    assert within_standard_error(blocks([0.4] + [0.92] * 11), best, MIOU)
    assert within_standard_error(best, best, MIOU)


def test_one_block_tells_nothing():
    assert within_standard_error(blocks([0.2]), blocks([0.9]), MIOU)


def trainer():
    return Trainer(torch.nn.Conv2d(1, 2, 1), None, Precision("float32"), OptimizerSettings(1e-3, 10), 1)


def judge(some, found):
    return some.end_epoch(float(MIOU(found.sum(axis=0))), found, MIOU)


def test_the_latest_epoch_that_is_as_good_is_kept_also_after_a_break():
    some = trainer()
    noise = [blocks([0.9, 0.7, 0.8, 0.9]), blocks([0.7, 0.9, 0.8, 0.85])]
    assert judge(some, noise[0])
    again = trainer()
    again.restore({**some.state(), "rng": checkpoint.rng_state()})
    for each in (some, again):
        assert judge(each, noise[1])
        assert (each.best.epoch, each.best.peak_epoch) == (2, 1)
        assert not judge(each, blocks([0.5, 0.5, 0.5, 0.5]))
        assert (each.best.epoch, each.best.peak_epoch) == (2, 1)


def test_a_checkpoint_holds_no_more_than_plain_values_and_tensors(tmp_path):
    some = trainer()
    judge(some, blocks([0.9, 0.7]))
    checkpoint.save(tmp_path / "checkpoint.pt", some.state())
    back = trainer()
    back.restore(checkpoint.load(tmp_path / "checkpoint.pt"))
    assert np.array_equal(back.best.blocks, some.best.blocks)
