"""GPS points of a CSV file in QGIS, through the Toolbox and the real engine, to pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingFeatureSourceDefinition, QgsProject, QgsVectorLayer
from small_scene import LEFT, PIXEL_M, TOP, make
from toolbox import release_contexts, run

from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.processing.provider import GeoSegProvider


@pytest.fixture
def provider(qgis_app: Any, monkeypatch: pytest.MonkeyPatch, environment: Environment) -> Any:
    """GeoSeg's algorithms, in the Toolbox."""
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(environment.python))
    added = GeoSegProvider()
    qgis_app.processingRegistry().addProvider(added)
    yield added
    release_contexts()
    qgis_app.processingRegistry().removeProvider(added)


def test_points_of_a_csv_file_become_discs(
    provider: GeoSegProvider, qgis_new_project: None, tmp_path: Path
) -> None:
    scene = make(tmp_path)
    places = [(20.5, 30.5, "rock"), (60.5, 90.5, "soil"), (120.5, 40.5, "rock"), (150.5, 150.5, "soil")]
    lines = [f"{LEFT + PIXEL_M * col},{TOP - PIXEL_M * row},{kind}" for row, col, kind in places]
    table = tmp_path / "gps.csv"
    table.write_text("\n".join(["x,y,kind", *lines]), encoding="utf-8")
    layer = QgsVectorLayer(
        f"{table.as_uri()}?type=csv&xField=x&yField=y&crs=EPSG:32632", "gps", "delimitedtext"
    )
    QgsProject.instance().addMapLayer(layer)
    layer.selectByIds([item.id() for item in layer.getFeatures() if item["x"] < LEFT + 1400])
    run(
        provider,
        "rasterizelabels",
        STACK=str(scene.optical),
        LABELS=QgsProcessingFeatureSourceDefinition(layer.id(), True),
        CLASS_FIELD="kind",
        AREA="rasters",
        POINT_RADIUS=30,
        SIZE_UNIT="m",
        OUTPUT=str(tmp_path / "burnt.tif"),
    )
    ids = gdal.Open(str(tmp_path / "burnt.tif")).ReadAsArray()
    rows, cols = np.mgrid[: ids.shape[0], : ids.shape[1]] + 0.5
    expected = np.full(ids.shape, 255)
    for row, col, kind in places[:3]:
        expected[np.hypot(rows - row, cols - col) <= 3.001] = {"rock": 0, "soil": 1}[kind]
    np.testing.assert_array_equal(ids, expected)
