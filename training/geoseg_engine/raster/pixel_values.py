"""Values of a window of a raster file, with NaN for pixels without value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rasterio.errors import RasterioError

from ..contract import GeoSegError, Source
from .grid import Window
from .nodata import invalid_pixels
from .sources import title

EXACT_BELOW = 2**53
"""Whole numbers from here on share their float64 with others."""
FITS_FLOAT32 = ("uint8", "int8", "int16", "uint16", "float32")


def raster_values(
    source: Source, dataset: Any, indexes: list[int], part: Window, dtype: str = "float64"
) -> np.ndarray:
    """Read a window of a raster: scale and offset applied, NaN where invalid, infinite or outside.

    Args:
        source: names the layer, with its own nodata.
        dataset: the open raster.
        indexes: band numbers from 1.
        part: may reach outside the raster.
        dtype: of the result, float32 or float64.

    Returns:
        (bands, rows, cols) of `dtype`.

    Raises:
        GeoSegError: `cannot_read` if the file is damaged.
    """
    inside = part.clipped(dataset.height, dataset.width)
    if inside.empty:
        return np.full((len(indexes), part.height, part.width), np.nan, dtype)
    with reading(source, inside):
        raw = dataset.read(indexes, window=inside.rasterio)
        invalid = invalid_pixels(source, dataset, indexes, inside, raw)
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


@contextmanager
def reading(source: Source, window: Window) -> Iterator[None]:
    """Return the context of reading a window of a raster.

    Args:
        source: names the layer.
        window: inside the raster.

    Raises:
        GeoSegError: `cannot_read` if the file is damaged.
    """
    try:
        yield
    except RasterioError as error:
        raise GeoSegError(
            "cannot_read",
            f"Layer '{title(source)}' is damaged: rows {window.row} to {window.row + window.height} cannot be read.",
            "Get the file again, or export what QGIS can still read.",
            str(error),
        ) from error


def check_exact(values: np.ndarray, name: str) -> None:
    """Raise if numbers of classes are too large to be distinguished.

    Args:
        values: of any type, without NaN.
        name: of the raster.

    Raises:
        GeoSegError: `large_class` for a number of EXACT_BELOW or more on either side of 0.
    """
    large = (values >= EXACT_BELOW) | (values <= -EXACT_BELOW)
    if large.any():
        raise GeoSegError(
            "large_class",
            f"'{name}' holds the value {int(values[large][0])}: classes from {EXACT_BELOW} (2^53) on cannot be "
            "distinguished.",
            "Give the classes smaller numbers first, e.g. with the raster calculator.",
        )


def exact_dtype(dataset: Any, indexes: Sequence[int]) -> str:
    """Return `float32` if that holds every value of the bands exactly, else `float64`.

    Args:
        dataset: the open raster.
        indexes: band numbers from 1.
    """
    exact = all(
        dataset.scales[index - 1] == 1
        and dataset.offsets[index - 1] == 0
        and dataset.dtypes[index - 1] in FITS_FLOAT32
        for index in indexes
    )
    return "float32" if exact else "float64"


def _scaled(raw: np.ndarray, dataset: Any, indexes: list[int], dtype: str) -> np.ndarray:
    scales = np.array([dataset.scales[index - 1] for index in indexes])
    offsets = np.array([dataset.offsets[index - 1] for index in indexes])
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and so invalid
        if (scales == 1).all() and (offsets == 0).all():
            return raw.astype(dtype, copy=False)
        return (raw * scales[:, None, None] + offsets[:, None, None]).astype(dtype, copy=False)
