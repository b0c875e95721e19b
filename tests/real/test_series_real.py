"""Real time series against the arrays they were made of, and every file of the real data looked at."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoseg_engine.bands.sources.registry import open_bands, own_grid
from geoseg_engine.contract import Band, GeoSegError, InspectJob, Series, Source
from geoseg_engine.raster.dates import iso
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.series import open_series
from geoseg_engine.stacking.inspect import run

NO_GEODATA = {".cpg", ".prj", ".xml", ".npy", ".txt", ".md", ".rst", ".ini", ".json", ".onnx", ".bin", ""}


def statistic(derive: str, index: int = 1, **parameters) -> Band:
    return Band(f"{derive} {parameters}", "s", index, derive, parameters=parameters)


def read(source: Source, *bands: Band) -> np.ndarray:
    grid = own_grid(source, bands)
    with open_bands(source, bands, grid) as layer:
        return layer.read(full_window(grid))


@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty", "ignore:Degrees of freedom")
def test_68_dates_with_clouds_equal_the_arrays_they_were_made_of(data):
    folder = data / "eolearn_timeseries_lulc"
    ndvi, clouds = (np.load(folder / "original_npy" / f"{name}.npy")[..., 0] for name in ("NDVI", "CLM"))
    clear = np.where(clouds == 0, ndvi, np.nan).astype(np.float64)
    source = Source("s", str(folder / "series.nc"), kind="series", series=Series(("NDVI",), mask="CLM"))
    found = read(source, statistic("median"), statistic("percentile", percent=20), statistic("deviation"),
                 statistic("mean"), statistic("amplitude"), statistic("valid_count"))  # fmt: skip
    wanted = [np.nanmedian(clear, 0), np.nanpercentile(clear, 20, axis=0), np.nanstd(clear, 0)]
    wanted += [np.nanmean(clear, 0), np.nanmax(clear, 0) - np.nanmin(clear, 0), np.isfinite(clear).sum(0)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    grid = own_grid(source)
    assert (grid.width, grid.height) == (100, 101) and abs(grid.transform[0]) != abs(grid.transform[4])


def test_68_dates_as_bands_are_the_same_series(data):
    folder = data / "eolearn_timeseries_lulc"
    netcdf = Source("s", str(folder / "series.nc"), kind="series", series=Series(("NDVI",)))
    bands = Source("s", str(folder / "ndvi_68dates.tif"), kind="series")
    with open_series(netcdf) as one, open_series(bands) as other:
        assert [iso(day) for day in one.days] == [iso(day) for day in other.days]
        assert len(one.days) == 68
    asked = (statistic("median"), statistic("maximum"), statistic("date", date="2016-07-01"))
    np.testing.assert_array_equal(read(netcdf, *asked), read(bands, *asked))


def test_twelve_files_by_name_in_jpeg_2000(data):
    files = sorted(str(file) for file in (data / "awkward_rasters" / "sits_modis_12dates").glob("*.jp2"))
    source = Source("s", files[0], paths=tuple(files[1:]), kind="series", series=Series(months=(12, 1, 2)))
    with open_series(source) as series:
        assert [iso(day) for day in series.days] == ["2013-12-19", "2014-01-17", "2014-02-18"]
    lowest, highest = read(source, statistic("minimum"), statistic("maximum"))
    assert np.isfinite(lowest).mean() > 0.9 and np.nanmin(highest - lowest) >= 0


def test_333_irregular_dates_with_scale_and_nodata(data):
    path = data / "awkward_rasters" / "enmap-box" / "Unevenly_spaced_time_series.nc"
    source = Source("s", str(path), kind="series", series=Series(("LAI",)))
    with open_series(source) as series:
        assert len(series.days) == 333 and iso(series.days[0]) == "2015-07-04"
    median, count = read(source, statistic("median"), statistic("valid_count"))
    assert 0 < np.nanmean(median) < 3 and 150 < np.nanmean(count) < 333


def test_a_time_series_without_dates_asks_for_them(data):
    path = data / "awkward_rasters" / "enmap-box" / "Unevenly_spaced_time_series_R_terra.tif"
    with pytest.raises(GeoSegError, match="no date for band 1 of 333"):
        own_grid(Source("s", str(path), kind="series"))


def test_every_file_is_looked_at_or_refused_with_a_reason(data):
    seen = 0
    for file in sorted(file for file in data.rglob("*") if file.is_file()):
        try:
            found = run(InspectJob(str(file)), data, None)
        except GeoSegError as error:
            assert error.code == "cannot_open" and file.suffix.lower() in NO_GEODATA, (file, error)
            continue
        json.dumps(found)
        assert found["bands"] or found["subdatasets"] or found["layers"], file
        seen += 1
    assert seen > 100


def test_what_the_series_offer(data):
    def look(*parts: str) -> dict:
        return run(InspectJob(str(Path(data, *parts))), data, None)

    eolearn = look("eolearn_timeseries_lulc", "series.nc")
    assert eolearn["kind"] == "series" and len(eolearn["dates"]) == 68
    assert [mask["name"] for mask in eolearn["masks"]] == ["CLM"] and 1 in eolearn["masks"][0]["values"]
    assert len(look("awkward_rasters", "enmap-box", "Unevenly_spaced_time_series.nc")["dates"]) == 333
    assert look("awkward_rasters", "rioxarray", "PLANET_SCOPE_3D.nc")["dates"] == ["2016-12-19", "2016-12-29"]
