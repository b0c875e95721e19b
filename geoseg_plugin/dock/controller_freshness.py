"""Whether results still follow from what is chosen and from the layers as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.PyQt.QtCore import QObject

from ..contract import EVENTS_FILE, GeoSegError
from ..jobs import freshness, prepare, train
from ..jobs.freshness import Step
from ..layers.facts import file_state, state_of
from .controller_results import dataset_of
from .inputs_from_layers import inputs_of
from .watch import LayerWatch
from .words import outdated_text

if TYPE_CHECKING:
    from .controller import Controller


class FreshnessController(QObject):
    """Watches the layers, and says of each step whether its result exists and is up to date."""

    def __init__(self, desk: Controller) -> None:
        super().__init__(desk)
        self.desk = desk
        self.watch = LayerWatch(desk.project, self)
        self._states: dict[tuple[str, tuple[str, ...]], tuple[object, dict[str, Any]]] = {}

    def close(self) -> None:
        """Let go of the project."""
        self.watch.close()

    def prints(self) -> dict[str, str]:
        """Fingerprints of the inputs as they are chosen and stand now; empty while no dataset could be made."""
        choices = self.desk.dock.data.choices()
        if not choices.band_count or not choices.label_layer_id:
            return {}
        canvas = self.desk.iface.mapCanvas() if self.desk.iface is not None else None
        return freshness.fingerprints(inputs_of(choices, self.desk.project, canvas, self._state))

    def steps(self) -> dict[str, Step]:
        """How every step stands but the engine's."""
        dataset, run = self.desk.dataset, self.desk.run
        data = freshness.data_step(dataset, prepare.LABELS, self.prints())
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
        """The state of a layer; read again only after it has changed, or its file."""
        layer = self.desk.project.mapLayer(layer_id)
        if layer is None:
            return {}
        key = (layer_id, tuple(fields))
        stamp = (self.watch.revision(layer_id), file_state(layer))
        if key not in self._states or self._states[key][0] != stamp:
            self._states[key] = (stamp, state_of(layer, fields))
        return self._states[key][1]

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
