"""Tests inside a real QGIS, without a screen; the checkout itself is the plugin's folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / "scripts" / "dev"))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if TYPE_CHECKING:
    from docked import DataDesk, Desk
    from qgis.core import QgsVectorLayer

    from geoseg_plugin.processing.provider import GeoSegProvider


@pytest.fixture
def workspace(qgis_app: Any, qgis_new_project: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty workspace, an empty project, and an interpreter in the place of the engine's."""
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", "/usr/bin/python3")


@pytest.fixture
def desk(workspace: None) -> Iterator[Desk]:
    """A dock with fake runners."""
    from docked import Desk

    made = Desk()
    yield made
    made.close()


@pytest.fixture
def data_desk(workspace: None, tmp_path: Path) -> Iterator[DataDesk]:
    """A dock with fake runners and a map; the project has three bands, a DEM and polygons."""
    from docked import DataDesk

    made = DataDesk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def provider(qgis_app: Any) -> Iterator[GeoSegProvider]:
    """GeoSeg's algorithms, in the Toolbox."""
    from toolbox import release_contexts

    from geoseg_plugin.processing.provider import GeoSegProvider

    registry = qgis_app.processingRegistry()
    added = GeoSegProvider()
    assert registry.addProvider(added)
    yield added
    registry.removeProvider(added)
    release_contexts()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter in the place of the engine's."""
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", sys.executable)


@pytest.fixture
def slides(qgis_new_project: object) -> QgsVectorLayer:
    """Polygons of two kinds, in the project."""
    from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer

    layer = QgsVectorLayer("Polygon?crs=EPSG:32632&field=kind:string(9)", "slides", "memory")
    for kind in ("rock", "soil"):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([kind])
        feature.setGeometry(
            QgsGeometry.fromWkt("Polygon((600000 5099990, 600020 5099990, 600020 5100000, 600000 5099990))")
        )
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer
