"""Find the grid of a stack: CRS, pixel size and alignment of the reference, extent that all layers share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyproj
import shapely
from rasterio.transform import Affine

from ..contract import GeoSegError, Grid, GridRequest, Source, present
from ..raster.crs import same_crs, way_between
from ..raster.grid import Bounds, grid_bounds
from ..raster.sources import (
    crs_text,
    crs_title,
    parse_crs,
    title,
    unit_title,
)
from ..vector.placement import area_around, in_another_turn, other_turn
from ..vector.reprojection import WIDE, turn_of

GRID_LIMIT_PX = 40_000_000_000
ROUNDING_PX = 0.01
Pixels = tuple[int, int, int, int]
"""(left, top, right, bottom), half-open."""

SLIVER_PX, LITTLE_SHARE, SLIVER_SHARE = 32, 0.25, 0.02
"""Rasters share a sliver below this number of rows or columns, if that is less than the first share of the smallest
raster; and below the second share of it, whatever the number."""


@dataclass(frozen=True)
class PixelLattice:
    """Pixel corners of the target: a CRS, one corner and the pixel's size (both positive, north-up)."""

    crs: str
    x: float
    y: float
    width: float
    height: float


def plan_lattice(reference: Grid, request: GridRequest) -> PixelLattice:
    """Return CRS, pixel size and alignment of the target.

    The reference's own are used where possible; in another CRS square pixels of the same area, aligned to
    multiples of their size.

    Args:
        reference: grid of the reference layer.
        request: what the user set.

    Raises:
        GeoSegError: `bad_crs`, `no_overlap`.
    """
    own_crs = parse_crs(reference.crs)
    crs = parse_crs(request.crs) if request.crs else own_crs
    same = same_crs(crs, own_crs)
    a, b, _, d, e, _ = reference.transform
    if same:
        size = request.pixel_size or (math.hypot(a, d), math.hypot(b, e))
        if b == 0 == d:
            xmin, _, _, ymax = grid_bounds(reference)
            return PixelLattice(reference.crs, xmin, ymax, *size)
        return PixelLattice(reference.crs, 0.0, 0.0, *size)
    size = request.pixel_size or _projected_pixel(reference, own_crs, crs)
    return PixelLattice(crs_text(crs), 0.0, 0.0, *size)


def _projected_pixel(reference: Grid, own_crs: pyproj.CRS, crs: pyproj.CRS) -> tuple[float, float]:
    """Side of a square with the area of the reference's middle pixel, to four digits."""
    middle_col, middle_row = reference.width / 2, reference.height / 2
    cols = np.array([0, 1, 0]) + middle_col
    rows = np.array([0, 0, 1]) + middle_row
    xs, ys = Affine(*reference.transform) * (cols, rows)
    way = way_between(own_crs, crs)
    xs, ys = way.transform(xs, ys) if way is not None else (xs, ys)
    area = abs((xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0]))
    if not math.isfinite(area) or area == 0:
        raise GeoSegError(
            "no_overlap",
            f"The reference layer is outside the domain of {crs_title(crs_text(crs))}.",
            "Choose another target CRS.",
        )
    side = float(f"{math.sqrt(area):.4g}")
    return side, side


def plan_extent(
    lattice: PixelLattice,
    used: tuple[Source, ...],
    grids: dict[str, Grid],
    request: GridRequest,
    area: tuple[Bounds, str, str] | None,
) -> Grid:
    """Return the pixels of the lattice whose centres all rasters cover, cut to the area and the requested extent.

    Args:
        lattice: CRS, pixel size and alignment.
        used: sources with pixels.
        grids: source key -> grid.
        request: what the user set.
        area: bounds, their CRS and their title; None does not cut.

    Raises:
        GeoSegError: `no_overlap`, `other_turn`, `sliver`, `outside_rasters`, `bad_extent`, `extent_in_two`,
            `grid_too_large`, `grid_too_small`.
    """
    shared: Pixels | None = None
    before: list[str] = []
    for source in sorted(used, key=lambda item: not _on_lattice(lattice, grids[item.key])):
        own = grids[source.key]
        around = None if shared is None else _grid(lattice, shared)
        try:
            pixels = _covered(lattice, own, around)
        except GeoSegError as error:
            raise GeoSegError(
                error.code, f"Layer '{title(source)}': {error.message}", error.hint, error.details
            ) from error
        shared = pixels if shared is None else _common(shared, pixels)
        beyond = around is not None and in_another_turn(own, around)
        if beyond and (_is_empty(shared) or not _on_lattice(lattice, own)):
            raise other_turn(title(source), [f"'{other}'" for other in before])
        if _is_empty(shared):
            raise _no_overlap(title(source), before)
        before.append(title(source))
    shared = present(shared, "the pixels that the layers share")
    if request.extent is None:
        _check_sliver(lattice, shared, used, grids)
    before_cuts = shared
    cuts = [] if area is None else [area]
    if request.extent is not None:
        cuts.append((request.extent, request.extent_crs or lattice.crs, "the chosen extent"))
    for bounds, crs, name in cuts:
        shown = _where_shown(shared, lattice, reprojected_bounds(bounds, crs, lattice.crs))
        if not shown:
            raise _outside(name, bounds, crs, _grid(lattice, before_cuts), before)
        if request.extent == bounds and any(two[0] > one[2] for one, two in pairwise(sorted(shown))):
            raise _at_both_ends(name, bounds, crs)
        shared = _around(shown)
    return _grid(lattice, shared)


def _on_lattice(lattice: PixelLattice, own: Grid) -> bool:
    return same_crs(parse_crs(own.crs), parse_crs(lattice.crs))


def _covered(lattice: PixelLattice, own: Grid, around: Grid | None) -> Pixels:
    """The pixels of the lattice that a raster covers; of a wide one in degrees those near a grid.

    The bounds of half the world have no meaning in UTM.
    """
    bounds, crs = grid_bounds(own), parse_crs(own.crs)
    parts = [bounds]
    wide = crs.is_geographic and max(bounds[2] - bounds[0], bounds[3] - bounds[1]) > WIDE * turn_of(crs) / 360
    if wide and around is not None and not _on_lattice(lattice, own):
        near = shapely.intersection(shapely.box(*bounds), area_around(around, crs))
        parts = [part.bounds for part in shapely.get_parts(near) if part.area] or parts
    return _around([_pixels(lattice, reprojected_bounds(part, own.crs, lattice.crs)) for part in parts])


def _where_shown(shared: Pixels, lattice: PixelLattice, bounds: Bounds) -> list[Pixels]:
    """The pixels of a part of the lattice that bounds touch, whatever turn of longitude either is counted in."""
    turn = turn_of(parse_crs(lattice.crs))
    found = []
    for step in (-1, 0, 1) if turn else (0,):
        shifted = (bounds[0] + step * turn, bounds[1], bounds[2] + step * turn, bounds[3])
        found.append(_common(shared, _pixels(lattice, shifted, outward=True)))
    return [pixels for pixels in found if not _is_empty(pixels)]


def _around(parts: list[Pixels]) -> Pixels:
    lefts, tops, rights, bottoms = zip(*parts, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _at_both_ends(name: str, bounds: Bounds, crs: str) -> GeoSegError:
    return GeoSegError(
        "extent_in_two",
        f"{name[:1].upper() + name[1:]} ({_corners(bounds, crs)}) is at both ends of the rasters, whose longitudes "
        "start inside it.",
        "Process its western and its eastern part one after the other.",
    )


def _check_sliver(
    lattice: PixelLattice, shared: tuple[int, int, int, int], used: tuple[Source, ...], grids: dict[str, Grid]
) -> None:
    """Raise if rasters share so little that it is probably a mistake; not called if the user set an extent.

    Raises:
        GeoSegError: `sliver`.
    """
    own = [
        reprojected_bounds(grid_bounds(grids[source.key]), grids[source.key].crs, lattice.crs)
        for source in used
    ]
    for place, size, what in ((0, lattice.width, "columns"), (1, lattice.height, "rows")):
        count = shared[place + 2] - shared[place]
        share = count * size / min(bounds[place + 2] - bounds[place] for bounds in own)
        if share < SLIVER_SHARE or (count < SLIVER_PX and share < LITTLE_SHARE):
            names = ", ".join(f"'{title(source)}'" for source in used)
            raise GeoSegError(
                "sliver",
                f"{names} share only a strip of {count} {what}, {100 * share:.2g} % of the smallest of them.",
                "Untick one of them, or give the extent if this strip is meant.",
                f"{count} {what}",
            )


def _outside(name: str, bounds: Bounds, crs: str, shared: Grid, rasters: list[str]) -> GeoSegError:
    for low, high, first, last in ((0, 2, "west", "east"), (1, 3, "south", "north")):
        if bounds[low] >= bounds[high]:
            return GeoSegError(
                "bad_extent",
                f"The {first} of {name}, {bounds[low]:.10g}, is not less than its {last}, {bounds[high]:.10g}.",
                "Write west, south, east, north.",
            )
    return GeoSegError(
        "outside_rasters",
        f"{name[:1].upper() + name[1:]} ({_corners(bounds, crs)}) is outside the area that the rasters share "
        f"({', '.join(rasters)}: {_corners(grid_bounds(shared), shared.crs)}).",
        "Check its position and CRS, or choose other rasters.",
    )


def _corners(bounds: Bounds, crs: str) -> str:
    """West, south, east and north of a box."""
    return f"{' '.join(f'{value:.10g}' for value in bounds)} in {crs_title(crs)}"


def _no_overlap(name: str, before: list[str]) -> GeoSegError:
    if not before:
        return GeoSegError(
            "grid_too_small",
            f"A pixel of the target is larger than the whole layer '{name}'.",
            "The pixel size is in units of the target CRS: degrees are not metres.",
        )
    others = ", ".join(f"'{other}'" for other in before)
    return GeoSegError(
        "no_overlap",
        f"Layer '{name}' shares no area with {others}.",
        "Untick one of them, or check the CRS of both: are they at the right place on the map?",
    )


def _grid(lattice: PixelLattice, pixels: tuple[int, int, int, int]) -> Grid:
    left, top, right, bottom = pixels
    width, height = right - left, bottom - top
    if width * height > GRID_LIMIT_PX:
        raise GeoSegError(
            "grid_too_large",
            f"The grid would have {width:,} × {height:,} pixels of {lattice.width:g} {unit_title(lattice.crs)}.",
            "Choose a larger pixel size (in units of the target CRS: degrees are not metres) or a smaller area.",
        )
    x, y = lattice.x + left * lattice.width, lattice.y - top * lattice.height
    return Grid(lattice.crs, (lattice.width, 0.0, x, 0.0, -lattice.height, y), width, height)


def _pixels(lattice: PixelLattice, bounds: Bounds, outward: bool = False) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the pixels inside bounds: by their centres, or every pixel touched."""
    left = (bounds[0] - lattice.x) / lattice.width
    right = (bounds[2] - lattice.x) / lattice.width
    top = (lattice.y - bounds[3]) / lattice.height
    bottom = (lattice.y - bounds[1]) / lattice.height
    if outward:
        low, high = ROUNDING_PX, -ROUNDING_PX
        return (
            math.floor(left + low),
            math.floor(top + low),
            math.ceil(right + high),
            math.ceil(bottom + high),
        )
    high = 0.5 + ROUNDING_PX
    return math.ceil(left - high), math.ceil(top - high), math.floor(right + high), math.floor(bottom + high)


def _common(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _is_empty(pixels: tuple[int, int, int, int]) -> bool:
    return pixels[2] <= pixels[0] or pixels[3] <= pixels[1]


def reprojected_bounds(bounds: Bounds, crs: str, target: str) -> Bounds:
    """Return the envelope of a box in another CRS, its sides followed at 21 points.

    Args:
        bounds: (xmin, ymin, xmax, ymax).
        crs, target: as text.

    Returns:
        (xmin, ymin, xmax, ymax); across the date line xmax exceeds 180.

    Raises:
        GeoSegError: `no_overlap` if the box cannot be transformed, `no_way`.
    """
    other = parse_crs(target)
    transformer = way_between(parse_crs(crs), other)
    if transformer is None:
        return bounds
    try:
        found = transformer.transform_bounds(*bounds, densify_pts=21)
    except pyproj.exceptions.ProjError:
        found = (math.inf, math.inf, math.inf, math.inf)
    if not all(math.isfinite(value) for value in found):
        found = _envelope_of_finite(transformer, bounds)
    if other.is_geographic and found[0] > found[2]:
        found = (found[0], found[1], found[2] + 360, found[3])
    return found


def _envelope_of_finite(transformer: pyproj.Transformer, bounds: Bounds) -> Bounds:
    xs, ys = np.meshgrid(np.linspace(bounds[0], bounds[2], 41), np.linspace(bounds[1], bounds[3], 41))
    xs, ys = transformer.transform(xs.ravel(), ys.ravel())
    finite = np.isfinite(xs) & np.isfinite(ys)
    if not finite.any():
        raise GeoSegError(
            "no_overlap",
            f"The extent {bounds} cannot be transformed to the target CRS.",
            "Choose another target CRS.",
        )
    return (
        float(xs[finite].min()),
        float(ys[finite].min()),
        float(xs[finite].max()),
        float(ys[finite].max()),
    )
