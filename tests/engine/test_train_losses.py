"""Losses: masked, finite, in float32, and lower where the answer is better."""

import numpy as np
import pytest
import torch

from geoseg_engine.training.losses import class_weights, loss_of, lovasz_softmax

NAMES = ("ce", "ce+dice", "ce+lovasz")


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_costs_nothing(name):
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    loss = loss_of(name, [1.0, 1.0, 1.0])(logits, torch.full((2, 8, 8), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_do_not_count(name):
    labels = torch.randint(0, 2, (2, 8, 8), dtype=torch.uint8)
    labels[:, :4] = 255
    logits = torch.randn(2, 2, 8, 8)
    other = logits.clone()
    other[:, :, :4] += 100 * torch.randn(2, 2, 4, 8)
    loss = loss_of(name, [1.0, 1.0])
    assert loss(logits, labels).item() == loss(other, labels).item()


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_answer_costs_least_and_stays_finite_in_bf16(name):
    labels = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    right = torch.nn.functional.one_hot(labels.long(), 3).permute(0, 3, 1, 2).float()
    loss = loss_of(name, [0.5, 1.0, 2.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        best, worse, worst = (loss((scale * right).bfloat16(), labels) for scale in (50, 1, -50))
    assert best.dtype == torch.float32
    assert best.item() == pytest.approx(0, abs=1e-3)
    assert best < worse < worst
    assert torch.isfinite(worst)


def test_lovasz_of_hard_answers_is_one_minus_iou():
    random = np.random.default_rng(0)
    truth = torch.from_numpy(random.integers(0, 3, 500))
    guess = torch.from_numpy(random.integers(0, 3, 500))
    hard = torch.nn.functional.one_hot(guess, 3).float()
    iou = [
        ((truth == k) & (guess == k)).sum() / ((truth == k) | (guess == k)).sum().float() for k in range(3)
    ]
    assert lovasz_softmax(hard, truth).item() == pytest.approx(1 - float(sum(iou)) / 3, abs=1e-5)


def test_weights_rise_with_rarity_and_average_one():
    counts = [900, 100, 0]
    weights = class_weights(counts)
    assert weights[1] / weights[0] == pytest.approx(3)
    assert weights[2] == 0
    assert sum(w * c for w, c in zip(weights, counts, strict=True)) / 1000 == pytest.approx(1)
