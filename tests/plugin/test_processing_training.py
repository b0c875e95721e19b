"""Training in the Toolbox: parameters become jobs, complaints come before the start; the engine is a fake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis
from toolbox import checked, record, run

from geoseg_plugin.contract import Cancelled, ForestJob, PretrainJob, TrainJob
from geoseg_plugin.processing.provider import GeoSegProvider


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "dataset.json").write_text("{}", encoding="utf-8")
    return tmp_path


def test_left_open_means_the_jobs_own_defaults(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"model": "model.onnx"}, {"model": "model.onnx"}, {"encoder": "encoder.pt"})
    for name in ("trainmodel", "trainforest", "pretrain"):
        run(provider, name, DATASET=str(dataset), OUTPUT=str(dataset / name))
    jobs = [item.job for item in taken]
    assert jobs == [TrainJob(str(dataset)), ForestJob(str(dataset)), PretrainJob(str(dataset))]
    assert [item.folder.name for item in taken] == ["trainmodel", "trainforest", "pretrain"]


def test_titles_and_defaults_are_those_of_the_job(provider: GeoSegProvider) -> None:
    algorithm = provider.algorithm("trainmodel")
    assert algorithm.parameterDefinition("LEARNING_RATE").description() == "Learning rate (0: automatic)"
    device = algorithm.parameterDefinition("DEVICE")
    assert not device.flags() & Qgis.ProcessingParameterFlag.Optional


def test_settings_of_a_training_become_fields(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"model": "model.onnx", "miou": 0.5})
    (dataset / "old.onnx").touch()
    given: dict[str, Any] = {
        "PRESET": "quick",
        "ARCHITECTURE": "deeplabv3plus",
        "ENCODER": "resnet18",
        "BANDS": "red, nir ,slope",
        "LOSS": ["ce", "dice"],
        "AUGMENT": "flip,noise",
        "CLASS_WEIGHTS": 2,
        "PATIENCE": 0,
        "DROPOUT": 0.3,
        "CROP_SIZE": 96,
        "START_FROM": str(dataset / "old.onnx"),
        "FREEZE_EPOCHS": -1,
        "CALIBRATE": False,
    }
    results = run(provider, "trainmodel", DATASET=str(dataset), OUTPUT=str(dataset / "run"), **given)
    job = taken[0].job
    assert job.problems() == []
    assert (job.preset, job.architecture, job.encoder) == ("quick", "deeplabv3plus", "resnet18")
    assert (job.bands, job.loss, job.augment) == (("red", "nir", "slope"), "ce+dice", ("flip", "noise"))
    assert (job.class_weights, job.patience, job.dropout, job.crop_px) == ("inverse", 0, 0.3, 96)
    assert (job.freeze_epochs, job.calibrate, job.ema_decay) == (-1, False, None)
    assert results["MODEL"] == str(dataset / "run" / "model.onnx") and results["MIOU"] == 0.5


def test_loss_by_its_old_names_and_numbers(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, *[{"model": "model.onnx"}] * 3)
    for value in ("ce+dice", 1, "ce"):
        run(provider, "trainmodel", DATASET=str(dataset), OUTPUT=str(dataset / "run"), LOSS=value)
    assert [item.job.loss for item in taken] == ["ce+dice", "ce+dice", "ce"]


@pytest.mark.parametrize(
    ("name", "given", "part"),
    [
        ("trainmodel", {"LOSS": ["auto", "dice"]}, "adds a loss"),
        ("trainmodel", {"AUGMENT": ["none", "flip"]}, "'none+flip'"),
        ("trainmodel", {"START_FROM": "/nowhere/model.onnx"}, "/nowhere/model.onnx"),
        ("trainmodel", {"WEIGHTS": "/nowhere/encoder.pt"}, "/nowhere/encoder.pt"),
        ("trainmodel", {"ARCHITECTURE": "deeplabv3plus", "ENCODER": "vgg"}, "no encoder 'vgg'"),
        ("trainforest", {"TEXTURE": "3,wide"}, "'wide' is no window"),
        ("trainforest", {"TEXTURE": "4"}, "Texture windows of 4 px"),
        ("pretrain", {"DEVICE": "gpu"}, "'gpu' is no device"),
    ],
)
def test_what_cannot_be_is_said_before(
    name: str, given: dict[str, Any], part: str, provider: GeoSegProvider, engine: None, dataset: Path
) -> None:
    fixed = {"DATASET": str(dataset), "OUTPUT": str(dataset / "run")}
    assert checked(provider, name, **fixed) == ""
    assert part in checked(provider, name, **fixed, **given)


def test_imagenet_is_no_file(provider: GeoSegProvider, engine: None, dataset: Path) -> None:
    given = {"ARCHITECTURE": "zoo", "ENCODER": "resnet34", "WEIGHTS": "imagenet"}
    assert checked(provider, "trainmodel", DATASET=str(dataset), OUTPUT=str(dataset / "run"), **given) == ""


def test_a_forest_with_texture_and_its_score(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"model": str(dataset / "run" / "model.onnx"), "miou": 0.7})
    results = run(
        provider,
        "trainforest",
        DATASET=str(dataset / "dataset.json"),
        OUTPUT=str(dataset / "run"),
        METHOD="spectral_angle",
        TEXTURE="3, 7",
        BANDS="red",
        TREES=50,
    )
    job = taken[0].job
    assert (job.method, job.texture_px, job.bands, job.trees) == ("spectral_angle", (3, 7), ("red",), 50)
    assert results["MIOU"] == 0.7 and results["MODEL"] == str(dataset / "run" / "model.onnx")


def test_cancelled_pretraining_keeps_its_weights(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, Cancelled(), Cancelled())
    given = {"DATASET": str(dataset), "OUTPUT": str(dataset / "run")}
    assert run(provider, "pretrain", **given) == {}
    (dataset / "run").mkdir()
    (dataset / "run" / "encoder.pt").touch()
    assert run(provider, "pretrain", **given)["WEIGHTS"] == str(dataset / "run" / "encoder.pt")
