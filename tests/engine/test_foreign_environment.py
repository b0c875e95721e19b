"""What other programs leave in the environment changes nothing, from every entry point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import geoseg_engine
from geoseg_engine.contract.environment import drop_foreign, is_foreign

TRAINING = Path(geoseg_engine.__file__).parents[1]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "PROJ_LIB",
            "PROJ_DATA",
            "GDAL_DATA",
            "GDAL_DRIVER_PATH",
            "GTIFF_POINT_GEO_IGNORE",
            "GDAL_PAM_ENABLED",
        ),
        *(
            "GDAL_DISABLE_READDIR_ON_OPEN",
            "GDAL_NETCDF_BOTTOMUP",
            "OSR_DEFAULT_AXIS_MAPPING_STRATEGY",
            "OGR_SKIP",
        ),
        *(
            "GDAL_SKIP",
            "GEOTIFF_CSV",
            "CPL_VSIL_CURL_ALLOWED_EXTENSIONS",
            "PROJ_AUX_DB",
            "PYOGRIO_USE_ARROW",
            "proj_lib",
        ),
    ],
)
def test_data_and_options_of_others_are_dropped(name):
    environ = {name: "somewhere", "PATH": "/usr/bin"}
    drop_foreign(environ)
    assert environ == {"PATH": "/usr/bin"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "GDAL_HTTP_PROXY",
            "GDAL_HTTP_TIMEOUT",
            "CPL_CURL_VERBOSE",
            "CPL_VSIL_CURL_CACHE_SIZE",
            "AWS_ACCESS_KEY_ID",
        ),
        *(
            "GDAL_CACHEMAX",
            "GDAL_NUM_THREADS",
            "PROJ_NETWORK",
            "CPL_TMPDIR",
            "OMP_NUM_THREADS",
            "CUDA_VISIBLE_DEVICES",
        ),
    ],
)
def test_network_memory_and_messages_are_the_users_own(name):
    assert not is_foreign(name)


def test_a_notebook_works_beside_another_proj(tmp_path):
    (tmp_path / "proj.db").write_bytes(b"of another version")
    code = (
        "import geoseg_engine.vector.features, rasterio.crs, pyogrio;"
        "from geoseg_engine.raster.sources import parse_crs;"
        "print(parse_crs('EPSG:32632').name, rasterio.crs.CRS.from_epsg(3035).is_projected)"
    )
    names = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")
    environ = {**os.environ, **dict.fromkeys(names, str(tmp_path)), "PYTHONPATH": str(TRAINING)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.split() == ["WGS", "84", "/", "UTM", "zone", "32N", "True"], done.stderr


def test_inside_qgis_they_are_its_own(tmp_path):
    code = "import sys, os, types; sys.modules['qgis'] = types.ModuleType('qgis'); import geoseg_engine.contract;"
    environ = {**os.environ, "PROJ_LIB": str(tmp_path), "PYTHONPATH": str(TRAINING)}
    done = subprocess.run(
        [sys.executable, "-c", code + "print(os.environ['PROJ_LIB'])"],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path)
