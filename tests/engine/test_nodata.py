"""Pixels without value, in every form in which a file can say so, and in several at once."""

import numpy as np
import pytest
import rasterio
from data_scenes import CORNER, UTM, hills, write_cf, write_raster
from rasterio.control import GroundControlPoint

from geoseg_engine.bands.sources.registry import open_bands, own_grid
from geoseg_engine.contract import Band, Series, Source
from geoseg_engine.postprocess.polygons.polygonize import code_reader
from geoseg_engine.raster.grid import Window, full_window
from geoseg_engine.raster.nodata import no_values
from geoseg_engine.raster.pixel_values import raster_values
from geoseg_engine.raster.sources import open_source

SIDE = 32
COUNT = np.arange(1, SIDE * SIDE + 1).reshape(SIDE, SIDE)
RIM = np.full((SIDE, SIDE), 255, np.uint8)
RIM[:, :3] = 0


def holed(dtype: str, nodata: float) -> np.ndarray:
    """Values that differ, with a hole of 16 pixels."""
    values = (COUNT % 200 + 1 if dtype == "uint8" else COUNT).astype(dtype)
    values[4:8, 4:8] = nodata
    return values


def masked(path, values, nodata=None, internal=True, **options):
    """A raster whose mask leaves out the first three columns."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        write_raster(path, values, nodata=nodata, **options)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(RIM)
    return path


def with_alpha(path, values, nodata=None):
    bands = np.concatenate([values if values.ndim == 3 else values[None], RIM[None].astype(values.dtype)])
    write_raster(path, bands, nodata=nodata)
    with rasterio.open(path, "r+") as dataset:
        meanings = list(dataset.colorinterp)
        dataset.colorinterp = [*meanings[:-1], rasterio.enums.ColorInterp.alpha]
    return path


def valued(path, dtype="float32", part=None, **more) -> np.ndarray:
    source = Source("a", str(path), **more)
    with open_source(source) as dataset:
        return raster_values(
            source, dataset, [1], part or Window(0, 0, dataset.height, dataset.width), dtype
        )[0]


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", -9999), ("int16", -32768), ("uint8", 0), ("int64", -99)]
)
def test_nodata_counts_beside_a_mask(tmp_path, dtype, nodata, internal):
    found = valued(masked(tmp_path / "a.tif", holed(dtype, nodata), nodata, internal), "float64")
    assert np.isnan(found[:, :3]).all() and np.isnan(found[4:8, 4:8]).all() and np.isnan(found).sum() == 112
    assert np.array_equal(found[8:, 3:], holed(dtype, nodata)[8:, 3:])


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", None), ("uint8", 0), ("uint16", 0), ("float32", None), ("float32", -9999)]
)
def test_alpha_counts_whatever_the_type_and_beside_nodata(tmp_path, bands, dtype, nodata):
    """GDAL looks at alpha for bytes of two and four bands alone, and not beside nodata."""
    values = np.stack([holed(dtype, nodata if nodata is not None else 7)] * bands)
    found = valued(with_alpha(tmp_path / "a.tif", values, nodata))
    assert np.isnan(found).sum() == (96 if nodata is None else 112)


def test_a_window_has_the_values_of_the_whole(tmp_path):
    path = with_alpha(tmp_path / "a.tif", holed("float32", -9999), -9999)
    assert np.array_equal(valued(path, part=Window(3, 1, 9, 20)), valued(path)[3:12, 1:21], equal_nan=True)
    assert np.isnan(valued(path, part=Window(-2, 25, 10, 20))).sum() == 200 - 8 * 7


def test_nodata_of_all_bands_together_is_no_nodata_of_one(tmp_path):
    bands = np.stack([holed("uint8", 0)] * 3)
    bands[0, 20] = 0
    write_raster(tmp_path / "a.tif", bands)
    with rasterio.open(tmp_path / "a.tif", "r+") as dataset:
        dataset.update_tags(NODATA_VALUES="0 0 0")
    assert np.isnan(valued(tmp_path / "a.tif")).sum() == 16


def test_packed_values_are_marked_in_packed_units(tmp_path):
    path = masked(tmp_path / "a.tif", holed("int16", -1), -1)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5,), (10.0,)
    found = valued(path)
    assert np.isnan(found).sum() == 112 and found[0, 3] == 0.5 * 4 + 10


def test_the_nodata_of_the_source_replaces_values_and_not_masks(tmp_path):
    found = valued(masked(tmp_path / "a.tif", holed("float32", -9999), -9999), nodata=1000.0)
    assert np.isnan(found).sum() == 96 + 1 and (found == -9999).sum() == 16


def test_odd_nodata_beyond_float64_is_exact_beside_a_mask(tmp_path):
    values = holed("int64", 2**60 + 1)
    values[10, 10] = 2**60
    masked(tmp_path / "a.tif", values)
    (tmp_path / "a.vrt").write_text(
        f"""<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>{UTM}</SRS>
        <GeoTransform>{CORNER[0]}, 10, 0, {CORNER[1]}, 0, -10</GeoTransform>
        <VRTRasterBand dataType="Int64" band="1"><NoDataValue>{2**60 + 1}</NoDataValue><SimpleSource>
        <SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
        </VRTRasterBand><MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>
        <SourceFilename relativeToVRT="1">a.tif</SourceFilename>
        <SourceBand>mask,1</SourceBand></SimpleSource></VRTRasterBand></MaskBand></VRTDataset>""",
        encoding="utf-8",
    )
    found = valued(tmp_path / "a.vrt", "float64")
    assert np.isnan(found).sum() == 112 and found[10, 10] == 2**60


FILLS = {
    "two fill values": ("f", {"_FillValue": np.float32(-9999), "missing_value": np.float32(-8888)}, 9),
    "a list of them": (
        "f",
        {"_FillValue": np.float32(-9999), "missing_value": np.array([-8888, 77], "f")},
        10,
    ),
    "missing_value alone": ("f", {"missing_value": np.float32(-9999)}, 4),
    "packed": (
        "h",
        {"_FillValue": np.int16(-9999), "missing_value": np.int16(-8888), "scale_factor": 0.5},
        9,
    ),
    "range and fill": ("h", {"_FillValue": np.int16(-9999), "valid_range": np.array([0, 250], "h")}, 14),
    "limits": ("h", {"valid_min": np.int16(0), "missing_value": np.int16(40)}, 10),
}


@pytest.mark.parametrize("kind", ["raster", "series"])
@pytest.mark.parametrize("name", FILLS)
def test_every_fill_value_of_a_netcdf_counts(tmp_path, name, kind):
    code, attributes, count = FILLS[name]
    values = np.arange(256).reshape(16, 16).astype(code)
    values[0, :4], values[1, :5] = -9999, -8888
    path = write_cf(tmp_path / "a.nc", values, (10.0, 50.0), 0.1, **attributes)
    series = Series(("v",), ("2020-01-01",)) if kind == "series" else None
    source = Source("s", str(path), kind=kind, series=series)
    bands = (
        Band("v", "s", derive="date" if series else "", parameters={"date": "2020-01-01"} if series else {}),
    )
    grid = own_grid(source, bands)
    with open_bands(source, bands, grid) as opened:
        found = opened.read(full_window(grid))
    assert np.isnan(found).sum() == count


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("mark", ["nothing", "nodata", "mask", "alpha"])
def test_beside_a_picture_that_is_turned_by_control_points_there_is_no_value(tmp_path, mark):
    values = np.full((40, 50), 7, np.uint8)
    path, identity = tmp_path / "a.tif", rasterio.Affine.identity()
    bands = np.stack([values, np.full_like(values, 255)]) if mark == "alpha" else values
    options = {"photometric": "minisblack", "alpha": "yes"} if mark == "alpha" else {}
    write_raster(path, bands, crs=None, transform=identity, nodata=0 if mark == "nodata" else None, **options)
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        if mark == "mask":
            dataset.write_mask(np.full(values.shape, 255, np.uint8))
        dataset.gcps = (
            [
                GroundControlPoint(
                    r, c, CORNER[0] + 10 * (c * cos + r * sin), CORNER[1] + 10 * (c * sin - r * cos)
                )
                for r in (0, 20, 40)
                for c in (0, 25, 50)
            ],
            rasterio.crs.CRS.from_string(UTM),
        )
    found = valued(path)
    assert np.nanmin(found) == np.nanmax(found) == 7
    assert np.isfinite(found).sum() == pytest.approx(values.size, rel=0.01) and found.size > 1.5 * values.size


def test_a_class_raster_with_alpha_beside_nodata_is_read_by_both(tmp_path):
    path = with_alpha(tmp_path / "a.tif", holed("uint8", 0), 0)
    source = Source("a", str(path))
    with open_source(source, classes=True) as dataset:
        codes = code_reader(source, dataset, {dataset.nodata})(Window(0, 0, SIDE, SIDE))
    assert (codes == 0).sum() == 112


def test_a_plain_file_is_said_to_be_complete_and_asked_once(tmp_path):
    write_raster(tmp_path / "a.tif", holed("int16", 3))
    write_raster(tmp_path / "b.tif", hills(8, 8), nodata=np.nan)
    with open_source(Source("a", str(tmp_path / "a.tif"))) as dataset:
        assert no_values(dataset)[0].complete and no_values(dataset) is no_values(dataset)
    with open_source(Source("b", str(tmp_path / "b.tif"))) as dataset:
        assert no_values(dataset)[0].simple and not no_values(dataset)[0].complete
