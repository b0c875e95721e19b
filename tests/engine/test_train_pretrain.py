"""The job `pretrain`: nothing leaks out of hidden patches, test ground is not seen, the encoder fits the network."""

import dataclasses

import numpy as np
import pytest
import rasterio
import torch
from fake_devices import FakeGpu
from recorder import Recorder
from training_scenes import write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    ARCHITECTURES,
    Cancelled,
    Dataset,
    GeoSegError,
    PretrainJob,
    TrainJob,
    read_json,
    write_json,
)
from geoseg_engine.dataset.datasets import read_dataset
from geoseg_engine.device.devices import CPU
from geoseg_engine.models import build, encoder_modules, load_encoder
from geoseg_engine.training.data_survey import DataSurvey
from geoseg_engine.training.initial_weights import with_encoder_size
from geoseg_engine.training.plan import make_plan
from geoseg_engine.training.pretraining import pretrain, unlabelled_crops
from geoseg_engine.training.pretraining.masking import Masking, draw_visible, patch_px, reconstruction_loss

torch.set_num_threads(1)
UNET = {"name": "unet", "bands": 3, "classes": 3, "width": 4, "levels": 2, "dropout": 0.0}


class Listener(Channel):
    """Keeps the epochs; says `cancelled` after so many."""

    def __init__(self, folder, cancel_after=None):
        super().__init__(folder)
        self.epochs, self.cancel_after = [], cancel_after

    def send(self, event_type, /, **fields):
        super().send(event_type, **fields)
        if event_type == "epoch":
            self.epochs.append(fields)

    def cancelled(self):
        return self.cancel_after is not None and len(self.epochs) >= self.cancel_after


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pretrain, "STEPS_MIN", 8)
    for name, value in (("CPU_CROP_PX", 64), ("CPU_BATCH", 4), ("GPU_CROP_PX", 64), ("GPU_BATCH", 4)):
        monkeypatch.setattr(pretrain, name, value)
    monkeypatch.setattr(pretrain, "choose", lambda *_: pretrain.Precision("float32"))


def job(dataset, **changes):
    settings = {"dataset": str(dataset), "width": 4, "levels": 2, "epochs": 3, "device": "cpu", **changes}
    return PretrainJob(**settings)


def test_an_encoder_that_fits_the_network_is_left(dataset, tmp_path):
    channel = Listener(tmp_path)
    result = pretrain.run(job(dataset), tmp_path, channel)
    assert set(result) == {"encoder", "loss", "epochs_run", "seconds"} and result["epochs_run"] == 3
    losses = [item["train_loss"] for item in channel.epochs]
    assert losses[-1] < losses[0] and result["loss"] == min(losses)
    saved = torch.load(result["encoder"], weights_only=True)
    network = build({**UNET, "classes": 2})
    missing, unexpected = network.load_state_dict(saved["encoder"], strict=False)
    assert not unexpected and not [name for name in missing if name.startswith("encoder.")]
    assert saved["bands"] == ["b1", "b2", "b3"] and saved["architecture"]["width"] == 4


def test_one_seed_gives_the_same_weights(dataset, tmp_path):
    found = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        result = pretrain.run(job(dataset, epochs=1), folder, Listener(folder))
        found.append(torch.load(result["encoder"], weights_only=True)["encoder"])
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_a_training_takes_size_and_bands_from_the_encoder(dataset, tmp_path):
    result = pretrain.run(job(dataset, epochs=1, width=6, levels=1), tmp_path, Listener(tmp_path))
    known = read_json(Dataset, dataset)
    wanted = TrainJob(str(dataset), weights=result["encoder"])
    found, problems = with_encoder_size(wanted, known, tmp_path)
    assert (found.width, found.levels) == (6, 1) and problems == []
    found, _ = with_encoder_size(dataclasses.replace(wanted, width=8), known, tmp_path)
    assert (found.width, found.levels) == (8, 1)
    fewer = dataclasses.replace(known.recipe, bands=known.recipe.bands[:2])
    other = dataclasses.replace(known, recipe=fewer, fingerprint="other")
    _, problems = with_encoder_size(wanted, other, tmp_path)
    assert [item.code for item in problems] == ["weights_other_bands", "weights_other_split"]
    with pytest.raises(GeoSegError, match="encoder of a unet, but a segnet"):
        with_encoder_size(dataclasses.replace(wanted, architecture="segnet"), known, tmp_path)
    plain = dataclasses.replace(wanted, weights="imagenet")
    assert with_encoder_size(plain, known, tmp_path) == (plain, [])


def test_a_gpu_pretrains_and_its_missing_operations_are_named(dataset, tmp_path, monkeypatch):
    gpu = FakeGpu("mps", missing=("max_pool2d",))
    monkeypatch.setattr(pretrain, "find_device", lambda name: gpu)
    channel = Recorder(tmp_path)
    result = pretrain.run(job(dataset, epochs=1), tmp_path, channel)
    assert result["epochs_run"] == 1 and gpu.moved
    assert any(f"operation {gpu.moved[0]}" in text for text in channel.texts)
    gpu.lost_after = gpu.calls + 100
    with pytest.raises(GeoSegError) as caught:
        pretrain.run(job(dataset), tmp_path, channel)
    assert caught.value.code == "device_lost"


def test_what_is_left_open_is_chosen_as_the_plan_chooses_it():
    open_ = PretrainJob("d", architecture="attention_resunet")
    plan = make_plan(TrainJob("d"), 64, DataSurvey((512, 512), (1000, 1000)), CPU)
    made = pretrain.architecture_for(open_, 3, CPU)
    assert (made["width"], made["levels"]) == (plan.width, plan.levels)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "zoo"])
def test_every_network_can_be_pretrained_and_takes_its_encoder(dataset, tmp_path, name):
    result = pretrain.run(job(dataset, epochs=1, architecture=name), tmp_path, Listener(tmp_path))
    architecture = torch.load(result["encoder"], weights_only=True)["architecture"]
    torch.manual_seed(1)
    network = build({**architecture, "classes": 2})
    before = {name: value.clone() for name, value in encoder_modules(network)[0].state_dict().items()}
    assert load_encoder(network, result["encoder"]) == []
    after = encoder_modules(network)[0].state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before if after[key].dim() == 4)


def test_what_is_hidden_changes_no_feature_and_no_answer():
    torch.manual_seed(0)
    network = build(UNET).train()
    masking = Masking(network, [network.encoder])
    visible = draw_visible(np.random.default_rng(0), 2, 4, 0.6)
    images = torch.randn(2, 3, 64, 64)
    over = torch.nn.functional.interpolate(visible, (64, 64))
    other = images * over + 100 * torch.randn_like(images) * (1 - over)
    seen = []
    for part in network.encoder:
        part.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    one, two = (masking.reconstruct(item, visible) for item in (images, other))
    assert torch.equal(one, two)
    for features in seen:
        assert not (features * (1 - masking.visible_at(features))).any() and features.any()


def test_normalisation_counts_visible_places_only():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(2)).train()
    masking = Masking(network, [network])
    images = 5 + 3 * torch.randn(4, 2, 32, 32)
    visible = draw_visible(np.random.default_rng(0), 4, 2, 0.5)
    answer = masking.reconstruct(images, visible).detach()
    over = masking.visible_at(images).bool().expand_as(answer)
    assert float(answer[over].mean()) == pytest.approx(0, abs=1e-4)
    assert float(answer[over].std()) == pytest.approx(1, abs=1e-3)
    assert not answer[~over].any()
    plain = images[masking.visible_at(images).bool().expand_as(images)]
    assert float(network[0].running_mean.mean()) == pytest.approx(0.1 * float(plain.mean()), rel=1e-2)


def test_missing_values_are_neither_seen_nor_scored():
    images = torch.zeros(1, 2, 32, 32)
    visible = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    filled = torch.zeros_like(images)
    filled[0, :, :16, 16:] = 2
    assert float(reconstruction_loss(filled, images, visible)) == pytest.approx(4)
    images[0, 1, :16, 16:] = torch.nan
    filled[0, 1] = 1e6
    assert float(reconstruction_loss(filled, images, visible)) == pytest.approx(4)
    assert float(reconstruction_loss(filled, torch.full_like(images, torch.nan), visible)) == 0


def test_patches_are_multiples_of_the_coarsest_stride():
    assert [patch_px(align) for align in (1, 4, 8, 16, 32)] == [16, 16, 16, 16, 32]
    visible = draw_visible(np.random.default_rng(1), 5, 4, 0.6)
    assert visible.sum((1, 2, 3)).tolist() == [6.0] * 5
    assert draw_visible(np.random.default_rng(1), 1, 2, 0.99).sum() == 1


@pytest.mark.parametrize("budget", [None, 1000])
def test_test_ground_and_its_buffer_are_never_seen(dataset, tmp_path, monkeypatch, budget):
    if budget:
        monkeypatch.setattr(unlabelled_crops, "MEMORY_BUDGET_BYTES", budget)
    known, folder = read_dataset(dataset)
    known = dataclasses.replace(known, buffer_px=10)
    ground = unlabelled_crops.open_unlabelled(known, folder, (), Channel(tmp_path))
    assert (ground.scores is None) == bool(budget)
    with rasterio.open(folder / "split.tif") as raster:
        first = int(np.flatnonzero((raster.read(1) == 2).any(axis=0))[0])
    whole = ground.crop(0, 0, 128)[:, :96]
    assert np.isnan(whole[:, :, first - 10 :]).all()
    assert np.isfinite(whole[:, :, : first - 10 - 16 - 16]).all()
    crops = ground.draw(np.random.default_rng(0), 8, 32)
    assert crops.shape == (8, 3, 32, 32) and float(torch.isfinite(crops).float().mean()) > 0.5


def test_crops_are_the_same_in_memory_and_from_the_stack(dataset, tmp_path, monkeypatch):
    known, folder = read_dataset(dataset)
    near = unlabelled_crops.open_unlabelled(known, folder, ("b1", "b3"), Channel(tmp_path))
    monkeypatch.setattr(unlabelled_crops, "MEMORY_BUDGET_BYTES", 1000)
    far = unlabelled_crops.open_unlabelled(known, folder, ("b1", "b3"), Channel(tmp_path))
    assert near.chosen == far.chosen == [0, 2]
    for row, col in ((-8, -8), (10, 20), (70, 100)):
        one, two = near.crop(row, col, 48), far.crop(row, col, 48)
        assert np.allclose(one, two, atol=5e-3, equal_nan=True)


def test_cancel_keeps_the_best_so_far(dataset, tmp_path):
    result = pretrain.run(job(dataset), tmp_path, Listener(tmp_path, cancel_after=2))
    assert result["epochs_run"] == 2 and (tmp_path / "encoder.pt").exists()
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Cancelled):
        pretrain.run(job(dataset), other, Listener(other, cancel_after=0))


def test_the_time_limit_ends_it(dataset, tmp_path):
    channel = Listener(tmp_path)
    result = pretrain.run(job(dataset, epochs=10_000, max_minutes=0.03), tmp_path, channel)
    assert 1 <= result["epochs_run"] < 10_000
    assert channel.epochs[-1]["learning_rate"] < 0.3 * pretrain.LEARNING_RATE


def test_ground_that_is_all_held_out_is_said(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    write_json(dataset, dataclasses.replace(read_json(Dataset, dataset), buffer_px=500))
    with rasterio.open(tmp_path / "data" / "split.tif", "r+") as raster:
        raster.write(np.full((96, 128), 2, dtype=np.uint8), 1)
    with pytest.raises(GeoSegError) as caught:
        pretrain.run(job(dataset), tmp_path, Listener(tmp_path))
    assert caught.value.code == "no_ground"
