"""The checkpoint: everything that a run needs to resume exactly where it was interrupted, and whether it may."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..channel import Channel
from ..contract import Dataset, GeoSegError, Problem, TrainJob, decode, decode_all, encode, params_of
from ..device.devices import CPU, Device
from ..modelfile.stats import Statistics
from ..models import state_shapes
from ..models.torchfile import read_torch
from ..outputs import write_error
from .plan import Plan
from .scene import Measured

FORMAT = 1
FILE = "checkpoint.pt"
REQUIRED = (
    "job", "plan", "architecture", "bands", "classes", "statistics", "precision", "seconds_per_step", "weights",
    "average", "optimiser", "scaler", "epoch", "step", "batch_size", "progress", "best", "plateau", "history", "rng",
)  # fmt: skip
"""Keys of a checkpoint; those of older versions lack some."""
VALUE_TYPES: dict[Any, tuple[str, ...]] = {
    dict: (
        "job", "plan", "architecture", "statistics", "weights", "average", "optimiser", "scaler", "best", "plateau",
        "rng",
    ),
    (list, tuple): ("bands", "classes", "history"),
    int: ("epoch", "step", "batch_size"),
    (int, float): ("progress", "seconds_per_step"),
    str: ("precision",),
}  # fmt: skip
ITEM_TYPES: dict[str, type] = {"bands": str, "classes": str, "history": dict}
"""Types of the values of a checkpoint, and of the items of its lists."""
RNG_KEYS = {"rocm": "cuda"}
"""Kind of device -> its key in the state of random generators, where that is not the kind itself."""
FIXED_SETTINGS = tuple(name for name, param in params_of(TrainJob).items() if param.fixed)
"""Settings that cannot change when a run resumes: optimizer state, best score and order of crops depend on them."""


def save(path: Path, state: dict[str, Any], device: Device = CPU) -> None:
    """Write a checkpoint with the state of the random generators.

    The file is written under a temporary name and then renamed: a kill at any moment leaves the old or the new one
    whole.

    Args:
        path: of the checkpoint.
        state: plain values and tensors.
        device: of the training.

    Raises:
        GeoSegError: `disk_full`, `write_failed`.
    """
    partial = path.with_name(path.name + ".part")
    try:
        torch.save({"format": FORMAT, **state, "rng": rng_state(device)}, partial)
        partial.replace(path)
    except RuntimeError as error:
        raise write_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; code in the file is never run.

    Raises:
        GeoSegError: `bad_checkpoint` if it is damaged or of another format.
    """
    try:
        state = read_torch(path)
    except ValueError as error:
        raise unusable_checkpoint(path, str(error)) from error
    if not isinstance(state, dict) or not isinstance(state.get("format"), int) or state["format"] != FORMAT:
        raise unusable_checkpoint(path, "another version wrote it")
    return dict(state)


def rng_state(device: Device = CPU) -> dict[str, Any]:
    """Return the state of torch's random generators: of the CPU, and of the device under the name of its kind."""
    states = {} if device.kind == "cpu" else {RNG_KEYS.get(device.kind, device.kind): device.rng_state()}
    return {"cpu": torch.get_rng_state(), **states}


def restore_rng(state: dict[str, Any], device: Device = CPU) -> None:
    """Restore the state that `rng_state` returned; that of another kind of device is left out.

    Args:
        state: of the checkpoint.
        device: that training goes on on.
    """
    torch.set_rng_state(state["cpu"])
    states = state.get(RNG_KEYS.get(device.kind, device.kind))
    if device.is_gpu and isinstance(states, (list, tuple)) and all(isinstance(one, Tensor) for one in states):
        device.set_rng_state(list(states))


def unusable_checkpoint(path: Path, why: str) -> GeoSegError:
    """Return the error `bad_checkpoint` for a checkpoint that training cannot resume from.

    Args:
        path: of the checkpoint.
        why: the reason, to end a sentence.
    """
    return GeoSegError(
        "bad_checkpoint",
        f"Cannot resume from {path}: {why}.",
        "Start a new training without resume.",
    )


def load_for_resume(job: TrainJob, dataset: Dataset, output: Path, channel: Channel) -> dict[str, Any]:
    """Read the checkpoint that a job resumes from.

    Args:
        job: does not resume unless its `resume` is set.
        dataset: with the bands that are used.
        output: folder of the run.
        channel: gets a warning where there is no checkpoint yet.

    Returns:
        Content of the checkpoint; empty to start a new training.

    Raises:
        GeoSegError: `bad_checkpoint` for one of an older version, `resume_mismatch` if it was trained on other bands
            or classes, or on another split.
    """
    if not job.resume:
        return {}
    if not (output / FILE).exists():
        channel.log("There is no checkpoint to resume from: a new training starts.", "warning")
        return {}
    saved = load(output / FILE)
    check_checkpoint(saved, output / FILE)
    for what, names in (
        ("bands", [band.name for band in dataset.recipe.bands]),
        ("classes", [item.name for item in dataset.classes]),
    ):
        if saved[what] != names:
            raise GeoSegError(
                "resume_mismatch",
                f"The checkpoint has the {what} {', '.join(saved[what])}; the dataset has {', '.join(names)}.",
                "Start a new training without resume, or choose the dataset of the first run.",
            )
    if saved.get("fingerprint", "") != dataset.fingerprint:
        raise GeoSegError(
            "resume_mismatch",
            f"Labels or split of dataset '{dataset.name}' have changed since the checkpoint was written: the model may "
            "have been trained on pixels that are held out now.",
            "Start a new training without resume, or choose the dataset of the first run.",
        )
    return saved


def check_checkpoint(saved: dict[str, Any], path: Path) -> None:
    """Check that a checkpoint has everything that this version needs to resume.

    Args:
        saved: content of the checkpoint.
        path: of the checkpoint, for the message.

    Raises:
        GeoSegError: `bad_checkpoint` where keys are missing, values are damaged or weights do not fit the network.
    """
    planned = [item.name for item in fields(Plan) if item.default is MISSING]
    absent = [name for name in REQUIRED if name not in saved]
    plan = saved.get("plan", {})
    absent += [f"plan of {name}" for name in planned if isinstance(plan, dict) and name not in plan]
    if absent:
        raise unusable_checkpoint(path, f"an older version wrote it, without {', '.join(absent[:5])}")
    wrong = [
        name for kind, names in VALUE_TYPES.items() for name in names if not isinstance(saved[name], kind)
    ]
    wrong = wrong or [
        name for name, kind in ITEM_TYPES.items() if not all(isinstance(item, kind) for item in saved[name])
    ]
    random = saved["rng"]
    if not wrong and not (isinstance(random, dict) and isinstance(random.get("cpu"), Tensor)):
        wrong = ["rng"]
    wrong += [] if isinstance(saved.get("fingerprint", ""), str) else ["fingerprint"]
    if wrong:
        raise unusable_checkpoint(path, f"its {', '.join(wrong[:3])} are damaged")
    _check_weights(saved, path)


def _check_weights(saved: dict[str, Any], path: Path) -> None:
    """Check that the weights have the network's shapes, before memory is allocated for it."""
    try:
        wanted = state_shapes(saved["architecture"])
    except GeoSegError as error:
        raise unusable_checkpoint(path, f"it is damaged ({error.message.rstrip('.')})") from error
    held = {name: tuple(getattr(value, "shape", (-1,))) for name, value in saved["weights"].items()}
    if wanted is not None and held != wanted:
        raise unusable_checkpoint(path, "its weights do not fit its network")


def with_saved_settings(job: TrainJob, saved: dict[str, Any], channel: Channel) -> TrainJob:
    """Return the job with the optimizer settings that the run has used so far.

    Args:
        job: that resumes.
        saved: content of the checkpoint.
        channel: gets a warning where the job has other settings.
    """
    before = {name: saved["job"][name] for name in FIXED_SETTINGS if name in saved["job"]}
    other = [f"{name} {value}" for name, value in before.items() if getattr(job, name) != value]
    if other:
        channel.log(f"Resumed with the settings of the first run: {', '.join(other)}.", "warning")
    return decode(TrainJob, encode(replace(job, **before)))


def saved_statistics(saved: dict[str, Any]) -> Measured | None:
    """Return the band statistics of a checkpoint, with the problems of bands; None without a checkpoint."""
    if not saved:
        return None
    try:
        statistics = decode(Statistics, saved["statistics"])
        return statistics, list(decode_all(Problem, saved.get("found", ()), "found"))
    except GeoSegError as error:
        raise unusable_checkpoint(Path(FILE), f"it is damaged ({error.message.rstrip('.')})") from error
