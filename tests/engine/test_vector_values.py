"""Values of fields become classes as they are written: words stay words, whole numbers of any size stay apart."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import shapely
from data_scenes import UTM, channel, hills, pixel_box, sources_of, utm_grid, write_polygons, write_raster

from geoseg_engine.bands.sources.vector_bands import VectorBands
from geoseg_engine.contract import (
    Area,
    Band,
    GeoSegError,
    InspectJob,
    LabelClass,
    LabelLayer,
    Labels,
    RasterizeJob,
    Source,
    StackJob,
    TileJob,
)
from geoseg_engine.dataset.labels import rasterize
from geoseg_engine.dataset.split.folds import fold_numbers
from geoseg_engine.dataset.split.plan import named_shapes
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking import inspect, stack
from geoseg_engine.vector.class_raster import read_raster_classes
from geoseg_engine.vector.legend import EXCLUDED, UNKNOWN_CLASS, is_null, number_of, value_text
from geoseg_engine.vector.polygons import LabelPolygons, read_labels

GRID = utm_grid(64, 64)
WIDE = 2**53


def squares(count: int) -> list[shapely.Geometry]:
    return [pixel_box(2 + 12 * (place // 5), 2 + 12 * (place % 5), 10, 10) for place in range(count)]


def read(path: Path, values: list[object], **settings: object) -> LabelPolygons:
    """Labels of polygons with these values in the field `kind`."""
    write_polygons(path, squares(len(values)), kind=values)
    return read_labels(
        Labels(str(path), class_field="kind", **{"unlabelled": "background", **settings}), GRID
    )


def names(found: LabelPolygons) -> list[str]:
    return [item.name for item in found.classes if item.name != "background"]


CODES = [
    "20",
    "2E1",
    "1_1",
    "11",
    "1e5",
    "100000",
    "inf",
    "nan",
    "0x10",
    "16",
    "007",
    "7",
    "1.0",
    "1",
    "01",
    "1,5",
]


def test_codes_that_look_like_numbers_are_words(tmp_path):
    found = read(tmp_path / "l.gpkg", CODES)
    assert sorted(names(found)) == sorted(CODES) and len(set(found.ids.tolist())) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_leaving_out_a_code_leaves_its_likes(tmp_path, code):
    found = read(tmp_path / "l.gpkg", CODES, excluded=(code,))
    assert sorted(names(found)) == sorted(set(CODES) - {code})
    assert [CODES[place] for place in np.flatnonzero(found.ids == EXCLUDED)] == [code]
    assert not found.problems


def test_a_legend_of_codes_takes_no_likes(tmp_path):
    legend = (LabelClass(0, "twenty", "20"), LabelClass(1, "seven", "7"))
    found = read(tmp_path / "l.gpkg", ["20", "2E1", "7", "007"], classes=legend)
    assert found.ids.tolist() == [1, UNKNOWN_CLASS, 2, UNKNOWN_CLASS]
    assert [item.code for item in found.problems] == ["not_in_legend"]


@pytest.mark.parametrize(
    ("values", "excluded", "left"),
    [
        ([1, 2, 3], "1.0", ["2", "3"]),
        ([1, 2, 3], "01", ["2", "3"]),
        ([0.5, 1.0, 1e5], "1e5", ["0.5", "1"]),
        ([1.5, 2.0], "2", ["1.5"]),
        ([11, 2], "1_1", ["2", "11"]),
        ([WIDE, WIDE + 1], str(WIDE + 1), [str(WIDE)]),
    ],
)
def test_numbers_are_compared_as_numbers(tmp_path, values, excluded, left):
    found = read(tmp_path / "l.gpkg", values, excluded=(excluded,))
    assert names(found) == left


def test_what_was_to_be_left_out_and_is_not_there_is_said(tmp_path):
    found = read(tmp_path / "l.gpkg", ["2E1", "a"], excluded=("20", "A"))
    assert names(found) == ["2E1"]
    (problem,) = found.problems
    assert problem.code == "nothing_excluded" and "'20'" in problem.message


def test_words_of_one_layer_do_not_become_numbers_of_another(tmp_path):
    write_polygons(tmp_path / "more.gpkg", squares(3), kind=["01", "1", "2"])
    more = (LabelLayer(str(tmp_path / "more.gpkg"), class_field="kind"),)
    found = read(tmp_path / "l.gpkg", [1, 2, 3], more=more)
    assert names(found) == ["1", "2", "3", "01"] and found.ids.tolist() == [1, 2, 3, 4, 1, 2]


def test_names_written_in_two_ways_of_unicode_are_one(tmp_path):
    legend = (LabelClass(0, "Wiese", "Fl\u00e4che"), LabelClass(1, "Wald", "Wald"))
    found = read(tmp_path / "l.gpkg", ["Fla\u0308che", "Wald"], classes=legend)
    assert found.ids.tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb"])
def test_long_ids_beside_a_null_stay_apart(tmp_path, kind):
    values = pandas.array([WIDE + 1, WIDE, None, -WIDE - 1, -WIDE], dtype="Int64")
    found = read(tmp_path / f"l.{kind}", values)
    assert names(found) == [str(-WIDE - 1), str(-WIDE), str(WIDE), str(WIDE + 1)]
    assert [item.code for item in found.problems] == ["null_class"]


def test_short_numbers_and_truth_values_beside_a_null_keep_their_names(tmp_path):
    assert names(read(tmp_path / "a.gpkg", pandas.array([7, None, 12], dtype="Int64"))) == ["7", "12"]
    assert names(read(tmp_path / "b.gpkg", pandas.array([True, None, False], dtype="boolean"))) == [
        "false",
        "true",
    ]
    assert names(read(tmp_path / "c.gpkg", [0.5, None, 2.0])) == ["0.5", "2"]


def geojson(path: Path, values: list[str]) -> Path:
    """Polygons whose field `kind` has these values, as JSON."""
    crs = '"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}'
    shapes = [json.dumps(shapely.geometry.mapping(shape)) for shape in squares(len(values))]
    features = ", ".join(
        f'{{"type": "Feature", "properties": {{"kind": {value}}}, "geometry": {shape}}}'
        for value, shape in zip(values, shapes, strict=True)
    )
    path.write_text(f'{{"type": "FeatureCollection", {crs}, "features": [{features}]}}', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        (['["building"]', '["road"]'], ["building", "road"], []),
        (['["a", "b"]', '["a"]', "[]", "null"], ["a", "a, b"], ["null_class"]),
        (["[1, 2]", "[3]"], ["3", "1, 2"], []),
        (['{"b": 1, "a": 2}', '{"a": 2, "b": 1}'], ['{"a": 2, "b": 1}'], []),
        (['"1"', "1.5", '"01"', "true"], ["01", "1", "1.5", "true"], []),
        (["18446744073709551615", "18446744073709551614"], ["18446744073709551616"], ["wide_numbers"]),
        (['"2020-01-01"', '"9999-12-31"'], ["2020-01-01", "9999-12-31"], []),
        (['"2020-01-01T00:00:00+01:00"', '"2020-01-01T00:00:00"'], None, []),
    ],
)
def test_lists_objects_and_dates_are_classes(tmp_path, values, classes, codes):
    path = geojson(tmp_path / "l.geojson", values)
    found = read_labels(Labels(str(path), class_field="kind", unlabelled="background"), GRID)
    assert len(names(found)) == 2 if classes is None else names(found) == classes
    assert [item.code for item in found.problems] == codes


def test_binary_data_is_no_class_and_stands_in_no_ones_way(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", squares(2), kind=["a", "b"])
    with sqlite3.connect(path) as base:
        base.execute("alter table l add column data blob")
    with pytest.raises(GeoSegError) as caught:
        read_labels(Labels(str(path), class_field="data"), GRID)
    assert caught.value.code == "not_values"
    assert names(read_labels(Labels(str(path), class_field="kind", unlabelled="background"), GRID)) == [
        "a",
        "b",
    ]


def in_another_encoding(path: Path) -> Path:
    """Three texts in a GeoPackage of which one is no UTF-8."""
    write_polygons(path, squares(3), kind=["a", "b", "Straße"], note=["x", "y", "z"])
    with sqlite3.connect(path) as base:
        for (name,) in base.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            base.execute(f'drop trigger "{name}"')
        base.execute("update l set kind = cast(? as text) where fid = 1", ("Straße".encode("cp1252"),))
        base.execute("update l set note = cast(? as text) where fid = 2", (b"\xff\xfe",))
    return path


def test_a_text_that_is_no_utf8_costs_neither_layer_nor_feature(tmp_path):
    path = in_another_encoding(tmp_path / "l.gpkg")
    found = read_labels(Labels(str(path), class_field="kind", unlabelled="background"), GRID)
    assert names(found) == ["Straße", "b"] and found.ids.tolist() == [1, 2, 1]
    assert [item.code for item in found.problems] == ["bad_encoding"]
    assert not read_labels(Labels(str(path)), GRID).problems


@pytest.mark.parametrize(
    ("stated", "written"), [("cp1252", "cp1252"), ("", "utf-8"), ("", "cp1252"), ("utf-8", "utf-8")]
)
def test_shapefiles_are_read_as_they_state_or_as_their_texts_are(tmp_path, stated, written):
    frame = geopandas.GeoDataFrame({"kind": ["Straße", "Fläche"]}, geometry=squares(2), crs=UTM)
    frame.to_file(tmp_path / "l.shp", encoding=written)
    if not stated:
        (tmp_path / "l.cpg").unlink()
    assert names(
        read_labels(Labels(str(tmp_path / "l.shp"), class_field="kind", unlabelled="background"), GRID)
    ) == [
        "Fläche",
        "Straße",
    ]


def test_inspecting_lists_values_as_classes_are_called(tmp_path):
    path = write_polygons(
        tmp_path / "l.gpkg",
        squares(3),
        id=pandas.array([10, None, 9], dtype="Int64"),
        code=["2E1", "20", None],
    )
    (layer,) = inspect.run(InspectJob(str(path)), tmp_path, channel(tmp_path))["layers"]
    assert [(item["name"], item["type"], item["values"]) for item in layer["fields"]] == [
        ("id", "integer", ["9", "10"]),
        ("code", "text", ["20", "2E1"]),
    ]


def test_folds_and_splits_are_numbers_and_words(tmp_path):
    path = write_polygons(
        tmp_path / "area.gpkg", squares(4), fold=["1", "2", "3", "1_1"], split=["train", "test", "val", None]
    )
    job = TileJob("s", "l", folds=3, area=Area("polygons", str(path), split_field="fold"))
    found = fold_numbers(job, GRID)
    assert found is not None and [fold for _, fold in found][:3] == [0, 1, 2] and found[3][1] not in (0, 1, 2)
    shapes, problems, _ = named_shapes(
        TileJob("s", "l", area=Area("polygons", str(path), split_field="split")), GRID
    )
    assert len(shapes) == 4 and [item.code for item in problems] == ["unknown_split"]


def burnt(path: Path, band: Band) -> tuple[np.ndarray, list[str]]:
    bands = VectorBands(Source("v", str(path), "v", kind="vector"), (band,), GRID)
    return bands.read(full_window(GRID))[0], [item.code for item in bands.problems]


def test_a_band_of_a_category_keeps_words_apart(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", squares(2), soil=["20", "2E1"])
    found, codes = burnt(path, Band("b", "v", derive="onehot", parameters={"field": "soil", "value": "2E1"}))
    assert found.sum() == 100 and found[5, 15] == 1 and not codes
    path = write_polygons(tmp_path / "n.gpkg", squares(2), soil=[20.0, 21.0])
    found, _ = burnt(path, Band("b", "v", derive="onehot", parameters={"field": "soil", "value": "20"}))
    assert found.sum() == 100


def test_a_burnt_number_leaves_words_out_and_says_so(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", squares(4), depth=["1.5", "2,5", "0x10", "3e1"])
    found, codes = burnt(path, Band("b", "v", derive="burn", parameters={"field": "depth"}))
    assert np.unique(found[np.isfinite(found)]).tolist() == [1.5, 30] and codes == ["no_number"]


def test_a_stack_says_what_its_vector_bands_left_out(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [*squares(1), shapely.Polygon()], depth=[1.5, 2.0])
    sources = (
        *sources_of(write_raster(tmp_path / "a.tif", hills(64, 64))),
        Source("v", str(path), "v", kind="vector"),
    )
    bands = (Band("a", "r1"), Band("d", "v", derive="burn", parameters={"field": "depth", "outside": 0.0}))
    result = stack.run(StackJob(sources, bands, output="s.recipe.json"), tmp_path, channel(tmp_path))
    assert [item["code"] for item in result["warnings"]] == ["no_geometry"]


def test_collections_are_burnt_as_their_polygons_and_touched_by_their_lines(tmp_path):
    overlapping = shapely.GeometryCollection([pixel_box(5, 5, 10, 10), pixel_box(10, 10, 10, 10)])
    line = shapely.LineString([(600_005, 5_199_995), (600_045, 5_199_995)])
    path = write_polygons(
        tmp_path / "l.gpkg", [overlapping, shapely.GeometryCollection([line])], depth=[1.0, 2.0]
    )
    found, _ = burnt(path, Band("b", "v", derive="burn", parameters={"field": "depth"}))
    assert (found == 1).sum() == 175 and (found == 2).sum() == 5


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_class_rasters_keep_long_ids_apart(tmp_path, dtype):
    ids = np.full((64, 64), WIDE, dtype)
    ids[:, 32:] = WIDE + 1
    path = write_raster(tmp_path / "ids.tif", ids)
    source = Source("l", str(path), "ids")
    assert [item.value for item in read_raster_classes(source, GRID).known] == [str(WIDE), str(WIDE + 1)]
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(64, 64)))
    stack.run(StackJob(sources, (Band("a", "r1"),), output="s.recipe.json"), tmp_path, channel(tmp_path))
    job = RasterizeJob(
        "s.recipe.json", Labels(str(path), kind="raster", unlabelled="unknown"), output="l.tif"
    )
    assert rasterize.run(job, tmp_path, channel(tmp_path))["counts"] == {"0": 2048, "1": 2048}


def test_nulls_texts_and_numbers_of_values():
    assert all(map(is_null, (None, float("nan"), np.float64("nan"), "", "  ", [], [None, " "])))
    assert not any(map(is_null, (0, False, "nan", "None", [0], {})))
    assert [value_text(item) for item in (1.0, np.int64(WIDE + 1), True, " a ", ["x", None, 2.0], {"ü": 1})] == [
        "1", str(WIDE + 1), "true", "a", "x, 2", '{"ü": 1}',
    ]  # fmt: skip
    assert [number_of(item) for item in ("1.5", " 2 ", "-3e2", 7, 2.5)] == [1.5, 2, -300, 7, 2.5]
    assert all(np.isnan(number_of(item)) for item in ("1,5", "0x10", "1_1", "inf", "nan", "", None, [1]))
