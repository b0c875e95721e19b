"""What is left open in a training job is found from data and device, and the reason is said."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import IGNORE, Band, TrainJob, decode
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile import precision as arithmetic
from geoseg_engine.training import fit, plan, step_timing
from geoseg_engine.training.augmentation import DirectionalBands
from geoseg_engine.training.data_survey import DataSurvey, labelled_extent, object_side
from geoseg_engine.training.losses import loss_of
from geoseg_engine.training.plan import MANY_PIXELS, Plan, fit_to_time, make_plan

torch.set_num_threads(1)


def planned(changes=(), pixels=(9000, 1000), **more):
    job = TrainJob("d", **dict(changes))
    return make_plan(job, 64, DataSurvey((1000, 1000), pixels, **more), CPU)


@pytest.mark.parametrize(("pixels", "augmented"), [(MANY_PIXELS - 1, True), (MANY_PIXELS, False)])
def test_augmentation_stands_in_for_labels_that_are_few(pixels, augmented):
    found = planned(pixels=(900_000, pixels))
    assert bool(found.augment) is augmented
    assert any("augmentation" in reason for reason in found.reasons)


@pytest.mark.parametrize("refused", [(), ("none",)])
def test_augmentation_that_the_user_refused_stays_off(refused):
    found = planned({"augment": refused})
    assert not found.augment
    assert not any("augmentation" in reason for reason in found.reasons)


@pytest.mark.parametrize("wanted", [("auto",), ("flip", "turn", "noise")])
def test_a_band_with_a_fixed_light_forbids_turns_and_says_so(wanted):
    directions = DirectionalBands.of([Band("light", "dem", derive="hillshade")])
    found = planned({"augment": wanted}, directions=directions)
    assert not {"flip", "turn", "rotate"} & set(found.augment) and "noise" in found.augment
    assert any("light" in reason for reason in found.reasons)


CHOSEN = {
    "width": 24,
    "levels": 4,
    "dropout": 0.3,
    "batch_size": 3,
    "steps_per_epoch": 7,
    "epochs": 5,
    "patience": 2,
    "learning_rate": 0.5,
    "loss": "dice",
    "class_weights": "median",
    "augment": ("noise",),
    "by_class": 0.7,
    "ema_decay": 0.5,
}


@pytest.mark.parametrize("preset", ["quick", "balanced", "best"])
def test_what_the_user_chose_is_kept_and_needs_no_reason(preset):
    job = TrainJob("d", **CHOSEN, crop_px=100, preset=preset, max_minutes=3)
    found = make_plan(job, 64, DataSurvey((1000, 1000), (9000, 1000)), CPU)
    kept = {name: getattr(found, "average" if name == "ema_decay" else name) for name in CHOSEN}
    assert kept == CHOSEN
    assert found.crop_px == 112  # rounded up to a multiple of 2**levels
    assert found.minutes == 3
    fitted = fit_to_time(found, job, 0.5, 1.0)
    assert fitted == found and not found.reasons


def test_best_is_wider_deeper_and_longer_and_quick_ends_in_five_minutes():
    best, quick, usual = (planned({"preset": name}) for name in ("best", "quick", "balanced"))
    assert best.width > usual.width and best.levels > usual.levels and best.epochs > usual.epochs
    assert quick.minutes == 5 and usual.minutes == 0 and best.minutes > 60


def test_classes_that_are_even_are_not_weighed():
    assert planned(pixels=(1000, 900)).class_weights == "none"
    assert planned(pixels=(9000, 900)).class_weights == "sqrt"


def test_a_time_limit_holds_several_epochs_whatever_a_step_takes():
    job = TrainJob("d", max_minutes=2)
    found = make_plan(job, 64, DataSurvey((1000, 1000), (900_000, 100_000)), CPU)
    for seconds in (0.01, 0.3, 2.0):
        fitted = fit_to_time(found, job, seconds, 1.0)
        epoch_s = fitted.steps_per_epoch * seconds + 1.0
        assert epoch_s * plan.EPOCHS_IN_BUDGET <= 120 * 1.1 or fitted.steps_per_epoch == plan.FIRST_STEPS_MIN
        assert fitted.epochs == found.epochs  # the clock ends it
        assert fitted.patience * fitted.steps_per_epoch >= 0.9 * found.patience * found.steps_per_epoch
        assert any("2 min" in reason for reason in fitted.reasons)


def test_the_first_epoch_is_short_and_no_step_is_counted_twice():
    job = TrainJob("d")
    found = fit_to_time(planned({}, pixels=(10**8, 10**7)), job, 0.2, 1.0)
    assert found.first_steps * 0.2 <= plan.FIRST_EPOCH_S < found.steps_per_epoch * 0.2
    numbers = [number for epoch in range(found.epochs) for number in found.steps(epoch)]
    assert numbers == list(range(found.total_steps))
    same = dataclasses.replace(found, first_steps=0)
    assert [len(same.steps(epoch)) for epoch in range(3)] == [same.steps_per_epoch] * 3


def test_the_size_of_objects_is_that_of_most_of_their_pixels():
    labels = np.zeros((400, 400), np.uint8)
    labels[10:50, 10:50] = 1
    labels[100, ::4] = 1
    assert object_side(labels, 2) == pytest.approx(40)
    assert object_side(np.zeros((9, 9), np.uint8), 2) == 0


def test_memory_that_runs_out_in_the_trial_means_fewer_crops():
    network = torch.nn.Conv2d(1, 2, 1)
    plain = loss_of("ce", [1.0, 1.0])

    def loss(logits, labels):
        if len(logits) > 2:
            raise MemoryError
        return plain(logits, labels)

    def batch(size):
        return torch.zeros(size, 1, 8, 8), torch.zeros(size, 8, 8, dtype=torch.uint8)

    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = step_timing.time_steps(network, loss, batch, CPU, "float32", 8)
    assert found.batch_size == 2 and found.precision.seconds_per_step > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_arithmetic_that_is_clearly_faster_is_taken(monkeypatch):
    import time

    monkeypatch.setattr(arithmetic, "reduced_precision", lambda device: "bf16")
    for pause, expected in (
        ({"bf16": 0.0, "float32": 0.02}, "bf16"),
        ({"bf16": 0.02, "float32": 0.0}, "float32"),
    ):
        found = arithmetic.fastest(lambda one, pause=pause: time.sleep(pause[one.name]), CPU)
        assert found.name == expected


def test_a_dry_run_tells_all_and_writes_only_the_plan(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    folder = tmp_path / "run"
    folder.mkdir()
    result = fit.run(TrainJob(str(dataset), dry_run=True, precision="float32"), folder, Channel(folder))
    assert {path.name for path in folder.iterdir()} == {"plan.json", "events.jsonl"}
    assert json.loads((folder / "plan.json").read_text(encoding="utf-8"))["plan"] == result["plan"]
    assert decode(Plan, result["plan"]).reasons == tuple(result["reasons"])
    assert result["facts"]["parameters"] > 100_000 and result["facts"]["memory_mb"] > 0
    assert {"reach_px", "align_px", "tile_exact"} < set(result["facts"])
    assert result["minutes"] > 0 and result["seconds_per_step"] > 0
    assert (result["precision"], result["device"], result["warnings"]) == ("float32", "CPU", [])


def test_a_run_leaves_the_plan_that_it_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    dataset = write_dataset(tmp_path / "data")
    result = fit.run(small_job(dataset, epochs=1), tmp_path, Channel(tmp_path))
    assert result["epochs_run"] == 1
    told = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert told["plan"]["steps_per_epoch"] == 15 and told["plan"]["first_steps"] == 0


@pytest.mark.parametrize(
    ("labelled_extent_px", "crop_px"),
    [(0, 128), (1000, 128), (256, 128), (180, 96), (100, 56), (50, 32), (9, 32)],
)
def test_two_crops_fit_across_the_ground_with_labels(labelled_extent_px, crop_px):
    found = planned(labelled_extent_px=labelled_extent_px)
    assert found.crop_px == crop_px
    assert any(f"only {labelled_extent_px} px across" in reason for reason in found.reasons) is (
        0 < crop_px < 128
    )


def test_a_crop_on_narrow_ground_holds_an_object():
    assert planned(labelled_extent_px=90, object_px=70).crop_px == 72


def test_a_crop_that_the_user_chose_is_kept_on_narrow_ground():
    assert planned({"crop_px": 96}, labelled_extent_px=50).crop_px == 96


def test_the_ground_is_the_box_around_all_labels():
    labels = np.full((60, 80), IGNORE, np.uint8)
    assert labelled_extent(labels) == 0
    labels[10, 20] = labels[29, 70] = 1
    assert labelled_extent(labels) == 20
