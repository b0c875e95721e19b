"""Median of a time series beside xarray with dask.

The peer runs in an environment of its own, build/bench-series, which is made if it is not there (xarray, dask,
netCDF4): a second netCDF library has no place in the engine's. Where it is not there and the script is only tried out,
the series is written unpacked, by the engine's SciPy.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from measuring import ENGINE_ENV, ENGINE_PYTHON, NotMeasured, Peer, Row, compared, timed

SIDE_PX, SMALL_PX, DATES, VARIABLES, CHUNK_PX = 2_000, 120, 68, 4, 500
XARRAY = Peer("series", ("xarray", "dask", "netCDF4", "pyproj"), ("xarray", "dask", "netCDF4", "pyproj"))

MAKE = """
import sys, numpy as np, pyproj
try:
    from netCDF4 import Dataset
except ImportError:
    from scipy.io import netcdf_file as Dataset
packed = Dataset.__module__.startswith("netCDF4")
path, side, dates, variables, chunk = sys.argv[1], *map(int, sys.argv[2:])
random = np.random.default_rng(0)
with Dataset(path, "w") as file:
    for name, length in (("time", dates), ("y", side), ("x", side)):
        file.createDimension(name, length)
    time = file.createVariable("time", "f8", ("time",))
    time.units, time.calendar = "days since 2015-01-01", "standard"
    time[:] = np.sort(random.choice(900, dates, replace=False))
    for name, first, step in (("x", 600005, 10), ("y", 5199995, -10)):
        axis = file.createVariable(name, "f8", (name,))
        axis.standard_name, axis.units = f"projection_{name}_coordinate", "m"
        axis[:] = first + step * np.arange(side)
    crs = file.createVariable("crs", "i4", ())
    crs.grid_mapping_name, crs.spatial_ref = "transverse_mercator", pyproj.CRS(32632).to_wkt("WKT1_GDAL")
    rows, cols = np.mgrid[0:side, 0:side]
    for number in range(1, variables + 1):
        packing = dict(zlib=True, complevel=1, shuffle=True, chunksizes=(1, min(chunk, side), min(chunk, side)),
                       fill_value=-32768) if packed else {}
        variable = file.createVariable(f"B{number}", "i2", ("time", "y", "x"), **packing)
        variable.scale_factor, variable.add_offset, variable.grid_mapping = 1e-4, 0.0, "crs"
        if packed:
            variable.set_auto_maskandscale(False)
        else:
            variable._FillValue = np.int16(-32768)
        ground = (3000 + 1500 * np.sin(rows / 90 + cols / 70)).astype("i2")
        for date in range(dates):
            seen = ground + random.integers(-300, 300, ground.shape, dtype="i2")
            clouds = random.random((side // 25 + 1, side // 25 + 1)) < 0.3
            seen[np.kron(clouds, np.ones((25, 25), bool))[:side, :side]] = -32768
            variable[date] = seen
"""

PEER = """
import sys, numpy as np, xarray
chunk = int(sys.argv[3])
data = xarray.open_dataset(sys.argv[1], chunks={"time": -1, "y": chunk, "x": chunk})
found = data[[name for name in data.data_vars if name != "crs"]].median("time").compute()
np.save(sys.argv[2], np.stack([found[name].values for name in sorted(found.data_vars)]))
"""

OURS = """
import sys, numpy as np
from geoseg_engine.bands.sources.registry import own_grid
from geoseg_engine.contract import Band, Recipe, Series, Source
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.stacking.reader import StackReader
names = tuple(f"B{number}" for number in range(1, int(sys.argv[3]) + 1))
source = Source("s", sys.argv[1], kind="series", series=Series(names))
bands = tuple(Band(name, "s", index, "median") for index, name in enumerate(names, 1))
grid = own_grid(source, bands)
found = np.empty((len(bands), grid.height, grid.width), np.float32)
with StackReader(Recipe((source,), bands, grid)) as reader:
    for window in windows(grid, 1024):
        rows, cols = window.within(full_window(grid))
        found[:, rows, cols] = reader.read(window)
np.save(sys.argv[2], found)
"""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Make the series, take the median by both ways, compare the values.

    Raises:
        NotMeasured: where the peer cannot be had.
    """
    side = SMALL_PX if small else SIDE_PX
    try:
        writer = XARRAY.python(install=not small)
    except NotMeasured:
        if not small:
            raise
        writer = ENGINE_PYTHON
    file, mine, theirs = (str(folder / name) for name in ("series.nc", "ours.npy", "peer.npy"))
    sizes = [str(number) for number in (side, DATES, VARIABLES, CHUNK_PX)]
    subprocess.run([writer, "-c", MAKE, file, *sizes], check=True)
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: timed([[ENGINE_PYTHON, "-c", OURS, file, mine, str(VARIABLES)]], ENGINE_ENV),
        lambda: timed([[XARRAY.python(install=not small), "-c", PEER, file, theirs, str(CHUNK_PX)]]),
        repeat,
    )
    off = float(np.nanmax(np.abs(np.load(mine) - np.load(theirs))))
    same_gaps = bool((np.isnan(np.load(mine)) == np.isnan(np.load(theirs))).all())
    return Row(
        f"time-series median, {DATES} dates × {VARIABLES} bands × {side}²",
        "xarray + dask, chunks along time whole",
        ours_s,
        beside_s,
        ratio,
        0.7,
        peak_mb,
        1000,
        f"values differ by {off:.1e} at most",
        same_gaps and off < 1e-6,
    )
