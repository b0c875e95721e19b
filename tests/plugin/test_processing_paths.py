"""Relative paths among the parameters of any algorithm mean the folder one works in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from toolbox import checked, context, raster, record, run

from geoseg_plugin.processing.inputs.wholepaths import INPUTS, with_whole_paths
from geoseg_plugin.processing.provider import ALGORITHMS, GeoSegProvider


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one works in; `in` lies in it."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_relative_layers_models_and_outputs_reach_the_engine_whole(
    provider: GeoSegProvider,
    engine: None,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raster(here / "in" / "a.tif")
    raster(here / "in" / "b.tif")
    (here / "in" / "model.onnx").touch()
    taken = record(monkeypatch, {"classes": []})
    found = run(
        provider,
        "predict",
        MODEL="in/model.onnx",
        LAYERS=["in/a.tif", "in/b.tif"],
        OUTPUT="out/classes.tif",
        OUTPUT_CONFIDENCE=QgsProcessingOutputLayerDefinition("confidence.tif"),
    )
    job = taken[0].job
    assert [source.path for source in job.sources] == [str(here / "in" / name) for name in ("a.tif", "b.tif")]
    assert job.model == str(here / "in" / "model.onnx")
    assert (job.output, job.confidence) == (str(here / "out" / "classes.tif"), str(here / "confidence.tif"))
    assert found["OUTPUT"] == str(here / "out" / "classes.tif")


def test_every_algorithm_gets_whole_paths_of_all_its_files(provider: GeoSegProvider, here: Path) -> None:
    (here / "in" / "a").touch()
    for kind in ALGORITHMS:
        algorithm = provider.algorithm(kind.ID).create()
        named = [
            item.name()
            for item in algorithm.parameterDefinitions()
            if item.isDestination() or item.type() in INPUTS
        ]
        found = with_whole_paths(algorithm, dict.fromkeys(named, "in/a"), context())
        assert named and set(found.values()) == {str(here / "in" / "a")}, kind.ID


def test_a_layer_in_a_file_several_files_and_a_selection(
    provider: GeoSegProvider,
    here: Path,
    slides: QgsVectorLayer,
) -> None:
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(
        slides, str(here / "in" / "l.gpkg"), QgsProject.instance().transformContext(), options
    )
    algorithm = provider.algorithm("maketiles").create()

    def whole(key: str, value: Any) -> Any:
        return with_whole_paths(algorithm, {key: value}, context())[key]

    assert whole("LABELS", "in/l.gpkg|layername=l") == f"{here}/in/l.gpkg|layername=l"
    assert whole("MORE_LABELS", "in/l.gpkg;in/gone.gpkg") == f"{here}/in/l.gpkg;in/gone.gpkg"
    selected = whole("LABELLED_AREA", QgsProcessingFeatureSourceDefinition("in/l.gpkg", True))
    assert selected.source.staticValue() == f"{here}/in/l.gpkg" and selected.selectedFeaturesOnly


def test_names_of_layers_and_what_is_no_file_stay_as_they_are(
    provider: GeoSegProvider,
    engine: None,
    here: Path,
    qgis_new_project: None,
) -> None:
    layer = QgsRasterLayer(str(raster(here / "in" / "other.tif")), "in/a.tif")
    raster(here / "in" / "a.tif")
    QgsProject.instance().addMapLayer(layer)
    algorithm = provider.algorithm("trainmodel").create()
    assert with_whole_paths(provider.algorithm("cleanclasses"), {"INPUT": "in/a.tif"}, context()) == {
        "INPUT": "in/a.tif"
    }
    given = {"WEIGHTS": "imagenet", "OUTPUT": "TEMPORARY_OUTPUT", "EPOCHS": 3, "START_FROM": None}
    assert with_whole_paths(algorithm, given, context()) == given
    assert "no dataset at 'gone'" in checked(provider, "trainmodel", DATASET="gone", OUTPUT="run")
