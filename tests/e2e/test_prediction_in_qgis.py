"""Maps through the plugin's tasks and the real engine: all layers, cleaning, outlines, bands in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_runs import run
from osgeo import gdal
from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProject, QgsVectorLayer

from geoseg_plugin.contract import Cleaning, Outlines, PolygonizeJob, Source
from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.jobs import predict, train
from geoseg_plugin.jobs.inputs import RasterInput
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.layers import publish
from geoseg_plugin.layers.inputs.folder import InputFolder
from geoseg_plugin.layers.inputs.model_inputs import reordered
from geoseg_plugin.processing.algorithms.cleanclasses import CleanClasses
from geoseg_plugin.records.predictions import pace_of, with_facts

CLEANING = Cleaning(majority_px=3, min_patch_px=12)


@pytest.fixture(scope="module")
def model(forest: Path) -> Path:
    """A small forest."""
    return forest / train.MODEL


@pytest.fixture(scope="module")
def network(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small network that has seen mirror images."""
    folder = tmp_path_factory.mktemp("network")
    settings = {
        "width": 4,
        "levels": 2,
        "batch_size": 4,
        "steps_per_epoch": 10,
        "epochs": 2,
        "augment": ("flip",),
    }
    _, _, failed = run(environment, train.train(folder, dataset, device="cpu", **settings))
    assert failed == []
    return folder / train.MODEL


@pytest.fixture(scope="module")
def plain(environment: Environment, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prediction as it is. Returns its folder."""
    folder = tmp_path_factory.mktemp("maps") / "plain"
    _, _, failed = run(environment, predict.predict(folder, model, outputs=()))
    assert failed == []
    return folder


def values(path: Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


def test_a_map_with_everything_comes_as_one_styled_group(
    qgis_new_project: None, environment: Environment, network: Path, tmp_path: Path
) -> None:
    settings = {"tta": "flips", "cleaning": CLEANING, "outlines": Outlines(simplify_m=5, smooth=1)}
    outputs = [*predict.FILES]
    _, done, failed = run(environment, predict.predict(tmp_path / "map", network, (), outputs, **settings))
    assert failed == [] and done[0]["views"] == 4 and done[0]["cleaned"]["changed_px"] > 0
    told = with_facts(tmp_path / "map", done[0])
    group = publish.publish_prediction(tmp_path / "map", told)
    assert [node.name() for node in group.findLayers()] == [
        "Polygons",
        "Beyond training",
        "Classes",
        "Confidence",
        "Margin",
        "Entropy",
        "Disagreement",
        "Class probabilities",
    ]
    assert all(node.layer().isValid() for node in group.findLayers())
    pace = pace_of(tmp_path / "map", network)
    assert pace is not None and pace > 0
    QgsProject.instance().clear()


def test_the_toolbox_cleans_as_prediction_does(
    qgis_new_project: None,
    environment: Environment,
    model: Path,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, _, failed = run(environment, predict.predict(tmp_path / "map", model, outputs=(), cleaning=CLEANING))
    assert failed == []
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(environment.python))
    parameters = {
        "INPUT": str(plain / "classes.tif"),
        "MAJORITY": 3,
        "LEAST_AREA": 12,
        "OUTPUT": str(tmp_path / "cleaned.tif"),
    }
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    algorithm = CleanClasses()
    algorithm.initAlgorithm()
    found, fine = algorithm.run(parameters, context, feedback)
    assert fine and found["CHANGED"] > 0, feedback.textLog()
    assert np.array_equal(values(tmp_path / "cleaned.tif"), values(tmp_path / "map" / "classes.tif"))
    assert (tmp_path / "cleaned.qml").exists()
    context.temporaryLayerStore().removeAllMapLayers()


def test_bands_in_another_order_give_the_same_map(
    environment: Environment, dataset: Path, model: Path, plain: Path, tmp_path: Path
) -> None:
    turned = str(tmp_path / "turned.tif")
    assert gdal.Translate(turned, str(dataset / "image.tif"), bandList=[2, 1]) is not None
    image = RasterInput(turned, "image", ("", ""), (1, 2))
    inputs = InputFolder(tmp_path / "inputs")
    raster = reordered(image, {1: 2, 2: 1}, inputs, "r1")
    for export in inputs.exports:
        export()
    sources = (Source("r1", raster.path, "image"),)
    _, _, failed = run(environment, predict.predict(tmp_path / "map", model, sources, outputs=()))
    assert failed == []
    assert np.array_equal(values(tmp_path / "map" / "classes.tif"), values(plain / "classes.tif"))


def test_polygons_carry_classes_and_areas(environment: Environment, plain: Path) -> None:
    job = PolygonizeJob(str(plain / "classes.tif"), output="polygons.gpkg", outlines=Outlines(connectivity=8))
    _, done, failed = run(environment, Submission(job, plain, ""))
    assert failed == [] and done[0]["count"] > 0
    layer = QgsVectorLayer(f"{plain / 'polygons.gpkg'}|layername=polygons", "p", "ogr")
    names = {field.name() for field in layer.fields()}
    assert {"class_id", "class_name", "score", "area_m2", "perimeter_m"} <= names
