"""Views, members and passes: averaging keeps what is exact exact, and disagreement is what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from network_scenes import NAMES, small
from prediction_scenes import STATISTICS, grid_of, network, recipe_of, scene, write_model, write_raster
from torch import nn

from geoseg_engine.contract import BASELINES, Band, GeoSegError, Recipe
from geoseg_engine.modelfile.calibration import Calibration, calibrated
from geoseg_engine.modelfile.directional_bands import DirectionalBands
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stats import normalise
from geoseg_engine.models import traits
from geoseg_engine.models.ensemble import Ensemble
from geoseg_engine.prediction.runtimes import averaging
from geoseg_engine.prediction.runtimes.averaging import (
    TRANSFORMS,
    averaged_runtime,
    transformed,
    transformed_back,
    transformed_window,
)
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.windows import Frame, cuts
from geoseg_engine.raster.grid import Window

WEIGHTED = Calibration(1.5, (0.2, -0.1, -0.1), (1.0, 0.6, 0.8))
NONE = DirectionalBands()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A calibrated model file of ours with dropout."""
    folder = tmp_path_factory.mktemp("averaged")
    grid = grid_of(64, 64)
    image = write_raster(folder / "image.tif", scene(64, 64), grid)
    return read_model(write_model(folder / "model.onnx", recipe_of(image, grid), calibration=WEIGHTED))


def scores(rows=96, cols=64, dtype=np.float64):
    return normalise(scene(rows, cols), STATISTICS).astype(dtype)


def runtime_of(model, precision="float64"):
    return TorchRuntime(load_network(model.path), "cpu", precision, model.calibration)


def test_a_view_and_back_is_the_image():
    image = scores(8, 12)
    for view in TRANSFORMS["all"]:
        assert (transformed_back(transformed(image, view, NONE), view) == image).all()
    turned = {transformed(image[:, :8, :8], view, NONE).tobytes() for view in TRANSFORMS["all"]}
    assert len(turned) == 8


def test_nothing_asked_for_is_the_runtime_itself(model):
    runtime = runtime_of(model)
    assert averaged_runtime(runtime, model, "none", 0, False) is runtime


class Pointwise(nn.Module):
    """Each pixel by itself: what no view changes."""

    def forward(self, image):
        return torch.cat([image, image.sum(1, keepdim=True)], 1)


def test_views_of_a_symmetric_network_change_nothing(model):
    runtime = TorchRuntime(Pointwise(), "cpu", "float64", model.calibration)
    plain, found = runtime.predict_window(scores()), averaged_runtime(runtime, model, "all", 0, True)
    answer = found.predict_window(scores())
    assert answer.shape == (4, 96, 64) and found.count == 8
    assert abs(answer[:3] - plain).max() < 1e-12
    assert answer[3].min() >= 0 and answer[3].max() < 1e-12


@pytest.mark.parametrize("tta", ["flips", "all"])
def test_a_turned_image_gives_the_turned_answer(model, tta):
    found = averaged_runtime(runtime_of(model), model, tta, 0, True)
    image = scores()
    straight, kept = found.predict_window(image), Window(8, 16, 24, 9)
    for view in TRANSFORMS[tta]:
        moved = found.predict_window(transformed(image, view, NONE))
        assert abs(transformed_back(moved, view) - straight).max() < 1e-12
        part = transformed_window(kept, *image.shape[1:], view)
        assert (transformed(kept.of(image), view, NONE) == part.of(transformed(image, view, NONE))).all()
    assert abs(found.predict_window(image, kept) - kept.of(straight)).max() < 1e-12
    assert straight[3].max() > 1e-3 and straight[3].min() >= 0 and straight[3].max() <= 1
    assert np.allclose(straight[:3].sum(0), 1)


def test_the_answer_is_the_mean_of_calibrated_probabilities(model):
    runtime = runtime_of(model)
    views = [(0, 0), (0, 1), (2, 1), (2, 0)]
    image = scores()
    parts = [
        transformed_back(calibrated(runtime.predict_window(transformed(image, view, NONE)), WEIGHTED), view)
        for view in views
    ]
    given = averaged_runtime(runtime, model, "flips", 0, False).predict_window(image)
    assert given.shape == (3, 96, 64)
    assert np.allclose(calibrated(given, WEIGHTED), np.mean(parts, axis=0), atol=1e-12)


@pytest.mark.parametrize(("tta", "passes"), [("all", 0), ("flips", 3)])
def test_windows_are_the_whole_bit_for_bit(model, tta, passes):
    found = averaged_runtime(runtime_of(model, "float32"), model, tta, passes, True)
    image = scores(128, 160, np.float32)
    whole = found.predict_window(image)
    frame = Frame(128, 160, model.reach_px, model.align_px)
    for core_px in (32, 48):
        for cut in cuts(frame, core_px):
            rows, cols = cut.read.within(frame.full)
            part = found.predict_window(np.ascontiguousarray(image[:, rows, cols]), cut.kept)
            assert (part == whole[:, *cut.core.within(frame.full)]).all()


def test_passes_of_dropout_differ_and_repeat(model):
    said = []
    image = scores()
    first = averaged_runtime(runtime_of(model), model, "none", 4, True, said.append)
    one, again = first.predict_window(image), first.predict_window(image)
    other = averaged_runtime(runtime_of(model), model, "none", 4, True).predict_window(image)
    assert (one == again).all() and (one == other).all()
    assert one[3].max() > 1e-4 and "4 MC dropout samples" in said[0]
    plain = averaged_runtime(runtime_of(model), model, "none", 1, False).predict_window(image)
    assert abs(plain - one[:3]).max() > 1e-4
    float32 = averaged_runtime(runtime_of(model, "float32"), model, "none", 4, True)
    assert abs(float32.predict_window(image.astype(np.float32)) - one).max() < 1e-4


def test_every_network_with_dropout_is_found():
    for name in NAMES:
        if name == "segnet":
            continue
        net = small(name, dropout=0.5)
        masks = averaging.replace_dropout(net)
        image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        answers = []
        for number in (0, 1):
            for mask in masks:
                mask.number = number
            with torch.no_grad():
                answers.append(net(image))
        assert masks and not torch.equal(*answers), name


def test_without_dropout_or_with_one_answer_it_says_so(model, tmp_path, monkeypatch):
    with pytest.raises(GeoSegError) as caught:
        averaged_runtime(runtime_of(model), model, "none", 0, True)
    assert caught.value.code == "no_disagreement"
    monkeypatch.setattr(averaging, "load_network", lambda path: Pointwise())
    with pytest.raises(GeoSegError) as caught:
        averaged_runtime(runtime_of(model), model, "none", 3, False)
    assert caught.value.code == "no_dropout"


def joined(model, parts, monkeypatch):
    """A model of an ensemble of networks, and its runtime in float64."""
    monkeypatch.setattr(averaging, "load_network", lambda path: Ensemble(parts()))
    ensemble = replace(model, architecture={"name": "ensemble"}, calibration=Calibration(weights=(1, 0.5, 1)))
    return ensemble, TorchRuntime(Ensemble(parts()), "cpu", "float64", ensemble.calibration)


def test_members_that_agree_and_members_that_do_not(model, monkeypatch):
    same, runtime = joined(model, lambda: [network(), network(), network()], monkeypatch)
    image = scores()
    answer = averaged_runtime(runtime, same, "none", 0, True).predict_window(image)
    assert abs(answer[:3] - runtime.predict_window(image)).max() < 1e-12 and answer[3].max() < 1e-12

    def differing():
        nets = [network(), network()]
        with torch.no_grad():
            nets[1].head.bias += torch.tensor([0.0, 2.0, -1.0])
        return nets

    other, runtime = joined(model, differing, monkeypatch)
    found = averaged_runtime(runtime, other, "none", 0, True)
    answer = found.predict_window(image)
    assert found.count == 2 and abs(answer[:3] - runtime.predict_window(image)).max() < 1e-12
    assert answer[3].max() > 0.01 and answer[3].min() >= 0
    assert averaged_runtime(runtime, other, "none", 0, False) is runtime
    assert averaged_runtime(runtime, other, "flips", 3, True).count == 24
    assert traits(Ensemble(differing())).tile_exact


def aspects(grid_recipe, *bands):
    return Recipe(grid_recipe.sources, bands, grid_recipe.grid)


def test_bands_with_a_direction_turn_with_the_image_or_forbid_it(model):
    east, north = Band("east", "r1", derive="aspect_sin"), Band("north", "r1", derive="aspect_cos")
    paired = DirectionalBands.of((east, north))
    image = np.zeros((2, 4, 6))
    image[0] = 1.0  # looks east everywhere
    assert (transformed(image, (1, 0), paired) == np.stack([np.zeros((6, 4)), np.ones((6, 4))])).all()
    assert (transformed(image, (0, 1), paired)[0] == -1).all() and (
        transformed(image, (2, 1), paired)[0] == 1
    ).all()
    said = []
    for bands, tta, count in (
        ((east, north), "all", 8),
        ((east, Band("height", "r1", 2)), "all", 4),
        ((Band("light", "r1", derive="hillshade"), north), "all", 1),
        ((Band("light", "r1", derive="hillshade"), north), "flips", 1),
    ):
        described = replace(model, recipe=aspects(model.recipe, *bands))
        found = averaged_runtime(runtime_of(model), described, tta, 0, False, said.append)
        assert getattr(found, "count", 1) == count
    assert "only rotation by 180°" in " ".join(said) and "'light' has a fixed light" in " ".join(said)


def views_of(model, tta="all", said=None, **changes):
    described = replace(model, **changes)
    assert averaging.variant_count(described, tta, 5) == 5 * averaging.variant_count(described, tta, 0)
    found = averaged_runtime(
        runtime_of(model), described, tta, 0, False, (said if said is not None else []).append
    )
    views = getattr(found, "count", 1)
    assert averaging.variant_count(described, tta, 0) == views
    return views


@pytest.mark.parametrize("method", BASELINES)
def test_a_model_of_pixels_is_asked_once(model, method):
    said = []
    assert views_of(model, said=said, architecture={"name": method}) == 1
    assert said == ["7 of 8 transforms are left out: the model was not trained with them."]


@pytest.mark.parametrize(
    ("augment", "tta", "count"),
    [
        (("flip", "turn", "noise"), "all", 8),
        (("flip", "rotate"), "all", 8),
        (("flip",), "all", 4),
        (("flip",), "flips", 4),
        (("turn",), "all", 4),
        (("turn",), "flips", 2),
        (("scale", "noise"), "all", 1),
        ((), "flips", 1),
    ],
)
def test_only_views_that_training_has_shown_are_asked(model, augment, tta, count):
    assert views_of(model, tta, trained={"plan": {"augment": list(augment)}}) == count


def test_a_file_that_does_not_say_how_it_was_trained_is_asked_in_all_views(model):
    assert views_of(model, trained={}) == 8
