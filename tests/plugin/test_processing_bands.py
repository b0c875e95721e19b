"""What the Toolbox adds to bands, labels and tiles: its texts and tables become the jobs that the panel makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsVectorLayer,
)
from toolbox import Feedback, checked, context, raster, record, run

from geoseg_plugin.contract import LabelClass
from geoseg_plugin.jobs.bandroles import LayerBands
from geoseg_plugin.jobs.inputs import RasterInput
from geoseg_plugin.layers.bandsources.series import months_of, statistic
from geoseg_plugin.processing.inputs.additions import settings_of
from geoseg_plugin.processing.inputs.expressions import expression_additions, given_roles, index_additions
from geoseg_plugin.processing.labeloptions import merged_classes
from geoseg_plugin.processing.parameters import with_names

OPTICAL = RasterInput("o.tif", "optical", ("B02", "B03", "B04", "B08"), (), layer_id="o")
DEM = RasterInput("d.tif", "height", ("",), (), layer_id="d")

pytestmark = pytest.mark.usefixtures("engine", "qgis_new_project")


@pytest.fixture
def roads() -> QgsVectorLayer:
    layer = QgsVectorLayer(
        "LineString?crs=EPSG:32632&field=kind:string(9)&field=width:double", "roads", "memory"
    )
    for kind in ("track", "street"):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([kind, 3.5])
        feature.setGeometry(QgsGeometry.fromWkt("LineString(600000 5099990, 600050 5099950)"))
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def stacked(provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs stackrasters without an engine and returns its job."""
    taken = record(monkeypatch)

    def job(**parameters: Any) -> Any:
        run(provider, "stackrasters", OUTPUT=str(tmp_path / "o.tif"), **parameters)
        made: Any = taken[-1].job
        assert made.problems() == []
        return made

    return job


def test_options_may_be_numbers(provider: Any) -> None:
    algorithm = provider.algorithm("stackrasters").create()
    for given in (0, "0", ["0"], [0]):
        named = with_names(algorithm, {"TERRAIN": given})["TERRAIN"]
        assert named in ("slope", ["slope"])
    assert with_names(algorithm, {"TERRAIN": "0,2"})["TERRAIN"] == ["slope", "aspect_cos"]
    assert with_names(algorithm, {"TERRAIN": "slope,aspect_sin"})["TERRAIN"] == ["slope", "aspect_sin"]
    assert with_names(algorithm, {"TERRAIN": "99"})["TERRAIN"] == ["99"]


def test_numbers_of_options_pass_the_check_and_reach_the_job(
    stacked: Any, provider: Any, tmp_path: Path
) -> None:
    dem = str(raster(tmp_path / "dem.tif", 1))
    assert checked(provider, "stackrasters", DEM=dem, TERRAIN="0", OUTPUT=str(tmp_path / "o.tif")) == ""
    assert checked(provider, "stackrasters", DEM=dem, TERRAIN="99", OUTPUT=str(tmp_path / "o.tif")) != ""
    assert [band.derive for band in stacked(DEM=dem, TERRAIN="0,6").bands] == ["slope", "total_curvature"]


def test_expressions_name_bands_as_the_raster_calculator_does() -> None:
    text = 'wet = ("optical@1" - "optical: B08") / 2\nboth = wet > 0 and where(height > 10, 1, 0)'
    first, second = expression_additions(text, [OPTICAL, DEM], [])
    assert first.bands[0].parameters["expression"] == "(b1 - b2) / 2"
    assert [(item.layer_id, item.index) for item in first.inputs] == [("o", 1), ("o", 4)]
    assert second.bands[0].parameters["expression"] == "b1 > 0 and where(b2 > 10, 1, 0)"
    assert [(item.name, item.layer_id) for item in second.inputs] == [("wet", ""), ("", "d")]
    with pytest.raises(ValueError, match="no band is called 'snow'"):
        expression_additions("a = snow + 1", [OPTICAL], [])
    with pytest.raises(ValueError, match="is not 'name = expression'"):
        expression_additions("optical@1 * 2", [OPTICAL], [])


def test_roles_follow_wavelength_or_name_unless_they_are_given() -> None:
    known = LayerBands("o", "optical", ("B2", "B3", "B4", "B8"), (None, None, 664.5, 842.0))
    additions, notes = index_additions(["NDVI"], "", 1.0, [OPTICAL, DEM], [known])
    assert [(item.variable, item.index) for item in additions[0].inputs] == [("red", 3), ("nir", 4)]
    assert "red = optical: B4 (by wavelength 664.5 nm)" in notes[0]
    additions, notes = index_additions(["NDVI"], "red = optical@1; nir=optical@2", 1.0, [OPTICAL], [known])
    assert [item.index for item in additions[0].inputs] == [1, 2] and notes == ()
    with pytest.raises(ValueError, match="'rot' is none of blue"):
        given_roles("rot=optical@1", [OPTICAL])


def test_an_index_whose_bands_nobody_can_know_asks_for_them() -> None:
    plain = LayerBands("o", "optical", ("B2", "B3", "B4", "B8"), (None,) * 4)
    with pytest.raises(ValueError, match="Name the band in ROLES"):
        index_additions(["NDVI"], "", 1.0, [OPTICAL], [plain])
    two = [LayerBands(title, title, ("red", "nir"), (None, None)) for title in ("2019", "2021")]
    with pytest.raises(ValueError, match="2019; 2021"):
        index_additions(["NDVI"], "", 1.0, [OPTICAL], two)


def test_statistics_months_and_settings() -> None:
    assert statistic("p12.5")[1:] == ("percentile", {"percent": 12.5})
    assert statistic("2019-07-01")[1:] == ("date", {"date": "2019-07-01"})
    assert statistic("Trend")[1] == "trend" and months_of("5-7, 11") == (5, 6, 7, 11)
    with pytest.raises(ValueError, match="'p120' is unknown"):
        statistic("p120")
    with pytest.raises(ValueError, match="'13'"):
        months_of("13")
    rows = ["a: *", "nearest", "", "robust", "1", "99", "a: 2", "", "0", "", "", ""]
    found = settings_of(rows, ["a: 1", "a: 2", "b"])
    assert found["a: 1"] == {"resampling": "nearest", "scaling": "robust", "clip_percent": (1, 99)}
    assert found["a: 2"]["fill"] == "0" and found["a: 2"]["scaling"] == "robust" and "b" not in found
    for wrong, part in ((["c", *[""] * 5], "'c'"), (["b", "soft", *[""] * 4], "'soft'")):
        with pytest.raises(ValueError, match=part):
            settings_of(wrong, ["b"])


def test_indices_and_expressions_of_bands_that_are_not_stacked(stacked: Any, tmp_path: Path) -> None:
    optical, dem = str(raster(tmp_path / "optical.tif", 4)), str(raster(tmp_path / "dem.tif", 1))
    job = stacked(
        LAYERS=[optical],
        BANDS="optical:none",
        DEM=dem,
        TERRAIN=["tpi", "hillshade"],
        RADIUS=250,
        HEIGHT_UNIT="US survey foot",
        AZIMUTH=300,
        INDICES=["NDVI"],
        ROLES="red=optical@3; nir=optical@4",
        EXPRESSIONS='double = 2 * "NDVI"',
        FILL="median",
        BAND_SETTINGS=["NDVI", "", "0", "none", "", ""],
    )
    assert [band.name for band in job.bands] == ["dem: tpi", "dem: hillshade", "NDVI", "double"]
    assert [dict(band.parameters) for band in job.bands[:2]] == [{"radius_m": 250}, {"azimuth": 300}]
    assert {source.name: source.height_unit for source in job.sources} == {
        "optical": "",
        "dem": "US survey foot",
    }
    assert sorted(band.index for band in job.intermediates) == [3, 4]
    assert job.bands[3].inputs == {"b1": "NDVI"}
    assert [band.fill for band in job.bands] == ["median", "median", "0", "median"]


def test_radar_series_and_vectors(stacked: Any, tmp_path: Path, roads: QgsVectorLayer) -> None:
    radar = str(raster(tmp_path / "s1.tif", 2))
    job = stacked(
        SAR=[radar],
        SPECKLE_SIZE=5,
        SERIES=["/data/series.nc"],
        SERIES_VARIABLES="NDVI",
        STATISTICS="median,p90",
        DATE_FROM="2016-01-01",
        MONTHS="5-9",
        CLOUD_MASK="CLM",
        VECTORS=[roads],
        VECTOR_BANDS="roads:onehot kind; roads:distance 200; roads:burn width",
    )
    names = [band.name for band in job.bands]
    assert names[:4] == ["s1: band 1 dB", "s1: band 2 dB", "NDVI median", "NDVI p90"]
    assert names[4:] == ["roads: street", "roads: track", "roads: distance", "roads: width"]
    assert job.bands[0].parameters == {"lee_px": 5} and job.bands[0].derive == "decibel"
    by_kind = {source.kind: source for source in job.sources}
    series = by_kind["series"].series
    assert (series.variables, series.start, series.months, series.mask) == (
        ("NDVI",),
        "2016-01-01",
        (5, 6, 7, 8, 9),
        "CLM",
    )
    written = QgsVectorLayer(f"{by_kind['vector'].path}|layername={by_kind['vector'].layer}", "w", "ogr")
    assert written.featureCount() == 2
    assert Path(by_kind["vector"].path).parent == tmp_path / "o_copies"


def test_tiles_side_by_side_are_one_source(stacked: Any, tmp_path: Path) -> None:
    west, same = raster(tmp_path / "west.tif"), raster(tmp_path / "same.tif")
    east = raster(tmp_path / "east.tif")
    opened = gdal.Open(str(east), gdal.GA_Update)
    opened.SetGeoTransform((600080, 10, 0, 5100000, 0, -10))
    opened = None
    layers = [str(west), str(same), str(east)]
    job = stacked(LAYERS=layers, MOSAIC=True, EXPRESSIONS='e = "east@2" + 1')
    assert [(source.name, source.paths) for source in job.sources] == [("west", (str(east),)), ("same", ())]
    assert len(job.bands) == 5 and job.bands[-1].inputs == {"b1": "west: band 2"}
    assert len(stacked(LAYERS=layers).sources) == 3


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"EXPRESSIONS": "x = y"}, "'y'"),
        ({"INDICES": ["NDVI"]}, "no band is red"),
        ({"FILL": "mean"}, "'mean'"),
        ({"STATISTICS": "mode", "SERIES": ["a.nc"]}, "'mode' is unknown"),
        ({"BANDS": "a:none"}, "No band"),
    ],
)
def test_what_cannot_be_is_said_before_the_start(
    provider: Any,
    tmp_path: Path,
    parameters: dict[str, Any],
    part: str,
) -> None:
    path = str(raster(tmp_path / "a.tif"))
    assert part in checked(
        provider, "stackrasters", LAYERS=[path], OUTPUT=str(tmp_path / "o.tif"), **parameters
    )


def test_label_options_reach_the_job(
    provider: Any,
    tmp_path: Path,
    slides: QgsVectorLayer,
    roads: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch)
    more = slides.clone()
    more.setName("scarps")
    QgsProject.instance().addMapLayer(more)
    run(
        provider,
        "rasterizelabels",
        STACK=str(raster(tmp_path / "stack.tif")),
        LABELS=slides,
        CLASS_FIELD="kind",
        MORE_LABELS=[more],
        MERGE="soil=rock",
        EXCLUDED="mud",
        BORDER=2,
        ALL_TOUCHED=True,
        MIN_AREA=4,
        OUTPUT=str(tmp_path / "labels.tif"),
    )
    labels = taken[0].job.labels  # type: ignore[attr-defined]
    assert [(item.name, item.also) for item in labels.classes] == [("rock", ("soil",))]
    assert (labels.excluded, labels.border_px, labels.all_touched, labels.min_area_px) == (
        ("mud",),
        2,
        True,
        4,
    )
    assert [(item.name, item.class_field) for item in labels.more] == [("scarps", "kind")]
    for path in (labels.path, labels.more[0].path):
        assert QgsVectorLayer(f"{path}|layername=polygons", "w", "ogr").featureCount() == 2


def test_a_label_raster_instead_of_polygons(
    provider: Any,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch)
    stack, cover = str(raster(tmp_path / "stack.tif")), str(raster(tmp_path / "cover.tif", 1))
    fixed = {"STACK": stack, "OUTPUT": str(tmp_path / "l.tif")}
    run(provider, "rasterizelabels", LABEL_RASTER=cover, AREA="rasters", **fixed)
    labels = taken[0].job.labels  # type: ignore[attr-defined]
    assert (labels.kind, labels.path) == ("raster", cover)
    assert "none are given" in checked(provider, "rasterizelabels", **fixed)
    assert "both are given" in checked(
        provider, "rasterizelabels", LABELS=slides, LABEL_RASTER=cover, **fixed
    )


def test_merging_moves_values_and_keeps_the_order() -> None:
    classes = tuple(LabelClass(number, name, name) for number, name in enumerate(("oak", "road", "beech")))
    merged = merged_classes(classes, [("oak", "forest"), ("beech", "forest"), ("lake", "road")])
    assert [(item.id, item.name, item.value, item.also) for item in merged] == [
        (0, "forest", "oak", ("beech",)),
        (1, "road", "road", ()),
    ]


def test_tile_options_and_areas_of_splits(
    provider: Any,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixed = {"STACK": str(raster(tmp_path / "stack.tif")), "LABELS": slides, "OUTPUT": str(tmp_path / "d")}
    said = checked(provider, "maketiles", **fixed, TRAIN_AREA=slides)
    assert "VALIDATION_AREA, TEST_AREA is missing" in said
    taken = record(monkeypatch)
    monkeypatch.setattr("geoseg_plugin.processing.algorithms.maketiles.read_dataset", lambda folder: None)
    monkeypatch.setattr("geoseg_plugin.processing.algorithms.maketiles.tiles_notes", lambda folder, found: {})
    areas = {"TRAIN_AREA": slides, "VALIDATION_AREA": slides, "TEST_AREA": slides}
    run(provider, "maketiles", **fixed, **areas, MIN_LABELLED=0.5, EMPTY_SHARE=0.25, FOLDS=4)
    job: Any = taken[-1].job
    assert (job.min_labelled_share, job.empty_share, job.folds) == (0.5, 0.25, 4)
    assert [Path(area.path).name for area in job.split_areas] == [
        "area_train.gpkg",
        "area_validation.gpkg",
        "area_test.gpkg",
    ]
    assert all(Path(area.path).exists() for area in job.split_areas)


def test_chips_need_a_dataset_and_an_empty_folder(
    provider: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = checked(provider, "exportchips", DATASET=str(tmp_path), OUTPUT=str(tmp_path))
    assert "no dataset" in said
    (tmp_path / "dataset.json").write_text("{}", encoding="utf-8")
    assert "not empty" in checked(provider, "exportchips", DATASET=str(tmp_path), OUTPUT=str(tmp_path))
    taken = record(monkeypatch, {"count": 7})
    settings = {"DATASET": str(tmp_path), "LAYOUT": "arcgis", "SPLITS": ["train"]}
    found = run(provider, "exportchips", **settings, OUTPUT=str(tmp_path / "chips"))
    job: Any = taken[0].job
    assert found["COUNT"] == 7 and (job.layout, job.splits, job.problems()) == ("arcgis", ("train",), [])


def test_findings_and_report_of_a_check(
    provider: Any,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(
        monkeypatch, {"problems": [{"message": "Too small.", "hint": "Draw.", "severity": "error"}]}
    )
    found = run(
        provider,
        "checklabels",
        LAYERS=[str(raster(tmp_path / "a.tif"))],
        LABELS=slides,
        OUTPUT=str(tmp_path / "findings.gpkg"),
        REPORT=str(tmp_path / "report.html"),
    )
    assert taken[0].job.findings == str(tmp_path / "findings.gpkg")  # type: ignore[attr-defined]
    assert found["PROBLEMS"] == 1 and "Too small." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_findings_of_two_kinds_come_as_two_styled_layers(
    provider: Any, tmp_path: Path, slides: QgsVectorLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "findings.gpkg"
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("findings", None, ogr.wkbUnknown)
    layer.CreateField(ogr.FieldDefn("code", ogr.OFTString))
    for code, wkt in (("empty", "POINT (1 1)"), ("overlap", "POLYGON ((0 0, 1 0, 1 1, 0 0))")):
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("code", code)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    feature = layer = source = None
    record(monkeypatch, {"problems": []})
    used = context()
    parameters = {
        "LAYERS": [str(raster(tmp_path / "a.tif"))],
        "LABELS": slides,
        "OUTPUT": QgsProcessingOutputLayerDefinition(str(path), QgsProject.instance()),
    }
    results, fine = provider.algorithm("checklabels").create().run(parameters, used, Feedback(), {}, False)
    assert fine and results["OUTPUT"] == str(path)
    loaded = used.layersToLoadOnCompletion()
    assert sorted(item.name for item in loaded.values()) == ["Findings", "Findings, places"]
    for layer_id in loaded:
        shown = used.temporaryLayerStore().mapLayer(layer_id)
        assert shown.featureCount() == 1 and len(shown.renderer().categories()) == 1


def in_degrees(path: Path) -> str:
    """A raster of about ten metres in degrees."""
    opened = gdal.Open(str(raster(path, 1)), gdal.GA_Update)
    opened.SetGeoTransform((10.3, 0.0001, 0, 46.0, 0, -0.0001))
    opened.SetProjection(QgsVectorLayer("Point?crs=EPSG:4326", "", "memory").crs().toWkt())
    opened = None
    return str(path)


def test_the_grid_is_that_of_the_panel_or_of_a_reference(provider: Any, stacked: Any, tmp_path: Path) -> None:
    dem, optical = in_degrees(tmp_path / "dem.tif"), str(raster(tmp_path / "optical.tif"))
    job = stacked(LAYERS=[dem, optical])
    assert next(item.name for item in job.sources if item.key == job.grid.reference) == "optical"
    job = stacked(LAYERS=[dem, optical], REFERENCE=dem)
    assert next(item.name for item in job.sources if item.key == job.grid.reference) == "dem"
    assert stacked(LAYERS=[dem], DEM=optical, TERRAIN=["slope"]).grid.reference == "r2"
    given = {"LAYERS": [dem], "REFERENCE": optical, "OUTPUT": str(tmp_path / "o.tif")}
    assert "REFERENCE is 'optical', but the layers are: dem." in checked(provider, "stackrasters", **given)
    east = str(raster(tmp_path / "east.tif"))
    opened = gdal.Open(east, gdal.GA_Update)
    opened.SetGeoTransform((600080, 10, 0, 5100000, 0, -10))
    opened = None
    job = stacked(LAYERS=[dem, optical, east], MOSAIC=True, REFERENCE=east)
    assert (job.grid.reference, job.sources[1].paths) == ("r2", (east,)), "a tile means its mosaic"


def test_labels_have_a_say_in_the_grid(
    provider: Any, tmp_path: Path, slides: QgsVectorLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = gdal.Open(str(raster(tmp_path / "fine.tif", 1)), gdal.GA_Update)
    other.SetGeoTransform((300000, 5, 0, 5100000, 0, -5))
    other.SetProjection(QgsVectorLayer("Point?crs=EPSG:32633", "", "memory").crs().toWkt())
    other = None
    layers = [str(tmp_path / "fine.tif"), str(raster(tmp_path / "same_zone.tif", 1))]
    taken = record(monkeypatch, {"problems": []})
    run(provider, "checklabels", LAYERS=layers, LABELS=slides, CLASS_FIELD="kind")
    assert taken[0].job.grid.reference == "r2", "it has the labels' CRS"
    run(provider, "stackrasters", LAYERS=layers, OUTPUT=str(tmp_path / "o.tif"))
    assert taken[1].job.grid.reference == "r1", "without labels the finest"
    run(provider, "stackrasters", LAYERS=layers, MASK=slides, OUTPUT=str(tmp_path / "o.tif"))
    assert taken[2].job.grid.reference == "r2", "polygons to cover count like labels"
