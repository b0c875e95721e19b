"""Dates of a time series from texts: names of files and bands, metadata, user input.

A date is a number here: days since 1970-01-01 in the Gregorian calendar, with the time of day as fraction.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..contract import GeoSegError
from .calendars import EPOCH

DAYS_PER_YEAR = 365.2425
YEARS = range(1900, 2101)
"""Years that are accepted in the name of a file."""

YEAR, MONTH, DAY = r"(\d{4})", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
DAY_OF_YEAR = r"(\d{3})"
TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d\d*)?)?"
"""Hours, minutes, seconds and parts of them, as far as they are there."""

CALENDAR_DATES = (
    re.compile(rf"(?<!\d){YEAR}([-_./ :]){MONTH}\2{DAY}(?!\d|m(?![a-z]))"),
    re.compile(rf"(?<!\d){YEAR}(){MONTH}{DAY}(?:{TIME})?(?!\d)"),
)
DAYS_OF_YEAR = (
    re.compile(rf"(?<!\d){YEAR}[-_.]?{DAY_OF_YEAR}(?!\d|[A-SU-Za-z])"),
    re.compile(rf"(?<!\d){YEAR}{DAY_OF_YEAR}(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?!\d)"),
)
DAY_FIRST = re.compile(rf"(?<!\d)(\d\d)([-_./ ]?)(\d\d)\2{YEAR}(?!\d)")

OF_PRODUCTS = (
    re.compile(r"_s(?P<year>\d{4})(?P<of_year>\d{3})\d{7}_e\d{14}"),  # GOES: start, end, creation
    re.compile(
        r"(?:^|[._])A(?P<year>\d{4})(?P<of_year>\d{3})(?=[._]|$)"
    ),  # MODIS, VIIRS; production comes later
    re.compile(r"_doy(?P<year>\d{4})(?P<of_year>\d{3})"),  # AppEEARS
    re.compile(
        r"(?<![A-Z])L[A-Z]\d\d{6}(?P<year>\d{4})(?P<of_year>\d{3})(?=[A-Z])"
    ),  # Landsat before collections
    re.compile(r"^EO1[AH]\d{6}(?P<year>\d{4})(?P<of_year>\d{3})\d{3}"),
    re.compile(r"^HLS\..*\.(?P<year>\d{4})(?P<of_year>\d{3})T\d{6}"),
    re.compile(r"^AST_\w{2,4}_\d{3}(?P<month>\d\d)(?P<day>\d\d)(?P<year>\d{4})\d{6}"),  # ASTER
    re.compile(r"_V(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T\d{6}"),  # Sentinel-2 before 2016: validity
    re.compile(r"_d(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_t\d{7}"),  # VIIRS
)
"""Names that agencies give, with the date of the picture among others."""

PICTURE_FIRST = re.compile(
    r"^(?:S[1-6][A-D]?_|S5P_|L[COTEM]\d\d_|T\d\d[A-Z]{3}_|HLS\.|PRS_|m_\d{7}_|OR_|3B-|ATL\d\d_|SMAP_|GW\d_|NISAR_|"
    r"ICEYE_|CAPELLA_|TDX1_|TSX1_|RS2_|RCM\d_|ALOS2|EMIT_|ENMAP01|DESIS-|SWOT_|CYGNSS|S3[A-C]_)",
    re.IGNORECASE,
)
"""Names in which the first date is that of the picture, and later ones are of its end or of processing."""

TYPED = re.compile(r"^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?$")


@dataclass(frozen=True)
class Dated:
    """The date of a band or file.

    Attributes:
        day: None if there is none.
        remark: another possible date, or why there is none; empty without one.
    """

    day: float | None = None
    remark: str = ""


def iso(days: float) -> str:
    """Return a date as text, e.g. 2019-07-01."""
    return datetime.date.fromordinal(EPOCH + int(days // 1)).isoformat()


def month(days: float) -> int:
    """Return the calendar month, 1 to 12."""
    return datetime.date.fromordinal(EPOCH + int(days // 1)).month


def date_in(text: str) -> float | None:
    """Return the date of `dated`, without its remark."""
    return dated(text).day


def dated(text: str) -> Dated:
    """Find the date in a text such as the name of a file.

    Understands 2019-07-01 (also with _ . / or spaces), 20190701 with or without a time of day (20190701T101031,
    201907011010), year and day of year (2019_182, 2019182), names of agencies (MODIS, GOES, Landsat, ASTER …), and day
    before month where no other reading is possible. Years from 1900 to 2100.

    Returns:
        The first date; with a remark where another is possible, or where two readings are equally good and so none is
        used.
    """
    for pattern in OF_PRODUCTS:
        match = pattern.search(text)
        day = None if match is None else _of_product(match.groupdict())
        if day is not None:
            return Dated(day)
    found = sorted(_calendar_dates(text))
    if found:
        days = list(dict.fromkeys(day for _, day in found))
        if len(days) == 1 or PICTURE_FIRST.match(text):
            return Dated(days[0])
        others = " and ".join(iso(day) for day in days[1:3])
        return Dated(days[0], f"'{text}' holds several dates: {iso(days[0])} is used, not {others}")
    for pattern in DAYS_OF_YEAR:
        for match in pattern.finditer(text):
            year, of_year = (int(part) for part in match.groups())
            day = _of_year(year, of_year)
            if day is not None:
                return Dated(day, f"'{text}' is read as day {of_year} of {year}, {iso(day)}")
    return _day_first(text)


def _of_product(parts: dict[str, str]) -> float | None:
    numbers = {key: int(value) for key, value in parts.items()}
    if "of_year" in numbers:
        return _of_year(numbers["year"], numbers["of_year"])
    return _day(numbers["year"], numbers["month"], numbers["day"])


def _calendar_dates(text: str) -> Iterator[tuple[int, float]]:
    """Where dates of year, month and day begin, and the dates."""
    for pattern in CALENDAR_DATES:
        for match in pattern.finditer(text):
            year, _, of_year, day = match.groups()
            found = _day(int(year), int(of_year), int(day))
            if found is not None:
                yield match.start(), found


def _day_first(text: str) -> Dated:
    """A date whose year comes last; none where day and month could be either."""
    for match in DAY_FIRST.finditer(text):
        one, other, year = (int(match.group(number)) for number in (1, 3, 4))
        days = {day for day in (_day(year, other, one), _day(year, one, other)) if day is not None}
        if len(days) == 1:
            day = days.pop()
            return Dated(day, f"'{text}' is read as {iso(day)}")
        if days:
            both = " or ".join(iso(day) for day in sorted(days))
            return Dated(None, f"'{text}' could be {both}")
    return Dated()


def _of_year(year: int, day: int) -> float | None:
    if (
        year not in YEARS
        or not 1 <= day <= (datetime.date(year, 12, 31) - datetime.date(year, 1, 1)).days + 1
    ):
        return None
    return float(datetime.date(year, 1, 1).toordinal() - EPOCH + day - 1)


def _day(year: int, of_year: int, day: int, years: range = YEARS) -> float | None:
    if year not in years:
        return None
    try:
        return float(datetime.date(year, of_year, day).toordinal() - EPOCH)
    except ValueError:
        return None


def date_from(text: str, what: str) -> float:
    """Parse a date that the user typed, of any year.

    Args:
        text: e.g. 2019-07-01.
        what: start of the message of the error.

    Returns:
        Days since 1970-01-01.

    Raises:
        GeoSegError: `bad_date`.
    """
    typed = TYPED.match(text)
    if typed is None:
        day = date_in(text)
    else:
        year, of_year, day_of_month = (int(part) for part in typed.groups())
        day = _day(year, of_year, day_of_month, range(1, 10_000))
    if day is None:
        raise GeoSegError("bad_date", f"{what} '{text}' is not a date.", "Write it as 2019-07-01.")
    return day
