"""Areas, samples, comparisons and sheets in the Toolbox: layers become jobs and files; the engine is a fake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from classmaps import ADJUSTED, AREAS, class_map, sample_points
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from toolbox import checked, record, run

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.layers import publish
from geoseg_plugin.layers.sheet import facts_of
from geoseg_plugin.layers.styles import hide_background
from geoseg_plugin.processing.provider import GeoSegProvider

MEASURED = {**AREAS, "table": "areas.csv", "chart": "areas.svg", "json": "areas.json"}
JUDGED = {
    "errors": "errors.tif",
    "errors_kind": "right_wrong",
    "miou": 0.5,
    "accuracy": 0.75,
    "per_class": [],
}


def test_areas_take_answers_that_are_not_saved(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch, {**MEASURED, **ADJUSTED})
    classes = class_map(tmp_path / "map")
    points = QgsVectorLayer(f"{sample_points(tmp_path / 'sample.gpkg')}|layername=sample", "sample", "ogr")
    QgsProject.instance().addMapLayer(points)
    points.startEditing()
    points.changeAttributeValue(
        next(points.getFeatures()).id(), points.fields().lookupField("reference"), "scarp"
    )
    results = run(
        provider, "classareas", INPUT=str(classes), SAMPLE=points.id(), OUTPUT=str(tmp_path / "areas")
    )
    job = taken[0].job
    assert job.problems() == [] and (job.classes, job.reference_field) == (str(classes), "reference")
    copy = QgsVectorLayer(f"{job.sample}|layername={job.sample_layer}", "copy", "ogr")
    assert "scarp" in [feature["reference"] for feature in copy.getFeatures()]
    assert results["TABLE"] == str(tmp_path / "areas" / "areas.csv") and results["ACCURACY"] == 0.9
    points.rollBack()


def test_a_sample_in_the_folder_of_the_areas_is_not_written_over(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch, {**MEASURED, **ADJUSTED})
    file = sample_points(tmp_path / "sample.gpkg")
    before = file.read_bytes()
    points = QgsVectorLayer(f"{file}|layername=sample", "sample", "ogr")
    QgsProject.instance().addMapLayer(points)
    points.selectByExpression("point_id = 2")
    chosen = QgsProcessingFeatureSourceDefinition(points.id(), selectedFeaturesOnly=True)
    run(provider, "classareas", INPUT=str(class_map(tmp_path)), SAMPLE=chosen, OUTPUT=str(tmp_path))
    assert file.read_bytes() == before
    copy = QgsVectorLayer(f"{taken[0].job.sample}|layername={taken[0].job.sample_layer}", "copy", "ogr")
    assert [feature["point_id"] for feature in copy.getFeatures()] == [2]


def test_areas_without_a_sample(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch, MEASURED)
    results = run(provider, "classareas", INPUT=str(class_map(tmp_path)), OUTPUT=str(tmp_path / "areas"))
    assert taken[0].job.sample == "" and results["TOTAL"] == 200_000.0 and results["ACCURACY"] is None


def test_points_without_the_field_are_refused(
    provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    points = QgsVectorLayer("Point?crs=EPSG:32632&field=seen:string", "points", "memory")
    QgsProject.instance().addMapLayer(points)
    given = {"INPUT": str(class_map(tmp_path)), "SAMPLE": points.id(), "OUTPUT": str(tmp_path / "areas")}
    assert "no field 'reference'" in checked(provider, "classareas", **given)
    assert checked(provider, "classareas", **given, REFERENCE_FIELD="seen") == ""


def test_a_sample_is_designed_and_styled(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    output = sample_points(tmp_path / "points.gpkg")
    taken = record(monkeypatch, {"output": str(output), "count": 4, "standard_error": 0.02, "rows": []})
    given = {
        "INPUT": str(class_map(tmp_path)),
        "OUTPUT": str(output),
        "EXPECTED_BY_CLASS": "scarp=0.6; deposit=0.95",
    }
    results = run(provider, "samplepoints", **given, ALLOCATION="equal", STANDARD_ERROR=0.02, SEED=7)
    job = taken[0].job
    assert job.problems() == [] and job.expected == {"scarp": 0.6, "deposit": 0.95}
    assert (job.count, job.standard_error, job.expected_else, job.allocation, job.seed) == (
        0,
        0.02,
        0.8,
        "equal",
        7,
    )
    assert (results["POINTS"], results["ERROR"]) == (4, 0.02)
    assert (job.max_points, job.min_points) == (500, -1), (
        "no more points than somebody can look at, unless asked for"
    )
    layer = QgsVectorLayer(f"{output}|layername=sample", "sample", "ogr")
    names = layer.editorWidgetSetup(layer.fields().lookupField("reference")).config()["map"]
    assert [next(iter(item)) for item in names] == ["background", "scarp", "deposit", "Another class"]
    assert "is not 'class=share'" in checked(
        provider, "samplepoints", **{**given, "EXPECTED_BY_CLASS": "scarp:2"}
    )


def test_a_second_sample_has_a_name_of_its_own(
    provider: GeoSegProvider, qgis_new_project: None, tmp_path: Path
) -> None:
    file = str(sample_points(tmp_path / "points.gpkg"))
    project = QgsProject.instance()
    project.addMapLayer(QgsVectorLayer(f"{file}|layername=sample", "Reference sample", "ogr"))
    context = QgsProcessingContext()
    context.setProject(project)
    context.addLayerToLoadOnCompletion(file, context.LayerDetails("Sample points", project, "OUTPUT"))
    algorithm = provider.algorithm("samplepoints").create()
    algorithm.points = file
    algorithm.postProcessAlgorithm(context, QgsProcessingFeedback())
    assert context.layersToLoadOnCompletion()[file].name == "Sample 2 (reference)"


def test_any_map_with_any_labels(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch, JUDGED, JUDGED)
    class_map(tmp_path / "eval", "errors.tif")
    classes, output = str(class_map(tmp_path)), str(tmp_path / "eval")
    run(
        provider,
        "evaluate",
        PREDICTION=classes,
        TRUTH=slides.id(),
        CLASS_FIELD="kind",
        AREA=slides.id(),
        OUTPUT=output,
    )
    job = taken[0].job
    assert job.problems() == [] and (job.prediction, job.prediction_layer, job.dataset) == (classes, "", "")
    assert job.truth.class_field == "kind" and job.truth.unlabelled == "unknown"
    assert [item.value for item in job.truth.classes] == ["rock", "soil"]
    assert Path(job.truth.path).is_file() and job.area.kind == "polygons" and Path(job.area.path).is_file()
    layer = QgsRasterLayer(classes, "classes", "gdal")
    QgsProject.instance().addMapLayer(layer)
    run(
        provider,
        "evaluate",
        PREDICTION=slides.id(),
        PREDICTION_FIELD="kind",
        TRUTH=layer.id(),
        UNLABELLED="background",
        OUTPUT=output,
    )
    job = taken[1].job
    assert job.problems() == [] and Path(job.prediction).is_file()
    assert (job.prediction_layer, job.prediction_field) == ("polygons", "kind")
    assert (job.truth.kind, job.truth.path, job.truth.unlabelled) == ("raster", classes, "background")
    assert [item.name for item in job.truth.classes] == ["background", "scarp", "deposit"]


def test_a_comparison_knows_the_model_of_a_map_also_through_cleaning(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    cleaned = {"changed_px": 7, "classes": [{"id": 0, "name": "ground", "color": "#00ff00"}]}
    taken = record(monkeypatch, cleaned, JUDGED)
    model = tmp_path / "run" / "model.onnx"
    model.parent.mkdir()
    model.touch()
    facts = {"Model": str(model), "Inputs": "r1 ← a.tif", "Cleaned": "majority in 3 px"}
    classes, clean = class_map(tmp_path), class_map(tmp_path / "clean")
    publish.style_file(publish.Item(classes, "Classes", hide_background), facts)
    run(provider, "cleanclasses", INPUT=str(classes), FILL_HOLES=9, OUTPUT=str(clean))
    kept = facts_of(QgsRasterLayer(str(clean), "clean", "gdal"))
    assert kept["Cleaned"].startswith("majority in 3 px; ") and "holes below 9 px" in kept["Cleaned"]
    assert (kept["Model"], kept["Class raster"]) == (str(model), str(classes))
    given = {"PREDICTION": str(clean), "TRUTH": slides.id(), "CLASS_FIELD": "kind"}
    class_map(tmp_path / "eval", "errors.tif")
    run(provider, "evaluate", **given, OUTPUT=str(tmp_path / "eval"))
    assert taken[1].job.made_by == str(model)


def test_a_comparison_says_what_is_missing(
    provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    classes, output = str(class_map(tmp_path)), str(tmp_path / "eval")
    assert "either a dataset or labels" in checked(provider, "evaluate", PREDICTION=classes, OUTPUT=output)
    wrong = checked(provider, "evaluate", PREDICTION=slides.id(), TRUTH=classes, OUTPUT=output)
    assert "no field 'class_name'" in wrong and "kind" in wrong


def test_a_sheet_is_written_and_stays_in_the_project(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch, MEASURED)
    layer = QgsRasterLayer(str(class_map(tmp_path)), "Slides", "gdal")
    QgsProject.instance().addMapLayer(layer)
    (tmp_path / "metrics.json").write_text(
        json.dumps({"split": "test", "miou": 0.5, "accuracy": 0.7}), encoding="utf-8"
    )
    files = {"OUTPUT": str(tmp_path / "map.pdf"), "OUTPUT_PICTURE": str(tmp_path / "map.png")}
    results = run(provider, "exportlayout", INPUT=layer.id(), METRICS=str(tmp_path / "metrics.json"), **files)
    assert results == files and all(Path(path).stat().st_size > 10_000 for path in files.values())
    assert taken[0].job.kind == "areas", "areas are measured where none are given"
    assert [item.name() for item in QgsProject.instance().layoutManager().layouts()] == ["Slides"]


def test_a_sheet_of_a_file_leaves_no_layout_behind(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slides: QgsVectorLayer,
) -> None:
    taken = record(monkeypatch)
    (tmp_path / "areas.json").write_text(json.dumps(ADJUSTED), encoding="utf-8")
    given = {"INPUT": str(class_map(tmp_path)), "AREAS": str(tmp_path / "areas.json"), "TITLE": "Slides"}
    run(provider, "exportlayout", **given, OUTPUT=str(tmp_path / "map.pdf"))
    assert taken == [] and (tmp_path / "map.pdf").is_file()
    assert QgsProject.instance().layoutManager().layouts() == []


def test_areas_that_are_no_json(tmp_path: Path) -> None:
    from geoseg_plugin.processing.algorithms.exportlayout import read

    (tmp_path / "areas.json").write_text("{", encoding="utf-8")
    with pytest.raises(GeoSegError, match="no result of GeoSeg"):
        read(tmp_path / "areas.json")
    (tmp_path / "areas.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(GeoSegError, match="no result of GeoSeg"):
        read(tmp_path / "areas.json")
