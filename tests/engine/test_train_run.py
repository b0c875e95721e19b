"""The job `train` on a small scene: what it leaves, says and keeps."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from recorder import Recorder
from training_scenes import CLASSES, small_job, write_dataset

from geoseg_engine.contract import (
    EVENT_FIELDS,
    Cancelled,
    Dataset,
    GeoSegError,
    Problem,
    encode,
    read_json,
    write_json,
)
from geoseg_engine.modelfile import validation_data
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.scores.metrics import scores
from geoseg_engine.training import checkpoint, fit, loop, optimizer, scene
from geoseg_engine.training.model_selection import Best
from geoseg_engine.training.optimizer import OptimizerSettings, Plateau, make_optimizer, schedule_factor
from geoseg_engine.training.trainer import Trainer
from geoseg_engine.training.validate import ValidationResult

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    channel = Recorder(folder)
    return fit.run(small_job(dataset), folder, channel), channel, folder


def weights(folder):
    return checkpoint.load(folder / checkpoint.FILE)["weights"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_training_learns_and_leaves_its_files(trained):
    result, channel, folder = trained
    assert result["miou"] > 0.8
    assert not result["cancelled"]
    assert result["epochs_run"] == 4
    assert result["calibration_sentence"].startswith("Calibration")
    assert (
        json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["calibration_sentence"]
        == result["calibration_sentence"]
    )
    for name in ("model.onnx", "checkpoint.pt", "history.json", "metrics.json"):
        assert (folder / name).stat().st_size > 0
    assert not list(folder.glob("*.part*"))
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert {item["kind"] for item in channel.of("artifact")} == {"model", "history", "metrics"}


def test_every_epoch_is_told_wholly(trained):
    result, channel, _ = trained
    epochs = channel.of("epoch")
    assert len(epochs) == 4
    assert set(epochs[0]) == set(EVENT_FIELDS["epoch"])
    assert len(epochs[-1]["iou"]) == len(epochs[-1]["f1"]) == 2
    assert epochs[-1]["seconds_left"] == 0
    best = max(epochs, key=lambda item: item["miou"])
    assert result["best_epoch"] == best["epoch"]
    assert result["miou"] == best["miou"]
    assert [item["device"] for item in channel.of("hello")] == ["CPU"]


def test_two_runs_with_one_seed_are_equal(dataset, trained, tmp_path, unexported):
    fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert same(weights(tmp_path), weights(trained[2]))
    other = tmp_path / "other"
    fit.run(small_job(dataset, seed=43, epochs=1), other, Recorder(other))
    assert not same(weights(other), weights(trained[2]))


def test_cancel_keeps_the_best_and_resume_goes_on_exactly(dataset, trained, tmp_path):
    channel = Recorder(tmp_path, cancel_after_epochs=2, looks=3)
    result = fit.run(small_job(dataset), tmp_path, channel)
    assert result["cancelled"]
    assert result["epochs_run"] == 2
    assert (tmp_path / "model.onnx").exists()
    again = fit.run(small_job(dataset, resume=True), tmp_path, Recorder(tmp_path))
    assert again["epochs_run"] == 4
    assert same(weights(tmp_path), weights(trained[2]))
    whole, parts = (checkpoint.load(folder / checkpoint.FILE) for folder in (trained[2], tmp_path))
    assert same(whole["average"]["weights"], parts["average"]["weights"])
    assert [row["train_loss"] for row in whole["history"]] == [row["train_loss"] for row in parts["history"]]


def test_cancel_before_the_first_epoch_is_plain_cancel(dataset, tmp_path):
    with pytest.raises(Cancelled):
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path, cancel_after_epochs=0, looks=8))


def test_resume_without_checkpoint_begins_anew_and_says_so(dataset, tmp_path, unexported):
    channel = Recorder(tmp_path)
    fit.run(small_job(dataset, resume=True, epochs=1), tmp_path, channel)
    assert any("no checkpoint" in item["text"] for item in channel.of("log"))


def test_a_damaged_checkpoint_is_named(dataset, tmp_path):
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    with pytest.raises(GeoSegError) as caught:
        fit.run(small_job(dataset, resume=True), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "bad_checkpoint"


@pytest.mark.parametrize("absent", ["plateau", "average"])
def test_a_checkpoint_of_an_older_version_is_named(dataset, trained, tmp_path, absent):
    saved = checkpoint.load(trained[2] / checkpoint.FILE)
    del saved[absent]
    torch.save(saved, tmp_path / checkpoint.FILE)
    with pytest.raises(GeoSegError, match=f"older version.*{absent}") as caught:
        fit.run(small_job(dataset, resume=True), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "bad_checkpoint" and "new training" in caught.value.hint
    saved = {**checkpoint.load(trained[2] / checkpoint.FILE), "plan": {"width": 4}}
    torch.save(saved, tmp_path / checkpoint.FILE)
    with pytest.raises(GeoSegError, match="plan of levels"):
        fit.run(small_job(dataset, resume=True), tmp_path, Recorder(tmp_path))


def test_resume_keeps_the_descent_of_the_run(dataset, trained, tmp_path, unexported):
    """Another optimiser's state does not fit, and scores of another monitor cannot be compared."""
    (tmp_path / checkpoint.FILE).write_bytes((trained[2] / checkpoint.FILE).read_bytes())
    channel = Recorder(tmp_path)
    job = small_job(dataset, resume=True, epochs=5, optimiser="sgd", monitor="loss", seed=7, max_minutes=9)
    result = fit.run(job, tmp_path, channel)
    assert result["monitor"] == trained[0]["monitor"] and result["score"] <= trained[0]["score"]
    told = " ".join(item["text"] for item in channel.of("log"))
    assert "optimiser adamw, monitor miou, seed 42" in told
    assert checkpoint.load(tmp_path / checkpoint.FILE)["plan"]["minutes"] == 9


def test_resume_with_other_classes_is_refused(dataset, trained, tmp_path):
    (tmp_path / checkpoint.FILE).write_bytes((trained[2] / checkpoint.FILE).read_bytes())
    other = write_dataset(tmp_path / "data")
    known = read_json(Dataset, other)
    renamed = tuple(dataclasses.replace(item, name=item.name + "2") for item in CLASSES)
    write_json(other, dataclasses.replace(known, classes=renamed))
    with pytest.raises(GeoSegError, match="scar2") as caught:
        fit.run(small_job(other, resume=True), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "resume_mismatch"


def test_resume_on_another_split_is_refused(dataset, trained, tmp_path):
    (tmp_path / checkpoint.FILE).write_bytes((trained[2] / checkpoint.FILE).read_bytes())
    other = write_dataset(tmp_path / "data")
    write_json(other, dataclasses.replace(read_json(Dataset, other), fingerprint="another"))
    with pytest.raises(GeoSegError, match="held out") as caught:
        fit.run(small_job(other, resume=True), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "resume_mismatch" and "resume" in caught.value.hint


def test_resume_keeps_the_saved_statistics_and_what_was_found_with_them(
    dataset, trained, tmp_path, unexported, monkeypatch
):
    saved = checkpoint.load(trained[2] / checkpoint.FILE)
    saved["statistics"]["mean"][0] = 1234.5
    saved["found"] = [encode(Problem("constant_band", "Band 'b1' is constant.", "", "warning"))]
    torch.save(saved, tmp_path / checkpoint.FILE)
    monkeypatch.setattr(scene, "measure", None)
    result = fit.run(small_job(dataset, resume=True, epochs=5), tmp_path, Recorder(tmp_path))
    again = checkpoint.load(tmp_path / checkpoint.FILE)
    assert again["epoch"] == 5 and again["statistics"]["mean"][0] == 1234.5
    assert again["found"] == saved["found"] and "constant_band" in {item.code for item in result["warnings"]}


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / checkpoint.FILE
    checkpoint.save(path, {"epoch": 1})

    def killed(state, target):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"epoch": 2})
    assert checkpoint.load(path)["epoch"] == 1


def test_best_is_the_highest_iou():
    best = Best(1, 0.5, peak=0.5)
    assert best.is_better(0.6)
    assert not best.is_better(0.5)
    assert not best.is_better(0.4)
    assert Best(3, None).is_better(None)


@pytest.mark.parametrize(
    ("monitor", "values", "kept"),
    [
        ("miou", [0.3, 0.7, 0.5], 2),
        ("foreground_iou", [0.3, 0.7, 0.5], 2),
        ("f1", [0.3, 0.7, 0.5], 2),
        ("loss", [0.7, 0.3, 0.5], 2),
    ],
)
def test_every_monitor_knows_which_way_is_better(monitor, values, kept):
    network = torch.nn.Conv2d(1, 2, 1)
    some = Trainer(network, None, Precision("float32"), OptimizerSettings(1e-3, 10, monitor=monitor), 1)
    for value in values:
        some.end_epoch(value)
    assert (some.best.epoch, some.best.score) == (kept, values[kept - 1])
    again = Trainer(network, None, Precision("float32"), OptimizerSettings(1e-3, 10, monitor=monitor), 1)
    again.restore({**some.state(), "rng": checkpoint.rng_state()})
    worse = values[kept - 1] + (0.1 if monitor == "loss" else -0.1)
    assert not again.end_epoch(worse) and again.end_epoch(2 * values[kept - 1] - worse)


def test_what_is_monitored_is_that_score_of_the_verdict():
    verdict = ValidationResult(0.25, np.array([[[90, 5], [2, 3]]]))
    found = scores(verdict.matrix, CLASSES)
    assert loop.monitored_score("loss", found, verdict) == 0.25
    assert loop.monitored_score("foreground_iou", found, verdict) == pytest.approx(0.3)
    assert loop.monitored_score("miou", found, verdict) == found["miou"]
    assert loop.monitored_score("f1", found, verdict) == found["mean_f1"]
    assert loop.monitored_score("miou", {}, None) is None


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_convolutions_decay(name):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    made = make_optimizer(network, OptimizerSettings(0.1, 10, name, weight_decay=0.5))
    decay = {id(item): group["weight_decay"] for group in made.param_groups for item in group["params"]}
    assert decay[id(network[0].weight)] == 0.5
    assert {decay[id(item)] for item in (network[0].bias, *network[1].parameters())} == {0.0}
    assert len(decay) == 4


def test_a_score_that_stays_lowers_the_rate_and_the_end_does_in_any_case():
    plateau = Plateau()
    plateau.epoch(True)
    for _ in range(optimizer.PLATEAU_EPOCHS):
        assert plateau.factor == 1
        plateau.epoch(False)
    assert plateau.factor == optimizer.PLATEAU_FACTOR
    assert schedule_factor(0.5, "plateau", plateau.factor) == pytest.approx(optimizer.PLATEAU_FACTOR)
    assert schedule_factor(1.0, "plateau", 1.0) == pytest.approx(optimizer.FINAL_RATE)


@pytest.fixture
def much_validation(monkeypatch):
    """The one region that validates in the scene counts as enough."""
    monkeypatch.setattr(validation_data, "MIN_REGIONS", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "sgd", "learning_rate": 0.05, "schedule": "plateau"},
        {"monitor": "loss", "ema_decay": 0.0, "class_weights": "effective"},
        {"loss": "focal+dice", "augment": ("flip", "rotate", "cutmix"), "monitor": "foreground_iou"},
    ],
)
def test_other_settings_train_as_well(dataset, tmp_path, unexported, much_validation, changes):
    result = fit.run(small_job(dataset, **changes), tmp_path, Recorder(tmp_path))
    assert result["miou"] > 0.6
    assert result["monitor"] == changes.get("monitor", "miou")


def test_training_stops_when_iou_no_longer_rises(dataset, tmp_path, monkeypatch, unexported, much_validation):
    scripted = iter([0.3, 0.5, 0.7, 0.6, 0.65, 0.1, 0.9])
    judge = Trainer.end_epoch
    monkeypatch.setattr(Trainer, "end_epoch", lambda self, *_: judge(self, next(scripted)))
    job = small_job(dataset, epochs=7, patience=3, steps_per_epoch=1)
    result = fit.run(job, tmp_path, Recorder(tmp_path))
    assert (result["epochs_run"], result["best_epoch"], result["score"]) == (6, 3, 0.7)
    assert result["kept_sentence"] == "Kept epoch 3: highest validation mean IoU, 0.700."


def test_few_validation_data_keep_the_epoch_of_the_lowest_loss_and_call_it_nothing_else(
    dataset, tmp_path, monkeypatch, unexported
):
    """As a first-time user saw it: IoU 1.000 at first, then a loss six times as high and half the IoU."""
    losses = iter([1.9, 0.7, 0.3, 0.2, 0.17, 0.25, 0.5, 0.9, 1.0])
    validate = loop.validate

    def scripted(*given, **more):
        return dataclasses.replace(validate(*given, **more), loss=next(losses))

    monkeypatch.setattr(loop, "validate", scripted)
    channel = Recorder(tmp_path)
    job = small_job(dataset, epochs=9, patience=3, steps_per_epoch=1)
    result = fit.run(job, tmp_path, channel)
    assert (result["best_epoch"], result["monitor"], result["epochs_run"]) == (6, "loss", 9)
    assert result["score"] == pytest.approx((0.2 + 0.17 + 0.25) / 3)
    kept = result["kept_sentence"]
    assert kept.startswith("Kept epoch 6: lowest validation loss (mean of 3 epochs); too few validation data")
    assert "1 separate region" in kept and kept.count("best") == kept.count("to call it best") == 1
    told = [item["text"] for item in channel.of("log")]
    assert any(kept in text for text in told) and not any("best epoch" in text.lower() for text in told)
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert [row["best"] for row in history] == [True] * 6 + [False] * 3
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["kept_sentence"] == kept
    assert "all classes keep weight 1" in result["calibration_sentence"]


def test_a_checkpoint_of_another_rule_goes_on(dataset, trained, tmp_path, unexported):
    """The score in it was an IoU, and what is monitored now is a loss: they are not compared."""
    saved = checkpoint.load(trained[2] / checkpoint.FILE)
    del saved["monitor"]  # of the job, as before
    saved["best"] = {**saved["best"], "score": 0.0, "peak": 0.0}
    torch.save(saved, tmp_path / checkpoint.FILE)
    result = fit.run(small_job(dataset, resume=True, epochs=5), tmp_path, Recorder(tmp_path))
    assert result["epochs_run"] == 5 and result["best_epoch"] == 5 and result["monitor"] == "loss"


def test_without_validation_the_last_epoch_is_kept_with_a_warning(tmp_path, unexported):
    dataset = write_dataset(tmp_path / "data")
    change_split(tmp_path / "data", lambda split: np.where(split == 1, 255, split))
    result = fit.run(small_job(dataset, epochs=2, patience=1), tmp_path, Recorder(tmp_path))
    assert (result["epochs_run"], result["best_epoch"], result["miou"]) == (2, 2, None)
    assert "no_validation_pixels" in [item.code for item in result["warnings"]]


def change_split(folder, change):
    import rasterio

    with rasterio.open(folder / "split.tif", "r+") as raster:
        raster.write(change(raster.read(1)).astype(np.uint8), 1)


def change_labels(folder, change):
    import rasterio

    with rasterio.open(folder / "labels.tif", "r+") as raster:
        raster.write(change(raster.read(1)).astype(np.uint8), 1)


def test_no_training_pixels_is_said(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    change_split(tmp_path / "data", lambda split: np.where(split == 0, 255, split))
    with pytest.raises(GeoSegError) as caught:
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "no_training_pixels"


def test_only_one_class_in_the_train_split_is_said(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    change_labels(tmp_path / "data", lambda labels: np.where(labels == 1, 255, labels))
    with pytest.raises(GeoSegError, match="scar") as caught:
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "no_training_pixels"


def test_a_class_without_training_pixels_is_a_warning_in_result_and_model(tmp_path):
    from geoseg_engine.modelfile.reading import read_model

    dataset = write_dataset(tmp_path / "data")
    known = read_json(Dataset, dataset)
    third = dataclasses.replace(CLASSES[1], id=2, name="deposit")
    write_json(dataset, dataclasses.replace(known, classes=(*CLASSES, third)))
    result = fit.run(small_job(dataset, epochs=1), tmp_path, Recorder(tmp_path))
    assert "class_without_training_pixels" in [item.code for item in result["warnings"]]
    assert "deposit" in read_model(tmp_path / "model.onnx").warnings[-1].message


def test_one_class_is_no_task(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    known = read_json(Dataset, dataset)
    write_json(dataset, dataclasses.replace(known, classes=CLASSES[:1]))
    with pytest.raises(GeoSegError) as caught:
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "one_class"


def test_a_loss_that_is_not_finite_stops_with_a_hint(dataset, tmp_path, monkeypatch, unexported):
    taken = []
    real = Trainer.step

    def step(self, images, labels):
        taken.append(1)
        return real(self, images * (math.nan if len(taken) == 18 else 1), labels)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(GeoSegError, match="step 18") as caught:
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "loss_not_finite"
    assert checkpoint.load(tmp_path / checkpoint.FILE)["epoch"] == 1


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_full_memory_halves_the_batch_and_says_so(dataset, tmp_path, monkeypatch, unexported, error):
    real = Trainer.step

    def step(self, images, labels):
        if len(images) > 2:
            raise error
        return real(self, images, labels)

    monkeypatch.setattr(Trainer, "step", step)
    channel = Recorder(tmp_path)
    fit.run(small_job(dataset, epochs=1), tmp_path, channel)
    assert any("2 crops per step" in item["text"] for item in channel.of("log"))


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "out_of_memory"), (RuntimeError("shapes differ"), None)]
)
def test_a_single_crop_too_large_is_said_and_no_other_error_is_hidden(
    dataset, tmp_path, monkeypatch, unexported, error, code
):
    def step(self, images, labels):
        raise error

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(GeoSegError if code else RuntimeError) as caught:
        fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    assert getattr(caught.value, "code", None) == code


def test_the_time_budget_ends_training_and_its_schedule(dataset, tmp_path, monkeypatch, unexported):
    monkeypatch.setattr(fit, "EXPORT_RESERVE_S", 0.0)
    job = small_job(dataset, epochs=10_000, max_minutes=0.05)
    result = fit.run(job, tmp_path, Recorder(tmp_path))
    assert 1 <= result["epochs_run"] < 10_000
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert history[-1]["learning_rate"] < 0.1 * job.learning_rate


def test_the_rate_warms_up_and_falls():
    rates = [schedule_factor(progress / 100) for progress in range(101)]
    assert rates[0] < 0.05
    assert max(rates) == pytest.approx(1)
    assert rates[-1] == pytest.approx(optimizer.FINAL_RATE)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("budget", [96 * 128 * 3 * 2, 1000])
def test_large_scenes_give_the_same_crops(dataset, tmp_path, monkeypatch, budget):
    from geoseg_engine.dataset.datasets import read_dataset
    from geoseg_engine.training import scene as scenes
    from geoseg_engine.training.sampler import Sampler

    known, folder = read_dataset(dataset)
    channel = Recorder(tmp_path)
    small, _ = scenes.load_scene(known, folder, 64, channel)
    monkeypatch.setattr(scenes, "MEMORY_BUDGET_BYTES", budget)
    large, _ = scenes.load_scene(known, folder, 64, channel)
    assert type(large.image).__name__ == ("ImageInMemory" if budget > 1000 else "ImageOnDisk")
    assert large.statistics == small.statistics
    one, other = (Sampler(item, 32, 0).crops(0, 4)[0] for item in (small, large))
    assert torch.allclose(one, other, atol=5e-3)


def test_training_reads_ahead_where_the_image_is_on_disk(dataset, trained, tmp_path, monkeypatch, unexported):
    from geoseg_engine.training import scene as scenes

    monkeypatch.setattr(scenes, "MEMORY_BUDGET_BYTES", 1000)
    fit.run(small_job(dataset), tmp_path, Recorder(tmp_path))
    mine, theirs = weights(tmp_path), weights(trained[2])
    assert all(torch.allclose(mine[key].float(), theirs[key].float(), atol=1e-2) for key in mine)


def test_the_time_left_is_bounded_by_the_budget():
    meter = loop.Meter()
    assert meter.tiles_per_s == 0
    assert meter.seconds_per_step == 0


def test_a_resumed_run_keeps_what_its_optimizer_and_its_best_score_depend_on():
    fixed = {
        *("optimiser", "schedule", "weight_decay", "monitor"),
        *("freeze_epochs", "weights", "start_from", "seed"),
    }
    assert set(checkpoint.FIXED_SETTINGS) == fixed
