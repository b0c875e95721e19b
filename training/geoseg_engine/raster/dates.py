"""Dates of a time series: out of texts, and out of numbers as NetCDF keeps them.

A date is a number here: days since 1970-01-01 in the Gregorian calendar, with the time of day as fraction.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Callable, Sequence

from ..contract import GeoSegError

EPOCH = datetime.date(1970, 1, 1).toordinal()
DAYS_PER_YEAR = 365.2425
YEARS = range(1900, 2101)
"""What counts as a year in a text without separators."""

UNIT_DAYS = {
    "day": 1.0,
    "d": 1.0,
    "hour": 1 / 24,
    "hr": 1 / 24,
    "h": 1 / 24,
    "minute": 1 / 1440,
    "min": 1 / 1440,
    "second": 1 / 86_400,
    "sec": 1 / 86_400,
    "s": 1 / 86_400,
    "millisecond": 1 / 86_400_000,
    "msec": 1 / 86_400_000,
    "ms": 1 / 86_400_000,
    "microsecond": 1 / 86_400_000_000,
    "week": 7.0,
    "year": DAYS_PER_YEAR,
    "month": DAYS_PER_YEAR / 12,
}
"""Days of a unit; month and year as UDUNITS has them, which CF follows."""

MONTH_DAYS = {
    "noleap": (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31),
    "all_leap": (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31),
    "360_day": (30,) * 12,
}
SAME_CALENDAR = {"365_day": "noleap", "366_day": "all_leap"}

SINCE = re.compile(
    r"^\s*([a-z]+?)s?\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[t\s]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}(?:\.\d+)?))?)?",
    re.IGNORECASE,
)
YEAR, MONTH, DAY, DAY_OF_YEAR = r"(\d{4})", r"(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])", r"(\d{3})"
MONTH_FIRST = (
    re.compile(rf"(?<!\d){YEAR}([-_./ :]){MONTH}\2{DAY}(?!\d)"),
    re.compile(rf"(?<!\d){YEAR}(){MONTH}{DAY}(?!\d)"),
    re.compile(rf"(?<!\d){YEAR}(){MONTH}{DAY}(?=\d{{6}}(?!\d))"),
)
BY_DAY_OF_YEAR = (
    re.compile(rf"(?<!\d){YEAR}[-_.]?{DAY_OF_YEAR}(?!\d)"),
    re.compile(rf"L[A-Z]\d\d{{6}}{YEAR}{DAY_OF_YEAR}(?=[A-Z])"),
)


def iso(days: float) -> str:
    """A date as text, e.g. 2019-07-01."""
    return datetime.date.fromordinal(EPOCH + int(days // 1)).isoformat()


def month(days: float) -> int:
    """Calendar month, 1 to 12."""
    return datetime.date.fromordinal(EPOCH + int(days // 1)).month


def date_in(text: str) -> float | None:
    """The first date in a text such as a file name; None if there is none.

    Understands 2019-07-01 (also with _ . / or spaces), 20190701, 20190701T101031, 20190701101031, year and day of
    year (2019_182, 2019182, MODIS A2019182) and Landsat scene names. Years from 1900 to 2100.
    """
    found = []
    for pattern in MONTH_FIRST:
        for match in pattern.finditer(text):
            year, _, month_of_year, day = match.groups()
            found.append((match.start(), _day(int(year), int(month_of_year), int(day))))
    dates = sorted(item for item in found if item[1] is not None)
    for pattern in BY_DAY_OF_YEAR if not dates else ():
        for match in pattern.finditer(text):
            year, day = (int(part) for part in match.groups())
            if year in YEARS and 1 <= day <= 366:
                dates.append((match.start(), datetime.date(year, 1, 1).toordinal() - EPOCH + day - 1))
    return float(dates[0][1]) if dates and dates[0][1] is not None else None


def _day(year: int, month_of_year: int, day: int) -> int | None:
    if year not in YEARS:
        return None
    try:
        return datetime.date(year, month_of_year, day).toordinal() - EPOCH
    except ValueError:
        return None


def date_from(text: str, what: str) -> float:
    """A date that somebody typed.

    Raises:
        GeoSegError: `bad_date` with what it was given for.
    """
    days = date_in(text)
    if days is None:
        raise GeoSegError("bad_date", f"{what} '{text}' is not a date.", "Write it as 2019-07-01.")
    return days


def cf_days(numbers: Sequence[float], units: str, calendar: str) -> list[float] | None:
    """Dates of a NetCDF time coordinate; None if the units are no time.

    Follows the CF conventions, section 4.4. A day that the Gregorian calendar does not have (30 February of a
    year of 360 days) becomes the month's last.

    Args:
        numbers: of the coordinate.
        units: e.g. `days since 1970-01-01`.
        calendar: of CF; empty is `standard`.
    """
    match = SINCE.match(units)
    if match is None or match.group(1).lower() not in UNIT_DAYS:
        return None
    unit = UNIT_DAYS[match.group(1).lower()]
    year, month_of_year, day = (int(part) for part in match.group(2, 3, 4))
    hours, minutes, seconds = (float(part or 0) for part in match.group(5, 6, 7))
    after = [number * unit + (hours + minutes / 60 + seconds / 3600) / 24 for number in numbers]
    start, real = _calendar(calendar.lower())
    try:
        first = start(year, month_of_year, day)
        return [real(first + days) for days in after]
    except (ValueError, OverflowError):
        return None


Start = Callable[[int, int, int], float]
Real = Callable[[float], float]


def _calendar(name: str) -> tuple[Start, Real]:
    """How a calendar counts its days, and which real day a count is."""
    name = SAME_CALENDAR.get(name, name)
    if name in MONTH_DAYS:
        lengths = MONTH_DAYS[name]
        before = [0, *itertools.accumulate(lengths)]
        return (
            lambda year, of_year, day: year * before[-1] + before[of_year - 1] + day - 1,
            lambda count: _real_day(count, before),
        )
    if name == "julian":
        return _julian, lambda count: count
    return (
        lambda year, of_year, day: datetime.date(year, of_year, day).toordinal() - EPOCH,
        lambda count: count,
    )


def _real_day(count: float, before: list[int]) -> float:
    year, day = divmod(count, before[-1])
    of_year = next(place for place in range(12) if day < before[place + 1])
    first = datetime.date(int(year), of_year + 1, 1)
    after = datetime.date(int(year) + of_year // 11, (of_year + 1) % 12 + 1, 1)
    last = (after - first).days - 1
    whole = int(day - before[of_year])
    return first.toordinal() - EPOCH + min(whole, last) + (day % 1)


def _julian(year: int, of_year: int, day: int) -> float:
    """Days since 1970-01-01 (Gregorian) of a date of the Julian calendar (Fliegel & Van Flandern 1968)."""
    shifted = (14 - of_year) // 12
    years, months = year + 4800 - shifted, of_year + 12 * shifted - 3
    day_number = day + (153 * months + 2) // 5 + 365 * years + years // 4 - 32083
    return day_number - 2_440_588
