"""A recipe of every kind of source goes to other files, and everything is computed again there."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from data_scenes import hills, pixel_box, utm_grid, write_polygons, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, GeoSegError, GridRequest, Recipe, Series, Source, index_band
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.rebind import rebind
from geoseg_engine.stacking.recipe_plan import plan_recipe
from geoseg_engine.stacking.stack import write_stack

BANDS = (
    index_band("NDWI", {"green": "green", "nir": "nir"}),
    Band("slope", "dem", 1, "slope"),
    Band("median", "dates", 1, "median"),
    Band("soil", "soil", derive="burn", parameters={"field": "code"}, fill="0"),
)
INTERMEDIATES = (Band("green", "sat", 1), Band("nir", "sat", 2))


def sources(folder, seed: int) -> tuple[Source, ...]:
    """A mosaic, a DEM, a series of three files and polygons, all on 40 × 50 pixels."""
    folder.mkdir()
    optical = np.stack([hills(40, 50, seed), hills(40, 50, seed + 1)])
    left = write_raster(folder / "left.tif", optical[:, :, :30])
    right = write_raster(folder / "right.tif", optical[:, :, 30:], corner=(600_300.0, 5_200_000.0))
    dem = write_raster(folder / "dem.tif", hills(40, 50, seed + 2))
    days = [
        write_raster(folder / f"day_2020-0{month}-01.tif", hills(40, 50, seed + month)) for month in (4, 6, 9)
    ]
    soil = write_polygons(folder / "soil.gpkg", [pixel_box(5, 5, 20, 20)], code=[seed + 1.5])
    return (
        Source("sat", str(left), "Satellite", paths=(str(right),)),
        Source("dem", str(dem), "Heights"),
        Source(
            "dates", str(days[0]), "Dates", kind="series", paths=tuple(map(str, days[1:])), series=Series()
        ),
        Source("soil", str(soil), "Soil", kind="vector"),
    )


def read(recipe: Recipe) -> np.ndarray:
    with StackReader(recipe) as reader:
        return reader.read(full_window(recipe.grid))


@pytest.fixture
def here(tmp_path) -> Recipe:
    return Recipe(sources(tmp_path / "here", 0), BANDS, utm_grid(50, 40), intermediates=INTERMEDIATES)


def test_by_key_and_by_name_and_in_any_order(here, tmp_path):
    there = sources(tmp_path / "there", 20)
    expected = read(replace(here, sources=there))
    assert np.isfinite(expected).all() and not np.allclose(expected, read(here))
    np.testing.assert_array_equal(read(rebind(here, there[::-1])), expected)
    renamed = tuple(replace(source, key=f"layer {place}") for place, source in enumerate(there))
    np.testing.assert_array_equal(read(rebind(here, renamed[::-1])), expected)


def test_what_a_source_does_not_say_comes_from_its_slot(here, tmp_path):
    there = sources(tmp_path / "there", 20)
    plain = tuple(replace(source, kind="raster", series=None) for source in there)
    moved = rebind(here, plain)
    assert [source.kind for source in moved.sources] == ["raster", "raster", "series", "vector"]
    np.testing.assert_array_equal(read(moved), read(replace(here, sources=there)))


def test_a_missing_kind_is_named(here, tmp_path):
    there = sources(tmp_path / "there", 20)
    with pytest.raises(GeoSegError, match="'Soil'") as caught:
        rebind(here, there[:3])
    assert caught.value.code == "missing_bands"


def test_a_stack_of_bands_from_one_layer_is_not_derived_again(tmp_path):
    dem = write_raster(tmp_path / "dem.tif", hills(40, 50))
    bands = (Band("slope", "dem", 1, "slope"), Band("tpi", "dem", 1, "tpi"))
    recipe = Recipe((Source("dem", str(dem)),), bands, utm_grid(50, 40))
    write_stack(recipe, tmp_path / "stack.tif", Channel(tmp_path))
    moved = rebind(recipe, (Source("s", str(tmp_path / "stack.tif")),))
    np.testing.assert_array_equal(read(moved), read(recipe))


def test_bands_that_the_user_named_are_found_by_the_names_in_the_file(tmp_path):
    values = np.stack([hills(40, 50, seed) for seed in range(3)])
    names = ("B2", "B3", "DEM")
    for name, order in (("here", (0, 1, 2)), ("there", (2, 1, 0)), ("bare", (0, 1, 2))):
        with rasterio.open(write_raster(tmp_path / f"{name}.tif", values[list(order)]), "r+") as dataset:
            dataset.descriptions = [names[place] if name != "bare" else "" for place in order]
    bands = (Band("blue", "s", 1), Band("green", "s", 2), Band("slope", "s", 3, "slope"))
    plan = plan_recipe((Source("s", str(tmp_path / "here.tif")),), bands, GridRequest())
    assert [band.described for band in plan.recipe.bands] == list(names)
    for name in ("there", "bare"):
        moved = rebind(plan.recipe, (Source("other", str(tmp_path / f"{name}.tif")),))
        np.testing.assert_array_equal(read(moved), read(plan.recipe))


def test_a_filtered_band_that_is_called_as_the_raw_one_is_filtered_elsewhere_too(tmp_path):
    raw = [write_raster(tmp_path / f"{seed}.tif", hills(40, 50, seed) + 1000) for seed in (1, 2)]
    for path in raw:
        with rasterio.open(path, "r+") as dataset:
            dataset.descriptions = ("VV",)
    recipe = Recipe((Source("a", str(raw[0])),), (Band("VV", "a", 1, "lee"),), utm_grid(50, 40))
    moved = rebind(recipe, (Source("b", str(raw[1])),))
    assert moved.bands[0].derive == "lee"
    np.testing.assert_array_equal(read(moved), read(replace(recipe, sources=(Source("a", str(raw[1])),))))


def test_gaps_filled_in_a_stack_are_not_filled_farther_from_there(tmp_path):
    holed = hills(60, 50)
    holed[10:50, 5:45] = np.nan
    files = [write_raster(tmp_path / f"{name}.tif", hills(60, 50)) for name in "ab"]
    write_raster(files[0], holed)
    bands = (Band("a", "a", 1, fill="interpolate"), Band("b", "b"))
    recipe = Recipe(tuple(Source(path.stem, str(path)) for path in files), bands, utm_grid(50, 60))
    write_stack(recipe, tmp_path / "stack.tif", Channel(tmp_path))
    moved = rebind(recipe, (Source("s", str(tmp_path / "stack.tif")),))
    assert np.isnan(read(recipe)).any()
    np.testing.assert_array_equal(read(moved), read(recipe))


def test_a_layer_of_another_name_fills_a_slot(here, tmp_path):
    slots = (*here.sources[:3], replace(here.sources[3], layer="soil"))
    there = write_polygons(tmp_path / "geology.gpkg", [pixel_box(2, 2, 9, 9)], code=[4.0])
    moved = rebind(replace(here, sources=slots), (*slots[:3], Source("soil", str(there), kind="vector")))
    assert moved.sources[3].layer == "" and (read(moved)[3, 2:11, 2:11] == 4).all()
    assert rebind(replace(here, sources=slots), here.sources).sources[3].layer == "soil"


def test_what_was_corrected_of_a_file_stays_corrected(here):
    corrected = replace(here.sources[1], nodata=5.0, crs="EPSG:32632")
    recipe = replace(here, sources=(here.sources[0], corrected, *here.sources[2:]))
    again = tuple(replace(source, nodata=None, crs="") for source in recipe.sources)
    assert rebind(recipe, again).sources[1] == corrected
    other = rebind(recipe, (replace(again[0]), replace(again[1], nodata=7.0), *again[2:]))
    assert other.sources[1].nodata == 7.0
