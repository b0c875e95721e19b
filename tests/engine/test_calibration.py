"""Calibration and decision: found on pixels, carried by the model file, the same in torch, ONNX and numpy."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
import torch
from prediction_scenes import grid_of, network, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import GeoSegError, LabelClass, PredictJob
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile import calibration as calibrating
from geoseg_engine.modelfile.calibration import PLAIN, Calibration, Decision, apply_calibration, calibrated
from geoseg_engine.modelfile.decision_weights import decision_weights
from geoseg_engine.modelfile.reading import load_network, onnx_only, read_model
from geoseg_engine.modelfile.validation_data import ValidationData
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.runtimes import selection
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.prediction.runtimes.selection import open_runtime

LEGEND = tuple(LabelClass(place, name) for place, name in enumerate(("forest", "field", "water")))
SOME = Calibration(1.7, (0.3, -0.5, 0.2), (0.2, 1.0, 0.6))


def drawn(shares: np.ndarray, seed: int = 0) -> np.ndarray:
    """Classes drawn with the given probabilities (pixels, classes)."""
    random = np.random.default_rng(seed)
    return (random.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, shares.shape[1] - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("given", [PLAIN, Calibration(2.0), Calibration(0.5, (1.0, 0, -1)), SOME])
def test_numpy_and_torch_give_the_same_output(given):
    logits = np.random.default_rng(0).normal(0, 3, (3, 8, 9)).astype(np.float32)
    by_torch = Decision(given)(torch.from_numpy(logits)[None])[0].numpy()
    by_numpy = apply_calibration(logits, given)
    assert by_numpy.dtype == np.float32 and np.allclose(by_torch, by_numpy, atol=1e-6)
    assert np.allclose(by_numpy.sum(axis=0), 1, atol=1e-6)


def test_calibrated_probabilities_come_back_from_the_output():
    logits = np.random.default_rng(1).normal(0, 3, (3, 50)).astype(np.float32)
    plain = softmax((logits / 1.7 + np.array([[0.3], [-0.5], [0.2]])).T).T
    assert np.allclose(calibrated(apply_calibration(logits, SOME), SOME), plain, atol=1e-6)
    shares = apply_calibration(logits, Calibration(2.0))
    assert calibrated(shares, Calibration(2.0)) is shares


def test_a_known_temperature_and_bias_are_found_and_the_error_falls():
    random = np.random.default_rng(2)
    honest = random.normal(0, 1.5, (60_000, 3))
    bias = np.array([0.8, -0.5, -0.3])
    truth = drawn(softmax(honest + bias))
    found = calibrating.fit((3 * honest).astype(np.float32), truth)
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert np.allclose(found.bias, bias, atol=0.05)
    before, after = found.ece
    assert before > 0.1 and after < 0.01


def test_honest_probabilities_are_left_nearly_as_they_are():
    logits = np.random.default_rng(3).normal(0, 1.5, (60_000, 3))
    found = calibrating.fit(logits, drawn(softmax(logits)))
    assert found.temperature == pytest.approx(1, abs=0.05) and np.abs(found.bias).max() < 0.05


def test_a_class_without_pixels_keeps_its_bias_and_few_pixels_are_no_error():
    logits = np.random.default_rng(4).normal(0, 1, (2000, 3))
    logits[:, 2] -= 3
    truth = drawn(softmax(logits[:, :2]))
    found = calibrating.fit(logits, truth)
    assert found.bias[2] == 0 and abs(found.bias[0] + found.bias[1]) < 1e-5
    assert calibrating.fit(logits[:0], truth[:0]) == PLAIN
    assert calibrating.fit(logits, np.zeros(2000, int)) == PLAIN
    logits[3, 1] = np.nan
    assert calibrating.fit(logits, truth) == PLAIN


@pytest.mark.parametrize("absent", [-1e4, -30.0])
def test_pixels_of_a_class_that_was_never_learned_do_not_shake_the_others(absent):
    logits = np.random.default_rng(9).normal(0, 1.5, (40_000, 2))
    truth = drawn(softmax(logits))
    logits = np.concatenate([2 * logits, np.full((40_000, 1), absent)], axis=1)
    truth[::50] = 2
    found = calibrating.fit(logits.astype(np.float32), truth, learned=[True, True, False])
    assert found.temperature == pytest.approx(2, rel=0.06) and found.bias[2] == 0
    assert found.ece[1] < 0.01 < found.ece[0]


def test_perfect_predictions_stay_finite():
    truth = np.arange(1000) % 2
    logits = np.where(np.eye(2)[truth] > 0, 50.0, -50.0)
    found = calibrating.fit(logits, truth)
    assert np.isfinite([found.temperature, *found.bias]).all() and found.weights == ()


def mean_iou(shares, truth, factors):
    guess = (shares * np.array(factors)[:, None]).argmax(axis=0)
    return np.mean(
        [((guess == k) & (truth == k)).sum() / ((guess == k) | (truth == k)).sum() for k in np.unique(truth)]
    )


def test_the_weight_of_an_object_is_the_threshold_of_the_best_mean_iou():
    logits = np.random.default_rng(5).normal([0, -2.5], 1.5, (80_000, 2))
    shares = softmax(logits).T
    truth = drawn(shares.T)
    weights = decision_weights(shares, truth, np.arange(len(truth)) < 40_000)
    assert max(weights) == 1
    best = max(mean_iou(shares, truth, (1, factor)) for factor in np.exp(np.linspace(-3, 3, 121)))
    plain = mean_iou(shares, truth, (1, 1))
    assert best > plain + 0.01
    assert mean_iou(shares, truth, weights) > plain + 0.8 * (best - plain)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_weak_model_does_not_give_everything_to_the_object(share):
    """The object's own IoU would be highest with all ground given to it, and the background's then 0."""
    random = np.random.default_rng(11)
    truth = (random.random(60_000) < share).astype(int)
    logits = np.stack(
        [np.zeros(60_000), np.log(share / (1 - share)) + random.normal(0.15 * truth, 0.4)], axis=1
    )
    found = calibrating.fit(logits, truth)
    ids = apply_calibration(logits.T, found).argmax(axis=0)
    assert (ids == 1).mean() < 0.6
    plain = apply_calibration(logits.T, PLAIN)
    assert (
        mean_iou(apply_calibration(logits.T, found), truth, (1, 1)) >= mean_iou(plain, truth, (1, 1)) - 1e-9
    )


def test_a_weight_found_on_one_half_must_gain_on_the_other():
    """Where the halves want opposite weights, or one of them lacks the class, probabilities decide."""
    logits = np.random.default_rng(12).normal([0, -2.5], 1.5, (40_000, 2))
    shares = softmax(logits).T
    truth = drawn(shares.T)
    half = np.arange(len(truth)) < 20_000
    assert decision_weights(shares, truth, half)
    opposite = np.where(half, truth, (shares[1] > 0.85).astype(int))
    assert decision_weights(shares, opposite, half) == ()
    assert decision_weights(shares, np.where(half, truth, 0), half) == ()


def test_several_classes_are_weighted_for_their_mean_iou():
    logits = np.random.default_rng(6).normal([1.5, 0, -2], 1.2, (60_000, 3))
    shares = softmax(logits).T
    truth = drawn(shares.T)
    weights = decision_weights(shares, truth, np.arange(len(truth)) < 30_000)
    assert mean_iou(shares, truth, weights) > mean_iou(shares, truth, (1, 1, 1)) + 0.01


def three_classes(rare_px=13):
    """Logits of forest, field and water whose weights would gain, and 13 pixels of water that the model misses."""
    logits = np.random.default_rng(6).normal([1.5, 0, -2], 1.2, (40_000, 3))
    truth = drawn(softmax(logits[:, :2] + [0.0, 1.2]))
    water = np.linspace(0, len(truth) - 1, rare_px).astype(int)
    truth[water] = 2
    logits[water] = np.random.default_rng(1).normal([1.0, 0.5, 0.0], 0.8, (rare_px, 3))
    return logits, truth, water


def test_a_class_of_a_few_pixels_neither_gets_a_weight_nor_sets_those_of_others():
    logits, truth, water = three_classes()
    every = calibrating.fit(logits, truth)
    assert every.bias[2] != 0, "as it was: the few pixels count like any"
    found = calibrating.fit(logits, truth, weighted=(True, True, False))
    assert found.bias[2] == 0 and (found.weights == () or found.weights[2] == 1)
    rest = np.ones(len(truth), bool)
    rest[water] = False
    without = calibrating.fit(logits[rest], truth[rest], weighted=(True, True, False))
    assert np.allclose(found.bias, without.bias, atol=0.01) and found.weights == without.weights


def test_classes_that_are_not_weighted_stay_in_the_middle_of_those_that_are():
    shares = softmax(np.random.default_rng(5).normal([0, -2.5, -4], 1.5, (60_000, 3))).T
    truth = drawn(shares.T)
    half = np.arange(len(truth)) < 30_000
    found = decision_weights(shares, truth, half, weighted=np.array([True, True, False]))
    assert found[2] == 1 and found[0] * found[1] == pytest.approx(1, abs=1e-4) and found[0] < 1 < found[1]
    alone = decision_weights(shares[:2] / shares[:2].sum(axis=0), np.minimum(truth, 1), half)
    assert np.log(found[1] / found[0]) == pytest.approx(np.log(alone[1] / alone[0]), abs=0.5)


@pytest.mark.parametrize("weighted", [(False, False, False), (True, False, False)])
def test_with_fewer_than_two_classes_to_weight_only_the_temperature_is_found(weighted):
    logits, truth, _ = three_classes()
    found = calibrating.fit(2 * logits, truth, weighted=weighted)
    assert not any(found.bias) and found.weights == () and found.temperature > 1.2


def test_the_sentence_says_which_classes_were_left_alone():
    few = ValidationData(9, (5, 6, 1), (2400, 2587, 13))
    text = calibrating.calibration_message(
        Calibration(1.2, (), (0.5, 2.0, 1.0)), LEGEND, few.too_few_objects(LEGEND)
    )
    assert (
        "class weights: forest 0.50, field 2.00, water 1.00" in text and "water (13 pixels, 1 object)" in text
    )
    assert "classes weigh" not in text and text.endswith("needed.")
    little = ValidationData(1, (1, 1, 0), (10, 8, 0))
    assert "18 pixels in 1 separate region" in calibrating.calibration_message(
        PLAIN, LEGEND, little.too_few_regions()
    )
    assert calibrating.calibration_message(PLAIN, LEGEND).endswith("as the model gives them.")


def test_a_weight_that_gains_in_one_half_only_is_not_taken():
    logits = np.random.default_rng(7).normal([0, -2.5], 1.5, (40_000, 2))
    shares = softmax(logits).T
    truth = drawn(shares.T)
    half = np.arange(len(truth)) < 20_000
    truth[~half] = shares[:, ~half].argmax(axis=0)
    assert decision_weights(shares, truth, half) == ()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated")
    grid = grid_of(70, 90)
    recipe = recipe_of(write_raster(folder / "image.tif", scene(70, 90), grid), grid)
    write_model(folder / "plain.onnx", recipe)
    write_model(folder / "model.onnx", recipe, calibration=SOME)
    return folder


def test_the_file_carries_the_calibration_and_an_older_one_has_none(place):
    described = read_model(place / "model.onnx")
    assert described.calibration == SOME
    model = onnx.load(place / "plain.onnx")
    kept = {item.key: item.value for item in model.metadata_props if item.key != "geoseg:calibration"}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, place / "old.onnx")
    assert read_model(place / "old.onnx").calibration.is_identity


def test_torch_onnx_and_numpy_agree_and_loaded_networks_give_logits(place):
    scores = np.random.default_rng(8).normal(0, 1, (2, 16, 24)).astype(np.float32).clip(-2, 2)
    with torch.no_grad():
        logits = load_network(place / "model.onnx")(torch.from_numpy(scores)[None])[0].numpy()
    expected = apply_calibration(logits, SOME)
    for name in ("torch", "onnx"):
        given = open_runtime(place / "model.onnx", name, "cpu").predict_window(scores)
        assert np.abs(given - expected).max() < 1e-5
    plain = OnnxRuntime(place / "plain.onnx").predict_window(scores)
    assert np.allclose(plain, apply_calibration(logits, PLAIN), atol=1e-5)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_classes_follow_the_decision_and_confidence_the_calibration(place, tmp_path, runtime):
    """What Deepness does, the largest output, gives our class raster."""
    job = PredictJob(
        str(place / "model.onnx"),
        output="classes.tif",
        confidence="confidence.tif",
        probability="probability.tif",
        entropy="entropy.tif",
        runtime=runtime,
    )
    predict.run(job, tmp_path, Channel(tmp_path))
    described = read_model(place / "model.onnx")
    image = rasterio.open(place / "image.tif").read()
    from geoseg_engine.modelfile.stats import normalise

    padded = np.zeros((2, 72, 92), np.float32)
    padded[:, :70, :90] = normalise(image, described.statistics)
    session = onnxruntime.InferenceSession(str(place / "model.onnx"), providers=["CPUExecutionProvider"])
    shares = session.run(None, {"image": padded[None]})[0][0][:, :70, :90]
    ids, confidence, probability = (
        rasterio.open(tmp_path / f"{name}.tif").read() for name in ("classes", "confidence", "probability")
    )
    assert (ids[0] == shares.argmax(axis=0)).mean() > 0.999
    known = calibrated(shares, SOME)
    assert np.abs(probability - known).max() < 2e-3  # values are rounded when written
    assert (known.argmax(axis=0) != ids[0]).mean() > 0.05
    chosen = np.take_along_axis(probability, ids.astype(np.int64), axis=0)
    assert np.abs(chosen - confidence).max() < 1e-6


def test_a_model_without_a_network_runs_in_onnx_runtime_alone(place, tmp_path):
    file = tmp_path / "forest.onnx"
    model = onnx.load(place / "plain.onnx")
    values = {item.key: item.value for item in model.metadata_props}
    values["geoseg:architecture"] = json.dumps({"name": "forest", "bands": 2, "classes": 3})
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, values)
    onnx.save(model, file)
    described = read_model(file)
    assert onnx_only(described) and not onnx_only(read_model(place / "plain.onnx"))
    with pytest.raises(GeoSegError) as caught:
        load_network(file)
    assert caught.value.code == "no_network" and "forest" in caught.value.message
    scores = np.zeros((2, 16, 16), np.float32)
    for pixels in (100, 10**9):
        choice = selection.choose_runtime(described, scores, pixels)[0]
        assert choice.runtime.name == "onnx" and choice.runtime.device is CPU and choice.bytes_px > 0
    with pytest.raises(GeoSegError):
        selection.choose_runtime(described, scores, 100, wanted="torch")
    result = predict.run(PredictJob(str(file)), tmp_path, Channel(tmp_path))
    assert result["runtime"].startswith("ONNX")


def test_the_network_of_the_scene_is_the_same_with_and_without(place):
    one, other = network().state_dict(), load_network(place / "model.onnx").state_dict()
    assert torch.equal(one["head.weight"], other["head.weight"])


def test_a_calibration_on_ground_unlike_the_rest_moves_no_class():
    """Water that the model takes for fields: the bias says so, but half of the ground does not."""
    random = np.random.default_rng(0)
    truth = np.zeros(4000, np.int64)
    truth[2000:] = random.integers(0, 2, 2000)
    score = np.where(np.arange(4000) < 2000, 2.0, np.where(truth == 1, 2.0, -2.0)) + random.normal(0, 1, 4000)
    logits = np.stack([-score / 2, score / 2], axis=1)
    found = calibrating.fit(logits, truth, half=np.arange(4000) >= 2000)
    assert found.bias[1] < 0 and found.weights_classes
    classes = apply_calibration(logits.T, found).argmax(axis=0)
    assert (classes == logits.argmax(axis=1)).mean() > 0.95


@pytest.mark.parametrize("right", [0, 1])
def test_a_tie_is_decided_in_the_search_as_on_the_map(right):
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 2000)
    shares = np.where(truth == 1, 0.25, 0.75)
    tied = random.random(2000) < 0.4
    shares[tied], truth[tied] = 0.5, right
    weights = decision_weights(np.stack([shares, 1 - shares]), truth, np.arange(2000) < 1000)
    assert (weights == ()) == (right == 0)
