"""Beginning from an earlier model: what fits is kept, and its statistics with it."""

import dataclasses

import numpy as np
import pytest
import torch
from recorder import Recorder
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, Dataset, GeoSegError, LabelClass, read_json, write_json
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.models import build, encoder_modules
from geoseg_engine.training import checkpoint, fit, initial_weights, lr_range_test
from geoseg_engine.training.losses import loss_of
from geoseg_engine.training.optimizer import OptimizerSettings
from geoseg_engine.training.trainer import Trainer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset and a model that was trained on its first two bands."""
    folder = tmp_path_factory.mktemp("first")
    dataset = write_dataset(folder / "data")
    write_json(dataset, dataclasses.replace(read_json(Dataset, dataset), fingerprint="one"))
    fit.run(small_job(dataset, bands=("b1", "b2"), epochs=2), folder, Channel(folder))
    return folder


def taken_over(model, bands, classes):
    architecture = {**model.architecture, "bands": len(bands), "classes": len(classes)}
    network = build(architecture).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    text = initial_weights.load_matching_weights(
        network, architecture, [Band(name, "r1") for name in bands], [CLASS[name] for name in classes], model
    )
    return network, before, text


CLASS = {name: LabelClass(0, name) for name in ("background", "scar", "deposit")}


def test_a_new_band_changes_nothing_before_it_is_learned_and_bands_are_found_by_name(place):
    model = read_model(place / "model.onnx")
    old = load_network(place / "model.onnx")
    network, _, text = taken_over(model, ("new", "b2", "b1"), ("background", "scar"))
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network(image), old(image[:, [2, 1]]), atol=1e-5)
    assert "new" in text and "model.onnx" in text


def test_rows_of_classes_are_found_by_name_and_those_of_new_ones_stay_random(place):
    model = read_model(place / "model.onnx")
    old = load_network(place / "model.onnx").state_dict()
    network, before, text = taken_over(model, ("b1", "b2"), ("scar", "deposit", "background"))
    head = network.state_dict()["head.weight"]
    assert torch.equal(head[0], old["head.weight"][1]) and torch.equal(head[2], old["head.weight"][0])
    assert torch.equal(head[1], before["head.weight"][1])
    assert "deposit" in text


def test_other_shapes_and_no_common_band_leave_what_was_there():
    where = initial_weights.Axes(1, None)
    new, old = torch.zeros(4, 2, 3, 3), torch.ones(4, 3, 3, 3)
    assert initial_weights.fit_tensor(new, torch.ones(5, 3, 3, 3), where, {0: 0}, {}) is None
    assert initial_weights.fit_tensor(new, old, where, {}, {}) is None
    assert initial_weights.fit_tensor(new, old, where, {1: 2}, {}).sum(dim=(0, 2, 3)).tolist() == [0.0, 36.0]


def test_the_models_statistics_are_kept_unless_values_are_of_another_kind(place):
    model = read_model(place / "model.onnx")
    old = model.statistics
    middle = old.mean[0] + 0.1 * old.std[0]
    measured = Statistics((5.0, middle, 1e9), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (9.0, 9.0, 9e9))
    bands = [Band("new", "r1"), Band("b1", "r1"), Band("b2", "r1")]
    kept, problems = initial_weights.merge_statistics(model, measured, bands)
    assert kept.mean == (5.0, old.mean[0], 1e9)
    assert kept.std[1] == old.std[0]
    assert [item.code for item in problems] == ["other_values"] and "b2" in problems[0].message


def test_training_goes_on_from_a_model_with_new_polygons(place, tmp_path, unexported):
    dataset = place / "data" / "dataset.json"
    known = read_json(Dataset, dataset)
    write_json(place / "data" / "more.json", dataclasses.replace(known, fingerprint="two"))
    channel = Recorder(tmp_path)
    job = small_job(
        place / "data" / "more.json", start_from=str(place / "model.onnx"), epochs=1, width=0, levels=0
    )
    result = fit.run(job, tmp_path, channel)
    state = checkpoint.load(tmp_path / checkpoint.FILE)
    model = read_model(place / "model.onnx")
    assert state["architecture"] == {**model.architecture, "bands": 3}
    assert state["statistics"]["mean"][:2] == list(model.statistics.mean)
    assert any("Started from model.onnx" in text and "b3" in text for text in channel.texts)
    assert "start_from_other_split" in [item.code for item in result["warnings"]]


def test_a_model_of_another_architecture_is_refused_with_its_name(place, tmp_path):
    job = small_job(
        place / "data" / "dataset.json", start_from=str(place / "model.onnx"), architecture="segnet"
    )
    with pytest.raises(GeoSegError, match="unet") as caught:
        fit.run(job, tmp_path, Recorder(tmp_path))
    assert caught.value.code == "start_from"


def test_a_frozen_encoder_stays_as_it_is_and_moves_after():
    torch.manual_seed(0)
    network = build({"name": "unet", "bands": 2, "classes": 2, "width": 4, "levels": 1, "dropout": 0.0})
    encoder = encoder_modules(network)
    loss = loss_of("ce", [1.0, 1.0])
    some = Trainer(
        network, loss, Precision("float32"), OptimizerSettings(1e-2, 10), 2, frozen=encoder, freeze_epochs=1
    )
    images = torch.randn(2, 2, 16, 16)
    labels = torch.randint(0, 2, (2, 16, 16), dtype=torch.uint8)

    def moved():
        before = {name: value.clone() for name, value in network.state_dict().items()}
        some.step(images, labels)
        return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}

    first = moved()
    assert first and not any(name.startswith("encoder") for name in first)
    some.end_epoch(None)
    second = moved()
    assert {name for name, _ in network.named_parameters()} - second <= {
        name for name in second | set(network.state_dict()) if name.endswith("bias")
    }
    assert any(name.startswith("encoder") and name.endswith("running_mean") for name in second)
    assert any(name.startswith("encoder") and name.endswith("weight") for name in second)


def test_freezing_what_begins_at_random_is_refused_in_words(place, tmp_path, unexported):
    channel = Recorder(tmp_path)
    fit.run(small_job(place / "data" / "dataset.json", freeze_epochs=-1, epochs=1), tmp_path, channel)
    assert any("encoder is not frozen" in text for text in channel.texts)


def test_the_rate_is_where_the_loss_falls_most():
    rates = np.geomspace(1e-5, 1, 60)
    losses = np.where(rates < 1e-2, 1 - 0.8 / (1 + (1e-3 / rates) ** 3), 0.2)
    assert 2e-4 < lr_range_test.steepest_rate(rates, list(losses)) < 5e-3
    assert lr_range_test.steepest_rate(rates, [1.0 + index for index in range(60)]) is None


def test_the_rate_keeps_away_from_where_the_loss_runs_away():
    rates = np.geomspace(1e-5, 1, 60)
    losses = [1 - 0.01 * place for place in range(40)] + [float("nan")]
    assert lr_range_test.steepest_rate(rates, losses) <= 0.1 * rates[40]


def test_a_found_rate_is_used_and_told_and_leaves_the_run_alone(place, tmp_path, unexported):
    channel = Recorder(tmp_path)
    job = small_job(place / "data" / "dataset.json", lr_range_test=True, learning_rate=0.0, epochs=1)
    fit.run(job, tmp_path, channel)
    plan = checkpoint.load(tmp_path / checkpoint.FILE)["plan"]
    assert any("learning rate" in text and f"{plan['learning_rate']:.2g}" in text for text in channel.texts)
    assert 1e-5 < plan["learning_rate"] < 1
