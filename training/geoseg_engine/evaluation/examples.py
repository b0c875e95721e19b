"""Best and worst tiles of an evaluation, with small pictures of image, reference and prediction."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..contract import IGNORE, Dataset, LabelClass, guess_roles
from ..raster.grid import Window
from ..raster.writer import colour_table
from ..scores.cells import Cells, ious
from ..stacking.reader import StackReader

EXAMPLES = 4
MIN_LABELLED = 0.5
"""Share of a tile that must be labelled."""
MAX_PX = 192
STRETCH_PERCENT = (2, 98)


@dataclass(frozen=True)
class Tile:
    """An evaluated tile: first row and column, side in pixels, score 0..1."""

    row: int
    col: int
    size_px: int
    iou: float


def best_and_worst(tiles: Cells, binary: bool) -> tuple[list[Tile], list[Tile]]:
    """Return up to EXAMPLES tiles with the highest and with the lowest score, none in both.

    The score is the IoU of the object (binary, tiles that hold it in reference or prediction), else the mean IoU over
    the classes of the tile's reference. Tiles that are labelled by half or more count; if there are none, the better
    labelled half of all.

    Args:
        tiles: confusion matrices of the tiles.
        binary: whether there is one class against a background.
    """
    matrices, corners = tiles.matrices(), tiles.corners()
    labelled = matrices.sum(axis=(1, 2))
    minimum = MIN_LABELLED * tiles.cell_px**2
    if not (labelled >= minimum).any() and labelled.size:
        minimum = float(np.median(labelled))
    values = ious(matrices)
    present = matrices.sum(axis=2) > 0
    if binary:
        scores = values[:, 1]
        content = matrices[:, 1, 1]
    else:
        filled = np.where(present, np.nan_to_num(values), 0.0)
        scores = filled.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
        content = labelled
    known = np.flatnonzero((labelled >= minimum) & ~np.isnan(scores))
    order = known[np.lexsort((-content[known], -scores[known]))]  # equal scores: most content first
    found = [
        Tile(corners[place][0], corners[place][1], tiles.cell_px, round(float(scores[place]), 6))
        for place in order
    ]
    worst = min(EXAMPLES, len(found) // 2)
    return found[: min(EXAMPLES, len(found) - worst)], found[::-1][:worst]


def pictures(
    tiles: Sequence[Tile],
    dataset: Dataset,
    stack: StackReader,
    truth: Callable[[Window], NDArray[np.uint8]],
    prediction: Path,
) -> list[dict[str, Any]]:
    """Each tile with its pictures as data URIs.

    Args:
        tiles: to show.
        dataset: gives the grid, and the colours of its classes.
        stack: to take up to three bands from: red, green and blue where they are known by name.
        truth: labels of a window.
        prediction: raster of class ids of the dataset.

    Returns:
        For each tile row, col, size_px, iou, image, truth, prediction.
    """
    grid = dataset.recipe.grid
    chosen = shown_bands(stack.band_names)
    parts = [
        Window(tile.row, tile.col, tile.size_px, tile.size_px).clipped(grid.height, grid.width)
        for tile in tiles
    ]
    images = stretched([stack.read(part)[chosen] for part in parts])
    with rasterio.open(prediction) as raster:
        return [
            {
                "row": tile.row,
                "col": tile.col,
                "size_px": tile.size_px,
                "iou": tile.iou,
                "image": png(image),
                "truth": png(coloured(truth(part), dataset.classes)),
                "prediction": png(coloured(raster.read(1, window=part.rasterio), dataset.classes)),
            }
            for tile, part, image in zip(tiles, parts, images, strict=True)
        ]


def shown_bands(names: Sequence[str]) -> list[int]:
    """Places of red, green and blue, else of the first three bands, else of the first one."""
    roles = guess_roles(names)
    if {"red", "green", "blue"} <= roles.keys():
        return [roles[role].place for role in ("red", "green", "blue")]
    return [0, 1, 2] if len(names) > 2 else [0]


def stretched(images: Sequence[NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """RGBA (4, rows, cols) of images (1 or 3, rows, cols), with one stretch for all; NaN is transparent."""
    if not images:
        return []
    values = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
    low, high = np.zeros(len(values)), np.ones(len(values))
    for place, row in enumerate(values):
        known = row[np.isfinite(row)]
        if known.size:
            low[place], high[place] = np.percentile(known, STRETCH_PERCENT)
    span = np.maximum(high - low, 1e-9)[:, None, None]
    found = []
    for image in images:
        known = np.isfinite(image).all(axis=0)
        shades = np.clip((np.nan_to_num(image) - low[:, None, None]) / span, 0, 1) * 255
        rgb = np.broadcast_to(shades, (3, *known.shape)).astype(np.uint8)
        found.append(np.concatenate([rgb, (255 * known).astype(np.uint8)[None]]))
    return found


def coloured(ids: NDArray[np.uint8], classes: Sequence[LabelClass]) -> NDArray[np.uint8]:
    """Return RGBA (4, rows, cols) of class ids in the colours of their classes; IGNORE is transparent.

    Args:
        ids: class ids (rows, cols).
        classes: the classes.
    """
    table = np.zeros((IGNORE + 1, 4), np.uint8)
    for index, colour in colour_table(classes).items():
        table[index] = colour
    return np.moveaxis(table[ids], 2, 0)


def png(rgba: NDArray[np.uint8]) -> str:
    """Return (4, rows, cols) as a data URI, thinned out to at most MAX_PX.

    Encoded here, without GDAL, which needs a georeference for every picture (PNG specification, W3C 2003).
    """
    step = -(-max(rgba.shape[1:]) // MAX_PX)
    pixels = np.moveaxis(rgba[:, ::step, ::step], 0, 2)
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # each row begins with its filter, 0 for none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
