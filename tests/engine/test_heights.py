"""Units of heights: whoever states them, the slopes of a plane are the same; what is unsure is said."""

import math
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from data_scenes import channel
from rasterio.transform import from_origin

from geoseg_engine.contract import Band, GeoSegError, GridRequest, Recipe, Source, StackJob, TerrainJob
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.units import length_m
from geoseg_engine.stacking import stack, terrain
from geoseg_engine.stacking.heights import fit_units
from geoseg_engine.stacking.reader import StackReader, open_stack
from geoseg_engine.stacking.rebind import rebind
from geoseg_engine.stacking.recipe_plan import plan_recipe

FOOT, US_FOOT = 0.3048, 1200 / 3937
PIXEL_M, SIDE = 10.0, 16
UTM, IN_FEET = "EPSG:32632", "EPSG:6529"


def write_dem(
    path, unit_m=1.0, unit="", crs=UTM, corner=0, base_m=0.0, scale=1.0, tags=None, described="", **options
):
    """A plane that rises 1 m in 1 m to the east, in a unit; `corner` is where it begins, in pixels."""
    cols = np.broadcast_to(np.arange(SIDE, dtype=float) + corner, (SIDE, SIDE))
    values = (base_m + cols * PIXEL_M) / unit_m / scale
    transform = from_origin(500_000 + corner * PIXEL_M, 5_200_000, PIXEL_M, PIXEL_M)
    profile = {
        "width": SIDE,
        "height": SIDE,
        "count": 1,
        "dtype": "float64",
        "crs": crs,
        "transform": transform,
    }
    with rasterio.open(path, "w", driver="GTiff", **profile, **options) as file:
        file.write(values[None])
        file.scales = [scale]
        file.update_tags(**(tags or {}))
        if unit:
            file.units = [unit]
        if described:
            file.set_band_description(1, described)
    return str(path)


def derived(folder, path, *names, paths=(), **source):
    """Attributes of a DEM by the job, and the codes and messages of its warnings."""
    job = TerrainJob(Source("dem", path, "Heights", paths=paths, **source), names or ("slope",), "out.tif")
    result = terrain.run(job, folder, channel(folder))
    with open_stack(folder / "out.tif") as reader:
        return reader.read(full_window(reader.grid)), [problem["message"] for problem in result["warnings"]]


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("m", 1), ("Meters", 1), ("metre", 1), ("[m]", 1), ("m a.s.l.", 1), ("metres above sea level", 1), ("gpm", 1),
        ("ft", FOOT), ("feet", FOOT), ("Foot", FOOT), ("international foot", FOOT), ("feet (NAVD88)", FOOT),
        ("US survey foot", US_FOOT), ("us-ft", US_FOOT), ("ftUS", US_FOOT), ("Foot_US", US_FOOT),
        ("U.S. survey feet", US_FOOT), ("cm", 0.01), ("decimeter", 0.1), ("dm", 0.1), ("mm", 0.001), ("km", 1000),
        ("fathom", 1.8288), ("yards", 0.9144), ("m^2/s^2", 1 / 9.80665),
        ("0.1 m", 0.1), ("1e-2 m", 0.01), ("m**2 s**-2", 1 / 9.80665), ("Clarke's foot", 0.3047972654),
        ("K", None), ("degree", None), ("m/s", None), ("m2", None), ("percent", None), ("", None), ("1", None),
    ],
)  # fmt: skip
def test_a_unit_of_length_is_known_by_any_of_its_names(text, metres):
    assert length_m(text) == (None if metres is None else pytest.approx(metres, rel=1e-9))


STATED = {
    "band": {"unit": "US survey foot"},
    "band, in centimetres": {"unit_m": 0.01, "unit": "cm"},
    "vertical CRS": {"crs": "EPSG:32632+6360"},
    "vertical CRS, GeoTIFF 1.1": {"crs": "EPSG:32632+6360", "GEOTIFF_VERSION": "1.1"},
    "metadata": {"unit_m": FOOT, "tags": {"VERTICAL_UNITS": "feet"}},
    "description": {"unit_m": FOOT, "described": "Elevation (ft)"},
    "scale and unit": {"unit_m": FOOT, "unit": "ft", "scale": 0.25},
}


@pytest.mark.parametrize("how", STATED)
def test_heights_are_converted_from_the_unit_that_is_stated(tmp_path, how):
    path = write_dem(tmp_path / "dem.tif", **{"unit_m": US_FOOT, **STATED[how]})
    values, warnings = derived(tmp_path, path, "slope", "tri", "curvature", "local_relief")
    metres, _ = derived(
        tmp_path, write_dem(tmp_path / "metres.tif"), "slope", "tri", "curvature", "local_relief"
    )
    assert warnings == []
    np.testing.assert_allclose(values, metres, atol=1e-5)
    np.testing.assert_allclose(values[0], 45, atol=1e-5)


@pytest.mark.parametrize(
    ("driver", "name"), [("ENVI", "x.dat"), ("AAIGrid", "x.asc"), ("SAGA", "x.sdat"), ("HFA", "x.img")]
)
def test_other_formats_state_it_by_their_crs(tmp_path, driver, name):
    rasterio.shutil.copy(
        write_dem(tmp_path / "dem.tif", US_FOOT, crs="EPSG:32632+6360"), tmp_path / name, driver=driver
    )
    values, warnings = derived(tmp_path, str(tmp_path / name))
    assert warnings == [] and values == pytest.approx(45, abs=1e-3)


def test_the_z_units_of_arcinfo_are_read(tmp_path):
    rasterio.shutil.copy(write_dem(tmp_path / "dem.tif", FOOT), tmp_path / "old.asc", driver="AAIGrid")
    words = "Projection UTM\nZone 32\nDatum WGS84\nSpheroid WGS84\nUnits METERS\nZunits FEET\nParameters\n"
    (tmp_path / "old.prj").write_text(words, encoding="utf-8")
    assert derived(tmp_path, str(tmp_path / "old.asc"))[0] == pytest.approx(45, abs=1e-3)


def test_the_user_has_the_last_word(tmp_path):
    path = write_dem(tmp_path / "dem.tif", US_FOOT, "m")
    assert derived(tmp_path, path, height_unit="US survey foot")[0] == pytest.approx(45, abs=1e-5)
    with pytest.raises(GeoSegError, match="cubit") as caught:
        derived(tmp_path, path, height_unit="cubit")
    assert caught.value.code == "height_unit" and "US survey foot" in caught.value.hint


@pytest.mark.parametrize(
    ("made", "part"),
    [
        ({"crs": IN_FEET}, "US survey foot"),
        ({"described": "Elevation in feet"}, "mentions feet"),
        ({"unit": "K"}, "'K', which is not a length"),
        ({"unit": "m", "crs": "EPSG:32632+6360", "GEOTIFF_VERSION": "1.1"}, "its CRS states US survey foot"),
        ({"crs": "EPSG:32632+5831", "GEOTIFF_VERSION": "1.1"}, "count downwards"),
        ({"base_m": 14_000.0}, "up to 14,150 m, which do not exist"),
        ({"unit_m": 0.1}, "steeper than 84°"),
    ],
)  # fmt: skip
def test_what_is_unsure_is_one_warning(tmp_path, made, part):
    path = write_dem(tmp_path / "dem.tif", **made)
    _, warnings = derived(tmp_path, path)
    assert len(warnings) == 1 and part in warnings[0]
    job = StackJob((Source("dem", path, "Heights"),), (Band("slope", "dem", 1, "slope"),), dry_run=True)
    planned = [item["message"] for item in stack.run(job, tmp_path, channel(tmp_path))["problems"]
               if item["code"].startswith("height")]  # fmt: skip
    assert planned == warnings


@pytest.mark.parametrize(
    "made",
    [
        {"crs": IN_FEET, "unit": "m", "unit_m": 3.0},
        {"base_m": 8000.0},
        {"described": "soft"},
        {"unit": "unknown"},
    ],
)
def test_what_is_sure_is_no_warning(tmp_path, made):
    assert derived(tmp_path, write_dem(tmp_path / "dem.tif", **made))[1] == []


def test_depths_become_heights(tmp_path):
    path = write_dem(tmp_path / "dem.tif", crs="EPSG:32632+5831", GEOTIFF_VERSION="1.1")
    (slope, sine), _ = derived(tmp_path, path, "slope", "aspect_sin")
    assert slope == pytest.approx(45, abs=1e-5) and sine == pytest.approx(
        1
    )  # deeper to the east: falls to the east


def test_tiles_of_a_mosaic_are_converted_one_by_one(tmp_path):
    west = write_dem(tmp_path / "west.tif", FOOT, "ft")
    for made, said in (
        ({}, 0),
        ({"unit": "m"}, 0),
        ({"unit_m": FOOT}, 1),
        ({"unit_m": 0.01, "unit": "cm"}, 0),
    ):
        if not made:
            made = {"unit_m": FOOT, "unit": "feet"}
        east = write_dem(tmp_path / "east.tif", corner=SIDE, **made)
        values, warnings = derived(tmp_path, west, paths=(east,))
        assert values.shape[2] == 2 * SIDE
        np.testing.assert_allclose(values, 45, atol=1e-4)
        assert len(warnings) == said and all("1 of 2 files" in text and "ft" in text for text in warnings)


@pytest.mark.skipif(not shutil.which("gdalbuildvrt"), reason="gdalbuildvrt is not on PATH")
def test_a_virtual_raster_is_asked_for_the_unit_of_its_files(tmp_path):
    west = write_dem(tmp_path / "west.tif", FOOT, "ft")
    for unit_m, unit in ((FOOT, "ft"), (1.0, "m")):
        east = write_dem(tmp_path / f"east_{unit}.tif", unit_m, unit, corner=SIDE)
        target = tmp_path / f"{unit}.vrt"
        subprocess.run(["gdalbuildvrt", "-q", str(target), west, east], check=True)
    assert derived(tmp_path, str(tmp_path / "ft.vrt"))[0].min() > 44.9
    with pytest.raises(GeoSegError) as caught:
        derived(tmp_path, str(tmp_path / "m.vrt"))
    assert caught.value.code == "mixed_units" and "east_m.tif: m" in caught.value.message


def recipe_of(path, *bands, **source):
    plan = plan_recipe((Source("dem", path, "Heights", **source),), bands, GridRequest())
    assert plan.recipe is not None
    return plan.recipe


BANDS = (Band("height", "dem"), Band("slope", "dem", 1, "slope"))


def on_other(trained: Recipe, path, **source):
    """Values of a model's bands on another file, and what is said of its units."""
    bound = rebind(trained, (Source("other", path, "Heights", **source),))
    bound, problems = fit_units(trained, bound)
    plan = plan_recipe(bound.sources, bound.bands, GridRequest(), trained=True)
    with StackReader(plan.recipe) as reader:
        return reader.read(full_window(reader.grid)), [problem.message for problem in problems]


@pytest.mark.parametrize(
    "trained_in", [{}, {"unit": "m"}, {"unit_m": FOOT, "unit": "ft"}, {"unit_m": 0.1, "unit": "dm"}]
)
@pytest.mark.parametrize(
    "other", [{"unit": "metre"}, {"unit_m": FOOT, "unit": "feet"}, {"unit_m": 0.01, "unit": "cm"}]
)
def test_a_model_sees_another_elevation_model_in_the_unit_that_it_learned(tmp_path, trained_in, other):
    learned = write_dem(tmp_path / "a.tif", base_m=500.0, **trained_in)
    trained = recipe_of(learned, *BANDS)
    with StackReader(trained) as reader:
        expected = reader.read(full_window(reader.grid))
    assert expected[0, 0, 0] == pytest.approx(500 / trained_in.get("unit_m", 1))  # as the file has it
    values, said = on_other(trained, write_dem(tmp_path / "b.tif", base_m=500.0, **other))
    np.testing.assert_allclose(values[1], 45, atol=1e-4)
    if trained_in or other["unit"] == "metre":
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        assert said == []
    else:  # nobody knows in what the heights of the training were
        assert len(said) == 1 and "'height' in an unknown unit" in said[0]


def test_what_was_said_of_the_unit_holds_for_other_files_that_say_nothing(tmp_path):
    trained = recipe_of(write_dem(tmp_path / "a.tif", US_FOOT), *BANDS, height_unit="US survey foot")
    values, said = on_other(trained, write_dem(tmp_path / "b.tif", US_FOOT))
    assert values[1] == pytest.approx(45, abs=1e-4) and len(said) == 1 and "as in the training" in said[0]
    same, said = on_other(trained, str(tmp_path / "a.tif"))
    assert np.array_equal(same, values) and said == []
    values, said = on_other(trained, write_dem(tmp_path / "c.tif", unit="m"))
    assert values[1] == pytest.approx(45, abs=1e-4) and said == []


def test_models_of_older_versions_go_on_with_heights_as_they_are(tmp_path):
    path = write_dem(tmp_path / "a.tif", FOOT, "ft")
    old = recipe_of(path, *BANDS)
    old = replace(old, bands=tuple(replace(band, unit="") for band in old.bands))
    values, said = on_other(old, path)
    assert values[1] == pytest.approx(math.degrees(math.atan(1 / FOOT)), abs=1e-4)
    assert any("metres for all heights" in text for text in said)


def test_a_unit_that_only_the_crs_lends_converts_no_other_band(tmp_path):
    """GDAL gives slopes and classes the unit of the vertical axis too; nothing shows that they are heights."""
    trained = recipe_of(write_dem(tmp_path / "a.tif", crs="EPSG:32632+5703"), BANDS[0])
    values, said = on_other(trained, write_dem(tmp_path / "b.tif", crs="EPSG:32632+6360"))
    assert values[0, 0, 1] == pytest.approx(PIXEL_M)
    assert len(said) == 1 and "not converted" in said[0]
    same, said = on_other(trained, write_dem(tmp_path / "c.tif", crs="EPSG:32632+5703"))
    assert said == [] and np.array_equal(same, values)


def test_a_stack_keeps_the_unit_of_heights(tmp_path):
    source = Source("dem", write_dem(tmp_path / "dem.tif", US_FOOT, "US survey foot"), "Heights")
    stack.run(StackJob((source,), BANDS, output="stack.tif"), tmp_path, channel(tmp_path))
    assert derived(tmp_path, str(tmp_path / "stack.tif"))[0] == pytest.approx(45, abs=1e-3)
    trained = recipe_of(write_dem(tmp_path / "m.tif", unit="m", base_m=100.0), *BANDS)
    bound = rebind(trained, (Source("s", str(tmp_path / "stack.tif"), "stack"),))
    assert [band.unit for band in bound.bands] == ["m", ""]
