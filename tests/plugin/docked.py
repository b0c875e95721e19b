"""A dock with fake runners, and layers to show in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, osr
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geoseg_plugin import paths
from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.panel.assembly import GeoSegPanel


class FakeRunner(QObject):
    """The signals of TaskRunner; remembers what was started and ends when the test says so."""

    started = pyqtSignal(str)
    hello_received = pyqtSignal(object)
    progressed = pyqtSignal(str, float, float)
    epoch_completed = pyqtSignal(object)
    log_added = pyqtSignal(str, str)
    artifact_written = pyqtSignal(str, str)
    submission_finished = pyqtSignal(str, object, str)
    finished = pyqtSignal(str, object, str)
    failed = pyqtSignal(object)
    cancelled = pyqtSignal()
    idle = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.busy = False
        self.submissions: list[Submission] = []
        self.exports: list[Any] = []
        self.wishes: list[str] = []
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

    def install(self, root: Path, device: str, python: str, with_richdem: bool, zoo: bool = False) -> None:
        """Remember and look busy."""
        self.wishes.append(f"install {device} {with_richdem}{' zoo' if zoo else ''}")
        self.start("install", [], [])

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


class Desk:
    """The panel with fake runners: `runner` for the user's jobs, `asked` for queries in the background."""

    def __init__(self, iface: Any = None) -> None:
        self.runner, self.asked = FakeRunner(), FakeRunner()
        runners: dict[str, Any] = {"runner": self.runner, "queries": self.asked}
        self.panel = GeoSegPanel(paths.guide(), iface, **runners)
        self.services, self.pages, self.dock = self.panel.services, self.panel.pages, self.panel.dock
        self.services.queries.wake()


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
