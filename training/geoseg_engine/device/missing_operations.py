"""Operations that a device does not have are computed on the CPU, by name, and named in the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from .faults import missing_operation


class ComputedOnCpu(TorchDispatchMode):
    """Runs every operation where its tensors are; one that is missing there on the CPU, and notes its name.

    Autograd is above it: gradients of such an operation are operations of their own and come here too.

    Args:
        device: that computes.
        noted: gets name -> 0 of every operation that is moved.
        refuses: returns whether an operation is to be treated as missing; for tests.
    """

    def __init__(
        self,
        device: torch.device,
        noted: Callable[[str], None],
        refuses: Callable[[str], bool] = lambda name: False,
    ) -> None:
        super().__init__()
        self._device, self._noted, self._refuses = device, noted, refuses
        self._known: set[Any] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func not in self._known and not self._refuses(func.name()):
            try:
                return func(*args, **named)
            except (NotImplementedError, RuntimeError) as error:
                if not missing_operation(error):
                    raise
        if func not in self._known:
            self._known.add(func)
            self._noted(func.name())
        return on_cpu(func, args, named, self._device)


def on_cpu(func: Any, args: tuple[Any, ...], named: dict[str, Any], device: torch.device) -> Any:
    """Compute an operation on the CPU, and return what it gives on the device.

    Args:
        func: the operation.
        args, named: its arguments; tensors that it writes into are written to where they are.
        device: where the results are needed.
    """
    copies: dict[int, tuple[Tensor, Tensor]] = {}

    def here(value: Any) -> Any:
        if isinstance(value, Tensor):
            copy = value.detach().to("cpu", copy=True)
            copies[id(copy)] = (value, copy)
            return copy
        return torch.device("cpu") if isinstance(value, torch.device) else value

    def back(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in copies:
            return copies[id(value)][0]
        return value.to(device)

    result = func(*tree_map(here, args), **tree_map(here, named))
    if func._schema.is_mutable:
        for original, copy in copies.values():
            original.copy_(copy)
    return tree_map(back, result)
