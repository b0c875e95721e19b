"""Baselines: the same pixels as networks, one model file, the same answers as scikit-learn and the formulae."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
import torch
from scipy.stats import multivariate_normal
from training_scenes import CLASSES, write_dataset

from geoseg_engine.baselines import fit, forest, forest_onnx, spectral_fit, time_estimate
from geoseg_engine.baselines.features import features
from geoseg_engine.baselines.importance import MAX_PREDICTIONS, PIXELS, PIXELS_MIN, scored_pixels
from geoseg_engine.baselines.pixels import Samples, pixels_per_class
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    IGNORE,
    Band,
    EvaluateJob,
    ForestJob,
    GeoSegError,
    PredictJob,
    Recipe,
    Source,
)
from geoseg_engine.dataset.datasets import read_dataset
from geoseg_engine.dataset.subset import subset_recipe
from geoseg_engine.evaluation import evaluate
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.modelfile.validation_data import count_validation
from geoseg_engine.models.spectral import MaximumLikelihood, SpectralAngle
from geoseg_engine.models.texture import FLOOR, Texture
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.runtimes.selection import choose_runtime

ENGINE = Path(__file__).parents[2] / "training"
BANDS = 3
FLAT = Statistics((0.0,) * BANDS, (1.0,) * BANDS, (-4.0,) * BANDS, (4.0,) * BANDS)


def channel(folder):
    return Channel(folder, io.StringIO())


def run(folder, dataset, **changes):
    job = ForestJob(**{"dataset": str(dataset), "trees": 12, "pixels": 2000, **changes})
    folder.mkdir(exist_ok=True)
    return fit.run(job, folder, channel(folder))


def pixels(count, classes, seed=0):
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, count).astype(np.uint8)
    values = random.normal(0, 1, (count, BANDS)).astype(np.float32)
    values[:, 0] += truth
    return values, truth


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset and one model of every method."""
    folder = tmp_path_factory.mktemp("baselines")
    dataset = write_dataset(folder / "data")
    texture = {"forest": (3,), "maximum_likelihood": (3,), "spectral_angle": (3,), "fast": ()}
    return dataset, {
        name: run(folder / name, dataset, method=name, texture_px=px) for name, px in texture.items()
    }


@pytest.mark.parametrize("method", ["forest", "maximum_likelihood", "spectral_angle", "fast"])
def test_a_baseline_learns_and_is_evaluated_and_predicted_like_a_network(made, tmp_path, method):
    dataset, results = made
    result = results[method]
    assert result["scores"]["per_class"][1]["iou"] > (0.5 if method == "spectral_angle" else 0.75)
    judged = evaluate.run(EvaluateJob(str(dataset), result["model"]), tmp_path, channel(tmp_path))
    assert judged["foreground_iou"] > 0.4
    job = PredictJob(result["model"], confidence="c.tif", probability="p.tif", core_px=32)
    predict.run(job, tmp_path, channel(tmp_path))
    whole = PredictJob(
        result["model"], output="w.tif", confidence="wc.tif", probability="wp.tif", core_px=512
    )
    predict.run(whole, tmp_path, channel(tmp_path))
    for one, other in (("classes.tif", "w.tif"), ("c.tif", "wc.tif"), ("p.tif", "wp.tif")):
        with rasterio.open(tmp_path / one) as first, rasterio.open(tmp_path / other) as second:
            np.testing.assert_array_equal(first.read(), second.read())


def test_the_model_file_says_what_it_is(made):
    _, results = made
    model = read_model(results["forest"]["model"])
    assert model.architecture["name"] == "forest"
    assert (model.reach_px, model.align_px, model.tile_exact) == (1, 1, True)
    assert [band.name for band in model.recipe.bands] == ["b1", "b2", "b3"]
    assert model.trained["settings"]["method"] == "forest"
    with pytest.raises(GeoSegError) as caught:
        load_network(model.path)
    assert caught.value.code == "no_network"


def test_a_forest_with_damaged_trees_is_named(made, tmp_path):
    _, results = made
    whole = Path(results["forest"]["model"]).read_bytes()
    (tmp_path / "model.onnx").write_bytes(whole.replace(b"TreeEnsemble", b"TreeEnsembl?"))
    with pytest.raises(GeoSegError, match="cannot read its trees") as caught:
        choose_runtime(read_model(tmp_path / "model.onnx"), np.zeros((BANDS, 8, 8), np.float32), 64)
    assert caught.value.code == "not_our_model"


def test_importance_finds_the_bands_that_tell_the_classes_apart(made):
    _, results = made
    rows = {row["name"]: row for row in results["forest"]["importance"]["bands"]}
    assert rows["b1"]["permutation"] > rows["b3"]["permutation"] + 0.05
    assert rows["b1"]["impurity"] > rows["b3"]["impurity"]
    assert sum(row["impurity"] for row in rows.values()) == pytest.approx(1, abs=1e-4)
    assert results["spectral_angle"]["importance"]["bands"][0]["impurity"] is None


def test_importance_asks_for_no_more_answers_with_hundreds_of_bands():
    assert scored_pixels(50_000, 4) == PIXELS
    assert scored_pixels(50_000, 100) == MAX_PREDICTIONS // 100
    assert scored_pixels(50_000, 1000) == PIXELS_MIN
    assert scored_pixels(100, 1000) == 100 and scored_pixels(0, 3) == 0


@pytest.mark.parametrize("search", [False, True])
def test_the_same_seed_gives_the_same_model(tmp_path, search):
    dataset = regional(tmp_path / "data")
    first, second = (run(tmp_path / name, dataset, search=search) for name in "ab")
    assert first["scores"] == second["scores"] and first["settings"] == second["settings"]
    image = np.random.default_rng(0).normal(0, 1, (1, 3, 20, 20)).astype(np.float32)
    made = [
        onnxruntime.InferenceSession(one["model"]).run(None, {"image": image})[0] for one in (first, second)
    ]
    np.testing.assert_array_equal(*made)


def test_a_dry_run_writes_nothing(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    result = run(tmp_path / "out", dataset, dry_run=True, texture_px=(5,))
    assert result["facts"]["reach_px"] == 2
    assert "9 features" in result["reasons"][0]
    assert [path for path in (tmp_path / "out").iterdir() if path.suffix in (".onnx", ".json")] == []


def test_bands_are_taken_by_name(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    result = run(tmp_path / "out", dataset, bands=("b3", "b1"), search=False)
    assert [band.name for band in read_model(result["model"]).recipe.bands] == ["b1", "b3"]
    with pytest.raises(GeoSegError, match="no band b9"):
        run(tmp_path / "out", dataset, bands=("b9",))


def test_what_an_expression_needs_stays_in_the_recipe():
    grid = None
    bands = (Band("red", "r", 1), Band("nir", "r", 2), Band("dem", "d"))
    index = Band("ndvi", derive="expression", inputs={"a": "nir", "b": "red"})
    recipe = Recipe((Source("r", "r.tif", "r"), Source("d", "d.tif", "d")), (*bands, index), grid)  # type: ignore[arg-type]
    part = subset_recipe(recipe, ["ndvi", "red"])
    assert [band.name for band in part.bands] == ["red", "ndvi"]
    assert [band.name for band in part.intermediates] == ["nir"]
    assert [source.key for source in part.sources] == ["r"]


def test_cancel_stops_between_trees(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    stopped = []

    def stop(done):
        stopped.append(done)
        raise KeyboardInterrupt

    values, truth = pixels(100, 2)
    with pytest.raises(KeyboardInterrupt):
        forest.grow(forest.Settings(40, 0, 1, 1), values, truth, 0, stop)
    assert stopped == [0]
    assert json.loads(dataset.read_text(encoding="utf-8"))["name"] == "blobs"


@pytest.mark.parametrize(("classes", "leaf"), [(2, 1), (2, 7), (5, 1), (5, 4)])
def test_the_graph_gives_what_scikit_learn_gives(classes, leaf):
    values, truth = pixels(1500, classes)
    grown = forest.grow(forest.Settings(23, 0, 2, leaf), values, truth, 1)
    model = forest_onnx.forest_graph(grown, FLAT, (), classes, Calibration())
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = np.random.default_rng(5).normal(0, 1, (2, BANDS, 31, 17)).astype(np.float32)
    given = session.run(None, {"image": image})[0]
    expected = grown.predict_proba(image.transpose(0, 2, 3, 1).reshape(-1, BANDS))
    np.testing.assert_allclose(given.transpose(0, 2, 3, 1).reshape(-1, classes), expected, atol=1e-6)
    gap = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0]
    ids = given.argmax(axis=1).ravel()
    clear = (gap == 0) | (gap > 1e-9)
    np.testing.assert_array_equal(ids[clear], expected.argmax(axis=1)[clear])


MEMORY = """
import resource, sys
import numpy as np
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
runtime = OnnxRuntime(sys.argv[1], of_trees=True)
image = np.zeros((3, 800, 800), np.float32)
runtime.predict_window(image[:, :8, :8])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
runtime.predict_window(image)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / image[0].size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="getrusage counts in other units or is not there")
def test_trees_are_added_up_one_after_the_other(tmp_path):
    values, truth = pixels(300, 5)
    grown = forest.grow(forest.Settings(60, 3, 1, 1), values, truth, 1)
    onnx.save(forest_onnx.forest_graph(grown, FLAT, (), 5, Calibration()), tmp_path / "model.onnx")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "model.onnx")]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ENGINE, encoding="utf-8")
    assert float(made.stdout) < 400, "bytes a pixel; the answers of 60 trees at once would be 960"


def test_thresholds_compare_as_in_scikit_learn():
    thresholds = np.array([0.1, 1 / 3, -0.1, 1.0, 1e-9, np.pi])
    found = forest_onnx.round_down(thresholds)
    assert (found.astype(np.float64) <= thresholds).all()
    assert (np.nextafter(found, np.float32(np.inf)).astype(np.float64) > thresholds).all()


def test_a_class_without_pixels_gets_nothing():
    values, truth = pixels(400, 2)
    grown = forest.grow(forest.Settings(5, 3, 1, 1), values, np.where(truth == 1, 2, 0).astype(np.uint8), 1)
    session = onnxruntime.InferenceSession(
        forest_onnx.forest_graph(grown, FLAT, (), 4, Calibration()).SerializeToString()
    )
    given = session.run(None, {"image": np.zeros((1, BANDS, 4, 4), np.float32)})[0]
    assert (given[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_tree_may_be_a_single_leaf(classes):
    values, truth = pixels(60, classes)
    grown = forest.grow(forest.Settings(3, 0, 1, 40), values, truth, 1)
    assert [tree.tree_.node_count for tree in grown.estimators_] == [1, 1, 1]
    model = forest_onnx.forest_graph(grown, FLAT, (), classes, Calibration())
    onnx.checker.check_model(model)
    given = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {"image": np.zeros((1, BANDS, 2, 2), np.float32)}
    )[0]
    np.testing.assert_allclose(given[0, :, 0, 0], grown.predict_proba(np.zeros((1, BANDS)))[0], atol=1e-6)


def test_calibration_is_part_of_the_graph():
    values, truth = pixels(800, 3)
    grown = forest.grow(forest.Settings(9, 0, 1, 3), values, truth, 1)
    how = Calibration(1.7, (0.2, -0.5, 0.3), (1.0, 0.4, 0.7))
    image = np.random.default_rng(2).normal(0, 1, (1, BANDS, 9, 9)).astype(np.float32)
    plain, made = (
        onnxruntime.InferenceSession(
            forest_onnx.forest_graph(grown, FLAT, (), 3, one).SerializeToString()
        ).run(None, {"image": image})[0][0]
        for one in (Calibration(), how)
    )
    from geoseg_engine.modelfile.calibration import apply_calibration

    np.testing.assert_allclose(made, apply_calibration(forest_onnx.logits(plain), how), atol=1e-5)


def test_texture_is_mean_and_deviation_of_the_pixels_inside():
    scores = np.random.default_rng(0).normal(0, 1, (2, 9, 11)).astype(np.float32)
    made = features(scores, Texture((3, 5)))
    assert made.shape == (10, 9, 11)
    for place, half in ((0, 1), (1, 2)):
        part = scores[1, max(4 - half, 0) : 5 + half, max(0 - half, 0) : 1 + half]
        assert made[2 + 4 * place + 1, 4, 0] == pytest.approx(part.mean(), abs=1e-6)
        assert made[4 + 4 * place + 1, 4, 0] == pytest.approx(np.sqrt(part.var() + FLOOR), abs=1e-5)


def test_the_graph_computes_the_same_texture():
    values, truth = pixels(300, 2)
    wide = np.concatenate([values] * 5, axis=1)
    grown = forest.grow(forest.Settings(3, 0, 3, 1), wide, truth, 1)
    model = forest_onnx.forest_graph(grown, FLAT, (3, 7), 2, Calibration())
    from onnx import TensorProto, helper

    model.graph.output.append(helper.make_tensor_value_info(forest_onnx.FEATURES, TensorProto.FLOAT, None))
    image = np.random.default_rng(3).normal(0, 1, (1, BANDS, 12, 10)).astype(np.float32)
    given = onnxruntime.InferenceSession(model.SerializeToString()).run(
        [forest_onnx.FEATURES], {"image": image}
    )[0]
    expected = features(image[0], Texture((3, 7))).reshape(15, -1).T
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_maximum_likelihood_is_that_of_gaussians():
    values, truth = pixels(5000, 3)
    network = MaximumLikelihood(BANDS, 4).eval()
    spectral_fit.fit_gaussians(network, values, truth)
    with torch.no_grad():
        logits = network(torch.from_numpy(values[:50].T.reshape(1, BANDS, 5, 10)))[0].reshape(4, -1).numpy()
    for index in range(3):
        rows = values[truth == index].astype(np.float64)
        expected = multivariate_normal.logpdf(values[:50], rows.mean(0), spectral_fit.shrunk_covariance(rows))
        constant = 0.5 * BANDS * np.log(2 * np.pi)
        np.testing.assert_allclose(logits[index], expected + constant, rtol=1e-4, atol=1e-3)
    assert (logits[3] < -1000).all()


def test_one_covariance_for_all_classes_is_linear_discriminant_analysis():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    values, truth = pixels(5000, 3)
    network = MaximumLikelihood(BANDS, 3).eval()
    spectral_fit.fit_gaussians(network, values, truth, pooling=1.0)
    analysis = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(values, truth)
    same = spectral_fit.pixel_logits(network, values).argmax(axis=1) == analysis.predict(values)
    assert same.mean() > 0.99  # shrinking moves a few that lie on the border


def test_few_pixels_of_many_bands_still_give_a_covariance():
    rows = np.random.default_rng(0).normal(0, 1, (6, 20))
    values = np.linalg.eigvalsh(spectral_fit.shrunk_covariance(rows))
    assert values.min() >= spectral_fit.RIDGE / 2
    many = np.random.default_rng(0).normal(0, 1, (50_000, 4)) @ np.array(
        [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.9], [0, 0, 0, 1]]
    )
    found = spectral_fit.shrunk_covariance(many) - spectral_fit.RIDGE * np.eye(4)
    np.testing.assert_allclose(found, np.cov(many.T), atol=1e-3)


def test_the_spectral_angle_does_not_see_brightness():
    statistics = Statistics((10.0, 20.0, 5.0), (2.0, 5.0, 1.0), (0.0,) * 3, (99.0,) * 3)
    raw = np.abs(pixels(400, 2)[0]) + 1
    truth = (raw[:, 0] > raw[:, 1]).astype(np.uint8)
    mean, std = np.array(statistics.mean), np.array(statistics.std)
    network = SpectralAngle(BANDS, 2).eval()
    spectral_fit.fit_angles(
        network, ((raw - mean) / std).astype(np.float32), truth, spectral_fit.origin(statistics, ())
    )
    answers = []
    for light in (1.0, 2.5):
        scores = ((raw * light - mean) / std).astype(np.float32)
        with torch.no_grad():
            answers.append(network(torch.from_numpy(scores.T[None, :, :, None]))[0].numpy())
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-3, atol=1e-3)
    assert (answers[0][:, :, 0].argmax(axis=0) == truth).mean() > 0.7


def test_pixels_are_shared_evenly_and_small_classes_leave_their_part():
    assert pixels_per_class(np.array([1000, 10, 1000]), 310).tolist() == [150, 10, 150]
    assert pixels_per_class(np.array([5, 0, 3]), 100).tolist() == [5, 0, 3]
    assert pixels_per_class(np.array([50, 50, 50]), 2).sum() == 2
    assert len(CLASSES) == 2


def regional(folder):
    """A dataset whose validation data are four separate regions, enough to choose settings by."""
    path = write_dataset(folder)
    with rasterio.open(folder / "split.tif", "r+") as raster:
        split = raster.read(1)
        between = (np.arange(len(split)) // 8 % 3 == 2)[:, None]
        raster.write(np.where((split == 1) & between, 255, split).astype(np.uint8), 1)
    return path


def logged(dataset, folder, **changes):
    """Events of a fit."""
    folder.mkdir()
    events = io.StringIO()
    job = ForestJob(str(dataset), **{"trees": 30, "pixels": 1000, **changes})
    result = fit.run(job, folder, Channel(folder, events))
    return result, [json.loads(line) for line in events.getvalue().splitlines()]


def test_search_is_told_and_judged_on_validation(tmp_path):
    _, events = logged(regional(tmp_path / "data"), tmp_path / "out")
    texts = [item["text"] for item in events if item["type"] == "log"]
    assert any(text.startswith("Search: 8 settings with 4 trees each") and "IoU" in text for text in texts)
    phases = [item["phase"] for item in events if item["type"] == "progress"]
    assert {"searching", "growing trees"} <= set(phases)


def test_the_time_is_said_before_the_search(tmp_path):
    dataset = regional(tmp_path / "data")
    _, events = logged(dataset, tmp_path / "out")
    said = next(number for number, item in enumerate(events) if item.get("text", "").startswith("About "))
    assert "the search, 30 trees" in events[said]["text"]
    assert said < min(number for number, item in enumerate(events) if item.get("phase") == "searching")
    plan, _ = logged(dataset, tmp_path / "plan", dry_run=True)
    assert plan["expected_s"] > 0 and plan["reasons"][1].startswith("About ")
    plan, _ = logged(dataset, tmp_path / "other", dry_run=True, method="maximum_likelihood")
    assert plan["expected_s"] is None and len(plan["reasons"]) == 1


def test_more_work_is_expected_to_take_longer():
    known = time_estimate.Speed(0.1, 1e-6, time_estimate.PROBE_PX)

    def seconds(train=20_000, validation=10_000, bands=7, features=7, **changes):
        job = ForestJob("", **changes)
        settings = forest.first_settings(job, features, train, 2)
        return time_estimate.seconds(job, settings, known, train, validation, (bands, features))

    usual = seconds()
    assert usual > seconds(search=False) > seconds(search=False, trees=10)
    assert seconds(train=40_000) > usual > seconds(validation=0)
    assert seconds(train=400_000) == seconds(train=40_000), "a tree draws no more pixels"
    assert [time_estimate.rounded_time(value) for value in (3.4, 24, 52, 100)] == [
        "3 s",
        "20 s",
        "50 s",
        "2 min",
    ]


class Counted:
    """Stands in for `forest.grow`; `scored` gives every leaf size its score."""

    def __init__(self, monkeypatch, scored):
        self.grown = []
        monkeypatch.setattr(forest, "grow", self.grow)
        monkeypatch.setattr(forest, "evaluate", lambda grown, *given: scored(grown))

    def grow(self, settings, values, truth, seed, grown_before=None):
        assert grown_before is None or (grown_before.leaf, grown_before.features) == (
            settings.leaf,
            settings.features,
        )
        self.grown.append(settings)
        return settings


def samples(count=200, validation=100):
    values, truth = pixels(count, 2)
    return Samples(
        values, truth, values[:validation], truth[:validation], [count, count], validation, FLAT, []
    )


def searched(tmp_path, job, given=None):
    given = given or samples()
    start = forest.first_settings(job, BANDS, len(given.train), 2)
    return forest.search(job, given, CLASSES, start, channel(tmp_path))


def test_losers_are_dropped_after_a_few_trees_and_the_winner_keeps_its_own(monkeypatch, tmp_path):
    counted = Counted(monkeypatch, lambda settings: 0.5 + settings.leaf / 100 + settings.features / 1000)
    best = searched(tmp_path, ForestJob(""))
    few, more = forest.ROUNDS
    start = forest.first_settings(ForestJob(""), BANDS, 200, 2)
    entrants = len(forest.candidates(ForestJob(""), start, BANDS))
    assert [one.trees for one in counted.grown] == [few] * entrants + [more] * -(-entrants // forest.KEPT)
    assert best.settings.leaf == max(forest.LEAVES) and best.forest.trees == more
    left = [(one.leaf, one.features) for one in counted.grown[entrants:]]
    assert left[0] == (start.leaf, start.features), "the first settings stay, to be compared with"
    assert {leaf for leaf, _ in left[1:]} == {max(forest.LEAVES)}


def test_the_search_ends_where_nothing_is_to_be_gained(monkeypatch, tmp_path):
    counted = Counted(monkeypatch, lambda settings: 0.7 - abs(settings.leaf - forest.FIRST_LEAF))
    best = searched(tmp_path, ForestJob("", features=2))
    assert {one.trees for one in counted.grown} == {forest.ROUNDS[0]}
    assert (best.settings.leaf, best.settings.features) == (forest.FIRST_LEAF, 2)


def test_a_gain_that_may_be_luck_changes_nothing(monkeypatch, tmp_path):
    for gain, leaf in ((forest.GAIN * 0.9, forest.FIRST_LEAF), (forest.GAIN * 1.1, 30)):
        Counted(monkeypatch, lambda settings, gain=gain: 0.5 + gain * (settings.leaf == 30))
        assert searched(tmp_path, ForestJob("")).settings.leaf == leaf


@pytest.mark.parametrize("named", [{"depth": 5}, {"features": 3}, {"trees": 3}, {"depth": 4, "features": 2}])
def test_the_search_keeps_what_the_job_names(monkeypatch, tmp_path, named):
    counted = Counted(monkeypatch, lambda settings: 1 / settings.leaf)
    best = searched(tmp_path, ForestJob("", **named))
    for key in set(named) - {"trees"}:
        assert {getattr(one, key) for one in counted.grown} == {named[key]}
    assert max(one.trees for one in counted.grown) <= named.get("trees", max(forest.ROUNDS))
    assert best.settings.trees == named.get("trees", forest.TREES)


@pytest.mark.parametrize("without", ["validation", "search", "regions"])
def test_nothing_is_searched_without_enough_validation_pixels_or_wish(monkeypatch, tmp_path, without):
    path = (write_dataset if without == "regions" else regional)(tmp_path / "data")
    if without == "validation":
        with rasterio.open(tmp_path / "data" / "split.tif", "r+") as raster:
            split = raster.read(1)
            raster.write(np.where(split == 1, 255, split).astype(np.uint8), 1)
    monkeypatch.setattr(forest, "search", lambda *given: pytest.fail("searched"))
    result, events = logged(path, tmp_path / "out", search=without != "search")
    assert result["settings"]["leaf"] == forest.FIRST_LEAF
    said = [item["text"] for item in events if item.get("text", "").startswith("No search")]
    assert len(said) == (without == "regions")
    plan, _ = logged(path, tmp_path / "plan", search=without != "search", dry_run=True)
    assert [item for item in plan["reasons"] if item.startswith("No search")] == said


def test_features_are_computed_once_however_long_the_search(monkeypatch, tmp_path):
    calls = {True: 0, False: 0}
    for search in calls:

        def counted(scores, texture, search=search):
            calls[search] += 1
            return features(scores, texture)

        monkeypatch.setattr("geoseg_engine.baselines.features.features", counted)
        run(tmp_path / str(search), regional(tmp_path / "data"), search=search, texture_px=(3,))
    assert calls[True] == calls[False] == 1, "one window, whose train and validation pixels are taken at once"


def test_trees_that_were_grown_for_the_search_are_those_of_the_forest():
    values, truth = pixels(600, 3)
    settings = forest.Settings(30, 0, 2, 3)
    begun = forest.grow(replace(settings, trees=4), values, truth, 1)
    begun = forest.grow(replace(settings, trees=12), values, truth, 1, grown_before=begun)
    grown, whole = (
        forest.grow(settings, values, truth, 1, grown_before=begun),
        forest.grow(settings, values, truth, 1),
    )
    made = [forest.probabilities(one, values, 3) for one in (grown, whole)]
    np.testing.assert_array_equal(*made)
    np.testing.assert_allclose(made[0], whole.predict_proba(values), atol=1e-12)


@pytest.mark.parametrize(("classes", "each"), [(2, 1), (2, 10), (20, 5), (20, 10)])
def test_a_forest_of_few_pixels_tells_classes_apart(classes, each):
    truth = np.repeat(np.arange(classes, dtype=np.uint8), each)
    values = (10 * truth[:, None] + np.zeros(BANDS)).astype(np.float32)
    settings = forest.first_settings(ForestJob("", trees=40), BANDS, len(truth), classes)
    grown = forest.grow(settings, values, truth, 0)
    assert (forest.probabilities(grown, values, classes).argmax(1) == truth).all()


def test_leaves_are_smaller_only_where_pixels_are_few():
    leaves = [forest.first_settings(ForestJob(""), BANDS, pixels, 2).leaf for pixels in (2, 30, 100, 200_000)]
    assert leaves == [1, 3, forest.FIRST_LEAF, forest.FIRST_LEAF]


def test_a_tree_draws_so_many_pixels_at_most(monkeypatch):
    monkeypatch.setattr(forest, "TREE_PIXELS", 50)
    values, truth = pixels(600, 2)
    grown = forest.grow(forest.Settings(20, 0, 2, 1), values, truth, 1)
    assert max(tree.tree_.n_node_samples[0] for tree in grown.estimators_) <= 50
    drawn = np.concatenate([np.unique(places) for places in grown.estimators_samples_])
    assert len(np.unique(drawn)) > 300, "together they have seen most"


@pytest.mark.parametrize(("texture_px", "warned"), [((), False), ((3,), False), ((3, 21), True)])
def test_close_splits_are_no_fault_for_who_does_not_look_as_far(tmp_path, texture_px, warned):
    dataset = write_dataset(tmp_path / "data")
    data = json.loads(dataset.read_text(encoding="utf-8"))
    close = {"code": "splits_close", "message": "A network looks 48 px.", "hint": "", "severity": "warning"}
    other = {**close, "code": "hull_only"}
    dataset.write_text(
        json.dumps({**data, "split_distance_px": 9.0, "warnings": [close, other]}), encoding="utf-8"
    )
    result = run(tmp_path / "plan", dataset, texture_px=texture_px, dry_run=True)
    assert [item.code for item in result["warnings"]] == ["splits_close"] * warned + ["hull_only"]


def test_validation_data_are_counted_window_by_window(tmp_path, monkeypatch):
    path = write_dataset(tmp_path / "data")
    dataset, folder = read_dataset(path)
    with rasterio.open(folder / "labels.tif") as labels, rasterio.open(folder / "split.tif") as split:
        ids = np.where(split.read(1) == 1, labels.read(1), IGNORE)
    monkeypatch.setattr(fit, "COUNTED_PX", 64)
    found, whole = fit.validation_of(dataset, folder), count_validation(ids, 2)
    assert (found.regions, found.pixels) == (whole.regions, whole.pixels) and whole.total == (
        ids != IGNORE
    ).sum()
