"""The one place where files of `torch.save` are read."""

from __future__ import annotations

import pickle  # nosec B403  # only for the error that torch raises: nothing is unpickled here
from pathlib import Path
from typing import Any

import torch


def read_saved(path: Path) -> Any:
    """Read a file of `torch.save` to main memory; code in it is never run.

    Args:
        path: the file.

    Returns:
        What was saved: tensors and plain containers of them.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is damaged, of another kind, or holds anything but tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(str(error)) from error
