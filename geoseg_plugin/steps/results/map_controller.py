"""The Results step, about a map: its areas, a sample to correct them, labels beside it, a sheet as PDF."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from qgis.core import QgsPalettedRasterRenderer, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QApplication, QFileDialog

from ...contract import (
    Area,
    AreasJob,
    EvaluateJob,
    GeoSegError,
    LabelClass,
    SampleJob,
    Unlabelled,
    split_address,
)
from ...jobs.choices import NamedPath
from ...jobs.submission import Submission
from ...layers import layout, publish, sample
from ...layers.areas import rows_of_prediction
from ...layers.class_field import proposed_field
from ...layers.classes import class_fields
from ...layers.exports import LABEL_LAYER
from ...layers.inputs.areas import AreaSnapshot, area_snapshot
from ...layers.inputs.folder import NOWHERE, InputFolder
from ...layers.inputs.labels import LabelSnapshot, label_snapshot
from ...layers.inputs.lookup import layer_gone
from ...layers.inputs.rasters import class_raster_snapshot
from ...layers.rasterclasses import raster_classes
from ...layers.sheet import model_of
from ...layers.snapshot import problems, value_bands
from ...layers.styles import style_classes
from ...panel.background_queries import Query
from ...panel.desktop import open_file
from ...panel.errors import problem_text
from ...panel.services import PanelServices
from ...panel.texts import tr
from ...panel.timers import PLAN_MS, single_shot
from ...records.workspace import folder_name, last_result
from .page import ResultsPage
from .sheet import prediction_job, sheet_of, title_of
from .state import ComparisonChoices, SampleDesign, created_note, sample_note

CLASSES = "classes.tif"
SAMPLE_PLAN = "sampleplan"
SAMPLE_FILE = "sample.gpkg"
AREAS, SAMPLE, EVALUATION = "areas", "sample", "evaluation"
"""Folders beside a map, in its folder."""


class MapResultsController(QObject):
    """Keeps the tab about maps up to date and runs its jobs."""

    def __init__(self, services: PanelServices, page: ResultsPage) -> None:
        super().__init__(services)
        self.services, self._page, self.part = services, page, page.map
        self._written, self._shown = Path(), ""
        part = self.part
        part.map_chosen.connect(self._show)
        part.labels_chosen.connect(self._on_labels_chosen)
        part.areas_requested.connect(self.measure)
        part.table_requested.connect(lambda: open_file(self.place() / AREAS / "areas.csv"))
        part.sample_requested.connect(self.create_sample)
        self._timer = single_shot(self, PLAN_MS, self.plan_sample)
        part.design_changed.connect(self._on_design_changed)
        part.comparison_requested.connect(self.compare)
        part.errors_requested.connect(self.show_errors)
        part.report_requested.connect(lambda: open_file(self.place() / EVALUATION / "report.html"))
        part.sheet_requested.connect(self.export_sheet)
        part.written.step_requested.connect(lambda _link: open_file(self._written))
        services.map_made.connect(self._on_map_made)

    def refresh(self) -> None:
        """Show the predictions of the workspace, newest first, and other class rasters of the project."""
        found = [entry for entry in self.services.view.predictions() if entry.finished]
        named = [NamedPath(entry.title, str(entry.folder / CLASSES)) for entry in found]
        for layer in self.services.project.mapLayers().values():
            path = file_of(layer) if is_class_raster(layer) else ""
            if path and not any(same_file(item.path, path) for item in named):
                named.append(NamedPath(layer.name(), path, tr("(layer)")))
        self.part.set_maps(named, self.part.path())

    def show_map(self, classes: Path) -> None:
        """Choose a map and show its tab."""
        self.refresh()
        index = self.part.map.findData(str(classes))
        if index >= 0:
            self.part.map.setCurrentIndex(index)
            self._page.show_map()

    def _on_map_made(self, folder: Path) -> None:
        """Show a new map, unless this page is shown with another one."""
        if self.services.dock.current_step() == "results":
            self.refresh()
        else:
            self.show_map(folder / CLASSES)

    def place(self) -> Path:
        """Folder for what is found out about the chosen map: its own if it is a prediction of the workspace."""
        return place_of(Path(self.part.path()), self.services.workspace.root)

    def measure(self) -> None:
        """Measure areas; with a sample also what they really are."""
        layer = self.part.sample.currentLayer()
        inputs = InputFolder(self.place() / AREAS)
        if layer is None:
            job = AreasJob(self._map_file(inputs))
        elif sample.is_sample(layer):
            points = inputs.add(sample.sample_snapshot(layer, NOWHERE), "sample.gpkg")
            job = AreasJob(self._map_file(inputs), points, LABEL_LAYER, sample_name=layer.name())
        else:
            self.services.errors.show(no_sample(layer.name()))
            return
        submission = Submission(job, inputs.path, "Areas of the classes")
        self.services.jobs.start(
            submission.title, inputs.exports, [submission], lambda *_result: self._show(self.part.path())
        )

    def create_sample(self, design: SampleDesign) -> None:
        """Create a sample; an earlier one is never overwritten, it may be filled in."""
        inputs = InputFolder(unused(self.place() / SAMPLE))
        path = self.part.path()
        job = SampleJob(classes=self._map_file(inputs), output=SAMPLE_FILE, **design.settings())
        submission = Submission(job, inputs.path, "Create a reference sample")
        self.services.jobs.start(
            submission.title,
            inputs.exports,
            [submission],
            lambda result, place: self._on_sampled(result, place, path),
        )

    def _on_design_changed(self) -> None:
        """The plan of the sample is of other settings: hide it, and request a new one soon."""
        self.part.show_plan("")
        self._timer.start()

    def plan_sample(self) -> None:
        """Request how many points there would be, while the settings are visible."""
        if not self.part.wants_plan():
            self.services.queries.withdraw(SAMPLE_PLAN)
            return
        try:
            folder = self.services.workspace.scratch(SAMPLE_PLAN)
        except OSError as error:
            self.part.show_plan(str(error))
            return
        inputs, settings = InputFolder(folder / "inputs"), self.part.design().settings()
        job = SampleJob(classes=self._map_file(inputs), output=SAMPLE_FILE, dry_run=True, **settings)
        submission = Submission(job, folder, "Count sample points")
        self.part.show_plan(tr("Counting…"))
        self.services.queries.submit(
            Query(
                SAMPLE_PLAN,
                submission.title,
                inputs.exports,
                [submission],
                lambda result: self.part.show_plan(sample_note(result)),
                lambda problem: self.part.show_plan(problem_text(problem)),
            )
        )

    def compare(self, choices: ComparisonChoices) -> None:
        """Compare the map with labels that are in the project."""
        inputs = InputFolder(self.place() / EVALUATION)
        try:
            job = EvaluateJob(
                prediction=self._map_file(inputs),
                truth=self._labels(choices).located(inputs),
                area=self._area(choices).located(inputs),
                made_by=self._model_of(self.part.path()),
            )
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        submission = Submission(job, inputs.path, "Compare a map with labels")
        wrong = [item for item in job.problems() if item.severity == "error"]
        if wrong:
            self.services.errors.show(GeoSegError(wrong[0].code, wrong[0].message, wrong[0].hint))
            return
        self.services.jobs.start(submission.title, inputs.exports, [submission], self._on_compared)

    def show_errors(self) -> None:
        """Put the error layer of the comparison on the map, into the map's group."""
        self._publish_errors(self.place())

    def _publish_errors(self, place: Path) -> None:
        folder = place / EVALUATION
        result = last_result(folder)
        if result.get("errors"):
            group = publish.group_of(place, self.services.project)
            publish.publish_evaluation(
                folder, result, title_of(place), later=self.services.result_queue.add, group=group
            )

    def export_sheet(self) -> None:
        """Ask where to, then draw the sheet, keep it as a layout of the project, and write it as PDF."""
        proposed = str(self.place() / f"{folder_name(title_of(self.place()))}.pdf")
        kinds = tr("PDF (*.pdf);;Picture (*.png)")
        path, _kind = QFileDialog.getSaveFileName(self.services.dock, tr("Map as PDF"), proposed, kinds)
        if path:
            file = Path(path)
            self.write_sheet(
                file if file.suffix.lower() in (".pdf", ".png") else file.with_name(f"{file.name}.pdf")
            )

    def write_sheet(self, path: Path) -> None:
        """Draw the sheet of the chosen map and write it, in two passes of the event loop."""
        try:
            classes = self._class_layer()
            made = layout.map_layout(
                sheet_of(classes, self.place(), self.services.project, self._evaluation),
                self.services.project,
            )
        except GeoSegError as error:
            self.services.errors.show(error)
            return
        self.services.dock.footer.add_log(
            "info", tr("The layout '{}' is in the project.").format(made.name())
        )
        self.services.result_queue.add(lambda: self._export(made, path))

    def _evaluation(self, run: Path) -> dict[str, Any]:
        return self.services.view.evaluation(run)

    def _export(self, made: Any, path: Path) -> None:
        """QGIS draws a layout on the main thread only: a wait cursor shows that it is busy."""
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            layout.export(made, path)
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        finally:
            QApplication.restoreOverrideCursor()
        self._written = path
        self.part.written.show_done(tr("{} is written.").format(path.name), tr("Open"), "open")

    def _class_layer(self) -> QgsRasterLayer:
        """The chosen map in the project; one that was removed from it comes back."""
        path = self.part.path()
        found = self._layer_of(path)
        if found is None:
            self._bring_back(Path(path), self.place())
            found = self._layer_of(path)
        if found is None:
            raise GeoSegError("map_gone", tr("The map {} cannot be opened.").format(path),
                              tr("Choose another map."))  # fmt: skip
        return found

    def _bring_back(self, path: Path, place: Path) -> None:
        """Add a map to the project again; the style and facts beside its file stay as they are."""
        if path.parent == place:
            classes = publish.classes_from(last_result(place))
            item = publish.Item(path, tr("Classes"), lambda layer: styled(layer, classes), keeps_style=False)
            publish.publish([item], title_of(place), {}, self.services.project)
            return
        layer = QgsRasterLayer(str(path), path.stem, "gdal")
        if layer.isValid():
            self.services.project.addMapLayer(layer)

    def _model_of(self, path: str) -> str:
        """The model that made the chosen map, if it is known and still there."""
        job, layer = prediction_job(self.place()), self._layer_of(path)
        if job is not None:
            return job.model if Path(job.model).is_file() else ""
        return model_of(layer) if layer is not None else ""

    def _layer_of(self, path: str) -> QgsRasterLayer | None:
        layers = self.services.project.mapLayers().values()
        rasters = (layer for layer in layers if isinstance(layer, QgsRasterLayer))
        return next((layer for layer in rasters if same_file(file_of(layer), path)), None)

    def _map_file(self, folder: InputFolder) -> str:
        """The chosen map as QGIS shows it: its file, or a copy where another CRS or nodata value was set."""
        layer = self._layer_of(self.part.path())
        return self.part.path() if layer is None else class_raster_snapshot(layer).located(folder).path

    def _labels(self, choices: ComparisonChoices) -> LabelSnapshot:
        layer = self.services.project.mapLayer(choices.label_layer_id)
        wrong = (
            [item for item in problems(layer, labels=True) if item.severity == "error"]
            if layer is not None
            else []
        )
        if wrong:
            raise GeoSegError(wrong[0].code, wrong[0].message, wrong[0].hint)
        if not isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
            raise layer_gone(choices.label_layer_id)
        found = label_snapshot(layer, choices.class_field)
        unlabelled = cast(Unlabelled, choices.unlabelled)
        return dataclasses.replace(found, labels=dataclasses.replace(found.labels, unlabelled=unlabelled))

    def _area(self, choices: ComparisonChoices) -> AreaSnapshot:
        layer = self.services.project.mapLayer(choices.area_layer_id) if choices.area_layer_id else None
        return area_snapshot(layer) if isinstance(layer, QgsVectorLayer) else AreaSnapshot(Area())

    def _on_labels_chosen(self, layer_id: str) -> None:
        layer = self.services.project.mapLayer(layer_id) if layer_id else None
        fields = class_fields(layer) if isinstance(layer, QgsVectorLayer) else []
        proposed = proposed_field(layer, fields) if isinstance(layer, QgsVectorLayer) else ""
        self.part.set_class_fields(fields, proposed)

    def _on_sampled(self, result: dict[str, Any], folder: Path, path: str) -> None:
        """Show the points of the class raster `path`; another map may be chosen meanwhile."""
        map_folder = folder.parent
        layer = self._layer_of(path)
        legend = raster_classes(layer) if layer is not None else ()
        classes = sample.sample_classes(result.get("rows") or (), legend)
        file = folder / str(result["output"])
        notes = {tr("Made by"): tr("GeoSeg, reference sample"), tr("Class raster"): path}
        group = publish.group_of(map_folder, self.services.project)
        title = tr("Sample of {}").format(map_folder.name)
        hidden = sample.hide_samples(group)
        sample.publish_sample(
            file, title, classes, notes, self.services.project, self.services.result_queue.add, group
        )
        if path != self.part.path():
            return
        self.services.result_queue.add(lambda: self._choose_sample(file))
        text = created_note(result.get("count"), bool(hidden))
        self.part.show_created(text)
        self.part.problem_list.set_problems(result.get("warnings") or [])

    def _choose_sample(self, file: Path) -> None:
        layers = self.services.project.mapLayers().values()
        samples = (item for item in layers if sample.is_sample(item))
        layer = next((item for item in samples if same_file(file_of(item), str(file))), None)
        if layer is not None:
            self.part.sample.setLayer(layer)
            if self.services.iface is not None:
                self.services.iface.setActiveLayer(layer)

    def _on_compared(self, _result: dict[str, Any], folder: Path) -> None:
        self._show(self.part.path())
        self._publish_errors(folder.parent)

    def _show(self, path: str) -> None:
        if path != self._shown:
            self._on_design_changed()
            self.part.written.show_done("")
            self.part.show_created("")
            self._shown = path
        if not path:
            self.part.show_areas({})
            self.part.show_comparison({})
            return
        place = self.place()
        measured = last_result(place / AREAS)
        self.part.show_areas(measured or rows_of_prediction(last_result(place)), bool(measured))
        self.part.show_comparison(last_result(place / EVALUATION))


def place_of(classes: Path, root: Path) -> Path:
    """Return the folder of a prediction; of any other map `maps/<name>-<number of its path>` in the workspace."""
    if classes.name == CLASSES and classes.parent.parent == root / "predictions":
        return classes.parent
    number = hashlib.sha1(str(classes).encode(), usedforsecurity=False).hexdigest()[:6]
    return root / "maps" / f"{folder_name(classes.stem)}-{number}"


def unused(folder: Path) -> Path:
    """Return the folder, or the first of `<name>-2`, `<name>-3` … that does not exist."""
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def styled(layer: QgsRasterLayer, classes: Sequence[LabelClass]) -> None:
    """Draw a raster as classes, unless the style beside its file does."""
    if not isinstance(layer.renderer(), QgsPalettedRasterRenderer):
        style_classes(layer, classes)


def is_class_raster(layer: Any) -> bool:
    """Return whether a layer is a file with one band that is drawn as classes, and no layer of errors."""
    return (
        isinstance(layer, QgsRasterLayer)
        and layer.isValid()
        and len(value_bands(layer)) == 1
        and isinstance(layer.renderer(), QgsPalettedRasterRenderer)
        and Path(file_of(layer)).is_file()
        and Path(file_of(layer)).name not in ("errors.tif", "labels.tif")
    )


def file_of(layer: Any) -> str:
    """Return the file of a layer, without what follows its name."""
    return split_address(layer.source())[0]


def same_file(one: str, other: str) -> bool:
    """Return whether two names are of one file, whatever links lead to it."""
    first, second = Path(one), Path(other)
    return first.name == second.name and first.resolve() == second.resolve()


def no_sample(name: str) -> GeoSegError:
    """Return the error for points that cannot be a sample."""
    return GeoSegError(
        "no_sample",
        tr("Layer '{}' has no field 'reference'.").format(name),
        tr("Create sample points first, or rename the field with the true class."),
    )
