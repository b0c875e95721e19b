"""Snapshots: what the engine gets is what the user sees, and the user's layers stay as they are."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRasterRange,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.jobs.inputs import RasterInput
from geoseg_plugin.layers import snapshot
from geoseg_plugin.layers.exports import LABEL_LAYER, value_text
from geoseg_plugin.layers.inputs.folder import InputFolder, RefusedRasters, named_in
from geoseg_plugin.layers.inputs.rasters import raster_snapshot

CRS = "EPSG:32632"


def write_raster(path: Path, values: np.ndarray, nodata: float | None = None, crs: str = CRS) -> Path:
    bands, rows, cols = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands, gdal.GDT_Float32)
    dataset.SetGeoTransform((600000, 10, 0, 5100000, 0, -10))
    if crs:
        dataset.SetProjection(QgsCoordinateReferenceSystem(crs).toWkt())
    for index in range(bands):
        band = dataset.GetRasterBand(index + 1)
        band.WriteArray(values[index])
        if nodata is not None:
            band.SetNoDataValue(nodata)
    dataset.GetRasterBand(1).SetDescription("red")
    dataset = None
    return path


@pytest.fixture
def values() -> np.ndarray:
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def raster(tmp_path: Path, values: np.ndarray) -> QgsRasterLayer:
    return QgsRasterLayer(str(write_raster(tmp_path / "a.tif", values)), "optical")


def polygons(
    geometry: str = "Polygon", fields: str = "&field=class:string(20)&field=n:double"
) -> QgsVectorLayer:
    return QgsVectorLayer(f"{geometry}?crs={CRS}{fields}", "slides", "memory")


def add(layer: QgsVectorLayer, wkt: str | None, *attributes: object) -> None:
    feature = QgsFeature(layer.fields())
    feature.setAttributes(list(attributes))
    if wkt:
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
    assert layer.isEditable() or layer.startEditing()
    assert layer.addFeature(feature)


def in_thread(export: object) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            export()
        except GeoSegError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    if errors:
        raise errors[0]


def copied(layer: QgsRasterLayer, folder: Path, refused: bool = False) -> tuple[RasterInput, Any]:
    """What the engine gets instead of a layer's own file, and what writes it."""
    inputs = InputFolder(folder, {layer.id()} if refused else ())
    found = raster_snapshot(layer).located(inputs)
    return found, inputs.exports[0]


def test_a_file_goes_by_its_path(raster: QgsRasterLayer, tmp_path: Path) -> None:
    taken = raster_snapshot(raster, (2,))
    assert taken.copy_reason == ""
    found = taken.raster
    assert found.path == str(tmp_path / "a.tif")
    assert found.band_names == ("red", "")
    assert (found.ticked, found.crs, found.nodata) == ((2,), "", None)


def test_without_a_choice_all_bands_are_ticked_and_terrain_can_be_alone(raster: QgsRasterLayer) -> None:
    assert raster_snapshot(raster).raster.ticked == (1, 2)
    found = raster_snapshot(raster, (), ("slope",)).raster
    assert (found.ticked, found.terrain) == ((), ("slope",))


def test_the_users_crs_goes_along_and_the_layer_keeps_it(tmp_path: Path, values: np.ndarray) -> None:
    layer = QgsRasterLayer(str(write_raster(tmp_path / "b.tif", values, crs="")), "b")
    assert snapshot.problems(layer)[0].code == "no_crs"
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:3035"))
    assert snapshot.problems(layer) == []
    assert raster_snapshot(layer).raster.crs == "EPSG:3035"
    layer.setCrs(QgsCoordinateReferenceSystem.fromProj("+proj=laea +lat_0=12 +lon_0=7 +datum=WGS84"))
    assert "LAMBERT" in raster_snapshot(layer).raster.crs.upper()
    assert layer.crs().isValid()


def test_a_raster_drawn_as_classes_is_resampled_as_codes(raster: QgsRasterLayer) -> None:
    assert raster_snapshot(raster).raster.categorical is False
    entry = QgsPalettedRasterRenderer.Class(1, QColor("red"), "one")
    raster.setRenderer(QgsPalettedRasterRenderer(raster.dataProvider(), 1, [entry]))
    assert raster_snapshot(raster).raster.categorical is True


def test_one_nodata_value_of_the_user_goes_along(raster: QgsRasterLayer) -> None:
    provider = raster.dataProvider()
    for band in (1, 2):
        provider.setUserNoDataValue(band, [QgsRasterRange(5, 5)])
    taken = raster_snapshot(raster)
    assert (taken.raster.nodata, taken.copy_reason) == (5, "")


def test_a_range_of_nodata_values_is_exported(raster: QgsRasterLayer, tmp_path: Path) -> None:
    for band in (1, 2):
        raster.dataProvider().setUserNoDataValue(band, [QgsRasterRange(5, 7)])
    found, export = copied(raster, tmp_path / "copies")
    assert "nodata" in export.note
    in_thread(export)
    dataset = gdal.Open(found.path)
    band = dataset.GetRasterBand(1)
    missing = band.ReadAsArray().ravel() == band.GetNoDataValue()
    assert missing.tolist() == [5 <= value <= 7 for value in range(12)]
    assert not list((tmp_path / "copies").glob("*.part*"))


def test_a_copy_keeps_the_unit_of_heights(tmp_path: Path, values: np.ndarray) -> None:
    path = write_raster(tmp_path / "dem.tif", values[:1])
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.GetRasterBand(1).SetUnitType("US survey foot")
    dataset = None
    _, export = copied(QgsRasterLayer(str(path), "dem"), tmp_path, refused=True)
    export()
    assert gdal.Open(str(export.path)).GetRasterBand(1).GetUnitType() == "US survey foot"


def test_nodata_that_is_switched_off_is_data_in_the_copy(tmp_path: Path, values: np.ndarray) -> None:
    layer = QgsRasterLayer(str(write_raster(tmp_path / "n.tif", values, nodata=3)), "n")
    assert snapshot.export_reason(layer) == ""
    for band in (1, 2):
        layer.dataProvider().setUseSourceNoDataValue(band, False)
    found, export = copied(layer, tmp_path / "copies")
    in_thread(export)
    dataset = gdal.Open(found.path)
    assert dataset.GetRasterBand(1).GetNoDataValue() != 3
    np.testing.assert_array_equal(dataset.ReadAsArray(), values)


def test_a_layer_that_only_qgis_can_read_is_exported(raster: QgsRasterLayer, tmp_path: Path) -> None:
    raster.setDataSource(raster.source() + "|option:NUM_THREADS=1", "optical", "gdal")
    assert raster_snapshot(raster).copy_reason


def test_virtual_raster_provider_is_exported(raster: QgsRasterLayer, tmp_path: Path) -> None:
    uri = (
        f"?crs={CRS}&extent=600000,5099970,600040,5100000&width=4&height=3"
        f"&formula=%22optical@1%22%20+%201&optical:uri={raster.source()}&optical:provider=gdal"
    )
    layer = QgsRasterLayer(uri, "sum", "virtualraster")
    if not layer.isValid():
        pytest.skip("no virtualraster provider")
    assert snapshot.problems(layer) == []
    found, export = copied(layer, tmp_path)
    in_thread(export)
    assert gdal.Open(found.path).ReadAsArray().ravel().tolist() == list(range(1, 13))


def test_a_copy_on_request_is_the_same_data(
    raster: QgsRasterLayer, tmp_path: Path, values: np.ndarray
) -> None:
    found, export = copied(raster, tmp_path / "copies", refused=True)
    in_thread(export)
    written = gdal.Open(found.path)
    np.testing.assert_array_equal(written.ReadAsArray(), values)
    assert written.GetGeoTransform() == (600000, 10, 0, 5100000, 0, -10)


def test_an_export_that_fails_says_what_to_do(raster: QgsRasterLayer, tmp_path: Path) -> None:
    export = copied(raster, tmp_path / "copies", refused=True)[1]
    Path(raster.source()).unlink()
    with pytest.raises(GeoSegError) as caught:
        in_thread(export)
    assert caught.value.code == "export_failed" and caught.value.hint


def test_problems_name_what_is_wrong(raster: QgsRasterLayer, qgis_app: object) -> None:
    points = QgsVectorLayer(f"Point?crs={CRS}", "wells", "memory")
    empty = polygons()
    picture = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/%7Bx%7D/%7By%7D/%7Bz%7D.png", "osm", "wms")
    assert [item.code for item in snapshot.problems(points)] == ["not_polygons"]
    assert "wells" in snapshot.problems(points)[0].message
    assert [item.code for item in snapshot.problems(empty)] == ["no_polygons"]
    assert [item.code for item in snapshot.problems(picture)] == ["picture"]
    assert snapshot.problems(raster) == []
    Path(raster.source()).unlink()
    assert [item.code for item in snapshot.problems(raster)] == ["file_missing"]


def test_unsaved_edits_are_in_the_polygons(tmp_path: Path) -> None:
    layer = polygons()
    add(layer, "Polygon((0 0, 1 0, 1 1, 0 0))", "scarp", 1.0)
    add(layer, None, "deposit", 2.0)
    add(layer, "Polygon((0 0, 1 0, 1 1, 0 0))", None, None)
    export = snapshot.polygon_snapshot(layer, tmp_path / "sub" / "labels.gpkg", ("class", "n", "class", ""))
    layer.rollBack()
    assert layer.featureCount() == 0
    in_thread(export)
    written = QgsVectorLayer(f"{tmp_path}/sub/labels.gpkg|layername={LABEL_LAYER}", "x", "ogr")
    rows = [
        (item["class"] or None, item["n"] or None, item.geometry().isEmpty())
        for item in written.getFeatures()
    ]
    assert rows == [("scarp", "1", False), ("deposit", "2", True), (None, None, False)]
    assert written.crs().authid() == CRS


def test_curves_become_straight_and_z_is_left_out(tmp_path: Path) -> None:
    layer = polygons("CurvePolygonZ")
    add(layer, "CurvePolygonZ(CircularStringZ(0 0 1, 1 1 1, 2 0 1, 1 -1 1, 0 0 1))", "a", 1)
    in_thread(snapshot.polygon_snapshot(layer, tmp_path / "l.gpkg", ("class",)))
    written = next(QgsVectorLayer(f"{tmp_path}/l.gpkg", "x", "ogr").getFeatures()).geometry()
    assert written.area() == pytest.approx(np.pi, rel=1e-3)
    assert not written.constGet().is3D()
    layer.rollBack()


def test_filter_and_selection_count(tmp_path: Path) -> None:
    layer = polygons()
    for name in "aab":
        add(layer, "Polygon((0 0, 1 0, 1 1, 0 0))", name, 1)
    layer.commitChanges()
    layer.selectByIds([3])
    in_thread(snapshot.polygon_snapshot(layer, tmp_path / "s.gpkg", ("class",), selected_only=True))
    layer.setSubsetString("\"class\" = 'a'")
    in_thread(snapshot.polygon_snapshot(layer, tmp_path / "f.gpkg", ("class",)))
    assert QgsVectorLayer(f"{tmp_path}/s.gpkg", "x", "ogr").featureCount() == 1
    assert QgsVectorLayer(f"{tmp_path}/f.gpkg", "x", "ogr").featureCount() == 2


def test_long_ids_and_decimals_of_features_stay_numbers(tmp_path: Path) -> None:
    layer = polygons(fields="&field=id:int8&field=share:double&field=kind:string(9)")
    add(layer, "Polygon((0 0, 1 0, 1 1, 0 0))", 9007199254740993, 0.5, "2E1")
    in_thread(snapshot.feature_snapshot(layer, tmp_path / "f.gpkg", ("id", "share", "kind")))
    layer.rollBack()
    (written,) = QgsVectorLayer(f"{tmp_path}/f.gpkg", "x", "ogr").getFeatures()
    assert [written[name] for name in ("id", "share", "kind")] == [9007199254740993, 0.5, "2E1"]


def two_layers(path: Path) -> Path:
    """A GeoPackage with polygons in `one` and `two`, and points."""
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32632)
    for name, kind in (("one", ogr.wkbPolygon), ("points", ogr.wkbPoint), ("two", ogr.wkbPolygon)):
        layer = source.CreateLayer(name, reference, kind)
        feature = ogr.Feature(layer.GetLayerDefn())
        text = "POINT(1 1)" if kind == ogr.wkbPoint else "POLYGON((0 0, 1 0, 1 1, 0 0))"
        feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    source = layer = feature = None
    return path


def test_a_file_of_several_layers_of_which_none_is_named_is_refused(qgis_app: object, tmp_path: Path) -> None:
    path = two_layers(tmp_path / "two.gpkg")
    (problem,) = snapshot.problems(QgsVectorLayer(str(path), "l", "ogr"))
    assert problem.code == "several_layers" and "one" in problem.message and "two" in problem.message
    for name in ("one", "two"):
        assert not snapshot.problems(QgsVectorLayer(f"{path}|layername={name}", "l", "ogr"))


@pytest.mark.parametrize("name", ["pipe|x", "hey!", "a;b", "q?x", "hash#1", "100%", "it's", "x.zip"])
def test_the_file_of_a_layer_is_found_under_any_name(qgis_app: object, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = write_raster(folder / f"{name}.tif", np.ones((1, 2, 2), np.float32))
    layer = QgsRasterLayer(str(path), "r", "gdal")
    assert layer.isValid() and snapshot.file_of(layer) == path
    taken = raster_snapshot(layer)
    assert taken.copy_reason == "" and taken.raster.path == str(path)
    polygons_path = two_layers(folder / f"{name}.gpkg")
    assert snapshot.file_of(QgsVectorLayer(f"{polygons_path}|layername=one", "l", "ogr")) == polygons_path


def test_a_refused_layer_is_found_by_what_the_engine_says(raster: QgsRasterLayer) -> None:
    taken = raster_snapshot(raster)
    assert named_in(f"Cannot open {raster.source()}: no driver.", [taken]) is taken
    assert named_in("Cannot open 'optical'.", [taken]) is taken
    assert named_in("Cannot open /else.tif.", [taken]) is None


def test_a_refused_raster_is_copied_once(raster: QgsRasterLayer, tmp_path: Path) -> None:
    taken, refused = raster_snapshot(raster), RefusedRasters()
    problem = {"code": "cannot_open", "message": f"Cannot open {raster.source()}."}
    assert refused.note({**problem, "code": "no_disk"}, [taken]) is None
    assert taken.located(InputFolder(tmp_path, refused.layer_ids)).path == raster.source()
    assert refused.note(problem, [taken]) is taken
    folder = InputFolder(tmp_path, refused.layer_ids)
    assert taken.located(folder).path == str(folder.exports[0].path) != raster.source()
    assert refused.note(problem, [taken]) is None, "a copy does not help either"


def test_value_text_knows_no_difference_between_1_and_1_0() -> None:
    assert [value_text(item) for item in (1, 1.0, 1.5, " x ", "", None, True)] == [
        "1", "1", "1.5", "x", None, None, "True"
    ]  # fmt: skip


RIM = np.full((32, 32), 255, np.uint8)
RIM[:, :3] = 0
FORMS = {
    "mask": (1, gdal.GDT_Float32, (), True, None),
    "mask of a picture": (3, gdal.GDT_Byte, (), True, None),
    "mask of five bands": (5, gdal.GDT_UInt16, (), True, None),
    "mask and nodata": (1, gdal.GDT_Float32, (), True, -9999),
    "mask beside the file": (3, gdal.GDT_Byte, (), False, None),
    "grey and alpha": (2, gdal.GDT_Byte, ("PHOTOMETRIC=MINISBLACK", "ALPHA=YES"), None, None),
    "picture and alpha": (4, gdal.GDT_Byte, ("PHOTOMETRIC=RGB", "ALPHA=YES"), None, None),
    "floats and alpha": (2, gdal.GDT_Float32, ("PHOTOMETRIC=MINISBLACK", "ALPHA=YES"), None, -9999),
    "palette and mask": (1, gdal.GDT_Byte, (), True, None),
}
"""Bands, type, options, whether a mask is inside (None: there is none), nodata."""


def of_form(path: Path, form: str) -> QgsRasterLayer:
    """A raster whose first three columns have no value, in one of FORMS; 16 pixels more where there is nodata."""
    count, kind, options, inside, nodata = FORMS[form]
    gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "YES" if inside else "NO")
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 32, 32, count, kind, list(options))
    dataset.SetGeoTransform((600000, 10, 0, 5100000, 0, -10))
    dataset.SetProjection(QgsCoordinateReferenceSystem(CRS).toWkt())
    if form.startswith("palette"):
        table = gdal.ColorTable()
        table.SetColorEntry(200, (1, 2, 3, 255))
        dataset.GetRasterBand(1).SetColorTable(table)
    values = np.arange(1024).reshape(32, 32) % 200 + 1
    if nodata is not None:
        values[4:8, 4:8] = nodata
    for index in range(1, count + 1):
        alpha = inside is None and index == count
        dataset.GetRasterBand(index).WriteArray(RIM if alpha else values)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    if inside is not None:
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(RIM)
    dataset = None
    gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", None)
    return QgsRasterLayer(str(path), form)


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_that_qgis_shows_as_a_band_is_no_band(tmp_path: Path, form: str) -> None:
    layer = of_form(tmp_path / "a.tif", form)
    count, _, _, inside, _ = FORMS[form]
    bands = tuple(range(1, count + (inside is not None)))
    assert layer.bandCount() == len(bands) + 1 and snapshot.value_bands(layer) == bands
    taken = raster_snapshot(layer)
    assert taken.copy_reason == "" and taken.raster.ticked == bands
    assert len(taken.raster.band_names) == len(bands)


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_keeps_what_says_that_a_pixel_has_no_value(tmp_path: Path, form: str) -> None:
    layer = of_form(tmp_path / "a.tif", form)
    export = snapshot.raster_export(layer, tmp_path / "copies", "a test")
    export()
    copy = gdal.Open(str(export.path))
    last = copy.GetRasterBand(copy.RasterCount)
    assert copy.RasterCount == layer.bandCount() and last.GetColorInterpretation() == gdal.GCI_AlphaBand
    assert (last.ReadAsArray() == 0).sum() == 96
    assert copy.GetRasterBand(1).GetNoDataValue() == FORMS[form][4]
    assert [path.name for path in export.path.parent.iterdir() if ".part" in path.name] == []


def test_nodata_of_the_user_in_scaled_units_needs_a_copy(tmp_path: Path, values: np.ndarray) -> None:
    path = write_raster(tmp_path / "a.tif", values)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.GetRasterBand(1).SetScale(0.5)
    dataset = None
    layer = QgsRasterLayer(str(path), "scaled")
    assert snapshot.export_reason(layer) == ""
    for band in (1, 2):
        layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(3, 3)])
    assert snapshot.export_reason(layer)


def test_a_copy_keeps_a_crs_that_a_geotiff_cannot_hold(tmp_path: Path, values: np.ndarray) -> None:
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229"
    layer = QgsRasterLayer(str(write_raster(tmp_path / "a.tif", values)), "climate")
    layer.setCrs(QgsCoordinateReferenceSystem.fromProj(rotated))
    export = snapshot.raster_export(layer, tmp_path, "a test")
    export()
    assert QgsRasterLayer(str(export.path), "copy").crs() == layer.crs()
