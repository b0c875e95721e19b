"""Warnings about labels on a grid, from a count of labelled pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import shapely

from ...contract import Area, GeoSegError, Grid, Labels, Problem, counted
from ...raster.grid import pixel_size
from ...vector.area import hull_of, parts_on_grid
from ...vector.polygons import LabelPolygons, label_title

COVERED_SHARE = 0.7
"""Share of the rasters that the convex hull of the polygons covers if labels are likely to be complete."""

CLOSE_SHARE = 0.3
"""The same for the concave hull, which notices polygons in scattered groups."""

CLOSE_RATIO = 0.3
RARE_PX = 100
LOST_SHARE = 0.05
NAMED_CLASSES = 3
"""Number of classes with the same problem that get a sentence each; more share one."""


class Counted(Protocol):
    """Counts of burning; see `burning.Tally`."""

    pixels: dict[int, int]
    overlap_px: int
    valid_px: int
    lost_px: int
    lost_by_band: list[int]
    suspicious: dict[int, int]


def label_problems(
    labels: Labels, area: Area, polygons: LabelPolygons, grid: Grid, tally: Counted, bands: list[str]
) -> list[Problem]:
    """Return warnings about labels on a grid.

    Args:
        labels, area: settings of the job.
        polygons: the labels in the grid's CRS.
        grid: of the stack.
        tally: counts of burning.
        bands: names of the stack's bands, in the order of `tally.lost_by_band`.
    """
    return [
        *incomplete_labels(labels, area, polygons, grid, tally.valid_px),
        *one_class(polygons),
        *empty_classes(labels, polygons, tally),
        *rare_classes(polygons, tally.pixels),
        *thinned_classes(labels, polygons, tally),
        *overlaps(labels, tally.overlap_px, polygons.things),
        *lost_labels(tally, bands),
    ]


def few_or_all(each: list[Problem], together: str, hint: str) -> list[Problem]:
    """Return the problems of single classes, or one about all of them where there are too many to read.

    Args:
        each: one problem per class, all of the same code.
        together: message about all classes.
        hint: of that message.
    """
    if len(each) <= NAMED_CLASSES:
        return each
    return [replace(each[0], message=together, hint=hint)]


def _some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - NAMED_CLASSES
    listed = ", ".join(f"'{name}'" for name in names[:NAMED_CLASSES])
    return f"{listed} and {more} more" if more > 0 else listed


def percent(share: float) -> str:
    """Return a share in whole percent, `less than 1%` for a smaller one."""
    return "less than 1%" if 0 < share < 0.005 else f"{share:.0%}"


def incomplete_labels(
    labels: Labels, area: Area, polygons: LabelPolygons, grid: Grid, valid_px: int = 0
) -> list[Problem]:
    """Return a warning if large parts of the rasters would be trained as background without any label near.

    Args:
        labels, area: settings of the job; only unlabelled pixels as background, without an area, are checked.
        polygons: the labels in the grid's CRS.
        grid: of the stack.
        valid_px: pixels with a value in every band; 0 is all of the grid.
    """
    if labels.unlabelled != "background" or area.kind not in ("rasters", "extent"):
        return []
    width, height = pixel_size(grid)
    raster_px = valid_px or grid.width * grid.height
    try:
        parts = parts_on_grid(polygons.geometries, grid)
    except GeoSegError:
        return []
    for kind, ratio, min_share in (
        ("convex_hull", 1.0, COVERED_SHARE),
        ("concave_hull", CLOSE_RATIO, CLOSE_SHARE),
    ):
        hull_area = float(shapely.area(hull_of(parts, grid, kind, ratio)))
        share = min(hull_area / (width * height) / max(raster_px, 1), 1.0)
        if share < min_share:
            break
    else:
        return []
    return [
        Problem(
            "labels_incomplete",
            f"The {polygons.things} of '{label_title(labels)}' cover {percent(share)} of the rasters; the rest is "
            "trained as background, whatever it is.",
            "Choose an area in which every object is drawn (a hull of the polygons or an area layer), or ignore "
            "unlabelled pixels (unknown).",
            "warning",
        )
    ]


def hull_only(labels: Labels, area: Area, tally: Counted, raster_px: float) -> list[Problem]:
    """Return a warning if the area follows from the polygons and leaves out much of the rasters.

    Args:
        labels, area: settings of the job.
        tally: counts of burning.
        raster_px: pixels of the rasters in all; 0 if unknown.
    """
    of_polygons = area.kind in ("concave_hull", "convex_hull", "bounds")
    if labels.unlabelled != "background" or not of_polygons or not raster_px:
        return []
    share = sum(tally.pixels.values()) / raster_px
    if share >= COVERED_SHARE:
        return []
    return [
        Problem(
            "hull_only",
            f"Labels of '{label_title(labels)}' count as complete only in the {area.kind.replace('_', ' ')} of the "
            f"polygons, {percent(share)} of the rasters. The scores do not describe the rest.",
            "Give an area layer in which every object is drawn, some of it without objects, for a score that holds "
            "for the whole map.",
            "warning",
        )
    ]


def one_class(polygons: LabelPolygons) -> list[Problem]:
    """Return a warning if there is only one class, which has nothing to be distinguished from."""
    if len(polygons.classes) > 1:
        return []
    if not polygons.classes:
        return [
            Problem(
                "one_class",
                "There is no class: no polygon has one.",
                "Fill in the class field, or choose another one.",
                "warning",
            )
        ]
    if not (polygons.ids == polygons.classes[0].id).any():
        return [
            Problem(
                "one_class",
                f"There is no class besides '{polygons.classes[0].name}': no polygon has one.",
                "Fill in the class field, or choose another one.",
                "warning",
            )
        ]
    return [
        Problem(
            "one_class",
            f"There is only one class, '{polygons.classes[0].name}', and unlabelled pixels are ignored: there is "
            "nothing to distinguish it from.",
            "Set unlabelled pixels to background inside an area, or draw a second class.",
            "warning",
        )
    ]


def empty_classes(labels: Labels, polygons: LabelPolygons, tally: Counted) -> list[Problem]:
    """Return warnings about classes without a pixel, each with the reason.

    Args:
        labels: settings of the job.
        polygons: the labels in the grid's CRS.
        tally: counts of burning.
    """
    problems = []
    empty = [item for item in polygons.classes if not tally.pixels.get(item.id)]
    for item in empty:
        number = int((polygons.ids == item.id).sum())
        things = polygons.things
        larger = ", larger than a pixel," if things == "polygons" else ""
        hint = f"Draw {things} of this class inside the area{larger} or remove it from the legend."
        if item.id == 0 and labels.unlabelled == "background" and not polygons.raster:
            why = f"{things} cover the whole area"
            hint = "Choose a wider area, or ignore unlabelled pixels (unknown)."
        elif tally.suspicious.get(item.id):
            why = f"all its pixels are {_ignored(labels)} and are ignored"
            hint = _ignore_less(labels)
        elif polygons.raster:
            why = "no labelled pixel inside the area has its value"
        elif not number:
            why = f"no {things[:-1]} has this class"
        else:
            covered = ", or other classes cover it" if tally.overlap_px else ""
            drawn = f"its {things[:-1]} holds" if number == 1 else f"its {number} {things} hold"
            why = f"{drawn} no centre of a pixel inside the area{covered}"
        problems.append(
            Problem("class_without_pixels", f"Class '{item.name}' has no pixel: {why}.", hint, "warning")
        )
    return few_or_all(
        problems,
        f"{len(empty)} of {len(polygons.classes)} classes have no pixel: {_some([item.name for item in empty])}.",
        "Check that the right layer and class field are chosen; polygons must be inside the area.",
    )


def _ignored(labels: Labels) -> str:
    """The places in which the labels' own settings ignore pixels."""
    causes = [
        *([f"in the band of {labels.border_px} px along class borders"] if labels.border_px else []),
        *([f"in patches below {labels.min_area_px} px"] if labels.min_area_px > 1 else []),
    ]
    return " or ".join(causes)


def _ignore_less(labels: Labels) -> str:
    """How to keep more of them."""
    ways = [
        *(["ignore a narrower border"] if labels.border_px else []),
        *(["choose a smaller minimum area"] if labels.min_area_px > 1 else []),
    ]
    text = " or ".join(ways)
    return f"{text[:1].upper()}{text[1:]}."


def rare_classes(polygons: LabelPolygons, pixels: dict[int, int]) -> list[Problem]:
    """Return warnings about classes with so few pixels that neither training nor accuracies mean much.

    Args:
        polygons: name the classes.
        pixels: class id -> labelled pixels.
    """
    rare = [item for item in polygons.classes if 0 < pixels.get(item.id, 0) < RARE_PX]
    merge = ", or merge it with another class" if len(polygons.classes) > 2 else ""
    sizes = [*(["radius"] if polygons.points else []), *(["line width"] if polygons.lines else [])]
    larger = f", choose a larger {' or '.join(sizes)}" if sizes else ""
    each = [
        Problem(
            "rare_class",
            f"Class '{item.name}' has only {counted(pixels[item.id], 'pixel')}: its accuracy will be unreliable.",
            f"Draw more of it{larger}{merge}.",
            "warning",
        )
        for item in rare
    ]
    count = (
        f"{len(rare)} of {len(polygons.classes)}" if len(rare) < len(polygons.classes) else f"All {len(rare)}"
    )
    return few_or_all(
        each,
        f"{count} classes have fewer than {RARE_PX} pixels ({_some([item.name for item in rare])}): their accuracies "
        "will be unreliable.",
        f"Draw more of them{larger}, or merge classes. Does the field, or the raster, hold classes at all?",
    )


def thinned_classes(labels: Labels, polygons: LabelPolygons, tally: Counted) -> list[Problem]:
    """Return warnings about classes of which the ignored borders and the minimum area leave less than half.

    Args:
        labels: settings of the job.
        polygons: name the classes.
        tally: counts of burning.
    """
    problems = []
    for item in polygons.classes:
        ignored, left = tally.suspicious.get(item.id, 0), tally.pixels.get(item.id, 0)
        if not ignored or ignored <= left:
            continue
        problems.append(
            Problem(
                "class_thinned",
                f"Class '{item.name}' keeps {left:,} of {counted(left + ignored, 'pixel')}: the others are "
                f"{_ignored(labels)} and are ignored.",
                _ignore_less(labels),
                "warning",
            )
        )
    return problems


def overlaps(labels: Labels, overlap_px: int, things: str = "polygons") -> list[Problem]:
    """Return a warning if two classes claim the same pixels.

    Args:
        labels: name the layer.
        overlap_px: number of such pixels.
        things: what the labels are.
    """
    if not overlap_px:
        return []
    return [
        Problem(
            "overlap",
            f"{things.capitalize()} of different classes of '{label_title(labels)}' overlap on "
            f"{counted(overlap_px, 'pixel')}; the class later in the legend was used.",
            f"Correct the {things}, or order the legend so that the right class comes last.",
            "warning",
        )
    ]


def lost_labels(tally: Counted, bands: list[str]) -> list[Problem]:
    """Return a warning if many labelled pixels have no value in some band.

    Args:
        tally: counts of burning.
        bands: names of the stack's bands, in the order of `tally.lost_by_band`.
    """
    labelled = sum(tally.pixels.values()) + tally.lost_px
    if not tally.lost_px or tally.lost_px < LOST_SHARE * labelled:
        return []
    worst = bands[int(np.argmax(tally.lost_by_band))]
    return [
        Problem(
            "labels_without_values",
            f"{tally.lost_px / labelled:.0%} of the labelled pixels have no value in some band (most often "
            f"'{worst}') and are ignored.",
            "Untick that band if it is not needed, or check its nodata value.",
            "warning",
        )
    ]
