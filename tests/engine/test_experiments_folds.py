"""The job `crossvalidate`: every labelled pixel judged once by a network that has not seen it; one joint model."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from recorder import Recorder
from training_scenes import small_job, write_dataset

from geoseg_engine.contract import (
    CrossValidateJob,
    Dataset,
    EvaluateJob,
    GeoSegError,
    read_json,
    write_json,
)
from geoseg_engine.evaluation import evaluate
from geoseg_engine.experiments import crossvalidate
from geoseg_engine.experiments.crossvalidate import folds_of, t_interval
from geoseg_engine.experiments.ensemble import joint, joint_weights
from geoseg_engine.modelfile.calibration import Calibration, calibrated
from geoseg_engine.modelfile.export import Exported
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stats import Statistics, normalise
from geoseg_engine.models.ensemble import Member
from geoseg_engine.training import fit

torch.set_num_threads(1)


def write_folds(folder, folds=3):
    """A dataset with folds that are columns of it: each tests one third and validates the next."""
    path = write_dataset(folder)
    dataset = read_json(Dataset, path)
    for number in range(1, folds + 1):
        home = folder / "folds" / str(number)
        home.mkdir(parents=True)
        shutil.copy(folder / "labels.tif", home)
        with rasterio.open(folder / "split.tif") as raster:
            profile, split = raster.profile, np.zeros(raster.shape, np.uint8)
        parts = np.array_split(np.arange(split.shape[1]), folds)
        split[:, parts[number - 1]] = 2
        split[:, parts[number % folds]] = 1
        with rasterio.open(home / "split.tif", "w", **profile) as raster:
            raster.write(split, 1)
        write_json(home / "dataset.json", replace(dataset, fingerprint=f"fold {number}"))
    return path


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    path = write_folds(folder / "data")
    job = CrossValidateJob(small_job(path, epochs=2), output="out")
    channel = Recorder(folder)
    return crossvalidate.run(job, folder, channel), channel, folder, job


def test_every_labelled_pixel_is_judged_once(crossed):
    result, _, folder, _ = crossed
    with rasterio.open(folder / "data" / "labels.tif") as raster:
        labelled = int((raster.read(1) != 255).sum())
    assert result["pixels"] == labelled == np.sum(result["confusion"])
    assert [row["fold"] for row in result["folds"]] == [1, 2, 3]
    assert sum(row["pixels"] for row in result["folds"]) == labelled
    assert result["foreground_iou"] > 0.5
    low, high = result["intervals"]["foreground_iou"]
    assert low < result["foreground_iou"] < high and len(result["intervals"]["per_class"]) == 2
    saved = json.loads((folder / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert saved["confusion"] == result["confusion"] and saved["own_split"]
    assert "none of them used for training" in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_progress_counts_folds(crossed):
    _, channel, _, _ = crossed
    progress = channel.of("progress")
    assert {item["phase"] for item in progress} == {"folds"} and progress[-1]["done"] == 3


def test_the_joint_model_is_the_mean_of_the_folds_calibrated_probabilities(crossed):
    result, _, folder, _ = crossed
    whole = read_model(result["model"])
    with rasterio.open(folder / "data" / "image.tif") as raster:
        image = raster.read()[:, :48, :64]
    found = []
    for row in result["folds"]:
        part = read_model(f"{row['folder']}/model.onnx")
        module = Exported(load_network(part.path), part.statistics, part.calibration).eval()
        scores = torch.from_numpy(normalise(image, part.statistics))[None]
        with torch.no_grad():
            found.append(calibrated(module(scores)[0].numpy(), part.calibration))
    assert len({read_model(f"{row['folder']}/model.onnx").statistics for row in result["folds"]}) == 3
    module = Exported(load_network(whole.path), whole.statistics, whole.calibration).eval()
    with torch.no_grad():
        joint_output = module(torch.from_numpy(normalise(image, whole.statistics))[None])[0].numpy()
    np.testing.assert_allclose(calibrated(joint_output, whole.calibration), np.mean(found, axis=0), atol=1e-5)
    weights = [
        read_model(f"{row['folder']}/model.onnx").calibration.weights or (1.0, 1.0) for row in result["folds"]
    ]
    ratios = [second / first for first, second in weights]
    own = whole.calibration.weights or (1.0, 1.0)
    assert own[1] / own[0] == pytest.approx(np.exp(np.mean(np.log(ratios))), rel=1e-4)


def test_the_joint_decision_is_the_geometric_mean_of_the_folds():
    class File:
        classes = (0, 1)

        def __init__(self, *weights):
            self.calibration = Calibration(weights=weights)

    assert joint_weights([File(), File()]) == ()
    assert joint_weights([File(0.25, 1.0), File()]) == (0.5, 1.0)
    assert joint_weights([File(0.5, 1.0), File(1.0, 0.5)]) == (1.0, 1.0)


def test_the_joint_model_says_that_no_ground_is_unseen(crossed, tmp_path):
    result, _, folder, _ = crossed
    judged = evaluate.run(
        EvaluateJob(str(folder / "data" / "dataset.json"), result["model"]), tmp_path, Recorder(tmp_path)
    )
    assert not judged["own_split"] and "other_split" in {item.code for item in judged["warnings"]}
    assert read_model(result["model"]).metrics["foreground_iou"] == result["foreground_iou"]


def test_finished_folds_are_kept(crossed, monkeypatch):
    result, _, folder, job = crossed
    monkeypatch.setattr(fit, "run", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(crossvalidate, "write_ensemble", lambda *_: None)
    again = crossvalidate.run(job, folder, Recorder(folder))
    assert again["confusion"] == result["confusion"]


def test_a_dataset_without_folds_is_told_what_to_do(tmp_path):
    path = write_dataset(tmp_path / "data")
    with pytest.raises(GeoSegError, match="blobs") as caught:
        crossvalidate.run(CrossValidateJob(small_job(path)), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "no_folds" and "folds" in caught.value.hint
    dataset = read_json(Dataset, path)
    for number in (10, 9):
        (tmp_path / "data" / "folds" / str(number)).mkdir(parents=True)
        (tmp_path / "data" / "folds" / str(number) / "dataset.json").touch()
    assert [item.parent.name for item in folds_of(dataset, tmp_path / "data")] == ["9", "10"]


def test_intervals_are_students():
    low, high = t_interval(0.5, [0.4, 0.5, 0.6, None])
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert t_interval(0.9, [0.5, 0.99]) == [0.0, 1.0]
    assert t_interval(None, [0.5, 0.6]) is None and t_interval(0.5, [0.5]) is None


def test_joint_statistics_hold_every_members_limits():
    parts = [Statistics((1.0,), (2.0,), (-3.0,), (4.0,)), Statistics((3.0,), (4.0,), (-1.0,), (9.0,))]
    assert joint(parts) == Statistics((2.0,), (3.0,), (-3.0,), (9.0,))


def test_a_member_sees_its_own_scores():
    class Same(torch.nn.Module):
        reach_px, align_px, tile_exact = 0, 1, True

        def forward(self, image):
            return image

    member = Member(Same(), 2, 2)
    image = torch.randn(1, 2, 3, 3)
    assert torch.equal(member(image), image)
    member.set_scales([2.0, 1.0], [1.0, 0.0], [-1.0, -9.0], [1.0, 9.0])
    member.set_calibration(0.5, [0.0, 1.0])
    expected = torch.stack([(2 * image[:, 0] + 1).clamp(-1, 1) * 0.5, image[:, 1] * 0.5 + 1], dim=1)
    assert torch.allclose(member(image), expected)
