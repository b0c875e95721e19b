"""What a file offers: rasters, series, containers, vectors, and files that are none of these."""

import json

import numpy as np
import pytest
import rasterio
from data_scenes import channel, pixel_box, write_polygons, write_raster
from series_scenes import COLS, DATES, ROWS, values_of, write_files, write_netcdf

from geoseg_engine.contract import GeoSegError, InspectJob
from geoseg_engine.stacking.inspect import run


def inspected(path) -> dict:
    result = run(InspectJob(str(path)), path.parent, channel(path.parent))
    json.dumps(result)
    return result


def test_netcdf_offers_variables_dates_and_masks(tmp_path):
    mask = np.zeros((len(DATES), ROWS, COLS), np.int8)
    mask[4, 8:12] = 3
    found = inspected(write_netcdf(tmp_path / "s.nc", {"ndvi": values_of(), "clm": mask}, units="1"))
    assert found["kind"] == "series" and found["dates"] == list(DATES) and found["size"] == [COLS, ROWS]
    assert [variable["name"] for variable in found["variables"]] == ["ndvi", "clm"]
    assert found["variables"][0]["dims"] == ["time", "y", "x"] and found["variables"][0]["units"] == "1"
    assert found["masks"] == [{"name": "clm", "values": [0, 3]}] and found["crs"] == "EPSG:32632"


def test_a_raster_of_dates_is_a_series_and_one_of_bands_is_not(tmp_path):
    file = write_raster(tmp_path / "s.tif", values_of())
    plain = inspected(file)
    assert plain["kind"] == "raster" and not plain["dates"] and len(plain["bands"]) == 6
    with rasterio.open(file, "r+") as dataset:
        dataset.descriptions = DATES
    dated = inspected(file)
    assert dated["kind"] == "series" and dated["dates"] == list(DATES)
    assert dated["bands"][2] == {"index": 3, "name": DATES[2], "dtype": "int16", "description": DATES[2]}


def test_one_file_of_a_series_tells_its_date_and_its_mask(tmp_path):
    found = inspected(tmp_path / write_files(tmp_path, values_of())[1])
    assert found["kind"] == "raster" and found["dates"] == [DATES[1]]
    assert found["masks"] == [{"name": "2", "values": [0, 1]}]


def test_vector_layers_and_their_fields(tmp_path):
    shapes = [pixel_box(row, 0, 2, 2) for row in range(0, 50, 2)]
    kinds = ["till", "clay"] * 12 + [None]
    file = write_polygons(tmp_path / "soil.gpkg", shapes, kind=kinds, depth=[float(n) for n in range(25)])
    found = inspected(file)
    assert found["kind"] == "vector" and found["crs"] == "EPSG:32632"
    (layer,) = found["layers"]
    assert layer["name"] == "soil" and layer["geometry"] == "Polygon"
    assert layer["fields"] == [
        {"name": "kind", "type": "text", "values": ["clay", "till"]},
        {"name": "depth", "type": "real", "values": []},
    ]


def test_what_is_no_geodata_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    (tmp_path / "zeros.nc").write_bytes(bytes(1000))
    for name, words in (
        ("notes.txt", "neither a raster nor"),
        ("zeros.nc", "neither"),
        ("gone.tif", "does not exist"),
    ):
        with pytest.raises(GeoSegError, match=words):
            inspected(tmp_path / name)
