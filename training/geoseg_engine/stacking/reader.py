"""Read windows of a stack: every band of a recipe on one grid, from the files or a written composite."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError

from ..bands import relief
from ..contract import Band, GeoSegError, Grid, Recipe, Source
from ..raster.grid import Window, same_grid
from ..raster.resample import Mapping, mapping, needed, resampled, source_pixels
from ..raster.sources import open_source, source_grid, title
from .recipes import SUFFIX, names_of, read_recipe, recipe_of_raster, recipe_path

SOURCE_LIMIT_PX = 1 << 24
"""Source pixels read at once; where a window needs more (strong coarsening) it is halved."""


BANDS_AT_ONCE = 6


@dataclass(frozen=True)
class Layer:
    """One open source, how the grid lies on it and which bands (by place in the stack) come from it."""

    source: Source
    dataset: Any
    mapping: Mapping
    bands: tuple[tuple[int, Band], ...]


class StackReader:
    """Reads windows of a stack.

    Args:
        recipe: bands, sources and grid.
        stack_path: the written composite; without it every window is made from the sources.

    Raises:
        GeoSegError: as `open_source`; `missing_bands` if a source has fewer bands than the recipe asks for.
    """

    def __init__(self, recipe: Recipe, stack_path: Path | None = None) -> None:
        self.recipe = recipe
        self.grid: Grid = recipe.grid
        self.band_names: list[str] = names_of(recipe)
        self._exit = ExitStack()
        self._layers: list[Layer] = []
        try:
            if stack_path is not None:
                self._open_written(stack_path)
            else:
                self._open_sources()
        except BaseException:
            self._exit.close()
            raise

    def __enter__(self) -> StackReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        self._exit.close()
        self._layers = []

    def read(self, window: Window) -> np.ndarray:
        """Float32 (bands, rows, cols) of a window; NaN where there is no value and outside the grid.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        result = np.full((len(self.band_names), window.height, window.width), np.nan, np.float32)
        inside = window.clipped(self.grid.height, self.grid.width)
        if inside.empty:
            return result
        rows, cols = inside.within(window)
        for layer in self._layers:
            places = [place for place, _ in layer.bands]
            result[places, rows, cols] = _read_layer(layer, inside)
        return result

    def _open_written(self, path: Path) -> None:
        source = Source("stack", str(path), path.stem)
        dataset = self._exit.enter_context(open_source(source))
        bands = tuple((place, Band(name, "stack", place + 1)) for place, name in enumerate(self.band_names))
        if dataset.count != len(bands) or not same_grid(source_grid(source, dataset), self.grid):
            raise GeoSegError(
                "stack_changed",
                f"{path} is not the stack of its recipe: it has {dataset.count} bands of {dataset.width} × "
                f"{dataset.height} pixels, the recipe {len(bands)} of {self.grid.width} × {self.grid.height}.",
                "Make the stack again on the Data page.",
            )
        direct = Mapping(self.grid, self.grid, (0, 0), (1, 1), 0, None)
        self._layers.append(Layer(source, dataset, direct, bands))

    def _open_sources(self) -> None:
        for source in self.recipe.sources:
            bands = tuple(
                (place, band) for place, band in enumerate(self.recipe.bands) if band.source == source.key
            )
            if not bands:
                continue
            dataset = self._exit.enter_context(open_source(source))
            highest = max(band.index for _, band in bands)
            if highest > dataset.count:
                raise GeoSegError(
                    "missing_bands",
                    f"Layer '{title(source)}' has {dataset.count} bands, band {highest} is asked for.",
                    "Choose a layer that has this band.",
                )
            own = source_grid(source, dataset)
            self._layers.append(Layer(source, dataset, mapping(self.grid, own), bands))


def _read_layer(layer: Layer, window: Window) -> np.ndarray:
    """Bands of one source on a window of the grid: float32 (bands of the layer, rows, cols)."""
    shift = layer.mapping.shift
    if shift is not None:
        part = Window(window.row + shift[0], window.col + shift[1], window.height, window.width)
        return _source_values(layer, part, layer.bands)
    rows, cols = source_pixels(layer.mapping, window)
    part = needed(layer.mapping, rows, cols, 2)
    if part.height * part.width > SOURCE_LIMIT_PX and window.height * window.width > 1:
        return _read_halves(layer, window)
    result = np.empty((len(layer.bands), window.height, window.width), np.float32)
    for method, places in _passes(layer):
        values = _source_values(layer, part, tuple(layer.bands[place] for place in places))
        result[places] = resampled(layer.mapping, values, part, rows, cols, method)
    return result


def _passes(layer: Layer) -> Iterator[tuple[str, list[int]]]:
    """Bands that are resampled together: of one method, and few enough to bound memory."""
    for method in dict.fromkeys(band.resampling for _, band in layer.bands):
        places = [place for place, (_, band) in enumerate(layer.bands) if band.resampling == method]
        for start in range(0, len(places), BANDS_AT_ONCE):
            yield method, places[start : start + BANDS_AT_ONCE]


def _read_halves(layer: Layer, window: Window) -> np.ndarray:
    if window.height >= window.width:
        half = window.height // 2
        parts = (
            Window(window.row, window.col, half, window.width),
            Window(window.row + half, window.col, window.height - half, window.width),
        )
        return np.concatenate([_read_layer(layer, part) for part in parts], axis=1)
    half = window.width // 2
    parts = (
        Window(window.row, window.col, window.height, half),
        Window(window.row, window.col + half, window.height, window.width - half),
    )
    return np.concatenate([_read_layer(layer, part) for part in parts], axis=2)


def _source_values(layer: Layer, part: Window, bands: tuple[tuple[int, Band], ...]) -> np.ndarray:
    """Values of bands, derived ones included, on a window of the source; NaN where invalid or outside."""
    plain = [place for place, (_, band) in enumerate(bands) if not band.derive]
    indexes = [bands[place][1].index for place in plain]
    if len(plain) == len(bands) and not part.empty:
        return raster_values(layer.source, layer.dataset, indexes, part, "float32")
    result = np.empty((len(bands), part.height, part.width), np.float32)
    if part.empty:
        return result
    if plain:
        result[plain] = raster_values(layer.source, layer.dataset, indexes, part, "float32")
    for index in dict.fromkeys(band.index for _, band in bands if band.derive):
        places = [place for place, (_, band) in enumerate(bands) if band.derive and band.index == index]
        names = tuple(bands[place][1].derive for place in places)
        result[places] = _relief(layer, index, part, names)
    return result


def _relief(layer: Layer, index: int, part: Window, names: tuple[str, ...]) -> np.ndarray:
    own = layer.mapping.source
    result = np.full((len(names), part.height, part.width), np.nan)
    inside = part.clipped(own.height, own.width)
    if inside.empty:
        return result
    heights = raster_values(layer.source, layer.dataset, [index], inside.padded(relief.HALO_PX))[0]
    rows, cols = inside.within(part)
    result[:, rows, cols] = relief.attributes(heights, own, inside, names)
    return result


def raster_values(
    source: Source, dataset: Any, indexes: list[int], part: Window, dtype: str = "float64"
) -> np.ndarray:
    """Values of a window of a raster: scale and offset applied, NaN where invalid or outside.

    Invalid is what the file's nodata, mask or alpha says, what equals the source's own nodata, and what is
    not finite.

    Returns:
        (bands, rows, cols) of `dtype`, float32 or float64.

    Raises:
        GeoSegError: `cannot_read` if the file is damaged.
    """
    inside = part.clipped(dataset.height, dataset.width)
    if inside.empty:
        return np.full((len(indexes), part.height, part.width), np.nan, dtype)
    try:
        raw = dataset.read(indexes, window=inside.rasterio)
        invalid = _invalid(source, dataset, indexes, inside, raw)
    except RasterioError as error:
        raise GeoSegError(
            "cannot_read",
            f"Layer '{title(source)}' is damaged: rows {inside.row} to {inside.row + inside.height} cannot be read.",
            "Get the file again, or export what QGIS can still read.",
            str(error),
        ) from error
    values = _scaled(raw, dataset, indexes, dtype)
    if invalid is not None:
        values[invalid] = np.nan
    if raw.dtype.kind == "f":
        values[np.isinf(values)] = np.nan
    if inside == part:
        return values
    result = np.full((len(indexes), part.height, part.width), np.nan, dtype)
    rows, cols = inside.within(part)
    result[:, rows, cols] = values
    return result


def _scaled(raw: np.ndarray, dataset: Any, indexes: list[int], dtype: str) -> np.ndarray:
    scales = np.array([dataset.scales[index - 1] for index in indexes])
    offsets = np.array([dataset.offsets[index - 1] for index in indexes])
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and so invalid
        if (scales == 1).all() and (offsets == 0).all():
            return raw.astype(dtype, copy=False)
        return (raw * scales[:, None, None] + offsets[:, None, None]).astype(dtype, copy=False)


def _invalid(
    source: Source, dataset: Any, indexes: list[int], inside: Window, raw: np.ndarray
) -> np.ndarray | None:
    """Boolean (bands, rows, cols) of what the file or the source declares invalid; None if they declare nothing.

    NaN needs no declaration, so a file whose nodata is NaN is spared the second reading for its mask.
    """
    flags = [dataset.mask_flag_enums[index - 1] for index in indexes]
    nodata = [dataset.nodatavals[index - 1] for index in indexes]
    by_nodata = all(flag == [MaskFlags.nodata] for flag in flags)
    declares_nan = by_nodata and all(value is not None and math.isnan(value) for value in nodata)
    overridden = by_nodata and source.nodata is not None
    invalid = None
    if not (overridden or declares_nan or all(MaskFlags.all_valid in flag for flag in flags)):
        invalid = dataset.read_masks(indexes, window=inside.rasterio) == 0
    if source.nodata is not None and not math.isnan(source.nodata):
        same = raw == np.array(source.nodata).astype(raw.dtype if raw.dtype.kind == "f" else np.float64)
        invalid = same if invalid is None else invalid | same
    return invalid


def open_stack(path: Path) -> StackReader:
    """Open a stack by its .tif or its .recipe.json.

    The written composite is used where it is there; a raster without recipe is taken band by band.

    Raises:
        GeoSegError: `file_missing`, `stack_changed`; as `open_source`.
    """
    if path.name.endswith(SUFFIX):
        recipe = read_recipe(path)
        written = path.with_name(path.name.removesuffix(SUFFIX) + ".tif")
        return StackReader(recipe, written if written.exists() else None)
    if recipe_path(path).exists() and path.exists():
        return StackReader(read_recipe(recipe_path(path)), path)
    return StackReader(recipe_of_raster(path), path)
