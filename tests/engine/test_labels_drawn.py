"""Points and lines as labels: which pixels they take, on grids of every kind, and what is said about them."""

import dataclasses

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from data_scenes import CORNER, UTM, channel, one_band_each, pixel_box, sources_of, write_polygons
from label_scenes import burn, codes, write_stack

from geoseg_engine.contract import (
    IGNORE,
    Area,
    CheckJob,
    EvaluateJob,
    GeoSegError,
    Grid,
    LabelLayer,
    Labels,
    StackJob,
    with_unlabelled,
)
from geoseg_engine.dataset.checks import check
from geoseg_engine.evaluation.map_source import polygon_map
from geoseg_engine.evaluation.reference_labels import open_reference_labels
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking import stack
from geoseg_engine.training.sampler import group_pixels
from geoseg_engine.vector.buffers import BufferSize, buffered
from geoseg_engine.vector.polygons import read_labels
from geoseg_engine.vector.scan_fill import ScanFill

METRES = Grid(UTM, (10.0, 0.0, CORNER[0], 0.0, -10.0, CORNER[1]), 80, 60)
DEGREES = Grid("EPSG:4326", (1e-4, 0.0, 10.0, 0.0, -1e-4, 60.0), 200, 100)
FEET = Grid("EPSG:2225", (10.0, 0.0, 6_000_000.0, 0.0, -10.0, 2_000_000.0), 100, 100)
GEOD = pyproj.Geod(ellps="WGS84")
NEAR = 1.002
"""Discs are polygons around the circle: pixels whose centre is this close to the edge may be inside."""


@pytest.fixture
def scene(tmp_path):
    return write_stack(tmp_path)


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[: grid.height, : grid.width] + 0.5
    a, b, c, d, e, f = grid.transform
    return a * cols + b * rows + c, d * cols + e * rows + f


def at(row: float, col: float) -> tuple[float, float]:
    """Map coordinates of a place in pixels from the corner of the scene."""
    return CORNER[0] + 10 * col, CORNER[1] - 10 * row


def held(shape: shapely.Geometry, size: BufferSize, grid: Grid) -> np.ndarray:
    found = buffered(np.array([shape], object), size, grid)
    return ScanFill(found.shapes, grid).mask(full_window(grid))


def assert_between(found: np.ndarray, distance: np.ndarray, limit: float) -> None:
    """All pixels nearer than the limit, and none beyond it, but for the edge of a polygon instead of a circle."""
    assert found[distance <= limit / NEAR].all() and not found[distance > limit * NEAR].any()


def marks(folder, shapes, name="marks.gpkg", crs=UTM, **fields):
    return str(write_polygons(folder / name, shapes, crs, **fields))


@pytest.mark.parametrize("radius", [1.0, 1.5, 3.0, 5.0, 7.3])
def test_a_disc_holds_the_pixels_whose_centres_are_within_its_radius(radius):
    xs, ys = centres(METRES)
    for row, col in [(30.5, 40.5), (30.0, 40.0), (30.31, 40.77), (0.2, 0.4)]:
        found = held(shapely.Point(at(row, col)), BufferSize(radius), METRES)
        assert_between(found, np.hypot(xs - at(row, col)[0], ys - at(row, col)[1]), 10 * radius)


def test_discs_agree_with_shapely():
    points = [at(*place) for place in np.random.default_rng(3).uniform(10, 50, (20, 2))]
    xs, ys = centres(METRES)
    for point in points:
        found = held(shapely.Point(point), BufferSize(4.2), METRES)
        inner, outer = (
            shapely.buffer(shapely.Point(point), radius, quad_segs=512) for radius in (42.0, 42.0 * NEAR)
        )
        assert found[shapely.contains_xy(inner, xs, ys)].all()
        assert not found[~shapely.contains_xy(outer, xs, ys)].any()


@pytest.mark.parametrize("width", [1.0, 2.0, 3.5, 9.0])
def test_a_strip_holds_the_pixels_whose_centres_are_within_half_its_width(width):
    line = shapely.LineString([at(5.1, 5.3), at(40.2, 30.8), at(20.0, 70.7)])
    found = held(line, BufferSize(width=width), METRES)
    distance = shapely.distance(line, shapely.points(*centres(METRES)))
    assert found[distance <= 5 * width * 0.995].all() and not found[distance > 5 * width * NEAR].any()


def test_without_a_size_a_point_is_its_pixel_and_a_line_one_pixel_wide():
    found = held(shapely.MultiPoint([at(30.9, 40.1), at(3, 7)]), BufferSize(), METRES)
    assert np.argwhere(found).tolist() == [[3, 7], [30, 40]]
    line = held(shapely.LineString([at(10.3, 5.5), at(10.3, 20.5)]), BufferSize(), METRES)
    assert np.argwhere(line).tolist() == [[10, col] for col in range(5, 21)]


def test_a_size_below_a_pixel_takes_the_pixel_and_says_so():
    shapes = np.array([shapely.Point(at(30.9, 40.1)), shapely.LineString([at(9, 9), at(20, 9)])], object)
    found = buffered(shapes, BufferSize(0.1, 0.1), METRES)
    assert (found.points, found.lines, found.small, found.thin) == (1, 1, 1, 1)
    assert np.argwhere(ScanFill(found.shapes[:1], METRES).mask(full_window(METRES))).tolist() == [[30, 40]]
    same = buffered(shapes, BufferSize(), METRES)
    assert shapely.equals(found.shapes, same.shapes).all() and (same.small, same.thin) == (0, 0)


def test_discs_and_strips_in_metres_are_true_on_a_grid_in_degrees():
    lon, lat = centres(DEGREES)
    x, y = 10.0101, 59.9949
    distance = GEOD.inv(np.full(lon.shape, x), np.full(lon.shape, y), lon, lat)[2]
    found = held(shapely.Point(x, y), BufferSize(100, unit="m"), DEGREES)
    assert_between(found, distance, 100)
    flat = pyproj.Transformer.from_crs("EPSG:4326", f"+proj=aeqd +lat_0={y} +lon_0={x}", always_xy=True)
    line = shapely.LineString([(10.002, 59.999), (10.018, 59.991)])
    on_plane = shapely.transform(shapely.segmentize(line, 1e-4), flat.transform, interleaved=False)
    found = held(line, BufferSize(width=60, unit="m"), DEGREES)
    assert_between(found, shapely.distance(on_plane, shapely.points(*flat.transform(lon, lat))), 30)


def test_metres_are_metres_on_a_grid_in_feet():
    xs, ys = centres(FEET)
    x, y = 6_000_503.0, 1_999_496.0
    feet = 1200 / 3937
    found = held(shapely.Point(x, y), BufferSize(20, unit="m"), FEET)
    distance = np.hypot(xs - x, ys - y) * feet
    assert found[distance <= 20 * 0.999].all() and not found[distance > 20 * 1.003].any()
    assert found.sum() == pytest.approx(np.pi * (20 / feet / 10) ** 2, rel=0.05)


def test_a_long_line_keeps_its_width_in_metres_where_the_scale_changes():
    grid = Grid("EPSG:4326", (0.05, 0.0, 0.0, 0.0, -0.05, 80.0), 200, 800)
    found = held(shapely.LineString([(5, 79), (5.5, 45)]), BufferSize(width=30_000, unit="m"), grid)
    for row in (100, 300, 600):
        lat = 80 - 0.05 * (row + 0.5)
        across_m = GEOD.inv(5, lat, 5.05, lat)[2]
        assert found[row].sum() == pytest.approx(30_000 / across_m, abs=1.1)


def test_polygons_stay_as_they_are_beside_points_and_lines():
    shapes = np.array([pixel_box(1, 1, 5, 5), shapely.Point(at(30, 40))], object)
    found = buffered(shapes, BufferSize(3), METRES)
    assert found.shapes[0] is shapes[0] and shapely.get_dimensions(found.shapes[1]) == 2
    only = buffered(shapes[:1], BufferSize(3), METRES)
    assert only.shapes[0] is shapes[0]


def test_points_lines_and_polygons_of_one_layer_are_burnt_together(scene):
    shapes = [
        pixel_box(40, 10, 6, 6),
        shapely.Point(at(10.5, 10.5)),
        shapely.LineString([at(20.5, 5.5), at(20.5, 30.5)]),
        shapely.GeometryCollection([shapely.Point(at(30.5, 70.5)), shapely.Point(at(33.5, 70.5))]),
        shapely.GeometryCollection([pixel_box(50, 60, 4, 4), shapely.LineString([at(1, 1), at(50, 1)])]),
    ]
    path = marks(scene, shapes, kind=["a", "b", "c", "b", "a"])
    ids, result = burn(scene, Labels(path, class_field="kind", point_radius=2, line_width=3))
    assert [item["name"] for item in result["classes"]] == ["a", "b", "c"]
    assert (ids[40:46, 10:16] == 0).all() and (ids[50:54, 60:64] == 0).all() and result["counts"]["0"] == 52
    assert result["counts"]["1"] == 13 + (ids[25:40, 60:] == 1).sum() == 13 + 2 * 13 - 2
    assert (ids[19:22, 5:31] == 2).all() and ids[1:50, 1].tolist().count(2) == 0
    assert result["skipped"] == 0 and "mixed_geometry" in codes(result)


def test_unlabelled_pixels_are_unknown_beside_points_and_lines_unless_the_user_states_it(scene):
    path = marks(scene, [shapely.Point(at(9, 9)), shapely.Point(at(20, 9))], kind=["a", "b"])
    ids, _ = burn(scene, Labels(path, class_field="kind"))
    assert set(np.unique(ids)) == {0, 1, IGNORE}
    stated, _ = burn(scene, Labels(path, class_field="kind", unlabelled="background"))
    assert (stated == 0).sum() == 60 * 80 - 2
    boxes = marks(scene, [pixel_box(1, 1, 5, 5)], "boxes.gpkg", kind=["a"])
    ids, _ = burn(scene, Labels(boxes, class_field="kind"))
    assert (ids == 0).any()
    more = (LabelLayer(path, name="marks", class_field="kind"),)
    ids, _ = burn(scene, Labels(boxes, class_field="kind", more=more))
    assert set(np.unique(ids)) == {0, 1, IGNORE}
    assert with_unlabelled(Labels(path), Area("polygons"), sampled=True).unlabelled == "background"


def test_each_point_is_an_object_of_the_sampler(scene):
    places = [(5 + 10 * row, 5 + 10 * col) for row in range(5) for col in range(7)]
    path = marks(scene, [shapely.Point(at(row, col)) for row, col in places], kind=["a"] * 35)
    for radius in (0, 1.5, 3):
        ids, _ = burn(scene, Labels(path, class_field="kind", point_radius=radius))
        assert len(group_pixels(ids, 0).start) - 1 == 35


def test_the_hull_of_points_holds_all_of_them(scene):
    places = [(10, 10), (10, 60), (50, 60), (50, 10), (30, 35)]
    path = marks(scene, [shapely.Point(at(row + 0.5, col + 0.5)) for row, col in places], kind=list("ababa"))
    labels = Labels(path, class_field="kind", unlabelled="background")
    for kind in ("concave_hull", "convex_hull", "bounds"):
        ids, _ = burn(scene, labels, Area(kind))
        inside = ids != IGNORE
        assert (
            all(inside[row, col] for row, col in places) and not inside[5].any() and not inside[:, 70].any()
        )
    convex, _ = burn(scene, labels, Area("convex_hull"))
    assert (convex != IGNORE).sum() == pytest.approx(41 * 51, rel=0.02)


def test_a_stack_cut_to_points_holds_their_discs(scene):
    sources = sources_of(scene / "a.tif")
    path = marks(scene, [shapely.Point(at(20.5, 20.5)), shapely.Point(at(40.5, 50.5))])
    job = StackJob(sources, (), area=Area("bounds"), labels=Labels(path, point_radius=3))
    planned = stack.plan_stack(sources, one_band_each(sources), job.grid, job.area, job.labels)
    grid = planned.recipe.grid
    assert (grid.height, grid.width) == (27, 37)


def test_discs_are_the_same_in_every_window(scene):
    labels = Labels(
        marks(scene, [shapely.Point(at(31.3, 31.9)), shapely.LineString([at(5, 5), at(50, 70)])]),
        point_radius=12.5,
        line_width=4.4,
    )
    found = read_labels(labels, METRES)
    fill = ScanFill(found.geometries, METRES)
    whole = fill.mask(full_window(METRES))
    window = dataclasses.replace(full_window(METRES), row=17, col=23, height=20, width=20)
    assert (fill.mask(window) == whole[17:37, 23:43]).all()


def test_all_touched_does_not_widen_the_pixel_of_a_point(scene):
    path = marks(scene, [shapely.Point(at(9.5, 9.5)), shapely.Point(at(30.02, 40.98))])
    ids, _ = burn(scene, Labels(path, all_touched=True))
    assert np.argwhere(ids == 1).tolist() == [[9, 9], [30, 40]]


def test_sizes_below_a_pixel_are_warned_about(scene):
    shapes = [shapely.Point(at(9, 9)), shapely.LineString([at(30, 9), at(30, 40)])]
    path = marks(scene, shapes, kind=["a", "b"])
    _, result = burn(scene, Labels(path, class_field="kind", point_radius=0.1, line_width=0.2))
    assert {"small_points", "thin_lines"} <= set(codes(result))
    told = [item["message"] for item in result["warnings"]]
    assert any("radius of 0.1 px" in text and "1 of 1 point" in text for text in told)
    _, result = burn(scene, Labels(path, class_field="kind"))
    assert not {"small_points", "thin_lines"} & set(codes(result))
    _, result = burn(scene, Labels(path, class_field="kind", point_radius=2, line_width=3, size_unit="m"))
    assert {"small_points", "thin_lines"} <= set(codes(result))


def test_sizes_have_a_range():
    problems = CheckJob((), Labels("a", point_radius=-1, line_width=1e9)).problems()
    assert {"point_radius", "line_width"} <= {item.code for item in problems}


def checked(folder, labels, **more):
    job = CheckJob(sources_of(folder / "a.tif"), labels, findings="findings.gpkg", **more)
    result = check.run(job, folder, channel(folder))
    _, _, _, data = pyogrio.raw.read(folder / "findings.gpkg", layer="findings")
    fields = list(pyogrio.read_info(folder / "findings.gpkg", layer="findings")["fields"])
    rows = [dict(zip(fields, values, strict=True)) for values in zip(*data, strict=True)]
    return result, rows


def test_the_check_finds_faults_of_points_and_lines(scene):
    shapes = [
        shapely.Point(at(10.2, 10.2)),
        shapely.Point(at(10.8, 10.8)),  # the same pixel, another class
        shapely.Point(at(20.5, 20.5)),
        shapely.Point(at(20.5, 20.5)),  # twice
        shapely.Point(at(500, 500)),
        shapely.Point(at(30.5, 30.5)),
        shapely.Point(at(40.5, 30.5)),
    ]
    path = marks(scene, shapes, kind=["a", "b", "a", "a", "a", "b", None])
    result, rows = checked(scene, Labels(path, class_field="kind"))
    found = {(row["code"], row["feature"]): row["reason"] for row in rows}
    assert "both claim 1 pixel" in found["overlap", 1]
    assert found["duplicate", 4] == "The point repeats feature 3 exactly."
    assert found["labels_outside", 5].startswith("The point is outside")
    assert ("null_class", 7) in found and not any(code == "tiny_polygon" for code, _ in found)
    assert any("2 points" in row["reason"] for row in rows if row["code"] == "class_too_rare")
    told = {item["code"]: item["message"] for item in result["problems"]}
    assert told["labels_outside"].startswith("1 of the 7 points")
    assert told["duplicate"].startswith("1 of 7 points")
    assert "polygon" not in " ".join(told.values()).lower()


def test_discs_of_one_class_may_overlap_and_of_two_are_found_where_both_claim_pixels(scene):
    shapes = [shapely.Point(at(10.5, col)) for col in (10.5, 12.5, 30.5, 33.5, 60.5, 67.5)]
    path = marks(scene, shapes, kind=["a", "a", "a", "b", "a", "b"])
    _, rows = checked(scene, Labels(path, class_field="kind", point_radius=2))
    assert [(row["code"], row["feature"]) for row in rows if "overlap" in row["code"]] == [("overlap", 3)]


def test_lines_beside_points_are_features(scene):
    shapes = [shapely.Point(at(9, 9)), shapely.LineString([at(500, 9), at(500, 40)])]
    result, _ = checked(scene, Labels(marks(scene, shapes, kind=["a", "b"]), class_field="kind"))
    assert any("1 of the 2 features" in item["message"] for item in result["problems"])


@pytest.mark.parametrize("columns", ["lon,lat", "Longitude,Latitude", "long,lat"])
def test_points_of_a_table_with_degrees_are_labels(scene, columns):
    to_degrees = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    lines = [f"id,{columns},kind"]
    for number, (row, col, kind) in enumerate([(10.5, 12.5, "a"), (40.5, 60.5, "b")]):
        lon, lat = to_degrees.transform(*at(row, col))
        lines.append(f"{number},{lon!r},{lat!r},{kind}")
    (scene / "gps.csv").write_text("\n".join([*lines, "9,,,a"]), encoding="utf-8")
    ids, result = burn(scene, Labels(str(scene / "gps.csv"), class_field="kind"))
    assert (ids[10, 12], ids[40, 60]) == (0, 1) and (ids != IGNORE).sum() == 2
    assert result["skipped"] == 1 and "no_geometry" in codes(result)


def test_a_table_without_coordinates_says_how_to_name_them(scene):
    (scene / "gps.csv").write_text("id,kind\n1,a\n", encoding="utf-8")
    with pytest.raises(GeoSegError) as caught:
        burn(scene, Labels(str(scene / "gps.csv"), class_field="kind"))
    assert "lon and lat" in caught.value.hint


def test_several_layers_of_points_need_a_name(scene):
    path = scene / "two.gpkg"
    for name in ("one", "other"):
        points = shapely.to_wkb(np.array([shapely.Point(at(9, 9))], object))
        pyogrio.raw.write(
            path, points, [], [], layer=name, geometry_type="Point", crs=UTM, append=path.exists()
        )
    with pytest.raises(GeoSegError) as caught:
        burn(scene, Labels(str(path)))
    assert caught.value.code == "several_layers" and "layers of polygons" not in caught.value.message
    ids, _ = burn(scene, Labels(str(path), layer="other"))
    assert (ids == 1).sum() == 1


def test_a_map_is_scored_at_points_only(scene):
    boxes = [pixel_box(0, 0, 60, 40), pixel_box(0, 40, 60, 40)]
    write_polygons(scene / "map.gpkg", boxes, kind=["a", "b"])
    points = [shapely.Point(at(10, 10)), shapely.Point(at(10, 60)), shapely.Point(at(40, 70))]
    path = write_polygons(scene / "truth.gpkg", points, kind=["a", "a", "b"])
    job = EvaluateJob(
        prediction="map.gpkg",
        prediction_field="kind",
        truth=Labels(path.name, class_field="kind"),
        pixel_size=10.0,
    )
    found = polygon_map(scene / "map.gpkg", "", "kind")
    reference = open_reference_labels(job, scene, found)
    ids = reference.ids(full_window(reference.grid))
    assert (ids != IGNORE).sum() == 3


def test_a_layer_of_points_is_no_map(scene):
    write_polygons(scene / "points.gpkg", [shapely.Point(at(10, 10))], kind=["a"])
    with pytest.raises(GeoSegError) as caught:
        polygon_map(scene / "points.gpkg", "", "kind")
    assert caught.value.code == "not_polygons"
