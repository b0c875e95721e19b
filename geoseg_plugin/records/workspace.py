"""The folder of a project's results: datasets, runs, predictions."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..contract import (
    CANCEL_FILE,
    EVENTS_FILE,
    JOB_FILE,
    LAST_EVENTS,
    LOG_FILE,
    PID_FILE,
    GeoSegError,
    Problem,
    kept_json,
    known_fields,
    parse_event,
)
from ..engine.liveness import running_pid

NEARLY_FULL_BYTES = 2_000_000_000
TAIL_BYTES = 262_144

OF_A_JOB = ("jobs", "inputs", "stack.recipe.json", JOB_FILE, EVENTS_FILE, CANCEL_FILE, LOG_FILE, PID_FILE)
"""What a job's folder holds besides its results, and files that were being written (`.part`)."""

State = Literal["done", "running", "stopped", "cancelled", "failed", "new"]


@dataclass(frozen=True)
class Entry:
    """One dataset, run or prediction on disk.

    Attributes:
        folder: its folder.
        title: what the user reads.
        finished: its result exists.
        when: seconds since the epoch of its newest record.
        state: how its last job ended; `stopped` is an engine that ended without a last event.
        resumable: a training run with a checkpoint that can be resumed.
    """

    folder: Path
    title: str
    finished: bool
    when: float
    state: State = "done"
    resumable: bool = False


class Workspace:
    """Folder layout below one root; keeps nothing in memory."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def new_dataset(self, name: str) -> Path:
        """Make `datasets/<name>/`, numbered if it exists."""
        return self._new("datasets", name or "dataset")

    def new_run(self, name: str) -> Path:
        """Make `runs/<date>-<name>/`, numbered if it exists."""
        return self._new("runs", f"{time.strftime('%Y%m%d-%H%M')}-{name or 'run'}")

    def new_prediction(self, name: str) -> Path:
        """Make `predictions/<name>/`, numbered if it exists."""
        return self._new("predictions", name or "prediction")

    def new_comparison(self, name: str) -> Path:
        """Make `comparisons/<date>-<name>/`, numbered if it exists."""
        return self._new("comparisons", f"{time.strftime('%Y%m%d-%H%M')}-{name or 'comparison'}")

    def new_check(self, name: str) -> Path:
        """Make `checks/<name>/`, numbered if it exists: findings stay open on the map."""
        return self._new("checks", name or "labels")

    def scratch(self, name: str) -> Path:
        """Make `scratch/<name>/` for questions whose answer is not kept; reused."""
        folder = self.root / "scratch" / folder_name(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def datasets(self) -> list[Entry]:
        """Datasets, newest first; finished ones have a dataset.json."""
        return self._entries("datasets", "dataset.json")

    def runs(self) -> list[Entry]:
        """Training runs, newest first; finished ones have a model.onnx."""
        return self._entries("runs", "model.onnx")

    def predictions(self) -> list[Entry]:
        """Predictions, newest first; finished ones have a classes.tif."""
        return self._entries("predictions", "classes.tif")

    def comparisons(self) -> list[Entry]:
        """Comparisons, newest first; finished ones have a comparison.json."""
        return self._entries("comparisons", "comparison.json")

    def problems(self) -> list[Problem]:
        """Whether results can be written here."""
        existing = next((folder for folder in (self.root, *self.root.parents) if folder.exists()), None)
        if existing is None or not existing.is_dir() or not os.access(existing, os.W_OK):
            return [Problem("not_writable", f"The folder {self.root} cannot be written.",
                            "Choose a folder that you may write to.")]  # fmt: skip
        free = shutil.disk_usage(existing).free
        if free < NEARLY_FULL_BYTES:
            return [Problem("disk_nearly_full", f"Only {free / 1e9:.1f} GB are free in {self.root}.",
                            "Free some space or choose another folder.", "warning")]  # fmt: skip
        return []

    def _new(self, kind: str, name: str) -> Path:
        base = self.root / kind / folder_name(name)
        base.parent.mkdir(parents=True, exist_ok=True)
        candidate, number = base, 1
        while True:
            try:
                candidate.mkdir()
            except FileExistsError:
                number += 1
                candidate = base.with_name(f"{base.name}-{number}")
            else:
                return candidate

    def _entries(self, kind: str, result: str) -> list[Entry]:
        parent = self.root / kind
        folders = [item for item in parent.iterdir() if item.is_dir()] if parent.is_dir() else []
        entries = [entry_of(folder, result) for folder in folders]
        return sorted(entries, key=lambda entry: entry.when, reverse=True)


def entry_of(folder: Path, result: str) -> Entry:
    """Return what a folder holds.

    Args:
        folder: of a dataset, run or prediction.
        result: name of the file that makes it finished.
    """
    finished = (folder / result).exists()
    state = state_of(folder)
    if state == "new" and finished:
        state = "done"
    return Entry(
        folder=folder,
        title=folder.name,
        finished=finished,
        when=_newest(folder, result),
        state=state,
        resumable=state not in ("running", "done", "new") and (folder / "checkpoint.pt").exists(),
    )


def discard(folder: Path) -> bool:
    """Remove a folder that was made for a job, if nothing but the job's own record and inputs is in it.

    Returns whether it is gone: a folder with a result, or with parts of one that can be gone on with, stays.
    """
    if not folder.is_dir():
        return False
    names = [item.name for item in folder.iterdir()]
    if any(name not in OF_A_JOB and ".part" not in Path(name).suffixes for name in names):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def state_of(folder: Path) -> State:
    """How the last job of a folder ended, from its record and its process."""
    if running_pid(folder) is not None:
        return "running"
    events = list(_last_session(folder / EVENTS_FILE))
    if not events:
        return "new"
    last = next((event for event in reversed(events) if event.get("type") in LAST_EVENTS), None)
    if last is None:
        return "stopped"
    if last["type"] == "done":
        result = last.get("result")
        return "cancelled" if isinstance(result, dict) and result.get("cancelled") else "done"
    return "cancelled" if last.get("code") == "cancelled" else "failed"


def last_result(folder: Path) -> dict[str, Any]:
    """Result of the last finished job of a folder; empty if there is none."""
    for event in reversed(list(_last_session(folder / EVENTS_FILE))):
        if event.get("type") == "done" and isinstance(event.get("result"), dict):
            return dict(event["result"])
    return {}


def result_of(folder: Path) -> dict[str, Any]:
    """Result of a folder's job, alone or as part of an experiment, which keeps it in a file; empty without one."""
    found = last_result(folder)
    if found:
        return found
    kept = kept_in(folder / "result.json").get("result")
    return known_fields(kept) if isinstance(kept, dict) else {}


def kept_in(path: Path) -> dict[str, Any]:
    """What a JSON file holds; empty if it is missing, broken or something else."""
    found = kept_json(path)
    return known_fields(found) if isinstance(found, dict) else {}


def folder_name(name: str) -> str:
    """Return a name that every file system accepts."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:60] or "unnamed"


def _last_session(events_file: Path) -> Iterator[dict[str, Any]]:
    """Events of the last time the job ran, from the file's tail; broken lines are skipped."""
    try:
        with events_file.open("rb") as stream:
            stream.seek(max(0, events_file.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return
    events: list[dict[str, Any]] = []
    for event in parsed(lines):
        if event.get("type") == "hello":
            events.clear()
        events.append(event)
    yield from events


def parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Events of a record's lines; broken ones are skipped."""
    for line in lines:
        try:
            event = parse_event(line)
        except GeoSegError:
            continue
        yield event


def _newest(folder: Path, result: str) -> float:
    files = [folder / EVENTS_FILE, folder / JOB_FILE, folder / result]
    times = [file.stat().st_mtime for file in files if file.exists()]
    return max(times, default=folder.stat().st_mtime)
