"""A stack of four rasters in two CRS and three pixel sizes beside gdalwarp, gdalbuildvrt and gdal_translate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from measuring import ENGINE_ENV, Row, compared, engine_command, timed
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

SIDE_PX, SMALL_PX = 10_000, 1_100
PIXEL_M = 10.0
CRS, OTHER_CRS = "EPSG:32631", "EPSG:32632"
LEFT, TOP = 600_000.0, 5_000_000.0
LAYERS = (
    ("optical", CRS, 10.0, 4, "uint16"),
    ("infrared", CRS, 20.0, 3, "uint16"),
    ("radar", OTHER_CRS, 10.0, 2, "float32"),
    ("height", OTHER_CRS, 30.0, 1, "float32"),
)
"""Name, CRS, pixel size in metres, bands, type."""
PACKING = {"compress": "zstd", "zstd_level": 1, "num_threads": "all_cpus", "bigtiff": "if_safer"}
"""Of the sources, of what the peer writes and, in the engine's own profile, of what we write."""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Make the layers, stack them by both ways, compare the values."""
    side = SMALL_PX if small else SIDE_PX
    files = [make(folder, layer, side) for layer in LAYERS]
    ours = engine_command(folder / "ours", "stack", job(files))
    theirs = peer(folder, files, side)
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: timed([ours], ENGINE_ENV), lambda: timed(theirs), repeat
    )
    return Row(
        f"stack: 4 rasters, 2 CRS, 3 pixel sizes, 10 bands, {side}²",
        "gdalwarp ×4, gdalbuildvrt, gdal_translate",
        ours_s,
        beside_s,
        ratio,
        0.8,
        peak_mb,
        1500,
        difference(folder / "ours" / "stack.tif", folder / "peer.tif"),
    )


def make(folder: Path, layer: tuple[str, str, float, int, str], side: int) -> Path:
    """Waves with noise that cover the target ground."""
    name, crs, size, bands, dtype = layer
    ground = (LEFT, TOP - side * PIXEL_M, LEFT + side * PIXEL_M, TOP)
    if crs == CRS:
        left, bottom, right, top = ground
    else:
        left, bottom, right, top = transform_bounds(CRS, crs, *ground)
        left, top = left // size * size - size, top // size * size + 2 * size
        right, bottom = right + 2 * size, bottom - 2 * size
    width, height = round((right - left) / size), round((top - bottom) / size)
    path = folder / f"{name}.tif"
    profile = {
        "driver": "GTiff",
        "crs": crs,
        "transform": Affine(size, 0, left, 0, -size, top),
        "width": width,
        "height": height,
        "count": bands,
        "dtype": dtype,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "interleave": "band",
        **PACKING,
    }
    random = np.random.default_rng(len(name))
    across = 500 * np.sin(np.arange(width) * size / 900)
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, height, 512):
            rows = np.arange(row, min(row + 512, height))
            waves = 1000 + across + 400 * np.cos(rows * size / 700)[:, None]
            for band in range(1, bands + 1):
                values = waves * band + random.integers(0, 60, waves.shape)
                window = rasterio.windows.Window(0, row, width, len(rows))
                dataset.write(values.astype(dtype), band, window=window)
    return path


def job(files: list[Path]) -> dict:
    """The stack as a job: the optical layer's pixels."""
    sources = [{"key": path.stem, "path": str(path), "name": path.stem} for path in files]
    bands = [
        {"name": f"{name} {index}", "source": name, "index": index}
        for name, _, _, count, _ in LAYERS
        for index in range(1, count + 1)
    ]
    return {"sources": sources, "bands": bands, "output": "stack.tif"}


def peer(folder: Path, files: list[Path], side: int) -> list[list[str]]:
    """The commands of the usual way; the intermediate files are not packed, which is faster for them."""
    extent = [str(value) for value in (LEFT, TOP - side * PIXEL_M, LEFT + side * PIXEL_M, TOP)]
    creation = [f"{key}={value}".upper() for key, value in PACKING.items()]
    tiled = ["-co", "TILED=YES", "-co", "BLOCKXSIZE=512", "-co", "BLOCKYSIZE=512", "-co", "INTERLEAVE=BAND"]
    packed = [*tiled, *(part for option in creation for part in ("-co", option))]
    warp = ["gdalwarp", "-q", "-overwrite", "-multi", "-wo", "NUM_THREADS=ALL_CPUS", "-r", "bilinear"]
    warp += ["-t_srs", CRS, "-te", *extent, "-tr", str(PIXEL_M), str(PIXEL_M), "-ot", "Float32"]
    warp += ["-dstnodata", "nan", *tiled, "-co", "BIGTIFF=IF_SAFER"]
    commands, bands = [], []
    for path, (_, _, _, count, _) in zip(files, LAYERS, strict=True):
        warped = str(folder / f"{path.stem}_warped.tif")
        commands.append([*warp, str(path), warped])
        for band in range(1, count + 1):  # gdalbuildvrt -separate takes the first band of a file
            one = str(folder / f"{path.stem}_{band}.vrt")
            commands.append(["gdal_translate", "-q", "-of", "VRT", "-b", str(band), warped, one])
            bands.append(one)
    together, output = str(folder / "together.vrt"), str(folder / "peer.tif")
    commands.append(["gdalbuildvrt", "-q", "-overwrite", "-separate", together, *bands])
    commands.append(["gdal_translate", "-q", *packed, together, output])
    return commands


def difference(ours: Path, theirs: Path) -> str:
    """How far the values of both differ in the middle, band by band, relative to their deviation."""
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        if one.shape != other.shape:
            return f"ours has {one.shape} pixels, the peer {other.shape}"
        window = rasterio.windows.Window(one.width // 2, one.height // 2, 512, 512)
        mine, their = one.read(window=window), other.read(window=window)
    off = np.abs(mine - their).mean(axis=(1, 2)) / their.std(axis=(1, 2))
    return f"values differ by {off.max():.1%} of a band's deviation at most"
