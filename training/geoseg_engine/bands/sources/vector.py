"""The kind `vector`: bands of the features of a vector layer.

What reads features is imported when a layer is read: pyogrio and geopandas take a quarter of a second, and most
trainings and predictions have no vector layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...contract import Band, Grid, Problem, Source
from ...raster.sources import title
from .kind import BandSource

if TYPE_CHECKING:
    from .vector_bands import VectorBands


class VectorSource(BandSource):
    """Bands of the features of a vector layer."""

    kind = "vector"

    @contextmanager
    def open(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> Iterator[VectorBands]:
        """Read the layer into memory.

        Args:
            source: of kind `vector`.
            bands: derived by names of VECTOR_FEATURES.
            grid: of the stack.

        Raises:
            GeoSegError: as `VectorBands`.
        """
        from .vector_bands import VectorBands

        yield VectorBands(source, bands, grid)

    def grid_and_warnings(self, source: Source, bands: tuple[Band, ...]) -> tuple[None, Sequence[Problem]]:
        """Return None, as a vector layer has no pixels, if the layer has what the bands need.

        Args:
            source: of kind `vector`.
            bands: that must be available.

        Raises:
            GeoSegError: as `check_vector_bands`.
        """
        from .vector_bands import check_vector_bands

        check_vector_bands(source, bands)
        return None, ()

    def completed(self, source: Source, slot: Source) -> Source:
        """Return the source with the slot's layer, if it names none and its file has a layer of that name.

        Args:
            source: another file.
            slot: the source of the recipe.
        """
        from ...vector.files import layer_names

        if source.layer or slot.layer not in layer_names(source.path, title(source)):
            return source
        return replace(source, layer=slot.layer)

    def inspect(self, path: str, found: dict[str, Any]) -> str:
        """Add the layers of a vector file with their fields, and the values of fields that have few.

        Args:
            path: file or GDAL dataset name.
            found: the result, changed in place.

        Returns:
            Why the file is not a vector file; empty if it is.
        """
        from .vector_bands import inspect_layers

        return inspect_layers(path, found)
