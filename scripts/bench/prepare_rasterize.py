"""50 000 polygons of five classes onto 20 000 × 20 000 pixels beside gdal_rasterize."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
from measuring import ENGINE_ENV, Row, compared, engine_command, timed
from rasterio.transform import Affine

from geoseg_engine.vector.geopackage import write_layer

SIDE_PX, POLYGONS = 20_000, 50_000
SMALL_PX, SMALL_POLYGONS = 1_000, 200
CORNERS, CLASSES = 24, 5
PIXEL_M, LEFT, TOP, CRS = 10.0, 300_000.0, 5_000_000.0, "EPSG:32631"
PACKING = {"compress": "zstd", "zstd_level": 1, "num_threads": "all_cpus", "bigtiff": "if_safer"}


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Draw the polygons, burn them by both ways, compare every pixel.

    The raster of the grid holds whole numbers without nodata, as its value says nothing of the labels; what we write
    has overviews, a colour table and the classes' names besides.
    """
    side, count = (SMALL_PX, SMALL_POLYGONS) if small else (SIDE_PX, POLYGONS)
    polygons = draw(folder / "polygons.gpkg", side, count)
    grid_raster(folder / "image.tif", side)
    ours = engine_command(folder / "ours", "rasterize", job(folder, polygons))
    theirs = peer(folder, polygons, side)
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: timed([ours], ENGINE_ENV), lambda: timed([theirs]), repeat
    )
    return Row(
        f"rasterise {count:,} polygons onto {side}²",
        "gdal_rasterize",
        ours_s,
        beside_s,
        ratio,
        1.0,
        peak_mb,
        1500,
        difference(folder / "ours" / "labels.tif", folder / "peer.tif"),
    )


def draw(path: Path, side: int, count: int) -> Path:
    """Stars of 24 corners and 10 to 60 pixels radius all over the grid; the later class lies on top."""
    random = np.random.default_rng(1)
    angle = np.sort(random.uniform(0, 2 * np.pi, (count, CORNERS)), axis=1)
    reach = random.uniform(10, 60, (count, 1)) * random.uniform(0.6, 1, angle.shape) * PIXEL_M
    middle = random.uniform(0, side, (2, count, 1)) * PIXEL_M
    corners = np.stack(
        [LEFT + middle[0] + reach * np.cos(angle), TOP - middle[1] + reach * np.sin(angle)], axis=-1
    )
    ids = np.sort(random.integers(1, CLASSES + 1, count))
    frame = geopandas.GeoDataFrame({"id": ids}, geometry=shapely.polygons(corners), crs=CRS)
    write_layer(frame, path, path.stem)
    return path


def grid_raster(path: Path, side: int) -> None:
    """An 8-bit raster without nodata that lends the grid; its blocks are left out of the file."""
    profile = {
        "driver": "GTiff",
        "crs": CRS,
        "transform": Affine(PIXEL_M, 0, LEFT, 0, -PIXEL_M, TOP),
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "uint8",
        "tiled": True,
        "sparse_ok": True,
    }
    with rasterio.open(path, "w", **profile):
        pass


def job(folder: Path, polygons: Path) -> dict:
    """The burn as a job."""
    legend = [{"id": 0, "name": f"class {value}", "value": str(value)} for value in range(1, CLASSES + 1)]
    labels = {"path": str(polygons), "class_field": "id", "classes": legend}
    return {"stack": str(folder / "image.tif"), "labels": labels, "output": "labels.tif"}


def peer(folder: Path, polygons: Path, side: int) -> list[str]:
    """The same pixels, type and packing; nodata and the rest of our file cost the peer nothing."""
    extent = [str(value) for value in (LEFT, TOP - side * PIXEL_M, LEFT + side * PIXEL_M, TOP)]
    creation = {**PACKING, "tiled": "yes", "blockxsize": 512, "blockysize": 512}
    options = [part for key, value in creation.items() for part in ("-co", f"{key}={value}".upper())]
    command = ["gdal_rasterize", "-q", "-a", "id", "-tr", str(PIXEL_M), str(PIXEL_M), "-te", *extent]
    return [*command, "-ot", "Byte", *options, str(polygons), str(folder / "peer.tif")]


def difference(ours: Path, theirs: Path) -> str:
    """How many pixels differ."""
    differing = 0
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        for _, window in one.block_windows(1):
            differing += int((one.read(1, window=window) != other.read(1, window=window)).sum())
        return f"{differing:,} of {one.width * one.height:,} pixels differ"
