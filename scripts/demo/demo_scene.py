"""Make the demo's scene: a DEM, an optical image in another CRS and pixel size, and landslide polygons.

Run in the engine environment: `python scripts/demo/demo_scene.py FOLDER [--seed N]`. Everything follows from
the seed. Landslides have a scarp (steep, bare, hollowed out) and a deposit (below it, darker, hummocky).
Bare fields on flat ground and steep forest look alike in one of the two inputs only, so neither colour
nor slope suffices. The polygons are the truth: complete over the whole scene.

Leaves dem.tif (10 m, EPSG:32632), optical.tif (4 bands uint16, 7 m, EPSG:3035), landslides.gpkg
(field `class`: scarp, deposit; EPSG:4326), truth.tif (the 5 m truth).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.features import shapes
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import calculate_default_transform, reproject
from scipy import ndimage
from shapely.geometry import shape

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
from geoseg_engine.vector.geopackage import write_layer

FINE_M = 5.0
MARGIN_PX = 80
ROWS, COLS = 1040, 1240
ORIGIN = (604_000.0, 5_172_000.0)
CRS = "EPSG:32632"
SCARP, DEPOSIT = 1, 2
SLIDES = 85


@dataclass
class Scene:
    """Fine arrays of shape (ROWS, COLS) with a margin around what the rasters show."""

    height_m: np.ndarray
    truth: np.ndarray
    optical: np.ndarray  # (4, ROWS, COLS): blue, green, red, near infrared; reflectance x 10000


def fractal(rng: np.random.Generator, exponent: float) -> np.ndarray:
    """Gaussian noise with a power-law spectrum, mean 0 and standard deviation 1."""
    fy = np.fft.fftfreq(ROWS)[:, None]
    fx = np.fft.rfftfreq(COLS)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((ROWS, COLS))) / frequency**exponent
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (ROWS, COLS))
    return (noise - noise.mean()) / noise.std()


def make_scene(seed: int) -> Scene:
    """The scene of a seed."""
    rng = np.random.default_rng(seed)
    rough = fractal(rng, 2.1)
    height = 1100 + 170 * rough + 3.0 * fractal(rng, 1.2)
    truth = np.zeros((ROWS, COLS), np.uint8)
    height = add_slides(rng, height, truth)
    return Scene(height, truth, optical_image(rng, height, truth))


def slope_and_aspect(height: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope in degrees and the downhill unit vector (row, column)."""
    smooth = ndimage.gaussian_filter(height, 4)
    down_row, down_col = (-part for part in np.gradient(smooth, FINE_M))
    steepness = np.hypot(down_row, down_col)
    return np.degrees(np.arctan(steepness)), down_row / (steepness + 1e-9), down_col / (steepness + 1e-9)


def add_slides(rng: np.random.Generator, height: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Carve scarps, pile up deposits; returns the new height and writes classes into `truth`."""
    slope, down_row, down_col = slope_and_aspect(height)
    steep = np.argwhere(slope > np.percentile(slope, 70))
    steep = steep[((steep > 40) & (steep < np.array([ROWS, COLS]) - 40)).all(axis=1)]
    outline = ndimage.gaussian_filter(rng.standard_normal((ROWS, COLS)), 5)
    outline /= outline.std()
    hummocks = fractal(rng, 0.9)
    taken = np.zeros_like(truth, bool)
    height = height.copy()
    placed = 0
    for row, col in rng.permutation(steep)[:6000]:
        if placed == SLIDES:
            break
        length_px = rng.uniform(14, 36)
        window = np.s_[max(row - 110, 0) : min(row + 110, ROWS), max(col - 110, 0) : min(col + 110, COLS)]
        along, across = slide_axes(window, row, col, down_row[row, col], down_col[row, col])
        wobble = 1 + 0.35 * outline[window]
        scarp = (along / length_px) ** 2 + (across / (0.6 * length_px)) ** 2 < wobble
        lobe_px = length_px * rng.uniform(1.0, 1.5)
        lobe = ((along - length_px - 0.85 * lobe_px) / lobe_px) ** 2 + (
            across / (0.5 * lobe_px)
        ) ** 2 < wobble
        if taken[window][scarp | lobe].any():
            continue
        placed += 1
        taken[window] |= ndimage.binary_dilation(scarp | lobe, iterations=4)
        truth[window][lobe] = DEPOSIT
        truth[window][scarp] = SCARP
        height[window] -= 7 * ndimage.gaussian_filter(scarp.astype(float), 3)
        height[window] += ndimage.gaussian_filter(lobe.astype(float), 3) * (3 + 1.2 * hummocks[window])
    return height


def slide_axes(window: tuple[slice, slice], row: int, col: int, down_row: float, down_col: float):
    """Pixel coordinates along and across the fall line from (row, col), over a window."""
    rows, cols = np.mgrid[window]
    along = (rows - row) * down_row + (cols - col) * down_col
    across = (cols - col) * down_row - (rows - row) * down_col
    return along, across


def optical_image(rng: np.random.Generator, height: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Four bands of reflectance x 10000: meadow, forest, bare fields on flat ground, slides, shading."""
    slope, down_row, down_col = slope_and_aspect(height)
    meadow, forest = np.array([500, 850, 650, 3200.0]), np.array([300, 480, 350, 2400.0])
    bare, scarp = np.array([1000, 1300, 1650, 2500.0]), np.array([950, 1250, 1600, 2300.0])
    deposit = np.array([720, 980, 1130, 2350.0])
    woody = 1 / (1 + np.exp(-4 * (fractal(rng, 1.6) + 0.02 * (slope - 20))))
    image = meadow[:, None, None] * (1 - woody) + forest[:, None, None] * woody
    fields = (ndimage.gaussian_filter(fractal(rng, 1.5), 3) > 1.0) & (slope < 15)
    for mask, colour in ((fields, bare), (truth == SCARP, scarp), (truth == DEPOSIT, deposit)):
        share = 0.9 * ndimage.gaussian_filter(mask.astype(float), 1.0)
        image = image * (1 - share) + colour[:, None, None] * share
    light = np.clip(0.75 + 0.5 * np.sin(np.radians(slope)) * (0.6 * down_row - 0.6 * down_col), 0.4, 1.3)
    texture = 1 + 0.08 * fractal(rng, 0.6)
    noise = rng.normal(0, 60, image.shape)
    return np.clip(image * light * texture + noise, 1, 10_000)


def write_scene(scene: Scene, folder: Path) -> None:
    """Write the files a user would have."""
    folder.mkdir(parents=True, exist_ok=True)
    fine = from_origin(ORIGIN[0], ORIGIN[1], FINE_M, FINE_M)
    inner = np.s_[MARGIN_PX : ROWS - MARGIN_PX, MARGIN_PX : COLS - MARGIN_PX]
    corner = from_origin(ORIGIN[0] + MARGIN_PX * FINE_M, ORIGIN[1] - MARGIN_PX * FINE_M, FINE_M, FINE_M)
    write_dem(scene.height_m[inner], corner, folder / "dem.tif")
    write_optical(scene.optical, fine, folder / "optical.tif")
    write_truth(scene.truth[inner], corner, folder)


def write_dem(height: np.ndarray, corner: rasterio.Affine, path: Path) -> None:
    """DEM of 10 m by averaging 2 x 2 fine pixels, float32, nodata -9999."""
    rows, cols = height.shape[0] // 2, height.shape[1] // 2
    coarse = height[: rows * 2, : cols * 2].reshape(rows, 2, cols, 2).mean(axis=(1, 3)).astype(np.float32)
    profile = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": 1,
        "dtype": "float32",
        "crs": CRS,
        "transform": corner * rasterio.Affine.scale(2),
        "nodata": -9999,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(coarse, 1)
        target.set_band_description(1, "elevation")


def write_optical(image: np.ndarray, fine: rasterio.Affine, path: Path) -> None:
    """Optical image of 7 m in EPSG:3035, uint16, nodata 0."""
    bounds = array_bounds(ROWS, COLS, fine)
    transform, width, height = calculate_default_transform(
        CRS, "EPSG:3035", COLS, ROWS, *bounds, resolution=7
    )
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 4,
        "dtype": "uint16",
        "crs": "EPSG:3035",
        "transform": transform,
        "nodata": 0,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as target:
        for index, name in enumerate(("blue", "green", "red", "near infrared"), start=1):
            band = np.zeros((height, width), np.float32)
            reproject(
                image[index - 1].astype(np.float32),
                band,
                src_transform=fine,
                src_crs=CRS,
                dst_nodata=0,
                dst_transform=transform,
                dst_crs="EPSG:3035",
                resampling=Resampling.bilinear,
            )
            target.write(band.round().astype(np.uint16), index)
            target.set_band_description(index, name)


def write_truth(truth: np.ndarray, corner: rasterio.Affine, folder: Path) -> None:
    """The truth as a raster and as polygons in EPSG:4326 with the field `class`."""
    profile = {
        "driver": "GTiff",
        "height": truth.shape[0],
        "width": truth.shape[1],
        "count": 1,
        "dtype": "uint8",
        "crs": CRS,
        "transform": corner,
        "compress": "deflate",
    }
    with rasterio.open(folder / "truth.tif", "w", **profile) as target:
        target.write(truth, 1)
    names = {SCARP: "scarp", DEPOSIT: "deposit"}
    found = [
        (shape(geometry), names[int(value)]) for geometry, value in shapes(truth, truth > 0, transform=corner)
    ]
    columns = {"class": [name for _, name in found], "geometry": [outline for outline, _ in found]}
    frame = geopandas.GeoDataFrame(columns, crs=CRS)
    frame = frame[frame.area > 20 * FINE_M**2]
    frame.geometry = frame.geometry.simplify(4)
    write_layer(frame.to_crs("EPSG:4326"), folder / "landslides.gpkg", "landslides")


def main() -> None:
    """Make the scene in the folder named on the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--seed", type=int, default=42)
    chosen = options.parse_args()
    write_scene(make_scene(chosen.seed), chosen.folder)
    print(f"demo scene: {chosen.folder}")


if __name__ == "__main__":
    main()
