"""The Toolbox without an engine: an algorithm is checked or run, and what it submits is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProject, QgsVectorLayer
from qgis.PyQt import sip

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.processing import base
from geoseg_plugin.processing.provider import GeoSegProvider


class Feedback(QgsProcessingFeedback):
    def __init__(self) -> None:
        super().__init__(False)
        self.said: list[str] = []

    def pushInfo(self, text: str) -> None:
        self.said.append(text)

    def pushWarning(self, text: str) -> None:
        self.said.append(f"warning: {text}")

    def reportError(self, text: str, fatalError: bool = False) -> None:
        self.said.append(f"error: {text}")


def raster(path: Path, bands: int = 2, georeferenced: bool = True) -> Path:
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 8, 8, bands, gdal.GDT_Float32)
    if georeferenced:
        dataset.SetGeoTransform((600000, 10, 0, 5100000, 0, -10))
        dataset.SetProjection(QgsVectorLayer("Polygon?crs=EPSG:32632", "", "memory").crs().toWkt())
    for index in range(bands):
        dataset.GetRasterBand(index + 1).WriteArray(np.arange(64, dtype=np.float32).reshape(8, 8))
    dataset.FlushCache()
    return path


CONTEXTS: list[QgsProcessingContext] = []


def context() -> QgsProcessingContext:
    made = QgsProcessingContext()
    made.setProject(QgsProject.instance())
    CONTEXTS.append(made)
    return made


def release_contexts() -> None:
    """A context in a reference cycle is collected at exit, when layers can no longer be deleted."""
    for made in CONTEXTS:
        if not sip.isdeleted(made):
            made.temporaryLayerStore().removeAllMapLayers()
    CONTEXTS.clear()


def checked(provider: GeoSegProvider, name: str, **parameters: Any) -> str:
    """What the algorithm says before the start; empty if it would start."""
    algorithm = provider.algorithm(name).create()
    valid, message = algorithm.checkParameterValues(parameters, context())
    assert valid is (message == "")
    return str(message)


def run(provider: GeoSegProvider, name: str, **parameters: Any) -> dict[str, Any]:
    algorithm = provider.algorithm(name).create()
    used, feedback = context(), Feedback()
    results, fine = algorithm.run(parameters, used, feedback, {}, False)
    assert fine
    return dict(results)


def record(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[Submission]:
    """Replace the engine: keep what is submitted, give these answers (errors are raised)."""
    taken: list[Submission] = []
    waiting = list(answers)

    def answer(submissions: list[Submission], feedback: Any) -> list[dict[str, Any]]:
        taken.extend(submissions)
        found = waiting.pop(0) if waiting else {}
        if isinstance(found, GeoSegError):
            raise found
        return [found] * len(submissions)

    monkeypatch.setattr(base, "run_with_feedback", answer)
    return taken
