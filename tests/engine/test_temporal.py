"""Statistics over dates against NumPy's own, and dates out of names and numbers."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geoseg_engine.bands.temporal import statistics
from geoseg_engine.contract import Band, GeoSegError
from geoseg_engine.raster.dates import DAYS_PER_YEAR, cf_days, date_from, date_in, iso, month


def band(derive: str, **parameters) -> Band:
    return Band(derive, "s", 1, derive, parameters=parameters)


def cloudy(dates: int, pixels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values with three tenths of the dates missing, one pixel without any, one complete; irregular dates."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.4, 0.2, (dates, pixels)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 0] = np.nan
    values[:, 1] = 0.5
    return values, 16_000 + np.sort(rng.uniform(0, 900, dates))


@pytest.mark.parametrize("dates", [1, 2, 3, 19, 68, 300])
def test_statistics_are_numpys(dates):
    values, days = cloudy(dates, 400)
    percents = (0, 10, 33.3, 50, 97, 100)
    bands = [band(name) for name in ("median", "mean", "minimum", "maximum", "deviation", "amplitude")]
    bands += [band("percentile", percent=percent) for percent in percents]
    found = statistics(values, days, tuple(bands))
    exact = values.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        lowest, highest = np.nanmin(exact, 0), np.nanmax(exact, 0)
        wanted = [np.nanmedian(exact, 0), np.nanmean(exact, 0), lowest, highest, np.nanstd(exact, 0)]
        wanted += [highest - lowest, *np.nanpercentile(exact, percents, axis=0)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_trend_is_least_squares_per_year_on_the_real_dates():
    values, days = cloudy(40, 60)
    found = statistics(values, days, (band("trend"),))[0]
    for pixel in range(60):
        clear = np.isfinite(values[:, pixel])
        if clear.sum() < 2:
            assert np.isnan(found[pixel])
            continue
        slope = np.polyfit((days[clear] - days[0]) / DAYS_PER_YEAR, values[clear, pixel], 1)[0]
        assert found[pixel] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_trend_of_one_date_is_no_trend():
    values = np.ones((3, 4), np.float32)
    assert np.isnan(statistics(values, np.full(3, 17_000.0), (band("trend"),))).all()


def test_too_few_clear_dates_give_no_value():
    values, days = cloudy(10, 200)
    count = np.isfinite(values).sum(axis=0)
    mean, counted, all_counted = statistics(
        values, days, (band("mean", least=7), band("valid_count"), band("valid_count", least=0))
    )
    np.testing.assert_array_equal(np.isfinite(mean), count >= 7)
    np.testing.assert_array_equal(all_counted, count)
    assert np.isnan(counted[0]) and (counted[1:] == count[1:]).all()


def test_pixels_do_not_depend_on_their_neighbours_nor_on_threads():
    values, days = cloudy(30, 20_000)
    bands = tuple(band(name) for name in ("median", "mean", "deviation", "trend", "amplitude"))
    with ThreadPoolExecutor(3) as pool:
        together = statistics(values, days, bands, pool)
    apart = np.concatenate([statistics(values[:, part], days, bands) for part in
                            (slice(0, 7), slice(7, 9000), slice(9000, None))], axis=1)  # fmt: skip
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2019-07-01", "2019-07-01"),
        ("NDVI 2019_07_01 clear", "2019-07-01"),
        ("20190701", "2019-07-01"),
        ("T32TQQ_20190701T101031_B04_10m", "2019-07-01"),
        ("20190701101031", "2019-07-01"),
        ("LC08_L1TP_196027_20190701_20190705_01_T1", "2019-07-01"),
        ("LE70220491999322EDC01_stack", "1999-11-18"),
        ("2019_182", "2019-07-01"),
        ("MOD13Q1.A2019182.h18v04", "2019-07-01"),
        ("2019:07:01 10:00:00", "2019-07-01"),
        ("m_4709963_se_14_1_20090818", "2009-08-18"),
        ("2019-02-30", None),
        ("band 4", None),
        ("12345678", None),
    ],
)
def test_dates_are_found_in_texts(text, date):
    found = date_in(text)
    assert found == (None if date is None else date_from(date, "Date"))
    assert found is None or iso(found) == date


def test_what_is_no_date_is_said():
    with pytest.raises(GeoSegError, match="The start 'summer' is not a date"):
        date_from("summer", "The start")


@pytest.mark.parametrize(
    ("numbers", "units", "calendar", "dates"),
    [
        ([0, 31.5], "days since 1970-01-01", "", ["1970-01-01", "1970-02-01"]),
        (
            [24, 36],
            "hours since 2016-12-19T10:27:29.687763",
            "proleptic_gregorian",
            ["2016-12-20", "2016-12-20"],
        ),
        ([1234602000], "seconds since 1981-01-01T00:00:00+00:00", "standard", ["2020-02-15"]),
        ([43_465], "days since 1900-1-1 0:0:0", "gregorian", ["2019-01-02"]),
        ([59, 365], "days since 2000-01-01", "noleap", ["2000-03-01", "2001-01-01"]),
        ([59, 366], "days since 2001-01-01", "all_leap", ["2001-02-28", "2002-01-01"]),
        ([59, 360, 719], "days since 2001-01-01", "360_day", ["2001-02-28", "2002-01-01", "2002-12-30"]),
        ([0], "days since 2000-01-01", "julian", ["2000-01-14"]),
        ([-1], "days since 1970-01-01", "standard", ["1969-12-31"]),
    ],
)
def test_netcdf_times_become_dates(numbers, units, calendar, dates):
    assert [iso(day) for day in cf_days(numbers, units, calendar)] == dates


def test_what_is_no_time_has_no_dates():
    assert cf_days([1.0], "metre", "") is None and cf_days([1.0], "fortnights since 2000-01-01", "") is None
    assert [month(date_from(f"2019-{of_year:02d}-15", "Date")) for of_year in (1, 7, 12)] == [1, 7, 12]
