"""Which results are out of date, and why: fingerprints of what they were made from.

Plain data without QGIS. A dataset keeps the fingerprints of its inputs in its folder; what follows from it (tiles, a
model, an evaluation, a map) is out of date where the dataset is, or where the step before it was done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..contract import write_json
from .workspace import kept_in

INPUTS_FILE = "inputs.json"
"""In the folder of a dataset: fingerprints of what it was prepared from, part by part."""

State = Literal["missing", "done", "outdated"]
Prints = Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """The state of a step.

    Attributes:
        state: `missing` without a result, else `done` or `outdated`.
        reasons: parts of the inputs that differ, or the step that was done again, as keys.
    """

    state: State = "missing"
    reasons: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether there is a result, out of date or not."""
        return self.state != "missing"


def fingerprints(parts: Mapping[str, Any]) -> dict[str, str]:
    """A short text for each part, equal for equal data: sha256 of its JSON with sorted keys."""
    return {name: fingerprint(part) for name, part in parts.items()}


def fingerprint(part: Any) -> str:
    """A short text, equal for equal data; what JSON does not know goes in as text."""
    text = json.dumps(part, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def changed(before: Prints, now: Prints) -> tuple[str, ...]:
    """Return the parts that differ, in the order of `now`; parts that only one side has count as changed.

    Args:
        before: fingerprints of an earlier state.
        now: fingerprints of the present state.
    """
    names = [*now, *(name for name in before if name not in now)]
    return tuple(name for name in names if before.get(name) != now.get(name))


def keep_inputs(dataset: Path, prints: Prints) -> None:
    """Write what a dataset was prepared from into its folder.

    Args:
        dataset: its folder.
        prints: fingerprints of its inputs.
    """
    write_json(dataset / INPUTS_FILE, dict(prints))


def kept_inputs(dataset: Path) -> dict[str, str]:
    """What a dataset was prepared from; empty where that is not known."""
    return {str(name): str(text) for name, text in kept_in(dataset / INPUTS_FILE).items()}


def data_step(dataset: Path | None, labels_file: str, now: Prints) -> Step:
    """The dataset itself: out of date where its inputs have changed; up to date where they are unknown.

    Args:
        dataset: its folder.
        labels_file: name of the file that makes it prepared.
        now: fingerprints of the inputs as they are chosen now; empty while nothing is chosen.
    """
    if dataset is None or not (dataset / labels_file).exists():
        return Step()
    before = kept_inputs(dataset)
    reasons = changed(before, now) if before and now else ()
    return Step("outdated" if reasons else "done", reasons)


def tiles_step(dataset: Path | None, data: Step, labels_file: str) -> Step:
    """Return the state of the tiles of a dataset: out of date with it, or where its labels were burned again.

    Args:
        dataset: its folder.
        data: state of the dataset.
        labels_file: name of the file that makes it prepared.
    """
    file = dataset / "dataset.json" if dataset is not None else None
    return following(file, data, dataset / labels_file if dataset is not None else None)


def model_step(model: Path | None, trained_on: Path | None, dataset: Path | None, tiles: Step) -> Step:
    """A model: out of date with its dataset, or where another dataset is the current one now.

    Args:
        model: its file.
        trained_on, dataset: folder of the dataset that it was trained on, and of the current one.
    """
    if model is None or not model.exists():
        return Step()
    if trained_on is not None and dataset is not None and trained_on != dataset:
        return Step("outdated", ("dataset",))
    index = trained_on / "dataset.json" if trained_on is not None else None
    return following(model, tiles, index)


def following(result: Path | None, before: Step, made_from: Path | None) -> Step:
    """Return the state of a step that follows from another: out of date with it, or where what it is made from is
    newer.

    Args:
        result: file of the step.
        before: state of the step before it.
        made_from: file that it is made from.
    """
    if result is None or not result.exists():
        return Step()
    if before.state == "outdated":
        return Step("outdated", before.reasons)
    if made_from is not None and modified(made_from) > modified(result):
        return Step("outdated", ("again",))
    return Step("done")


def modified(file: Path) -> float:
    """When a file was written, in seconds since the epoch; 0 where it is not there."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
