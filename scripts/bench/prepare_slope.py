"""Slope of an elevation model beside gdaldem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from measuring import ENGINE_ENV, Row, compared, engine_command, timed
from rasterio.transform import Affine

SIDE_PX, SMALL_PX = 10_000, 500
PIXEL_M = 10.0
STRIP_PX = 512
TOLERANCE_DEGREES = 1e-3
PACKING = {
    "tiled": "yes",
    "blockxsize": "512",
    "blockysize": "512",
    "compress": "zstd",
    "zstd_level": "1",
    "num_threads": "all_cpus",
    "bigtiff": "if_safer",
}
"""Of the elevation model, of what gdaldem writes and, in the engine's own profile, of what we write."""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Make the elevation model, derive its slope by both, compare every pixel inside."""
    side = SMALL_PX if small else SIDE_PX
    dem = make(folder / "dem.tif", side)
    job = {"dem": {"key": "dem", "path": str(dem)}, "attributes": ["slope"], "output": "slope.tif"}
    ours = engine_command(folder / "ours", "terrain", job)
    creation = [part for key, value in PACKING.items() for part in ("-co", f"{key}={value}".upper())]
    theirs = ["gdaldem", "slope", "-q", str(dem), str(folder / "peer.tif"), *creation]
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: timed([ours], ENGINE_ENV), lambda: timed([theirs]), repeat
    )
    furthest = difference(folder / "ours" / "slope.tif", folder / "peer.tif")
    return Row(
        f"slope of {side}²",
        "gdaldem slope",
        ours_s,
        beside_s,
        ratio,
        1.0,
        peak_mb,
        1000,
        f"inside they differ by {furthest:.1e}° at most",
        furthest <= TOLERANCE_DEGREES,
    )


def make(path: Path, side: int) -> Path:
    """Mountains of some 1 000 m with detail, float32, no voids."""
    profile = {"driver": "GTiff", "crs": "EPSG:32631", "transform": Affine(PIXEL_M, 0, 6e5, 0, -PIXEL_M, 5e6)}
    profile |= {"width": side, "height": side, "count": 1, "dtype": "float32", **PACKING}
    random = np.random.default_rng(1)
    cols = np.arange(side)
    across = 300 * np.sin(cols / 170) + 40 * np.sin(cols / 23)
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, side, STRIP_PX):
            rows = np.arange(row, min(row + STRIP_PX, side))[:, None]
            heights = 500 + across * np.cos(rows / 210) + 60 * np.sin((rows + cols) / 41)
            heights = heights + random.normal(0, 0.3, heights.shape)
            window = rasterio.windows.Window(0, row, side, len(rows))
            dataset.write(heights.astype("float32"), 1, window=window)
    return path


def difference(ours: Path, theirs: Path) -> float:
    """Largest difference in degrees where gdaldem has a value: all but the outermost pixels."""
    furthest = 0.0
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        for row in range(0, one.height, STRIP_PX):
            window = rasterio.windows.Window(0, row, one.width, min(STRIP_PX, one.height - row))
            mine, their = one.read(1, window=window), other.read(1, window=window)
            known = their != other.nodata
            furthest = max(furthest, float(np.abs(mine - their)[known].max()))
    return furthest
