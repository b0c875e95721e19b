"""Transformations between coordinate reference systems, and their units; local CRS have none to degrees."""

from __future__ import annotations

import warnings
from functools import lru_cache

import pyproj
from pyproj.exceptions import CRSError, ProjError

from ..contract import GeoSegError

UNNAMED = ("", "unnamed", "unknown", "undefined", "undefined cartesian srs", "unknown engineering crs")
"""Names of local CRS of which nothing is known; such names do not distinguish two of them."""


def is_local(crs: pyproj.CRS) -> bool:
    """Return whether a CRS has no known place on the earth: an engineering CRS, LOCAL_CS in older files."""
    return bool(crs.is_engineering)


@lru_cache(maxsize=256)
def same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Return whether coordinates, x before y, are the same numbers in two CRS, whatever the names of their axes.

    PROJ treats all local CRS as one; here they are equal if they have one name and one unit, or one of them has none.

    Args:
        one, other: the CRS.
    """
    if is_local(one) and is_local(other):
        return _agree(_local_name(one), _local_name(other)) and _agree(unit_m(one), unit_m(other))
    return bool(one.equals(other, ignore_axis_order=True)) or _same_parameters(one, other)


def _agree(one: str | float | None, other: str | float | None) -> bool:
    return not one or not other or one == other


def _local_name(crs: pyproj.CRS) -> str:
    name = str(crs.name).strip().casefold().removesuffix(" with unknown unit")
    return "" if name in UNNAMED else name


def _same_parameters(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Whether two projected CRS differ in names alone, as after a GeoTIFF has kept one: name of axes, remarks."""
    base, other_base = one.geodetic_crs, other.geodetic_crs
    if not (one.is_projected and other.is_projected) or base is None or not base.equals(other_base):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        parameters = [set((crs.to_proj4() or "").split()) - {"+wktext", "+units=m"} for crs in (one, other)]
    return parameters[0] == parameters[1] and len(parameters[0]) > 2 and unit_m(one) == unit_m(other)


@lru_cache(maxsize=256)
def way_between(one: pyproj.CRS, other: pyproj.CRS) -> pyproj.Transformer | None:
    """Return the transformation of coordinates from one CRS to another, x before y; None where they are the same.

    Args:
        one: of the coordinates.
        other: of the result.

    Raises:
        GeoSegError: `no_way` between a local CRS and another, or between two planets.
    """
    if same_crs(one, other):
        return None
    try:
        return pyproj.Transformer.from_crs(one, other, always_xy=True)
    except (ProjError, CRSError) as error:
        local = " and ".join(f"'{crs.name}'" for crs in (one, other) if is_local(crs))
        why = f"{local} cannot be placed on the earth" if local else "no transformation is known"
        raise GeoSegError(
            "no_way",
            f"Nothing leads from the CRS '{one.name}' to '{other.name}': {why}.",
            "Use layers of one CRS. If their coordinates do belong together, assign the same CRS to all of them "
            "(layer properties, Source).",
            str(error),
        ) from error


@lru_cache(maxsize=256)
def way_to_degrees(crs: pyproj.CRS) -> pyproj.Transformer | None:
    """Return the transformation from a CRS to longitude and latitude on its own datum; None for a local CRS."""
    base = crs.source_crs if crs.is_geographic and crs.is_derived else crs.geodetic_crs
    if base is None:
        return None
    return pyproj.Transformer.from_crs(crs, base, always_xy=True)


def unit_m(crs: pyproj.CRS) -> float | None:
    """Return the metres in one unit of a projected CRS; None if its file does not define it."""
    axes = crs.axis_info
    return float(axes[0].unit_conversion_factor) or None if axes else None


def check_unit_known(crs: pyproj.CRS, needs: str) -> None:
    """Raise if lengths in a CRS cannot be converted to metres.

    Args:
        crs: of the pixels.
        needs: what needs metres, as the start of a sentence.

    Raises:
        GeoSegError: `unknown_unit`.
    """
    if not crs.is_geographic and unit_m(crs) is None:
        raise GeoSegError(
            "unknown_unit",
            f"{needs} needs metres, and the CRS '{crs.name}' does not define the length of its unit.",
            "Assign a CRS with a unit to the layer (layer properties, Source).",
        )
