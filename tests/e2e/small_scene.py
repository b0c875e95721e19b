"""Small scenes with known truth for whole runs: rasters and polygons, a dataset, a map of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, ogr, osr

from geoseg_plugin.contract import Band, Dataset, Grid, LabelClass, Recipe, Source, write_json

EPSG = 32632
SIDE_PX, PIXEL_M = 192, 10.0
LEFT, TOP = 600_000.0, 5_100_000.0
CLASSES = {"ground": (217, 217, 217, 255), "forest": (0, 158, 115, 255), "water": (0, 114, 178, 255)}
"""Names and colours of the map of `make_classes`."""


@dataclass(frozen=True)
class SmallScene:
    """Paths of the scene's files; `labels` has a text field `kind` with `rock` and `soil`."""

    optical: Path
    dem: Path
    labels: Path


def make(folder: Path, seed: int = 3) -> SmallScene:
    """Write the scene: rock is bright in band 1, soil bright in band 2, both on noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    truth = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    shapes = []
    for row in range(16, SIDE_PX, 32):
        for col in range(16, SIDE_PX, 32):
            kind = int(rng.integers(1, 3))
            centre = (row + int(rng.integers(-4, 5)), col + int(rng.integers(-4, 5)))
            radius = int(rng.integers(6, 11))
            truth[(rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 <= radius**2] = kind
            shapes.append((kind, centre, radius))
    bands = rng.normal(200, 40, (2, SIDE_PX, SIDE_PX))
    bands[0] += 250 * (truth == 1)
    bands[1] += 250 * (truth == 2)
    dem = 500 + 0.4 * rows[::2, ::2] + 20 * np.sin(cols[::2, ::2] / 15)
    scene = SmallScene(folder / "optical.tif", folder / "dem.tif", folder / "labels.gpkg")
    _write_raster(scene.optical, bands.clip(0, 65535).astype(np.uint16), PIXEL_M)
    _write_raster(scene.dem, dem[None].astype(np.float32), 2 * PIXEL_M)
    _write_polygons(scene.labels, shapes)
    return scene


def make_dataset(folder: Path) -> Path:
    """Write a dataset: bright squares on noise; left train, middle validation, right test. Returns its folder."""
    folder.mkdir(parents=True)
    rows, cols = 96, 128
    random = np.random.default_rng(0)
    labels = np.kron(random.random((rows // 8, cols // 8)) < 0.3, np.ones((8, 8))).astype(np.uint8)
    image = (random.normal(100, 10, (2, rows, cols)) + 40 * labels).astype(np.float32)
    split = np.broadcast_to(np.digitize(np.arange(cols), (76, 102)), (rows, cols)).astype(np.uint8)
    for name, values in (("image", image), ("labels", labels[None]), ("split", split[None])):
        _write_raster(folder / f"{name}.tif", values, PIXEL_M)
    grid = Grid(f"EPSG:{EPSG}", (PIXEL_M, 0.0, LEFT, 0.0, -PIXEL_M, TOP), cols, rows)
    recipe = Recipe(
        (Source("r1", str(folder / "image.tif"), "image"),), (Band("a", "r1", 1), Band("b", "r1", 2)), grid
    )
    classes = (LabelClass(0, "background", "", "#dddddd"), LabelClass(1, "square", "s", "#cc2200"))
    dataset = Dataset("squares", recipe, "labels.tif", "split.tif", "tiles.gpkg", classes, tile_px=32)
    write_json(folder / "dataset.json", dataset)
    return folder


def make_classes(path: Path) -> Path:
    """Write a map of CLASSES with their names and colours, 120 × 150 pixels: a lake and a forest."""
    values = np.zeros((1, 120, 150), np.uint8)
    values[0, 10:80, 10:70], values[0, 60:110, 90:140] = 1, 2
    _write_raster(path, values, PIXEL_M)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    band, table = dataset.GetRasterBand(1), gdal.ColorTable()
    for number, color in enumerate(CLASSES.values()):
        table.SetColorEntry(number, color)
    band.SetColorTable(table)
    band.SetCategoryNames(list(CLASSES))
    band.SetNoDataValue(255)
    dataset = None
    return path


def _reference() -> osr.SpatialReference:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(EPSG)
    return reference


def _write_raster(path: Path, values: np.ndarray, pixel_m: float) -> None:
    kind = {"uint8": gdal.GDT_Byte, "uint16": gdal.GDT_UInt16, "float32": gdal.GDT_Float32}[values.dtype.name]
    count, rows, cols = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, count, kind)
    dataset.SetGeoTransform((LEFT, pixel_m, 0, TOP, 0, -pixel_m))
    dataset.SetProjection(_reference().ExportToWkt())
    for index in range(count):
        dataset.GetRasterBand(index + 1).WriteArray(values[index])
    dataset.FlushCache()


def _write_polygons(path: Path, shapes: list[tuple[int, tuple[int, int], int]]) -> None:
    path.unlink(missing_ok=True)
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("labels", _reference(), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("kind", ogr.OFTString))
    for kind, (row, col), radius in shapes:
        centre = ogr.Geometry(ogr.wkbPoint)
        centre.AddPoint_2D(LEFT + (col + 0.5) * PIXEL_M, TOP - (row + 0.5) * PIXEL_M)
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("kind", "rock" if kind == 1 else "soil")
        feature.SetGeometry(centre.Buffer(radius * PIXEL_M))
        layer.CreateFeature(feature)
