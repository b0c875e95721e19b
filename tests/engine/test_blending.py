"""Blended windows: weights, order, and answers that do not depend on how the raster is cut."""

from __future__ import annotations

import io
import json
import tracemalloc

import numpy as np
import onnx
import pytest
import rasterio
import torch
from prediction_scenes import BANDS, grid_of, network, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import PredictJob, Recipe, Source
from geoseg_engine.models import build, traits
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.blending import blended_cuts, origin_dependence
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.windows import Frame
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.window_blending import Lattice, blend

ROWS, COLS = 148, 196


def own_mean(image):
    """A network whose answer depends on its window: what a band is above the window's mean."""
    above = image[0] - image[0].mean()
    return np.stack([above, -above])


def by_cores(lattice, image, predict_window, core_px):
    result = np.empty((2, lattice.height, lattice.width), np.float32)
    for cut in blended_cuts(lattice, Frame(lattice.height, lattice.width, 0, lattice.align_px), core_px):
        rows, cols = cut.read.within(Window(0, 0, lattice.height, lattice.width))
        core = cut.core
        result[:, core.row : core.row + core.height, core.col : core.col + core.width] = blend(
            lattice, core, cut.read, image[:, rows, cols], predict_window
        )
    return result


@pytest.mark.parametrize(("window", "margin"), [(32, 0), (64, 8), (48, 4), (512, 0)])
def test_every_pixel_is_covered_and_weights_become_one(window, margin):
    lattice = Lattice(ROWS, COLS, window, 4, margin)
    image = np.zeros((1, ROWS, COLS), np.float32)
    made = by_cores(lattice, image, lambda part: np.ones((2, *part.shape[1:]), np.float32) * 0.25, 64)
    np.testing.assert_allclose(made, 0.25, rtol=1e-6)
    for item in lattice.over(Window(0, 0, ROWS, COLS)):
        assert item.row % 4 == item.col % 4 == 0
        assert 0 <= item.row <= item.row + item.height <= ROWS
        assert 0 <= item.col <= item.col + item.width <= COLS


@pytest.mark.parametrize("core", [20, 64, 100])
def test_the_answer_does_not_depend_on_the_core(core):
    lattice = Lattice(ROWS, COLS, 32, 4)
    image = np.random.default_rng(0).normal(0, 1, (1, ROWS, COLS)).astype(np.float32)
    np.testing.assert_array_equal(
        by_cores(lattice, image, own_mean, core), by_cores(lattice, image, own_mean, 1000)
    )


def test_an_exact_network_blended_with_margins_stays_exact():
    net = network(levels=2)
    facts = traits(net)
    runtime = TorchRuntime(net)
    image = np.random.default_rng(1).normal(0, 1, (2, ROWS, COLS)).astype(np.float32)
    margin = -(-facts.reach_px // facts.align_px) * facts.align_px
    lattice = Lattice(ROWS, COLS, 2 * margin + 32, facts.align_px, margin)
    core = Window(0, 0, ROWS, COLS)
    made = blend(lattice, core, core, image, runtime.predict_window)
    np.testing.assert_allclose(made, runtime.predict_window(image), atol=1e-5)


def test_memory_does_not_grow_with_the_raster():
    peaks = []
    for rows in (256, 1024):
        lattice = Lattice(rows, 256, 32, 4)
        tracemalloc.start()
        for cut in blended_cuts(lattice, Frame(rows, 256, 0, 4), 64):
            blend(lattice, cut.core, cut.read, np.zeros((1, cut.read.height, cut.read.width)), own_mean)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_how_much_the_place_of_windows_matters_is_measured():
    class Own:
        predict_window = staticmethod(own_mean)

    class Plain:
        predict_window = staticmethod(lambda image: np.stack([image[0], -image[0]]))

    image = np.random.default_rng(0).normal(0, 1, (1, 96, 96)).astype(np.float32)
    lattice = Lattice(ROWS, COLS, 32, 4)
    assert origin_dependence(lattice, Plain, image) == 1.0
    assert 0.9 < origin_dependence(lattice, Own, image) < 1.0
    assert origin_dependence(lattice, Own, image[:, :40]) is None


def test_an_inexact_model_is_predicted_the_same_with_any_core(tmp_path):
    grid = grid_of(ROWS, COLS)
    image = scene(ROWS, COLS)
    image[:, :20, :30] = np.nan
    path = write_raster(tmp_path / "image.tif", image, grid)
    recipe = Recipe((Source("r1", str(path), "image"),), BANDS, grid)
    write_model(tmp_path / "model.onnx", recipe)
    model = onnx.load(tmp_path / "model.onnx")
    for item in model.metadata_props:
        item.value = "false" if item.key == "geoseg:tile_exact" else item.value
    onnx.save(model, tmp_path / "model.onnx")
    found = []
    for core in (40, 1024):
        events = io.StringIO()
        job = PredictJob("model.onnx", output=f"{core}.tif", confidence=f"c{core}.tif", core_px=core)
        predict.run(job, tmp_path, Channel(tmp_path, events))
        texts = [json.loads(line).get("text", "") for line in events.getvalue().splitlines()]
        assert any("blended" in text for text in texts)
        with rasterio.open(tmp_path / f"{core}.tif") as ids, rasterio.open(tmp_path / f"c{core}.tif") as sure:
            found.append((ids.read(), sure.read()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert (found[0][0][0, :20, :30] == 255).all()


def test_a_network_with_group_norm_gives_the_same_map_with_any_core():
    torch.manual_seed(0)
    net = build(
        {"name": "unet", "bands": 2, "classes": 2, "width": 4, "levels": 2, "dropout": 0.0, "norm": "group"}
    )
    assert not traits(net).tile_exact
    runtime = TorchRuntime(net)
    image = np.random.default_rng(1).normal(0, 1, (2, ROWS, COLS)).astype(np.float32)
    lattice = Lattice(ROWS, COLS, 32, traits(net).align_px)
    one, other = (by_cores(lattice, image, runtime.predict_window, core) for core in (52, 1000))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one.sum(axis=0), 1, atol=1e-5)
