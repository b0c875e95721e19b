"""The job `polygonize`: a class raster as polygons with class, score, area and perimeter.

The raster is traced in strips; parts that meet at the border of two strips become one polygon, so the polygons do
not depend on the strips. Where only pixels of one class that share an edge belong together (4-connected), an area is
a polygon. Where touching at a corner is enough (8-connected), an area may be several polygons that touch in points,
and all are multipolygons: a ring that touches itself would not be valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...channel import Channel
from ...contract import GeoSegError, Grid, LabelClass, Outlines, PolygonizeJob, Problem, Source
from ...outputs import whole_file
from ...raster.grid import Window
from ...raster.nodata import invalid_pixels, no_values
from ...raster.pixel_values import check_exact
from ...raster.sources import check_one_band, coincide, crs_title, open_source, source_grid, unit_title
from ...raster.writer import read_classes
from ..classraster import has_background
from .boundaries import Read, traced_areas
from .geopackage import PolygonLayer

POLYGON_BYTES_PX = 0.5
"""Of a GeoPackage of polygons, per pixel of its raster, as maps have them."""
SAME_AREA = 0.02
"""Share by which the area of a class may change without a warning when its polygons are redrawn."""


def run(job: PolygonizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Write the polygons of a class raster to a GeoPackage, layer `polygons`.

    Args:
        job: the job.
        folder: folder of the job; its paths are relative to it.
        channel: for progress and cancelling.

    Raises:
        GeoSegError: `other_grid` if the confidence is not on the classes' pixels; `no_classes` for a raster with
            fractions; as `check_exact`, `open_source`; `not_writable`, `disk_full`.
    """
    return polygonize(job, folder, channel)


def polygonize(job: PolygonizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Trace a class raster; see `run`.

    Args:
        job: the job.
        folder: folder that its paths are relative to.
        channel: for progress and cancelling.

    Returns:
        output, count, area_m2, warnings.
    """
    source = Source("classes", str(folder / job.classes), Path(job.classes).stem)
    output = folder / job.output
    with ExitStack() as stack:
        dataset = stack.enter_context(open_source(source, classes=True))
        grid = source_grid(source, dataset)
        confidence = (
            stack.enter_context(confidence_reader(folder / job.confidence, source, grid))
            if job.confidence
            else None
        )
        partial = stack.enter_context(whole_file(output, polygon_bytes(grid.height, grid.width)))
        classes = read_classes(dataset)
        wide = not np.can_cast(dataset.dtypes[0], np.int32)
        layer = PolygonLayer(
            partial, grid, classes, confidence is not None, job, np.int64 if wide else np.int32
        )
        skip = has_background(classes) if job.skip_background is None else job.skip_background
        codes = code_reader(source, dataset, {dataset.nodata} | ({0} if skip else set()))
        for found in traced_areas(codes, confidence, grid, job.outlines.connectivity, layer.redraws, channel):
            layer.add(found)
        layer.finish()
    channel.artifact("polygons", output)
    return {
        "output": str(output),
        "count": layer.count,
        "area_m2": round(layer.area_m2, 2),
        "warnings": [*(left_out_warning(classes) if skip else []), *area_change_warning(layer, job.outlines)],
    }


def polygon_bytes(height: int, width: int) -> int:
    """Return the expected disk space of polygons in bytes.

    Args:
        height, width: size of the raster.
    """
    return int(height * width * POLYGON_BYTES_PX)


def left_out_warning(classes: Sequence[LabelClass]) -> list[Problem]:
    """Return the warning that the class with id 0, which is left out, is one of the legend."""
    if has_background(classes):
        return []
    named = next(item.name for item in classes if item.id == 0)
    return [
        Problem(
            "class_left_out",
            f"Class '{named}' has id 0 and so has no polygons.",
            "Keep the background (skip_background false) to have them.",
            "warning",
        )
    ]


def area_change_warning(layer: PolygonLayer, drawn: Outlines) -> list[Problem]:
    """Return the warning that the area of a class in the redrawn polygons differs from that in the map.

    Args:
        layer: the polygons.
        drawn: how they were redrawn.
    """
    sums = {f"'{layer.name_of(value)}'": both for value, both in sorted(layer.by_class_m2.items())}
    if len(sums) > 1:
        sums["all together"] = np.sum(list(sums.values()), axis=0)
    shares = {name: drawn_m2 / map_m2 - 1 for name, (map_m2, drawn_m2) in sums.items()}
    off = {name: share for name, share in shares.items() if abs(share) > SAME_AREA}
    if not off:
        return []
    ways = {
        f"simplified by {drawn.simplify_m:g} m": drawn.simplify_m,
        f"smoothed in {drawn.smooth} rounds": drawn.smooth,
        "with right angles": drawn.right_angles,
    }
    how = ", ".join(text for text, used in ways.items() if used)
    listed = ", ".join(
        f"{name} {100 * abs(share):.1f} % {'more' if share > 0 else 'less'}" for name, share in off.items()
    )
    overlap = drawn.right_angles and any(share > 0 for share in off.values())
    return [
        Problem(
            "other_ground",
            f"The areas of the polygons differ from those in the map ({how}): {listed}."
            + " Where right angles make polygons overlap, areas count twice." * overlap,
            "Compute areas from the map, or choose a smaller tolerance or less smoothing.",
            "warning",
        )
    ]


@contextmanager
def confidence_reader(path: Path, classes: Source, grid: Grid) -> Iterator[Read]:
    """Yield a function that reads the confidence raster of a class raster.

    Args:
        path: the confidence raster.
        classes: the class raster.
        grid: its grid.

    Raises:
        GeoSegError: `other_grid`, `several_bands`; as `open_source`.
    """
    source = Source("confidence", str(path), path.stem)
    with open_source(source) as dataset:
        check_one_band(source, dataset, "a raster of confidence")
        own = source_grid(source, dataset)
        if not coincide(own, grid):
            raise GeoSegError(
                "other_grid",
                f"The confidence {path.name} ({_described(own)}) does not lie on the pixels of the classes "
                f"{Path(classes.path).name} ({_described(grid)}).",
                "Choose the confidence raster of the same prediction, or leave it out.",
            )
        yield lambda window: np.asarray(dataset.read(1, window=window.rasterio))


def _described(grid: Grid) -> str:
    a, _, c, _, _, f = grid.transform
    size = f"{a:g} {unit_title(grid.crs)}"
    return f"{grid.width} × {grid.height} pixels of {size} from {c:.10g}, {f:.10g} in {crs_title(grid.crs)}"


def code_reader(source: Source, dataset: Any, left_out: set[float | None]) -> Read:
    """Return a function that reads a class raster as codes.

    0 is left out or masked; a value of 0 or more is its code minus 1.

    Args:
        source: the class raster.
        dataset: the open raster.
        left_out: values without a polygon.
    """
    values = [value for value in left_out if value is not None]
    if dataset.dtypes[0] in ("int64", "uint64"):  # as float64, neighbours of a large nodata would be it
        values = [int(value) for value in values if value == int(value)]
    table = (np.arange(256) + 1) * ~np.isin(np.arange(256), values)
    table = table.astype(np.uint8 if table.max() < 256 else np.uint16)
    facts = no_values(dataset)[0]
    masked = not facts.simple or (
        facts.by == "nodata" and dataset.nodata is None
    )  # of 64 bits, beyond rasterio

    def read(window: Window) -> NDArray[Any]:
        ids = dataset.read([1], window=window.rasterio)
        if not masked:
            return coded(ids[0])
        invalid = invalid_pixels(source, dataset, [1], window, ids)
        none = np.zeros(ids.shape, bool) if invalid is None else invalid
        return np.where(none[0], 0, coded(np.where(none, 0, ids)[0].astype(ids.dtype)))

    def coded(ids: NDArray[Any]) -> NDArray[Any]:
        if ids.dtype == np.uint8:
            return np.asarray(table[ids])
        out = np.isin(ids, values)
        if ids.dtype.kind == "f":
            out |= ~np.isfinite(ids)
            ids = np.where(out, 0, ids)
            if (ids != np.rint(ids)).any():
                raise GeoSegError(
                    "no_classes",
                    f"{Path(dataset.name).name} holds {ids[ids != np.rint(ids)][0]:.6g}, which is no class.",
                    "Choose a raster of classes, not one of confidence or of values.",
                )
        check_exact(ids[~out], Path(dataset.name).name)
        ids = np.where(out, 0, ids).astype(np.int64)
        return np.where(out, 0, ids + (ids >= 0))

    return read
