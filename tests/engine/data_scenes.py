"""Small rasters and polygons with known truth, for the tests of the data path."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine, from_origin
from scipy.io import netcdf_file

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, Grid, Source, StackJob

UTM = "EPSG:32632"
CORNER = (600_000.0, 5_200_000.0)


def write_raster(
    path: Path,
    values: np.ndarray,
    pixel: float | tuple[float, float] = 10.0,
    corner: tuple[float, float] = CORNER,
    crs: str | None = UTM,
    nodata: float | None = None,
    transform: Affine | None = None,
    **options,
) -> Path:
    """Write (rows, cols) or (bands, rows, cols) as GeoTIFF."""
    values = values if values.ndim == 3 else values[None]
    size = pixel if isinstance(pixel, tuple) else (pixel, pixel)
    profile = {
        "driver": "GTiff",
        "width": values.shape[2],
        "height": values.shape[1],
        "count": values.shape[0],
        "dtype": values.dtype.name,
        "crs": crs,
        "nodata": nodata,
        "transform": transform or from_origin(*corner, *size),
        **options,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
    return path


AXES = {
    "degrees": (
        ("lon", {"standard_name": "longitude", "units": "degrees_east"}),
        ("lat", {"standard_name": "latitude", "units": "degrees_north"}),
    ),
    "rotated": (
        ("rlon", {"standard_name": "grid_longitude", "units": "degrees", "axis": "X"}),
        ("rlat", {"standard_name": "grid_latitude", "units": "degrees", "axis": "Y"}),
    ),
    "metres": (
        ("x", {"standard_name": "projection_x_coordinate", "units": "m"}),
        ("y", {"standard_name": "projection_y_coordinate", "units": "m"}),
    ),
}
"""Columns and rows of a NetCDF file: name and attributes of each coordinate."""


def write_cf(
    path: Path,
    values: np.ndarray,
    corner: tuple[float, float],
    step: float,
    axes: str = "degrees",
    mappings: dict[str, dict] | None = None,
    unit: str = "",
    **attributes,
) -> Path:
    """Write (rows, cols) as the variable `v` of a classic NetCDF file; its grid mapping is the first of `mappings`."""
    with netcdf_file(path, "w") as file:
        for (name, own), length, sign, start in zip(
            AXES[axes], values.shape[::-1], (1, -1), corner, strict=True
        ):
            file.createDimension(name, length)
            coordinate = file.createVariable(name, "d", (name,))
            coordinate[:] = start + sign * step * (np.arange(length) + 0.5)
            for key, value in {**own, **({"units": unit} if unit else {})}.items():
                setattr(coordinate, key, value)
        for name, own in (mappings or {}).items():
            mapping = file.createVariable(name, "i", ())
            for key, value in own.items():
                setattr(mapping, key, np.float64(value) if isinstance(value, float) else value)
        variable = file.createVariable("v", values.dtype.char, tuple(name for name, _ in AXES[axes][::-1]))
        variable[:] = values
        for key, value in {
            **attributes,
            **({"grid_mapping": next(iter(mappings))} if mappings else {}),
        }.items():
            setattr(variable, key, value)
    return path


def hills(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """A smooth surface of a few hundred metres with detail, float32."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:cols].astype(float)
    waves = [
        (rng.uniform(5, 60), rng.uniform(0, 0.25), rng.uniform(0, 0.25), rng.uniform(0, 6)) for _ in range(8)
    ]
    return sum((a * np.sin(u * x + v * y + p) for a, u, v, p in waves), np.full((rows, cols), 800.0)).astype(
        np.float32
    )


def sources_of(*paths: Path) -> tuple[Source, ...]:
    """Sources r1, r2, … named after their files."""
    return tuple(Source(f"r{number}", str(path), path.stem) for number, path in enumerate(paths, 1))


def one_band_each(sources: tuple[Source, ...], resampling: str = "bilinear") -> tuple[Band, ...]:
    """The first band of every source."""
    return tuple(Band(source.name, source.key, 1, resampling=resampling) for source in sources)


def stack_of(*paths: Path, **more) -> StackJob:
    """A job that stacks the first band of every file."""
    return StackJob(sources_of(*paths), one_band_each(sources_of(*paths)), **more)


def utm_grid(width: int, height: int, pixel: float = 10.0, corner: tuple[float, float] = CORNER) -> Grid:
    """A north-up grid in UTM."""
    return Grid(UTM, (pixel, 0.0, corner[0], 0.0, -pixel, corner[1]), width, height)


def write_polygons(path: Path, shapes: list, crs: str = UTM, **fields) -> Path:
    """Write polygons with fields as GeoPackage."""
    geopandas.GeoDataFrame(fields or {"n": range(len(shapes))}, geometry=shapes, crs=crs).to_file(path)
    return path


def pixel_box(row: int, col: int, height: int, width: int, pixel: float = 10.0):
    """The ground of pixels of the UTM scenes as a box."""
    x, y = CORNER[0] + col * pixel, CORNER[1] - row * pixel
    return shapely.box(x, y - height * pixel, x + width * pixel, y)


def channel(folder: Path) -> Channel:
    """A channel that only records."""
    return Channel(folder)
