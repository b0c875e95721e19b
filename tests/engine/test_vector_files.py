"""Vector files of every kind: the layer that is meant is read, what cannot be read of one feature costs only that."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import tarfile
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from data_scenes import UTM, pixel_box, utm_grid, write_polygons

from geoseg_engine.contract import Area, GeoSegError, Labels, split_address
from geoseg_engine.raster.grid import full_window
from geoseg_engine.vector.area import area_geometry
from geoseg_engine.vector.features import read_features, read_polygons
from geoseg_engine.vector.files import find_layer, layer_names
from geoseg_engine.vector.polygons import read_labels
from geoseg_engine.vector.scan_fill import ScanFill
from geoseg_engine.vector.wkb import chords, salvaged

GRID = utm_grid(64, 64)
A, B = pixel_box(5, 5, 10, 10), pixel_box(30, 30, 10, 10)


def pixels(labels: Labels) -> dict[str, int]:
    """Pixels of each class as its polygons hold them."""
    found = read_labels(labels, GRID)
    names = {item.id: item.name for item in found.classes if item.name != "background"}
    return {
        name: int(ScanFill(found.geometries[found.ids == number], GRID).mask(full_window(GRID)).sum())
        for number, name in names.items()
    }


def refusal(labels: Labels) -> GeoSegError:
    with pytest.raises(GeoSegError) as caught:
        read_labels(labels, GRID)
    assert caught.value.hint and len(caught.value.message) < 260
    return caught.value


def write_layers(path: Path, **options: str) -> Path:
    """Layers `one` (class a) and `two` (class b)."""
    for name, kind, shape in (("one", "a", A), ("two", "b", B)):
        frame = geopandas.GeoDataFrame({"kind": [kind]}, geometry=[shape], crs=UTM)
        frame.to_file(path, layer=name, mode="a" if path.exists() else "w", **options)
    return path


def write_shapes(folder: Path) -> Path:
    """A folder with one.shp and two.shp."""
    folder.mkdir()
    for name, kind, shape in (("one", "a", A), ("two", "b", B)):
        write_polygons(folder / f"{name}.shp", [shape], kind=[kind])
    return folder


def kml(path: Path) -> Path:
    """Folders `one` and `two`, a polygon each."""
    degrees = geopandas.GeoSeries([A, B], crs=UTM).to_crs(4326)
    folders = "".join(
        f"<Folder><name>{name}</name><Placemark><name>{kind}</name><Polygon><outerBoundaryIs><LinearRing>"
        f"<coordinates>{' '.join(f'{x:.9f},{y:.9f}' for x, y in shape.exterior.coords)}</coordinates></LinearRing>"
        "</outerBoundaryIs></Polygon></Placemark></Folder>"
        for name, kind, shape in zip(("one", "two"), "ab", degrees, strict=True)
    )
    head = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    path.write_text(f"{head}{folders}</Document></kml>", encoding="utf-8")
    return path


def zipped(folder: Path, path: Path, inside: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(folder.iterdir()):
            archive.write(item, f"{inside}{item.name}")
    return path


def containers(folder: Path) -> dict[str, Path]:
    shapes = write_shapes(folder / "shapes")
    tar = folder / "shapes.tar.gz"
    with tarfile.open(tar, "w:gz") as archive:
        archive.add(shapes, "inside")
    return {
        "geopackage": write_layers(folder / "layers.gpkg"),
        "file geodatabase": write_layers(folder / "layers.gdb", driver="OpenFileGDB"),
        "spatialite": write_layers(folder / "layers.sqlite", driver="SQLite"),
        "folder": shapes,
        "zip": zipped(shapes, folder / "top.zip", ""),
        "zip with a folder": zipped(shapes, folder / "deep.zip", "a/b/"),
        "tar": tar,
        "kml": kml(folder / "folders.kml"),
    }


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return containers(tmp_path_factory.mktemp("containers"))


KINDS = ("geopackage", "file geodatabase", "spatialite", "folder", "zip", "zip with a folder", "tar", "kml")


@pytest.mark.parametrize("kind", KINDS)
def test_several_layers_are_never_read_as_the_first(several, kind):
    error = refusal(Labels(str(several[kind])))
    assert error.code == "several_layers" and "'one', 'two'" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_the_layer_that_is_named_is_read(several, kind):
    field = "Name" if kind == "kml" else "kind"
    path = str(several[kind])
    assert pixels(Labels(path, "two", class_field=field)) == {"b": 100}
    assert pixels(Labels(f"{path}|layername=one", class_field=field)) == {"a": 100}
    assert refusal(Labels(path, "three")).code == "no_layer"
    assert sorted(layer_names(path, "l")) == ["one", "two"]


def test_shapefiles_of_one_name_in_a_zip_are_told_apart_by_their_folders(tmp_path):
    shapes = write_shapes(tmp_path / "shapes")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for item in shapes.glob("one.*"):
            archive.write(item, f"2019/{item.name}")
        for item in shapes.glob("two.*"):
            archive.write(item, f"2020/one{item.suffix}")
    error = refusal(Labels(str(tmp_path / "twice.zip")))
    assert error.code == "several_layers" and "'2019/one.shp', '2020/one.shp'" in error.message
    assert pixels(Labels(str(tmp_path / "twice.zip"), "2020/one.shp", class_field="kind")) == {"b": 100}


def test_a_shapefile_in_a_folder_of_a_zip_is_read(tmp_path):
    write_polygons(tmp_path / "l.shp", [A, B], kind=["a", "b"])
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        for item in tmp_path.glob("l.???"):
            if item.suffix != ".zip":
                archive.write(item, f"inside/{item.name}")
        archive.writestr("readme.json", '{"not": "features"}')
    assert pixels(Labels(str(tmp_path / "l.zip"), class_field="kind")) == {"a": 100, "b": 100}


def test_empty_layers_tables_and_points_stand_in_nobodys_way(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [A], kind=["a"])
    nothing = geopandas.GeoDataFrame({"kind": []}, geometry=[], crs=UTM)
    nothing.to_file(path, layer="empty", mode="a", geometry_type="Polygon", engine="pyogrio")
    points = geopandas.GeoDataFrame({"kind": ["p"]}, geometry=[shapely.Point(1, 1)], crs=UTM)
    points.to_file(path, layer="points", mode="a")
    assert pixels(Labels(str(path), class_field="kind")) == {"a": 100}


def test_a_vector_band_of_a_file_with_several_layers_asks_which(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [A], kind=["a"])
    points = geopandas.GeoDataFrame({"kind": ["p"]}, geometry=[shapely.Point(600_010, 5_199_990)], crs=UTM)
    points.to_file(path, layer="points", mode="a")
    with pytest.raises(GeoSegError) as caught:
        read_features(str(path), "", "l", GRID)
    assert caught.value.code == "several_layers"
    assert len(read_features(str(path), "points", "l", GRID)) == 1


def test_what_qgis_writes_behind_a_file_is_understood(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [A, B], kind=["a", "b"])
    source = f"{path}|layername=l|geometrytype=Polygon|subset=\"kind\" = 'b'"
    assert pixels(Labels(source, class_field="kind")) == {"b": 100}
    assert pixels(Labels(f"{path}|subset=SELECT * FROM l WHERE kind = 'a'", class_field="kind")) == {"a": 100}
    assert refusal(Labels(f"{path}|layername=l|subset=no sql (")).code == "cannot_open"


@pytest.mark.parametrize(
    ("source", "file", "settings"),
    [
        ("a.gpkg|layername=b|layerid=2", "a.gpkg", {"layername": "b", "layerid": "2"}),
        ("a.gpkg|Subset=x = 'p|q'", "a.gpkg", {"subset": "x = 'p|q'"}),
        ("pipe|x/a.gpkg|layername=b", "pipe|x/a.gpkg", {"layername": "b"}),
        ("pipe|x/a.gpkg", "pipe|x/a.gpkg", {}),
        ("", "", {}),
    ],
)
def test_settings_are_told_from_bars_in_names(source, file, settings):
    assert split_address(source) == (file, settings)


def test_a_file_whose_name_looks_like_settings_is_a_file(tmp_path):
    path = tmp_path / "a|layername=b.gpkg"
    shutil.move(write_polygons(tmp_path / "l.gpkg", [A], kind=["a"]), path)
    assert split_address(str(path)) == (str(path), {})
    assert pixels(Labels(str(path), class_field="kind")) == {"a": 100}


def blob(*rings: list[tuple[float, float]], kind: int = 3) -> bytes:
    """A polygon as it lies in a GeoPackage, whatever its rings are."""
    points = (
        struct.pack("<I", len(ring)) + b"".join(struct.pack("<dd", *point) for point in ring)
        for ring in rings
    )
    return struct.pack("<BII", 1, kind, len(rings)) + b"".join(points)


def written(path: Path, bad: bytes | None) -> Path:
    """Two polygons of classes a and b, the second with this well-known binary."""
    write_polygons(path, [A, B], kind=["a", "b"])
    header = b"GP" + bytes([0, 1]) + struct.pack("<i", 32632)
    with sqlite3.connect(path) as base:
        for (name,) in base.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            base.execute(f'drop trigger "{name}"')
        base.execute("update l set geom = ? where fid = 2", (None if bad is None else header + bad,))
    return path


SQUARE = list(B.exterior.coords)
NAN, INF = float("nan"), float("inf")
BROKEN = {
    "ring of two points": blob([SQUARE[0], SQUARE[0]]),
    "ring of two corners": blob([SQUARE[0], SQUARE[1], SQUARE[0]]),
    "no number": blob([SQUARE[0], SQUARE[1], (NAN, 5_199_000), SQUARE[0]]),
    "infinite": blob([SQUARE[0], SQUARE[1], (INF, INF), SQUARE[0]]),
    "cut short": blob(SQUARE)[:40],
    "more points than bytes": struct.pack("<BIII", 1, 3, 1, 2**31 - 1),
    "rubbish": b"rubbish",
    "empty": struct.pack("<BII", 1, 3, 0),
    "null": None,
    "a point": struct.pack("<BIdd", 1, 1, *SQUARE[0]),
}
MENDED = {
    "not closed": blob(SQUARE[:-1]),
    "bad hole": blob(SQUARE, [SQUARE[0], SQUARE[0]]),
    "hole without number": blob(SQUARE, [SQUARE[0], (NAN, NAN), SQUARE[1], SQUARE[0]]),
    "bad part": struct.pack("<BII", 1, 6, 2) + blob(SQUARE) + blob([SQUARE[0], SQUARE[0]]),
    "part without number": struct.pack("<BII", 1, 6, 2)
    + blob(SQUARE)
    + blob([SQUARE[0], (NAN, 1), SQUARE[1], SQUARE[0]]),
    "triangles": struct.pack("<BII", 1, 16, 2)
    + blob([*SQUARE[:3], SQUARE[0]], kind=17)
    + blob([SQUARE[2], SQUARE[3], SQUARE[0], SQUARE[2]], kind=17),
    "polyhedral surface": struct.pack("<BII", 1, 15, 1) + blob(SQUARE),
    "surface in a collection": struct.pack("<BII", 1, 7, 1) + struct.pack("<BII", 1, 15, 1) + blob(SQUARE),
    "curve in a collection": struct.pack("<BII", 1, 7, 1)
    + struct.pack("<BII", 1, 10, 1)
    + struct.pack("<BII", 1, 2, 5)
    + b"".join(struct.pack("<dd", *point) for point in SQUARE),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_one_bad_feature_is_left_out_with_its_number(tmp_path, fault):
    found = read_polygons(str(written(tmp_path / "l.gpkg", BROKEN[fault])), "", "l", GRID, ["kind"])
    assert found.columns["kind"].values == ["a"] and found.skipped == 1
    (problem,) = found.problems
    assert problem.code == "no_geometry" and problem.severity == "warning" and "number 2" in problem.message


@pytest.mark.parametrize("fault", MENDED)
def test_what_can_be_read_of_a_feature_is_used(tmp_path, fault):
    path = written(tmp_path / "l.gpkg", MENDED[fault])
    assert pixels(Labels(str(path), class_field="kind")) == {"a": 100, "b": 100}
    (problem,) = read_polygons(str(path), "", "l", GRID).problems
    assert problem.code == "invalid_geometry" and "number 2" in problem.message


def test_a_layer_declared_as_triangles_keeps_no_other_from_being_read(tmp_path):
    path = write_layers(tmp_path / "l.gpkg")
    with sqlite3.connect(path) as base:
        base.execute("update gpkg_geometry_columns set geometry_type_name = 'TIN' where table_name = 'one'")
    assert pixels(Labels(str(path), "two", class_field="kind")) == {"b": 100}
    assert pixels(Labels(str(path), "one", class_field="kind")) == {"a": 100}
    assert refusal(Labels(str(path))).code == "several_layers"


def test_arcs_follow_their_circle():
    circle = np.array([[0, 0], [1, 1], [2, 0], [1, -1], [0, 0]], float)
    assert shapely.Polygon(chords(circle)).area == pytest.approx(np.pi, rel=2e-3)
    whole_circle = np.array([[0, 0], [2, 0], [0, 0]], float)
    assert shapely.Polygon(chords(whole_circle)).area == pytest.approx(np.pi, rel=2e-3)
    straight = np.array([[0, 0], [1, 0], [2, 0]], float)
    assert (chords(straight) == straight).all()


def test_no_bytes_make_the_reader_of_geometries_fail():
    rng = np.random.default_rng(0)
    for blob_ in MENDED.values():
        for _ in range(40):
            damaged = bytearray(blob_[: rng.integers(1, len(blob_) + 1)])
            damaged[rng.integers(len(damaged))] = rng.integers(256)
            shape = salvaged(bytes(damaged))
            assert shape is None or np.isfinite(shapely.bounds(shape)).all()


def test_damaged_files_end_in_a_sentence(tmp_path):
    shapes = [pixel_box(0, col, 3, 3) for col in range(0, 60, 4)]
    write_polygons(tmp_path / "l.shp", shapes, kind=["a"] * len(shapes))
    whole_table = (tmp_path / "l.dbf").read_bytes()
    (tmp_path / "l.dbf").write_bytes(whole_table[: len(whole_table) // 2])
    assert refusal(Labels(str(tmp_path / "l.shp"), class_field="kind")).code == "cannot_open"
    (tmp_path / "l.dbf").write_bytes(whole_table)
    (tmp_path / "l.shx").rename(tmp_path / "l.gone")
    error = refusal(Labels(str(tmp_path / "l.shp"), class_field="kind"))
    assert error.code == "cannot_open" and "l.shx" in error.message


def geojson(path: Path, values: list[object], shapes: list[object] | None = None) -> Path:
    """Polygons with a field `kind`, as GeoJSON in UTM."""
    shapes = shapes or [
        shapely.geometry.mapping(pixel_box(5, 5 + 12 * place, 10, 10)) for place in range(len(values))
    ]
    features = [
        {"type": "Feature", "properties": {"kind": value}, "geometry": shape}
        for value, shape in zip(values, shapes, strict=True)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path.write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}), encoding="utf-8"
    )
    return path


def collection(*shapes: shapely.Geometry) -> dict[str, object]:
    return {"type": "GeometryCollection", "geometries": [shapely.geometry.mapping(shape) for shape in shapes]}


OVERLAPPING = (pixel_box(5, 5, 10, 10), pixel_box(10, 10, 10, 10))


def test_polygons_of_a_collection_are_united_wherever_they_are_used(tmp_path):
    nested = collection(*OVERLAPPING, shapely.Point(0, 0))
    nested = {"type": "GeometryCollection", "geometries": [nested, shapely.geometry.mapping(OVERLAPPING[0])]}
    path = str(geojson(tmp_path / "l.geojson", ["a"], [nested]))
    assert pixels(Labels(path, class_field="kind")) == {"a": 175}
    area, _ = area_geometry(Area("polygons", path), np.empty(0, object), GRID)
    assert area is not None and area.area == 175 * 100


def test_multipolygons_whose_parts_overlap_are_united(tmp_path):
    parts = shapely.geometry.mapping(shapely.MultiPolygon(OVERLAPPING))
    assert pixels(Labels(str(geojson(tmp_path / "l.geojson", ["a"], [parts])), class_field="kind")) == {
        "a": 175
    }


def test_an_area_says_what_it_leaves_out(tmp_path):
    shapes = [shapely.geometry.mapping(pixel_box(5, 5, 30, 30)), None]
    path = str(geojson(tmp_path / "area.geojson", ["a", "b"], shapes))
    _, problems = area_geometry(Area("polygons", path), np.empty(0, object), GRID)
    assert [item.code for item in problems] == ["no_geometry"]


def test_one_feature_with_coordinates_from_elsewhere_does_not_cost_the_layer(tmp_path):
    shapes = [shapely.box(9 + place, 47, 9.5 + place, 47.5) for place in range(3)]
    path = write_polygons(
        tmp_path / "l.gpkg", [*shapes, shapely.box(600_000, 5_000_000, 600_100, 5_000_100)], "EPSG:4326"
    )
    found = read_polygons(str(path), "", "l", "EPSG:4326")
    assert len(found) == 3 and [item.code for item in found.problems] == ["no_place"]
    path = write_polygons(tmp_path / "lies.gpkg", [pixel_box(0, 0, 5, 5)], "EPSG:4326")
    assert refusal(Labels(str(path))).code == "crs_lies"


def test_the_names_of_features_are_those_of_the_file(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [A, B], kind=["a", "b"])
    place = find_layer(str(path), "", "l")
    assert (place.name, place.dataset) == ("l", str(path))
    assert read_polygons(str(path), "", "l", GRID).numbers.tolist() == [1, 2]
