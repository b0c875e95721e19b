"""Jobs that make a dataset of layers, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .complaints import (
    area_problems,
    band_setting_problems,
    filled_intermediates,
    label_problems,
    pixel_size_problems,
    tile_problems,
    twice,
    unknown_sources,
    when,
)
from .data import RELIEF_ATTRIBUTES, SPLITS, TERRAIN_ATTRIBUTES, Area, Band, GridRequest, Labels, Source
from .errors import Problem
from .job import Job


@dataclass(frozen=True)
class StackJob(Job):
    """Align bands on one grid; write the composite (or, with `dry_run`, only say what would be).

    `intermediates` are bands that only expressions need. The result of a dry run holds the area as `area_wkt` in
    the grid's CRS.
    """

    kind: ClassVar[str] = "stack"
    sources: tuple[Source, ...]
    bands: tuple[Band, ...]
    grid: GridRequest = GridRequest()
    area: Area = Area()
    labels: Labels | None = None
    output: str = "stack.tif"
    dry_run: bool = False
    intermediates: tuple[Band, ...] = ()

    def problems(self) -> list[Problem]:
        return [
            *when(not self.bands, "no_bands", "No band is ticked.", "Tick at least one raster band."),
            *unknown_sources(self.sources, (*self.bands, *self.intermediates)),
            *twice([band.name for band in (*self.bands, *self.intermediates)]),
            *band_setting_problems((*self.bands, *self.intermediates)),
            *filled_intermediates(self.intermediates),
            *area_problems(self.area, self.labels),
            *pixel_size_problems(self.grid.pixel_size),
        ]


@dataclass(frozen=True)
class TerrainJob(Job):
    """Terrain attributes of a DEM as a raster of one band each, on the DEM's own grid.

    Attributes:
        dem: heights; its first band is used. They are in the unit that the source, its file or its CRS states, else in
            metres.
        attributes: of TERRAIN_ATTRIBUTES, or of RELIEF_ATTRIBUTES.
        parameters: `radius_m` of `tpi` (0: the eight neighbours) and `local_relief` (500); `radii` of
            `multiscale_tpi` ("50,150,450"); `azimuth` (315) and `altitude` (45) of `hillshade`; `engine` is
            `richdem` or `numpy`, by default what is right and quickest.
    """

    kind: ClassVar[str] = "terrain"
    dem: Source
    attributes: tuple[str, ...] = TERRAIN_ATTRIBUTES
    output: str = "terrain.tif"
    parameters: dict[str, float | str] = field(default_factory=dict)

    def problems(self) -> list[Problem]:
        known = TERRAIN_ATTRIBUTES + RELIEF_ATTRIBUTES
        unknown = [name for name in self.attributes if name not in known]
        choices = ", ".join(known)
        return [
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
    """Burn label polygons onto the grid of a stack. `stack` is a stack .tif or its .recipe.json."""

    kind: ClassVar[str] = "rasterize"
    stack: str
    labels: Labels
    area: Area = Area()
    output: str = "labels.tif"

    def problems(self) -> list[Problem]:
        return [*area_problems(self.area, self.labels), *label_problems(self.labels)]


@dataclass(frozen=True)
class TileJob(Job):
    """Make a dataset: tile index and spatial split of a label raster.

    Attributes:
        stack: stack .tif or its .recipe.json.
        labels: label raster written by `rasterize`.
        tile_px: side of a tile, a multiple of 16.
        stride_px: step between tiles; 0 is the tile size (no overlap).
        fractions: shares of train, validation, test; sum 1.
        block_px: side of a split block; 0 finds one.
        buffer_px: width left unused between blocks of different splits; -1 finds one.
        area: with `split_field`, its polygons name the split (or, with `folds`, the fold) instead of blocks.
        split_areas: areas of train, validation and test as layers of their own; instead of blocks.
        min_labelled_share: tiles with less labelled ground are left out of the index, 0..1.
        empty_share: share of the tiles without any object (only background) that is kept, 0..1.
        folds: 0, or the number of folds of a cross-validation: besides the split, every fold gets a folder
            `folds/<k>` with a dataset whose test is fold k.
        output: folder that receives dataset.json, tiles.gpkg, split.tif.
    """

    kind: ClassVar[str] = "tile"
    stack: str
    labels: str
    tile_px: int = 64
    stride_px: int = 0
    fractions: tuple[float, float, float] = (0.65, 0.15, 0.20)
    block_px: int = 0
    buffer_px: int = -1
    area: Area = Area()
    seed: int = 42
    output: str = "."
    split_areas: tuple[Area, ...] = ()
    min_labelled_share: float = 0.0
    empty_share: float = 1.0
    folds: int = 0

    def problems(self) -> list[Problem]:
        total = sum(self.fractions)
        named = [area for area in (*self.split_areas, self.area) if area.kind in ("polygons", "extent")]
        return [
            *tile_problems(self.tile_px),
            *(problem for area in named for problem in area_problems(area, None)),
            *when(
                self.block_px < 0,
                "block",
                f"A block of {self.block_px} px is not possible.",
                "Choose 1 or more, or 0 to find one.",
            ),
            *when(
                not 0 <= self.stride_px <= self.tile_px,
                "stride",
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
                self.folds in (1, 2) or self.folds < 0,
                "too_few_folds",
                f"{self.folds} folds leave no split for train, validation and test.",
                "Choose 3 or more, or 0 for no cross-validation.",
            ),
            *when(
                not (0 <= self.min_labelled_share <= 1 and 0 <= self.empty_share <= 1),
                "shares",
                f"The least labelled share {self.min_labelled_share:g} or the share of empty tiles "
                f"{self.empty_share:g} is outside 0 to 1.",
                "Choose shares from 0 to 1.",
            ),
        ]


@dataclass(frozen=True)
class CheckJob(Job):
    """List what would spoil training: labels against rasters, classes, geometries; and its cure.

    `findings` is a GeoPackage to write: a layer `findings` with one feature a fault, and why it is one.
    """

    kind: ClassVar[str] = "check"
    sources: tuple[Source, ...]
    labels: Labels
    bands: tuple[Band, ...] = ()
    area: Area = Area()
    grid: GridRequest = GridRequest()
    tile_px: int = 64
    output: str = "checks.json"
    findings: str = ""
    intermediates: tuple[Band, ...] = ()

    def problems(self) -> list[Problem]:
        every = (*self.bands, *self.intermediates)
        return [
            *unknown_sources(self.sources, every),
            *twice([band.name for band in every]),
            *band_setting_problems(every),
            *filled_intermediates(self.intermediates),
            *area_problems(self.area, self.labels),
            *label_problems(self.labels),
            *tile_problems(self.tile_px),
        ]


@dataclass(frozen=True)
class SummarizeJob(Job):
    """Distribution of every band of a stack: count, percentiles, mean, deviation and histogram; leaves JSON.

    Attributes:
        stack: stack .tif or its .recipe.json; or leave it empty and give sources, bands and grid.
        bins: of each histogram.
        sample_px: about how many pixels to look at, in windows spread over the grid; 0 is all.
    """

    kind: ClassVar[str] = "summarize"
    stack: str = ""
    sources: tuple[Source, ...] = ()
    bands: tuple[Band, ...] = ()
    intermediates: tuple[Band, ...] = ()
    grid: GridRequest = GridRequest()
    bins: int = 64
    sample_px: int = 1_000_000
    output: str = "summary.json"

    def problems(self) -> list[Problem]:
        every = (*self.bands, *self.intermediates)
        return [
            *when(
                bool(self.stack) == bool(self.bands),
                "no_bands",
                "Give either a stack or bands to summarize.",
                "Choose one of the two.",
            ),
            *when(
                self.bins < 1 or self.sample_px < 0,
                "sample",
                f"{self.bins} bins of {self.sample_px} pixels cannot be counted.",
                "Choose 1 bin or more, and 0 (all) or more pixels.",
            ),
            *unknown_sources(self.sources, every),
            *twice([band.name for band in every]),
            *band_setting_problems(every),
            *filled_intermediates(self.intermediates),
        ]


@dataclass(frozen=True)
class InspectJob(Job):
    """What a file offers as a source, for choosing: bands, NetCDF variables and dates, vector layers and fields."""

    kind: ClassVar[str] = "inspect"
    path: str


@dataclass(frozen=True)
class ExportChipsJob(Job):
    """Tiles of a dataset as image and mask files for other programs; every chip is read back and compared.

    Attributes:
        dataset: dataset.json or its folder.
        layout: `pairs` is images/ and masks/ a split; `arcgis` is Classified_Tiles.
        image_format: `auto` is PNG where values are 8-bit integers in 1, 3 or 4 bands, else GeoTIFF.
        splits: which to export.
        output: folder, new or empty.
    """

    kind: ClassVar[str] = "exportchips"
    dataset: str
    layout: Literal["pairs", "arcgis"] = "pairs"
    image_format: Literal["auto", "tif", "png"] = "auto"
    splits: tuple[str, ...] = SPLITS
    output: str = "chips"

    def problems(self) -> list[Problem]:
        unknown = [name for name in self.splits if name not in SPLITS]
        return when(
            bool(unknown) or not self.splits,
            "split",
            f"Unknown split '{', '.join(unknown)}'." if unknown else "No split is chosen.",
            f"Choose from: {', '.join(SPLITS)}.",
        )
