"""Opening rasters: one clear error with a next step for each way in which it can fail."""

import json

import numpy as np
import pytest
import rasterio
from data_scenes import CORNER, UTM, hills, sources_of, write_raster
from rasterio.control import GroundControlPoint

from geoseg_engine import cli
from geoseg_engine.contract import PROTOCOL, Band, GeoSegError, Recipe, Source, job_from_json
from geoseg_engine.raster.grid import Window, grid_bounds
from geoseg_engine.raster.sources import all_bands, open_source, source_grid
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.rebind import rebind


def refusal(path, **more) -> GeoSegError:
    with pytest.raises(GeoSegError) as caught, open_source(Source("a", str(path), "my layer", **more)):
        pass
    assert "my layer" in caught.value.message and caught.value.hint
    return caught.value


def test_vanished_file(tmp_path):
    assert refusal(tmp_path / "gone.tif").code == "file_missing"


def test_file_that_gdal_cannot_open(tmp_path):
    (tmp_path / "a.tif").write_text("not a raster", encoding="utf-8")
    error = refusal(tmp_path / "a.tif")
    assert error.code == "cannot_open" and "Export" in error.hint


def test_no_crs_unless_the_source_names_one(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(8, 8), crs=None)
    assert refusal(path).code == "no_crs"
    with open_source(Source("a", str(path), crs=UTM)) as dataset:
        assert source_grid(Source("a", str(path), crs=UTM), dataset).crs == UTM


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ungeoreferenced(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(8, 8), transform=rasterio.Affine.identity())
    assert refusal(path).code == "not_georeferenced"


@pytest.mark.parametrize(
    ("crs", "corner", "pixel"),
    [
        ("EPSG:4326", CORNER, 10.0),
        (UTM, (10.3, 46.9), 1e-4),
        (UTM, (9e9, 5e9), 10.0),
    ],
)
def test_crs_that_lies(tmp_path, crs, corner, pixel):
    assert refusal(write_raster(tmp_path / "a.tif", hills(8, 8), pixel, corner, crs)).code == "crs_lies"


def test_complex_values(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(8, 8).astype(np.complex64))
    assert refusal(path).code == "complex_values"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_are_applied(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(40, 50), crs=None, transform=rasterio.Affine.identity())
    x, y = CORNER
    points = [
        GroundControlPoint(row, col, x + 10 * col, y - 10 * row) for row in (0, 20, 40) for col in (0, 25, 50)
    ]
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = points, rasterio.crs.CRS.from_string(UTM)
    source = Source("a", str(path), "a")
    with open_source(source) as dataset:
        grid = source_grid(source, dataset)
    assert grid_bounds(grid) == pytest.approx((x, y - 400, x + 500, y), abs=15)
    with StackReader(Recipe((source,), (Band("a", "a"),), grid)) as reader:
        assert np.isfinite(reader.read(Window(5, 5, 20, 20))).all()


def test_damaged_file_is_named_when_it_is_read(tmp_path):
    path = write_raster(
        tmp_path / "a.tif", hills(300, 300), compress="deflate", tiled=True, blockxsize=64, blockysize=64
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = Source("a", str(path), "my layer")
    with open_source(source) as dataset:
        grid = source_grid(source, dataset)
    with (
        pytest.raises(GeoSegError) as caught,
        StackReader(Recipe((source,), (Band("a", "a"),), grid)) as reader,
    ):
        reader.read(Window(0, 0, 300, 300))
    assert caught.value.code == "cannot_read" and "my layer" in caught.value.message


def test_registered_crs_is_found_in_wkt(tmp_path):
    esri = rasterio.crs.CRS.from_epsg(32632).to_wkt(version="WKT1_ESRI")
    path = write_raster(tmp_path / "a.tif", hills(8, 8))
    source = Source("a", str(path), crs=esri)
    with open_source(source) as dataset:
        assert source_grid(source, dataset).crs == UTM


def test_all_bands_leaves_alpha_out_and_takes_palettes_as_categories(tmp_path):
    write_raster(tmp_path / "rgba.tif", np.zeros((4, 8, 8), np.uint8), photometric="rgb", alpha="yes")
    palette = write_raster(tmp_path / "map.tif", np.zeros((8, 8), np.uint8), photometric="palette")
    with rasterio.open(palette, "r+") as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255)})
    bands = all_bands(
        [
            {"key": "a", "path": str(tmp_path / "rgba.tif"), "name": "rgba"},
            {"key": "b", "path": str(palette), "name": "map"},
            {"key": "c", "path": str(palette), "name": "map"},
        ]
    )
    assert [band["name"] for band in bands] == ["rgba 1", "rgba 2", "rgba 3", "map", "map map"]
    assert bands[3]["resampling"] == "nearest" and bands[0]["resampling"] == "bilinear"


def described(path, names, seed=0):
    write_raster(path, np.stack([hills(10, 10, seed + index) for index in range(len(names))]))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = tuple(names)
    return path


def two_slots(tmp_path) -> Recipe:
    image = described(tmp_path / "image.tif", ["red", "nir"])
    dem = write_raster(tmp_path / "dem.tif", hills(10, 10))
    sources = sources_of(image, dem)
    bands = (Band("red", "r1", 1), Band("nir", "r1", 2), Band("slope", "r2", 1, "slope"))
    with open_source(sources[0]) as dataset:
        return Recipe(sources, bands, source_grid(sources[0], dataset))


def test_rebind_by_key_then_name_then_bands(tmp_path):
    recipe = two_slots(tmp_path)
    image = described(tmp_path / "other.tif", ["nir", "red"])
    dem = write_raster(tmp_path / "height.tif", hills(10, 10))
    assert rebind(recipe, ()) is recipe
    by_key = rebind(recipe, (Source("r2", str(dem)), Source("r1", str(image))))
    assert [source.path for source in by_key.sources] == [str(image), str(dem)]
    assert [band.index for band in by_key.bands] == [2, 1, 1], "bands follow their descriptions"
    by_name = rebind(recipe, (Source("x", str(dem), "DEM"), Source("y", str(image), "image")))
    assert [source.path for source in by_name.sources] == [str(image), str(dem)]
    assert [source.key for source in by_name.sources] == ["r1", "r2"]
    by_count = rebind(recipe, (Source("x", str(dem), "p"), Source("y", str(image), "q")))
    assert [source.path for source in by_count.sources] == [str(image), str(dem)]


def test_rebind_to_one_stack_with_all_bands(tmp_path):
    recipe = two_slots(tmp_path)
    one = described(tmp_path / "stack.tif", ["slope", "red", "nir"])
    found = rebind(recipe, (Source("s", str(one)),))
    assert [(band.index, band.derive) for band in found.bands] == [(2, ""), (3, ""), (1, "")]


def test_rebind_says_what_is_missing(tmp_path):
    recipe = two_slots(tmp_path)
    with pytest.raises(GeoSegError) as caught:
        rebind(recipe, (Source("x", str(tmp_path / "dem.tif"), "my dem"),))
    assert caught.value.code == "missing_bands"
    assert "red, nir" in caught.value.message and "my dem" in caught.value.message


def test_the_shell_finds_the_slots_of_a_model_by_name_not_by_order(tmp_path):
    optical, dem = (write_raster(tmp_path / f"{name}.tif", hills(10, 10)) for name in ("optical", "dem"))
    sources = (Source("r1", str(optical), "optical"), Source("r2", str(dem), "dem"))
    with open_source(sources[0]) as dataset:
        recipe = Recipe(
            sources, (Band("optical", "r1", 1), Band("dem", "r2", 1)), source_grid(sources[0], dataset)
        )
    flags = ["--job-folder", str(tmp_path), "--model", "m.onnx", "--sources", str(dem), str(optical)]
    written = json.loads(
        cli.write_job(cli.parser().parse_args(["predict", *flags])).read_text(encoding="utf-8")
    )
    assert written["protocol"] == PROTOCOL
    given = job_from_json(written).sources
    assert not {source.key for source in given} & {"r1", "r2"}
    assert [source.path for source in rebind(recipe, given).sources] == [str(optical), str(dem)]
