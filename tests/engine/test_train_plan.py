"""What is left open in a training job is found, and the reason is said."""

from pathlib import Path

import pytest
import torch

from geoseg_engine.contract import TrainJob
from geoseg_engine.training.plan import MANY_PIXELS, make_plan

CPU = torch.device("cpu")


@pytest.mark.parametrize(("pixels", "augmented"), [(MANY_PIXELS - 1, True), (MANY_PIXELS, False)])
def test_augmentation_stands_in_for_labels_that_are_few(pixels, augmented):
    plan = make_plan(TrainJob("d"), 64, (1000, 1000), (900_000, pixels), CPU)
    assert bool(plan.augment) is augmented
    assert any("augmentation" in reason for reason in plan.reasons)


def test_augmentation_that_the_user_refused_stays_off():
    plan = make_plan(TrainJob("d", augment=()), 64, (1000, 1000), (9000, 1000), CPU)
    assert not plan.augment
    assert not any("augmentation" in reason for reason in plan.reasons)


def test_what_the_user_chose_is_kept():
    job = TrainJob("d", width=24, batch_size=3, crop_px=100, steps_per_epoch=7, levels=4)
    plan = make_plan(job, 64, (1000, 1000), (9000, 1000), CPU)
    assert (plan.width, plan.batch_size, plan.steps_per_epoch) == (24, 3, 7)
    assert plan.crop_px == 112  # rounded up to a multiple of 2**levels


def test_the_help_names_the_limit_of_augmentation():
    root = Path(__file__).parents[2]
    limit = f"{MANY_PIXELS:,}".replace(",", " ")
    for page in ("docs/guide.md", "resources/help/trainmodel.html"):
        assert limit in (root / page).read_text(encoding="utf-8"), page
