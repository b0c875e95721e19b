"""geoseg:mapfromlayers in the Toolbox: defaults are those of the job, all else is folded; the engine is a fake."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis, QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from toolbox import checked, raster, record, run

from geoseg_plugin.contract import FAST_MODEL, Area, Job, MapJob, encode
from geoseg_plugin.processing.algorithms.mapfromlayers import IN_SIGHT
from geoseg_plugin.processing.provider import GeoSegProvider

CLASSES = [{"id": 0, "name": "rock", "value": "rock", "color": "#ff0000"}]


@pytest.fixture
def layers(tmp_path: Path, provider: GeoSegProvider) -> dict[str, Any]:
    """A raster and a layer of polygons with a field `kind`."""
    labels = QgsVectorLayer("Polygon?crs=EPSG:32632&field=kind:string", "labels", "memory")
    feature = QgsFeature(labels.fields())
    feature.setGeometry(
        QgsGeometry.fromWkt("POLYGON((600010 5099990, 600040 5099990, 600040 5099960, 600010 5099990))")
    )
    feature["kind"] = "rock"
    labels.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(labels)
    return {"LAYERS": [str(raster(tmp_path / "a.tif"))], "LABELS": labels, "OUTPUT": str(tmp_path / "map")}


def result(folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    raster(folder / "classes.tif", bands=1)
    return {
        "output": str(folder / "classes.tif"),
        "classes": CLASSES,
        "miou": 0.7,
        "report": str(folder / "evaluation" / "report.html"),
        "model": str(folder / "model" / "model.onnx"),
        "score_sentence": "IoU 0.70, +0.04 on the same test areas.",
        "sentence": "Done again: Labels. Kept: Stack.",
    }


def test_the_defaults_are_those_of_the_job(
    provider: GeoSegProvider, engine: None, layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(layers["OUTPUT"])
    taken = record(monkeypatch, result(folder))
    found = run(provider, "mapfromlayers", **layers, CLASS_FIELD="kind")
    job = taken[0].job
    assert isinstance(job, MapJob)
    assert job.problems() == []
    plain = MapJob(job.sources, job.labels, "kind", job.bands, grid=job.grid)
    differ = [
        item.name for item in dataclasses.fields(job) if getattr(job, item.name) != getattr(plain, item.name)
    ]
    assert differ == [], {name: (encode(getattr(job, name)), encode(getattr(plain, name))) for name in differ}
    assert (job.labels.class_field, job.labels.unlabelled, job.area.kind) == (
        "kind",
        "auto",
        "concave_hull",
    )
    assert taken[0].folder == folder
    assert (found["MIOU"], found["MAP"]) == (0.7, str(folder / "classes.tif"))


def test_a_run_with_defaults_is_one_dialog(provider: GeoSegProvider) -> None:
    advanced = Qgis.ProcessingParameterFlag.Advanced
    definitions = provider.algorithm("mapfromlayers").parameterDefinitions()
    assert [item.name() for item in definitions if not item.flags() & advanced] == list(IN_SIGHT)
    required = [
        item.name() for item in definitions if not item.flags() & Qgis.ProcessingParameterFlag.Optional
    ]
    open_ones = [item for item in definitions if item.name() in required and item.defaultValue() is None]
    assert {item.name() for item in open_ones} <= {"LAYERS", "OUTPUT"}
    assert provider.algorithm("mapfromlayers").parameterDefinition("MODEL").defaultValue() == FAST_MODEL


def test_settings_of_every_stage_become_fields(
    provider: GeoSegProvider, engine: None, layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, result(Path(layers["OUTPUT"])))
    given: dict[str, Any] = {
        "MODEL": "unet",
        "MAX_MINUTES": 3,
        "FINAL_MODEL": "all",
        "NEW_SPLIT": True,
        "AREA": "rasters",
        "MIN_AREA": 5,
        "SPLIT_BLOCK_SIZE": 96,
        "BASELINE_TREES": 30,
        "NETWORK_WIDTH": 8,
        "NETWORK_PRESET": "quick",
        "MAP_MIN_AREA": 9,
        "MAP_MAJORITY": 3,
        "MAP_SMOOTH": 2,
        "RASTERS_TO_WRITE": ["entropy", "margin"],
    }
    run(provider, "mapfromlayers", **layers, **given)
    job: Any = taken[0].job
    assert (job.model, job.minutes, job.final_model, job.new_split) == ("unet", 3, "all", True)
    assert job.area == Area("rasters")
    assert (job.labels.min_area_px, job.prediction.min_area_px) == (5, 9)
    assert (job.split.block_px, job.baseline.trees, job.network.width) == (96, 30, 8)
    assert job.network.preset == "quick"
    assert (job.prediction.cleaning.majority_px, job.prediction.outlines.smooth) == (3, 2)
    assert (job.prediction.entropy, job.prediction.margin, job.prediction.confidence) == (
        "entropy.tif",
        "margin.tif",
        "",
    )


def test_layers_that_are_open_are_read_again_and_not_added_twice(
    provider: GeoSegProvider, engine: None, layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(layers["OUTPUT"])
    record(monkeypatch, result(folder))
    layer = QgsRasterLayer(str(folder / "classes.tif"), "Classes")
    QgsProject.instance().addMapLayer(layer)
    repainted: list[bool] = []
    layer.repaintRequested.connect(lambda *_: repainted.append(True))
    run(provider, "mapfromlayers", **layers)
    assert repainted
    assert [item.name() for item in QgsProject.instance().mapLayers().values()].count("Classes") == 1


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"LABELS": None}, "none are given"),
        ({"MODEL_FILE": "/nowhere/model.onnx"}, "/nowhere/model.onnx"),
        ({"SPLIT_STRIDE": 600}, "leaves gaps"),
        ({"BANDS": "b:1"}, "b"),
        ({"MAP_MAJORITY": 2}, "2 pixels wide"),
    ],
)
def test_it_says_what_is_wrong_before_it_starts(
    provider: GeoSegProvider, engine: None, layers: dict[str, Any], given: dict[str, Any], part: str
) -> None:
    assert part in checked(provider, "mapfromlayers", **{**layers, **given})


def test_the_job_reads_back_unchanged(
    provider: GeoSegProvider, engine: None, layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from geoseg_plugin.contract import job_from_json, job_to_json

    taken = record(monkeypatch, result(Path(layers["OUTPUT"])))
    run(provider, "mapfromlayers", **layers)
    job: Job = taken[0].job
    assert job_from_json(job_to_json(job)) == job
