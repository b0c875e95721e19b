"""Geometries that GEOS cannot read, read from their well-known binary part by part (ISO 13249-3, OGC 06-103r4).

Triangles, TIN and polyhedral surfaces become polygons, arcs become chords, a ring is closed; a ring or part that is no
figure is dropped, so one bad hole does not cost the polygon.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

POINT, LINE, POLYGON, ARCS, CHAIN, CURVE_POLYGON, TRIANGLE = 1, 2, 3, 8, 9, 10, 17
COLLECTIONS = (4, 5, 6, 7, 11, 12, 15, 16)
ARC_STEP = np.radians(4)
"""Angle between chords, GDAL's own."""

MAX_NESTED = 32
Points = NDArray[np.float64]


def salvaged(blob: bytes) -> shapely.Geometry | None:
    """Return the usable parts of a geometry, without Z and M; None without any."""
    parts: list[shapely.Geometry] = []
    try:
        parts.extend(_Reader(blob).parts())
    except (struct.error, ValueError):
        return None
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.GeometryCollection(parts)


class _Reader:
    """Reads one geometry after the other; each begins with its own byte order and type."""

    def __init__(self, blob: bytes) -> None:
        self._blob, self._at, self._depth = blob, 0, 0

    def parts(self) -> Iterator[shapely.Geometry]:
        """Points, lines and polygons of the geometry that begins here."""
        kind, order, dimensions = self._head()
        if kind in COLLECTIONS:
            self._depth += 1
            if self._depth > MAX_NESTED:
                raise ValueError("nested too deeply")
            for _ in range(self._count(order, 5)):
                yield from self.parts()
            self._depth -= 1
        elif kind in (POLYGON, TRIANGLE):
            yield from _polygon([self._points(order, dimensions) for _ in range(self._count(order, 4))])
        elif kind == CURVE_POLYGON:
            yield from _polygon([self._line() for _ in range(self._count(order, 5))])
        elif kind == POINT:
            (point,) = self._points(order, dimensions, 1)
            yield from [shapely.Point(point)] if np.isfinite(point).all() else []
        else:
            points = self._body(kind, order, dimensions)
            yield from [shapely.LineString(points)] if len(points) > 1 and np.isfinite(points).all() else []

    def _line(self) -> Points:
        """(points, 2) of the line that begins here."""
        return self._body(*self._head())

    def _body(self, kind: int, order: str, dimensions: int) -> Points:
        if kind == LINE:
            return self._points(order, dimensions)
        if kind == ARCS:
            return chords(self._points(order, dimensions))
        if kind == CHAIN:
            pieces = [self._line() for _ in range(self._count(order, 5))]
            return np.concatenate([np.empty((0, 2)), *pieces])
        raise ValueError(f"geometry of type {kind}")

    def _head(self) -> tuple[int, str, int]:
        """Type without dimensions, byte order, numbers per point."""
        order = "<" if self._blob[self._at : self._at + 1] == b"\x01" else ">"
        (code,) = struct.unpack_from(f"{order}I", self._blob, self._at + 1)
        self._at += 5 + 4 * bool(code & 0x20000000)
        thousands, kind = divmod(code & 0x0FFFFFFF, 1000)
        flags = bool(code & 0x80000000) + bool(code & 0x40000000)
        return kind, order, 2 + flags + (0, 1, 1, 2)[thousands if thousands < 4 else 0]

    def _count(self, order: str, min_bytes: int) -> int:
        """How many things follow; no more than there are bytes for."""
        (count,) = struct.unpack_from(f"{order}I", self._blob, self._at)
        self._at += 4
        if count * min_bytes > len(self._blob) - self._at:
            raise ValueError("cut short")
        return int(count)

    def _points(self, order: str, dimensions: int, count: int = -1) -> Points:
        """(points, 2)."""
        count = self._count(order, 8 * dimensions) if count < 0 else count
        found = np.frombuffer(self._blob, f"{order}f8", count * dimensions, self._at)
        self._at += count * dimensions * 8
        return found.astype(np.float64).reshape(count, dimensions)[:, :2]


def _polygon(rings: list[Points]) -> list[shapely.Geometry]:
    """The polygon of a shell and holes, as a list of one or none."""
    closed = [ring if _same(ring) else np.concatenate([ring, ring[:1]]) for ring in rings]
    good = [len(np.unique(ring, axis=0)) > 2 and bool(np.isfinite(ring).all()) for ring in closed]
    if not good or not good[0]:
        return []
    holes = [ring for ring, is_good in zip(closed[1:], good[1:], strict=True) if is_good]
    return [shapely.Polygon(closed[0], holes)]


def _same(ring: Points) -> bool:
    return len(ring) > 1 and bool((ring[0] == ring[-1]).all())


def chords(points: Points) -> Points:
    """(points, 2) along arcs, each through three points of which the last begins the next."""
    found = [points[:1]]
    for begin in range(0, len(points) - 2, 2):
        found.append(_arc(*points[begin : begin + 3])[1:])
    return np.concatenate(found)


def _arc(first: Points, middle: Points, last: Points) -> Points:
    """(points, 2) from the first to the last; a straight line where three points make no circle."""
    (bx, by), (cx, cy) = middle - first, last - first
    twice = 2 * (bx * cy - by * cx)
    if (first == last).all():  # a whole circle
        centre = (first + middle) / 2
    elif twice == 0:
        return np.stack([first, middle, last])
    else:
        b, c = bx * bx + by * by, cx * cx + cy * cy
        centre = first + np.array([cy * b - by * c, bx * c - cx * b]) / twice
    radius = float(np.hypot(*(first - centre)))
    start, through, end = (float(np.arctan2(*(point - centre)[::-1])) for point in (first, middle, last))
    turn = 2 * np.pi
    sweep = (end - start) % turn or turn
    if (through - start) % turn > sweep:
        sweep -= turn
    angles = start + sweep * np.linspace(0, 1, max(int(abs(sweep) / ARC_STEP), 2) + 1)[1:-1]
    along = centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.concatenate([first[None], along, last[None]])
