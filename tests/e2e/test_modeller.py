"""A model of the graphical modeller: stack, tiles, train, predict, with only rasters and polygons given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_scene
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterVectorLayer,
    QgsProject,
    QgsRasterLayer,
)

from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.processing.provider import GeoSegProvider

QUICK = {"EPOCHS": 3, "STEPS_PER_EPOCH": 6, "BATCH_SIZE": 4, "WIDTH": 8, "LEVELS": 2, "DEVICE": "cpu"}


@pytest.fixture
def provider(
    qgis_app: QgsApplication, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GeoSegProvider]:
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(environment.python))
    registry = QgsApplication.processingRegistry()
    added = GeoSegProvider()
    assert registry.addProvider(added)
    yield added
    registry.removeProvider(added)


class Feedback(QgsProcessingFeedback):
    def __init__(self) -> None:
        super().__init__(False)
        self.errors: list[str] = []

    def reportError(self, text: str, fatalError: bool = False) -> None:
        self.errors.append(text)


def given(name: str) -> list[QgsProcessingModelChildParameterSource]:
    return [QgsProcessingModelChildParameterSource.fromModelParameter(name)]


def made_by(child: str, output: str) -> list[QgsProcessingModelChildParameterSource]:
    return [QgsProcessingModelChildParameterSource.fromChildOutput(child, output)]


def fixed(value: Any) -> list[QgsProcessingModelChildParameterSource]:
    return [QgsProcessingModelChildParameterSource.fromStaticValue(value)]


def child(
    name: str, sources: dict[str, Any], outputs: dict[str, str] | None = None
) -> QgsProcessingModelChildAlgorithm:
    """A step `name` of the algorithm geoseg:`name`; `outputs` are the model's: title -> output."""
    step = QgsProcessingModelChildAlgorithm(f"geoseg:{name}")
    step.setChildId(name)
    step.setDescription(name)
    for key, source in sources.items():
        step.addParameterSources(key, source)
    shown = {}
    for title, output in (outputs or {}).items():
        found = QgsProcessingModelOutput(title, title)
        found.setChildId(name)
        found.setChildOutputName(output)
        shown[title] = found
    step.setModelOutputs(shown)
    return step


def chain() -> QgsProcessingModelAlgorithm:
    model = QgsProcessingModelAlgorithm("chain", "tests")
    inputs = (
        QgsProcessingParameterMultipleLayers("rasters", "Rasters", Qgis.ProcessingSourceType.Raster),
        QgsProcessingParameterVectorLayer("polygons", "Polygons", [Qgis.ProcessingSourceType.VectorPolygon]),
    )
    for definition in inputs:
        model.addModelParameter(definition, QgsProcessingModelParameter(definition.name()))
    model.addChildAlgorithm(child("stackrasters", {"LAYERS": given("rasters")}))
    tiles = {
        "STACK": made_by("stackrasters", "OUTPUT"),
        "LABELS": given("polygons"),
        "CLASS_FIELD": fixed("kind"),
        "UNLABELLED": fixed("background"),
        "AREA": fixed("bounds"),
        "TILE_SIZE": fixed(32),
    }
    model.addChildAlgorithm(child("maketiles", tiles))
    settings = {key: fixed(value) for key, value in QUICK.items()}
    training = {"DATASET": made_by("maketiles", "DATASET"), **settings}
    model.addChildAlgorithm(child("trainmodel", training, {"network": "OUTPUT"}))
    use = {"MODEL": made_by("trainmodel", "MODEL"), "LAYERS": given("rasters")}
    model.addChildAlgorithm(child("predict", use, {"map": "OUTPUT", "confidence": "OUTPUT_CONFIDENCE"}))
    model.updateDestinationParameters()
    return model


def test_chain_from_stack_to_map(provider: GeoSegProvider, tmp_path: Path, qgis_new_project: object) -> None:
    scene = small_scene.make(tmp_path / "scene")
    model = chain()
    assert model.validate()[0], model.validate()
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    parameters = {
        "rasters": [str(scene.optical), str(scene.dem)],
        "polygons": str(scene.labels),
        "trainmodel:network": str(tmp_path / "run"),
        "predict:map": str(tmp_path / "classes.tif"),
        "predict:confidence": str(tmp_path / "confidence.tif"),
    }
    feedback = Feedback()
    results, fine = model.run(parameters, context, feedback, {}, False)
    assert fine and feedback.errors == []
    assert (tmp_path / "run" / "model.onnx").exists()
    assert str(tmp_path / "classes.tif") in results.values(), results
    truth = gdal.Open(str(scene.optical))
    found = gdal.Open(str(tmp_path / "classes.tif"))
    assert (found.RasterXSize, found.RasterYSize) == (truth.RasterXSize, truth.RasterYSize)
    assert gdal.Open(str(tmp_path / "confidence.tif")).RasterCount == 1
    layer = QgsRasterLayer(str(tmp_path / "classes.tif"), "map")
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    assert [item.label for item in layer.renderer().classes()] == ["background", "rock", "soil"]


def test_the_modeller_offers_files_of_one_step_to_the_next(provider: GeoSegProvider) -> None:
    model = chain()
    kinds = {
        item.outputName(): item
        for item in model.availableSourcesForChild("trainmodel", ["file"], ["outputFile", "outputFolder"])
        if item.outputChildId() == "maketiles"
    }
    assert {"DATASET", "OUTPUT"} <= set(kinds)
    offered = model.availableSourcesForChild("predict", ["file"], ["outputFile", "outputFolder"])
    names = {(item.outputChildId(), item.outputName()) for item in offered}
    assert {("trainmodel", "MODEL"), ("trainmodel", "OUTPUT")} <= names, "and predict takes both"


def test_findings_and_chips_have_their_place_in_a_model(provider: GeoSegProvider) -> None:
    model = chain()
    checks = {"LAYERS": given("rasters"), "LABELS": given("polygons")}
    model.addChildAlgorithm(child("checklabels", checks))
    chips = {"DATASET": made_by("maketiles", "DATASET"), "LAYOUT": fixed("pairs")}
    model.addChildAlgorithm(child("exportchips", chips, {"chips": "OUTPUT"}))
    model.updateDestinationParameters()
    assert model.validate()[0], model.validate()
    offered = model.availableSourcesForChild("exportchips", ["source", "vector"], ["outputVector"])
    assert ("checklabels", "OUTPUT") in {(item.outputChildId(), item.outputName()) for item in offered}


def test_a_model_keeps_expressions_and_settings_of_bands(
    provider: GeoSegProvider, tmp_path: Path, qgis_new_project: object
) -> None:
    scene = small_scene.make(tmp_path / "scene")
    model = QgsProcessingModelAlgorithm("bands", "tests")
    rasters = QgsProcessingParameterMultipleLayers("rasters", "Rasters", Qgis.ProcessingSourceType.Raster)
    model.addModelParameter(rasters, QgsProcessingModelParameter("rasters"))
    settings = {
        "LAYERS": given("rasters"),
        "EXPRESSIONS": fixed('ratio = "optical@1" / "optical@2"'),
        "BAND_SETTINGS": fixed(["ratio", "", "0", "robust", "1", "99", "optical*", "cubic", "", "", "", ""]),
    }
    model.addChildAlgorithm(child("stackrasters", settings, {"stack": "OUTPUT"}))
    model.updateDestinationParameters()
    stored = tmp_path / "bands.model3"
    assert model.toFile(str(stored))
    again = QgsProcessingModelAlgorithm()
    assert again.fromFile(str(stored))
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    feedback = Feedback()
    parameters = {"rasters": [str(scene.optical)], "stackrasters:stack": str(tmp_path / "stack.tif")}
    _, fine = again.run(parameters, context, feedback, {}, False)
    assert fine and feedback.errors == []
    recipe = json.loads((tmp_path / "stack.recipe.json").read_text(encoding="utf-8"))
    bands = {band["name"]: band for band in recipe["bands"]}
    assert (bands["ratio"]["scaling"], bands["ratio"]["clip_percent"]) == ("robust", [1, 99])
    assert bands["ratio"]["fill"] == "0" and bands["optical: band 1"]["resampling"] == "cubic"
