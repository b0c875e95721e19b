"""The panel with the real engine: a sample laid out, answered and used, labels beside a map, a sheet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QEventLoop, QTimer

from geoseg_plugin import paths
from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.layers import publish
from geoseg_plugin.panel.assembly import GeoSegPanel

TIMEOUT_S = 120


def wait_until(done: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    loop, timer = QEventLoop(), QTimer()
    deadline = time.monotonic() + TIMEOUT_S
    timer.timeout.connect(lambda: loop.quit() if done() or time.monotonic() > deadline else None)
    timer.start(50)
    loop.exec()
    timer.stop()
    assert done()


def labels() -> QgsVectorLayer:
    """One polygon inside the lake of the map, and one on its ground that calls it forest."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=class:string", "labels", "memory")
    for name, (left, top) in {"water": (601000, 5099300), "forest": (600100, 5099100)}.items():
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name])
        x, y = left + 200, top - 200
        box = f"Polygon(({left} {top}, {x} {top}, {x} {y}, {left} {y}, {left} {top}))"
        feature.setGeometry(QgsGeometry.fromWkt(box))
        layer.dataProvider().addFeatures([feature])
    return QgsProject.instance().addMapLayer(layer)


def test_a_map_is_measured_judged_and_drawn(
    qgis_app: Any,
    qgis_new_project: None,
    environment: Environment,
    classes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv(
        "GEOSEG_ENGINE_PYTHON", os.environ.get("GEOSEG_ENGINE_PYTHON", str(environment.python))
    )
    QgsProject.instance().addMapLayer(QgsRasterLayer(str(classes), "land", "gdal"))
    panel = GeoSegPanel(paths.guide(), None)
    services = panel.services
    part = panel.pages.results.map

    def idle() -> bool:
        return not services.jobs.busy and not services.result_queue.busy

    try:
        assert part.path() == str(classes)
        part.points.setValue(60)
        part.sample_button.click()
        wait_until(idle)
        points = part.sample.currentLayer()
        assert points.featureCount() == 60 and points.startEditing()
        answer, said = (points.fields().lookupField(name) for name in ("reference", "class_name"))
        for point in list(points.getFeatures()):
            points.changeAttributeValue(point.id(), answer, point[said])
        part.use_button.click()
        wait_until(idle)
        assert "60 points" in part.note.text() and part.table.rowCount() == 3
        part.labels.setLayer(labels())
        part.compare_button.click()
        wait_until(idle)
        assert "accuracy 0.500" in part.fit.text(), "half of what was drawn is not so on the map"
        group = publish.group_of(panel.results.maps.place())
        assert {"Errors", "Reference sample"} <= {node.name() for node in group.findLayers()}
        panel.results.maps.write_sheet(tmp_path / "land.pdf")
        wait_until(idle)
        assert (tmp_path / "land.pdf").read_bytes().startswith(b"%PDF")
        points.rollBack()
    finally:
        panel.close()
