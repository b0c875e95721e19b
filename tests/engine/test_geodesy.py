"""Areas and lengths on the ground, against geodesic polygons of PROJ, in many kinds of CRS."""

import math

import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from geoseg_engine.contract import Grid
from geoseg_engine.raster.geodesy import (
    even_columns_px,
    perimeters_m,
    pixel_areas_m2,
    pixel_size_m,
    plane_of,
    row_areas_m2,
)

GEOD = Geod(ellps="WGS84")
GRIDS = {
    "sea ice north": Grid("EPSG:3411", (25e3, 0, -385e4, 0, -25e3, 585e4), 304, 448),
    "sea ice north, WGS 84": Grid("EPSG:3413", (25e3, 0, -385e4, 0, -25e3, 585e4), 304, 448),
    "sea ice south": Grid("EPSG:3412", (25e3, 0, -395e4, 0, -25e3, 435e4), 316, 332),
    "12.5 km, south": Grid("EPSG:3976", (12.5e3, 0, -395e4, 0, -12.5e3, 435e4), 632, 664),
    "a stereographic CRS of one's own": Grid(
        "+proj=stere +lat_0=90 +k=0.933 +datum=WGS84", (1e4, 0, -3e6, 0, -1e4, 3e6), 600, 600
    ),
    "EASE-Grid north": Grid("EPSG:6931", (25e3, 0, -6e6, 0, -25e3, 6e6), 480, 480),
    "EASE-Grid global": Grid("EPSG:6933", (36e3, 0, -173e5, 0, -36e3, 73e5), 964, 406),
    "UTM": Grid("EPSG:32632", (10.0, 0, 5e5, 0, -10.0, 52e5), 1000, 1000),
    "centimetres": Grid("EPSG:32632", (0.01, 0, 5e5, 0, -0.01, 52e5), 900, 900),
    "turned": Grid("EPSG:32632", (600.0, 800.0, 2e5, 800.0, -600.0, 52e5), 300, 300),
    "grads from Paris": Grid("EPSG:27572", (25.0, 0, 6e5, 0, -25.0, 22e5), 500, 500),
    "grads as degrees": Grid("EPSG:4807", (0.01, 0, 0, 0, -0.01, 55), 1000, 1000),
    "conic": Grid("EPSG:3978", (1e4, 0, -26e5, 0, -1e4, 39e5), 560, 450),
    "Mercator": Grid("EPSG:3857", (1e5, 0, -2e7, 0, -1e5, 2e7), 400, 400),
    "degrees": Grid("EPSG:4326", (1.0, 0, -180, 0, -1.0, 90), 360, 180),
    "ten degrees": Grid("EPSG:4326", (10.0, 0, -180, 0, -10.0, 90), 36, 18),
    "degrees from pole to pole": Grid("EPSG:4326", (0.25, 0, -180.125, 0, -0.25, 90.125), 1440, 721),
    "turned degrees": Grid("EPSG:4326", (0.2, 0.1, 10, 0.1, -0.2, 80), 40, 40),
    "axes west and south": Grid("EPSG:2048", (10.0, 0, 36e3, 0, -10.0, 3753e3), 900, 900),
    "feet": Grid("EPSG:2227", (30.0, 0, 61e5, 0, -30.0, 21e5), 900, 900),
}


def true_area_m2(grid: Grid, row: int, col: int) -> float:
    """Area of a geodesic polygon with 24 corners a side."""
    crs = CRS.from_user_input(grid.crs)
    share = np.arange(24) / 24
    ones = np.ones(24)
    cols = col + np.concatenate([share, ones, 1 - share, 0 * ones])
    rows = row + np.concatenate([0 * ones, share, ones, 1 - share])
    a, b, c, d, e, f = grid.transform
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = to_degrees.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    unit = math.degrees(crs.geodetic_crs.axis_info[0].unit_conversion_factor)
    lat = np.clip(np.asarray(lat) * unit, -90, 90)
    return abs(crs.get_geod().polygon_area_perimeter(np.asarray(lon) * unit, lat)[0])


@pytest.mark.parametrize("name", GRIDS)
def test_no_pixel_is_off_by_a_thousandth_in_any_projection(name):
    grid = GRIDS[name]
    random = np.random.default_rng(0)
    rows, cols = random.integers(0, grid.height, 25), random.integers(0, grid.width, 25)
    rows[:4], cols[:4] = (0, 0, grid.height - 1, grid.height // 2), (0, grid.width - 1, 0, grid.width // 2)
    expected = [true_area_m2(grid, row, col) for row, col in zip(rows, cols, strict=True)]
    np.testing.assert_allclose(pixel_areas_m2(grid, rows, cols), expected, rtol=5e-5)
    by_row = row_areas_m2(grid, 0, grid.height)
    np.testing.assert_allclose(by_row[rows, cols // even_columns_px(grid)], expected, rtol=1e-3)


def test_a_pixel_over_the_pole_has_its_size():
    for grid in (GRIDS["sea ice north"], GRIDS["12.5 km, south"]):
        a, _, c, _, e, f = grid.transform
        col, row = -c / a - 0.5, -f / e - 0.5  # its middle is the pole
        scale = math.sqrt(true_area_m2(Grid(grid.crs, (a, 0, -a / 2, 0, e, -e / 2), 1, 1), 0, 0)) / a
        assert pixel_size_m(grid, row, col) == pytest.approx((a * scale, a * scale), rel=1e-4)


def test_a_map_says_where_its_plane_stands_for_the_ground():
    plain = plane_of(GRIDS["UTM"])
    assert plain.scale_error < 1e-3 and plain.axes == ((1, 0), (0, 1)) and plain.turn_degrees < 1
    assert plane_of(GRIDS["axes west and south"]).axes == ((-1, 0), (0, -1))
    assert plane_of(GRIDS["axes west and south"]).turn_degrees < 1
    assert plane_of(GRIDS["sea ice north"]).turn_degrees > 90
    assert plane_of(GRIDS["EASE-Grid north"]).scale_error > 0.1
    assert plane_of(GRIDS["Mercator"]).by_row and plane_of(GRIDS["degrees"]).by_row
    assert not plane_of(GRIDS["sea ice north"]).by_row and not plane_of(GRIDS["turned degrees"]).by_row
    beside = Grid("EPSG:3413", (10.0, 0, 2e6, 0, -10.0, 500), 100, 100)  # the pole lies to the left
    assert plane_of(beside).axes == ((0, 1), (-1, 0)) and plane_of(beside).turn_degrees < 1
    mirrored = plane_of(Grid("EPSG:5513", (10.0, 0, 1043e3, 0, -10.0, 745e3), 100, 100))
    assert mirrored.axes == ((0, -1), (-1, 0)) and 7 < mirrored.turn_degrees < 9


@pytest.mark.parametrize("latitude", [-60.0, 0.0, 46.5, 80.0])
def test_degrees_are_measured_on_the_ellipsoid(latitude):
    grid = Grid("EPSG:4326", (0.01, 0, 10, 0, -0.01, latitude + 0.005), 4, 1)
    expected = abs(
        GEOD.geometry_area_perimeter(shapely.box(10, latitude - 0.005, 10.01, latitude + 0.005))[0]
    )
    assert pixel_areas_m2(grid, np.array([0]), np.array([0]))[0] == pytest.approx(expected, rel=1e-6)


def test_web_mercator_is_not_taken_at_its_word():
    y = 8399737.89  # 60 degrees north: lengths are doubled there
    grid = Grid("EPSG:3857", (10, 0, 0, 0, -10, y), 10, 10)
    assert pixel_areas_m2(grid, np.array([0]), np.array([0]))[0] == pytest.approx(25, rel=0.01)
    assert pixel_size_m(grid, 0, 0) == pytest.approx((5, 5), rel=0.01)


def test_utm_and_feet():
    utm = Grid("EPSG:32631", (10, 0, 500000, 0, -10, 5600000), 10, 10)
    assert pixel_areas_m2(utm, np.array([0]), np.array([0]))[0] == pytest.approx(100 / 0.9996**2, rel=1e-6)
    feet = Grid("EPSG:2227", (30, 0, 6100000, 0, -30, 2100000), 10, 10)
    assert pixel_size_m(feet, 5, 5) == pytest.approx((9.144, 9.144), rel=1e-3)


def test_rotation_does_not_change_the_area():
    grid = Grid("EPSG:32631", (6, 8, 500000, 8, -6, 5600000), 10, 10)
    assert pixel_areas_m2(grid, np.array([3]), np.array([4]))[0] == pytest.approx(100 / 0.9996**2, rel=1e-6)


def test_a_coarse_geographic_window_follows_latitude():
    grid = Grid("EPSG:4326", (1, 0, -180, 0, -1, 90), 360, 180)
    areas = row_areas_m2(grid, 0, 180)
    assert areas.shape == (180, 1)
    assert float(areas.sum()) * 360 == pytest.approx(510.0656e12, rel=1e-4)


def test_a_crs_without_an_ellipsoid_is_planar():
    local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    grid = Grid(local, (2, 0, 0, 0, -2, 0), 10, 10)
    assert pixel_areas_m2(grid, np.array([0]), np.array([0]))[0] == pytest.approx(4)
    assert perimeters_m(np.array([shapely.box(0, 0, 2, 2)]), local).tolist() == [8]


def test_a_border_around_the_pole_is_as_long_as_on_the_ground():
    corners = Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True).transform(
        [-5e4, 5e4, 5e4, -5e4, -5e4], [-5e4, -5e4, 5e4, 5e4, -5e4]
    )
    ring = shapely.box(-5e4, -5e4, 5e4, 5e4)
    assert perimeters_m(np.array([ring]), "EPSG:3413")[0] == pytest.approx(
        GEOD.line_length(*corners), rel=1e-9
    )


def test_perimeter_counts_holes_and_follows_geodesics():
    ring = shapely.box(10, 46, 10.02, 46.01)
    holed = shapely.difference(ring, shapely.box(10.005, 46.002, 10.01, 46.004))
    lengths = perimeters_m(np.array([ring, holed]), "EPSG:4326")
    assert lengths[0] == pytest.approx(GEOD.geometry_length(ring.exterior), rel=1e-9)
    assert lengths[1] > lengths[0]
