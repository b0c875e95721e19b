"""A CRS in metres for a grid in degrees."""

from __future__ import annotations

from ..contract import GeoSegError, Grid
from ..raster.crs import way_between
from ..raster.grid import grid_bounds
from ..raster.sources import parse_crs

NORTH_LIMIT, SOUTH_LIMIT = 84.0, -80.0
"""Latitudes beyond which UTM is not defined."""


def suggested_crs(grid: Grid) -> dict[str, str] | None:
    """Return a CRS in metres and the reason for it, or None where the grid is not in degrees of the earth.

    The UTM zone of the middle of the grid, with the exceptions for Norway and Svalbard; beyond 84° N and 80° S the
    polar stereographic UPS.
    """
    crs = parse_crs(grid.crs)
    if not crs.is_geographic:
        return None
    left, bottom, right, top = grid_bounds(grid)
    longitude, latitude = (left + right) / 2, (bottom + top) / 2
    try:
        to_wgs84 = way_between(crs, parse_crs("EPSG:4326"))
    except GeoSegError:  # degrees of another planet
        return None
    if to_wgs84 is not None:
        longitude, latitude = to_wgs84.transform(longitude, latitude)
    code, name = metric_crs((longitude + 180) % 360 - 180, latitude)
    return {
        "crs": code,
        "reason": f"Pixels of {crs.name} are degrees, whose length in metres changes with latitude; {name} "
        "(the middle of this area) has square pixels in metres.",
    }


def metric_crs(longitude: float, latitude: float) -> tuple[str, str]:
    """Return authority code and name of the UTM zone, or UPS, of a place.

    Args:
        longitude: -180..180 degrees.
        latitude: -90..90 degrees.
    """
    if latitude >= NORTH_LIMIT:
        return "EPSG:32661", "UPS North"
    if latitude < SOUTH_LIMIT:
        return "EPSG:32761", "UPS South"
    zone = min(int((longitude + 180) // 6) + 1, 60)
    if 56 <= latitude < 64 and 3 <= longitude < 12:
        zone = 32
    elif latitude >= 72 and 0 <= longitude < 42:
        zone = next(zone for zone, east in ((31, 9), (33, 21), (35, 33), (37, 42)) if longitude < east)
    north = latitude >= 0
    return f"EPSG:{326 if north else 327}{zone:02d}", f"UTM zone {zone}{'N' if north else 'S'}"
