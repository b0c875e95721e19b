"""A small map of classes with its style and facts, sample points on it, and areas of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer
from qgis.core import QgsVectorFileWriter as Writer

from geoseg_plugin.contract import LabelClass
from geoseg_plugin.layers import publish, styles

CLASSES = (
    LabelClass(0, "background", "", "#d9d9d9"),
    LabelClass(1, "scarp", "scarp", "#d55e00"),
    LabelClass(2, "deposit", "deposit", "#0072b2"),
)
PLAIN = [{"id": item.id, "name": item.name, "value": item.value, "color": item.color} for item in CLASSES]
ROWS = [
    {"id": 0, "name": "background", "color": "#d9d9d9", "pixels": 1400, "share": 0.7, "area_m2": 140_000.0},
    {"id": 1, "name": "scarp", "color": "#d55e00", "pixels": 500, "share": 0.25, "area_m2": 50_000.0},
    {"id": 2, "name": "deposit", "color": "#0072b2", "pixels": 100, "share": 0.05, "area_m2": 10_000.0},
]
AREAS: dict[str, Any] = {"rows": ROWS, "total_m2": 200_000.0, "overall": None, "sample": None, "warnings": []}
ADJUSTED: dict[str, Any] = {
    **AREAS,
    "rows": [
        {
            **row,
            "adjusted_m2": 1.1 * row["area_m2"],
            "low_m2": row["area_m2"],
            "high_m2": 1.2 * row["area_m2"],
        }
        for row in ROWS
    ],
    "overall": {"accuracy": 0.9, "low": 0.85, "high": 0.95},
    "sample": {"points": 100, "used": 96, "left_out": 4},
    "confidence_level": 0.95,
}


def class_map(folder: Path, name: str = "classes.tif") -> Path:
    """40 × 50 pixels of 10 m with three classes; style and facts lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    values = np.zeros((40, 50), np.uint8)
    values[5:20, 5:30], values[30:35, 10:30] = 1, 2
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 50, 40, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform((600000, 10, 0, 5100000, 0, -10))
    dataset.SetProjection(QgsVectorLayer("Point?crs=EPSG:32632", "", "memory").crs().toWkt())
    dataset.GetRasterBand(1).WriteArray(values)
    dataset = None
    notes = {
        "Model": "/runs/20260101-0900-slides/model.onnx",
        "Made at": "2026-01-02T10:00:00",
        "Inputs": "r1 ← a.tif",
    }
    publish.style_file(
        publish.Item(path, "Classes", lambda layer: styles.style_classes(layer, CLASSES)), notes
    )
    return path


def sample_points(path: Path, layer: str = "sample", count: int = 4) -> Path:
    """Points as the engine lays them out, none of them looked at."""
    fields = "field=point_id:integer&field=class_id:integer&field=class_name:string&field=reference:string"
    points = QgsVectorLayer(f"Point?crs=EPSG:32632&{fields}", "points", "memory")
    for number in range(count):
        feature = QgsFeature(points.fields())
        feature.setAttributes([number + 1, number % 3, CLASSES[number % 3].name, None])
        feature.setGeometry(QgsGeometry.fromWkt(f"Point({600055 + 40 * number} 5099805)"))
        points.dataProvider().addFeatures([feature])
    path.parent.mkdir(parents=True, exist_ok=True)
    options = Writer.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", layer
    context = QgsProject.instance().transformContext()
    assert Writer.writeAsVectorFormatV3(points, str(path), context, options)[0] == Writer.WriterError.NoError
    return path
