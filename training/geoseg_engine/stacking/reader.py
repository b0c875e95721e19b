"""Read windows of a stack: every band of a recipe on one grid, from the files or a written composite."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np

from ..bands.expressions import Expression, evaluation_order, formula, parsed
from ..bands.gaps import fill_gaps, reach_px
from ..bands.raster_bands import RasterBands
from ..bands.sources.kind import OpenBands
from ..bands.sources.registry import open_bands
from ..contract import EXPRESSION, Band, GeoSegError, Grid, Problem, Recipe, Source
from ..raster.grid import Window, same_grid
from ..raster.sources import open_source, source_grid
from ..raster.stream import worker_count
from .recipes import SUFFIX, names_of, read_recipe, recipe_of_raster, recipe_path


class StackReader:
    """Reads windows of a stack.

    Args:
        recipe: bands, sources and grid.
        stack_path: the written composite; without it every window is made from the sources.

    Raises:
        GeoSegError: as `open_source`; `missing_bands` if a source has fewer bands than the recipe needs;
            `expression` if one is not understood.
    """

    def __init__(self, recipe: Recipe, stack_path: Path | None = None) -> None:
        self.recipe = recipe
        self.grid: Grid = recipe.grid
        self.band_names: list[str] = names_of(recipe)
        self._exit = ExitStack()
        self._layers: list[tuple[list[int], OpenBands]] = []
        self._computed: list[tuple[int, Expression, dict[str, int]]] = []
        self._filled: list[tuple[int, Band]] = []
        self._bands = len(self.band_names)
        self._halo_px = 0
        self.problems: list[Problem] = []
        """Warnings about the sources."""

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
        """Read float32 (bands, rows, cols) of a window; NaN where there is no value and outside the grid.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        inside = window.clipped(self.grid.height, self.grid.width)
        if inside == window and not self._halo_px:
            return self._made(window)[: len(self.band_names)]
        result = np.full((len(self.band_names), window.height, window.width), np.nan, np.float32)
        if inside.empty:
            return result
        around = inside.padded(self._halo_px).clipped(self.grid.height, self.grid.width)
        rows, cols = inside.within(around)
        values = self._made(around)[: len(self.band_names), rows, cols]
        rows, cols = inside.within(window)
        result[:, rows, cols] = values
        return result

    def _made(self, window: Window) -> np.ndarray:
        """Every band and intermediate on a window inside the grid: read from sources, computed, gaps filled."""
        result = np.full((self._bands, window.height, window.width), np.nan, np.float32)
        for places, layer in self._layers:
            result[places] = layer.read(window)
        for place, expression, inputs in self._computed:
            arrays = {variable: result[inputs[variable]] for variable in expression.variables}
            result[place] = expression.evaluate(arrays)
        for place, band in self._filled:
            result[place] = fill_gaps(result[place], band)
        return result

    def _open_written(self, path: Path) -> None:
        source = Source("stack", str(path), path.stem)
        dataset = self._exit.enter_context(open_source(source))
        bands = tuple(Band(name, "stack", place) for place, name in enumerate(self.band_names, 1))
        if dataset.count != len(bands) or not same_grid(source_grid(source, dataset), self.grid):
            raise GeoSegError(
                "stack_changed",
                f"{path} is not the stack of its recipe: it has {dataset.count} bands of {dataset.width} × "
                f"{dataset.height} pixels, the recipe {len(bands)} of {self.grid.width} × {self.grid.height}.",
                "Make the stack again on the Data page.",
            )
        layer = RasterBands.as_written(source, dataset, bands, self.grid)
        self._layers.append((list(range(len(bands))), layer))

    def _open_sources(self) -> None:
        every = (*self.recipe.bands, *self.recipe.intermediates)
        self._bands = len(every)
        for source in self.recipe.sources:
            places = [
                place
                for place, band in enumerate(every)
                if band.source == source.key and band.derive != EXPRESSION
            ]
            if places:
                bands = tuple(every[place] for place in places)
                layer = self._exit.enter_context(open_bands(source, bands, self.grid))
                self._layers.append((places, layer))
                self.problems += layer.problems
        by_name = {band.name: place for place, band in enumerate(every)}
        self._computed = [
            (
                by_name[band.name],
                parsed(formula(band)),
                {variable: by_name[name] for variable, name in band.inputs.items()},
            )
            for band in evaluation_order(every)
        ]
        self._filled = [(place, band) for place, band in enumerate(self.recipe.bands) if band.fill]
        self._halo_px = max((reach_px(band) for _, band in self._filled), default=0)


def open_stack(path: Path) -> StackReader:
    """Open a stack by its .tif or its .recipe.json.

    The written composite is used where it is there; a raster without recipe is read band by band.

    Raises:
        GeoSegError: `file_missing`, `stack_changed`; as `open_source`.
    """
    if path.name.endswith(SUFFIX):
        recipe = read_recipe(path)
        written = path.with_name(path.name.removesuffix(SUFFIX) + ".tif")
        return StackReader(recipe, written if written.exists() else None)
    if recipe_path(path).exists() and path.exists():
        return StackReader(read_recipe(recipe_path(path)), path)
    return StackReader(recipe_of_raster(path))


class ParallelReader:
    """Several readers of one recipe, each in a thread of its own; NumPy and GDAL release the lock.

    Args:
        recipe: bands, sources and grid.
        workers: threads; 0 is automatic.

    Raises:
        GeoSegError: as `StackReader`.
    """

    def __init__(self, recipe: Recipe, workers: int = 0) -> None:
        self._readers: list[StackReader] = []
        self._free: SimpleQueue[StackReader] = SimpleQueue()
        try:
            for _ in range(workers or worker_count()):
                self._readers.append(StackReader(recipe))
                self._free.put(self._readers[-1])
        except BaseException:
            self._close()
            raise
        self._pool = ThreadPoolExecutor(len(self._readers), "stack")

    def __enter__(self) -> ParallelReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._close()

    def read_all(self, windows: Iterable[Window]) -> Iterator[tuple[Window, np.ndarray]]:
        """Yield windows in the order given, each with its values, see `StackReader.read`.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        waiting: deque[tuple[Window, Future[np.ndarray]]] = deque()
        for window in windows:
            waiting.append((window, self._pool.submit(self._read, window)))
            if len(waiting) > len(self._readers):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def _read(self, window: Window) -> np.ndarray:
        reader = self._free.get()
        try:
            return reader.read(window)
        finally:
            self._free.put(reader)

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()
