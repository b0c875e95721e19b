"""The fast model: features as bytes that no window changes, fixed settings, and a model like any other."""

from __future__ import annotations

import io
import json

import numpy as np
import onnx
import pytest
import rasterio
from training_scenes import write_dataset

from geoseg_engine.baselines import byte_features, fit
from geoseg_engine.baselines.byte_features import ALIGN_PX, PER_BAND, REACH_PX, ByteFeatures
from geoseg_engine.baselines.features import bands_of_features, features_of, reach_of
from geoseg_engine.baselines.forest import FAST_PIXELS, FAST_TREES, settled
from geoseg_engine.baselines.pixels import window_features
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    CATALOGUE,
    COMPARABLE,
    COMPARED,
    EvaluateJob,
    ForestJob,
    GeoSegError,
    PredictJob,
    contender,
    model_name,
)
from geoseg_engine.dataset.datasets import open_dataset_stack, read_dataset
from geoseg_engine.evaluation import evaluate
from geoseg_engine.modelfile.reading import load_network, missing_score, read_model
from geoseg_engine.modelfile.stats import Statistics, normalise
from geoseg_engine.prediction import predict
from geoseg_engine.raster.grid import Window, round_up

BANDS = 3
HALO_PX = round_up(REACH_PX, ALIGN_PX)


def statistics(bands=BANDS):
    """Scores from -2 to 2 become 0 to 255."""
    return Statistics((0.0,) * bands, (1.0,) * bands, (-2.0,) * bands, (2.0,) * bands)


def scene(rows=96, cols=124, seed=0):
    """Noise with a hole in all bands, and a row that one band lacks."""
    scores = np.random.default_rng(seed).normal(0, 1, (BANDS, rows, cols)).astype(np.float32)
    scores[:, 20:41, 33:59] = np.nan
    scores[1, 70] = np.nan
    return scores


def channel(folder):
    return Channel(folder, io.StringIO())


def run(folder, dataset, **changes):
    folder.mkdir(exist_ok=True)
    return fit.run(ForestJob(str(dataset), method="fast", **changes), folder, channel(folder))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset whose sides are no multiples of ALIGN_PX, with missing values, and its model."""
    folder = tmp_path_factory.mktemp("fast")
    dataset = write_dataset(folder / "data", rows=97, cols=131)
    with rasterio.open(folder / "data" / "image.tif", "r+") as raster:
        image = raster.read()
        image[:, 40:47, 100:113] = np.nan
        image[2, :5, :9] = np.nan
        raster.write(image)
    return dataset, run(folder / "run", dataset)


def test_features_do_not_depend_on_the_window():
    whole = scene()
    computed = ByteFeatures(statistics())
    expected = computed.of(whole)
    random = np.random.default_rng(1)
    for _ in range(40):
        row, col = (int(random.integers(0, side // ALIGN_PX)) * ALIGN_PX for side in whole.shape[1:])
        height, width = (int(random.integers(1, 12)) * ALIGN_PX for _ in range(2))
        core = Window(row, col, height, width).clipped(*whole.shape[1:])
        read = core.padded(HALO_PX).clipped(*whole.shape[1:])
        found = computed.of(np.ascontiguousarray(read.of(whole)))
        np.testing.assert_array_equal(found[:, *core.within(read)], core.of(expected))


def test_features_are_bytes_of_every_band_in_turn():
    found = ByteFeatures(statistics()).of(scene())
    assert found.shape[0] == BANDS * PER_BAND == len(byte_features.feature_bands(BANDS))
    assert found.min() == 0 and found.max() == 255
    np.testing.assert_array_equal(found, found.round())
    only = scene()
    only[[0, 2]] = 0
    changed = (ByteFeatures(statistics()).of(only) != found).reshape(PER_BAND, BANDS, -1).any(axis=2)
    assert changed[:, [0, 2]].all() and not changed[:, 1].any()
    np.testing.assert_array_equal(byte_features.feature_bands(BANDS)[: 2 * BANDS], [0, 1, 2, 0, 1, 2])


def test_missing_values_leave_no_trace_beside_them():
    flat = np.full((1, 64, 64), 1.0, np.float32)
    flat[:, 24:37, 10:31] = np.nan
    value, *others = ByteFeatures(statistics(1)).of(flat)
    known = ~np.isnan(flat[0])
    assert (value[known] == 191).all() and (value[~known] == 0).all()
    for level in range(3):
        mean, gradient, deviation = others[3 * level : 3 * level + 3]
        assert (mean[known] == 191).all(), level
        assert (gradient[known] == 0).all() and (deviation[known] == 0).all(), level


def test_features_at_full_resolution_are_those_of_their_formulae():
    scores = np.random.default_rng(3).normal(0, 0.3, (1, 24, 24)).astype(np.float32)
    found = ByteFeatures(statistics(1)).of(scores)
    values = np.round((scores[0].astype(np.float64) + 2) * 255 / 4)
    np.testing.assert_allclose(found[0], values, atol=1)
    values = found[0].astype(np.float64)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def blurred(image, row, col):
        return (image[row - 2 : row + 3, col - 2 : col + 3] * kernel).sum()

    row, col = 12, 9
    mean = blurred(values, row, col)
    deviation = np.sqrt(blurred(values**2, row, col) - mean**2)
    down, across = (
        (blurred(values, row + i, col + j) - blurred(values, row - i, col - j)) / 2
        for i, j in ((1, 0), (0, 1))
    )
    expected = [mean, 2 * np.hypot(down, across), 4 * deviation]
    np.testing.assert_allclose(found[1:4, row, col], np.minimum(expected, 255), atol=0.51)


def test_nothing_beyond_the_reach_is_seen():
    computed = ByteFeatures(statistics())
    scores = np.random.default_rng(4).normal(0, 1, (BANDS, 96, 96)).astype(np.float32)
    before = computed.of(scores)
    scores[:, 48, 51] = 5
    rows, cols = np.nonzero((computed.of(scores) != before).any(axis=0))
    far = np.maximum(abs(rows - 48), abs(cols - 51)).max()
    assert ALIGN_PX < far <= REACH_PX


def test_of_many_bands_only_some_have_texture():
    bands = 40
    owners = byte_features.feature_bands(bands)
    assert len(owners) == bands + byte_features.TEXTURED_BANDS * (PER_BAND - 1)
    assert {0, bands - 1} <= set(byte_features.textured_bands(bands))
    found = ByteFeatures(statistics(bands)).of(np.zeros((bands, 8, 8), np.float32))
    assert len(found) == len(owners)


def test_settings_are_fixed():
    job = settled(ForestJob("d", method="fast", trees=500, depth=3, pixels=90_000))
    assert (job.trees, job.depth, job.search, job.pixels) == (FAST_TREES, 0, False, FAST_PIXELS)
    assert settled(ForestJob("d", trees=500)).trees == 500
    (found,) = ForestJob("d", method="fast", texture_px=(3,)).problems()
    assert found.code == "texture_px" and "its own texture" in found.message


def test_it_is_in_the_list_of_models():
    assert model_name("fast") == CATALOGUE["fast"].name == "Fast model (random forest with texture)"
    assert COMPARABLE[-1].key == "fast" and "fast" in COMPARED, "the Toolbox knows the others by number"
    assert contender("fast").baseline == ForestJob("", method="fast")


def test_a_prediction_is_the_same_in_windows_of_any_size(made, tmp_path):
    _, result = made
    names = {}
    for core_px in (16, 44, 512):
        names[core_px] = [f"{kind}{core_px}.tif" for kind in ("classes", "confidence", "probability")]
        output, confidence, probability = names[core_px]
        job = PredictJob(
            result["model"], output=output, confidence=confidence, probability=probability, core_px=core_px
        )
        predict.run(job, tmp_path, channel(tmp_path))
    for other in (16, 44):
        for one, two in zip(names[512], names[other], strict=True):
            with rasterio.open(tmp_path / one) as first, rasterio.open(tmp_path / two) as second:
                np.testing.assert_array_equal(first.read(), second.read())
    with rasterio.open(tmp_path / "classes512.tif") as raster:
        classes = raster.read(1)
    assert (classes[40:47, 100:113] == 255).all() and (classes[50:, :60] != 255).all()


def test_it_learns_and_is_judged_on_test_ground(made, tmp_path):
    dataset, result = made
    assert result["scores"]["per_class"][1]["iou"] > 0.75
    assert {row["name"] for row in result["importance"]["bands"]} == {"b1", "b2", "b3"}
    assert sum(row["impurity"] for row in result["importance"]["bands"]) == pytest.approx(1, abs=1e-4)
    judged = evaluate.run(EvaluateJob(str(dataset), result["model"]), tmp_path, channel(tmp_path))
    assert judged["foreground_iou"] > 0.75


def test_the_model_file_says_what_it_is(made):
    _, result = made
    model = read_model(result["model"])
    assert model.architecture["name"] == "fast" and model.architecture["features"] == BANDS * PER_BAND
    assert (model.reach_px, model.align_px, model.tile_exact) == (REACH_PX, ALIGN_PX, True)
    assert np.isnan(missing_score(model))
    onnx.checker.check_model(onnx.load(result["model"]))
    with pytest.raises(GeoSegError) as caught:
        load_network(model.path)
    assert caught.value.code == "no_network"


def test_training_sees_what_prediction_sees(made):
    dataset, folder = read_dataset(made[0])
    model = read_model(made[1]["model"])
    job = ForestJob("", method="fast")
    seen, order = features_of(job, model.statistics), list(range(BANDS))
    height, width = 97, 131
    with open_dataset_stack(dataset, folder) as stack:
        scores = np.full((BANDS, round_up(height, ALIGN_PX), round_up(width, ALIGN_PX)), np.nan, np.float32)
        scores[:, :height, :width] = normalise(
            stack.read(Window(0, 0, height, width)), model.statistics, np.nan
        )
        whole = seen.of(scores)
        for window in (Window(33, 50, 21, 19), Window(90, 120, 7, 11), Window(0, 0, height, width)):
            found = window_features(stack, order, window, seen, model.statistics)
            np.testing.assert_array_equal(
                found.reshape(len(whole), window.height, window.width), window.of(whole)
            )
    assert len(bands_of_features(job, BANDS)) == len(whole) and reach_of(job).reach_px == REACH_PX


def test_the_same_seed_gives_the_same_trees(made, tmp_path):
    dataset, result = made
    again = run(tmp_path / "again", dataset)
    graphs = [onnx.load(one["model"]).graph.SerializeToString() for one in (result, again)]
    assert graphs[0] == graphs[1]


def test_a_dataset_without_validation_pixels_gives_a_model_too(tmp_path):
    dataset = write_dataset(tmp_path / "data")
    with rasterio.open(tmp_path / "data" / "split.tif", "r+") as raster:
        split = raster.read(1)
        raster.write(np.where(split == 1, 255, split).astype(np.uint8), 1)
    result = run(tmp_path / "run", dataset)
    assert "no_validation_pixels" in [item.code for item in result["warnings"]]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["settings"][
        "trees"
    ] == (FAST_TREES)


def test_a_dry_run_says_how_far_it_looks(tmp_path):
    result = run(tmp_path / "plan", write_dataset(tmp_path / "data"), dry_run=True)
    assert result["facts"]["reach_px"] == REACH_PX and result["facts"]["align_px"] == ALIGN_PX
    assert "fast model" in result["reasons"][0] and "30 features" in result["reasons"][0]


def test_mirrored_views_are_the_same_in_windows_of_any_size(made, tmp_path):
    _, result = made
    for name, core_px in (("a.tif", 44), ("b.tif", 512)):
        predict.run(
            PredictJob(result["model"], output=name, tta="flips", core_px=core_px),
            tmp_path,
            channel(tmp_path),
        )
    with rasterio.open(tmp_path / "a.tif") as first, rasterio.open(tmp_path / "b.tif") as second:
        np.testing.assert_array_equal(first.read(), second.read())
