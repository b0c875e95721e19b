"""The same job from every entry point: what panel and Toolbox make of their defaults is what the contract declares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from classmaps import class_map
from docked import DataDesk, Desk, finished_run, layer_id, prepared
from qgis.core import QgsProcessingException, QgsProject, QgsRasterLayer
from toolbox import raster, record, run

from geoseg_plugin.contract import (
    AUTO_UNLABELLED,
    JOBS,
    TERRAIN_DEFAULTS,
    CleanJob,
    CompareJob,
    CrossValidateJob,
    ForestJob,
    Job,
    PretrainJob,
    SearchJob,
    TrainJob,
    encode,
    with_unlabelled,
)
from geoseg_plugin.processing.provider import GeoSegProvider
from geoseg_plugin.steps.data.add_band.derived import relief_dialog

PLACES = (
    "dataset",
    "stack",
    "labels",
    "model",
    "classes",
    "prediction",
    "output",
    "confidence",
    "polygons",
    "sources",
)
"""Fields of files: every entry point has its own places for them."""


def settings(job: Job) -> dict[str, Any]:
    """What a job is asked to do, without the places of its files."""
    found = encode(job)
    for inner in ("training",):
        if isinstance(found.get(inner), dict):
            found[inner] = {key: value for key, value in found[inner].items() if key not in PLACES}
    for item in found.get("contenders", ()):
        for part in ("network", "baseline"):
            item[part] = item[part] and {key: value for key, value in item[part].items() if key not in PLACES}
    return {key: value for key, value in found.items() if key not in PLACES}


@pytest.fixture
def toolbox_job(
    provider: GeoSegProvider, engine: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    """Runs an algorithm with its defaults and gives the job that it submits."""

    def made(name: str, **parameters: Any) -> Job:
        taken = record(monkeypatch, {"model": "model.onnx"})
        with suppress(QgsProcessingException):  # of what follows on the result, which is not the engine's
            run(provider, name, **parameters)
        return taken[-1].job

    return made


TRAININGS: dict[str, Job] = {
    "trainmodel": TrainJob(""),
    "trainforest": ForestJob(""),
    "pretrain": PretrainJob(""),
    "compare": CompareJob(""),
    "searchsettings": SearchJob(TrainJob("")),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_of_the_toolbox(
    name: str, toolbox_job: Callable[..., Job], desk: Desk, tmp_path: Path
) -> None:
    dataset = prepared(desk, tmp_path)
    job = toolbox_job(name, DATASET=str(dataset), OUTPUT=str(tmp_path / "run"))
    assert settings(job) == settings(TRAININGS[name])


def test_cross_validation_of_the_toolbox(toolbox_job: Callable[..., Job], desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    (dataset / "folds" / "0").mkdir(parents=True)
    (dataset / "folds" / "0" / "dataset.json").touch()
    job = toolbox_job("crossvalidate", DATASET=str(dataset), OUTPUT=str(tmp_path / "run"))
    assert settings(job) == settings(CrossValidateJob(TrainJob("")))


def test_trainings_of_the_panel(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    page = desk.pages.train
    assert settings(desk.panel.train.job()) == settings(TrainJob(""))  # type: ignore[arg-type]
    page.model.setCurrentIndex(page.model.findData("forest"))
    assert settings(desk.panel.train.job()) == settings(ForestJob(""))  # type: ignore[arg-type]


def test_the_comparison_of_the_panel(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    actions = {action.text(): action for action in desk.pages.train.experiments_button.menu().actions()}
    actions["Compare models…"].trigger()
    window = desk.panel.train.comparison.window
    assert window is not None
    window.page.primary.click()
    assert settings(desk.runner.job()) == settings(CompareJob(""))


def test_the_split(toolbox_job: Callable[..., Job], desk: Desk, tmp_path: Path) -> None:
    stack = raster(tmp_path / "stack.tif")
    labels = raster(tmp_path / "labels.tif", 1)
    from_toolbox = settings(
        toolbox_job("maketiles", STACK=str(stack), LABELS=str(labels), OUTPUT=str(tmp_path / "d"))
    )
    prepared(desk, tmp_path)
    desk.pages.split.primary.click()
    from_panel = settings(desk.runner.job())
    from_shell = settings(JOBS["tile"]("", ""))  # type: ignore[call-arg]
    assert from_panel == from_shell == from_toolbox
    assert from_shell["fractions"] == [0.6, 0.2, 0.2]


def test_the_prediction(toolbox_job: Callable[..., Job], desk: Desk, tmp_path: Path) -> None:
    layer = QgsRasterLayer(str(raster(tmp_path / "optical.tif", 2)), "optical")
    QgsProject.instance().addMapLayer(layer)
    model = tmp_path / "north" / "model.onnx"
    model.parent.mkdir()
    model.touch()
    job = toolbox_job("predict", MODEL=str(model), LAYERS=[layer.id()], OUTPUT=str(tmp_path / "c.tif"))
    desk.panel.predict.use_model(model)
    while desk.asked.job().kind != "describe":
        desk.asked.finish()
    recipe = {
        "sources": [{"key": "r1", "path": "/a/optical.tif", "name": "optical"}],
        "bands": [{"name": "a", "source": "r1", "index": 1}, {"name": "b", "source": "r1", "index": 2}],
        "grid": {},
    }
    desk.asked.finish(recipe=recipe, bands=["a", "b"], classes=[])
    desk.pages.predict.primary.click()
    from_shell = settings(JOBS["predict"](""))  # type: ignore[call-arg]
    assert settings(job) == from_shell == settings(desk.runner.job())


def test_the_evaluation(toolbox_job: Callable[..., Job], desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    made = finished_run(desk, dataset)
    desk.pages.results.primary.click()
    from_panel = settings(desk.runner.job())
    job = toolbox_job(
        "evaluate", DATASET=str(dataset), MODEL=str(made / "model.onnx"), OUTPUT=str(tmp_path / "e")
    )
    assert from_panel == settings(job) == settings(JOBS["evaluate"]())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cleanclasses", "clean"),
        ("polygonize", "polygonize"),
        ("classareas", "areas"),
        ("samplepoints", "samplepoints"),
    ],
)
def test_maps(name: str, kind: str, toolbox_job: Callable[..., Job], tmp_path: Path) -> None:
    classes = class_map(tmp_path / "map")
    output = tmp_path / (
        "areas" if name == "classareas" else f"{name}{'.tif' if name == 'cleanclasses' else '.gpkg'}"
    )
    job = toolbox_job(name, INPUT=str(classes), OUTPUT=str(output))
    assert settings(job) == settings(JOBS[kind](""))  # type: ignore[call-arg]
    assert CleanJob("").cleaning.min_patch_px == 4


def test_the_sample_of_the_panel(desk: Desk, tmp_path: Path) -> None:
    design = desk.pages.results.map.design().settings()
    declared = encode(JOBS["samplepoints"](""))  # type: ignore[call-arg]
    assert {key: pytest.approx(declared[key]) if isinstance(value, float) else declared[key]
            for key, value in design.items()} == design  # fmt: skip


def test_radii_of_terrain_attributes(data_desk: DataDesk) -> None:
    dialog = relief_dialog([])
    shown = {
        derivation.key: parameter.value
        for derivation in dialog._derivations.values()
        for parameter in derivation.parameters
        if parameter.key in ("radius_m", "radii")
    }
    assert shown == TERRAIN_DEFAULTS


def test_unlabelled_pixels(toolbox_job: Callable[..., Job], data_desk: DataDesk, tmp_path: Path) -> None:
    stack = raster(tmp_path / "stack.tif")
    page = data_desk.page
    page.label_layer.setLayer(QgsProject.instance().mapLayer(layer_id("labels")))
    for field, expected in (("class", "unknown"), ("", "background")):
        page.class_field.setCurrentIndex(max(page.class_field.findData(field), 0))
        job: Any = toolbox_job(
            "rasterizelabels",
            STACK=str(stack),
            LABELS=layer_id("labels"),
            CLASS_FIELD=field,
            OUTPUT=str(tmp_path / f"labels{field}.tif"),
        )
        assert job.labels.unlabelled == AUTO_UNLABELLED, (
            "only who reads the labels knows whether points are there"
        )
        found = with_unlabelled(job.labels, job.area)
        assert found.unlabelled == page.choices().unlabelled == expected
