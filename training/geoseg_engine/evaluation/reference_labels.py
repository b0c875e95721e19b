"""Any labels as the truth of a map: on which pixels the two meet, and what classes they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import (
    AUTO_UNLABELLED,
    IGNORE,
    Area,
    EvaluateJob,
    GeoSegError,
    Grid,
    LabelClass,
    Labels,
    Problem,
    Source,
    present,
)
from ..dataset.labels.burning import Burner
from ..dataset.labels.problems import COVERED_SHARE, overlaps, rare_classes
from ..dataset.labels.rasterize import fill_id
from ..raster.grid import Bounds, Window, covering_window, grid_bounds, pixel_size, subgrid
from ..raster.sources import crs_title, open_source, parse_crs, source_grid, unit_title
from ..raster.writer import read_classes
from ..stacking.stack_plan import on_grid
from ..vector.area import area_bounds, area_geometry, extent_geometry, hull_of, parts_on_grid
from ..vector.polygons import LabelPolygons, label_title, read_labels
from ..vector.reprojection import shifted_by_turns
from .evaluator import BACKGROUND, name_key, unshared_classes
from .map_source import MapSource, Table

PIXELS_ACROSS, MAX_PIXELS = 10, 100_000_000
"""Pixels across a usual polygon, and in all, where polygons are compared with polygons."""
OUTSIDE_SHARE = 0.01
"""Share of the labelled area that may be outside the polygons of a map without a warning."""


@dataclass(frozen=True)
class ReferenceLabels:
    """Labels on the pixels on which a map is evaluated.

    Attributes:
        name: name of the labels in sentences.
        grid: those pixels.
        classes: classes of labels and map together, ids 0..K-1.
        of_map: id of each class of the map.
        ids: ids of the labels in a window; IGNORE where nothing is evaluated.
        warnings: warnings about the labels, complete when all windows were read.
    """

    name: str
    grid: Grid
    classes: tuple[LabelClass, ...]
    of_map: Table
    ids: Callable[[Window], NDArray[np.uint8]]
    warnings: Callable[[], list[Problem]]


def open_reference_labels(job: EvaluateJob, folder: Path, found: MapSource) -> ReferenceLabels:
    """Rasterise the labels of a job to the pixels of a map.

    Those are the map's own; for a map of polygons those of a label raster; for polygons against polygons,
    `job.pixel_size`.

    Args:
        job: the evaluation.
        folder: folder of the job.
        found: the map.

    Raises:
        GeoSegError: `other_classes`, `labels_outside`, `area_outside`, `too_many_pixels`; as `read_labels`.
    """
    truth = present(job.truth, "the labels of an evaluation")
    labels = replace(
        truth,
        path=str(folder / truth.path),
        more=tuple(replace(item, path=str(folder / item.path)) for item in truth.more),
    )
    area = replace(job.area, path=str(folder / job.area.path)) if job.area.path else job.area
    if labels.unlabelled == AUTO_UNLABELLED:
        labels = present(read_labels(labels, found.crs, area).labels, "the settings of labels")
    labels, problems = check_labels(labels, found)
    grid, grid_problems = common_grid(labels, area, found, job.pixel_size)
    polygons = read_labels(labels, grid)
    on_grid(polygons, grid)
    inside, of_area = area_geometry(area, polygons.geometries, grid)
    part = subgrid(grid, evaluated_window(labels, polygons, inside, grid))
    legend, of_map, of_truth, legend_problems = common_legend(labels, polygons.classes, found)
    burner = Burner(part, polygons, inside, fill_id(labels, polygons))
    problems = [
        *problems,
        *grid_problems,
        *legend_problems,
        *polygons.problems,
        *of_area,
        *outside_map_warning(labels, polygons, inside, grid, found),
    ]

    def warnings() -> list[Problem]:
        tally = burner.tally
        return [
            *problems,
            *background_warning(labels, area, polygons, part),
            *overlaps(labels, tally.overlap_px, polygons.things),
            *rare_classes(polygons, tally.pixels),
        ]

    return ReferenceLabels(
        label_title(labels), part, legend, of_map, lambda window: of_truth[burner.burn(window)], warnings
    )


def check_labels(labels: Labels, found: MapSource) -> tuple[Labels, list[Problem]]:
    """Return the labels; unlabelled pixels become unknown where they cannot be background, with a warning.

    They cannot be if the labels are a raster with a class of that name, or if the map has no background.

    Args:
        labels: the labels.
        found: the map.
    """
    if names_background(labels):
        return replace(labels, unlabelled="unknown"), []
    known = {name_key(item.name) for item in found.classes}
    if labels.unlabelled != "background" or BACKGROUND in known or not found.named or found.grid is None:
        return labels, []
    problem = Problem(
        "no_background",
        f"'{found.name}' has no class '{BACKGROUND}': pixels without a label in '{label_title(labels)}' "
        "are not evaluated.",
        "Set unlabelled pixels to 'unknown' to remove this warning.",
        "warning",
    )
    return replace(labels, unlabelled="unknown"), [problem]


def names_background(labels: Labels) -> bool:
    """Return whether labels are a raster with a class 'background', which then differs from a pixel without value."""
    if labels.kind != "raster":
        return False
    classes: Sequence[LabelClass] = labels.classes
    if not classes:
        with open_source(Source("labels", labels.path, label_title(labels))) as dataset:
            classes = read_classes(dataset)
    return any(name_key(item.name) == BACKGROUND for item in classes)


def common_grid(labels: Labels, area: Area, found: MapSource, wanted: float) -> tuple[Grid, list[Problem]]:
    """Return the pixels on which a map and labels are compared, and warnings; see `open_reference_labels`.

    Args:
        labels: the labels.
        area: area to evaluate.
        found: the map.
        wanted: pixel size for polygons, in units of the map's CRS; 0 is automatic.
    """
    if found.grid is not None:
        return found.grid, []
    if labels.kind == "raster":
        source = Source("labels", labels.path, label_title(labels))
        with open_source(source, classes=True) as dataset:
            return source_grid(source, dataset), []
    mapped = present(found.polygons, "the polygons of a map").geometries
    left, _, right, _ = shapely.total_bounds(mapped).tolist()
    drawn = shifted_by_turns(read_labels(labels, found.crs).geometries, parse_crs(found.crs), left, right)
    shapes = np.concatenate([mapped, drawn])
    bounds = area_bounds(area, labels, drawn, found.crs) or tuple(shapely.total_bounds(shapes).tolist())
    if wanted:
        return grid_over(bounds, wanted, found.crs), []
    size = max(typical_width(shapes) / PIXELS_ACROSS, min_pixel_size(bounds))
    grid = grid_over(bounds, size, found.crs)
    problem = Problem(
        "pixel_size",
        f"Polygons are compared on {grid.width} × {grid.height} pixels of {size:g} {unit_title(found.crs)} in "
        f"{crs_title(found.crs)}, by the breadth of a usual polygon.",
        "Give a pixel size for other ones.",
        "warning",
    )
    return grid, [problem]


def min_pixel_size(bounds: Bounds) -> float:
    """Return the smallest pixel size with which MAX_PIXELS cover the bounds, wherever the first pixel begins.

    The positive root of (width / size + 2) (height / size + 2) = MAX_PIXELS.
    """
    width, height, maximum = bounds[2] - bounds[0], bounds[3] - bounds[1], MAX_PIXELS - 4
    return (width + height + math.sqrt((width + height) ** 2 + maximum * width * height)) / maximum


def typical_width(polygons: NDArray[np.object_]) -> float:
    """Return the side of a square of the polygons' median area, rounded down to 1, 2 or 5 times a power of ten."""
    areas = shapely.area(shapely.get_parts(polygons))
    side = math.sqrt(float(np.median(areas[areas > 0])))
    power = 10.0 ** math.floor(math.log10(side))
    return power * max(factor for factor in (1, 2, 5) if factor * power <= side * (1 + 1e-12))


def grid_over(bounds: Bounds, size: float, crs: str) -> Grid:
    """Return north-up pixels over bounds, aligned to multiples of their size.

    Args:
        bounds: (xmin, ymin, xmax, ymax) in units of the CRS.
        size: side of a pixel in units of the CRS.
        crs: the CRS.

    Raises:
        GeoSegError: `too_many_pixels`.
    """
    left, top = math.floor(bounds[0] / size), math.ceil(bounds[3] / size)
    width, height = math.ceil(bounds[2] / size) - left, top - math.floor(bounds[1] / size)
    if width * height > MAX_PIXELS:
        raise GeoSegError(
            "too_many_pixels",
            f"Comparing the polygons on pixels of {size:g} {unit_title(crs)} would take {width:,} × {height:,}.",
            f"Give a pixel size of {min_pixel_size(bounds):.3g} or more, or an area to evaluate.",
        )
    return Grid(crs, (size, 0.0, left * size, 0.0, -size, top * size), max(width, 1), max(height, 1))


def evaluated_window(
    labels: Labels, polygons: LabelPolygons, inside: shapely.Geometry | None, grid: Grid
) -> Window:
    """Return the part of a grid outside which nothing is evaluated.

    Args:
        labels: the labels.
        polygons: their polygons on the grid.
        inside: area to evaluate; None is no limit.
        grid: pixels of the map.

    Raises:
        GeoSegError: `labels_outside`.
    """
    bounds = grid_bounds(grid) if inside is None else inside.bounds
    if labels.unlabelled == "unknown" or polygons.raster is not None:
        drawn = shapely.total_bounds(polygons.geometries)
        low, high = np.maximum(bounds[:2], drawn[:2]), np.minimum(bounds[2:], drawn[2:])
        bounds = (*low.tolist(), *high.tolist())
    found = covering_window(grid, bounds)
    if found.empty or bounds[0] >= bounds[2] or bounds[1] >= bounds[3]:
        raise GeoSegError(
            "labels_outside",
            f"'{label_title(labels)}' has no label inside the area and the map.",
            "Choose another area, or check the CRS of the labels.",
        )
    return found


def common_legend(
    labels: Labels, drawn: Sequence[LabelClass], found: MapSource
) -> tuple[tuple[LabelClass, ...], Table, Table, list[Problem]]:
    """Join the classes of labels and map by name: background first, then those of the labels, then those of the map.

    Args:
        labels: the labels.
        drawn: their classes.
        found: the map.

    Returns:
        Classes with ids 0..K-1, id of each class of the map, id of each id of the labels (256,), warnings.

    Raises:
        GeoSegError: `other_classes` if they share none.
    """
    own, theirs, problems = aligned_classes(labels, drawn, found)
    known, wanted = ({name_key(item.name) for item in classes} for classes in (own, theirs))
    missing = [item for item in theirs if name_key(item.name) not in known]
    if missing and not known & wanted - ({BACKGROUND} if found.named else set()):
        raise no_shared_classes(labels, drawn, found, [item.name for item in missing])
    if missing and found.complete:
        problems = [*problems, unshared_classes(missing, f"'{label_title(labels)}'", f"'{found.name}'")]
    both = {name_key(item.name): item for item in (*theirs, *own)}
    order = sorted(both, key=lambda name: (name != BACKGROUND, name not in wanted))
    ids = {name: number for number, name in enumerate(order)}
    of_truth = np.full(IGNORE + 1, IGNORE, np.uint8)
    of_truth[[item.id for item in drawn]] = [ids[name_key(item.name)] for item in theirs]
    of_map = np.array([ids[name_key(item.name)] for item in own], np.uint8)
    return tuple(replace(both[name], id=ids[name]) for name in order), of_map, of_truth, problems


def aligned_classes(
    labels: Labels, drawn: Sequence[LabelClass], found: MapSource
) -> tuple[Sequence[LabelClass], Sequence[LabelClass], list[Problem]]:
    """Return the classes of map and labels under names that can be compared, and warnings.

    A map whose file names no class has the numbers of the labels. If both have one class besides the background, and
    one of them is named only after its layer, they are the same.

    Args:
        labels: the labels.
        drawn: their classes.
        found: the map.
    """
    if not found.named:
        names = {item.id: item.name for item in drawn}
        if not names.keys() >= {item.id for item in found.classes}:
            return found.classes, drawn, []
        own = [replace(item, name=names[item.id]) for item in found.classes]
        names_text = ", ".join(f"{item.id} is '{item.name}'" for item in own)
        message = f"'{found.name}' does not state what its values mean; they are read as class numbers: {names_text}."
        hint = "Give the raster categories that name its classes."
        return own, drawn, [Problem("unnamed_classes", message, hint, "warning")]
    one, other = (
        [item for item in classes if name_key(item.name) != BACKGROUND] for classes in (found.classes, drawn)
    )
    by_layer = labels.kind == "polygons" and not labels.class_field
    if (
        not (found.single or by_layer)
        or len(one) != 1
        or len(other) != 1
        or name_key(one[0].name) == name_key(other[0].name)
    ):
        return found.classes, drawn, []
    message = f"'{one[0].name}', the one class of '{found.name}', is compared with '{other[0].name}'."
    problems = [Problem("same_class", message, "", "warning")]
    if by_layer:
        return found.classes, renamed(drawn, other[0], one[0].name), problems
    return renamed(found.classes, one[0], other[0].name), drawn, problems


def renamed(classes: Sequence[LabelClass], item: LabelClass, name: str) -> list[LabelClass]:
    """Return classes with another name for one of them.

    Args:
        classes: the classes.
        item: the one to rename.
        name: its new name.
    """
    return [replace(each, name=name) if each == item else each for each in classes]


def no_shared_classes(
    labels: Labels, drawn: Sequence[LabelClass], found: MapSource, missing: Sequence[str]
) -> GeoSegError:
    """Return the error that map and labels have no class in common.

    Args:
        labels: the labels.
        drawn: their classes.
        found: the map.
        missing: names of the labels' classes that are not on the map.
    """
    return GeoSegError(
        "other_classes",
        f"'{label_title(labels)}' has the classes {', '.join(item.name for item in drawn)}; '{found.name}' has "
        f"{', '.join(item.name for item in found.classes)}. Not on the map: {', '.join(missing)}.",
        "Name them as on the map in the legend of the labels.",
    )


def background_warning(labels: Labels, area: Area, polygons: LabelPolygons, grid: Grid) -> list[Problem]:
    """Return the warning that a large area far from every polygon counts as background without being set so.

    Args:
        labels: the labels.
        area: area to evaluate.
        polygons: polygons of the labels.
        grid: evaluated pixels.
    """
    stated = area.kind not in ("rasters", "extent") or labels.unlabelled != "background"
    if stated or polygons.raster is not None:
        return []
    width, height = pixel_size(grid)
    hull = shapely.area(hull_of(parts_on_grid(polygons.geometries, grid), grid, "convex_hull", 1.0))
    share = hull / (width * height * grid.width * grid.height)
    if share >= COVERED_SHARE:
        return []
    return [
        Problem(
            "labels_incomplete",
            f"The polygons of '{label_title(labels)}' span {share:.0%} of the evaluated area; all other pixels "
            "count as background, whatever is there.",
            "Choose an area in which every object is labelled, or set unlabelled pixels to 'unknown'.",
            "warning",
        )
    ]


def outside_map_warning(
    labels: Labels, polygons: LabelPolygons, inside: shapely.Geometry | None, grid: Grid, found: MapSource
) -> list[Problem]:
    """Return the warning that many labels are where a map of polygons may not reach, since it states no extent.

    Args:
        labels: the labels.
        polygons: their polygons on the grid.
        inside: area to evaluate; None is no limit.
        grid: pixels of the map.
        found: the map.
    """
    if found.polygons is None or polygons.raster is not None:
        return []
    bounds = shapely.total_bounds(found.polygons.geometries).tolist()
    extent = extent_geometry(Area("extent", extent=bounds, extent_crs=found.crs), grid)
    drawn = polygons.geometries if inside is None else shapely.intersection(polygons.geometries, inside)
    everything = float(shapely.area(drawn).sum())
    beyond = everything - float(shapely.area(shapely.intersection(drawn, extent)).sum())
    if beyond <= OUTSIDE_SHARE * everything:
        return []
    return [
        Problem(
            "beyond_map",
            f"{beyond / everything:.0%} of the area labelled by '{label_title(labels)}' is outside the polygons of "
            f"'{found.name}' and counts as {BACKGROUND} there, also where there is no map.",
            "Set an area inside the map, or evaluate the class raster.",
            "warning",
        )
    ]
