"""A raster whose values are classes: its values, names, colours and footprint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from ..contract import GeoSegError, Grid, LabelClass, Source
from ..raster.grid import Window, grid_bounds, windows
from ..raster.pixel_values import raster_values
from ..raster.sources import open_source, parse_crs, source_grid, title
from ..raster.virtual import virtual_bands
from ..raster.writer import read_classes
from ..raster.xmltree import ElementTree
from .legend import MAX_CLASSES, PALETTE, value_text
from .placement import in_another_turn, moved_to, other_turn

SCAN_PX = 2048
WIDE = ("int64", "uint64")
COUNTED_BELOW = 65_536
VALUE_USAGES, NAME_USAGE, COLOR_USAGES = ("5", "3"), "2", ("6", "7", "8")
"""Usages of columns in GDAL's raster attribute table: value or minimum, name, red, green, blue."""

NAME_COLUMNS = ("class", "class_name", "classname", "name", "label", "category", "class_names")


@dataclass(frozen=True)
class RasterClasses:
    """The values of a label raster.

    Attributes:
        source: the raster; its first band counts.
        values: every value that occurs, ascending; whole numbers of 64 bits as such.
        known: a class for each of them, with the raster's own names and colours.
        footprint: its area in the CRS of the grid.
    """

    source: Source
    values: NDArray[Any]
    known: tuple[LabelClass, ...]
    footprint: shapely.Geometry


def read_raster_classes(source: Source, on: Grid | str = "") -> RasterClasses:
    """Read every pixel of a label raster for its values; names from its categories, colours from its palette.

    Args:
        source: the raster.
        on: the grid to use it on, or the CRS of its footprint; empty is the raster's own.

    Raises:
        GeoSegError: as `open_source`; `other_turn`, `too_many_classes`, `no_labels` if no pixel has a value.
    """
    with open_source(source, classes=True) as dataset:
        own = source_grid(source, dataset)
        if isinstance(on, Grid) and in_another_turn(own, on):
            raise other_turn(title(source), ["the rasters"])
        values = _distinct(source, dataset)
        known = _known(dataset, values)
    xmin, ymin, xmax, ymax = grid_bounds(own)
    box = shapely.segmentize(shapely.box(xmin, ymin, xmax, ymax), max(xmax - xmin, ymax - ymin) / 20)
    footprint = moved_to(np.array([box], object), parse_crs(own.crs), on or own.crs)[0]
    return RasterClasses(source, values, known, footprint)


def class_values(source: Source, dataset: Any, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read the values of a label raster.

    Args:
        source: the raster.
        dataset: the same, open.
        window: inside it.

    Returns:
        Values (rows, cols), and boolean (rows, cols): which pixels have one.

    Raises:
        GeoSegError: `cannot_read` if the file is damaged.
    """
    values = raster_values(source, dataset, [1], window)[0]
    known = np.isfinite(values)
    if dataset.dtypes[0] in WIDE and dataset.scales[0] == 1 and dataset.offsets[0] == 0:
        return dataset.read(1, window=window.rasterio), known
    return values, known


def _distinct(source: Source, dataset: Any) -> NDArray[Any]:
    found: NDArray[Any] | None = None
    for window in windows(source_grid(source, dataset), SCAN_PX):
        values, known = class_values(source, dataset, window)
        values = values[known]
        if not len(values):
            continue
        small = values.min() >= 0 and values.max() < COUNTED_BELOW and (values % 1 == 0).all()
        fresh = np.flatnonzero(np.bincount(values.astype(np.int64))) if small else np.unique(values)
        fresh = fresh.astype(values.dtype)
        found = fresh if found is None else np.union1d(found, fresh)
        if len(found) > MAX_CLASSES:
            raise GeoSegError(
                "too_many_classes",
                f"Label raster '{title(source)}' has more than {MAX_CLASSES} different values ({found[0]:g}, "
                f"{found[1]:g}, {found[2]:g}, …).",
                "Choose a raster whose values are classes, or classify it first.",
            )
    if found is None:
        raise GeoSegError(
            "no_labels",
            f"No pixel of label raster '{title(source)}' has a value.",
            "Check its nodata value, or choose another raster.",
        )
    return found


def _known(dataset: Any, values: NDArray[Any]) -> tuple[LabelClass, ...]:
    """A class for each value that occurs."""
    ours = {item.id: item for item in read_classes(dataset)}
    names, colors = _described(dataset)
    if dataset.colorinterp[0] == ColorInterp.palette:
        palette = dataset.colormap(1)
        colors = {value: _hex(palette[value][:3]) for value in palette} | colors
    classes = []
    for place, value in enumerate(values.tolist()):
        text = value_text(value)
        own = ours.get(value)
        name = own.name if own else names.get(value, "")
        color = own.color if own else colors.get(value, PALETTE[place % len(PALETTE)])
        classes.append(LabelClass(0, name or text, text, color))
    return tuple(classes)


def _described(dataset: Any) -> tuple[dict[float, str], dict[float, str]]:
    """Names and colours by value from category names and the attribute table."""
    band = virtual_bands(dataset)[0]
    categories = band.findall("CategoryNames/Category")
    names: dict[float, str] = {value: item.text.strip() for value, item in enumerate(categories) if item.text}
    colors: dict[float, str] = {}
    for value, name, color in _table(band):
        names[value] = name or names.get(value, "")
        if color:
            colors[value] = color
    return names, colors


def _table(band: ElementTree.Element) -> Iterator[tuple[float, str, str]]:
    """Value, name and colour of every row of the attribute table."""
    table = band.find("GDALRasterAttributeTable")
    if table is None:
        return
    fields = [
        (field.findtext("Name", "").strip().casefold(), field.findtext("Usage", "0"))
        for field in table.findall("FieldDefn")
    ]
    value_at = _column(fields, VALUE_USAGES, ("value",))
    name_at = _column(fields, (NAME_USAGE,), NAME_COLUMNS)
    color_at = [_column(fields, (usage,), ()) for usage in COLOR_USAGES]
    for place, row in enumerate(table.findall("Row")):
        cells = [cell.text or "" for cell in row.findall("F")]
        try:
            value = _number(cells[value_at]) if value_at is not None else place
            color = _hex([int(float(cells[at])) for at in color_at if at is not None])
        except (ValueError, IndexError):
            continue
        yield value, cells[name_at].strip() if name_at is not None else "", color


def _number(text: str) -> float:
    """A number of a table; whole ones exactly."""
    return int(text) if text.strip().lstrip("-").isdecimal() else float(text)


def _column(fields: list[tuple[str, str]], usages: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    by_usage = [place for place, (_, usage) in enumerate(fields) if usage in usages]
    by_name = [place for place, (name, _) in enumerate(fields) if name in names]
    return next(iter(by_usage + by_name), None)


def _hex(parts: Any) -> str:
    """Red, green and blue as text; empty unless there are three."""
    return "#" + "".join(f"{part:02x}" for part in parts) if len(parts) == 3 else ""
