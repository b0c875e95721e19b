import numpy as np
import pytest
from prediction_scenes import network

from geoseg_engine.contract import GeoSegError
from geoseg_engine.prediction.block_reader import Block
from geoseg_engine.prediction.inference import probabilities
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.windows import Frame, cut_at, cuts, halves

NET = network(levels=3)
LAST_DIGIT = 1e-12
"""How far products of matrices in float64 may differ: their sums have another order for another number of columns."""


def continued(image, frame):
    full = np.zeros((len(image), frame.full.height, frame.full.width), image.dtype)
    full[:, : frame.height, : frame.width] = image
    return full


def tiled(runtime, full, frame, core_px):
    result = None
    for cut in cuts(frame, core_px):
        rows, cols = cut.read.within(frame.full)
        part = runtime.predict_window(full[:, rows, cols], cut.kept)
        if result is None:
            result = np.full((len(part), frame.height, frame.width), np.nan, part.dtype)
        rows, cols = cut.core.within(frame.full)
        assert np.isnan(result[:, rows, cols]).all()
        result[:, rows, cols] = part
    return result


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64), (130, 257)])
@pytest.mark.parametrize("core", [1, 16, 40, 1000])
def test_cores_cover_every_pixel_once_and_windows_are_aligned(size, core):
    frame = Frame(*size, reach_px=20, align_px=8)
    seen = np.zeros(size, int)
    for cut in cuts(frame, core):
        seen[cut.core.within(frame.full)] += 1
        assert not any(n % 8 for n in (cut.read.row, cut.read.col, cut.read.height, cut.read.width))
        assert cut.read.row >= 0 and cut.read.row + cut.read.height <= frame.full.height
        assert cut.read.row == 0 or cut.core.row - cut.read.row >= 20
    assert (seen == 1).all()


@pytest.mark.parametrize("size", [(250, 203), (64, 96), (9, 1020)])
def test_tiled_equals_whole_but_for_the_last_digit_of_float64(size):
    runtime = TorchRuntime(network(levels=3), precision="float64")
    frame = Frame(*size, NET.reach_px, NET.align_px)
    full = continued(np.random.default_rng(1).normal(size=(2, *size)), frame)
    whole = runtime.predict_window(full)[:, : size[0], : size[1]]
    for core in (88, 160):
        assert abs(tiled(runtime, full, frame, core) - whole).max() < LAST_DIGIT


def test_a_halo_too_small_shows():
    runtime = TorchRuntime(network(levels=3), precision="float64")
    frame = Frame(300, 253, 8, NET.align_px)
    full = continued(np.random.default_rng(1).normal(size=(2, 300, 253)), frame)
    whole = runtime.predict_window(full)[:, :300, :253]
    assert abs(tiled(runtime, full, frame, 64) - whole).max() > 1e-9


@pytest.mark.parametrize("size", [(1000, 900), (40, 2000), (9, 3000), (100, 90)])
def test_no_window_is_so_small_that_sums_take_another_order(size):
    frame = Frame(*size, reach_px=20, align_px=8)
    for cut in cuts(frame, 64):
        minimum = min(192 * 192, frame.full.height * frame.full.width)
        assert cut.read.height * cut.read.width >= minimum
        assert cut.read.height >= min(192, frame.full.height) and cut.read.width >= min(192, frame.full.width)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_short_arithmetic_does_not_depend_on_the_cut_to_the_last_bit(precision):
    runtime = TorchRuntime(network(levels=3, width=16), precision=precision)
    frame = Frame(300, 253, NET.reach_px, NET.align_px)
    full = continued(np.random.default_rng(1).normal(size=(2, 300, 253)).astype(np.float32), frame)
    whole = runtime.predict_window(full)[:, :300, :253]
    for core in (88, 200):
        assert np.array_equal(tiled(runtime, full, frame, core), whole)


def test_folding_batch_norm_changes_nothing():
    import torch

    image = np.random.default_rng(0).normal(size=(2, 64, 64))
    with torch.inference_mode():
        plain = torch.softmax(network().double()(torch.from_numpy(image)[None]), 1)[0].numpy()
    assert abs(TorchRuntime(network(), precision="float64").predict_window(image) - plain).max() < 1e-6


class Small:
    """A runtime whose device holds only windows of so many pixels."""

    def __init__(self, runtime, largest):
        self.runtime, self.largest = runtime, largest

    def predict_window(self, scores, kept=None):
        if scores.shape[1] * scores.shape[2] > self.largest:
            raise MemoryError("too large")
        return self.runtime.predict_window(scores, kept)


def test_out_of_memory_halves_the_window_and_keeps_the_result():
    frame = Frame(300, 253, NET.reach_px, NET.align_px)
    full = continued(np.random.default_rng(1).normal(size=(2, 300, 253)), frame)
    runtime = TorchRuntime(network(levels=3), precision="float64")
    cut = cut_at(frame, 0, 0, 300, 253)
    block = Block(cut, full, np.ones((300, 253), bool), np.zeros(2, int), 1)
    said = []
    result = probabilities(Small(runtime, 200 * 200), frame, block, said.append)
    assert abs(result - runtime.predict_window(full)[:, :300, :253]).max() < LAST_DIGIT
    assert said
    with pytest.raises(GeoSegError, match="fits into memory"):
        probabilities(Small(runtime, 10), frame, block, said.append)


def test_halves_make_up_the_core():
    frame = Frame(100, 60, 16, 8)
    one, other = halves(frame, cut_at(frame, 0, 0, 104, 64))
    assert one.core.height + other.core.height == 100
    assert one.core.width == other.core.width == 60
