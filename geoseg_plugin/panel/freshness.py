"""Whether results still follow from what is chosen and from the layers as they are now."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..contract import EVENTS_FILE, GeoSegError
from ..jobs import freshness, prepare, train
from ..jobs.freshness import Step
from ..layers.facts import file_state, state_of, vector_state
from ..layers.inputs.areas import shown_extent
from ..layers.inputs.dataset_problems import missing_choices
from ..layers.inputs.dataset_state import dataset_state
from ..steps.results.controller import dataset_of
from .layer_watch import LayerWatch
from .texts import outdated_text

if TYPE_CHECKING:
    from .services import Controller

MOST_AT_ONCE = 1000
"""Features of a layer that are read at once, in some ten milliseconds; larger layers are read in slices."""
SLICE_S, PAUSE_MS = 0.008, 12

Key = tuple[str, tuple[str, ...]]
"""A layer, by id, and the fields of it that count."""


class FreshnessController(QObject):
    """Watches the layers, and says of each step whether its result exists and is up to date.

    Signals:
        layers_changed: layers have changed and come to rest; of a panel that nobody sees, when it is seen again.
    """

    layers_changed = pyqtSignal()

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk = desk
        self.watch = LayerWatch(desk.project, self)
        self._waiting = False
        self.watch.settled.connect(self._on_settled)
        desk.dock.visibilityChanged.connect(self._on_visibility_changed)
        self._states: dict[Key, tuple[object, dict[str, Any]]] = {}
        self._reading: dict[Key, tuple[object, Generator[None, None, dict[str, Any]]]] = {}
        self._hurry = False
        self._slices = QTimer(self)
        self._slices.setInterval(PAUSE_MS)
        self._slices.timeout.connect(self._on_slice)

    def close(self) -> None:
        """Let go of the project."""
        self.desk.dock.visibilityChanged.disconnect(self._on_visibility_changed)
        self._slices.stop()
        self._reading.clear()
        self.watch.close()

    def _on_settled(self) -> None:
        """Nothing is read of layers for a panel that nobody looks at."""
        self._waiting = not self.desk.dock.isUserVisible()
        if not self._waiting:
            self.layers_changed.emit()

    def _on_visibility_changed(self, visible: bool) -> None:
        if visible and self._waiting:
            self.watch.touch()

    @property
    def reading(self) -> bool:
        """Whether large layers are still being read, so that nothing can be said of the inputs."""
        return bool(self._reading)

    def prints(self, hurry: bool = False) -> dict[str, str]:
        """Fingerprints of the inputs as they are chosen and stand now; empty while they are not known.

        Args:
            hurry: read large layers at once.
        """
        choices = self.desk.dock.data.choices()
        canvas = self.desk.iface.mapCanvas() if self.desk.iface is not None else None
        self._hurry = hurry
        inputs = dataset_state(choices, self.desk.project, shown_extent(canvas), self._state)
        self._hurry = False
        return {} if self._reading else freshness.fingerprints(inputs)

    def steps(self) -> dict[str, Step]:
        """How every step stands but the engine's."""
        dataset, run = self.desk.dataset, self.desk.run
        chosen = not missing_choices(self.desk.dock.data.choices())
        data = freshness.data_step(dataset, prepare.LABELS, self.prints() if chosen else {})
        tiles = freshness.tiles_step(dataset, data, prepare.LABELS)
        model = run / train.MODEL if run is not None else None
        trained = freshness.model_step(model, trained_on(run), dataset, tiles)
        return {
            "data": data,
            "tiles": tiles,
            "train": trained,
            "predict": freshness.following(self._map_of(run), trained, model),
            "results": freshness.following(self._evaluation_of(run), trained, model),
        }

    def show(self, key: str, step: Step, text: str) -> None:
        """Mark a step in the step bar and on its page; `text` is what is said where it is not out of date."""
        why = outdated_text(step.reasons) if step.state == "outdated" else ""
        self.desk.dock.steps.set_state(key, step.state == "done", why or text, bool(why))
        self.desk.dock.page(key).show_outdated("" if self.desk.runner.busy else why)

    def _state(self, layer_id: str, fields: Sequence[str]) -> dict[str, Any]:
        """The state of a layer; read again only after it has changed, or its file. Large layers are read later."""
        layer = self.desk.project.mapLayer(layer_id)
        if layer is None:
            return {}
        key = (layer_id, tuple(fields))
        stamp = (self.watch.revision(layer_id), file_state(layer))
        if key not in self._states or self._states[key][0] != stamp:
            if isinstance(layer, QgsVectorLayer) and layer.featureCount() > MOST_AT_ONCE and not self._hurry:
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
        """Read large layers on for a few milliseconds; when all are read, it is looked at again what is out of date."""
        end = time.monotonic() + SLICE_S
        while self._reading and time.monotonic() < end:
            key, (stamp, steps) = next(iter(self._reading.items()))
            if self.desk.project.mapLayer(key[0]) is None:
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
        for entry in self.desk.view.predictions() if run is not None else ():
            if entry.finished and run is not None and entry.folder.name.startswith(run.name):
                return entry.folder / "classes.tif"
        return None

    def _evaluation_of(self, run: Path | None) -> Path | None:
        """The record of a run's evaluation."""
        if run is None or not self.desk.view.evaluation(run):
            return None
        record = run / "evaluation" / EVENTS_FILE
        return record if record.exists() else run / train.METRICS


def trained_on(run: Path | None) -> Path | None:
    """The dataset of a run; None where it cannot be told."""
    try:
        return dataset_of(run) if run is not None else None
    except GeoSegError:
        return None
