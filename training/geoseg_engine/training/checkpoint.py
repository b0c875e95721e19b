"""The checkpoint: everything that a run needs to go on exactly where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..contract import GeoSegError
from ..models.saved import read_saved
from ..outputs import write_error

FORMAT = 1
FILE = "checkpoint.pt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write under a temporary name, then rename: a kill at any moment leaves the old or the new one whole.

    Raises:
        GeoSegError: `disk_full`, `write_failed`.
    """
    partial = path.with_name(path.name + ".part")
    try:
        torch.save({"format": FORMAT, **state, "rng": rng_state()}, partial)
        partial.replace(path)
    except RuntimeError as error:
        raise write_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; runs no code that the file might hold.

    Raises:
        GeoSegError: `bad_checkpoint` if it is not one of ours or damaged.
    """
    try:
        state = read_saved(path)
    except ValueError as error:
        raise unusable(path, "it cannot be read") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise unusable(path, "another version wrote it")
    return state


def rng_state() -> dict[str, Any]:
    """Random generators of torch on every device."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_rng(state: dict[str, Any]) -> None:
    """Set what `rng_state` saved; a GPU that is gone is passed over."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def unusable(path: Path, why: str) -> GeoSegError:
    """The error for a checkpoint that cannot be gone on from."""
    return GeoSegError(
        "bad_checkpoint",
        f"Cannot resume from {path}: {why}.",
        "Start the training anew without resume.",
    )
