"""What a stack, a label raster and a dataset are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .errors import Problem

IGNORE = 255
"""Label value of a pixel that counts neither in training nor in evaluation."""

TERRAIN_ATTRIBUTES = (
    "slope",
    "aspect_sin",
    "aspect_cos",
    "curvature",
    "profile_curvature",
    "planform_curvature",
)
SPLITS = ("train", "validation", "test")

Resampling = Literal["bilinear", "nearest", "cubic", "average"]
AreaKind = Literal["rasters", "concave_hull", "convex_hull", "bounds", "polygons", "extent"]
Unlabelled = Literal["background", "unknown"]


@dataclass(frozen=True)
class Source:
    """One raster on disk.

    Attributes:
        key: short name that bands refer to; the slot to fill when a recipe is re-bound.
        path: file or GDAL dataset name.
        name: the layer's name as the user sees it.
        crs: WKT or authority code that replaces the file's own; empty keeps the file's.
        nodata: value that replaces the file's own nodata; None keeps the file's.
    """

    key: str
    path: str
    name: str = ""
    crs: str = ""
    nodata: float | None = None


@dataclass(frozen=True)
class Band:
    """One band of a stack: a band of a source, or an attribute derived from it.

    `index` counts from 1. `derive` is empty or one of TERRAIN_ATTRIBUTES.
    """

    name: str
    source: str
    index: int = 1
    derive: str = ""
    resampling: Resampling = "bilinear"


@dataclass(frozen=True)
class Grid:
    """Pixel grid. `transform` is (a, b, c, d, e, f): x = a*col + b*row + c, y = d*col + e*row + f."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int


@dataclass(frozen=True)
class GridRequest:
    """How to find the grid: what is left empty follows from the reference source.

    Attributes:
        reference: key of the source that lends CRS, pixel size and alignment; empty is the first.
        crs: target CRS as WKT or authority code.
        pixel_size: (width, height) in units of the target CRS, both positive.
        extent: (xmin, ymin, xmax, ymax) in `extent_crs`.
        extent_crs: CRS of `extent`; empty is the target CRS.
    """

    reference: str = ""
    crs: str = ""
    pixel_size: tuple[float, float] | None = None
    extent: tuple[float, float, float, float] | None = None
    extent_crs: str = ""


@dataclass(frozen=True)
class Area:
    """Where labels are looked at; outside it every pixel is IGNORE.

    Attributes:
        kind: `rasters` is all that the rasters cover; the hulls and `bounds` are of the label polygons.
        path, layer: the polygon file of kind `polygons`.
        ratio: of the concave hull, 0 (tightest) to 1 (convex).
        extent, extent_crs: of kind `extent`.
        split_field: text field of the area polygons that names their split (train, validation, test).
    """

    kind: AreaKind = "rasters"
    path: str = ""
    layer: str = ""
    ratio: float = 0.3
    extent: tuple[float, float, float, float] | None = None
    extent_crs: str = ""
    split_field: str = ""


@dataclass(frozen=True)
class LabelClass:
    """One class. `value` is the field's value as text; `id` is the pixel value, 0..n-1."""

    id: int
    name: str
    value: str = ""
    color: str = "#808080"


@dataclass(frozen=True)
class Labels:
    """Label polygons and how they become classes.

    Attributes:
        path, layer: polygon file.
        name: the layer's name as the user sees it.
        class_field: field with the class; empty means one class.
        classes: legend order with names and colours; empty takes the field's values in sorted order.
            Ids are given by the engine: with `unlabelled="background"` id 0 is the background and the
            legend follows from 1; with "unknown" the legend starts at 0.
        unlabelled: what ground inside the area without polygon means.
    """

    path: str
    layer: str = ""
    name: str = ""
    class_field: str = ""
    classes: tuple[LabelClass, ...] = ()
    unlabelled: Unlabelled = "background"


@dataclass(frozen=True)
class Recipe:
    """Ordered bands on one grid. Written as `<stack>.recipe.json`; carried inside every model."""

    sources: tuple[Source, ...]
    bands: tuple[Band, ...]
    grid: Grid
    version: int = 1


@dataclass(frozen=True)
class Dataset:
    """`dataset.json`: all that training and evaluation read. Paths are relative to its folder.

    `counts` maps split -> class id (as text) -> labelled pixels. `warnings` travel to every result.
    `fingerprint` tells one making of labels and split from another; empty in datasets of older versions.
    """

    name: str
    recipe: Recipe
    labels: str
    split: str
    tiles: str
    classes: tuple[LabelClass, ...]
    stack: str = ""
    tile_px: int = 64
    stride_px: int = 64
    block_px: int = 0
    buffer_px: int = 0
    unlabelled: Unlabelled = "background"
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    version: int = 1
    fingerprint: str = ""
