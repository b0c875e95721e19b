"""geoseg:predict, geoseg:cleanclasses and geoseg:polygonize: what their parameters ask of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from toolbox import Feedback, checked, context, raster, record, run

from geoseg_plugin.contract import Area, Cleaning, Outlines
from geoseg_plugin.layers.results import result_kind
from geoseg_plugin.processing.provider import GeoSegProvider


def model_file(tmp_path: Path) -> str:
    (tmp_path / "north").mkdir(exist_ok=True)
    path = tmp_path / "north" / "model.onnx"
    path.touch()
    return str(path)


def test_everything_that_can_be_chosen_reaches_the_job(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"classes": []})
    found = run(
        provider,
        "predict",
        MODEL=model_file(tmp_path),
        AREA=slides,
        TTA="flips",
        DROPOUT_PASSES=5,
        RUNTIME="onnx",
        PRECISION="int8",
        ALLOWED_LOSS=0.01,
        SHARD=" 1/1 ",
        MAJORITY=3,
        FILL_HOLES=9,
        PATCH_CONNECTIVITY="8",
        SIMPLIFY=2.5,
        SMOOTH=1,
        OUTPUT=str(tmp_path / "c.tif"),
        OUTPUT_MARGIN=str(tmp_path / "m.tif"),
        OUTPUT_DISAGREEMENT=str(tmp_path / "d.tif"),
        OUTPUT_BEYOND=str(tmp_path / "b.tif"),
    )
    job = taken[0].job
    assert (job.tta, job.dropout_passes, job.runtime, job.precision) == ("flips", 5, "onnx", "int8")
    assert (job.int8_loss, job.shard) == (0.01, "1/1")
    assert job.cleaning == Cleaning(majority_px=3, fill_holes_px=9, connectivity=8)
    assert job.outlines == Outlines(simplify_m=2.5, smooth=1)
    assert [Path(path).name for path in (job.margin, job.disagreement, job.beyond)] == [
        "m.tif",
        "d.tif",
        "b.tif",
    ]
    assert (job.confidence, job.polygons) == ("", "")
    assert job.area is not None and job.area.kind == "polygons"
    assert QgsVectorLayer(f"{job.area.path}|layername={job.area.layer}", "a", "ogr").featureCount() == 2
    assert found["OUTPUT_BEYOND"] == str(tmp_path / "b.tif")


def test_what_was_asked_for_before_is_asked_for_still(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"classes": []})
    run(provider, "predict", MODEL=model_file(tmp_path), OUTPUT=str(tmp_path / "c.tif"))
    job = taken[0].job
    assert (job.tta, job.area, job.shard, job.cleaning) == ("none", None, "", Cleaning())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"SHARD": "3/2"}, "3/2"),
        ({"MAJORITY": 4}, "odd"),
        ({"RIGHT_ANGLES": True, "SMOOTH": 2}, "Orthogonalize"),
        ({"PRECISION": "int8", "RUNTIME": "torch"}, "int8"),
    ],
)
def test_what_cannot_be_is_said_before_the_start(
    parameters: dict[str, Any],
    said: str,
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
) -> None:
    fixed = {"MODEL": model_file(tmp_path), "OUTPUT": str(tmp_path / "c.tif")}
    assert said in checked(provider, "predict", **fixed, **parameters)


def test_channels_of_a_model_of_another_program(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"classes": []}, {"classes": []})
    layers = [str(raster(tmp_path / f"{name}.tif", 3)) for name in ("optical", "other")]
    fixed = {"MODEL": model_file(tmp_path), "OUTPUT": str(tmp_path / "c.tif"), "LAYERS": layers}
    run(provider, "predict", **fixed, BANDS="other:3,1")
    job = taken[0].job
    assert [(band.source, band.index) for band in job.foreign_bands] == [("r1", 3), ("r1", 1)]
    assert [(source.key, source.name) for source in job.sources] == [("r1", "other")]
    assert "has bands 1 to 3" in checked(provider, "predict", **fixed, BANDS="other:4")
    run(provider, "predict", **fixed, BANDS="other:3; optical:2; other:1")
    found = [(band.source, band.index) for band in taken[1].job.foreign_bands]
    assert found == [("r1", 3), ("r2", 2), ("r1", 1)], "a layer may be named again"


def test_an_unedited_file_is_the_area_itself(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"classes": []}, {"classes": []})
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "parts"
    path = str(tmp_path / "area.gpkg")
    context_ = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(slides, path, context_, options)
    fixed = {"MODEL": model_file(tmp_path), "OUTPUT": str(tmp_path / "c.tif")}
    layer = QgsVectorLayer(f"{path}|layername=parts", "parts", "ogr")
    QgsProject.instance().addMapLayer(layer)
    run(provider, "predict", **fixed, AREA=layer.id())
    assert taken[0].job.area == Area("polygons", path, "parts")
    layer.setSubsetString("kind = 'rock'")
    run(provider, "predict", **fixed, AREA=layer.id())
    assert taken[1].job.area.path != path


def test_a_part_of_an_array_job_puts_nothing_on_the_map(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shard = {"index": 1, "count": 2, "done": 4, "complete": False}
    record(monkeypatch, {"classes": [], "output": "", "shard": shard})
    used, feedback = context(), Feedback()
    parameters = {
        "MODEL": model_file(tmp_path),
        "SHARD": "1/2",
        "OUTPUT": QgsProcessingOutputLayerDefinition(str(tmp_path / "c.tif"), QgsProject.instance()),
    }
    found, fine = provider.algorithm("predict").create().run(parameters, used, feedback, {}, False)
    assert fine and found == {} and used.layersToLoadOnCompletion() == {}
    assert any("other parts" in line for line in feedback.said)


def test_cleaning_is_a_job_of_its_own(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"changed_px": 7, "patches": 2, "classes": []})
    classes, output = str(raster(tmp_path / "classes.tif", 1)), str(tmp_path / "clean.tif")
    found = run(provider, "cleanclasses", INPUT=classes, OPENING=1, BACKGROUND=-1, OUTPUT=output)
    job = taken[0].job
    assert (job.kind, job.classes, job.output, job.background) == ("clean", classes, output, -1)
    run(provider, "cleanclasses", INPUT=classes, OPENING=1, OUTPUT=output)
    assert taken[1].job.background is None, "the engine asks the file's class names"
    assert job.cleaning == Cleaning(opening_px=1, min_patch_px=4)
    assert (found["CHANGED"], found["PATCHES"]) == (7, 2)
    nothing = checked(provider, "cleanclasses", INPUT=classes, LEAST_AREA=0, OUTPUT=output)
    assert "No step of post-processing" in nothing


def test_polygons_have_the_outlines_that_are_asked_for(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch, {"count": 1, "area_m2": 10.0})
    classes, output = str(raster(tmp_path / "classes.tif", 1)), str(tmp_path / "p.gpkg")
    run(provider, "polygonize", INPUT=classes, CONNECTIVITY="8", RIGHT_ANGLES=True, OUTPUT=output)
    assert taken[0].job.outlines == Outlines(connectivity=8, right_angles=True)
    said = checked(provider, "polygonize", INPUT=classes, RIGHT_ANGLES=True, SMOOTH=1, OUTPUT=output)
    assert "Choose one of the two" in said


@pytest.mark.parametrize("name", ["predict", "evaluate", "trainmodel"])
def test_a_run_folder_stands_for_the_model_in_it(
    name: str,
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Path(model_file(tmp_path))
    (tmp_path / "dataset.json").touch()
    more = {"predict": {}, "evaluate": {"DATASET": str(tmp_path)}, "trainmodel": {"DATASET": str(tmp_path)}}[
        name
    ]
    key = "START_FROM" if name == "trainmodel" else "MODEL"
    given = {
        key: str(model.parent),
        **more,
        "OUTPUT": str(tmp_path / ("c.tif" if name == "predict" else "out")),
    }
    definition = provider.algorithm(name).parameterDefinition(key)
    assert definition.checkValueIsAcceptable(str(model.parent)), "the dialog asks the parameter first"
    assert checked(provider, name, **given) == ""
    taken = record(monkeypatch, {"classes": [], "model": "model.onnx", "errors": "errors.tif"})
    run(provider, name, **given)
    assert str(model) in (getattr(taken[0].job, "model", ""), getattr(taken[0].job, "start_from", ""))
    empty = tmp_path / "empty"
    empty.mkdir()
    if key == "MODEL":
        assert "holds no such file" in checked(provider, name, **{**given, key: str(empty)})


def test_results_are_marked_as_such_and_inputs_are_not(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {name: str(raster(tmp_path / f"{name}.tif", 1)) for name in ("classes", "confidence", "terrain")}
    record(monkeypatch, {"classes": [], "output": "classes.tif", "confidence": "confidence.tif"})
    outputs = {"OUTPUT": made["classes"], "OUTPUT_CONFIDENCE": made["confidence"]}
    run(provider, "predict", MODEL=model_file(tmp_path), **outputs)
    run(provider, "terrainattributes", DEM=made["terrain"], ATTRIBUTES=["slope"], OUTPUT=made["terrain"])
    kinds = {name: result_kind(QgsRasterLayer(path, "loaded later")) for name, path in made.items()}
    assert kinds == {"classes": "written", "confidence": "written", "terrain": ""}
