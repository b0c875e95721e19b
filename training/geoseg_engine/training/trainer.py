"""The state of a training run: network, average, optimiser, step, best so far; what a checkpoint holds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..contract import GeoSegError
from ..modelfile.precision import Precision
from .checkpoint import restore_rng
from .distributed import ALONE, Group
from .ema import MovingAverage, weights_of
from .losses import Loss

WEIGHT_DECAY = 0.01
GRADIENT_NORM = 5.0
EMA_DECAY = 0.98
WARM_UP = 0.05
FINAL_RATE = 0.01


@dataclass
class Best:
    """The weights to keep. `score` is the validation mIoU, or None where there is nothing to validate on."""

    epoch: int = 0
    score: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def better(self, score: float | None) -> bool:
        """Whether a score beats this one: higher is better; without scores the latest wins."""
        return score is None or self.score is None or score > self.score


class Trainer:
    """Takes training steps.

    Args:
        network: on its device.
        loss: of logits and labels.
        precision: arithmetic of the passes.
        learning_rate: the highest, after warming up.
        total_steps: when the rate has fallen to its end.
        batch_size: crops of a step; shrinks when memory runs out.
        budget_s: seconds after which it must have fallen too; 0 sets no limit.
        group: processes that train together.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        precision: Precision,
        learning_rate: float,
        total_steps: int,
        batch_size: int,
        budget_s: float = 0.0,
        group: Group = ALONE,
    ) -> None:
        self.group, self.wrapped = group, group.wrap(network)
        self.network, self.loss, self.precision = network, loss, precision
        self.device = next(network.parameters()).device
        self.average = MovingAverage(network, EMA_DECAY)
        self.learning_rate, self.total_steps, self.budget_s = learning_rate, total_steps, budget_s
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, foreach=True
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision.name == "fp16")
        self.batch_size = batch_size
        self.epoch = self.step_number = 0
        self.best = Best()
        self.history: list[dict[str, Any]] = []
        self._started, self._progress_at_start = time.monotonic(), 0.0

    def progress(self) -> float:
        """Share of the schedule that is done, by steps or by time, whichever is further."""
        by_steps = self.step_number / max(self.total_steps, 1)
        if not self.budget_s:
            return min(by_steps, 1.0)
        elapsed = (time.monotonic() - self._started) / self.budget_s
        by_time = self._progress_at_start + (1 - self._progress_at_start) * elapsed
        return min(max(by_steps, by_time), 1.0)

    def out_of_time(self) -> bool:
        """Whether the time budget is used up; asked by all processes of a group together."""
        over = bool(self.budget_s) and time.monotonic() - self._started >= self.budget_s
        return bool(self.group.agree_on_numbers((float(over),), self.device)[0])

    def seconds_left(self) -> float:
        """Of the time budget; infinite without one."""
        return max(self.budget_s - (time.monotonic() - self._started), 0.0) if self.budget_s else math.inf

    def step(self, images: Tensor, labels: Tensor) -> float:
        """One step of the optimiser on a batch. Returns its loss.

        Raises:
            GeoSegError: `loss_not_finite` if training has broken down.
        """
        self.network.train()
        (progress,) = self.group.agree_on_numbers((self.progress(),), self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * rate(progress)
        with self.precision.autocast(self.device):
            logits = self.wrapped(images.contiguous(memory_format=torch.channels_last))
        loss = self.loss(*self.group.whole(logits, labels))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise GeoSegError(
                "loss_not_finite",
                f"The loss became {value} at step {self.step_number + 1} (epoch {self.epoch + 1}).",
                "Choose a smaller learning rate or precision float32, then resume: the last checkpoint is kept.",
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss * self.group.size).backward()  # of which the processes take the mean
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.update(self.network)
        self.step_number += 1
        return value

    def judge(self, score: float | None) -> bool:
        """End an epoch; keep the averaged weights if they are the best so far. Returns whether they are."""
        self.epoch += 1
        if not self.best.better(score):
            return False
        self.best = Best(self.epoch, score, weights_of(self.average.network))
        return True

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs; plain values and tensors."""
        return {
            "weights": weights_of(self.network),
            "average": self.average.state(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step_number,
            "batch_size": self.batch_size,
            "progress": self.progress(),
            "best": {"epoch": self.best.epoch, "score": self.best.score, "weights": self.best.weights},
            "history": self.history,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; a new time budget counts from now."""
        self.network.load_state_dict(state["weights"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step_number = state["epoch"], state["step"]
        self.batch_size = state["batch_size"]
        self.best = Best(**state["best"])
        self.history = list(state["history"])
        self._started, self._progress_at_start = time.monotonic(), state["progress"]
        restore_rng(state["rng"])


def rate(progress: float) -> float:
    """Share of the highest learning rate: linear warm-up, then half a cosine down to FINAL_RATE.

    After Loshchilov & Hutter 2017 (arXiv:1608.03983).
    """
    if progress < WARM_UP:
        return max(progress / WARM_UP, FINAL_RATE)
    down = (progress - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * down))
