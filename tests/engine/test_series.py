"""Time series of every form, built here with known values, read through the stack."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_scenes import CORNER, UTM, utm_grid, write_raster
from rasterio.crs import CRS
from scipy.io import netcdf_file
from series_scenes import COLS, DATES, ROWS, values_of, write_files, write_netcdf

from geoseg_engine.bands.sources import series as seriesbands
from geoseg_engine.bands.sources.registry import open_bands, own_grid
from geoseg_engine.contract import Area, Band, GeoSegError, Grid, GridRequest, Recipe, Series, Source
from geoseg_engine.raster import unpacked
from geoseg_engine.raster.dates import iso
from geoseg_engine.raster.grid import Window, full_window, grid_bounds, windows
from geoseg_engine.raster.series_files import file_date
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.recipe_plan import plan_recipe
from geoseg_engine.stacking.stack_plan import plan_stack


def statistic(derive: str, index: int = 1, **parameters) -> Band:
    return Band(f"{derive} {index} {parameters}", "s", index, derive, parameters=parameters)


def read(source: Source, *bands: Band, grid: Grid | None = None) -> np.ndarray:
    grid = grid or own_grid(source, bands)
    with open_bands(source, bands, grid) as layer:
        return layer.read(full_window(grid))


def dates_of(source: Source) -> list[str]:
    with seriesbands.open_series(source) as series:
        return [iso(day) for day in series.days]


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("south_up", [False, True])
def test_netcdf_variables_with_mask_scale_and_nodata(tmp_path, south_up):
    red, nir = values_of(), values_of(seed=1)
    red[2, 4:7, 5:9] = -999
    mask = (np.random.default_rng(2).random(red.shape) < 0.4).astype(np.int8)
    file = write_netcdf(
        tmp_path / "s.nc", {"red": red, "nir": nir, "mask": mask}, south_up,
        scale_factor=0.0001, add_offset=0.1, _FillValue=np.int16(-999),
    )  # fmt: skip
    source = Source("s", str(file), kind="series", series=Series(("nir", "red"), mask="mask"))
    found = read(source, statistic("median", 1), statistic("median", 2), statistic("valid_count", 2))
    clear = mask == 0
    wanted = np.nanmedian(np.where(clear, nir * 0.0001 + 0.1, np.nan), axis=0)
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)
    clear &= red != -999
    wanted = np.nanmedian(np.where(clear, red * 0.0001 + 0.1, np.nan), axis=0)
    np.testing.assert_allclose(found[1], wanted, atol=1e-6)
    np.testing.assert_array_equal(found[2], np.where(clear.any(axis=0), clear.sum(axis=0), np.nan))


def test_netcdf_grid_has_its_oblong_pixels(tmp_path):
    source = Source("s", str(write_netcdf(tmp_path / "s.nc", {"a": values_of()})), kind="series")
    grid = own_grid(source, (statistic("mean"),))
    assert (grid.width, grid.height) == (COLS, ROWS) and grid.crs == UTM
    np.testing.assert_allclose(grid.transform, (10, 0, CORNER[0], 0, -8, CORNER[1]))


def test_values_of_the_mask_that_mean_clear(tmp_path):
    values, mask = (
        values_of(),
        np.random.default_rng(2).integers(0, 9, (len(DATES), ROWS, COLS)).astype(np.int8),
    )
    file = write_netcdf(tmp_path / "s.nc", {"a": values, "mask": mask})
    source = Source("s", str(file), kind="series", series=Series(("a",), mask="mask", clear=(4, 5)))
    clear = np.isin(mask, (4, 5))
    wanted = np.where(clear.any(axis=0), np.where(clear, values, 0).max(axis=0), np.nan)
    np.testing.assert_array_equal(read(source, statistic("maximum"))[0], wanted)


def test_dates_are_filtered_by_start_end_and_month(tmp_path):
    file = str(write_netcdf(tmp_path / "s.nc", {"a": values_of()}))

    def left(**filters) -> list[str]:
        return dates_of(Source("s", file, kind="series", series=Series(("a",), **filters)))

    assert left() == list(DATES)
    assert left(start="2019-03-05", end="2020-01-02") == list(DATES[1:5])
    assert left(months=(7, 8)) == [DATES[2], DATES[3], DATES[5]]
    assert left(start="2019-12-01", months=(7,)) == [DATES[5]]
    with pytest.raises(
        GeoSegError, match=r"None of the 6 dates .* \(2019-01-10 to 2020-07-15\) .* in months 11"
    ):
        left(months=(11,))


def test_no_date_left_is_a_problem_of_the_plan(tmp_path):
    file = str(write_netcdf(tmp_path / "s.nc", {"a": values_of()}))
    source = Source("s", file, kind="series", series=Series(("a",), start="2021-01-01"))
    plan = plan_stack((source,), (statistic("mean"),), GridRequest(), Area(), None)
    assert plan.recipe is None and [problem.code for problem in plan.problems] == ["no_dates_left"]


@pytest.mark.parametrize("form", ["{}", "NDVI {}", "underscores", "compact", "day of year", "metadata"])
def test_one_raster_whose_bands_are_dates(tmp_path, form):
    values = values_of()
    file = write_raster(tmp_path / "s.tif", values)
    with rasterio.open(file, "r+") as dataset:
        for band, date in enumerate(DATES, 1):
            day = np.datetime64(date)
            of_year = (day - day.astype("datetime64[Y]")).astype(int) + 1
            forms = {"underscores": date.replace("-", "_"), "compact": date.replace("-", ""),
                     "day of year": f"{date[:4]}_{of_year:03d}"}  # fmt: skip
            if form == "metadata":
                dataset.update_tags(band, acquisition_date=date)
            else:
                dataset.set_band_description(band, forms.get(form, form.format(date)))
    source = Source("s", str(file), kind="series")
    assert dates_of(source) == list(DATES)
    np.testing.assert_allclose(read(source, statistic("mean"))[0], values.mean(axis=0), rtol=1e-6)


def test_bands_without_dates_need_them_given(tmp_path):
    file = str(write_raster(tmp_path / "s.tif", values_of()))
    with pytest.raises(GeoSegError, match="no date for band 1 of 6"):
        dates_of(Source("s", file, kind="series"))
    given = Source("s", file, kind="series", series=Series(dates=DATES))
    assert dates_of(given) == list(DATES)
    with pytest.raises(GeoSegError, match="2 dates are given for layer 's', which has 6"):
        dates_of(Source("s", file, kind="series", series=Series(dates=DATES[:2])))


def test_one_file_a_date_in_any_order_with_a_band_as_mask(tmp_path):
    values = values_of()
    files = write_files(tmp_path, values)
    series = Series(mask="2", clear=(1,))
    source = Source("s", files[3], paths=files[:3] + files[4:], kind="series", series=series)
    assert dates_of(source) == list(DATES)
    odd = values % 2 == 1
    wanted = np.where(odd.any(axis=0), np.where(odd, values, 0).max(axis=0), np.nan)
    np.testing.assert_array_equal(read(source, statistic("maximum"))[0], wanted)


def test_files_that_differ_in_extent_are_one_series(tmp_path):
    values = values_of(2)
    first = write_raster(tmp_path / "a_2019-01-01.tif", values[0])
    moved = write_raster(tmp_path / "b_2019-02-01.tif", values[1], corner=(CORNER[0] - 50, CORNER[1] + 20))
    source = Source("s", str(first), paths=(str(moved),), kind="series")
    grid = own_grid(source)
    assert grid_bounds(grid) == (CORNER[0] - 50, CORNER[1] - 230, CORNER[0] + 310, CORNER[1] + 20)
    count, highest = read(source, statistic("valid_count"), statistic("maximum"))
    assert count[0, 0] == 1 and count[2, 5] == 2 and np.isnan(count[0, -1])
    assert highest[2, 5] == max(values[0, 0, 0], values[1, 2, 5])


def test_files_of_other_pixels_bands_or_crs_are_refused(tmp_path):
    values = values_of(2)
    first = str(write_raster(tmp_path / "a_2019-01-01.tif", values[0]))
    others = {
        "other pixel": write_raster(
            tmp_path / "b_2019-02-01.tif", values[1], corner=(CORNER[0] + 4, CORNER[1])
        ),
        "the CRS EPSG:32633": write_raster(tmp_path / "c_2019-02-01.tif", values[1], crs="EPSG:32633"),
        "1 band and 2 bands": write_raster(tmp_path / "d_2019-02-01.tif", values),
        "does not exist": tmp_path / "e_2019-02-01.tif",
    }
    for words, other in others.items():
        with pytest.raises(GeoSegError, match=words):
            own_grid(Source("s", first, paths=(str(other),), kind="series"))


def test_nearest_date_and_of_two_the_earlier(tmp_path):
    values = values_of(3)
    files = write_files(tmp_path, values, ("2019-07-01", "2019-07-05", "2019-07-20"))
    source = Source("s", files[0], paths=files[1:], kind="series")
    asked = ("2019-07-03", "2019-07-04", "2019-12-24", "2000-01-01")
    found = read(source, *(statistic("date", date=date) for date in asked))
    np.testing.assert_array_equal(found, values[[0, 1, 2, 0]])


@pytest.mark.parametrize(
    ("band", "words"),
    [
        (statistic("median", 4), "has 1 variables, 4 is requested"),
        (statistic("slope"), "needs a statistic over its dates, not 'slope'"),
        (Band("plain", "s"), "needs a statistic"),
        (statistic("percentile", percent=101), "is the percentile 101"),
        (statistic("date", date="soon"), "'soon' is not a date"),
        (statistic("date"), "'' is not a date"),
    ],
)
def test_what_a_series_cannot_give_is_said_beforehand(tmp_path, band, words):
    file = str(write_netcdf(tmp_path / "s.nc", {"a": values_of()}))
    with pytest.raises(GeoSegError, match=words):
        own_grid(Source("s", file, kind="series", series=Series(("a",))), (band,))


def test_unknown_variables_are_named(tmp_path):
    file = str(write_netcdf(tmp_path / "s.nc", {"a": values_of()}))
    with pytest.raises(GeoSegError, match="no variable 'b'"):
        own_grid(Source("s", file, kind="series", series=Series(("b",))))


@pytest.mark.parametrize("size", [7, 16])
def test_window_by_window_equals_whole_on_another_grid(tmp_path, size, monkeypatch):
    values, mask = (
        values_of(),
        (np.random.default_rng(2).random((len(DATES), ROWS, COLS)) < 0.3).astype(np.int8),
    )
    file = write_netcdf(tmp_path / "s.nc", {"a": values, "b": values[::-1].copy(), "mask": mask})
    source = Source("s", str(file), kind="series", series=Series(("a", "b"), mask="mask"))
    bands = tuple(statistic(name, index) for index in (1, 2) for name in ("median", "trend", "deviation"))
    bands += (Band("near", "s", 1, "median", "nearest"), Band("mean", "s", 2, "mean", "average"))
    grid = utm_grid(20, 14, 12.5, (CORNER[0] + 3, CORNER[1] - 7))
    together = read(source, *bands, grid=grid)
    monkeypatch.setattr(seriesbands, "DATES_LIMIT", 4 * len(DATES) * 50)
    with StackReader(Recipe((source,), bands, grid)) as reader:
        for window in windows(grid, size):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(reader.read(window), together[:, rows, cols])


def test_hundreds_of_dates_are_read_in_small_pieces(tmp_path, monkeypatch):
    dates = 300
    values = values_of(dates)
    first = np.datetime64("2018-01-01")
    days = [str(first + 3 * number) for number in range(dates)]
    files = write_files(tmp_path, values, days)
    source = Source("s", files[0], paths=files[1:], kind="series")
    asked = []
    real = seriesbands.OpenSeries.values

    def watched(self, index, chosen, part):
        asked.append(len(chosen) * part.height * part.width * 4)
        return real(self, index, chosen, part)

    monkeypatch.setattr(seriesbands.OpenSeries, "values", watched)
    monkeypatch.setattr(seriesbands, "DATES_LIMIT", 400_000)
    found = read(source, statistic("median"), statistic("percentile", percent=90))
    np.testing.assert_allclose(found, np.percentile(values, (50, 90), axis=0), rtol=1e-6)
    assert len(asked) > 1 and max(asked) <= 400_000


@pytest.mark.parametrize("block", [(1, 100), (16, 16), (64, 64), (500, 500), (1, 1)])
@pytest.mark.parametrize("limit", [1, 50, 1000, 100_000])
def test_tiles_cover_every_pixel_once_and_stay_small(block, limit):
    part = Window(13, 27, 60, 90)
    seen = np.zeros((200, 150), int)
    for tile in seriesbands.series_tiles(utm_grid(150, 200), part, block, limit):
        rows, cols = tile.within(Window(0, 0, 200, 150))
        seen[rows, cols] += 1
        assert 0 < tile.height * tile.width <= limit
    rows, cols = part.within(Window(0, 0, 200, 150))
    assert (seen[rows, cols] == 1).all() and seen.max() == 1


def test_windows_that_cut_tiles_compute_them_once(tmp_path, monkeypatch):
    file = write_netcdf(tmp_path / "s.nc", {"a": values_of()})
    source = Source("s", str(file), kind="series", series=Series(("a",)))
    band = statistic("median")
    together = read(source, band)
    asked = []
    real = seriesbands.OpenSeries.values

    def watched(self, index, dates, part):
        asked.append(part)
        return real(self, index, dates, part)

    monkeypatch.setattr(seriesbands.OpenSeries, "values", watched)
    monkeypatch.setattr(seriesbands, "DATES_LIMIT", 4 * len(DATES) * 50)
    grid = own_grid(source)
    with open_bands(source, (band,), grid) as layer:
        for window in windows(grid, 10):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(layer.read(window), together[:, rows, cols])
    assert len(asked) == len(set(asked)) > 1


def test_series_of_large_blocks_are_unpacked_once_with_the_same_values(tmp_path, monkeypatch):
    values, mask = (
        values_of(),
        (np.random.default_rng(2).random((len(DATES), ROWS, COLS)) < 0.3).astype(np.int8),
    )
    file = write_netcdf(tmp_path / "s.nc", {"a": values, "mask": mask})
    source = Source("s", str(file), kind="series", series=Series(("a",), mask="mask"))
    bands = (statistic("median"), statistic("trend"), statistic("date", date=DATES[2]))
    directly = read(source, *bands)
    asked = []
    real = seriesbands.OpenSeries.values
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unpacked, "UNPACK_BYTES", 100)
    monkeypatch.setattr(unpacked, "STRIP_PX", 100)
    monkeypatch.setattr(seriesbands, "DATES_LIMIT", 4 * len(DATES) * 50)
    monkeypatch.setattr(
        seriesbands.OpenSeries,
        "values",
        lambda self, index, dates, part: (
            asked.append(part.height * len(dates)) or real(self, index, dates, part)
        ),
    )
    np.testing.assert_array_equal(read(source, *bands), directly)
    assert sum(asked) == ROWS * len(DATES)
    assert [path.name for path in tmp_path.iterdir()] == ["s.nc"]


def write_ordered(path: Path, dims: tuple[str, ...], degrees=False) -> tuple[Path, np.ndarray]:
    """A NetCDF file whose variable `a` has its dimensions in some order; the values as (…, y, x)."""
    lengths = {"time": 4, "y": 5, "x": 6, "b": 3}
    with netcdf_file(path, "w") as file:
        for name in dims:
            file.createDimension(name, lengths[name])
            axis = file.createVariable(name, "d", (name,))
            axis[:] = np.arange(lengths[name])
        time, x, y = (file.variables[name] for name in ("time", "x", "y"))
        time.units, time[:] = "days since 2019-01-01", [0, 10, 20, 30]
        step, corner = (0.1, (10, 45)) if degrees else (10, CORNER)
        x[:], y[:] = corner[0] + step * np.arange(6), corner[1] - step * np.arange(5)
        x.standard_name = "longitude" if degrees else "projection_x_coordinate"
        y.standard_name = "latitude" if degrees else "projection_y_coordinate"
        x.units, y.units = ("degrees_east", "degrees_north") if degrees else ("m", "m")
        variable = file.createVariable("a", "f", dims)
        if not degrees:
            crs = file.createVariable("crs", "i", ())
            crs.spatial_ref, variable.grid_mapping = CRS.from_user_input(UTM).to_wkt(), "crs"
        values = np.random.default_rng(0).random([lengths[name] for name in dims]).astype(np.float32)
        variable[:] = values
    return path, values


def test_degrees_without_crs_are_wgs_84(tmp_path):
    file, values = write_ordered(tmp_path / "s.nc", ("time", "y", "x"), degrees=True)
    source = Source("s", str(file), kind="series", series=Series(("a",)))
    grid = own_grid(source)
    assert grid.crs == "EPSG:4326"
    np.testing.assert_allclose(grid_bounds(grid), (9.95, 44.55, 10.55, 45.05))
    np.testing.assert_allclose(read(source, statistic("maximum"))[0], values.max(axis=0))


@pytest.mark.parametrize(
    "dims", [("y", "x", "time"), ("x", "y", "time"), ("time", "x", "y"), ("y", "time", "x")]
)
def test_other_orders_of_dimensions_are_refused_and_not_misread(tmp_path, dims):
    file, _ = write_ordered(tmp_path / "s.nc", dims)
    for series in (Series(("a",)), Series()):
        with pytest.raises(GeoSegError) as caught:
            own_grid(Source("s", str(file), kind="series", series=series))
        assert caught.value.code == "other_order"


@pytest.mark.parametrize("dims", [("time", "b", "y", "x"), ("b", "time", "y", "x")])
def test_a_further_dimension_is_chosen_by_number(tmp_path, dims):
    file, values = write_ordered(tmp_path / "s.nc", dims)
    source = Source("s", str(file), kind="series", series=Series(("a[3]", "a[1]")))
    assert dates_of(source) == ["2019-01-01", "2019-01-11", "2019-01-21", "2019-01-31"]
    values = np.moveaxis(values, dims.index("b"), 0)
    found = read(source, statistic("maximum", 1), statistic("maximum", 2))
    np.testing.assert_allclose(found, [values[2].max(axis=0), values[0].max(axis=0)])
    with pytest.raises(GeoSegError, match=r"'a' of layer 's' has 3 rasters per date"):
        own_grid(Source("s", str(file), kind="series"))
    with pytest.raises(GeoSegError, match=r"has 3 rasters per date, 4 is requested"):
        own_grid(Source("s", str(file), kind="series", series=Series(("a[4]",))))


def test_a_variable_as_qgis_names_it_is_the_same_series(tmp_path):
    values, mask = values_of(), np.ones((len(DATES), ROWS, COLS), np.int8)
    file = write_netcdf(tmp_path / "s.nc", {"a": values, "mask": mask})
    for name in (f'NETCDF:"{file}":a', f"NETCDF:{file}:a"):
        source = Source("s", name, kind="series", series=Series(mask="mask", clear=(1,)))
        np.testing.assert_array_equal(read(source, statistic("maximum"))[0], values.max(axis=0))


def write_months(path: Path, times, units: str, calendar: str = "", bounds=None) -> str:
    """A NetCDF file in degrees whose values are the numbers of its dates."""
    with netcdf_file(path, "w") as file:
        for name, length in (("time", len(times)), ("lat", 4), ("lon", 5), ("bnds", 2)):
            file.createDimension(name, length)
        time = file.createVariable("time", "d", ("time",))
        time.units, time.calendar, time[:] = units, calendar or "standard", times
        if bounds is not None:
            time.bounds = "time_bnds"
            file.createVariable("time_bnds", "d", ("time", "bnds"))[:] = bounds
        for name, unit, step in (("lat", "degrees_north", -0.1), ("lon", "degrees_east", 0.1)):
            axis = file.createVariable(name, "d", (name,))
            axis.units, axis[:] = unit, 40 + step * np.arange(4 if name == "lat" else 5)
        values = np.broadcast_to(np.arange(len(times), dtype=np.float32)[:, None, None], (len(times), 4, 5))
        file.createVariable("v", "f", ("time", "lat", "lon"))[:] = values
    return str(path)


FIRSTS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Days of a year without 29 February before each month."""


@pytest.mark.parametrize(
    ("times", "units", "calendar", "bounds"),
    [
        (np.arange(24), "months since 2000-01-01", "gregorian", None),
        (np.arange(24) + 0.5, "months since 2000-01-01", "gregorian", None),
        (np.arange(120, 144), "months since 1990-01-01", "360_day", None),
        (FIRSTS[1:], "days since 2001-01-01", "noleap", np.stack([FIRSTS[:-1], FIRSTS[1:]], axis=1)),
        (FIRSTS[:-1], "days since 2001-01-01", "noleap", np.stack([FIRSTS[:-1], FIRSTS[1:]], axis=1)),
        (FIRSTS[1:] / 7, "weeks since 2001-01-01", "noleap", np.stack([FIRSTS[:-1], FIRSTS[1:]], axis=1) / 7),
        (24.0 * FIRSTS[:-1] - 5, "hours since 2001-01-01 00:00 -05:00", "noleap", None),
    ],
    ids=[
        "months",
        "middles of months",
        "months of 30 days",
        "ends of months",
        "begins of months",
        "ends in weeks",
        "west of Greenwich",
    ],
)
def test_every_month_comes_once_whatever_counts_it(tmp_path, times, units, calendar, bounds):
    file = write_months(tmp_path / "s.nc", times, units, calendar, bounds)
    for of_year in (1, 2, 12):
        source = Source("s", file, kind="series", series=Series(("v",), months=(of_year,)))
        places = np.arange(of_year - 1, len(times), 12)
        np.testing.assert_array_equal(read(source, statistic("mean"))[0], np.float32(places.mean()))


def test_why_there_are_no_dates_is_said(tmp_path):
    file = write_months(tmp_path / "s.nc", [0, 1], "days since 2000-01-01", "none")
    with pytest.raises(GeoSegError, match=r"no date for band 1 of 2: the calendar 'none'"):
        dates_of(Source("s", file, kind="series", series=Series(("v",))))
    files = [str(write_raster(tmp_path / f"a_{day}_07_2019.tif", values_of()[0])) for day in ("01", "02")]
    with pytest.raises(
        GeoSegError, match=r"file 1 of 2: .a_01_07_2019.tif. could be 2019-01-07 or"
    ) as caught:
        dates_of(Source("s", files[0], paths=(files[1],), kind="series"))
    assert caught.value.code == "no_dates" and "give the dates" in caught.value.hint


def test_dates_that_could_be_others_are_one_warning_of_the_plan(tmp_path):
    names = [
        f"a_{first}_to_{last}.tif" for first, last in (("20190101", "20190131"), ("20190201", "20190228"))
    ]
    files = [str(write_raster(tmp_path / name, values_of()[0])) for name in names]
    source = Source("s", files[0], "Means", paths=(files[1],), kind="series")
    plan = plan_recipe((source,), (statistic("mean"),), GridRequest())
    assert plan.recipe is not None
    assert [(problem.code, problem.severity) for problem in plan.problems] == [("dates", "warning")]
    assert "2019-01-01 is used, not 2019-01-31 (2 files or bands alike)" in plan.problems[0].message
    given = replace(source, series=Series(dates=("2019-01-31", "2019-02-28")))
    assert plan_recipe((given,), (statistic("mean"),), GridRequest()).problems == []


@pytest.mark.parametrize(
    ("tags", "date", "remark"),
    [
        ({"CREATION_DATE": "2021-05-05", "ACQUISITION_DATE": "2019-07-01"}, "2019-07-01", ""),
        ({"TIFFTAG_DATETIME": "2021:05:05 10:00:00", "DATE": "2019-07-01"}, "2019-07-01", ""),
        (
            {"TIFFTAG_DATETIME": "2021:05:05 10:00:00"},
            "2021-05-05",
            "perhaps the day when the file was written",
        ),
        ({"GRIB_VALID_TIME": "1561939200 sec UTC"}, "2019-07-01", ""),
        ({"note": "2019-07-01"}, None, ""),
    ],
)
def test_metadata_of_the_picture_come_before_those_of_the_file(tmp_path, tags, date, remark):
    path = write_raster(tmp_path / "a.tif", values_of()[0])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)
    with rasterio.open(path) as dataset:
        found = file_date(str(path), dataset)
    assert (None if found.day is None else iso(found.day)) == date and remark in found.remark
