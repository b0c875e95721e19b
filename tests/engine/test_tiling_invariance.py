"""Answers that do not depend on the window, on any processor; and what is done where a runtime's do."""

import numpy as np
import pytest
import torch
from network_scenes import BANDS, small
from other_processor import round_otherwise
from prediction_scenes import grid_of, network, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import PredictJob
from geoseg_engine.models.ensemble import Ensemble
from geoseg_engine.prediction import inference, predict
from geoseg_engine.prediction.inference import window_independent
from geoseg_engine.prediction.runtimes import torch_runtime
from geoseg_engine.prediction.runtimes.selection import Choice
from geoseg_engine.prediction.runtimes.tiling_invariance import largest_difference, over_classes
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.windows import Frame, cuts

EXACT = ["unet", "attention_resunet", "segnet", "patchcnn"]


@pytest.fixture(params=["this processor", "another"])
def processor(request, monkeypatch):
    """Each test here must hold on both."""
    if request.param == "another":
        round_otherwise(monkeypatch)
    return request.param


@pytest.fixture(params=[1, 3])
def threads(request):
    """How many share the work: three leave a remainder everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def image_of(height, width, bands=BANDS):
    return np.random.default_rng(1).normal(size=(bands, height, width)).astype(np.float32)


def test_the_other_processor_makes_plain_networks_depend_on_the_window(monkeypatch):
    round_otherwise(monkeypatch)
    net, image = network(levels=3, width=16), torch.from_numpy(image_of(192, 192, 2))[None]
    with torch.inference_mode():
        whole, part = net(image), net(image[..., :96, :96].contiguous())
    assert 0 < (whole[..., :8, :8] - part[..., :8, :8]).abs().max() < 1e-4


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", EXACT)
def test_windows_of_any_size_give_the_same_bits(name, precision, processor, threads):
    made = small(name)
    frame = Frame(208, 240, made.reach_px, made.align_px)
    tested, image = TorchRuntime(made, precision=precision), image_of(208, 240)
    whole = tested.predict_window(image)
    for core_px in (32, 96):
        for cut in list(cuts(frame, core_px))[::5]:
            part = tested.predict_window(np.ascontiguousarray(cut.read.of(image)), cut.kept)
            assert (part == cut.core.of(whole)).all(), f"{cut.read}"


def test_members_of_an_ensemble_too(processor, threads):
    made = Ensemble([small("unet"), small("unet")])
    tested, image = TorchRuntime(made), image_of(208, 208)
    whole = tested.predict_window(image)
    for cut in cuts(Frame(208, 208, made.reach_px, made.align_px), 64):
        part = tested.predict_window(np.ascontiguousarray(cut.read.of(image)), cut.kept)
        assert (part == cut.core.of(whole)).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 6], indirect=True)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_softmax_does_not_see_where_a_pixel_lies(threads, layout):
    for classes in (2, 5, 17):
        one = torch.randn(classes, generator=torch.Generator().manual_seed(classes))
        for function in (torch.softmax, torch.log_softmax):
            found = {
                pixel.numpy().tobytes()
                for rows, cols in ((1, 3), (7, 13), (33, 47), (64, 200))
                for pixel in over_classes(
                    lambda logits, function=function: function(logits, dim=1),
                    one.reshape(1, -1, 1, 1).expand(1, classes, rows, cols).contiguous(memory_format=layout),
                )[0].flatten(1).T.unique(dim=0)
            }  # fmt: skip
            assert len(found) == 1


class Fickle:
    """A runtime whose answers depend on the width of the window."""

    name, device, precision = "torch", "cpu", "float32"

    def __init__(self, title, error):
        self.title, self.error = title, error

    def predict_window(self, scores, kept=None):
        made = np.full((2, *scores.shape[1:]), 0.5 + self.error * scores.shape[2], np.float64)
        return kept.of(made) if kept else made


FRAME = Frame(1000, 1000, 8, 8)


def test_the_check_compares_a_window_with_a_part_of_it():
    assert largest_difference(Fickle("steady", 0).predict_window, image_of(256, 256), FRAME) == 0
    found = largest_difference(Fickle("fickle", 1e-6).predict_window, image_of(256, 256), FRAME)
    assert found == pytest.approx(1e-6 * (256 - 192))
    minimum = image_of(192, 192)
    assert largest_difference(Fickle("fickle", 1e-6).predict_window, minimum, FRAME) == 0, (
        "no window is smaller"
    )


def choices(*facts):
    return [Choice(Fickle(title, error), speed, 1.0) for title, speed, error in facts]


def test_a_runtime_that_does_not_see_the_windows_is_preferred_if_it_is_half_as_fast():
    def taken(*facts):
        return window_independent(choices(*facts), image_of(256, 256), FRAME, lambda item: item.px_per_s)

    assert taken(("fast", 100, 1e-6), ("steady", 60, 0)).runtime.title == "steady"
    assert taken(("fast", 100, 0), ("steady", 90, 0)).runtime.title == "fast"
    slow = taken(("fast", 100, 1e-6), ("steady", 40, 0))
    assert slow.runtime.title == "fast" and slow.difference > 0
    assert taken(("one", 100, 1e-6), ("two", 90, 1e-7)).runtime.title == "one"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    grid = grid_of(60, 600)
    image = write_raster(folder / "image.tif", scene(60, 600), grid)
    write_model(folder / "model.onnx", recipe_of(image, grid))
    return folder


def run(place, folder, **options):
    folder.mkdir(exist_ok=True)
    job = PredictJob(str(place / "model.onnx"), output="classes.tif", core_px=128, **options)
    return predict.run(job, folder, Channel(folder))


def test_a_map_that_depends_on_its_windows_says_so_and_goes_on_with_the_same(place, tmp_path, monkeypatch):
    assert run(place, tmp_path / "plain")["largest_difference"] == 0

    def by_width(self, scores, kept=None):
        return answer(self, scores, kept) + np.float32(1e-6) * (scores.shape[2] % 13)

    answer = torch_runtime.TorchRuntime.predict_window
    monkeypatch.setattr(torch_runtime.TorchRuntime, "predict_window", by_width)
    found = run(place, tmp_path / "one", shard="1/2")
    assert found["largest_difference"] > 0
    monkeypatch.setattr(inference, "largest_difference", lambda *arguments: pytest.fail("was asked before"))
    found = run(place, tmp_path / "one", shard="2/2")
    assert [item.code for item in found["warnings"]] == ["windows_differ"] and found["shard"]["complete"]
    assert found["warnings"][0].severity == "warning"


def test_one_window_is_not_checked(place, tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "largest_difference", lambda *arguments: pytest.fail("there is but one"))
    job = PredictJob(str(place / "model.onnx"), output="classes.tif", core_px=600)
    assert predict.run(job, tmp_path, Channel(tmp_path))["largest_difference"] is None


def test_a_window_too_large_for_memory_is_no_reason_to_stop(monkeypatch):
    def too_large(scores, kept=None):
        raise MemoryError

    first = choices(("only", 100, 0))
    monkeypatch.setattr(first[0].runtime, "predict_window", too_large)
    found = window_independent(first, image_of(256, 256), FRAME, lambda item: item.px_per_s)
    assert found.difference is None
