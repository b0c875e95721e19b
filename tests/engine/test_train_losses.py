"""Losses: as their papers say, masked, finite, in float32, and lower where the answer is better."""

import numpy as np
import pytest
import torch

from geoseg_engine.contract import LOSSES, GeoSegError
from geoseg_engine.training.losses import TERMS, Pixels, loss_of, lovasz

NAMES = (*LOSSES, "ce+dice", "ce+lovasz", "focal+tversky+dice_wang")
WEIGHTS = [0.5, 1.0, 2.0]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def reference_ce(z, t, w):
    p = softmax(z)
    return sum(-w[k] * np.log(p[i, k]) for i, k in enumerate(t)) / sum(w[k] for k in t)


def reference_bce(z, t, w):
    total = 0.0
    for i, true in enumerate(t):
        each = []
        for k in range(z.shape[1]):
            s = 1 / (1 + np.exp(-z[i, k]))
            each.append(-np.log(s) if k == true else -np.log(1 - s))
        total += w[true] * np.mean(each)
    return total / sum(w[k] for k in t)


def reference_focal(z, t, w):
    p = softmax(z)
    return sum(-w[k] * (1 - p[i, k]) ** 2 * np.log(p[i, k]) for i, k in enumerate(t)) / sum(w[k] for k in t)


def reference_dice(z, t, w):
    p = softmax(z)
    found = []
    for k in set(t.tolist()):
        found.append(1 - (2 * p[t == k, k].sum() + 1) / (p[:, k].sum() + (t == k).sum() + 1))
    return np.mean(found)


def reference_dice_wang(z, t, w):
    p = softmax(z)
    found = []
    for k in range(z.shape[1]):
        weight = np.where(t == k, 0.9, 0.1)
        wrong = (2 * weight * (p[:, k] - (t == k))) ** 2
        size = (weight**2 * ((2 * p[:, k] - 1) ** 2 + 1)).sum()
        found.append(wrong.sum() / (size + 1))
    return np.mean(found)


def index(p, t, k, fp, fn):
    tp = p[t == k, k].sum()
    return (tp + 1) / (tp + fp * p[t != k, k].sum() + fn * (1 - p[t == k, k]).sum() + 1)


def reference_tversky(z, t, w):
    p = softmax(z)
    return np.mean([1 - index(p, t, k, 0.3, 0.7) for k in set(t.tolist())])


def reference_unified_focal(z, t, w, asymmetric=False):
    p = softmax(z)
    pixel = []
    for i, k in enumerate(t):
        damped = 1 if asymmetric and k != 0 else (1 - p[i, k]) ** 0.5
        pixel.append((0.4 if k == 0 else 0.6) * damped * -np.log(p[i, k]))
    region = []
    for k in set(t.tolist()):
        power = 1 if asymmetric and k == 0 else 0.5
        region.append((1 - index(p, t, k, 0.4, 0.6)) ** power)
    return 0.5 * np.mean(pixel) + 0.5 * np.mean(region)


def reference_unified_focal_asymmetric(z, t, w):
    return reference_unified_focal(z, t, w, asymmetric=True)


def reference_lovasz(z, t, w):
    """Lovász extension by its definition: the set function on each prefix of the sorted errors."""
    p = softmax(z)
    found = []
    for k in set(t.tolist()):
        member = t == k
        errors = np.where(member, 1 - p[:, k], p[:, k])
        order = np.argsort(-errors)
        total, before = 0.0, 0.0
        for n in range(1, len(order) + 1):
            wrong = np.zeros(len(t), dtype=bool)
            wrong[order[:n]] = True
            guess = member ^ wrong
            now = 1 - (member & guess).sum() / (member | guess).sum()
            total += errors[order[n - 1]] * (now - before)
            before = now
        found.append(total)
    return np.mean(found)


def batch(classes: int, seed: int = 0, ignored: float = 0.4) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(0, 2, (2, classes, 6, 7)))
    labels = random.integers(0, classes, (2, 6, 7)).astype(np.uint8)
    labels[random.random(labels.shape) < ignored] = 255
    return logits, torch.from_numpy(labels)


def test_every_loss_of_the_contract_is_there():
    assert tuple(TERMS) == LOSSES
    with pytest.raises(GeoSegError, match="hinge"):
        loss_of("ce+hinge", [1.0, 1.0])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_what_their_papers_say(name, classes):
    logits, labels = batch(classes)
    known = labels != 255
    flat = logits.permute(0, 2, 3, 1)[known].numpy()
    weights = WEIGHTS[:classes]
    expected = globals()[f"reference_{name}"](flat, labels[known].numpy().astype(int), weights)
    assert loss_of(name, weights)(logits, labels).item() == pytest.approx(expected, rel=1e-9)
    single = loss_of(name, weights)(logits.float(), labels)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compact", [True, False])
def test_ignored_pixels_weigh_nothing_whether_left_out_or_masked(name, compact):
    logits, labels = batch(3)
    logits.requires_grad_()
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    pixels = Pixels.of(logits, labels, weights, compact=compact)
    total = sum(TERMS[part](pixels) for part in name.split("+"))
    assert total.item() == pytest.approx(loss_of(name, WEIGHTS)(logits, labels).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(total, logits)
    assert (gradient.permute(0, 2, 3, 1)[labels == 255] == 0).all()
    (expected,) = torch.autograd.grad(loss_of(name, WEIGHTS)(logits, labels), logits)
    assert torch.allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_value(name, classes):
    logits, labels = batch(classes, seed=1)
    logits, labels = logits[:, :, :4, :4].clone().requires_grad_(), labels[:, :4, :4]
    loss = loss_of(name, WEIGHTS[:classes])
    assert torch.autograd.gradcheck(lambda values: loss(values, labels), logits)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_pixels_does_not_matter(name):
    logits, labels = batch(3, ignored=0.1)
    order = torch.from_numpy(np.random.default_rng(2).permutation(labels.numel()))
    flat = logits.transpose(0, 1).flatten(1)[:, order].reshape(1, 3, 1, -1)
    mixed = labels.flatten()[order].reshape(1, 1, -1)
    loss = loss_of(name, WEIGHTS)
    assert loss(flat, mixed).item() == pytest.approx(loss(logits, labels).item(), rel=1e-12)


@pytest.mark.parametrize("compact", [None, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_costs_nothing(name, compact, monkeypatch):
    whole = Pixels.of.__func__
    monkeypatch.setattr(Pixels, "of", classmethod(lambda cls, *given: whole(cls, *given, compact=compact)))
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    loss = loss_of(name, [1.0, 1.0, 1.0])(logits, torch.full((2, 8, 8), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0, -50.0, 3e4, -3e4])
@pytest.mark.parametrize("only", [None, 0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_stay_finite_under_bf16(name, only, scale):
    labels = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    if only is not None:
        labels[:] = only
    right = torch.nn.functional.one_hot(labels.long(), 3).permute(0, 3, 1, 2).float()
    logits = (scale * right).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(name, WEIGHTS)(logits, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_better_answer_costs_less_and_a_perfect_one_nothing(name):
    labels = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    right = torch.nn.functional.one_hot(labels.long(), 3).permute(0, 3, 1, 2).float()
    both = 2 * right - 1  # one against the rest wants the others low, not only lower
    loss = loss_of(name, WEIGHTS)
    best, worse, worst = (loss(scale * both, labels).item() for scale in (50, 1, -5))
    assert best == pytest.approx(0, abs=2e-3)
    assert best < worse < worst


def test_the_common_class_of_unified_focal_can_be_another():
    logits, labels = batch(3, ignored=0)
    loss = loss_of("unified_focal_asymmetric", WEIGHTS)
    swapped = torch.where(labels == 0, 2, torch.where(labels == 2, 0, labels))
    other = loss_of("unified_focal_asymmetric", WEIGHTS, common=2)
    assert other(logits.flip(1), swapped.to(torch.uint8)).item() == pytest.approx(loss(logits, labels).item())
    assert other(logits, labels).item() != pytest.approx(loss(logits, labels).item(), rel=1e-3)


def test_lovasz_of_hard_answers_is_one_minus_iou():
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 3, (2, 500))
    logits = 100 * torch.nn.functional.one_hot(torch.from_numpy(guess), 3).T[None, :, None].float()
    labels = torch.from_numpy(truth.astype(np.uint8))[None, None]
    iou = [((truth == k) & (guess == k)).sum() / ((truth == k) | (guess == k)).sum() for k in range(3)]
    found = lovasz(Pixels.of(logits, labels, torch.ones(3)))
    assert found.item() == pytest.approx(1 - np.mean(iou), abs=1e-5)
