"""Times as NetCDF keeps them, numbers since a start in a calendar, as dates.

Follows the CF conventions, section 4.4, and UDUNITS, but for months and years: these are of the calendar, as
"months since 2000-01-01" is usually meant, and not 30.44 and 365.24 days.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from fractions import Fraction

EPOCH = datetime.date(1970, 1, 1).toordinal()
DAY_S = 86_400

SECONDS = {
    **dict.fromkeys(("day", "d"), Fraction(DAY_S)),
    **dict.fromkeys(("hour", "hr", "h"), Fraction(3600)),
    **dict.fromkeys(("minute", "min"), Fraction(60)),
    **dict.fromkeys(("second", "sec", "s"), Fraction(1)),
    **dict.fromkeys(("millisecond", "msec", "ms", "millisec"), Fraction(1, 1000)),
    **dict.fromkeys(("microsecond", "microsec"), Fraction(1, 1_000_000)),
    "week": Fraction(7 * DAY_S),
    "common_year": Fraction(365 * DAY_S),
    "leap_year": Fraction(366 * DAY_S),
    "julian_year": Fraction(1461 * DAY_S, 4),
    "gregorian_year": Fraction(146_097 * DAY_S, 400),
}
MONTHS = {"month": 1, "mon": 1, "year": 12, "yr": 12}
"""Units that are counted in the calendar."""

MIXED, GREGORIAN, JULIAN, NOLEAP, ALL_LEAP, OF_360 = (
    "standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day",
)  # fmt: skip
CALENDARS = {
    "": MIXED, "standard": MIXED, "gregorian": MIXED, "proleptic_gregorian": GREGORIAN, "utc": GREGORIAN,
    "tai": GREGORIAN,
    "julian": JULIAN, "noleap": NOLEAP, "no_leap": NOLEAP, "365_day": NOLEAP, "365day": NOLEAP, "365": NOLEAP,
    "all_leap": ALL_LEAP, "366_day": ALL_LEAP, "366day": ALL_LEAP, "360_day": OF_360, "360day": OF_360, "360": OF_360,
}  # fmt: skip
PRINTED = 1e-6
"""How far a time may be from its bounds, as a share of them, and be on them: GDAL gives times as text."""

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
REFORM = (1582, 10, 15)
"""First day of the Gregorian calendar in the mixed one; the day before it is 4 October."""

SINCE = re.compile(r"^\s*([a-z_]+)\s+since\s+(.+?)\s*$", re.IGNORECASE)
AS_DIGITS = re.compile(r"^\s*(day|month|year)\s+as\s+%Y", re.IGNORECASE)
START = re.compile(
    r"^([-+]?\d{1,5})(?:-(\d{1,2}))?(?:-(\d{1,2}))?"
    r"(?:(?:\s*T|\s+)(\d{1,2})(?::?(\d{1,2}))?(?::?(\d{1,2}(?:\.\d*)?))?)?\s*(.*)$",
    re.IGNORECASE,
)
ZONE = re.compile(r"^(?:z|utc|gmt|ut|([-+])(\d{1,2})(?::?(\d{2}))?)?$", re.IGNORECASE)

Date = tuple[int, int, int]
"""Year (astronomical: 0 is 1 BC), month and day."""


def is_time(units: str) -> bool:
    """Whether the units of a coordinate are those of a time."""
    return bool(SINCE.match(units) or AS_DIGITS.match(units))


def cf_days(
    numbers: Sequence[float], units: str, calendar: str, bounds: Sequence[tuple[float, float]] = ()
) -> list[float]:
    """Dates of a NetCDF time coordinate as days since 1970-01-01 in the Gregorian calendar, with the time of day.

    A day that the Gregorian calendar does not have (30 February of a year of 360 days) becomes the month's last. A part
    of a month or year is that part of the calendar's month or year. Times are rounded to seconds.

    Args:
        numbers: of the coordinate.
        units: e.g. `days since 1970-01-01`, or `day as %Y%m%d.%f`.
        calendar: of CF; empty is `standard`.
        bounds: start and end of the period of each time. Where all times are ends, the middles count.

    Raises:
        ValueError: with a sentence, if there is no date in it.
    """
    name = CALENDARS.get(calendar.strip().lower().replace(" ", "_").replace("-", "_"))
    if name is None:
        raise ValueError(f"the calendar '{calendar}' has no known dates")
    if bounds and all(
        low < high and abs(number - high) <= PRINTED * (high - low)
        for number, (low, high) in zip(numbers, bounds, strict=True)
    ):
        numbers = [(low + high) / 2 for low, high in bounds]
    packed, match = AS_DIGITS.match(units), SINCE.match(units)
    if packed:
        return [_packed(number, packed.group(1).lower(), name) for number in numbers]
    if match is None:
        raise ValueError(f"'{units}' is no unit of time")
    unit = match.group(1).lower()
    unit = next((item for item in (unit, unit.removesuffix("s")) if item in SECONDS or item in MONTHS), "")
    if not unit:
        raise ValueError(f"'{match.group(1)}' is not a known unit of time")
    start, seconds = _start(match.group(2), name)
    if unit in MONTHS:
        return [
            _after_months(start, seconds, Fraction(number) * MONTHS[unit], unit, name) for number in numbers
        ]
    first = _count(start, name)
    return [_real(first, seconds + Fraction(number) * SECONDS[unit], name) for number in numbers]


def _start(text: str, calendar: str) -> tuple[Date, Fraction]:
    """The date that numbers count from, and seconds since its midnight in UTC."""
    digits = re.match(r"^(\d{4})(\d{2})(\d{2})(.*)$", text)
    found = START.match("{}-{}-{}{}".format(*digits.groups()) if digits else text)
    zone = ZONE.match(found.group(7)) if found else None
    if found is None or zone is None:
        raise ValueError(f"the start '{text}' is not understood")
    year, month, day = (int(part) if part else 1 for part in found.group(1, 2, 3))
    if calendar in (MIXED, JULIAN):  # they have no year 0
        if year == 0:
            raise ValueError(
                f"the start '{text}' is in a year 0, which the calendar '{calendar}' does not have"
            )
        year += year < 0
    date = year, month, day
    reform = calendar == MIXED and (1582, 10, 4) < date < REFORM
    if not 1 <= month <= 12 or not 1 <= day <= _length(year, month, calendar) or reform:
        raise ValueError(f"the start '{text}' is no date of the calendar '{calendar}'")
    hour, minute, second = (Fraction(part) if part else Fraction(0) for part in found.group(4, 5, 6))
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError(f"the start '{text}' is no time of day")
    sign, hours, minutes = zone.groups()
    ahead = (int(hours or 0) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    return date, hour * 3600 + minute * 60 + second - ahead * 60


def _after_months(start: Date, seconds: Fraction, months: Fraction, unit: str, calendar: str) -> float:
    """A number of months after a date, or years of twelve of them."""
    step = MONTHS[unit]
    whole = months // step * step
    year, month, day = start

    def moved(by: int) -> int:
        at = month - 1 + by
        to = year + at // 12, at % 12 + 1
        return _count((*to, min(day, _length(*to, calendar))), calendar)

    first = moved(int(whole))
    part = (months - whole) / step * (moved(int(whole) + step) - first)
    return _real(first, seconds + part * DAY_S, calendar)


def _packed(number: float, of: str, calendar: str) -> float:
    """A date written as a number, such as 20190701.5."""
    whole = int(number // 1)
    year, month, day = {
        "day": (whole // 10_000, whole // 100 % 100, whole % 100),
        "month": (whole // 100, whole % 100, 1),
        "year": (whole, 1, 1),
    }[of]
    if not 1 <= month <= 12 or not 1 <= day <= _length(year, month, calendar):
        raise ValueError(f"{whole} is no {of} of the calendar '{calendar}'")
    unit = "month" if of == "month" else "year"
    part = Fraction(number) - whole
    if of == "day":
        return _real(_count((year, month, day), calendar), part * DAY_S, calendar)
    return _after_months((year, month, day), Fraction(0), part * MONTHS[unit], unit, calendar)


def _length(year: int, month: int, calendar: str) -> int:
    """Days of a month."""
    if calendar == OF_360:
        return 30
    return LENGTHS[month - 1] + (month == 2 and _leap(year, calendar))


def _leap(year: int, calendar: str) -> bool:
    if calendar in (NOLEAP, ALL_LEAP):
        return calendar == ALL_LEAP
    julian = calendar == JULIAN or (calendar == MIXED and year <= REFORM[0])
    return year % 4 == 0 and (julian or year % 100 != 0 or year % 400 == 0)


def _count(date: Date, calendar: str) -> int:
    """Days from the start of year 0 of a calendar; of the Julian and Gregorian ones the Julian day number."""
    year, month, day = date
    if calendar == OF_360:
        return year * 360 + (month - 1) * 30 + day - 1
    if calendar in (NOLEAP, ALL_LEAP):
        lengths = [_length(year, item, calendar) for item in range(1, 13)]
        return year * sum(lengths) + sum(lengths[: month - 1]) + day - 1
    shifted = (14 - month) // 12  # Fliegel & Van Flandern 1968, Richards 2013
    years, months = year + 4800 - shifted, month + 12 * shifted - 3
    number = day + (153 * months + 2) // 5 + 365 * years + years // 4
    julian = calendar == JULIAN or (calendar == MIXED and date < REFORM)
    return number - 32_083 if julian else number - years // 100 + years // 400 - 32_045


def _real(first: int, seconds: Fraction, calendar: str) -> float:
    """Days since 1970-01-01 of a time after a day of a calendar."""
    days, rest = divmod(round(seconds), DAY_S)
    count = first + days
    if calendar == OF_360:
        year, day = divmod(count, 360)
        date = year, day // 30 + 1, day % 30 + 1
    elif calendar in (NOLEAP, ALL_LEAP):
        year, day = divmod(count, 366 if calendar == ALL_LEAP else 365)
        month = 1
        while day >= _length(year, month, calendar):
            day -= _length(year, month, calendar)
            month += 1
        date = year, month, day + 1
    elif calendar == MIXED and count < _count(REFORM, MIXED):
        date = _julian_date(count)
    else:
        return _ordinal(count - 2_440_588 + EPOCH) + rest / DAY_S
    year, month, day = date
    if not 1 <= year <= 9999:
        raise ValueError(f"the year {year} is outside 1 to 9999")
    longest = LENGTHS[month - 1] + (month == 2 and _leap(year, GREGORIAN))
    return datetime.date(year, month, min(day, longest)).toordinal() - EPOCH + rest / DAY_S


def _ordinal(ordinal: int) -> int:
    if not 1 <= ordinal <= datetime.date.max.toordinal():
        raise ValueError("its dates are outside the years 1 to 9999")
    return ordinal - EPOCH


def _julian_date(number: int) -> Date:
    """Year, month and day of the Julian calendar of a Julian day number (Richards 2013)."""
    shifted = 4 * (number + 1401) + 3
    of_year = 5 * (shifted % 1461 // 4) + 2
    month = (of_year // 153 + 2) % 12 + 1
    return shifted // 1461 - 4716 + (14 - month) // 12, month, of_year % 153 // 5 + 1
