"""Exponential moving average (EMA) of a network's weights: flatter and steadier; it is what is validated and kept.

After Tarvainen & Valpola 2017 (arXiv:1703.01780); batch statistics are averaged along with the weights.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Holds the averaged network; call `update` after every optimizer step. With decay 0 it is the network itself."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the weights of `network`; faster in the first steps, when they are far off."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        new = network.state_dict()
        pairs = [(mean, new[name].to(mean.dtype)) for name, mean in self.network.state_dict().items()]
        floating = [pair for pair in pairs if pair[0].is_floating_point()]
        means, values = [mean for mean, _ in floating], [value for _, value in floating]
        torch._foreach_lerp_(means, values, 1 - decay)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)

    def state(self) -> dict[str, object]:
        """Return the state for the checkpoint."""
        return {"weights": weights_of(self.network), "steps": self.steps}

    def restore(self, state: dict[str, object]) -> None:
        """Restore the state of a checkpoint."""
        self.network.load_state_dict(state["weights"])  # type: ignore[arg-type]
        self.steps = int(state["steps"])  # type: ignore[call-overload]


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's state on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()}
