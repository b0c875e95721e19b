"""The workspace as the pages list it: records are read once and again only when their files change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..contract import EVENTS_FILE
from ..engine.liveness import job_kind
from ..records.runs import Run, evaluation_of, run_of
from ..records.workspace import Entry, Workspace, entry_of

Stamp = tuple[tuple[int, int], ...]


class WorkspaceView:
    """Lists that are cheap enough to be read on the main thread whenever a page is shown."""

    def __init__(self, root: Callable[[], Path]) -> None:
        self._root = root
        self._entries: dict[Path, tuple[Stamp, Entry]] = {}
        self._register: dict[Path, tuple[tuple[Stamp, Entry], Run]] = {}
        self._results: dict[Path, tuple[Stamp, dict[str, Any]]] = {}

    @property
    def workspace(self) -> Workspace:
        """The workspace at the folder that is set now."""
        return Workspace(self._root())

    def datasets(self) -> list[Entry]:
        """Datasets, newest first."""
        return self._list("datasets", "dataset.json")

    def runs(self) -> list[Entry]:
        """Training runs, newest first."""
        return self._list("runs", "model.onnx")

    def predictions(self) -> list[Entry]:
        """Predictions, newest first."""
        return self._list("predictions", "classes.tif")

    def models(self, current: Path | None = None) -> list[Entry]:
        """Finished runs, newest first; before them the current one where it is part of a comparison."""
        found = [entry for entry in self.runs() if entry.finished]
        if current is None or not current.is_dir() or any(entry.folder == current for entry in found):
            return found
        entry = self._entry(current, "model.onnx")
        if not entry.finished:
            return found
        return [dataclasses.replace(entry, title=f"{current.parent.parent.name}: {current.name}"), *found]

    def register(self) -> list[Run]:
        """Return every run, those of comparisons too, newest first."""
        inner = [
            self._entry(folder, "model.onnx")
            for comparison in self.comparisons()
            for folder in sorted((comparison.folder / "runs").glob("*"))
            if folder.is_dir()
        ]
        found = [self._run(entry) for entry in (*self.runs(), *inner)]
        return sorted(found, key=lambda run: run.entry.when, reverse=True)

    def _run(self, entry: Entry) -> Run:
        folder = entry.folder
        stamp = stamp_of(folder / EVENTS_FILE, folder / "evaluation" / EVENTS_FILE, folder / "result.json")
        known = self._register.get(folder)
        if known is None or known[0] != (stamp, entry):
            self._register[folder] = known = ((stamp, entry), run_of(entry))
        return known[1]

    def comparisons(self) -> list[Entry]:
        """Return the comparisons of models, newest first."""
        return self._list("comparisons", "comparison.json")

    def open_runs(self) -> list[Entry]:
        """Return runs that are running or can be resumed: from a checkpoint, or as they consist of several runs."""
        runs = self.runs()
        found = [entry for entry in runs if entry.state == "running" or entry.resumable]
        alone = [entry for entry in found if job_kind(entry.folder) == "train"]
        broken = [entry for entry in runs if entry.state in ("stopped", "cancelled", "failed")]
        return [*alone, *(entry for entry in broken if job_kind(entry.folder) in ("crossvalidate", "search"))]

    def evaluation(self, run: Path) -> dict[str, Any]:
        """Result of a run's last evaluation; empty if there is none."""
        folder = run / "evaluation"
        stamp = stamp_of(folder / EVENTS_FILE, run / "metrics.json")
        known = self._results.get(folder)
        if known is None or known[0] != stamp:
            self._results[folder] = known = (stamp, evaluation_of(run) if stamp else {})
        return known[1]

    def _list(self, kind: str, result: str) -> list[Entry]:
        parent = self._root() / kind
        folders = [item for item in parent.iterdir() if item.is_dir()] if parent.is_dir() else []
        entries = [self._entry(folder, result) for folder in folders]
        return sorted(entries, key=lambda entry: entry.when, reverse=True)

    def _entry(self, folder: Path, result: str) -> Entry:
        stamp = stamp_of(folder / EVENTS_FILE, folder / result, folder / "checkpoint.pt")
        known = self._entries.get(folder)
        if known is None or known[0] != stamp or known[1].state == "running":
            self._entries[folder] = known = (stamp, entry_of(folder, result))
        return known[1]


def stamp_of(*files: Path) -> Stamp:
    """Time and size of the files that exist."""
    found = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            continue
        found.append((facts.st_mtime_ns, facts.st_size))
    return tuple(found)
