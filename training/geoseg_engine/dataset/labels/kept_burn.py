"""What is kept of a burning, so that after an edit only the windows of changed polygons are burnt again.

A window is kept if everything that decides its pixels is as it was: the stack, the settings of the labels, the area,
and the polygons near it. Its pixels are then copied from the label raster of the last time, and its counts from the
record: raster and warnings are those of burning everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray

from ...contract import Grid, Labels, Recipe, encode, kept_json, write_json
from ...contract.contents import digest, file_digest, raster_state
from ...raster.grid import Window, covering_window
from ...vector.polygons import LabelPolygons
from .burning import Tally
from .label_errors import border_halo_px

VERSION = 1
MAX_SHAPES = 100_000
"""Polygons whose places are kept; more are burnt anew each time."""
MARGIN_PX = 1
"""Pixels around the bounds of a polygon that it may touch."""

Shapes = dict[str, tuple[float, float, float, float]]
"""A short text per polygon and class -> its bounds in the grid's CRS."""


def record_path(labels: Path) -> Path:
    """Return the record of a label raster: `a/labels.tif` -> `a/labels.burnt.json`."""
    return labels.with_name(labels.stem + ".burnt.json")


def settings_key(
    labels: Labels,
    polygons: LabelPolygons,
    area: shapely.Geometry | None,
    recipe: Recipe,
    stack: Path,
    side: int,
) -> str:
    """Return a text that is equal where everything but the polygons is.

    Args:
        labels: settings of the job.
        polygons: with the classes.
        area: in the grid's CRS; None is everywhere.
        recipe: of the stack.
        stack: its file.
        side: of the windows, in pixels.
    """
    files = [raster_state(path) for source in recipe.sources for path in (source.path, *source.paths)]
    plain = encode(replace(labels, path="", layer="", more=()))
    outline = hashlib.sha256(b"" if area is None else shapely.to_wkb(area)).hexdigest()
    return digest(
        [plain, encode(polygons.classes), outline, encode(recipe), files, raster_state(str(stack)), side]
    )


def shapes_of(polygons: LabelPolygons) -> Shapes:
    """Return the polygons with their classes as short texts, with their bounds.

    Args:
        polygons: in the grid's CRS.
    """
    texts = [
        hashlib.sha256(shape + str(int(class_id)).encode("ascii")).hexdigest()[:20]
        for shape, class_id in zip(shapely.to_wkb(polygons.geometries), polygons.ids, strict=True)
    ]
    return dict(zip(texts, map(tuple, shapely.bounds(polygons.geometries).tolist()), strict=True))


def halo_px(labels: Labels) -> int:
    """Return how far the pixels of a window depend on polygons beside it."""
    patches = labels.min_area_px if labels.min_area_px > 1 else 0
    return MARGIN_PX + border_halo_px(labels.border_px) + patches


@dataclass(frozen=True)
class KeptBurn:
    """What a burning left.

    Attributes:
        key: of `settings_key`.
        raster: digest of the label raster.
        shapes: of `shapes_of`.
        tallies: counts per window, in the order of the windows.
    """

    key: str
    raster: str
    shapes: Shapes
    tallies: tuple[Tally, ...]


def read_kept(labels: Path, key: str, windows: int) -> KeptBurn | None:
    """Return what the last burning left, where it can be used.

    Args:
        labels: the label raster of the last time.
        key: of the settings now.
        windows: how many there are.

    Returns:
        None where there is nothing, where something else than polygons has changed, and for a damaged record.
    """
    found = kept_json(record_path(labels))
    if not isinstance(found, dict) or (found.get("version"), found.get("key")) != (VERSION, key):
        return None
    try:
        shapes = {str(name): tuple(float(number) for number in box) for name, box in found["shapes"].items()}
        tallies = tuple(_tally(item) for item in found["tallies"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if len(tallies) != windows or any(len(box) != 4 for box in shapes.values()):
        return None
    if found.get("raster") != file_digest(labels):
        return None
    return KeptBurn(key, str(found["raster"]), shapes, tallies)  # type: ignore[arg-type]


def keep(labels: Path, key: str, shapes: Shapes, tallies: Sequence[Tally]) -> None:
    """Write the record of a burning.

    Args:
        labels: the finished label raster.
        key: of `settings_key`.
        shapes: of `shapes_of`.
        tallies: counts per window.

    Raises:
        OSError: where it cannot be written.
    """
    path = record_path(labels)
    if len(shapes) > MAX_SHAPES:
        path.unlink(missing_ok=True)
        return
    parts = [{item.name: getattr(one, item.name) for item in fields(one)} for one in tallies]
    write_json(
        path,
        {"version": VERSION, "key": key, "raster": file_digest(labels), "shapes": shapes, "tallies": parts},
    )


def same_windows(
    kept: KeptBurn, now: Shapes, windows: Sequence[Window], grid: Grid, pad_px: int
) -> list[bool]:
    """Return which windows no changed polygon comes near.

    Args:
        kept: of the last time.
        now: of `shapes_of`.
        windows: in their order.
        grid: of the label raster.
        pad_px: of `halo_px`.
    """
    changed = [kept.shapes[name] for name in kept.shapes.keys() - now.keys()]
    changed += [now[name] for name in now.keys() - kept.shapes.keys()]
    touched = [covering_window(grid, box, pad_px) for box in changed]
    return [not any(_overlap(window, other) for other in touched) for window in windows]


def _overlap(one: Window, other: Window) -> bool:
    return (
        one.row < other.row + other.height
        and other.row < one.row + one.height
        and one.col < other.col + other.width
        and other.col < one.col + one.width
    )


def summed(tallies: Sequence[Tally], classes: Sequence[int]) -> Tally:
    """Return the counts of all windows together.

    Args:
        tallies: per window.
        classes: ids of all classes.
    """
    total = Tally({class_id: 0 for class_id in classes})
    for one in tallies:
        for item in fields(Tally):
            old, new = getattr(total, item.name), getattr(one, item.name)
            if isinstance(new, dict):
                joined: Any = {key: old.get(key, 0) + new.get(key, 0) for key in {**old, **new}}
            elif isinstance(new, list):
                joined = [a + b for a, b in zip(old or [0] * len(new), new, strict=True)] if new else old
            else:
                joined = old + new
            setattr(total, item.name, joined)
    return total


def kept_pixels(labels: Path, window: Window) -> NDArray[np.uint8]:
    """Return class ids of a window of the last label raster, uint8 (rows, cols).

    Args:
        labels: the label raster.
        window: inside it.
    """
    with rasterio.open(labels) as raster:
        ids: NDArray[np.uint8] = raster.read(1, window=window.rasterio)
        return ids


def _tally(data: Any) -> Tally:
    """The counts of a window as they were written.

    Raises:
        TypeError, ValueError, KeyError, AttributeError: for anything else.
    """
    numbers = {item.name: data[item.name] for item in fields(Tally)}
    for name in ("pixels", "suspicious"):
        numbers[name] = {int(key): int(value) for key, value in numbers[name].items()}
    numbers["lost_by_band"] = [int(value) for value in numbers["lost_by_band"]]
    plain = {name: int(value) for name, value in numbers.items() if not isinstance(value, dict | list)}
    return Tally(**{**numbers, **plain})
