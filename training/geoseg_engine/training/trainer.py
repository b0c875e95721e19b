"""The state of a training run: network, EMA, optimizer, step, best so far; the content of a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contract import GeoSegError
from ..device.devices import Device, as_device
from ..modelfile.precision import Precision
from .checkpoint import restore_rng
from .distributed import ALONE, Group
from .ema import MovingAverage, weights_of
from .losses import Loss
from .model_selection import Best, Blocks, ScoreFunction, within_standard_error
from .optimizer import LOWER_IS_BETTER, OptimizerSettings, Plateau, make_optimizer, schedule_factor

GRADIENT_NORM = 5.0
NORM_MARGIN = 1e-6
"""What torch adds to a norm before it divides by it."""


class Trainer:
    """Runs training steps.

    Args:
        network: on its device.
        loss: of logits and labels.
        precision: arithmetic of the passes.
        settings: optimizer and schedule.
        batch_size: crops per step; shrinks when memory runs out.
        group: processes that train together.
        frozen: parts of the network that stay as they are for `freeze_epochs` epochs (-1: always), their running
            statistics included.
        freeze_epochs: see `frozen`.
        device: of the network; None is found.

    Attributes:
        has_stepped: whether a step was made in this process.
        wrapped: what computes the logits: the network, also compiled or as one of several processes.
        budget_s: seconds after which the learning rate must have fallen too; 0 sets no limit.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        precision: Precision,
        settings: OptimizerSettings,
        batch_size: int,
        group: Group = ALONE,
        frozen: Sequence[nn.Module] = (),
        freeze_epochs: int = 0,
        device: Device | None = None,
    ) -> None:
        self.group = group
        self.wrapped: Callable[[Tensor], Tensor] = group.wrap(network, unused=bool(frozen))
        self.network, self.loss, self.precision = network, loss, precision
        self.device = device or as_device(next(network.parameters()).device)
        self.settings, self.budget_s = settings, 0.0
        self.ema = MovingAverage(network, settings.ema_decay)
        self.optimizer = make_optimizer(network, settings)
        self.scaler = self.device.scaler(precision.name)
        self.batch_size = batch_size
        self.frozen, self.freeze_epochs = list(frozen), freeze_epochs
        self.epoch = self.step_number = 0
        self.has_stepped = False
        self.best = Best(lower=settings.monitor in LOWER_IS_BETTER)
        self.plateau = Plateau()
        self.history: list[dict[str, Any]] = []
        self._started, self._progress_at_start = time.monotonic(), 0.0
        self._random: dict[str, Any] | None = None

    def progress(self) -> float:
        """Return the fraction of the schedule that is done, by steps or by time, whichever is further."""
        by_steps = self.step_number / max(self.settings.total_steps, 1)
        if not self.budget_s:
            return min(by_steps, 1.0)
        elapsed = (time.monotonic() - self._started) / self.budget_s
        by_time = self._progress_at_start + (1 - self._progress_at_start) * elapsed
        return min(max(by_steps, by_time), 1.0)

    def out_of_time(self) -> bool:
        """Return whether the time budget is used; all processes of a group must call."""
        over = bool(self.budget_s) and time.monotonic() - self._started >= self.budget_s
        return bool(self.group.broadcast_numbers((float(over),), self.device)[0])

    def seconds_left(self) -> float:
        """Return the seconds left of the time budget; infinite without one."""
        return max(self.budget_s - (time.monotonic() - self._started), 0.0) if self.budget_s else math.inf

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Run one optimizer step on a batch.

        Args:
            images: (batch, bands, rows, cols).
            labels: uint8 (batch, rows, cols).

        Returns:
            The loss, which may still be being computed.
        """
        self.start_step()
        (progress,) = self.group.broadcast_numbers((self.progress(),), self.device)
        share = schedule_factor(progress, self.settings.schedule, self.plateau.factor)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.backward(images, labels)
        self.scaler.unscale_(self.optimizer)
        self.clip_gradients()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.ema.update(self.network)
        self.step_number += 1
        self.has_stepped = True
        return loss.detach()

    def backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch and add its gradients to those of the weights.

        Args:
            images: (batch, bands, rows, cols).
            labels: uint8 (batch, rows, cols).

        Returns:
            The loss.
        """
        with self.precision.autocast(self.device):
            logits = self.wrapped(images.contiguous(memory_format=self.device.layout))
        loss = self.loss(*self.group.gather(logits, labels))
        self.scaler.scale(loss * self.group.size).backward()  # of which the processes take the mean
        return loss

    def clip_gradients(self) -> None:
        """Limit the norm of all gradients together to GRADIENT_NORM.

        On a CPU those below it are not multiplied by 1; a GPU would have to be waited for to know that.
        """
        held = [item for item in self.network.parameters() if item.grad is not None]
        norm = nn.utils.get_total_norm([item.grad for item in held if item.grad is not None])
        if self.device.is_gpu or not norm + NORM_MARGIN <= GRADIENT_NORM:
            nn.utils.clip_grads_with_norm_(held, GRADIENT_NORM, norm)

    def start_step(self) -> None:
        """Set training mode, except for what is frozen in this epoch; restore the random numbers of a checkpoint.

        They are restored at the first step, so that nothing can draw any between loading and training.
        """
        if self._random is not None and self.group.first:
            restore_rng(self._random, self.device)
        self._random = None
        self.network.train()
        held = self.freeze_epochs < 0 or self.epoch < self.freeze_epochs
        for module in self.frozen:
            module.requires_grad_(not held)
            if held:
                module.eval()

    def check_losses(self, losses: Sequence[float], behind: int = 0) -> None:
        """Raise `loss_not_finite` if training has diverged.

        Args:
            losses: of steps that follow each other.
            behind: steps that were made since the last of them.
        """
        for place, value in enumerate(losses):
            if not math.isfinite(value):
                number = self.step_number - behind - len(losses) + place + 1
                raise GeoSegError(
                    "loss_not_finite",
                    f"The loss became {value} at step {number} (epoch {self.epoch + 1}).",
                    "Choose a smaller learning rate or precision float32, then resume: the last checkpoint is kept.",
                )

    def end_epoch(
        self, score: float | None, blocks: Blocks | None = None, scored: ScoreFunction | None = None
    ) -> bool:
        """End an epoch; keep the averaged weights unless they are clearly worse than the best so far.

        Args:
            score: the monitored one; None without validation.
            blocks: confusion matrices (blocks, K, K) of the validation; and
            scored: the monitored score of such; without either, only the best score is kept.

        Returns:
            Whether the weights are kept.
        """
        self.epoch += 1
        best = self.best
        better = best.is_better(score)
        if self.settings.schedule == "plateau":
            self.plateau.epoch(better)
        if better:
            best.peak_epoch, best.peak, best.blocks = self.epoch, score, blocks
        elif not (scored and within_standard_error(blocks, best.blocks, scored)):
            return False
        best.epoch, best.score, best.weights = self.epoch, score, weights_of(self.ema.network)
        return True

    def state(self) -> dict[str, Any]:
        """Return everything that `restore` needs; plain values and tensors."""
        return {
            "weights": weights_of(self.network),
            "average": self.ema.state(),
            "optimiser": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step_number,
            "batch_size": self.batch_size,
            "progress": self.progress(),
            "best": {
                "epoch": self.best.epoch,
                "score": self.best.score,
                "weights": self.best.weights,
                "peak_epoch": self.best.peak_epoch,
                "peak": self.best.peak,
            },
            "blocks": None if self.best.blocks is None else torch.from_numpy(self.best.blocks),
            "plateau": {"factor": self.plateau.factor, "waited": self.plateau.waited},
            "history": self.history,
            "monitor": self.settings.monitor,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; a new time budget counts from now."""
        self.network.load_state_dict(state["weights"])
        self.ema.restore(state["average"])
        self.optimizer.load_state_dict(state["optimiser"])
        if (
            state["scaler"] and self.scaler.is_enabled()
        ):  # of a device that trained in another precision: none
            self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step_number = state["epoch"], state["step"]
        self.batch_size = state["batch_size"]
        blocks = state.get("blocks")
        best = {"peak_epoch": state["best"]["epoch"], "peak": state["best"]["score"], **state["best"]}
        self.best = Best(**best, lower=self.best.lower, blocks=None if blocks is None else np.asarray(blocks))
        before = state.get("monitor") or state.get("job", {}).get("monitor", self.settings.monitor)
        if before != self.settings.monitor:
            self.best.peak = None  # of another score: nothing can be compared with it
        self.plateau.factor, self.plateau.waited = state["plateau"]["factor"], state["plateau"]["waited"]
        self.history = list(state["history"])
        self._started, self._progress_at_start = time.monotonic(), state["progress"]
        self._random = state["rng"]
