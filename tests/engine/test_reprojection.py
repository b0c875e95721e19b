"""Longitudes that differ by a turn are one place: polygons are burnt wherever a grid shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from data_scenes import channel, write_polygons, write_raster
from numpy.typing import NDArray

from geoseg_engine.bands.sources.vector_bands import VectorBands
from geoseg_engine.contract import (
    Area,
    AreasJob,
    Band,
    EvaluateJob,
    GeoSegError,
    Grid,
    GridRequest,
    Labels,
    Source,
    StackJob,
)
from geoseg_engine.evaluation import areas, evaluate
from geoseg_engine.raster.grid import full_window, grid_bounds
from geoseg_engine.raster.sources import parse_crs
from geoseg_engine.stacking import stack
from geoseg_engine.vector.area import area_bounds, area_geometry
from geoseg_engine.vector.class_raster import read_raster_classes
from geoseg_engine.vector.features import read_features, read_polygons
from geoseg_engine.vector.placement import moved_to
from geoseg_engine.vector.reprojection import in_crs, shifted_by_turns, turn_of
from geoseg_engine.vector.scan_fill import ScanFill

DEGREES = "EPSG:4326"
MERCATOR_M = 20_037_508.342789244
NORTH, SOUTH = "EPSG:3995", "EPSG:3031"


def degrees(
    left: float, width: int, crs: str = DEGREES, top: float = 90, height: int = 180, size: float = 1
) -> Grid:
    return Grid(crs, (size, 0.0, left, 0.0, -size, top), width, height)


GRIDS = {
    "0 to 360": degrees(0, 360),
    "-180 to 180": degrees(-180, 360),
    "centres from 0.375": degrees(-0.125, 360),
    "across 180": degrees(170, 20),
    "across -180": degrees(-190, 20),
}
FIJI = {
    "beyond 180": shapely.box(175, -20, 185, -10),
    "below -180": shapely.box(-185, -20, -175, -10),
    "split": shapely.MultiPolygon([shapely.box(175, -20, 180, -10), shapely.box(-180, -20, -175, -10)]),
    "another turn": shapely.box(535, -20, 541, -10),
}


def held(shapes: list[shapely.Geometry], crs: str, grid: Grid) -> NDArray[np.bool_]:
    """Pixels whose centres the geometries hold."""
    moved = moved_to(np.array(shapes, object), parse_crs(crs), grid)
    return ScanFill(moved, grid).mask(full_window(grid))


def centres(grid: Grid, crs: str = DEGREES) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the centres of a grid's pixels lie in another CRS."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    xs, ys = grid.transform[2] + grid.transform[0] * cols, grid.transform[5] + grid.transform[4] * rows
    found: tuple[NDArray[np.float64], NDArray[np.float64]] = pyproj.Transformer.from_crs(
        grid.crs, crs, always_xy=True
    ).transform(xs, ys)
    return found


@pytest.mark.parametrize("on", GRIDS)
@pytest.mark.parametrize("drawn", FIJI)
def test_polygons_across_the_date_line_are_burnt_on_both_sides(on, drawn):
    lon, lat = centres(GRIDS[on])
    first, last = (175, 185) if drawn != "another turn" else (175, 181)
    right = (np.mod(lon, 360) > first) & (np.mod(lon, 360) < last) & (lat > -20) & (lat < -10)
    assert (held([FIJI[drawn]], DEGREES, GRIDS[on]) == right).all() and right.any()


@pytest.mark.parametrize("on", ["0 to 360", "-180 to 180", "centres from 0.375"])
@pytest.mark.parametrize("west", [-65, 295, -5, 355, 15])
def test_every_turn_means_the_same_pixels(on, west):
    lon, lat = centres(GRIDS[on])
    right = (np.mod(lon - west, 360) < 10) & (np.abs(lat) < 5)
    assert (held([shapely.box(west, -5, west + 10, 5)], DEGREES, GRIDS[on]) == right).all()
    assert right.sum() == 100


def test_the_whole_world_covers_every_grid():
    for world in (shapely.box(-180, -90, 180, 90), shapely.box(0, -90, 360, 90)):
        for grid in GRIDS.values():
            assert held([world], DEGREES, grid).all()


def test_what_shows_nowhere_stays_where_it_is():
    shapes = np.array([shapely.box(-60, 0, -50, 10), shapely.box(15, 0, 16, 1)], object)
    moved = shifted_by_turns(shapes, parse_crs(DEGREES), 10, 20)
    assert moved[0] is shapes[0] and moved[1] is shapes[1]


PLANES = {
    "Mercator beyond its end": Grid("EPSG:3857", (1e5, 0.0, MERCATOR_M - 2e6, 0.0, -1e5, -1e6), 40, 15),
    "Mercator": Grid("EPSG:3857", (1e5, 0.0, -MERCATOR_M, 0.0, -1e5, -1e6), 401, 15),
    "Mercator of the Pacific": Grid("EPSG:3832", (1e5, 0.0, 1e6, 0.0, -1e5, -1e6), 60, 15),
    "plate carrée of the Pacific": Grid(
        "+proj=eqc +lon_0=180 +units=m", (1e5, 0.0, -2e6, 0.0, -1e5, -1e6), 40, 15
    ),
    "UTM": Grid("EPSG:32701", (2e4, 0.0, 0.0, 0.0, -2e4, 9e6), 50, 60),
}


@pytest.mark.parametrize("on", PLANES)
@pytest.mark.parametrize("drawn", ["beyond 180", "below -180", "split"])
def test_projected_rasters_get_polygons_across_the_date_line(on, drawn):
    lon, lat = centres(PLANES[on])
    right = (np.mod(lon, 360) > 175) & (np.mod(lon, 360) < 185) & (lat > -20) & (lat < -10)
    wrong = held([FIJI[drawn]], DEGREES, PLANES[on]) != right
    assert right.sum() > 40 and wrong.sum() <= 0.01 * right.sum()


def test_a_projection_is_cut_where_it_ends_and_not_across_the_map():
    grid = Grid("EPSG:3832", (1e5, 0.0, -MERCATOR_M, 0.0, -1e5, 2e6), 401, 40)  # ends at 30 degrees west
    lon, lat = centres(grid)
    right = (np.mod(lon, 360) > 320) & (np.mod(lon, 360) < 340) & (lat > 0) & (lat < 10)
    assert (held([shapely.box(-40, 0, -20, 10)], DEGREES, grid) == right).all()


@pytest.mark.parametrize("on", GRIDS)
def test_polygons_of_a_projection_across_the_date_line_are_burnt_in_degrees(on):
    drawn = shapely.segmentize(shapely.box(300_000, 100_000, 1_100_000, 500_000), 50_000)
    xs, ys = centres(GRIDS[on], "EPSG:32660")
    lon, _ = centres(GRIDS[on])
    right = (xs > 300_000) & (xs < 1_100_000) & (ys > 100_000) & (ys < 500_000)
    right &= np.abs(np.mod(lon, 360) - 177) < 30
    assert (held([drawn], "EPSG:32660", GRIDS[on]) == right).all() and right.sum() >= 28


@pytest.mark.parametrize("crs", [NORTH, SOUTH])
@pytest.mark.parametrize("on", ["0 to 360", "-180 to 180"])
def test_polygons_around_a_pole_reach_it(on, crs):
    xs, ys = centres(GRIDS[on], crs)
    _, lat = centres(GRIDS[on])
    here = (lat > 0) == (crs == NORTH)
    disc = shapely.Point(3e5, 2e5).buffer(1.5e6, 64)
    assert (held([disc], crs, GRIDS[on]) == ((np.hypot(xs - 3e5, ys - 2e5) < 1.5e6) & here)).all()
    ring = shapely.Point(0, 0).buffer(2.05e6, 64).difference(shapely.Point(0, 0).buffer(1.05e6, 64))
    distance = np.hypot(xs, ys)
    assert (held([ring], crs, GRIDS[on]) == ((distance < 2.05e6) & (distance > 1.05e6) & here)).all()


def test_a_cap_of_four_corners_covers_the_pole_of_a_polar_grid():
    grid = Grid(NORTH, (5e4, 0.0, -4e6, 0.0, -5e4, 4e6), 160, 160)
    _, lat = centres(grid)
    assert (held([shapely.box(-180, 70, 180, 90)], DEGREES, grid) == (lat > 70)).all()


@pytest.mark.parametrize(
    "grid",
    [
        Grid("EPSG:32632", (1e4, 0.0, 3e5, 0.0, -1e4, 5.3e6), 30, 30),
        Grid("EPSG:3857", (1e6, 0.0, -2e7, 0.0, -1e6, 1e7), 40, 20),
    ],
    ids=["UTM", "Mercator"],
)
def test_what_a_projection_has_no_place_for_is_cut_away_and_not_the_feature(grid, tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [shapely.box(-180, -90, 180, 90)], DEGREES)
    found = read_polygons(str(path), "", "world", grid)
    assert ScanFill(found.shapes, grid).mask(full_window(grid)).all() and not found.skipped


def test_a_mercator_world_covers_the_degrees():
    box = shapely.box(-MERCATOR_M, -MERCATOR_M, MERCATOR_M, MERCATOR_M)
    assert held([box], "EPSG:3857", GRIDS["0 to 360"]).sum() == 360 * 170


def test_ordinary_polygons_are_carried_over_as_before():
    shapes = geopandas.GeoSeries([shapely.box(9, 47, 9.3, 47.2), shapely.box(8, 46, 8.1, 46.1)], crs=DEGREES)
    moved = in_crs(np.asarray(shapes.array, object), parse_crs(DEGREES), parse_crs("EPSG:32632"))
    assert shapely.equals_exact(moved, np.asarray(shapes.to_crs("EPSG:32632").array, object)).all()


def test_turns_are_those_of_the_crs():
    assert turn_of(parse_crs(DEGREES)) == 360 and turn_of(parse_crs("EPSG:4807")) == 400
    assert turn_of(parse_crs("EPSG:3857")) == pytest.approx(2 * MERCATOR_M)
    assert turn_of(parse_crs("EPSG:32632")) == turn_of(parse_crs(NORTH)) == 0


def test_sides_of_more_than_half_the_earth_are_taken_as_drawn_and_said(tmp_path):
    shapes = [shapely.box(-179, -20, 179, -10), shapely.box(-180, 0, 180, 10), shapely.box(0, 0, 10, 10)]
    path = write_polygons(tmp_path / "l.gpkg", shapes, DEGREES)
    found = read_polygons(str(path), "", "l", GRIDS["-180 to 180"])
    (problem,) = found.problems
    assert problem.code == "across_date_line" and "number 1" in problem.message
    assert (
        ScanFill(found.shapes[:1], GRIDS["-180 to 180"]).mask(full_window(GRIDS["-180 to 180"])).sum() == 3580
    )


def test_areas_and_extents_are_found_in_another_turn(tmp_path):
    grid = GRIDS["0 to 360"]
    drawn = write_polygons(tmp_path / "area.gpkg", [shapely.box(-60, -5, -50, 5)], DEGREES)
    for area in (Area("polygons", str(drawn)), Area("extent", extent=(-60, -5, -50, 5), extent_crs=DEGREES)):
        geometry, _ = area_geometry(area, np.empty(0, object), grid)
        assert geometry is not None and geometry.bounds == (300, -5, 310, 5)
        assert area_bounds(area, None, np.empty(0, object), grid) == (300, -5, 310, 5)


def world_raster(folder: Path) -> Path:
    values = np.arange(36 * 18, dtype=np.float32).reshape(18, 36)
    return write_raster(folder / "world.tif", values, 10, (0, 90), DEGREES)


def planned(folder: Path, extent: tuple[float, float, float, float]) -> Grid:
    source = Source("r", str(world_raster(folder)), "world")
    job = StackJob(
        (source,), (Band("b", "r"),), GridRequest(extent=extent), output=str(folder / "stack.recipe.json")
    )
    found = stack.run(job, folder, channel(folder))["grid"]
    return Grid(found["crs"], tuple(found["transform"]), found["width"], found["height"])


def test_an_extent_is_a_window_of_the_grid_in_any_turn(tmp_path):
    assert grid_bounds(planned(tmp_path, (-60, -10, -40, 10))) == (300, -10, 320, 10)
    assert grid_bounds(planned(tmp_path, (-180, -90, 180, 90))) == (0, -90, 360, 90)
    with pytest.raises(GeoSegError) as caught:
        planned(tmp_path, (-20, -10, 20, 10))
    assert caught.value.code == "extent_in_two"


def test_features_beside_the_grid_are_near_across_the_date_line(tmp_path):
    path = tmp_path / "points.gpkg"
    geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(179.5, 0.5)], crs=DEGREES).to_file(path)
    grid = degrees(-180, 4, top=2, height=2)
    band = Band("d", "v", derive="distance", parameters={"limit_m": 1e6})
    found = VectorBands(Source("v", str(path), "v", kind="vector"), (band,), grid).read(full_window(grid))[0]
    assert found[1, 0] == pytest.approx(111_300, rel=0.01) and found[1, 3] == pytest.approx(
        4 * 111_300, rel=0.01
    )


def test_points_keep_their_places_and_their_number(tmp_path):
    path = tmp_path / "points.gpkg"
    points = [shapely.Point(-60, 0), shapely.Point(15, 0), shapely.Point(360.5, 0)]
    geopandas.GeoDataFrame({"n": [1, 2, 3]}, geometry=points, crs=DEGREES).to_file(path)
    found = read_features(str(path), "", "p", GRIDS["0 to 360"])
    assert [shape.x for shape in found.shapes] == [300, 15, 0.5]


def class_map(folder: Path) -> Path:
    """A map of 0 to 360 degrees: class 2 from 300 to 310, else 1."""
    ids = np.ones((18, 36), np.uint8)
    ids[:, 30] = 2
    return write_raster(folder / "map.tif", ids, 10, (0, 90), DEGREES, nodata=0)


def test_truth_and_reference_points_are_found_in_another_turn(tmp_path):
    path = class_map(tmp_path)
    truth = write_polygons(
        tmp_path / "truth.gpkg",
        [shapely.box(-60, -5, -50, 5), shapely.box(0, -5, 10, 5)],
        DEGREES,
        kind=["2", "1"],
    )
    job = EvaluateJob(
        prediction=str(path),
        truth=Labels(str(truth), class_field="kind", unlabelled="unknown"),
        output=str(tmp_path / "e"),
    )
    result = evaluate.run(job, tmp_path, channel(tmp_path))
    assert result["accuracy"] == 1 and np.sum(result["confusion"]) == 4
    points = geopandas.GeoDataFrame(
        {"reference": ["2", "1"]}, geometry=[shapely.Point(-55, 0), shapely.Point(-170, 0)], crs=DEGREES
    )
    points.to_file(tmp_path / "sample.gpkg", layer="sample")
    job = AreasJob(str(path), sample=str(tmp_path / "sample.gpkg"), output=str(tmp_path / "a"))
    result = areas.run(job, tmp_path, channel(tmp_path))
    assert result["overall"]["accuracy"] == 1 and result["sample"]["used"] == 2


@pytest.mark.parametrize("crs", [NORTH, "EPSG:3413", "+proj=laea +lat_0=90 +lon_0=20 +datum=WGS84"])
def test_small_polygons_around_a_pole_stay_what_they_are(crs):
    grid = Grid(crs, (10.0, 0.0, -320.0, 0.0, -10.0, 320.0), 64, 64)
    box = shapely.box(-50, -70, 60, 40)
    xs, ys = pyproj.Transformer.from_crs(crs, DEGREES, always_xy=True).transform(
        *np.transpose(box.exterior.coords)
    )
    right = np.zeros((64, 64), bool)
    right[28:39, 27:38] = True
    assert (held([shapely.Polygon(np.column_stack([xs, ys]))], DEGREES, grid) == right).all()


def test_an_unsplit_polygon_is_the_short_way_where_the_map_goes_on(tmp_path):
    ring = shapely.Polygon([(178, -20), (-178, -20), (-178, -10), (178, -10)])
    path = write_polygons(tmp_path / "l.gpkg", [ring], DEGREES)
    grid = PLANES["UTM"]
    lon, lat = centres(grid)
    right = (np.mod(lon, 360) > 178) & (np.mod(lon, 360) < 182) & (lat > -20) & (lat < -10)
    found = read_polygons(str(path), "", "l", grid)
    wrong = ScanFill(found.shapes, grid).mask(full_window(grid)) != right
    assert not found.problems and wrong.sum() <= 0.02 * right.sum()
    assert [item.code for item in read_polygons(str(path), "", "l", GRIDS["0 to 360"]).problems] == [
        "across_date_line"
    ]


def stacked(folder: Path, *paths: Path) -> dict[str, Any]:
    sources = tuple(Source(f"r{place}", str(path), path.stem) for place, path in enumerate(paths))
    bands = tuple(Band(source.name, source.key, resampling="nearest") for source in sources)
    job = StackJob(sources, bands, output=str(folder / "stack.tif"))
    return stack.run(job, folder, channel(folder))


def longitudes(path: Path, left: float) -> Path:
    """A raster of the whole world in pixels of 5 degrees; its values are longitudes from 0 to 360."""
    values = np.mod(left + 2.5 + 5 * np.arange(72), 360).astype(np.float32)
    return write_raster(path, np.tile(values, (36, 1)), 5, (left, 90), DEGREES)


def test_a_raster_of_the_world_is_stacked_on_an_image(tmp_path):
    image = write_raster(
        tmp_path / "image.tif", np.ones((8, 8), np.float32), 5_000, (500_000, 9e6), "EPSG:32721"
    )
    result = stacked(tmp_path, image, longitudes(tmp_path / "world.tif", -180))
    assert (result["grid"]["width"], result["grid"]["height"]) == (8, 8)
    with rasterio.open(tmp_path / "stack.tif") as found:
        assert np.isin(found.read(2), (302.5, 307.5)).all()
    with pytest.raises(GeoSegError) as caught:
        stacked(tmp_path, image, longitudes(tmp_path / "other.tif", 0))
    assert caught.value.code == "other_turn"


def test_rasters_that_count_longitudes_differently_say_what_is_left_out(tmp_path):
    first, other = longitudes(tmp_path / "a.tif", 0), longitudes(tmp_path / "b.tif", -180)
    assert "other_turn" in [item["code"] for item in stacked(tmp_path, first, other)["warnings"]]
    assert not stacked(tmp_path, first, longitudes(tmp_path / "c.tif", 0))["warnings"]
    with pytest.raises(GeoSegError) as caught:
        read_raster_classes(Source("l", str(other), "b"), GRIDS["0 to 360"])
    assert caught.value.code == "other_turn"
