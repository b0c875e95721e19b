"""The checkpoint: everything that a run needs to continue exactly where it was interrupted, and whether it may."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..channel import Channel
from ..contract import Dataset, GeoSegError, Problem, TrainJob, decode, decode_all, encode
from ..modelfile.stats import Statistics
from ..models import state_shapes
from ..models.torchfile import read_torch
from ..outputs import write_error
from .plan import Plan
from .scene import Measured

FORMAT = 1
FILE = "checkpoint.pt"
NEEDED = (
    "job", "plan", "architecture", "bands", "classes", "statistics", "precision", "seconds_per_step", "weights",
    "average", "optimiser", "scaler", "epoch", "step", "batch_size", "progress", "best", "plateau", "history", "rng",
)  # fmt: skip
"""What a checkpoint holds; those of older versions lack some."""
KINDS: dict[Any, tuple[str, ...]] = {
    dict: (
        "job", "plan", "architecture", "statistics", "weights", "average", "optimiser", "scaler", "best", "plateau",
        "rng",
    ),
    (list, tuple): ("bands", "classes", "history"),
    int: ("epoch", "step", "batch_size"),
    (int, float): ("progress", "seconds_per_step"),
    str: ("precision",),
}  # fmt: skip
HOLDING: dict[str, type] = {"bands": str, "classes": str, "history": dict}
"""What the values of a checkpoint are, and what lists in it hold."""
OF_THE_DESCENT = (
    "optimiser", "schedule", "weight_decay", "monitor", "freeze_epochs", "weights", "start_from", "seed",
)  # fmt: skip
"""Settings that cannot change on the way: the optimiser's state, the best score and the order of crops hang on them."""


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
        state = read_torch(path)
    except ValueError as error:
        raise unusable(path, str(error)) from error
    if not isinstance(state, dict) or not isinstance(state.get("format"), int) or state["format"] != FORMAT:
        raise unusable(path, "another version wrote it")
    return dict(state)


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


def saved_state(job: TrainJob, dataset: Dataset, output: Path, channel: Channel) -> dict[str, Any]:
    """The checkpoint to resume from; empty to begin anew.

    Raises:
        GeoSegError: `bad_checkpoint` for one of an older version, `resume_mismatch` if it was trained on other bands
            or classes, or on another split.
    """
    if not job.resume:
        return {}
    if not (output / FILE).exists():
        channel.log("There is no checkpoint to resume from yet: training begins anew.", "warning")
        return {}
    saved = load(output / FILE)
    refuse_older(saved, output / FILE)
    for what, names in (
        ("bands", [band.name for band in dataset.recipe.bands]),
        ("classes", [item.name for item in dataset.classes]),
    ):
        if saved[what] != names:
            raise GeoSegError(
                "resume_mismatch",
                f"The checkpoint has the {what} {', '.join(saved[what])}; the dataset has {', '.join(names)}.",
                "Train anew without resume, or choose the dataset of the first run.",
            )
    if saved.get("fingerprint", "") != dataset.fingerprint:
        raise GeoSegError(
            "resume_mismatch",
            f"Labels or split of dataset '{dataset.name}' were made anew since the checkpoint was written: pixels "
            "that are held out now may have been trained on.",
            "Train anew without resume, or choose the dataset of the first run.",
        )
    return saved


def refuse_older(saved: dict[str, Any], path: Path) -> None:
    """Raise `bad_checkpoint` if something is missing that this version needs to go on."""
    planned = [item.name for item in fields(Plan) if item.default is MISSING]
    absent = [name for name in NEEDED if name not in saved]
    plan = saved.get("plan", {})
    absent += [f"plan of {name}" for name in planned if isinstance(plan, dict) and name not in plan]
    if absent:
        raise unusable(path, f"an older version wrote it, without {', '.join(absent[:5])}")
    wrong = [name for kind, names in KINDS.items() for name in names if not isinstance(saved[name], kind)]
    wrong = wrong or [
        name for name, kind in HOLDING.items() if not all(isinstance(item, kind) for item in saved[name])
    ]
    random = saved["rng"]
    if not wrong and not (isinstance(random, dict) and isinstance(random.get("cpu"), Tensor)):
        wrong = ["rng"]
    wrong += [] if isinstance(saved.get("fingerprint", ""), str) else ["fingerprint"]
    if wrong:
        raise unusable(path, f"its {', '.join(wrong[:3])} are damaged")
    _refuse_misfits(saved, path)


def _refuse_misfits(saved: dict[str, Any], path: Path) -> None:
    """Raise `bad_checkpoint` unless the weights are those of the network, so that no more memory is asked for."""
    try:
        wanted = state_shapes(saved["architecture"])
    except GeoSegError as error:
        raise unusable(path, f"it is damaged ({error.message.rstrip('.')})") from error
    held = {name: tuple(getattr(value, "shape", (-1,))) for name, value in saved["weights"].items()}
    if wanted is not None and held != wanted:
        raise unusable(path, "its weights do not fit its network")


def continued(job: TrainJob, saved: dict[str, Any], channel: Channel) -> TrainJob:
    """The job with the descent of the run so far; says so where another was asked for."""
    before = {name: saved["job"][name] for name in OF_THE_DESCENT if name in saved["job"]}
    other = [f"{name} {value}" for name, value in before.items() if getattr(job, name) != value]
    if other:
        channel.log(f"Resumed as the run began: {', '.join(other)}.", "warning")
    return decode(TrainJob, encode(replace(job, **before)))


def measured_before(saved: dict[str, Any]) -> Measured | None:
    """Statistics of the bands in a checkpoint, with what was wrong with bands; None without a checkpoint."""
    if not saved:
        return None
    try:
        statistics = decode(Statistics, saved["statistics"])
        return statistics, list(decode_all(Problem, saved.get("found", ()), "found"))
    except GeoSegError as error:
        raise unusable(Path(FILE), f"it is damaged ({error.message.rstrip('.')})") from error
