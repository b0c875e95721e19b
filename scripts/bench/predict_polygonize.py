"""Polygons of 20 000 × 20 000 pixels of six classes beside gdal_polygonize.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import rasterio
from measuring import ENGINE_ENV, Row, compared, engine_command, timed
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

SIDE_PX, SMALL_PX, PERIOD_PX = 20_000, 500, 2_000
PIXEL_M, LEFT, TOP, CRS = 10.0, 300_000.0, 5_000_000.0, "EPSG:32631"
LEVELS = (-1.0, -0.3, 0.2, 0.7, 1.3)


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Draw the classes, trace them by both ways, compare the areas of the classes and the number of polygons.

    Ours gives each polygon its class's name, its area and its perimeter on the ellipsoid besides.
    """
    side = SMALL_PX if small else SIDE_PX
    classes = draw(folder / "classes.tif", side)
    job = {"classes": str(classes), "skip_background": False, "min_area_px": 0, "output": "polygons.gpkg"}
    ours = engine_command(folder / "ours", "polygonize", job)
    peer = folder / "peer.gpkg"
    theirs = ["gdal_polygonize.py", "-q", str(classes), str(peer), "polygons", "class_id"]

    def beside() -> tuple[float, float]:
        peer.unlink(missing_ok=True)
        return timed([theirs])

    ours_s, beside_s, ratio, peak_mb = compared(lambda: timed([ours], ENGINE_ENV), beside, repeat)
    agrees, note = difference(folder / "ours" / "polygons.gpkg", peer)
    return Row(
        f"polygonise {side}² classes",
        "gdal_polygonize.py",
        ours_s,
        beside_s,
        ratio,
        0.7,
        peak_mb,
        2000,
        note,
        agrees,
    )


def draw(path: Path, side: int) -> Path:
    """Smooth random patches of two sizes, repeated so that they meet across the seams."""
    tile = field(min(PERIOD_PX, side))
    again = side // len(tile)
    profile = {
        "driver": "GTiff",
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, LEFT, 0, -PIXEL_M, TOP),
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "uint8",
        "nodata": 255,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "zstd",
        "zstd_level": 1,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.tile(tile, (again, again)), 1)
    return path


def field(side: int) -> NDArray[np.uint8]:
    """Classes 0 to 5 of the sum of two fields of noise, smoothed over 8 and 40 pixels."""
    random = np.random.default_rng(1)
    total = np.zeros((side, side), np.float32)
    for sigma, weight in ((8, 1.0), (40, 1.3)):
        noise = gaussian_filter(
            random.standard_normal((side, side), np.float32), sigma, mode="wrap", truncate=3
        )
        total += weight * noise / noise.std()
    return np.digitize(total / total.std(), LEVELS).astype(np.uint8)


def difference(ours: Path, theirs: Path) -> tuple[bool, str]:
    """Whether both have the same number of polygons and the same area of each class, and how many."""
    found = [totals(path) for path in (ours, theirs)]
    same = found[0].keys() == found[1].keys() and all(
        count == found[1][key][0] and np.isclose(area, found[1][key][1], rtol=1e-9)
        for key, (count, area) in found[0].items()
    )
    count = sum(number for number, _ in found[0].values())
    return same, f"{count:,} polygons, areas {'the same' if same else 'DIFFER'}"


def totals(path: Path) -> dict[int, tuple[int, float]]:
    """Number of polygons and area in the plane of each class."""
    frame = pyogrio.read_dataframe(path, columns=["class_id"])
    area = frame.area.groupby(frame["class_id"])
    return {int(key): (int(area.size()[key]), float(total)) for key, total in area.sum().items()}
