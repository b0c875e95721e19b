"""Validation sees every validation pixel once, as prediction of the whole would."""

import numpy as np
import pytest
import torch
from training_scenes import CLASSES, blobs

from geoseg_engine.contract import ARCHITECTURES, IGNORE, Band, TrainJob
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.models import architecture_of, build, traits
from geoseg_engine.training import plan, scene
from geoseg_engine.training import validate as validation
from geoseg_engine.training.losses import loss_of
from geoseg_engine.training.scene import scene_from_arrays
from geoseg_engine.training.validate import predict_cores, validate

torch.set_num_threads(1)
FLOAT = Precision("float32")


class Silent:
    """A channel on which nobody cancels."""

    def check_cancelled(self):
        pass


def scene_of(rows=70, cols=150):
    image, labels, split = blobs(rows, cols)
    return scene_from_arrays(
        image, labels, split, [Band(f"b{place}", "r1", place) for place in (1, 2, 3)], 2
    )[0]


def network_of(norm):
    torch.manual_seed(0)
    return build(
        {
            "name": "unet",
            "bands": 3,
            "classes": len(CLASSES),
            "width": 4,
            "levels": 2,
            "dropout": 0.1,
            "norm": norm,
        }
    )


def gathered(scene, network, crop_px):
    found = np.full((2, *scene.validation.shape), np.nan, np.float32)
    for core, logits in predict_cores(network, scene, CPU, FLOAT, crop_px=crop_px):
        part = logits[0, :, : found.shape[1] - core.row, : found.shape[2] - core.col].numpy()
        found[:, core.row : core.row + part.shape[1], core.col : core.col + part.shape[2]] = part
    return found


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_answer_does_not_depend_on_how_validation_is_cut(norm, monkeypatch):
    scene, network = scene_of(), network_of(norm)
    whole = gathered(scene, network, 64)
    monkeypatch.setattr(validation, "CORE_PX", 32)
    monkeypatch.setattr(validation, "cores", lambda labels, align: CORES(labels, align, 32))
    parts = gathered(scene, network, 64)
    known = scene.validation != IGNORE
    assert not np.isnan(whole[:, known]).any()
    assert np.allclose(whole[:, known], parts[:, known], atol=1e-5)


CORES = validation.cores


def test_a_window_as_large_as_the_scene_is_the_scene():
    scene, network = scene_of(64, 64), network_of("group").eval()
    found = gathered(scene, network, 64)
    with torch.no_grad():
        expected = network(scene.image.read(0, 0, 64, 64)[None])[0].softmax(0).numpy()
    known = scene.validation != IGNORE
    assert np.allclose(np.exp(found[:, known]), expected[:, known], atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_validation_pixel_is_counted_once(norm):
    scene = scene_of()
    loss = loss_of("ce", [1.0, 1.0])
    verdict = validate(network_of(norm), scene, loss, CPU, FLOAT, Silent(), crop_px=64)
    assert verdict.matrix.sum() == (scene.validation != IGNORE).sum()
    assert verdict.loss > 0


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "zoo"])
def test_as_much_ground_is_read_as_a_network_of_usual_depth_sees(name):
    """Else validation would see zeros where prediction sees the raster."""
    job = TrainJob("d", architecture=name)
    for levels in (plan.LEVELS, plan.BEST_LEVELS):
        made = architecture_of(job, width=4, levels=levels, dropout=0.0, bands=1, classes=2)
        assert traits(build(made)).reach_px <= scene.padding(0, 0)
