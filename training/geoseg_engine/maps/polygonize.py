"""The job `polygonize`: a class raster as polygons with class, score, area and perimeter.

The raster is traced in strips; parts that meet at the border of two strips become one polygon, so the polygons do
not depend on the strips. Pixels of one class belong together where they share an edge (4-connected).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.transform import Affine

from ..channel import Channel
from ..contract import GeoSegError, Grid, LabelClass, PolygonizeJob, Source
from ..outputs import whole_file
from ..raster.components import label_components
from ..raster.geodesy import perimeters_m, window_areas_m2
from ..raster.grid import Window
from ..raster.sources import coincide, crs_title, open_source, source_grid
from ..raster.writer import read_classes
from ..vector.geopackage import write_layer

LAYER = "polygons"
STRIP_PIXELS = 4_000_000
BLOCK_PX = 512
BATCH = 20_000


@dataclass
class Group:
    """Parts of one polygon found so far, with the sums over its pixels."""

    class_id: int
    parts: list[Any] = field(default_factory=list)
    pixels: int = 0
    confidence: float = 0.0
    area_m2: float = 0.0

    def absorb(self, other: Group) -> None:
        """Take over another group's parts."""
        self.parts += other.parts
        self.pixels += other.pixels
        self.confidence += other.confidence
        self.area_m2 += other.area_m2

    def geometry(self) -> Any:
        """One polygon in pixel coordinates, without vertices on straight edges."""
        if len(self.parts) == 1:
            return self.parts[0]
        return shapely.simplify(shapely.union_all(self.parts), 0)


class Joiner:
    """Joins the groups of successive strips across their common border."""

    def __init__(self, width: int) -> None:
        self._below = np.full(width, -1, np.int64)
        self._groups: dict[int, Group] = {}
        self._next = 0

    def add(
        self, groups: Sequence[Group], first_row: NDArray[np.int32], last_row: NDArray[np.int32]
    ) -> list[Group]:
        """Add a strip; returns the groups that can grow no more.

        Args:
            groups: of the strip.
            first_row, last_row: index into `groups` of each pixel of those rows, -1 for none.
        """
        start = self._next
        self._next += len(groups)
        self._groups.update(enumerate(groups, start))
        parent = {key: key for key in self._groups}
        pairs = np.stack([self._below, np.where(first_row >= 0, first_row + start, -1)])
        pairs = np.unique(pairs[:, (pairs >= 0).all(axis=0)], axis=1)
        for above, here in pairs.T.tolist():
            one, other = _root(parent, above), _root(parent, here)
            if one != other and self._groups[one].class_id == self._groups[other].class_id:
                if len(self._groups[one].parts) < len(self._groups[other].parts):
                    one, other = other, one
                self._groups[one].absorb(self._groups.pop(other))
                parent[other] = one
        owner = np.array([_root(parent, start + index) for index in range(len(groups))] + [-1], np.int64)
        self._below = owner[last_row]
        growing = set(np.unique(self._below).tolist())
        return [self._groups.pop(key) for key in list(self._groups) if key not in growing]

    def rest(self) -> list[Group]:
        """What is left after the last strip."""
        groups, self._groups = list(self._groups.values()), {}
        return groups


def run(job: PolygonizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Write the polygons of a class raster to a GeoPackage, layer `polygons`.

    Raises:
        GeoSegError: `other_grid` if the confidence is not on the classes' pixels; as `open_source`; `not_writable`,
            `disk_full`.
    """
    return polygonize(job, folder, channel)


def polygonize(job: PolygonizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Trace a class raster; see `run`. Returns output, count, area_m2."""
    source = Source("classes", str(folder / job.classes), Path(job.classes).stem)
    output = folder / job.output
    count, area_m2, batch = 0, 0.0, list[Group]()
    with ExitStack() as stack:
        dataset = stack.enter_context(open_source(source))
        grid = source_grid(source, dataset)
        confidence = (
            stack.enter_context(scores_on(folder / job.confidence, source, grid)) if job.confidence else None
        )
        names = {item.id: item.name for item in read_classes(dataset)}
        partial = stack.enter_context(whole_file(output))
        write_batch([], partial, grid, names, confidence is not None)
        left_out = {dataset.nodata} | ({0} if job.skip_background else set())
        for group in traced(dataset, confidence, grid, left_out, job.min_area_px, channel):
            if group.pixels < job.min_area_px:
                continue
            count, area_m2 = count + 1, area_m2 + group.area_m2
            batch.append(group)
            if len(batch) >= BATCH:
                write_batch(batch, partial, grid, names, confidence is not None)
                batch.clear()
        write_batch(batch, partial, grid, names, confidence is not None)
    channel.artifact("polygons", output)
    return {"output": str(output), "count": count, "area_m2": round(area_m2, 2)}


@contextmanager
def scores_on(path: Path, classes: Source, grid: Grid) -> Iterator[Any]:
    """Open the confidence raster of a class raster.

    Raises:
        GeoSegError: `other_grid`; as `open_source`.
    """
    source = Source("confidence", str(path), path.stem)
    with open_source(source) as dataset:
        own = source_grid(source, dataset)
        if not coincide(own, grid):
            raise GeoSegError(
                "other_grid",
                f"The confidence {path.name} ({_described(own)}) does not lie on the pixels of the classes "
                f"{Path(classes.path).name} ({_described(grid)}).",
                "Choose the confidence raster of the same prediction, or leave it out.",
            )
        yield dataset


def _described(grid: Grid) -> str:
    a, _, c, _, _, f = grid.transform
    return f"{grid.width} × {grid.height} pixels of {a:g} from {c:.10g}, {f:.10g} in {crs_title(grid.crs)}"


def traced(
    dataset: Any,
    confidence: Any,
    grid: Grid,
    left_out: set[float | None],
    min_area_px: int,
    channel: Channel,
) -> Iterator[Group]:
    """All polygons of a class raster, each once, strip by strip."""
    joiner = Joiner(grid.width)
    height = max(STRIP_PIXELS // grid.width // BLOCK_PX, 1) * BLOCK_PX
    for row in range(0, grid.height, height):
        channel.progress("polygonize", row, grid.height)
        window = Window(row, 0, min(height, grid.height - row), grid.width)
        groups, owner = trace_strip(dataset, confidence, grid, window, left_out, min_area_px)
        yield from joiner.add(groups, owner[0], owner[-1])
    yield from joiner.rest()
    channel.progress("polygonize", grid.height, grid.height)


def trace_strip(
    dataset: Any,
    confidence: Any,
    grid: Grid,
    window: Window,
    left_out: set[float | None],
    min_area_px: int = 0,
) -> tuple[list[Group], NDArray[np.int32]]:
    """Groups of one strip, and (rows, cols) with the index of each pixel's group, -1 for none.

    What is smaller than `min_area_px` and cannot go on in the next strip is not traced.
    """
    ids = dataset.read(1, window=window.rasterio)
    wanted = ~np.isin(ids, [value for value in left_out if value is not None])
    owner, count = label_components(ids, wanted)
    pixels = _sums(owner, count)
    small = pixels < min_area_px
    small[owner[[0, -1]][owner[[0, -1]] >= 0]] = False
    if small.any():
        kept = np.where(small, -1, np.cumsum(~small) - 1).astype(np.int32)
        owner = np.append(kept, np.int32(-1))[owner]
        pixels = pixels[~small]
    count = len(pixels)
    areas = window_areas_m2(grid, window.row, window.col, window.height, window.width)
    ground = _sums(owner, count, np.broadcast_to(areas, owner.shape))
    surety = np.zeros(count)
    if confidence is not None:
        surety = _sums(owner, count, np.nan_to_num(confidence.read(1, window=window.rasterio)))
    groups = [Group(0, [], int(pixels[i]), float(surety[i]), float(ground[i])) for i in range(count)]
    shift = Affine.translation(window.col, window.row)
    for geometry, value in shapes(owner, mask=owner >= 0, connectivity=4, transform=shift):
        groups[int(value)].parts.append(shapely.geometry.shape(geometry))
    positions, where = np.unique(owner, return_index=True)
    for index, place in zip(positions.tolist(), where.tolist(), strict=True):
        if index >= 0:
            groups[index].class_id = int(ids.flat[place])
    return groups, owner


def _sums(owner: NDArray[np.int32], count: int, weights: NDArray[Any] | None = None) -> NDArray[Any]:
    """Pixels, or the sum of weights, of each of `count` groups."""
    flat = None if weights is None else weights.ravel()
    return np.bincount(owner.ravel() + 1, flat, count + 1)[1:]


def write_batch(groups: Sequence[Group], path: Path, grid: Grid, names: dict[int, str], scored: bool) -> None:
    """Append polygons with their attributes; the first call makes the layer."""
    a, b, c, d, e, f = grid.transform
    pixels = np.array([group.geometry() for group in groups], dtype=object)
    polygons = shapely.transform(
        pixels, lambda points: points @ np.array([[a, d], [b, e]]) + np.array([c, f])
    )
    count = np.array([group.pixels for group in groups], np.int64)
    score = np.array([group.confidence for group in groups], float) / np.maximum(count, 1)
    frame = gpd.GeoDataFrame(
        {
            "class_id": np.array([group.class_id for group in groups], np.int32),
            "class_name": [names.get(group.class_id, f"class {group.class_id}") for group in groups],
            "score": score.round(4) if scored else np.full(len(groups), np.nan),
            "area_m2": np.array([group.area_m2 for group in groups], float).round(3),
            "perimeter_m": perimeters_m(polygons, grid.crs).round(3),
        },
        geometry=gpd.GeoSeries(list(polygons), crs=grid.crs),
        crs=grid.crs,
    )
    frame["class_name"] = frame["class_name"].astype("object")
    write_layer(frame, path, LAYER, append=path.exists(), geometry_type="Polygon")


def is_background(classes: Sequence[LabelClass]) -> bool:
    """Whether class 0 is the ground between the polygons, not a class of the legend."""
    return bool(classes) and classes[0].name == "background" and not classes[0].value


def _root(parent: dict[int, int], key: int) -> int:
    while parent[key] != key:
        parent[key] = parent[parent[key]]
        key = parent[key]
    return key
