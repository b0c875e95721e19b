"""Every awkward raster, one by one: stacked with the values that the file declares, or refused with a reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "studies"))

from prepare_cases import awkward, awkward_files  # noqa: E402

OWN = "own grid"
"""Kept pixel for pixel: what comes out is computed again by rasterio alone."""

EXPECTED: dict[str, Any] = {
    "eis_toolkit/clipped_snap_raster.tif": OWN,
    "eis_toolkit/nonsquared_pixelsize_raster.tif": OWN,
    "eis_toolkit/raster_to_unify_1.tif": OWN,
    "eis_toolkit/raster_to_unify_2.tif": OWN,
    "eis_toolkit/small_raster.tif": OWN,
    "eis_toolkit/small_raster_EPSG4326.tif": OWN,
    "eis_toolkit/small_raster_multiband.tif": OWN,
    "eis_toolkit/small_raster_qgis_kkj.tif": OWN,
    "eis_toolkit/snap_raster.tif": OWN,
    "eis_toolkit/snap_test_raster_nonsquare.tif": OWN,
    "eis_toolkit/snap_test_raster_outofbounds.tif": OWN,
    "eis_toolkit/snap_test_raster_right_bottom.tif": OWN,
    "eis_toolkit/snap_test_raster_right_top.tif": OWN,
    "eis_toolkit/snap_test_raster_smaller_cells.tif": OWN,
    "enmap-box/Unevenly_spaced_time_series.nc": OWN,
    "enmap-box/Unevenly_spaced_time_series_R_terra.tif": OWN,
    "enmap-box/enmap_grid_300m.vrt": OWN,
    "odc-geo/au-3577-rotated.tif": ("167 × 162", 0.3058, 0.49916),
    "odc-geo/au-3577.tif": OWN,
    "odc-geo/au-gcp.tif": ("162 × 120", 0.4263, 86.82),
    "opengeos_naip/m_4709963_se_14_1_20090818.tif": OWN,
    "opengeos_naip/m_4709963_se_14_1_20200831.tif": OWN,
    "rasterio/389225main_sw_1965_1024.jpg": "not_georeferenced",
    "rasterio/RGB.byte.gcp.vrt": "not_georeferenced",
    "rasterio/RGB.byte.rpc.vrt": "not_georeferenced",
    "rasterio/RGB.byte.tif": OWN,
    "rasterio/RGB.nc": "no_bands",
    "rasterio/RGB2.byte.tif": OWN,
    "rasterio/RGBA.byte.tif": OWN,
    "rasterio/RGBA.uint16.tif": OWN,
    "rasterio/all-nodata.tif": "empty_band",
    "rasterio/alpha.tif": OWN,
    "rasterio/byte.tif": OWN,
    "rasterio/cogeo.tif": OWN,
    "rasterio/corrupt.tif": "cannot_read",
    "rasterio/float.tif": "no_crs",
    "rasterio/float_nan.tif": "no_crs",
    "rasterio/float_raster_with_nodata.tif": OWN,
    "rasterio/goes.tif": OWN,
    "rasterio/no_band.h5": "no_bands",
    "rasterio/rgb1.tif": OWN,
    "rasterio/rgb1_fake_nir_epsg3857.tif": OWN,
    "rasterio/rgb2.tif": OWN,
    "rasterio/rgb3.tif": OWN,
    "rasterio/rgb4.tif": OWN,
    "rasterio/rotated.tif": "no_crs",
    "rasterio/shade.tif": OWN,
    "rasterio/test_esri_wkt.tif": OWN,
    "rasterio/two-subs.h5": "no_bands",
    "rasterio/white-gemini-iv.vrt": ("1164 × 1044", 0.7156, 58.465),
    "rio-tiler/cog_cmap.tif": OWN,
    "rio-tiler/cog_dateline.tif": OWN,
    "rio-tiler/cog_gcps.tif": ("1417 × 1071", 0.7051, 101.47),
    "rio-tiler/cog_int16.tif": OWN,
    "rio-tiler/cog_nodata.tif": OWN,
    "rio-tiler/cog_nodata_nan.tif": OWN,
    "rio-tiler/cog_scale.tif": OWN,
    "rio-tiler/nocog.tif": OWN,
    "rio-tiler/pix4d_alpha_nodata.tif": OWN,
    "rioxarray/2d_test.tif": ("14 × 14", 0.5153, 0.20923),
    "rioxarray/MODIS_ARRAY.nc": OWN,
    "rioxarray/PLANET_SCOPE_3D.nc": "no_bands",
    "rioxarray/cint16.tif": "complex_values",
    "rioxarray/cog.tif": OWN,
    "rioxarray/nonstandard_dim.nc": OWN,
    "rioxarray/sentinel_2_L1C_geographic.nc": "no_bands",
    "rioxarray/small_dem_3m_merged.tif": OWN,
    "rioxarray/test_rpcs.tif": "not_georeferenced",
    "rioxarray/tmmx_20190121.nc": OWN,
    "rioxarray/unicode.nc": "not_georeferenced",
    **{
        f"sits_modis_12dates/TERRA_MODIS_012010_NDVI_{date}.jp2": OWN
        for date in (
            *("2013-09-14", "2013-10-16", "2013-11-17", "2013-12-19", "2014-01-17", "2014-02-18"),
            *("2014-03-22", "2014-04-23", "2014-05-25", "2014-06-26", "2014-07-28", "2014-08-29"),
        )
    },
}
"""File -> kept on its own grid, or (size, valid share, mean of the first band) on a north-up one, or the refusal."""

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_no_file_is_forgotten(data):
    assert {f"{path.parent.name}/{path.name}" for path in awkward_files(data)} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_stacked_with_its_values_or_refused_with_a_reason(tmp_path, data, name):
    path = data / "awkward_rasters" / name
    facts = awkward(path, tmp_path)
    wanted = EXPECTED[name]
    if isinstance(wanted, tuple):
        assert facts["size"] == wanted[0]
        assert (facts["valid"], facts["mean"]) == pytest.approx(wanted[1:], rel=2e-3)
    elif wanted == OWN:
        size, valid, mean = by_rasterio(path)
        assert facts["size"] == size
        assert facts["valid"] == pytest.approx(valid, abs=1e-4)
        assert facts["mean"] == pytest.approx(mean, rel=1e-4)
    else:
        assert facts["refused"] == wanted and path.stem in facts["message"]


def by_rasterio(path: Path) -> tuple[str, float, float]:
    """Size, valid share and mean of the first band as the file declares them: mask, nodata, NaN, scale, offset."""
    with rasterio.open(path) as dataset:
        values = dataset.read(1).astype(np.float64)
        valid = (dataset.read_masks(1) > 0) & np.isfinite(values)
        values = values * dataset.scales[0] + dataset.offsets[0]
        return f"{dataset.width} × {dataset.height}", float(valid.mean()), float(values[valid].mean())
