"""Operations that a device does not have are computed on the CPU, by name, and named in the result."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from .faults import missing_operation

FALLBACK = re.compile(
    r"operator '(?P<name>[\w:.]+)'? (?:is not currently supported|on the \w+ backend is falling back)",
    re.IGNORECASE,
)
"""What torch warns of where it computes an operation on the CPU by itself."""


WRITES_UNMARKED = "batch_norm"
"""Operations that write into their arguments (running statistics) although their declaration does not say so."""


class Listener:
    """Shows warnings as before, and notes the operations that torch computes on the CPU by itself.

    Args:
        shown: what shows warnings.
        noted: gets the names.
    """

    def __init__(self, shown: Callable[..., None], noted: Callable[[str], None]) -> None:
        self.shown, self.noted = shown, noted

    def __call__(self, message: Warning | str, *facts: Any, **named: Any) -> None:
        found = FALLBACK.search(str(message))
        if found:
            self.noted(found["name"])
        else:
            self.shown(message, *facts, **named)


def listen(noted: Callable[[str], None]) -> None:
    """Note, from here on, the operations that torch computes on the CPU by itself; the last listener counts.

    Args:
        noted: gets the names.
    """
    before = warnings.showwarning
    warnings.showwarning = Listener(before.shown if isinstance(before, Listener) else before, noted)


class ComputedOnCpu(TorchDispatchMode):
    """Runs every operation where its tensors are; one that is missing there on the CPU, and notes its name.

    Autograd is above it: gradients of such an operation are operations of their own and come here too.

    Args:
        elsewhere: computes an operation on the CPU, as `on_cpu`.
        noted: gets the name of every operation that is moved.
    """

    def __init__(self, elsewhere: Callable[[Any, Any, Any], Any], noted: Callable[[str], None]) -> None:
        super().__init__()
        self._elsewhere, self._noted = elsewhere, noted
        self._known: set[Any] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func not in self._known:
            try:
                return func(*args, **named)
            except (NotImplementedError, RuntimeError) as error:
                if not missing_operation(error):
                    raise
            self._known.add(func)
            self._noted(func.name())
        return self._elsewhere(func, args, named)


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
    if func._schema.is_mutable or WRITES_UNMARKED in func.name():
        for original, copy in copies.values():
            original.copy_(copy)
    return tree_map(back, result)
