"""The unit of the values of a raster's band, as far as its file or its CRS states it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyproj
import rasterio
from pyproj.database import get_units_map
from rasterio.errors import RasterioError

from ..contract import GeoSegError, Source
from .sources import is_plain_file, title

HEIGHTS = "metre up"
"""Unit of a band that is derived from heights: in metres, and counted upwards."""

LENGTHS_M = {
    "m": 1.0,
    "mtr": 1.0,
    "gpm": 1.0,
    "geopotentialmetre": 1.0,
    "m2s2": 1 / 9.80665,  # geopotential, as weather models keep the land surface
    "m2/s2": 1 / 9.80665,
    "mm": 0.001,
    "cm": 0.01,
    "dm": 0.1,
    "decimetre": 0.1,
    "km": 1000.0,
    "ft": 0.3048,
    "'": 0.3048,
    "internationalfoot": 0.3048,
    "ftint": 0.3048,
    "in": 0.0254,
    "yd": 0.9144,
    "fath": 1.8288,
    **dict.fromkeys(
        (
            "ussurveyfoot",
            "surveyfoot",
            "usfoot",
            "usft",
            "ftus",
            "footus",
            "ussurveyft",
            "ftussurvey",
            "footussurvey",
        ),
        1200 / 3937,
    ),
}
"""Metres in a unit, by its name in small letters and digits alone. PROJ has more of them; its decimetre is wrong."""

SHORTEST_PLURAL = 3
UNSTATED = ("", "1", "none", "unknown", "unitless", "undefined", "na", "no", "other")
DATUM = re.compile(r"\b(above|below|over|relative|wrt|asl|amsl|msl|a\.s\.l|navd|ngvd|egm|ellips)")
FACTOR = re.compile(r"^([0-9.]+(?:e[-+]?\d+)?)\s*\*?\s*(.*)$")
TAGS = ("unit", "units", "unittype", "verticalunit", "verticalunits", "zunit", "zunits", "heightunit", "heightunits",
        "elevationunit", "elevationunits", "gribunit")  # fmt: skip
IN_BRACKETS = re.compile(r"[(\[]\s*([^()\[\]]+?)\s*[)\]]\s*$")
ZUNITS = re.compile(r"^\s*zunits\s+(\S+)", re.IGNORECASE | re.MULTILINE)
MAX_FILES = 200
"""Number of files of a virtual raster whose unit is read."""


@dataclass(frozen=True)
class StatedUnit:
    """The stated unit of a band.

    Attributes:
        text: the unit as it is written; empty if it is not stated.
        by: where it is stated: `user`, `file` or `CRS`.
        metres: in one unit; None if that is no length, or not stated.
        other: another unit that the CRS names; empty if it does not.
        down: whether values count downwards, as depths do.
    """

    text: str = ""
    by: str = ""
    metres: float | None = None
    other: str = ""
    down: bool = False


def length_m(text: str) -> float | None:
    """Return the metres in a unit of length of any spelling, e.g. `m`, `US survey foot`, `0.1 m`; None for others."""
    small = DATUM.split(text.strip().strip("[]").lower())[0].strip()
    factor = FACTOR.match(small)
    if factor and factor.group(2):
        unit = length_m(factor.group(2))
        return None if unit is None else float(factor.group(1)) * unit
    name = re.sub(r"[^a-z0-9'/]", "", small).replace("meter", "metre").replace("feet", "foot")
    known = _lengths()
    return known.get(name) or (known.get(name.removesuffix("s")) if len(name) > SHORTEST_PLURAL else None)


@lru_cache(maxsize=1)
def _lengths() -> dict[str, float]:
    named = get_units_map(category="linear")
    return {
        re.sub(r"[^a-z0-9']", "", name.lower()): unit.conv_factor for name, unit in named.items()
    } | LENGTHS_M


def stated_unit(source: Source, dataset: Any, index: int) -> StatedUnit:
    """Return the unit of a band's values, with scale and offset applied.

    The user's setting comes first, then the band's own unit, metadata and description, then the vertical axis of the
    CRS, then the files of a virtual raster.

    Args:
        source: with the unit that the user set.
        dataset: the open raster.
        index: band number from 1.

    Raises:
        GeoSegError: `height_unit` if the user set no unit of length; `mixed_units` if the files of a virtual raster
            are in different ones.
    """
    vertical, down = _vertical(source, dataset)
    down = down or dataset.tags(index).get("positive", "").lower() == "down"
    if source.height_unit:
        metres = length_m(source.height_unit)
        if metres is None:
            raise GeoSegError(
                "height_unit",
                f"'{source.height_unit}' is not a known unit of heights (layer '{title(source)}').",
                "Write metre, foot, US survey foot or another unit of length, or leave it out.",
            )
        return StatedUnit(source.height_unit, "user", metres, "", down)
    own = next((text for text in _texts(dataset, index) if _plain(text) not in UNSTATED), "")
    own = own or ("" if vertical else _of_parts(source, dataset, index))
    other = vertical if own and vertical and length_m(own) != length_m(vertical) else ""
    text, by = (own, "file") if own else (vertical, "CRS" if vertical else "")
    return StatedUnit(text, by, length_m(text) if text else None, other, down)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9'%°]", "", text.lower())


def _texts(dataset: Any, index: int) -> Iterator[str]:
    """Texts that may be the band's unit, the most specific first."""
    yield dataset.units[index - 1] or ""
    yield from (value for key, value in dataset.tags(index).items() if _plain(key) in TAGS)
    yield from (value for key, value in dataset.tags().items() if _plain(key) in TAGS and length_m(value))
    described = IN_BRACKETS.search(dataset.descriptions[index - 1] or "")
    if described and length_m(described.group(1)):
        yield described.group(1)
    if dataset.driver in (
        "AAIGrid",
        "AIG",
        "EHdr",
        "ENVI",
    ):  # ArcInfo's own .prj, of which GDAL reads the plane alone
        for path in dataset.files:
            if Path(path).suffix.lower() == ".prj" or Path(path).name.lower() == "prj.adf":
                found = ZUNITS.search(Path(path).read_text("latin-1"))
                yield found.group(1) if found else ""


def _vertical(source: Source, dataset: Any) -> tuple[str, bool]:
    """Unit of the vertical axis of the CRS in force, empty if it has none, and whether that axis points down."""
    for wkt in (source.crs, dataset.crs.to_wkt() if dataset.crs else ""):
        axes = _axes(wkt) if wkt else ()
        for direction, unit in axes:
            if direction in ("up", "down"):
                return unit, direction == "down"
    return "", False


@lru_cache(maxsize=256)
def _axes(wkt: str) -> tuple[tuple[str, str], ...]:
    try:
        crs = pyproj.CRS.from_user_input(wkt)
    except pyproj.exceptions.CRSError:
        return ()
    return tuple((axis.direction.lower(), axis.unit_name) for axis in crs.axis_info)


def _of_parts(source: Source, dataset: Any, index: int) -> str:
    """The unit in the files of a virtual raster; gdalbuildvrt drops it."""
    if dataset.driver != "VRT":
        return ""
    units: dict[str, str] = {}
    for path in [path for path in dataset.files[1:] if is_plain_file(path)][:MAX_FILES]:
        try:
            with rasterio.open(path) as part:
                unit = stated_unit(Source("part", path), part, index if index <= part.count else 1).text
        except RasterioError:
            continue
        units.setdefault(unit, path)
    if len({length_m(unit) if unit else 1.0 for unit in units}) > 1:
        units_text = "; ".join(f"{Path(path).name}: {unit or 'no unit'}" for unit, path in units.items())
        raise GeoSegError(
            "mixed_units",
            f"The virtual raster '{title(source)}' joins files whose heights are in different units ({units_text}).",
            "Use the files themselves as one mosaic, where each is converted, or bring them to one unit first.",
        )
    return max(units, default="")


def conversion(source: Source, dataset: Any, index: int, unit: str) -> float:
    """Return the factor that converts values of a band, with scale and offset applied, to a unit.

    Args:
        source, dataset, index: the band.
        unit: HEIGHTS, any other, or empty for values as they are.

    Returns:
        1 where either unit is unknown or no length; for HEIGHTS negative if the raster counts downwards, and metres
        where nothing is stated.

    Raises:
        GeoSegError: as `stated_unit`.
    """
    if not unit:
        return 1.0
    stated = stated_unit(source, dataset, index)
    if unit == HEIGHTS:
        metres = 1.0 if stated.metres is None else stated.metres
        return -metres if stated.down else metres
    wanted = length_m(unit)
    return 1.0 if wanted is None or stated.metres is None else stated.metres / wanted
