"""Jobs that make a dataset of layers, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .checks import (
    area_problems,
    band_setting_problems,
    filled_intermediates,
    label_problems,
    pixel_size_problems,
    repeated_names,
    unknown_sources,
    when,
)
from .data import (
    RELIEF_ATTRIBUTES,
    SPLITS,
    TERRAIN_ATTRIBUTES,
    Area,
    Band,
    GridRequest,
    Labels,
    Source,
)
from .errors import Problem
from .job import MAX_SEED, POLYGONS, RASTERS, Job
from .parameter import Param
from .training_jobs import DatasetPath

RECIPE_SUFFIX = ".recipe.json"
SPLIT_GROUP, TILES_GROUP = "Split", "Tiles"

Sources = Annotated[tuple[Source, ...], Param("Rasters", "What bands are taken from.")]
AllBands = Annotated[tuple[Band, ...], Param("Bands", "Left out: all bands.")]
TargetGrid = Annotated[GridRequest, Param("Grid", "What is left out follows from the reference source.")]
LabelSource = Annotated[Labels, Param("Labels", "Polygons, or a raster of classes.")]
Intermediates = Annotated[tuple[Band, ...], Param("Intermediate bands", "Bands that only expressions need.")]
LabelledArea = Annotated[Area, Param("Area", "Where the labels are complete; outside it no pixel is used.")]
StackFile = Annotated[str, Param("Stack", "Stack .tif or its .recipe.json.", reads=True)]
TileSize = Annotated[
    int,
    Param(
        "Tile size",
        "Side of a tile, a multiple of 16.",
        unit="px",
        low=16,
        high=1024,
        step=16,
        key="TILE_SIZE",
    ),
]


@dataclass(frozen=True)
class StackJob(Job):
    """Align bands on one grid; write the composite (or, with `dry_run`, only report what it would be).

    The result of a dry run holds the area as `area_wkt` in the grid's CRS.
    """

    kind: ClassVar[str] = "stack"
    worker: ClassVar[str] = "stacking.stack"
    title: ClassVar[str] = "Stack rasters"
    phases: ClassVar[dict[str, str]] = {"stack": "Aligning the bands"}

    sources: Sources
    bands: AllBands
    grid: TargetGrid = GridRequest()
    area: LabelledArea = Area()
    labels: Annotated[Labels | None, Param("Labels", "Whose hull is the area, where the area is one.")] = None
    output: Annotated[str, Param("Stack", writes=(*RASTERS, RECIPE_SUFFIX))] = "stack.tif"
    dry_run: Annotated[bool, Param("Dry run", "Only report what the stack would be.")] = False
    intermediates: Intermediates = ()

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
            *when(not self.bands, "no_bands", "No band is ticked.", "Tick at least one raster band."),
            *unknown_sources(self.sources, (*self.bands, *self.intermediates)),
            *repeated_names([band.name for band in (*self.bands, *self.intermediates)]),
            *band_setting_problems((*self.bands, *self.intermediates)),
            *filled_intermediates(self.intermediates),
            *area_problems(self.area, self.labels),
            *pixel_size_problems(self.grid.pixel_size),
        ]


@dataclass(frozen=True)
class TerrainJob(Job):
    """Derive terrain attributes of a DEM: a raster of one band each, on the DEM's own grid."""

    kind: ClassVar[str] = "terrain"
    worker: ClassVar[str] = "stacking.terrain"
    title: ClassVar[str] = "Terrain attributes"
    phases: ClassVar[dict[str, str]] = {"terrain": "Terrain attributes"}

    dem: Annotated[
        Source,
        Param(
            "DEM",
            "Its first band is used. Heights are in the unit that the source, its file or its CRS states, else in "
            "metres.",
        ),
    ]
    attributes: Annotated[
        tuple[str, ...],
        Param("Terrain attributes", options=(*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES), several=True),
    ] = TERRAIN_ATTRIBUTES
    output: Annotated[str, Param("Terrain attributes", writes=RASTERS)] = "terrain.tif"
    parameters: Annotated[
        dict[str, float | str],
        Param(
            "Settings of the attributes",
            "radius_m of tpi (0: the eight neighbours) and local_relief (500); radii of multiscale_tpi (50,150,450); "
            "azimuth (315) and altitude (45) of hillshade; engine is richdem or numpy, automatic by default.",
        ),
    ] = field(default_factory=dict)

    def problems(self) -> list[Problem]:
        """See `Job`."""
        known = TERRAIN_ATTRIBUTES + RELIEF_ATTRIBUTES
        unknown = [name for name in self.attributes if name not in known]
        choices = ", ".join(known)
        return [
            *super().problems(),
            *when(
                not self.attributes,
                "no_attributes",
                "No terrain attribute is chosen.",
                f"Choose from: {choices}.",
            ),
            *when(
                bool(unknown),
                "unknown_attribute",
                f"Unknown terrain attribute: {', '.join(unknown)}.",
                f"Choose from: {choices}.",
            ),
        ]


@dataclass(frozen=True)
class RasterizeJob(Job):
    """Rasterize label polygons onto the grid of a stack."""

    kind: ClassVar[str] = "rasterize"
    worker: ClassVar[str] = "dataset.labels.rasterize"
    title: ClassVar[str] = "Rasterize labels"
    phases: ClassVar[dict[str, str]] = {"rasterize": "Rasterizing the labels"}

    stack: StackFile
    labels: LabelSource
    area: LabelledArea = Area()
    output: Annotated[str, Param("Label raster", writes=RASTERS)] = "labels.tif"
    update: Annotated[
        bool,
        Param(
            "Update",
            "Only windows near changed polygons are rasterized again, if the output is of the same stack and settings.",
        ),
    ] = False

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [*super().problems(), *area_problems(self.area, self.labels), *label_problems(self.labels)]


@dataclass(frozen=True)
class TileJob(Job):
    """Make a dataset: tile index and spatial split of a label raster."""

    kind: ClassVar[str] = "tile"
    worker: ClassVar[str] = "dataset.tiles"
    title: ClassVar[str] = "Make dataset (split and tiles)"
    phases: ClassVar[dict[str, str]] = {"tile": "Making tiles", "split": "Splitting the area"}
    leaves: ClassVar[tuple[str, ...]] = ("dataset.json", "split.tif", "tiles.gpkg")
    layers: ClassVar[dict[str, str]] = {"tiles": "tile_id", "blocks": "split"}

    stack: StackFile
    labels: Annotated[str, Param("Label raster", "As rasterize writes it.", reads=True)]
    tile_px: TileSize = 64
    stride_px: Annotated[
        int,
        Param(
            "Step between tiles",
            "Smaller than the tile size for overlapping tiles.",
            unit="px",
            low=0,
            high=1024,
            auto="tile size",
            key="STRIDE",
        ),
    ] = 0
    fractions: Annotated[
        tuple[float, float, float],
        Param("Shares of the split", "Train, validation and test; they add up to 1."),
    ] = (0.6, 0.2, 0.2)
    block_px: Annotated[
        int,
        Param(
            "Block size",
            "The area is split in blocks of this size. Neighbouring pixels look alike, so larger blocks test harder.",
            unit="px",
            low=0,
            high=1e9,
            auto="automatic",
            group=SPLIT_GROUP,
            guide="block-size-and-buffer",
            key="BLOCK_SIZE",
        ),
    ] = 0
    buffer_px: Annotated[
        int,
        Param(
            "Buffer",
            "Unused strip between blocks of different splits, so that no tile sees both.",
            unit="px",
            low=0,
            high=1e9,
            auto="automatic",
            group=SPLIT_GROUP,
            guide="block-size-and-buffer",
            key="BUFFER",
        ),
    ] = -1
    area: Annotated[
        Area,
        Param(
            "Area",
            "With a split field, its polygons name the split (or, with folds, the fold) instead of blocks.",
        ),
    ] = Area()
    seed: Annotated[
        int,
        Param(
            "Seed",
            "The same seed gives the same split.",
            low=0,
            high=MAX_SEED,
            group=SPLIT_GROUP,
            guide="split",
        ),
    ] = 42
    output: Annotated[str, Param("Dataset folder", "Folder of dataset.json, tiles.gpkg and split.tif.")] = "."
    split_areas: Annotated[
        tuple[Area, ...],
        Param(
            "Split areas", "Areas of train, validation and test as layers of their own, instead of blocks."
        ),
    ] = ()
    min_labelled_share: Annotated[
        float,
        Param(
            "Minimum labelled share",
            "Tiles with a smaller share of labelled pixels are left out.",
            low=0,
            high=1,
            step=0.05,
            group=TILES_GROUP,
            guide="tile-size",
            key="MIN_LABELLED",
            row="min_labelled",
        ),
    ] = 0.0
    empty_share: Annotated[
        float,
        Param(
            "Share of empty tiles",
            "Share of the tiles with background only that is kept.",
            low=0,
            high=1,
            step=0.05,
            group=TILES_GROUP,
            guide="tile-size",
            key="EMPTY_SHARE",
            row="empty",
        ),
    ] = 1.0
    folds: Annotated[
        int,
        Param(
            "Folds",
            "For cross-validation: besides the split, a dataset per fold in folds/<k> whose test area is fold k; 3 or "
            "more.",
            low=0,
            high=1000,
            auto="none",
            group=SPLIT_GROUP,
            guide="split",
        ),
    ] = 0
    every_block: Annotated[
        bool,
        Param(
            "Split every block",
            "Blocks without labels get a split too, so that labels that are drawn later move no test area.",
        ),
    ] = False
    split_from: Annotated[
        str,
        Param(
            "Split to keep",
            "blocks.json of an earlier dataset on the same grid: every block keeps its split.",
            reads=True,
        ),
    ] = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        total = sum(self.fractions)
        named = [area for area in (*self.split_areas, self.area) if area.kind in ("polygons", "extent")]
        return [
            *super().problems(),
            *tile_problems(self.tile_px),
            *(problem for area in named for problem in area_problems(area, None)),
            *when(
                self.stride_px > self.tile_px,
                "stride_px",
                f"The step of {self.stride_px} px leaves gaps between tiles of {self.tile_px} px.",
                f"Choose 1 to {self.tile_px}, or 0 for no overlap.",
            ),
            *when(
                not abs(total - 1) <= 1e-6 or min(self.fractions) < 0,
                "fractions",
                f"The shares of train, validation and test add up to {total:g}.",
                "Make them add up to 1.",
            ),
            *when(
                self.folds in (1, 2),
                "too_few_folds",
                f"{self.folds} folds leave no split for train, validation and test.",
                "Choose 3 or more, or 0 for no cross-validation.",
            ),
        ]


@dataclass(frozen=True)
class CheckJob(Job):
    """List what would harm training: labels against rasters, classes, geometries; and how to fix it.

    The GeoPackage has a layer `findings` with one feature per problem and its reason.
    """

    kind: ClassVar[str] = "check"
    worker: ClassVar[str] = "dataset.checks.check"
    title: ClassVar[str] = "Check labels"
    phases: ClassVar[dict[str, str]] = {"check": "Checking the labels"}
    layers: ClassVar[dict[str, str]] = {"findings": "reason"}

    sources: Sources
    labels: LabelSource
    bands: AllBands = ()
    area: LabelledArea = Area()
    grid: TargetGrid = GridRequest()
    tile_px: TileSize = 64
    output: Annotated[str, Param("Report", "JSON file.", writes=())] = "checks.json"
    findings: Annotated[str, Param("Findings", "GeoPackage.", writes=POLYGONS)] = ""
    intermediates: Intermediates = ()

    def problems(self) -> list[Problem]:
        """See `Job`."""
        every = (*self.bands, *self.intermediates)
        return [
            *super().problems(),
            *unknown_sources(self.sources, every),
            *repeated_names([band.name for band in every]),
            *band_setting_problems(every),
            *filled_intermediates(self.intermediates),
            *area_problems(self.area, self.labels),
            *label_problems(self.labels),
            *tile_problems(self.tile_px),
        ]


@dataclass(frozen=True)
class SummarizeJob(Job):
    """Compute statistics of every band of a stack: count, percentiles, mean, deviation, histogram; leaves JSON."""

    kind: ClassVar[str] = "summarize"
    worker: ClassVar[str] = "stacking.summarize"
    title: ClassVar[str] = "Compute statistics"
    phases: ClassVar[dict[str, str]] = {"summarize": "Computing statistics"}

    stack: Annotated[
        str,
        Param(
            "Stack",
            "Stack .tif or its .recipe.json; or leave it empty and give rasters, bands and grid.",
            reads=True,
        ),
    ] = ""
    sources: Sources = ()
    bands: AllBands = ()
    intermediates: Intermediates = ()
    grid: TargetGrid = GridRequest()
    bins: Annotated[int, Param("Bins", "Of each histogram.", low=1, high=65_536)] = 64
    sample_px: Annotated[
        int,
        Param(
            "Sampled pixels",
            "About how many are read, in windows spread over the grid; 0 is all.",
            unit="px",
            low=0,
        ),
    ] = 1_000_000
    output: Annotated[str, Param("Statistics", "JSON file.", writes=())] = "summary.json"

    def problems(self) -> list[Problem]:
        """See `Job`."""
        every = (*self.bands, *self.intermediates)
        return [
            *super().problems(),
            *when(
                bool(self.stack) == bool(self.bands),
                "no_bands",
                "Give either a stack or bands to summarize.",
                "Choose one of the two.",
            ),
            *unknown_sources(self.sources, every),
            *repeated_names([band.name for band in every]),
            *band_setting_problems(every),
            *filled_intermediates(self.intermediates),
        ]


@dataclass(frozen=True)
class InspectJob(Job):
    """List what a file offers as a source: bands, NetCDF variables and dates, vector layers and fields."""

    kind: ClassVar[str] = "inspect"
    worker: ClassVar[str] = "stacking.inspect"
    title: ClassVar[str] = "Inspect file"
    phases: ClassVar[dict[str, str]] = {"inspect": "Inspecting the file"}

    path: Annotated[str, Param("File", "A raster, NetCDF or vector file.", reads=True)]


@dataclass(frozen=True)
class ExportChipsJob(Job):
    """Export tiles of a dataset as image and mask files for other programs; every chip is read back and compared."""

    kind: ClassVar[str] = "exportchips"
    worker: ClassVar[str] = "dataset.chips"
    title: ClassVar[str] = "Export chips"
    phases: ClassVar[dict[str, str]] = {"exportchips": "Writing chips", "chips": "Writing chips"}

    dataset: DatasetPath
    layout: Annotated[
        Literal["pairs", "arcgis"],
        Param("Layout", "pairs is a folder images and a folder masks per split; arcgis is Classified_Tiles."),
    ] = "pairs"
    image_format: Annotated[
        Literal["auto", "tif", "png"],
        Param(
            "Image format",
            key="FORMAT",
            about="auto is PNG where values are 8-bit integers in 1, 3 or 4 bands, else GeoTIFF.",
        ),
    ] = "auto"
    splits: Annotated[
        tuple[str, ...],
        Param("Splits", f"Of {', '.join(SPLITS)}.", options=SPLITS, several=True),
    ] = SPLITS
    output: Annotated[str, Param("Folder", "New or empty.")] = "chips"

    def problems(self) -> list[Problem]:
        """See `Job`."""
        unknown = [name for name in self.splits if name not in SPLITS]
        return [
            *super().problems(),
            *when(
                bool(unknown) or not self.splits,
                "split",
                f"Unknown split '{', '.join(unknown)}'." if unknown else "No split is chosen.",
                f"Choose from: {', '.join(SPLITS)}.",
            ),
        ]


def tile_problems(tile_px: int) -> list[Problem]:
    """List what is wrong with a side of tiles in pixels, besides its range."""
    return when(
        tile_px % 16 != 0,
        "tile_px",
        f"A tile of {tile_px} px is not possible.",
        "Choose a multiple of 16 from 16 to 1024.",
    )
