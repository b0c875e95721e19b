"""Size, reach and memory of a network before training, from a copy without memory (torch's `meta` device)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SIDE_PX = 1024
"""Side of the smaller of two images that memory is counted with; large, so that weights do not dominate."""


@dataclass(frozen=True)
class Facts:
    """Size, reach and memory of a network.

    Attributes:
        parameters: number of trained parameters.
        reach_px, align_px, tile_exact: see `models.Traits`.
        bytes_per_px_forward: peak memory per pixel of a window in prediction, in float32.
        bytes_per_px_training: the same of a training step, forward and backward.
    """

    parameters: int
    reach_px: int
    align_px: int
    tile_exact: bool
    bytes_per_px_forward: float
    bytes_per_px_training: float


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that exist at one time while it is active; views of one storage count once."""

    def __init__(self) -> None:
        super().__init__()
        self.current, self.peak = 0, 0
        self._held: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count its results."""
        result = func(*args, **(kwargs or {}))
        known = {id(item) for item in tree_leaves(args)}
        for item in tree_leaves(result):
            if isinstance(item, Tensor) and id(item) not in known:
                self._hold(item)
        return result

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        holders = self._held.get(key, 0)
        self._held[key] = holders + 1
        self.current += 0 if holders else size
        self.peak = max(self.peak, self.current)
        weakref.finalize(tensor, self._release, key, size).atexit = False

    def _release(self, key: int, size: int) -> None:
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
            self.current -= size


def facts_of(make: Callable[[], nn.Module], bands: int) -> Facts:
    """Return the facts of the network that `make` builds; nothing is computed.

    Args:
        make: builds the network.
        bands: number of input bands.

    Raises:
        GeoSegError: as `make`.
    """
    with torch.random.fork_rng(devices=[]):
        network = make().to("meta")
    align: int = network.align_px  # type: ignore[assignment]
    side = -(-SIDE_PX // align) * align
    return Facts(
        parameters=sum(item.numel() for item in network.parameters()),
        reach_px=network.reach_px,  # type: ignore[arg-type]
        align_px=align,
        tile_exact=network.tile_exact,  # type: ignore[arg-type]
        bytes_per_px_forward=_bytes_per_pixel(network.eval(), bands, side, training=False),
        bytes_per_px_training=_bytes_per_pixel(network.train(), bands, side, training=True),
    )


def _bytes_per_pixel(network: nn.Module, bands: int, side: int, training: bool) -> float:
    """Bytes per further pixel; what does not grow with the image, e.g. gradients of weights, cancels."""
    small, large = (_peak_bytes(network, (2, bands, side, factor * side), training) for factor in (1, 2))
    return (large - small) / (2 * side * side)


def _peak_bytes(network: nn.Module, shape: tuple[int, ...], training: bool) -> int:
    with Memory() as memory, torch.set_grad_enabled(training):
        logits = network(torch.empty(shape, device="meta"))
        if training:
            logits.sum().backward()
            network.zero_grad(set_to_none=True)
    return memory.peak
