"""What the files behind a stack leave open is said with its number, and nothing is changed in silence."""

import numpy as np
import pytest
import rasterio
from data_scenes import channel, hills, write_raster
from scipy.io import netcdf_file

from geoseg_engine.bands.sources import raster_checks
from geoseg_engine.bands.sources.raster_checks import Extremes, ranges
from geoseg_engine.bands.sources.registry import open_bands, own_grid
from geoseg_engine.contract import Band, GridRequest, Recipe, Series, Source, StackJob, TerrainJob
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.sources import band_title, open_source
from geoseg_engine.stacking import stack, terrain
from geoseg_engine.stacking.file_checks import file_problems
from geoseg_engine.stacking.reader import open_stack
from geoseg_engine.stacking.recipe_plan import plan_recipe
from geoseg_engine.stacking.recipes import recipe_of_raster

HILLS = hills(120, 120)
PICTURE = np.stack([(HILLS + shift) % 200 + 1 for shift in (0, 40, 90)]).astype(np.uint8)


def found(path) -> dict[str, str]:
    return {problem.code: problem.message for problem in file_problems(recipe_of_raster(path))}


def holed(value: float, dtype: str = "float32") -> np.ndarray:
    values = HILLS.astype(dtype)
    values[10:20, 30:40] = value
    return values


@pytest.mark.parametrize(
    ("values", "nodata"),
    [
        (holed(-9999), None),
        (holed(-9999), -32768.0),
        (holed(-32768, "int16"), None),
        (holed(3.4028235e38), None),
        (holed(1e20), None),
        (holed(65535, "uint16"), None),
    ],
)
def test_values_that_look_like_gaps_are_counted(tmp_path, values, nodata):
    assert (
        "in 100 of 14,400 pixels"
        in found(write_raster(tmp_path / "dem.tif", values, nodata=nodata))["undeclared_gaps"]
    )


def test_two_kinds_of_gaps_are_two_warnings_and_the_values_stay(tmp_path):
    values = holed(-9999)
    values[50:52] = 3.4028235e38
    path = write_raster(tmp_path / "dem.tif", values)
    problems = file_problems(recipe_of_raster(path))
    assert [problem.severity for problem in problems] == ["warning"] * 2
    assert open_stack(path).read(full_window(recipe_of_raster(path).grid))[0, 15, 35] == -9999


@pytest.mark.parametrize(
    "values",
    [
        HILLS,
        holed(300),
        holed(5000),
        holed(-999, "int16") * 0 + 5,
        HILLS - 9999,
        (HILLS > 800).astype(np.uint8),
    ],
)
def test_plain_values_are_no_gaps(tmp_path, values):
    assert found(write_raster(tmp_path / "dem.tif", values)) == {}


def test_an_outlier_is_far_from_the_rest_and_of_a_usual_kind():
    found = Extremes()
    for values in ([1.0, 2.0, np.nan, -9999.0], [3.0, -9999.0, 1e38], [np.nan]):
        found.add(np.array(values))
    assert found.outliers() == {-9999.0: 2, 1e38: 1} and (found.low, found.high) == (1, 3)
    usual = Extremes()
    usual.add(np.array([-999.0, -1000.0, 500.0, 900.0]))
    assert usual.outliers() == {}
    alone = Extremes()
    alone.add(np.full(5, -9999.0))
    assert alone.outliers() == {}


@pytest.mark.parametrize(("value", "dtype"), [(0, "uint8"), (255, "uint8"), (0, "float32")])
def test_a_rim_around_a_scene_is_counted(tmp_path, value, dtype):
    bands = PICTURE.astype(dtype)
    bands[:, :, :20] = bands[:, :9] = value
    said = found(write_raster(tmp_path / "photo.tif", bands))["undeclared_rim"]
    assert f"is {value} in all bands in {20 * 120 + 9 * 100:,} of 14,400 pixels" in said


@pytest.mark.parametrize("how", ["nodata", "mask", "inside", "little", "classes"])
def test_no_rim_where_something_is_declared_or_the_value_is_elsewhere(tmp_path, how):
    bands = PICTURE.copy()
    bands[:, :, :20] = 0
    if how == "inside":
        bands[:, 40:90, 60:100] = 0
    if how == "little":
        bands = PICTURE.copy()
        bands[:, :1, :50] = 0
    if how == "classes":
        bands = bands // 64
    path = write_raster(tmp_path / "photo.tif", bands, nodata=0 if how == "nodata" else None)
    if how == "mask":
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.full((120, 120), 255, np.uint8))
    assert "undeclared_rim" not in found(path)


def test_a_large_raster_is_looked_at_in_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(raster_checks, "SAMPLE_VALUES", 4000)
    values = HILLS.copy()
    values[:12] = 0
    assert "sampled pixels" in found(write_raster(tmp_path / "dem.tif", values))["undeclared_rim"]


def test_what_the_source_was_given_is_not_asked_again(tmp_path):
    path = write_raster(tmp_path / "dem.tif", holed(-9999))
    source = Source("a", str(path), nodata=-9999.0)
    grid = recipe_of_raster(path).grid
    assert file_problems(Recipe((source,), (Band("b", "a"),), grid)) == []
    with open_bands(source, (Band("b", "a"),), grid) as bands:
        assert np.isnan(bands.read(full_window(grid))).sum() == 100


def test_terrain_says_it_too(tmp_path):
    path = write_raster(tmp_path / "dem.tif", np.stack([holed(-9999), HILLS]))
    job = TerrainJob(Source("d", str(path), "dem"), ("slope",), output="s.tif")
    result = terrain.run(job, tmp_path, channel(tmp_path))
    assert [item["code"] for item in result["warnings"]] == ["first_band", "undeclared_gaps"]


@pytest.mark.parametrize("place", ["ENVI", "", "band"])
def test_bad_bands_are_named(tmp_path, place):
    path = write_raster(tmp_path / "cube.tif", np.stack([HILLS] * 6))
    marks = (1, 0, 0, 1, 1, 0)
    with rasterio.open(path, "r+") as dataset:
        if place == "band":
            for index, mark in enumerate(marks, 1):
                dataset.update_tags(index, bbl=str(mark))
        else:
            dataset.update_tags(ns=place or None, bbl="{" + ", ".join(map(str, marks)) + "}")
    assert found(path)["bad_bands"].startswith("3 of the 6 bands") and "2–3, 6" in found(path)["bad_bands"]
    recipe = recipe_of_raster(path)
    good = Recipe(recipe.sources, tuple(band for band in recipe.bands if band.index in (1, 4)), recipe.grid)
    assert file_problems(good) == []


def test_ranges_of_numbers():
    assert ranges([1]) == "1" and ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"


def test_further_images_of_a_file_are_counted(tmp_path):
    for number in range(3):
        write_raster(tmp_path / "pages.tif", HILLS, append_subdataset=number > 0)
    assert "holds 3 images" in found(tmp_path / "pages.tif")["more_images"]


def test_the_first_of_several_depths_is_said_to_be_the_first(tmp_path):
    with netcdf_file(tmp_path / "a.nc", "w") as file:
        for name, length in (("time", 2), ("depth", 3), ("lat", 8), ("lon", 9)):
            file.createDimension(name, length)
            axis = file.createVariable(name, "d", (name,))
            axis[:] = np.arange(length) * (-0.1 if name == "lat" else 0.1) + (
                10 if name in ("lat", "lon") else 0
            )
            axis.units = {"time": "days since 2020-01-01", "lat": "degrees_north", "lon": "degrees_east"}.get(
                name, "m"
            )
        values = file.createVariable("v", "f", ("time", "depth", "lat", "lon"))
        values[:] = np.arange(2 * 3 * 8 * 9).reshape(2, 3, 8, 9)
    codes = {}
    for name in ("v", "v[1]", "v[3]"):
        source = Source("s", str(tmp_path / "a.nc"), kind="series", series=Series((name,)))
        bands = (Band("mean", "s", 1, "mean"),)
        recipe = Recipe((source,), bands, own_grid(source, bands))
        codes[name] = [problem.code for problem in file_problems(recipe)]
    assert codes == {
        "v": ["assumed_crs", "first_of_several"],
        "v[1]": ["assumed_crs"],
        "v[3]": ["assumed_crs"],
    }


def test_bands_of_one_name_and_names_of_another_time_stay_apart(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.stack([HILLS] * 2))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Hoehe", 'a/"b"\n<&>')
    path.write_bytes(path.read_bytes().replace(b"Hoehe", b"H\xf6he "))
    source = Source("a", str(path))
    with open_source(source) as dataset:
        assert [band_title(source, dataset, index) for index in (1, 2)] == ["Höhe ", 'a/"b" <&>']
    job = StackJob((source,), (Band("x", "a", 1), Band("y", "a", 2)), output="s.tif")
    assert stack.run(job, tmp_path, channel(tmp_path))["bands"] == ["x", "y"]


TILES = {
    "touch": ((0, 0), (100, 0)),
    "three": ((0, 0), (100, 0), (200, 0)),
    "a gap": ((0, 0), (150, 0)),
    "a strip": ((0, 0), (97, 0)),
    "a corner": ((0, 0), (100, 100)),
}


def tiled(folder, places, sizes=(), dtype="float32"):
    sources = []
    for number, (col, row) in enumerate(places):
        rows, cols = sizes[number] if sizes else (100, 100)
        corner = 600_000.0 + 10 * col, 5_200_000.0 - 10 * row
        path = write_raster(folder / f"tile{number}.tif", hills(rows, cols).astype(dtype), corner=corner)
        sources.append(Source(f"r{number}", str(path), f"tile{number}"))
    return tuple(sources), tuple(Band(source.name, source.key) for source in sources)


@pytest.mark.parametrize("name", TILES)
def test_tiles_of_one_raster_are_told_so_with_the_way_out(tmp_path, name):
    sources, bands = tiled(tmp_path, TILES[name])
    (problem,) = plan_recipe(sources, bands, GridRequest()).problems
    assert problem.code == "tiles_of_one" and problem.severity == "error"
    assert problem.details == tuple(source.name for source in sources)
    assert all(word in problem.hint for word in ("Merge tiles into one raster", "MOSAIC", "`paths`"))
    assert ("3 columns" in problem.message) == (name == "a strip")
    as_one = Source("m", sources[0].path, paths=tuple(source.path for source in sources[1:]))
    assert plan_recipe((as_one,), (Band("v", "m"),), GridRequest()).recipe is not None


def test_a_strip_of_other_rasters_is_a_question(tmp_path):
    sources, bands = tiled(tmp_path, ((0, 0), (97, 0)), ((100, 100), (100, 200)))
    two = write_raster(tmp_path / "two.tif", np.stack([HILLS] * 2), corner=(600_970.0, 5_200_000.0))
    sources, bands = (sources[0], Source("s", str(two), "two")), (bands[0], Band("two", "s", 2))
    (problem,) = plan_recipe(sources, bands, GridRequest()).problems
    assert problem.code == "sliver" and "3 columns" in problem.message
    extent = (600_970.0, 5_199_000.0, 601_000.0, 5_200_000.0)
    grid = plan_recipe(sources, bands, GridRequest(extent=extent)).recipe.grid
    assert (grid.width, grid.height) == (3, 100)


@pytest.mark.parametrize(
    ("places", "sizes"),
    [
        (((0, 0), (60, 0)), ()),
        (((0, 0), (0, 0)), ((300, 1), (300, 400))),
        (((0, 0), (-10, -10)), ((5, 5), (300, 400))),
    ],
)
def test_little_rasters_and_usual_overlaps_are_no_slivers(tmp_path, places, sizes):
    sources, bands = tiled(tmp_path, places, sizes)
    assert plan_recipe(sources, bands, GridRequest()).problems == []


def test_rasters_far_apart_are_no_tiles(tmp_path):
    sources, bands = tiled(tmp_path, ((0, 0), (900, 0)))
    assert plan_recipe(sources, bands, GridRequest()).problems[0].code == "no_overlap"
