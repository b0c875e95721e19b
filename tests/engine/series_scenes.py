"""Time series with known values, in one file or one file a date."""

from pathlib import Path

import numpy as np
from data_scenes import CORNER, UTM, write_raster
from rasterio.crs import CRS
from scipy.io import netcdf_file

DATES = ("2019-01-10", "2019-03-05", "2019-07-01", "2019-08-20", "2020-01-02", "2020-07-15")
ROWS, COLS = 23, 31


def values_of(dates: int = len(DATES), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 9000, (dates, ROWS, COLS)).astype(np.int16)


def write_netcdf(
    path: Path, variables: dict[str, np.ndarray], south_up=False, size=(10.0, 8.0), **attributes
) -> Path:
    """A classic NetCDF file: x, y, time in days since 2019-01-01, variables (time, y, x) in UTM."""
    days = [np.datetime64(date) - np.datetime64("2019-01-01") for date in DATES]
    with netcdf_file(path, "w") as file:
        for name, length in (("time", len(DATES)), ("y", ROWS), ("x", COLS)):
            file.createDimension(name, length)
        time = file.createVariable("time", "d", ("time",))
        time.units, time.calendar = "days since 2019-01-01", "standard"
        time[:] = [day.astype(float) for day in days]
        x, y = file.createVariable("x", "d", ("x",)), file.createVariable("y", "d", ("y",))
        x.standard_name, y.standard_name = "projection_x_coordinate", "projection_y_coordinate"
        x.units = y.units = "m"
        x[:] = CORNER[0] + (np.arange(COLS) + 0.5) * size[0]
        north_up = CORNER[1] - (np.arange(ROWS) + 0.5) * size[1]
        y[:] = north_up[::-1] if south_up else north_up
        crs = file.createVariable("crs", "i", ())
        crs.grid_mapping_name, crs.spatial_ref = "transverse_mercator", CRS.from_user_input(UTM).to_wkt()
        for name, values in variables.items():
            variable = file.createVariable(name, values.dtype.char, ("time", "y", "x"))
            variable.grid_mapping = "crs"
            for key, value in attributes.items() if name != "mask" else ():
                setattr(variable, key, value)
            variable[:] = values[:, ::-1] if south_up else values
    return path


def write_files(folder: Path, values: np.ndarray, dates=DATES) -> tuple[str, ...]:
    """One file a date of two bands: values and, as codes, 1 where they are odd."""
    return tuple(
        str(write_raster(folder / f"S2_{date.replace('-', '')}.tif", np.stack([layer, layer % 2])))
        for date, layer in zip(dates, values, strict=True)
    )
