"""The model file: readable by others, rebuilt by us, and nothing of it lost."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from training_scenes import CLASSES, small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Dataset, DescribeJob, GeoSegError, ProbeJob, read_json, write_json
from geoseg_engine.device.devices import gpus
from geoseg_engine.modelfile import export
from geoseg_engine.modelfile import reading as modelfile
from geoseg_engine.modelfile.calibration import PLAIN, Decision
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.training import checkpoint, fit

FINGERPRINT = "0123456789abcdef"
DEEPNESS = {
    "model_type",
    "class_names",
    "resolution",
    "tile_size",
    "tiles_size",
    "tiles_overlap",
    "standardization_mean",
    "standardization_std",
    "seg_thresh",
    "seg_small_segment",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    dataset = write_dataset(folder / "data")
    write_json(dataset, dataclasses.replace(read_json(Dataset, dataset), fingerprint=FINGERPRINT))
    fit.run(small_job(dataset, epochs=2), folder, Channel(folder))
    return folder


def test_metadata_follow_the_convention(run):
    model = onnx.load(run / "model.onnx")
    found = {item.key: json.loads(item.value) for item in model.metadata_props}
    assert found.keys() >= DEEPNESS
    assert all(key in DEEPNESS or key.startswith("geoseg:") for key in found)
    assert found["class_names"] == {"0": "background", "1": "scar"}
    assert found["resolution"] == pytest.approx(1000, rel=0.01)
    described = modelfile.read_model(run / "model.onnx")
    assert found["standardization_mean"][0] * 255 == pytest.approx(described.statistics.mean[0])
    assert found["standardization_std"][0] * 255 == pytest.approx(described.statistics.std[0])
    assert model.opset_import[0].version == export.OPSET
    assert len(model.graph.input) == len(model.graph.output) == 1


def test_the_model_describes_itself(run):
    described = modelfile.read_model(run / "model.onnx")
    dataset = read_json(Dataset, run / "data" / "dataset.json")
    assert described.recipe == dataset.recipe
    assert described.classes == CLASSES
    assert described.align_px == 4
    assert described.reach_px == 24
    assert described.tile_exact
    assert described.metrics["miou"] > 0
    result = modelfile.run(DescribeJob("model.onnx"), run, Channel(run))
    assert result["bands"] == ["b1", "b2", "b3"]
    assert result["sources"] == [{"key": "r1", "name": "image", "bands": ["b1", "b2", "b3"]}]
    assert result["pixel_size"] == [10, 10]
    assert result["trained"]["best_epoch"] >= 1


def test_the_network_comes_back_bit_for_bit_from_the_file_alone(run):
    best = checkpoint.load(run / checkpoint.FILE)["best"]["weights"]
    rebuilt = modelfile.load_network(run / "model.onnx").state_dict()
    for name, weight in best.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(rebuilt[name], weight), name


def test_the_model_is_calibrated_on_validation_pixels_unless_that_is_refused(run, tmp_path):
    found = modelfile.read_model(run / "model.onnx").calibration
    assert found != PLAIN and found.ece[1] <= found.ece[0]
    dataset = run / "data" / "dataset.json"
    fit.run(small_job(dataset, epochs=1, calibrate=False), tmp_path, Channel(tmp_path))
    assert modelfile.read_model(tmp_path / "model.onnx").calibration == PLAIN


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 44), (2, 64, 8)])
def test_onnx_runtime_agrees_in_any_shape_with_nan_and_outliers(run, shape):
    described = modelfile.read_model(run / "model.onnx")
    network = modelfile.load_network(run / "model.onnx")
    batch, rows, cols = shape
    image = np.random.default_rng(0).normal(0, 3, (batch, 3, rows, cols)).astype(np.float32)
    image[0, 0, 2, 2], image[0, 1, 3, 3] = np.nan, 1e6
    session = onnxruntime.InferenceSession(str(run / "model.onnx"), providers=["CPUExecutionProvider"])
    given = session.run(None, {"image": image})[0]
    low, high = (
        np.asarray(side, np.float32)[None, :, None, None] for side in described.statistics.z_limits()
    )
    clean = torch.from_numpy(np.clip(np.nan_to_num(image, nan=0.0), low, high))
    with torch.no_grad():
        expected = Decision(described.calibration)(network(clean)).numpy()
    assert given.shape == (batch, 2, rows, cols)
    assert np.abs(given - expected).max() < 1e-5
    assert np.allclose(given.sum(axis=1), 1, atol=1e-5)


def test_a_mismatch_leaves_no_model(run, tmp_path, monkeypatch):
    network = modelfile.load_network(run / "model.onnx")
    statistics = modelfile.read_model(run / "model.onnx").statistics
    monkeypatch.setattr(export, "max_difference", lambda *_: float("nan"))
    with pytest.raises(GeoSegError) as caught:
        export.export(network, statistics, {}, [torch.zeros(2, 3, 16, 16)], tmp_path / "model.onnx")
    assert caught.value.code == "export_mismatch"
    assert not list(tmp_path.iterdir())


def test_foreign_broken_and_missing_models_are_named(run, tmp_path):
    (tmp_path / "text.onnx").write_text("this is no model", encoding="utf-8")
    model = onnx.load(run / "model.onnx")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"model_type": '"Detector"'})
    onnx.save(model, tmp_path / "foreign.onnx")
    whole = (run / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("text.onnx", "foreign.onnx", "cut.onnx"):
        with pytest.raises(GeoSegError, match=name) as caught:
            modelfile.read_model(tmp_path / name)
        assert caught.value.code == "not_our_model"
    with pytest.raises(GeoSegError) as caught:
        modelfile.read_model(tmp_path / "nothing.onnx")
    assert caught.value.code == "model_missing"


def test_a_model_without_its_weights_is_not_ours(run, tmp_path):
    model = onnx.load(run / "model.onnx")
    kept = [item for item in model.graph.initializer if item.name != "network.head.weight"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, tmp_path / "thin.onnx")
    with pytest.raises(GeoSegError, match=r"head\.weight"):
        modelfile.load_network(tmp_path / "thin.onnx")


def test_the_fingerprint_of_the_dataset_survives_and_may_be_missing(run, tmp_path):
    assert modelfile.read_model(run / "model.onnx").fingerprint == FINGERPRINT
    assert checkpoint.load(run / checkpoint.FILE)["fingerprint"] == FINGERPRINT
    model = onnx.load(run / "model.onnx")
    kept = {item.key: item.value for item in model.metadata_props if item.key != "geoseg:fingerprint"}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, tmp_path / "old.onnx")
    assert modelfile.read_model(tmp_path / "old.onnx").fingerprint == ""


def test_statistics_survive_the_file(run):
    statistics = modelfile.read_model(run / "model.onnx").statistics
    assert isinstance(statistics, Statistics)
    assert all(isinstance(value, float) for value in statistics.mean)


def test_the_probe_is_honest(tmp_path):
    from geoseg_engine import probe

    result = probe.run(ProbeJob(), tmp_path, Channel(tmp_path))
    assert result["torch"] == torch.__version__
    assert result["providers"][-1] == "CPUExecutionProvider"
    if not gpus():
        assert result["device"] == "cpu"
        assert result["providers"] == ["CPUExecutionProvider"]
    assert isinstance(result["cpu_bf16"], bool)
    assert result["versions"]["numpy"] == np.__version__
