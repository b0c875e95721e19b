"""Optimizers of torch without its compiler."""

from __future__ import annotations

import inspect

import torch
from torch.optim import Optimizer


def without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """Return a class of optimizers that compute the same and never load torch's compiler.

    torch wraps five methods of every optimizer so that its compiler can take part; the first call imports it, which
    takes most of a second. Here the methods are taken as they are inside; no optimizer is ever compiled.

    Args:
        kind: of torch.optim.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(methods["step"])})
