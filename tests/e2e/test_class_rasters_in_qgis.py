"""A class raster with a nodata value or CRS set in QGIS gives the same result from the panel and the Toolbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_runs import run as run_engine
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRasterRange
from small_scene import make_classes
from toolbox import record, release_contexts, run

from geoseg_plugin.contract import AreasJob
from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.jobs import prepare
from geoseg_plugin.jobs.choices import DataChoices
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.layers.inputs.dataset import data_inputs
from geoseg_plugin.layers.inputs.folder import InputFolder
from geoseg_plugin.processing.provider import GeoSegProvider

FOREST_PX, WATER_PX, PIXELS = 70 * 60, 50 * 50, 120 * 150


@pytest.fixture
def cover(qgis_new_project: None, tmp_path: Path) -> QgsRasterLayer:
    """A map of a lake and a forest; in QGIS the lake is nodata, and the CRS is another one."""
    layer = QgsRasterLayer(str(make_classes(tmp_path / "cover.tif")), "cover", "gdal")
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(2, 2)])
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    return QgsProject.instance().addMapLayer(layer)


@pytest.fixture
def provider(qgis_app: Any, monkeypatch: pytest.MonkeyPatch, environment: Environment) -> Any:
    """GeoSeg's algorithms, in the Toolbox."""
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(environment.python))
    added = GeoSegProvider()
    qgis_app.processingRegistry().addProvider(added)
    yield added
    release_contexts()
    qgis_app.processingRegistry().removeProvider(added)


def finished(environment: Environment, submission: Submission) -> dict[str, Any]:
    """The result of a job, by the real engine."""
    _hellos, done, failed = run_engine(environment, submission)
    assert failed == []
    return dict(done[0])


def test_labels_of_a_class_raster_are_the_same_pixels(
    provider: GeoSegProvider,
    environment: Environment,
    cover: QgsRasterLayer,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    stack = make_classes(tmp_path / "stack.tif")
    taken = record(monkeypatch, {"classes": []})
    given = {"STACK": str(stack), "LABEL_RASTER": cover.id(), "AREA": "rasters", "UNLABELLED": "unknown"}
    run(provider, "rasterizelabels", OUTPUT=str(tmp_path / "toolbox.tif"), **given)
    toolbox = finished(environment, taken[0])
    choices = DataChoices(label_layer_id=cover.id(), area_kind="rasters", unlabelled="unknown")
    inputs = data_inputs(choices, InputFolder(tmp_path / "inputs"), QgsProject.instance())
    for export in inputs.exports:
        export()
    assert inputs.labels is not None
    output = tmp_path / "panel.tif"
    made = prepare.rasterize(tmp_path / "panel", inputs.labels, inputs.area, stack, output)
    panel = finished(environment, made)
    assert toolbox["counts"] == panel["counts"] and toolbox["classes"] == panel["classes"]
    assert sum(toolbox["counts"].values()) == PIXELS - WATER_PX
    pixels = [gdal.Open(str(path)).ReadAsArray() for path in (tmp_path / "toolbox.tif", output)]
    assert (pixels[0] == pixels[1]).all()


def test_areas_of_a_class_raster_leave_out_what_is_nodata_in_qgis(
    provider: GeoSegProvider,
    environment: Environment,
    cover: QgsRasterLayer,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    taken = record(monkeypatch, {"table": "t", "chart": "c", "json": "j"})
    run(provider, "classareas", INPUT=cover.id(), OUTPUT=str(tmp_path / "areas"))
    rows = {row["id"]: row for row in finished(environment, taken[0])["rows"]}
    assert 2 not in rows and rows[1]["pixels"] == FOREST_PX
    of_file = Submission(AreasJob(cover.source()), tmp_path / "file", "")
    plain = {row["id"]: row for row in finished(environment, of_file)["rows"]}
    assert plain[2]["pixels"] == WATER_PX and plain[1]["name"] == rows[1]["name"]
