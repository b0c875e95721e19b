"""TPI, local relief and multi-scale TPI: against plain loops, in degrees, at voids and edges, in windows."""

import math
from fractions import Fraction

import numpy as np
import pytest
from data_scenes import CORNER, hills, utm_grid

from geoseg_engine.bands import neighbourhood
from geoseg_engine.bands.pixel_steps import pixel_lengths_m
from geoseg_engine.bands.position import RADIUS_LIMIT_PX, position_halo_px
from geoseg_engine.contract import Band, GeoSegError, Grid
from geoseg_engine.raster.grid import Window, full_window

NAMES = ("tpi", "local_relief", "multiscale_tpi")


def band(name: str, **parameters: float | str) -> Band:
    return Band(name, "dem", 1, name, parameters=parameters)


def derived(heights: np.ndarray, grid: Grid, window: Window, *bands: Band) -> np.ndarray:
    halo = neighbourhood.halo_px(bands, grid)
    padded = np.pad(heights.astype(float), halo, constant_values=np.nan)
    rows, cols = window.padded(halo).within(Window(-halo, -halo, 0, 0))
    return neighbourhood.derive_bands(padded[rows, cols], grid, window, bands)


def around(heights: np.ndarray, row: int, col: int, down: int, across: int) -> np.ndarray:
    part = heights[max(row - down, 0) : row + down + 1, max(col - across, 0) : col + across + 1]
    return part[np.isfinite(part)]


def test_they_are_what_a_plain_loop_finds():
    heights = np.round(hills(30, 40).astype(float) * 64) / 64
    heights[10:13, 20:25] = np.nan
    bands = band("tpi", radius_m=30), band("local_relief", radius_m=80), band("multiscale_tpi", radii="20,60")
    found = derived(heights, utm_grid(40, 30), full_window(utm_grid(40, 30)), *bands)
    for row, col in [(0, 0), (15, 20), (9, 22), (29, 39), (4, 30)]:
        height = heights[row, col]
        near = around(heights, row, col, 3, 3)
        assert found[0, row, col] == pytest.approx(height - (near.sum() - height) / (near.size - 1), abs=1e-4)
        assert found[1, row, col] == pytest.approx(height - around(heights, row, col, 8, 8).mean(), abs=1e-4)
        parts = [around(heights, row, col, px, px) for px in (2, 6)]
        deviations = [(height - part.mean()) / part.std() for part in parts]
        assert found[2, row, col] == pytest.approx(max(deviations, key=abs), abs=1e-4)
    assert all((np.isnan(values) == np.isnan(heights)).all() for values in found)


@pytest.mark.parametrize("base", [0.0, 2500.0, -40_000.0])
@pytest.mark.parametrize("size_m", [1000.0, 1.0, 0.01, 0.002, 1e-6])
def test_values_do_not_depend_on_the_size_of_the_relief(size_m, base):
    heights = base + size_m * (hills(24, 24).astype(float) - 100) / 40
    grid, (row, col), px = utm_grid(24, 24), (11, 9), 4
    bands = band("tpi", radius_m=40), band("local_relief", radius_m=40), band("multiscale_tpi", radii="40")
    found = derived(heights, grid, full_window(grid), *bands)[:, row, col]
    near = [Fraction(value) for value in around(heights, row, col, px, px).tolist()]
    height, mean = Fraction(heights[row, col]), sum(near) / len(near)
    others = (sum(near) - height) / (len(near) - 1)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in near) / len(near))
    assert found[0] == pytest.approx(float(height - others), abs=1e-6 * size_m)
    assert found[1] == pytest.approx(float(height - mean), abs=1e-6 * size_m)
    assert found[2] == pytest.approx(float(height - mean) / deviation, abs=2e-6)


def test_flat_ground_is_nowhere_above_itself_and_a_plane_only_at_its_edge():
    grid = utm_grid(40, 40)
    bands = tuple(band(name, radius_m=50, radii="20,50") for name in NAMES)
    assert (derived(np.full((40, 40), 123.456), grid, full_window(grid), *bands) == 0).all()
    slanted = np.mgrid[0:40, 0:40][1] * 2.0
    np.testing.assert_allclose(derived(slanted, grid, full_window(grid), *bands)[:, 6:-6, 6:-6], 0, atol=1e-9)


def test_a_hill_stands_out_at_the_radius_of_its_size():
    y, x = np.mgrid[-40:41, -40:41] * 10.0
    hill = 50 * np.exp(-(x**2 + y**2) / (2 * 100.0**2))
    grid = utm_grid(81, 81)
    small, wide, deviation = derived(
        hill,
        grid,
        full_window(grid),
        band("tpi", radius_m=20),
        band("tpi", radius_m=300),
        band("multiscale_tpi", radii="20,100,300"),
    )
    assert 0 < small[40, 40] < 2 and 30 < wide[40, 40] < 50
    assert deviation[40, 40] > 2 and deviation.argmax() == 40 * 81 + 40


@pytest.mark.parametrize(
    "grid",
    [
        utm_grid(70, 60),
        Grid("EPSG:4326", (1e-3, 0.0, 10.0, 0.0, -1e-3, 61.0), 70, 60),
        Grid("EPSG:3857", (30.0, 0.0, 1e6, 0.0, -30.0, 9e6), 70, 60),
        Grid("EPSG:3413", (50.0, 0.0, -3200.0, 0.0, -50.0, 2500.0), 70, 60),
        Grid("+proj=geos +h=35785831 +datum=WGS84", (60.0, 0.0, 52e5, 0.0, -60.0, 1e5), 70, 60),
    ],
    ids=["metres", "degrees", "mercator", "the pole", "another size in every column"],
)
@pytest.mark.parametrize(("size", "base"), [(7.0, 2500.0), (1e-5, 0.1), (1e3, -30_000.0)])
def test_windows_have_no_seams(grid, size, base):
    heights = hills(60, 70).astype(float) * size + base
    heights[20:22, 5:30] = np.nan
    heights[40:, 50:] = 0.1
    bands = (
        band("tpi"),
        band("tpi", radius_m=200),
        band("local_relief", radius_m=400),
        band("multiscale_tpi", radii="50,400"),
        band("slope"),
        band("hillshade"),
    )
    expected = derived(heights, grid, full_window(grid), *bands)
    for window in (
        Window(0, 0, 13, 17),
        Window(13, 17, 30, 30),
        Window(47, 57, 13, 13),
        Window(20, 20, 1, 1),
    ):
        rows, cols = window.within(full_window(grid))
        np.testing.assert_array_equal(derived(heights, grid, window, *bands), expected[:, rows, cols])


def test_heights_far_from_zero_are_no_worse():
    grid = utm_grid(40, 40)
    heights = np.round(hills(40, 40).astype(float) * 64) / 64
    bands = tuple(band(name, radius_m=50, radii="20,50") for name in NAMES)
    low, high = (derived(heights + shift, grid, full_window(grid), *bands) for shift in (-800, 8000))
    np.testing.assert_allclose(low, high, atol=1e-9)


def test_radii_are_metres_on_the_ground_in_degrees_too():
    step = 1e-3
    grid = Grid("EPSG:4326", (step, 0.0, 10.0, 0.0, -step, 60.1), 200, 200)
    heights = np.zeros((200, 200))
    heights[100, 100] = 1.0
    lifted = derived(heights, grid, full_window(grid), band("local_relief", radius_m=1000))[0] != 0
    rows, cols = np.nonzero(lifted)
    assert rows.max() - 100 == round(1000 / (step * 111_412))
    assert cols.max() - 100 == round(1000 / (step * 111_412 * math.cos(math.radians(60))))


def test_radii_are_metres_on_the_ground_in_every_column():
    grid = Grid("+proj=geos +h=35785831 +datum=WGS84", (300.0, 0.0, 51e5, 0.0, -300.0, 3e4), 200, 200)
    across, down = pixel_lengths_m(grid, full_window(grid))
    heights = np.zeros((200, 200))
    heights[100, 40] = heights[100, 160] = 1.0
    lifted = derived(heights, grid, full_window(grid), band("local_relief", radius_m=3000))[0] != 0
    for col in (40, 160):
        rows, cols = np.nonzero(lifted[:, col - 30 : col + 30])
        assert rows.max() - 100 == pytest.approx(3000 / down[100, col], abs=0.6)
        assert cols.max() - 30 == pytest.approx(3000 / across[100, cols.max() + col - 30], abs=0.6)
    assert across[100, 160] > 1.05 * across[100, 40]


def test_a_radius_beyond_reach_names_the_widest_that_can_be_had():
    grid = utm_grid(40, 40)
    assert position_halo_px("tpi", {"radius_m": 10.0 * RADIUS_LIMIT_PX}, grid) == RADIUS_LIMIT_PX
    with pytest.raises(GeoSegError, match="600 pixels") as caught:
        position_halo_px("tpi", {"radius_m": 6000.0}, grid)
    assert caught.value.code == "radius" and "5120 m" in caught.value.hint


def test_a_radius_below_a_pixel_takes_the_eight_neighbours():
    assert position_halo_px("tpi", {}, utm_grid(9, 9)) == 1
    assert position_halo_px("local_relief", {"radius_m": 2.0}, utm_grid(9, 9)) == 1


def test_rotated_pixels_reach_as_far():
    turned = Grid("EPSG:32632", (8.0, 6.0, CORNER[0], 6.0, -8.0, CORNER[1]), 40, 40)
    assert position_halo_px("tpi", {"radius_m": 100.0}, turned) == 10
