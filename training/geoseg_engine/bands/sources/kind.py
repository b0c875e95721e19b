"""What a kind of source has to offer; the kinds themselves are listed in `registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

import numpy as np

from ...contract import Band, Grid, Problem, Source, SourceKind
from ...raster.grid import Window


class OpenBands(Protocol):
    """Bands of one open source on the grid of a stack."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Warnings about the source that were found when it was opened."""

    def read(self, window: Window) -> np.ndarray:
        """Read float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value.

        The same pixel has the same value whatever window it is read in.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """


class BandSource(ABC):
    """One kind of source that bands are taken from.

    To add a kind: name it in `SourceKind` of the contract, write a subclass in a module of its own, and list it in
    `registry.KINDS`. Only `open` and `grid_and_warnings` must be written; the rest has defaults.

    Attributes:
        kind: the value of `Source.kind`.
        sampling_cost: how many times fewer pixels checks read, because each takes that much longer to read.
        states_units: whether its files state the units of their values.
    """

    kind: ClassVar[SourceKind]
    sampling_cost: ClassVar[int] = 1
    states_units: ClassVar[bool] = False

    @abstractmethod
    def open(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> AbstractContextManager[OpenBands]:
        """Open a source for some bands on the grid of a stack.

        Args:
            source: of this kind.
            bands: of the source; expressions are not among them.
            grid: of the stack.

        Raises:
            GeoSegError: if a file cannot be opened or does not have a band.
        """

    @abstractmethod
    def grid_and_warnings(
        self, source: Source, bands: tuple[Band, ...]
    ) -> tuple[Grid | None, Sequence[Problem]]:
        """Return the source's own grid, None if it has no pixels, and warnings about it.

        Args:
            source: of this kind.
            bands: of the source; empty returns the grid alone.

        Raises:
            GeoSegError: as `open`, so that a source that cannot be read is found before anything is written.
        """

    def band_names(self, source: Source) -> list[str] | None:
        """Return what the file calls each of its bands; None where bands have no numbers in the file.

        Raises:
            GeoSegError: if the file cannot be opened.
        """
        return None

    def completed(self, source: Source, slot: Source) -> Source:
        """Return a source with what it leaves open taken from the slot of a recipe that it fills.

        Args:
            source: another file; its kind is this one or not given.
            slot: the source of the recipe.
        """
        return source

    def file_warnings(self, source: Source, bands: Sequence[Band]) -> Iterator[Problem]:
        """Yield warnings about the files of a source that do not stop a job.

        Args:
            source: of this kind.
            bands: of the source that are used.

        Raises:
            GeoSegError: if a file cannot be opened.
        """
        yield from ()

    def inspect(self, path: str, found: dict[str, Any]) -> str | None:
        """Add what a file offers to the result of the job `inspect`.

        Args:
            path: file or GDAL dataset name.
            found: the result, changed in place; see `stacking.inspect.run` for its keys.

        Returns:
            Why the file is not of this kind; empty if it is. None if this kind is not recognised by a file alone.
        """
        return None
