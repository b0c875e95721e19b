"""A small raster and a small model file without training, for the tests of prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import torch
from torch import nn

from geoseg_engine.contract import Band, Dataset, Grid, LabelClass, Recipe, Source, write_json
from geoseg_engine.modelfile import export
from geoseg_engine.modelfile.calibration import PLAIN, Calibration
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.models import build, traits
from geoseg_engine.raster.grid import Window, affine_of
from geoseg_engine.raster.writer import RasterWriter

CLASSES = (
    LabelClass(0, "background", "", "#dddddd"),
    LabelClass(1, "water", "w", "#0000ff"),
    LabelClass(2, "rock", "r", "#804000"),
)
STATISTICS = Statistics((100.0, 10.0), (20.0, 5.0), (40.0, -10.0), (160.0, 30.0))
BANDS = (Band("red", "r1", 1), Band("height", "r1", 2))


def grid_of(rows: int, cols: int, crs: str = "EPSG:32631", size: float = 10.0) -> Grid:
    """A grid near the middle of a UTM zone."""
    return Grid(crs, (size, 0.0, 500_000.0, 0.0, -size, 5_000_000.0), cols, rows)


def write_raster(path: Path, array: np.ndarray, grid: Grid, nodata: float | None = None) -> Path:
    """Write (bands, rows, cols) or (rows, cols)."""
    array = array if array.ndim == 3 else array[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs=grid.crs,
        transform=affine_of(grid),
        width=grid.width,
        height=grid.height,
        count=len(array),
        dtype=array.dtype,
        nodata=nodata,
    ) as dataset:
        dataset.write(array)
    return path


def write_map(
    path: Path, ids: np.ndarray, grid: Grid | None = None, classes: tuple[LabelClass, ...] = CLASSES
) -> Path:
    """Write a map of classes from ids (rows, cols)."""
    with RasterWriter(path, grid or grid_of(*ids.shape), "uint8", 255, ("class",), classes) as writer:
        writer.write(ids, Window(0, 0, *ids.shape))
    return path


def scene(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Smooth bands (2, rows, cols) in the units of STATISTICS."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    first = 100 + 30 * np.sin(x / 9) * np.cos(y / 11) + random.normal(0, 5, (rows, cols))
    second = 10 + 8 * np.cos((x + y) / 15) + random.normal(0, 1, (rows, cols))
    return np.stack([first, second]).astype(np.float32)


def network(levels: int = 2, width: int = 4, classes: int = 3, bands: int = 2) -> nn.Module:
    """An untrained U-Net whose batch norms are not trivial and whose classes all occur."""
    torch.manual_seed(3)
    net = build(
        {"name": "unet", "bands": bands, "classes": classes, "width": width, "levels": levels, "dropout": 0.1}
    )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    nn.init.normal_(net.head.weight, std=0.7)
    return net.eval()


def write_model(
    path: Path,
    recipe: Recipe,
    levels: int = 2,
    width: int = 4,
    calibration: Calibration = PLAIN,
    **changes: object,
) -> Path:
    """A model file of ours."""
    net = network(levels, width, len(CLASSES), len(recipe.bands))
    facts = traits(net)
    values = {
        "recipe": recipe,
        "classes": CLASSES,
        "statistics": STATISTICS,
        "architecture": {
            "name": "unet",
            "bands": len(recipe.bands),
            "classes": len(CLASSES),
            "width": width,
            "levels": levels,
            "dropout": 0.1,
        },
        "reach_px": facts.reach_px,
        "align_px": facts.align_px,
        "tile_exact": facts.tile_exact,
        "tile_px": 64,
        "metrics": {},
        "unlabelled": "background",
        "warnings": [],
        "trained": {},
        **changes,
    }
    sample = torch.randn(2, len(recipe.bands), 4 * facts.align_px, 6 * facts.align_px)
    export.export(net, STATISTICS, export.own_metadata(values), [sample], path, calibration)
    return path


def write_dataset(folder: Path, recipe: Recipe, labels: np.ndarray, split: np.ndarray) -> Path:
    """A dataset with given label and split rasters."""
    write_raster(folder / "labels.tif", labels, recipe.grid, 255)
    write_raster(folder / "split.tif", split, recipe.grid, 255)
    dataset = Dataset("scene", recipe, "labels.tif", "split.tif", "tiles.gpkg", CLASSES)
    write_json(folder / "dataset.json", dataset)
    return folder / "dataset.json"


def recipe_of(path: Path, grid: Grid) -> Recipe:
    """Both bands of one file."""
    return Recipe((Source("r1", str(path), "image"),), BANDS, grid)
