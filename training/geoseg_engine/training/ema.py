"""Exponential moving average (EMA) of a network's weights: flatter and steadier; it is what is validated and kept.

After Tarvainen & Valpola 2017 (arXiv:1703.01780); batch statistics are averaged along with the weights.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

Lists = tuple[list[Tensor], list[Tensor]]


class MovingAverage:
    """Holds the averaged network; call `update` after every optimizer step. With decay 0 it is the network itself.

    Args:
        network: whose weights are averaged; its tensors are changed in place alone from here on.
        decay: of the average, 0..1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.steps = 0
        self._pairs: tuple[Lists, Lists] | None = None

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the weights of `network`; faster in the first steps, when they are far off."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        if self._pairs is None:
            self._pairs = self._paired(network)
        floating, others = self._pairs
        torch._foreach_lerp_(*floating, 1 - decay)
        for mean, value in zip(*others, strict=True):
            mean.copy_(value)

    def _paired(self, network: nn.Module) -> tuple[Lists, Lists]:
        """Means and what they follow: numbers with a point, and the others, which are copied."""
        new = network.state_dict()
        floating, others = ([], []), ([], [])  # type: tuple[Lists, Lists]
        for name, mean in self.network.state_dict().items():
            means, values = floating if mean.is_floating_point() else others
            means.append(mean)
            values.append(new[name])
        return floating, others

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
