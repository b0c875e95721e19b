"""A class raster of any program, read as codes: 0, 1, 2 … in order of its values, IGNORE where there is no class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from ..contract import IGNORE, GeoSegError, Grid, LabelClass, Source
from ..raster.grid import Window
from ..raster.nodata import no_values
from ..raster.pixel_values import EXACT_BELOW, check_exact
from ..raster.sources import descriptions, open_source, source_grid
from ..raster.writer import CLASSES_TAG, RasterWriter, read_classes
from ..vector.class_raster import read_raster_classes

Codes = NDArray[np.uint8]
WRITTEN_ANEW = (CLASSES_TAG, "AREA_OR_POINT")
"""Metadata that a writer makes itself."""


@dataclass(frozen=True)
class ClassRaster:
    """An open class raster; its first band counts.

    Attributes:
        dataset: of rasterio.
        grid: its pixels.
        values: (k,) value of each code, ascending.
        none: value of pixels without class; None if every pixel has one.
        classes: names and colours; the id of each is its value.
        legend: whether names and colours are the raster's own, not made up.
    """

    dataset: Any
    grid: Grid
    values: NDArray[np.int64]
    none: int | None
    classes: tuple[LabelClass, ...]
    legend: bool

    def code(self, value: int) -> int:
        """Code of a value; -1 if no pixel can have it."""
        found = np.flatnonzero(self.values == value)
        return int(found[0]) if len(found) else -1

    def read(self, window: Window) -> Codes:
        """Codes of a window, (rows, cols); IGNORE without class and outside the raster."""
        inside = window.clipped(self.grid.height, self.grid.width)
        if inside == window:
            return self._codes(window)
        codes = np.full((window.height, window.width), IGNORE, np.uint8)
        if not inside.empty:
            codes[inside.within(window)] = self._codes(inside)
        return codes

    def raw(self, codes: Codes) -> NDArray[Any]:
        """The raster's own values of codes."""
        if self._plain:
            return codes
        table = np.zeros(IGNORE + 1, self.dataset.dtypes[0])
        table[: len(self.values)] = self.values
        table[IGNORE] = self._written_none or 0
        return table[codes]

    def writer(self, path: Path, tags: dict[str, str]) -> RasterWriter:
        """Return a writer of a raster like this one: type, nodata, colours, names and metadata.

        Args:
            path: the new raster.
            tags: further metadata.
        """
        own = {key: text for key, text in self.dataset.tags().items() if key not in WRITTEN_ANEW}
        return RasterWriter(
            path,
            self.grid,
            self.dataset.dtypes[0],
            self._written_none,
            [descriptions(self.dataset)[0] or "class"],
            self.classes if self.legend else (),
            {**own, **tags},
        )

    @property
    def _written_none(self) -> int | None:
        """`none`, or the number after all classes for one of 64 bits that a GeoTIFF would not give back."""
        if self.none is None or abs(self.none) < EXACT_BELOW:
            return self.none
        return int(self.values[-1]) + 1

    @property
    def _plain(self) -> bool:
        """Whether codes and values are the same."""
        return len(self.values) == IGNORE and self.none == IGNORE

    def _codes(self, window: Window) -> Codes:
        try:
            raw = self.dataset.read(1, window=window.rasterio)
        except RasterioError as error:
            raise GeoSegError(
                "cannot_read",
                f"The class raster {Path(self.dataset.name).name} is damaged: rows {window.row} to "
                f"{window.row + window.height} cannot be read.",
                "Make it again, or get the file again.",
                str(error),
            ) from error
        if self._plain:
            return raw
        if raw.dtype == np.uint8:
            table = np.full(IGNORE + 1, IGNORE, np.uint8)
            table[self.values] = np.arange(len(self.values))
            return table[raw]
        codes = np.searchsorted(self.values, raw).astype(np.uint8)
        if self.none is not None:
            codes[raw == self.none] = IGNORE
        return codes


def has_background(classes: Sequence[LabelClass]) -> bool:
    """Return whether class 0 is the background: it has no name, or stands for pixels without a polygon."""
    return all(item.name == "background" and not item.value for item in classes if item.id == 0)


@contextmanager
def open_classes(path: Path) -> Iterator[ClassRaster]:
    """Open a class raster; one of another program, or converted by one, is looked through for its values first.

    Raises:
        GeoSegError: `not_classes` for values that are no whole numbers, `masked_classes` where a mask says which
            pixels have no class; as `open_source`, `check_exact` and `read_raster_classes`.
    """
    source = Source("classes", str(path), path.stem)
    with open_source(source, classes=True) as dataset:
        grid = source_grid(source, dataset)
        ours = read_classes(dataset)
        if ours and dataset.dtypes[0] == "uint8" and dataset.nodata in (None, IGNORE):
            yield ClassRaster(dataset, grid, np.arange(IGNORE), IGNORE, ours, True)
            return
        _check_usable(path, dataset)
        found = read_raster_classes(source, grid.crs)
        check_exact(found.values, source.name)
        values = found.values if found.values.dtype.kind in "iu" else found.values.astype(np.int64)
        if (values != found.values).any():
            raise _no_classes(path, f"holds {found.values[values != found.values][0]:g}")
        classes = tuple(replace(item, id=int(value)) for item, value in zip(found.known, values, strict=True))
        none = None if dataset.nodata is None else int(dataset.nodata)
        yield ClassRaster(dataset, grid, values, none, classes, _has_legend(dataset, classes))


def _check_usable(path: Path, dataset: Any) -> None:
    if not np.issubdtype(dataset.dtypes[0], np.integer):
        raise _no_classes(path, f"is of type {dataset.dtypes[0]}")
    if dataset.scales[0] != 1 or dataset.offsets[0] != 0:
        raise _no_classes(
            path, f"has a scale of {dataset.scales[0]:g} and an offset of {dataset.offsets[0]:g}"
        )
    facts = no_values(dataset)[0]
    if not facts.simple:
        raise GeoSegError(
            "masked_classes",
            f"A mask, an alpha band or several values of {path.name} say which pixels have no class.",
            "Export it with a nodata value instead (layer menu, Export > Save As).",
        )
    if facts.by == "nodata" and dataset.nodata is None:
        raise GeoSegError(
            "masked_classes",
            f"The nodata value of {path.name} is too large to be read.",
            "Export it with a smaller nodata value (layer menu, Export > Save As).",
        )


def _no_classes(path: Path, what: str) -> GeoSegError:
    return GeoSegError(
        "not_classes",
        f"{path.name} {what}: that is no class raster, which holds whole numbers.",
        "Choose a class raster, or round and convert this one with the raster calculator first.",
    )


def _has_legend(dataset: Any, classes: tuple[LabelClass, ...]) -> bool:
    """Whether a raster has names or colours that one of ours can carry: bytes, with 255 for no class."""
    if dataset.dtypes[0] != "uint8" or dataset.nodata not in (None, IGNORE):
        return False
    if any(item.id == IGNORE for item in classes):
        return False
    named = any(item.name != item.value for item in classes)
    return named or dataset.colorinterp[0] == ColorInterp.palette
