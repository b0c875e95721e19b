"""Panel and Toolbox make the same job of the same layers, and read rasters of classes as QGIS shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from classmaps import class_map
from docked import Desk, polygon_layer, raster_layer
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRasterRange
from toolbox import checked, raster, record, run

from geoseg_plugin.contract import GeoSegError, encode
from geoseg_plugin.jobs import prepare
from geoseg_plugin.jobs.choices import DataChoices, LabelEdits, MoreLabels, RasterChoice
from geoseg_plugin.layers.inputs.dataset import DataInputs, data_inputs
from geoseg_plugin.layers.inputs.folder import InputFolder
from geoseg_plugin.processing.provider import GeoSegProvider

pytestmark = pytest.mark.usefixtures("engine", "qgis_new_project")
SETTINGS = ("plain", "nodata", "crs", "nodata and crs")


@pytest.fixture
def cover(qgis_app: Any, tmp_path: Path) -> QgsRasterLayer:
    """A raster of classes with its legend."""
    layer = QgsRasterLayer(str(class_map(tmp_path / "map")), "cover", "gdal")
    layer.loadDefaultStyle()
    return QgsProject.instance().addMapLayer(layer)


def set_in_qgis(layer: QgsRasterLayer, what: str) -> None:
    """Give the layer another nodata value or CRS than its file has."""
    if "nodata" in what:
        layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(2, 2)])
    if "crs" in what:
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:3035"))


def panel_inputs(choices: DataChoices, folder: Path) -> DataInputs:
    """The inputs as the Data page makes them, with their files written."""
    found = data_inputs(choices, InputFolder(folder), QgsProject.instance())
    for export in found.exports:
        export()
    return found


def as_json(value: Any) -> Any:
    """Plain data with the names of files instead of their paths: the entry points choose the folders."""
    found = encode(value)
    if isinstance(found, dict):
        return {key: as_json(item) for key, item in found.items()}
    if isinstance(found, (list, tuple)):
        return [as_json(item) for item in found]
    return Path(found).name if isinstance(found, str) and found.startswith("/") else found


def shown_as(path: str, what: str) -> None:
    """Check that a file has the nodata value and CRS that were set in QGIS, and its legend."""
    dataset = gdal.Open(path)
    band = dataset.GetRasterBand(1)
    assert band.GetNoDataValue() == (2 if "nodata" in what else None)
    epsg = dataset.GetSpatialRef().GetAuthorityCode(None)
    assert epsg == ("3035" if "crs" in what else "32632")


@pytest.mark.parametrize("what", SETTINGS)
def test_a_raster_of_classes_is_the_same_labels_at_both_entry_points(
    what: str,
    cover: QgsRasterLayer,
    provider: GeoSegProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_in_qgis(cover, what)
    taken = record(monkeypatch)
    stack = str(raster(tmp_path / "stack.tif"))
    given = {"STACK": stack, "LABEL_RASTER": cover.id(), "AREA": "rasters", "UNLABELLED": "unknown"}
    run(provider, "rasterizelabels", OUTPUT=str(tmp_path / "labels.tif"), **given)
    job: Any = taken[0].job
    choices = DataChoices(label_layer_id=cover.id(), area_kind="rasters", unlabelled="unknown")
    panel = panel_inputs(choices, tmp_path / "panel")
    assert panel.labels is not None and job.labels.kind == "raster"
    assert as_json(job.labels) == as_json(panel.labels)
    assert as_json(job.area) == as_json(panel.area)
    assert [item.name for item in panel.labels.classes] == ["background", "scarp", "deposit"]
    shown_as(job.labels.path, what)
    shown_as(panel.labels.path, what)
    assert (panel.labels.path == cover.source()) is (what == "plain")


def map_jobs(
    provider: GeoSegProvider, cover: QgsRasterLayer, folder: Path, taken: list[Any]
) -> dict[str, str]:
    """Algorithm and field -> the raster that its job reads of the class raster."""
    layer = cover.id()
    run(provider, "polygonize", INPUT=layer, CONFIDENCE=layer, OUTPUT=str(folder / "p.gpkg"))
    run(provider, "cleanclasses", INPUT=layer, MAJORITY=3, OUTPUT=str(folder / "c.tif"))
    run(provider, "classareas", INPUT=layer, OUTPUT=str(folder / "areas"))
    run(provider, "samplepoints", INPUT=layer, OUTPUT=str(folder / "s.gpkg"))
    run(provider, "evaluate", PREDICTION=layer, TRUTH=layer, OUTPUT=str(folder / "evaluation"))
    polygonized, cleaned, areas, sample, evaluation = (item.job for item in taken)
    return {
        "polygonize": polygonized.classes,
        "polygonize confidence": polygonized.confidence,
        "cleanclasses": cleaned.classes,
        "classareas": areas.classes,
        "samplepoints": sample.classes,
        "evaluate prediction": evaluation.prediction,
        "evaluate truth": evaluation.truth.path,
    }


@pytest.mark.parametrize("what", SETTINGS)
def test_every_algorithm_reads_a_class_raster_as_qgis_shows_it(
    what: str,
    cover: QgsRasterLayer,
    provider: GeoSegProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_in_qgis(cover, what)
    answers = [{"errors": "errors.tif", "table": "t", "chart": "c", "json": "j"}] * 9
    taken = record(monkeypatch, *answers)
    for path in map_jobs(provider, cover, tmp_path, taken).values():
        assert (path == cover.source()) is (what == "plain")
        shown_as(path, what)


@pytest.mark.parametrize("what", ("plain", "nodata"))
def test_the_results_page_reads_its_map_as_qgis_shows_it(what: str, desk: Desk, tmp_path: Path) -> None:
    cover = QgsRasterLayer(str(class_map(tmp_path / "map")), "cover", "gdal")
    cover.loadDefaultStyle()
    QgsProject.instance().addMapLayer(cover)
    desk.services.refresh()
    set_in_qgis(cover, what)
    part = desk.pages.results.map
    assert part.path() == cover.source()
    part.areas_button.click()
    for export in desk.runner.exports:
        export()
    path = desk.runner.job().classes
    assert (path == cover.source()) is (what == "plain")
    shown_as(path, what)


def test_a_class_raster_that_the_engine_cannot_open_is_copied_at_once(
    cover: QgsRasterLayer, provider: GeoSegProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = GeoSegError("cannot_open", f"The engine cannot open {cover.source()}.")
    taken = record(monkeypatch, refusal, {"count": 1})
    run(provider, "polygonize", INPUT=cover.id(), OUTPUT=str(tmp_path / "p.gpkg"))
    assert taken[0].job.classes == cover.source()
    copy = Path(taken[1].job.classes)
    assert copy.exists() and str(copy) != cover.source()


def test_bands_and_labels_of_layers_are_the_same_job_at_both_entry_points(
    provider: GeoSegProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optical, dem = raster_layer(tmp_path, "optical", 3), raster_layer(tmp_path, "dem", 1)
    mask = polygon_layer("area")
    taken = record(monkeypatch)
    given = {"LAYERS": [optical.id(), dem.id()], "BANDS": "optical:1,3", "FILL": "median"}
    run(provider, "stackrasters", **given, REFERENCE=dem.id(), MASK=mask.id(), OUTPUT=str(tmp_path / "o.tif"))
    rasters = (RasterChoice(optical.id(), (1, 3)), RasterChoice(dem.id(), (1,)))
    names = ("optical: band 1", "optical: band 3", "dem")
    choices = DataChoices(
        rasters=rasters,
        area_kind="polygons",
        area_layer_id=mask.id(),
        reference_layer_id=dem.id(),
        settings={name: {"fill": "median"} for name in names},
    )
    panel = panel_inputs(choices, tmp_path / "panel")
    made = prepare.stack(tmp_path / "o", panel.bands, panel.grid, panel.area, output=tmp_path / "o.tif")
    assert as_json(taken[0].job) == as_json(made.job)


def test_merged_classes_of_further_layers_are_the_same_at_both_entry_points(
    provider: GeoSegProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = polygon_layer("first", ("oak", "lake")), polygon_layer("second", ("beech", "road"))
    taken = record(monkeypatch)
    given = {"STACK": str(raster(tmp_path / "stack.tif")), "LABELS": first.id(), "CLASS_FIELD": "class"}
    given["UNLABELLED"] = "background"
    merged = {"MORE_LABELS": [second.id()], "MERGE": "beech=oak", "EXCLUDED": "road"}
    assert checked(provider, "rasterizelabels", **given, **merged, OUTPUT=str(tmp_path / "l.tif")) == ""
    run(provider, "rasterizelabels", **given, **merged, OUTPUT=str(tmp_path / "l.tif"))
    choices = DataChoices(
        label_layer_id=first.id(),
        class_field="class",
        unlabelled="background",
        more_labels=(MoreLabels(second.id(), "class"),),
        edits=LabelEdits({"beech": "oak"}, ("road",)),
    )
    panel = panel_inputs(choices, tmp_path / "panel")
    job: Any = taken[0].job
    assert as_json(job.labels) == as_json(panel.labels)
