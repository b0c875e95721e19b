"""What a stack, a label raster and a dataset are made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from .errors import Problem
from .parameter import Param
from .text import make_plain, plain_text

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
"""What is derived from a DEM unless more is asked for."""

RELIEF_ATTRIBUTES = (
    "total_curvature",
    "tpi",
    "tri",
    "roughness",
    "hillshade",
    "multiscale_tpi",
    "local_relief",
)
"""What else can be derived from a DEM."""

SPECKLE_FILTERS = ("lee", "decibel")
TEMPORAL_STATISTICS = (
    "date",
    "median",
    "mean",
    "minimum",
    "maximum",
    "percentile",
    "deviation",
    "amplitude",
    "trend",
    "valid_count",
)
VECTOR_FEATURES = ("burn", "onehot", "distance")
EXPRESSION = "expression"
DERIVATIONS: dict[str, tuple[str, ...]] = {
    "raster": (*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES, *SPECKLE_FILTERS),
    "series": TEMPORAL_STATISTICS,
    "vector": VECTOR_FEATURES,
}
"""Kind of a source -> what can be derived from one."""
DATA_OF_KINDS = {"raster": "imagery", "series": "time series", "vector": "map"}
"""Kind of a source -> what kind of data its bands are, where none is derived from heights."""
SPLITS = ("train", "validation", "test")

Resampling = Literal["bilinear", "nearest", "cubic", "average", "mode"]
Scaling = Literal["zscore", "robust", "minmax", "none"]
SourceKind = Literal["raster", "series", "vector"]
AreaKind = Literal["rasters", "concave_hull", "convex_hull", "bounds", "polygons", "extent"]
Unlabelled = Literal["background", "unknown"]
SizeUnit = Literal["px", "m"]
AUTO_UNLABELLED = "auto"
"""Decided by the job that uses the labels; see `default_unlabelled`."""
TERRAIN_DEFAULTS: dict[str, float | str] = {"tpi": 0.0, "local_relief": 500.0, "multiscale_tpi": "50,150,450"}
"""Radii in metres that a recipe means which names none; 0 is the eight neighbours."""

DRAWN_GROUP = "Points and lines"
"""Heading of the settings of labels that matter only where labels are points or lines."""

File = Annotated[str, Param("File", reads=True)]


@dataclass(frozen=True)
class Series:
    """The dates of a source of kind `series`.

    A series is a NetCDF file with a time dimension (`variables`), one raster whose bands are the dates of one
    variable, or one file a date (`path` and `paths` of the source), each with the same bands.

    Attributes:
        variables: NetCDF variables in the order in which bands count them; empty for files that are no NetCDF.
        dates: ISO dates of bands or files in order; empty takes them from the file, or from its names.
        start, end: first and last date to use, inclusive, ISO; empty is open.
        months: calendar months to use, 1 to 12; empty is all.
        mask: NetCDF variable, or band number as text, that says which pixels of a date are clear; empty is none.
        clear: values of `mask` that mean clear; empty means that 0 is clear.
    """

    variables: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    months: tuple[int, ...] = ()
    mask: str = ""
    clear: tuple[float, ...] = ()


@dataclass(frozen=True)
class Source:
    """What bands are taken from: a raster, a mosaic of rasters, a time series or a vector layer on disk.

    Attributes:
        key: short name that bands refer to; the slot to fill when a recipe is re-bound.
        path: file or GDAL dataset name.
        name: the layer's name as the user sees it.
        crs: WKT or authority code that replaces the file's own; empty keeps the file's.
        nodata: value that replaces the file's own nodata; None keeps the file's.
        kind: `raster`, `series` or `vector`.
        paths: further files with the same bands: of a raster, mosaicked with `path` (where files overlap the
            first with a value counts); of a series, its further dates.
        layer: layer inside `path` of kind `vector`.
        series: the dates of kind `series`.
        height_unit: unit of a raster's heights, e.g. `US survey foot`, that replaces what its file says; empty keeps
            what the file or its CRS says, and is metres where they say nothing.
    """

    key: str
    path: File
    name: str = ""
    crs: str = ""
    nodata: float | None = None
    kind: SourceKind = "raster"
    paths: tuple[str, ...] = ()
    layer: str = ""
    series: Series | None = None
    height_unit: str = ""

    def __post_init__(self) -> None:
        make_plain(self, "name")


@dataclass(frozen=True)
class Band:
    """One band of a stack: a band of a source, something derived from it, or an expression of other bands.

    Attributes:
        name: unique in the recipe.
        source: key of the source; empty for expressions.
        index: band of the source, from 1; of a NetCDF series, its variable.
        derive: empty, or what is computed: of TERRAIN_ATTRIBUTES or RELIEF_ATTRIBUTES (a DEM), SPECKLE_FILTERS
            (SAR intensity), TEMPORAL_STATISTICS (kind `series`), VECTOR_FEATURES (kind `vector`), EXPRESSION.
        resampling: how values come onto the grid. `nearest` takes the source pixel that holds the pixel's centre,
            `bilinear` and `cubic` interpolate (where the grid is coarser than the source they are `average`),
            `average` is the mean and `mode` the commonest code of what the pixel covers, by area.
        parameters: of the derivation, e.g. `{"radius_m": 500}`; see `geoseg_engine.bands`.
        inputs: of an expression, variable -> name of a band of the recipe or of its intermediates.
        fill: what gaps become: empty leaves them (pixels without value are not used), `median`, `interpolate`
            or a number as text. Gaps are filled last: expressions see them, and intermediates keep them.
        scaling: how training puts values onto one scale: mean and standard deviation, median and
            interquartile range, the clip limits to 0..1, or not at all.
        clip_percent: percentiles of the training pixels that values are clipped to.
        described: what the source's file calls the band, found when the stack is planned; by it the band is found
            again in other files, however the user calls it.
        unit: in what unit the source's values are taken, found when the stack is planned: `metre up` where something
            is derived from heights, else what the file says. Other files are converted to it if they are heights.
    """

    name: str
    source: str = ""
    index: int = 1
    derive: str = ""
    resampling: Resampling = "bilinear"
    parameters: dict[str, float | str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    fill: str = ""
    scaling: Scaling = "zscore"
    clip_percent: tuple[float, float] = (0.5, 99.5)
    described: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        make_plain(self, "name", "described")
        if any(not name.isprintable() for name in self.inputs.values()):
            object.__setattr__(self, "inputs", {key: plain_text(name) for key, name in self.inputs.items()})


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
    path: File = ""
    layer: str = ""
    ratio: float = 0.3
    extent: tuple[float, float, float, float] | None = None
    extent_crs: str = ""
    split_field: str = ""


@dataclass(frozen=True)
class LabelClass:
    """One class.

    `value` is the field's value as text, `also` are further values merged into it; `id` is the pixel value, 0..n-1.
    """

    id: int
    name: str
    value: str = ""
    color: str = "#808080"
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        make_plain(self, "name")
        object.__setattr__(
            self, "value", self.value.partition("\0")[0]
        )  # where a field's text ends in every format


@dataclass(frozen=True)
class LabelLayer:
    """A further label layer: a class of its own, or with `class_field` values that join the legend.

    Attributes:
        path, layer: polygon file.
        name: the layer's name as the user sees it; without `class_field` the name of its class.
        class_field: field with the class.
        color: of its class.
    """

    path: File
    layer: str = ""
    name: str = ""
    class_field: str = ""
    color: str = ""

    def __post_init__(self) -> None:
        make_plain(self, "name")


@dataclass(frozen=True)
class Labels:
    """Labels as polygons, lines and points, or as a raster of classes, and how they become classes.

    Attributes:
        path, layer: vector file (an empty layer is the only one of polygons, or the only one), or a raster of kind
            `raster`.
        name: the layer's name as the user sees it.
        class_field: field with the class; empty means one class.
        classes: legend order with names and colours; empty takes the field's values in sorted order.
            Ids are given by the engine: with `unlabelled="background"` id 0 is the background and the
            legend follows from 1; with "unknown" the legend starts at 0.
        unlabelled: what ground inside the area without polygon means. Of a raster with a class background of its own,
            pixels without value are unknown all the same.
        kind: `polygons` (with lines and points) or `raster`; values of a raster are classes, named by its categories
            and coloured by its palette; its nodata is ground without label, ground outside it is ignored.
        excluded: values of the field whose ground is ignored, whatever else is drawn there.
        more: further layers of polygons; where layers overlap the later class wins, as within one. Their classes
            join the legend by value or name, else at its end.
        border_px: width of the band along borders between classes that is ignored, for sloppy digitising; half of
            it, rounded up, on each side.
        all_touched: a polygon takes every pixel it touches, not only those whose centre it holds.
        min_area_px: connected pieces of a class smaller than this many pixels are ignored.
        point_radius, line_width: in `size_unit`; a point is a disc, a line a strip. 0 is one pixel.
        size_unit: pixels of the grid, or true metres.
    """

    path: File
    layer: str = ""
    name: str = ""
    class_field: str = ""
    classes: tuple[LabelClass, ...] = ()
    unlabelled: Literal["background", "unknown", "auto"] = "auto"
    kind: Literal["polygons", "raster"] = "polygons"
    excluded: tuple[str, ...] = ()
    more: tuple[LabelLayer, ...] = ()
    border_px: Annotated[
        int,
        Param(
            "Ignored border",
            "Pixels along boundaries between classes that are not used: for inexact digitizing.",
            unit="px",
            low=0,
            high=65_536,
            auto="none",
            group="Labels",
            guide="labels",
            key="BORDER",
        ),
    ] = 0
    all_touched: Annotated[
        bool,
        Param(
            "All touched pixels",
            "A polygon takes every pixel that it touches, not only those whose centre it holds: for objects narrower "
            "than a pixel.",
            group="Labels",
            guide="labels",
        ),
    ] = False
    min_area_px: Annotated[
        int,
        Param(
            "Minimum label area",
            "Connected pieces of a class with fewer pixels are not used.",
            unit="px",
            low=0,
            high=1e9,
            auto="none",
            group="Labels",
            guide="labels",
            key="MIN_AREA",
        ),
    ] = 0
    point_radius: Annotated[
        float,
        Param(
            "Point radius",
            "A point labels the pixels whose centre is within this distance; without one, the pixel that holds it.",
            low=0,
            high=100_000,
            step=1,
            auto="one pixel",
            group=DRAWN_GROUP,
            guide="points-and-lines-as-labels",
        ),
    ] = 0.0
    line_width: Annotated[
        float,
        Param(
            "Line width",
            "A line labels the pixels whose centre is within half this width; without a width, it is one pixel wide.",
            low=0,
            high=100_000,
            step=1,
            auto="one pixel",
            group=DRAWN_GROUP,
            guide="points-and-lines-as-labels",
        ),
    ] = 0.0
    size_unit: Annotated[
        SizeUnit,
        Param(
            "Unit of radius and width",
            "Pixels of the grid, or true metres.",
            labels={"px": "pixels", "m": "metres"},
            group=DRAWN_GROUP,
            guide="points-and-lines-as-labels",
        ),
    ] = "px"

    def __post_init__(self) -> None:
        make_plain(self, "name")


def default_unlabelled(class_field: str, area_kind: AreaKind, sampled: bool = False) -> Unlabelled:
    """Return what unlabelled pixels inside the area are unless the user chooses.

    Args:
        class_field: field with the classes; empty where the labels are one class, which needs a background.
        area_kind: of the area. Polygons of an area, and all that the rasters cover, state where the labels are
            complete; a hull of the labels or an extent does not.
        sampled: whether points or lines are among the labels: these are samples, complete in no area.
    """
    complete = area_kind in ("polygons", "rasters") and not sampled
    return "unknown" if class_field and not complete else "background"


def with_unlabelled(labels: Labels, area: Area, sampled: bool = False) -> Labels:
    """Return labels whose automatic meaning of unlabelled pixels is decided.

    Args:
        labels: as they are given.
        area: where they are used.
        sampled: as of `default_unlabelled`; only who has read the labels knows.
    """
    if labels.unlabelled != AUTO_UNLABELLED:
        return labels
    return replace(labels, unlabelled=default_unlabelled(labels.class_field, area.kind, sampled))


@dataclass(frozen=True)
class Recipe:
    """Ordered bands on one grid. Written as `<stack>.recipe.json`; carried inside every model.

    `intermediates` are bands that only expressions need: computed, never part of the stack.
    """

    sources: tuple[Source, ...]
    bands: tuple[Band, ...]
    grid: Grid
    version: int = 1
    intermediates: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """`dataset.json`: all that training and evaluation read. Paths are relative to its folder.

    `counts` maps split -> class id (as text) -> labelled pixels. `warnings` travel to every result.
    `fingerprint` tells one making of labels and split from another; empty in datasets of older versions.
    `split_distance_px` is the least distance between pixels of different splits, in pixels; 0 if unknown.
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
    split_distance_px: float = 0.0

    def __post_init__(self) -> None:
        make_plain(self, "name")
