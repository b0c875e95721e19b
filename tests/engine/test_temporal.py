"""Statistics over dates against NumPy's own, and dates out of names and numbers."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geoseg_engine.bands.temporal import statistics
from geoseg_engine.contract import Band, GeoSegError
from geoseg_engine.raster.calendars import cf_days
from geoseg_engine.raster.dates import DAYS_PER_YEAR, date_from, date_in, dated, iso, month


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


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("OR_ABI-L2-MCMIPC-M6_G16_s20191001501180_e20191001503553_c20191001504045.nc", "2019-04-10"),
        ("OR_ABI-L2-MCMIPC-M6_G16_s20191001201123_e20191001203553_c20191001204045.nc", "2019-04-10"),
        ("c_gls_NDVI300_201907010000_GLOBE_OLCI_V2.0.1.tif", "2019-07-01"),
        ("GFS_2019070112_f006.tif", "2019-07-01"),
        ("GFS_2019070124_f006.tif", None),
        ("chirps-v2.0.2019.07.01.tif", "2019-07-01"),
        ("VNP46A2.A2012019.h18v04.001.2020040120520.h5", "2012-01-19"),
        ("MOD13Q1.006__250m_16_days_NDVI_doy2019177_aid0001.tif", "2019-06-26"),
        ("HLS.L30.T32TPS.2019182T101010.v2.0.B04.tif", "2019-07-01"),
        ("LC08_L2SP_192028_20190701_20200827_02_T1_SR_B4.TIF", "2019-07-01"),
        ("LC81920282019182LGN00_B4.TIF", "2019-07-01"),
        ("EO1H1920282010182110KF_1T.tif", "2010-07-01"),
        ("AST_L1T_00307012019101031_20190702120000_12345.tif", "2019-07-01"),
        ("S2A_OPER_PRD_MSIL1C_PDMC_20160804T123456_R022_V20160803T101031_20160803T101031", "2016-08-03"),
        ("S1A_IW_GRDH_1SDV_20190701T235950_20190702T000015_027912_0326B5_9A1F.tif", "2019-07-01"),
        ("SVDNB_npp_d20190701_t1012234_e1017638_b39872_c20190702161234567890_nobc_ops.h5", "2019-07-01"),
        ("landcover_2019_100m.tif", None),
        ("S2_2019_10_20m.tif", None),
        ("ALOS2014410740-140829.tif", None),
        ("wc2.1_tmin_2019-07.tif", None),
        ("ndvi_190701.tif", None),
        ("week_2019-W23.tif", None),
        ("id12019070199.tif", None),
    ],
)
def test_names_of_agencies_have_the_date_of_the_picture_or_none(name, date):
    found = dated(name)
    assert (None if found.day is None else iso(found.day)) == date
    assert found.remark == ""


@pytest.mark.parametrize(
    ("name", "date", "part"),
    [
        ("site_20051231_ndvi_2019-07-01.tif", "2005-12-31", "not 2019-07-01"),
        ("ndvi_20190101_20190131_mean.tif", "2019-01-01", "not 2019-01-31"),
        ("ndvi_2019182.tif", "2019-07-01", "day 182 of 2019"),
        ("ndvi_31.07.2019.tif", "2019-07-31", "read as 2019-07-31"),
        ("NDVI_01072019.tif", None, "2019-01-07 or 2019-07-01"),
        ("ndvi_01.07.2019.tif", None, "2019-01-07 or 2019-07-01"),
    ],
)
def test_a_date_that_could_be_another_is_never_taken_without_a_word(name, date, part):
    found = dated(name)
    assert (None if found.day is None else iso(found.day)) == date and part in found.remark


def test_dates_that_are_typed_may_be_of_any_year():
    assert [iso(date_from(text, "The start")) for text in ("1850-01-01", "0850-3-1", "2150-12-31")] == [
        "1850-01-01",
        "0850-03-01",
        "2150-12-31",
    ]


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
        (
            [0, 1, 13, 23],
            "months since 2000-01-01",
            "",
            ["2000-01-01", "2000-02-01", "2001-02-01", "2001-12-01"],
        ),
        ([0.5, 1.5], "months since 2001-01-01", "", ["2001-01-16", "2001-02-15"]),
        ([-1, 1], "months since 2000-03-31", "noleap", ["2000-02-28", "2000-04-30"]),
        ([120, 143], "months since 1990-01-01", "360_day", ["2000-01-01", "2001-12-01"]),
        ([0, 1, 4], "years since 2000-02-29", "gregorian", ["2000-02-29", "2001-02-28", "2004-02-29"]),
        ([19.5], "years since 2000-01-01", "", ["2019-07-02"]),
        ([2], "common_years since 2001-01-01", "noleap", ["2003-01-01"]),
        ([2], "weeks since 2000-01-01", "", ["2000-01-15"]),
        ([-5], "hours since 2000-01-01 00:00:00 -05:00", "", ["2000-01-01"]),
        ([0, 10], "hours since 2000-01-01 00:00 +1000", "", ["1999-12-31", "2000-01-01"]),
        ([0], "days since 2000-01-01 00:00:00.0 UTC", "", ["2000-01-01"]),
        ([86_400_000], "ms since 2000-01-01", "", ["2000-01-02"]),
        ([1], "days since 20000101", "", ["2000-01-02"]),
        ([30.99999999], "days since 2000-01-01", "", ["2000-02-01"]),
        ([49 * 86_400], "seconds since 2000-01-01", "", ["2000-02-19"]),
        ([730_121], "days since 0001-01-01", "standard", ["2000-01-01"]),  # Julian until 1582
        ([730_119], "days since 0001-01-01", "proleptic_gregorian", ["2000-01-01"]),
        ([1], "days since 1582-10-04", "gregorian", ["1582-10-15"]),
        ([31], "days since 1500-01-01", "standard", ["1500-02-01"]),
        ([2_451_545], "days since -4713-01-01 12:00", "standard", ["2000-01-01"]),
        ([20190701.25, 20191231], "day as %Y%m%d.%f", "", ["2019-07-01", "2019-12-31"]),
        ([0], "days since 2000-01-01", "365day", ["2000-01-01"]),
    ],
)
def test_netcdf_times_become_dates(numbers, units, calendar, dates):
    assert [iso(day) for day in cf_days(numbers, units, calendar)] == dates


def test_what_is_no_time_has_no_dates():
    for units, calendar, part in (
        ("metre", "", "'metre' is no unit of time"),
        ("fortnights since 2000-01-01", "", "'fortnights'"),
        ("days since 2000-01-01", "none", "calendar 'none'"),
        ("days since 2000-01-01", "lunar", "calendar 'lunar'"),
        ("days since 2000-02-30", "", "no date of the calendar"),
        ("days since 1582-10-10", "gregorian", "no date of the calendar"),
        ("days since 0000-01-01", "standard", "year 0"),
        ("days since 0000-01-01", "noleap", "outside 1 to 9999"),
        ("days since 9999-12-31", "proleptic_gregorian", "outside the years 1 to 9999"),
        ("days since 2000-01-01 00:00 EST", "", "is not understood"),
        ("day as %Y%m%d.%f", "", "1 is no day"),
    ):
        with pytest.raises(ValueError, match=part):
            cf_days([1.0], units, calendar)
    assert [month(date_from(f"2019-{of_year:02d}-15", "Date")) for of_year in (1, 7, 12)] == [1, 7, 12]
