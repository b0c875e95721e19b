"""What the engine answers to questions, and files as it leaves them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from osgeo import gdal, ogr
from qgis.core import QgsVectorLayer

OFFER = {
    "kind": "series",
    "variables": [{"name": "NDVI", "dates": 3}, {"name": "CLM", "dates": 3}],
    "dates": ["2019-01-01", "2019-07-01", "2019-12-31"],
    "masks": [{"name": "CLM", "values": [0, 1, 255]}],
}
SUMMARY = {
    "bands": [
        {
            "name": "red",
            "valid_share": 0.5,
            "min": 0,
            "max": 100,
            "mean": 40,
            "deviation": 10,
            "percentiles": {"0.5": 1, "2": 2, "25": 25, "50": 50, "75": 75, "98": 98, "99.5": 99},
            "histogram": {"edges": [1, 34, 67, 99], "counts": [5, 10, 1]},
        }
    ]
}


def raster(path: Path, values: np.ndarray, nodata: float | None = None) -> Path:
    kind = gdal.GDT_Byte if values.dtype == np.uint8 else gdal.GDT_Float32
    rows, cols = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, 1, kind)
    dataset.SetGeoTransform((600000, 10, 0, 5100000, 0, -10))
    dataset.SetProjection(QgsVectorLayer("Polygon?crs=EPSG:32632", "", "memory").crs().toWkt())
    dataset.GetRasterBand(1).WriteArray(values)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset.FlushCache()
    return path


def write_findings(path: Path) -> Path:
    """Findings as the engine writes them: of any geometry, with a code and a reason."""
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    crs = ogr.osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    layer = source.CreateLayer("findings", crs, ogr.wkbUnknown)
    for name in ("code", "reason", "severity", "layer"):
        layer.CreateField(ogr.FieldDefn(name, ogr.OFTString))
    shapes = {
        "overlap": "POLYGON((500000 0, 500010 0, 500010 10, 500000 0))",
        "invalid": "POINT(500020 20)",
        "tiny": "POLYGON((500030 0, 500031 0, 500031 1, 500030 0))",
    }
    for code, shape in shapes.items():
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("code", code)
        feature.SetField("reason", f"Because of {code}.")
        feature.SetGeometry(ogr.CreateGeometryFromWkt(shape))
        layer.CreateFeature(feature)
    source = None
    return path


def later(file: Path, than: Path) -> Path:
    """The file, written after another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (0, than.stat().st_mtime + 5))
    return file
