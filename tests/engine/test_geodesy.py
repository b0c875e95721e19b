import numpy as np
import pytest
import shapely
from pyproj import Geod

from geoseg_engine.contract import Grid
from geoseg_engine.raster.geodesy import perimeters_m, pixel_areas_m2, pixel_size_m, window_areas_m2

GEOD = Geod(ellps="WGS84")


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
    areas = window_areas_m2(grid, 0, 0, 180, 360)
    assert areas.shape == (180, 1)
    assert float(areas.sum()) * 360 == pytest.approx(510.0656e12, rel=1e-3)


def test_a_crs_without_an_ellipsoid_is_planar():
    local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    grid = Grid(local, (2, 0, 0, 0, -2, 0), 10, 10)
    assert pixel_areas_m2(grid, np.array([0]), np.array([0]))[0] == pytest.approx(4)
    assert perimeters_m(np.array([shapely.box(0, 0, 2, 2)]), local).tolist() == [8]


def test_perimeter_counts_holes_and_follows_geodesics():
    ring = shapely.box(10, 46, 10.02, 46.01)
    holed = shapely.difference(ring, shapely.box(10.005, 46.002, 10.01, 46.004))
    lengths = perimeters_m(np.array([ring, holed]), "EPSG:4326")
    assert lengths[0] == pytest.approx(GEOD.geometry_length(ring.exterior), rel=1e-9)
    assert lengths[1] > lengths[0]
