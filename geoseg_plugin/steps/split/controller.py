"""The Split step: a prepared dataset -> tiles split in space, shown on the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsRasterLayer, QgsUnitTypes, QgsVectorLayer

from ...contract import SPLITS, Area, GeoSegError
from ...jobs import prepare
from ...jobs.choices import NamedPath
from ...layers import publish
from ...layers.inputs.areas import area_snapshot, located_split_areas, text_fields
from ...layers.inputs.areas import split_fields as named_split_fields
from ...layers.inputs.folder import Export, InputFolder
from ...layers.inputs.lookup import vector_layer
from ...panel.errors import problem_of
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import tr
from .page import SplitPage
from .state import LAYERS, SplitChoices, area_of, has_labels, labels_of


class SplitController(StepController):
    """Keeps the Split page up to date and makes tiles."""

    def __init__(self, services: PanelServices, page: SplitPage) -> None:
        super().__init__(services)
        self.page = page
        self._shown: Path | None = None
        self.page.tiles_requested.connect(self.make)
        self.page.dataset_chosen.connect(self._on_dataset_chosen)

    def refresh(self) -> None:
        """Show the datasets of the workspace and what is known of the current one."""
        entries = [entry for entry in self.services.view.datasets() if has_labels(entry.folder)]
        if self.services.state.dataset is not None and not has_labels(self.services.state.dataset):
            self.services.state.dataset = None
        notes = {entry.folder: "" if entry.finished else tr("(no tiles yet)") for entry in entries}
        named = [NamedPath(entry.title, str(entry.folder), notes[entry.folder]) for entry in entries]
        folder = self.services.state.dataset
        if folder is not None and str(folder) not in [item.path for item in named]:
            named.insert(0, NamedPath(folder.name, str(folder)))
        self.page.set_datasets(named, str(folder or ""))
        self.page.set_ready(folder is not None)
        if folder != self._shown:
            self._show(folder)

    def make(self) -> None:
        """Make tiles of the current dataset."""
        folder = self.services.state.dataset
        if folder is None:
            return
        choices = self.page.choices()
        try:
            exports, areas = self._split_areas(folder, choices)
            submission = choices.submission(folder, areas)
        except GeoSegError as error:
            self.services.errors.show(error)
            return
        self.services.jobs.start(tr("Tiles of {}").format(folder.name), exports, [submission], self._on_made)

    def show_state(self) -> None:
        """Tick when the current dataset has tiles."""
        folder, step = self.services.state.dataset, self.services.freshness.steps["tiles"]
        if step.done:
            text = tr("{} has tiles.").format(folder.name if folder else "")
        elif folder is not None:
            text = tr("Make tiles of {}.").format(folder.name)
        else:
            text = tr("Prepare data first.")
        self.services.mark_step("tiles", text)

    def _split_areas(self, folder: Path, choices: SplitChoices) -> tuple[list[Export], tuple[Area, ...]]:
        """Areas of train, validation and test as files, where layers give the split.

        Raises:
            GeoSegError: `no_split_layer`, `layer_gone`.
        """
        if choices.split_field != LAYERS:
            return [], ()
        areas = []
        for split, layer_id in zip(SPLITS, choices.split_layer_ids, strict=True):
            if not layer_id:
                raise GeoSegError(
                    "no_split_layer",
                    tr("No layer is chosen for {}.").format(split),
                    tr("Choose a polygon layer for each split, or split by blocks."),
                )
            areas.append(area_snapshot(vector_layer(self.services.project.mapLayer, layer_id)))
        inputs = InputFolder(folder / "inputs")
        located = located_split_areas(areas, inputs)
        return inputs.exports, located

    def _on_dataset_chosen(self, folder: str) -> None:
        self.services.state.dataset = Path(folder) if folder else None
        self._show(self.services.state.dataset)
        self.services.refresh()

    def _show(self, folder: Path | None) -> None:
        self._shown = folder
        self.page.next_step.show_done("")
        self.page.split_note.hide()
        self.page.show_counts([], {})
        self.page.problem_list.set_problems([])
        if folder is None:
            return
        layer = QgsRasterLayer(str(folder / prepare.LABELS), "labels", "gdal")
        if layer.isValid():
            unit = QgsUnitTypes.toAbbreviatedString(layer.crs().mapUnits())
            self.page.set_pixel_size(layer.rasterUnitsPerPixelX(), unit)
        self.page.set_split_fields(split_fields(area_of(folder)), label_split_fields(folder))
        if (folder / "dataset.json").exists():
            try:
                dataset = publish.read_dataset(folder)
            except GeoSegError as error:
                self.page.problem_list.set_problems([problem_of(error)])
                return
            self.page.show_counts(dataset.classes, dataset.counts)
            self.page.problem_list.set_problems(dataset.warnings)

    def _on_made(self, result: dict[str, Any], _folder: Path) -> None:
        folder = Path(str(result.get("dataset"))).parent
        self.services.state.dataset = folder
        self._show(folder)
        if result.get("warnings"):
            self.page.problem_list.set_problems(result["warnings"])
        publish.publish_tiles(folder, later=self.services.result_queue.add)
        self.page.show_made(result)


def label_split_fields(dataset_folder: Path) -> list[str]:
    """Return the fields of the label polygons, besides the class, that could name the split."""
    labels = labels_of(dataset_folder)
    if labels is None or not Path(labels.path).exists():
        return []
    layer = QgsVectorLayer(f"{labels.path}|layername={labels.layer}", "labels", "ogr")
    fields = named_split_fields(layer) if layer.isValid() else []
    return [name for name in fields if name != labels.class_field]


def split_fields(area: Area) -> list[str]:
    """Text fields of the area polygons (their numbers were written as text)."""
    if area.kind != "polygons" or not Path(area.path).exists():
        return []
    layer = QgsVectorLayer(f"{area.path}|layername={area.layer}", "area", "ogr")
    return text_fields(layer) if layer.isValid() else []
