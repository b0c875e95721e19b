"""A dock with fake runners, layers to show in it, and folders that look like datasets and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas

from geoseg_plugin import paths
from geoseg_plugin.contract import Band, Dataset, GeoSegError, Grid, LabelClass, Recipe, Source, write_json
from geoseg_plugin.engine.setup.plan import Plan
from geoseg_plugin.jobs import train as train_jobs
from geoseg_plugin.jobs.additions import Input, index_addition
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.panel.assembly import GeoSegPanel
from geoseg_plugin.panel.widgets.step_bar import StepBar
from geoseg_plugin.tasks.install_task import Work
from geoseg_plugin.tasks.runner import TaskRunner

UTM = "EPSG:32632"


class FakeRunner(TaskRunner):
    """Remembers what was started and ends when the test says so."""

    busy, title = False, ""

    def __init__(self) -> None:
        super().__init__()
        self.submissions: list[Submission] = []
        self.exports: list[Any] = []
        self.wishes: list[str] = []
        self.plans: list[Plan] = []
        self.works: list[Work] = []
        self.refusal: GeoSegError | None = None

    def start(self, title: str, exports: Any, submissions: Any) -> None:
        """Remember and look busy."""
        if self.refusal is not None:
            raise self.refusal
        assert not self.busy
        self.title, self.busy = title, True
        self.exports, self.submissions = list(exports or []), list(submissions)
        self.started.emit(title)

    def attach(self, run_folder: Path) -> None:
        """Remember and look busy."""
        self.wishes.append(f"attach {Path(run_folder).name}")
        self.start("attached", [], [])

    def install(self, plan: Plan) -> None:
        """Remember and look busy."""
        self.plans.append(plan)
        self.wishes.append(f"install {plan.build} {plan.with_richdem}{' zoo' if plan.zoo else ''}")
        self.start("install", [], [])

    def maintain(self, title: str, work: Work, folder: str = "") -> None:
        """Remember and look busy."""
        self.works.append(work)
        self.wishes.append(f"maintain {title}")
        self.start(title, [], [])

    def cancel(self) -> None:
        """Remember."""
        self.wishes.append("cancel")

    def shutdown(self, stop: bool | None = None) -> None:
        """Remember."""
        self.wishes.append("shutdown")
        self.busy = False

    def job(self) -> Any:
        """The last job that was started."""
        return self.submissions[-1].job

    def finish(self, **result: Any) -> None:
        """End as a real runner does: record, submission_finished, finished, idle."""
        folder = Path()
        for submission in self.submissions:
            write_job(submission)
            folder = submission.folder
        kind = self.submissions[-1].job.kind if self.submissions else ""
        self.busy = False
        self.submission_finished.emit(kind, result, str(folder))
        self.finished.emit(self.title, result, str(folder))
        self.idle.emit()

    def fail(self, code: str, message: str, hint: str = "") -> None:
        """End with a failure."""
        self.busy = False
        self.failed.emit({"code": code, "message": message, "hint": hint, "details": "line one\nline two"})
        self.idle.emit()


def raster_layer(folder: Path, name: str, bands: int) -> QgsRasterLayer:
    """A float raster of 40 × 50 pixels of 10 m, in the project."""
    path = folder / f"{name}.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 50, 40, bands, gdal.GDT_Float32)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500_000, 10, 0, 5_000_000, 0, -10))
    for band in range(1, bands + 1):
        dataset.GetRasterBand(band).WriteArray(np.full((40, 50), band, dtype=np.float32))
    dataset = None
    return add(QgsRasterLayer(str(path), name, "gdal"))


def polygon_layer(name: str = "labels", classes: tuple[str, ...] = ("scarp", "deposit")) -> QgsVectorLayer:
    """A memory layer with one square a class, in the project."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=class:string&field=note:string", name, "memory")
    for number, value in enumerate(classes):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([value, "x"])
        x = 500_050 + 100 * number
        box = f"POLYGON(({x} 4999900, {x + 50} 4999900, {x + 50} 4999950, {x} 4999950, {x} 4999900))"
        feature.setGeometry(QgsGeometry.fromWkt(box))
        layer.dataProvider().addFeatures([feature])
    return add(layer)


def add(layer: Any) -> Any:
    """The layer, in the project."""
    assert layer.isValid()
    return QgsProject.instance().addMapLayer(layer)


class Desk:
    """The panel with fake runners: `runner` for the user's jobs, `asked` for queries in the background."""

    def __init__(self, iface: Any = None) -> None:
        self.runner, self.asked, self.iface = FakeRunner(), FakeRunner(), iface
        self.panel = GeoSegPanel(paths.guide(), iface, runner=self.runner, queries=self.asked)
        self.services, self.pages, self.dock = self.panel.services, self.panel.pages, self.panel.dock
        self.services.queries.wake()

    def close(self) -> None:
        """End the panel; a window that stays on screen would be painted while it is being collected."""
        self.panel.close()
        self.dock.hide()


class FakeIface:
    """QGIS's interface as far as the panel needs it."""

    def __init__(self) -> None:
        self.canvas = QgsMapCanvas()
        self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(UTM))

    def mapCanvas(self) -> QgsMapCanvas:
        """The map."""
        return self.canvas


class DataDesk(Desk):
    """A dock with a map, and a project of three bands, a DEM and polygons."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FakeIface())
        self.data, self.page = self.panel.data, self.pages.data
        QgsProject.instance().setCrs(QgsCoordinateReferenceSystem(UTM))
        raster_layer(folder, "optical", 3)
        raster_layer(folder, "dem", 1)
        polygon_layer()
        self.data.refresh_layers()

    def settle(self) -> None:
        """Run what was put off."""
        while self.services.result_queue.busy:
            self.services.result_queue.run_next()


def prepared(desk: Desk, tmp_path: Path) -> Path:
    """A dataset folder that looks like one with labels."""
    folder = desk.services.workspace.new_dataset("landslides")
    (folder / "labels.tif").write_bytes(b"")
    grid = Grid("EPSG:32632", (10, 0, 500_000, 0, -10, 5_000_000), 50, 40)
    recipe = Recipe((Source("r1", "optical.tif"),), (Band("red", "r1"),), grid)
    classes = (LabelClass(0, "scarp"), LabelClass(1, "deposit"))
    counts = {"train": {"0": 1000, "1": 500}}
    dataset = Dataset("landslides", recipe, "labels.tif", "split.tif", "tiles.gpkg", classes, counts=counts)
    write_json(folder / "dataset.json", dataset)
    desk.services.state.dataset = folder
    desk.services.refresh()
    return folder


def finished_run(desk: Desk, dataset: Path) -> Path:
    """A run with a model."""
    run = desk.services.workspace.new_run("landslides")
    write_job(train_jobs.train(run, dataset))
    (run / "model.onnx").write_bytes(b"")
    desk.services.state.run = run
    desk.services.refresh()
    return run


def layer_id(name: str) -> str:
    return str(QgsProject.instance().mapLayersByName(name)[0].id())


def ratio(name: str = "ratio", over: str = "optical") -> Any:
    inputs = (Input("a", layer_id(over), 1), Input("b", layer_id("dem"), 1))
    return index_addition(name, "a / b", inputs)


def is_done(steps: StepBar, step: str) -> bool:
    """Whether the bar shows a tick on a step."""
    return str(steps._buttons[step].accessibleName()).endswith("done")


def is_outdated(steps: StepBar, step: str) -> bool:
    """Whether the bar marks a step as out of date."""
    return str(steps._buttons[step].accessibleName()).endswith("out of date")


def tooltip(steps: StepBar, step: str) -> str:
    """What the bar shows of a step under the mouse."""
    return str(steps._buttons[step].toolTip())
