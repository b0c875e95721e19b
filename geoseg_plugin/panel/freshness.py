"""Whether results still follow from what is chosen and from the layers as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..contract import EVENTS_FILE, GeoSegError
from ..jobs import prepare, train
from ..layers.facts import file_state, state_of, vector_state
from ..records import freshness
from ..records.freshness import Step
from .dock import GeoSegDock
from .layer_watch import LayerWatch
from .project_state import ProjectState
from .records import dataset_of
from .texts import outdated_text
from .workspace_view import WorkspaceView

MAX_AT_ONCE = 1000
"""Features of a layer that are read at once, in some ten milliseconds; larger layers are read in slices."""
SLICE_S, PAUSE_MS = 0.008, 12

Key = tuple[str, tuple[str, ...]]
"""A layer, by id, and the fields of it that count."""


StateOf = Callable[[str, Sequence[str]], dict[str, Any]]
"""The state of a layer, by its id and the fields that count."""


class Inputs(Protocol):
    """What a dataset is made from, as it is chosen now."""

    def complete(self) -> bool:
        """Return whether everything is chosen that a dataset needs."""

    def described(self, state: StateOf) -> dict[str, Any]:
        """Return everything that a dataset is made from, part by part, as JSON-able data."""


class Freshness(QObject):
    """Watches the layers, and finds out of each step whether its result exists and is up to date.

    Signals:
        layers_changed: layers have changed and come to rest; of a hidden panel, when it is shown again.
    """

    layers_changed = pyqtSignal()

    def __init__(
        self, dock: GeoSegDock, project: QgsProject, state: ProjectState, view: WorkspaceView, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._dock, self._project, self._worked_on, self._view = dock, project, state, view
        self._inputs: Inputs | None = None
        self.steps: dict[str, Step] = {}
        self.watch = LayerWatch(project, self)
        self._waiting = False
        self.watch.settled.connect(self._on_settled)
        dock.visibilityChanged.connect(self._on_visibility_changed)
        self._states: dict[Key, tuple[object, dict[str, Any]]] = {}
        self._reading: dict[Key, tuple[object, Generator[None, None, dict[str, Any]]]] = {}
        self._hurry = False
        self._slices = QTimer(self)
        self._slices.setInterval(PAUSE_MS)
        self._slices.timeout.connect(self._on_slice)

    def close(self) -> None:
        """Let go of the project."""
        self._dock.visibilityChanged.disconnect(self._on_visibility_changed)
        self._slices.stop()
        self._reading.clear()
        self.watch.close()

    def _on_settled(self) -> None:
        """Layers are not read while the panel is hidden."""
        self._waiting = not self._dock.isUserVisible()
        if not self._waiting:
            self.layers_changed.emit()

    def _on_visibility_changed(self, visible: bool) -> None:
        if visible and self._waiting:
            self.watch.touch()

    @property
    def reading(self) -> bool:
        """Whether large layers are still being read, so that the state of the inputs is not known."""
        return bool(self._reading)

    def follow(self, inputs: Inputs) -> None:
        """Compare datasets with these inputs from now on."""
        self._inputs = inputs

    def prints(self, hurry: bool = False) -> dict[str, str]:
        """Return fingerprints of the inputs as they are chosen now; empty while they are not known.

        Args:
            hurry: read large layers at once.
        """
        if self._inputs is None:
            return {}
        self._hurry = hurry
        described = self._inputs.described(self._state)
        self._hurry = False
        return {} if self._reading else freshness.fingerprints(described)

    def refresh(self) -> None:
        """Find out the state of every step, but the engine's."""
        dataset, run = self._worked_on.dataset, self._worked_on.run
        complete = self._inputs is not None and self._inputs.complete()
        data = freshness.data_step(dataset, prepare.LABELS, self.prints() if complete else {})
        tiles = freshness.tiles_step(dataset, data, prepare.LABELS)
        model = run / train.MODEL if run is not None else None
        trained = freshness.model_step(model, trained_on(run), dataset, tiles)
        self.steps = {
            "data": data,
            "tiles": tiles,
            "train": trained,
            "predict": freshness.following(self._map_of(run), trained, model),
            "results": freshness.following(self._evaluation_of(run), trained, model),
        }

    def show(self, key: str, text: str, busy: bool) -> None:
        """Mark a step in the step bar and on its page.

        Args:
            key: of the step.
            text: shown unless its result is out of date.
            busy: whether a job runs, so that the page does not show what is out of date.
        """
        step = self.steps[key]
        why = outdated_text(step.reasons) if step.state == "outdated" else ""
        self._dock.steps.set_state(key, step.state == "done", why or text, bool(why))
        self._dock.page(key).show_outdated("" if busy else why)

    def _state(self, layer_id: str, fields: Sequence[str]) -> dict[str, Any]:
        """The state of a layer; read again only after it has changed, or its file. Large layers are read later."""
        layer = self._project.mapLayer(layer_id)
        if layer is None:
            return {}
        key = (layer_id, tuple(fields))
        stamp = (self.watch.revision(layer_id), file_state(layer))
        if key not in self._states or self._states[key][0] != stamp:
            if isinstance(layer, QgsVectorLayer) and layer.featureCount() > MAX_AT_ONCE and not self._hurry:
                self._read_later(key, stamp, layer)
                return {}
            self._reading.pop(key, None)
            self._states[key] = (stamp, state_of(layer, fields))
        return self._states[key][1]

    def _read_later(self, key: Key, stamp: object, layer: QgsVectorLayer) -> None:
        if self._reading.get(key, (None,))[0] != stamp:
            self._reading[key] = (stamp, vector_state(layer, key[1]))
        self._slices.start()

    def _on_slice(self) -> None:
        """Continue to read large layers for a few milliseconds; when all are read, the states are found out again."""
        end = time.monotonic() + SLICE_S
        while self._reading and time.monotonic() < end:
            key, (stamp, steps) = next(iter(self._reading.items()))
            if self._project.mapLayer(key[0]) is None:
                del self._reading[key]
                continue
            try:
                next(steps)
            except StopIteration as done:
                del self._reading[key]
                self._states[key] = (stamp, done.value)
        if not self._reading:
            self._slices.stop()
            self.watch.touch()

    def _map_of(self, run: Path | None) -> Path | None:
        """The newest map that was made with the model of a run."""
        for entry in self._view.predictions() if run is not None else ():
            if entry.finished and run is not None and entry.folder.name.startswith(run.name):
                return entry.folder / "classes.tif"
        return None

    def _evaluation_of(self, run: Path | None) -> Path | None:
        """The record of a run's evaluation."""
        if run is None or not self._view.evaluation(run):
            return None
        record = run / "evaluation" / EVENTS_FILE
        return record if record.exists() else run / train.METRICS


def trained_on(run: Path | None) -> Path | None:
    """Return the dataset of a run; None if it is not known."""
    try:
        return dataset_of(run) if run is not None else None
    except GeoSegError:
        return None
