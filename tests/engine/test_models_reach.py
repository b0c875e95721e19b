"""What networks promise of windows: nothing beyond the reach matters, and windows with the reach equal the whole."""

import numpy as np
import pytest
import torch
from network_scenes import BANDS, CLASSES, NAMES, architecture, drawn, small

from geoseg_engine.models import build
from geoseg_engine.prediction.windows import Frame, cuts

EXACT = NAMES


def seen_px(network):
    """How far the outputs of one aligned window look to the left and right, by the gradient of the input."""
    align = network.align_px
    margin = -(-(network.reach_px + 2 * align) // align) * align
    core = max(align, 8)
    image = torch.randn(1, BANDS, 2 * align if align > 1 else 32, 2 * margin + core, dtype=torch.float64)
    image.requires_grad_()
    network(image)[..., margin : margin + core].square().sum().backward()
    seen = np.flatnonzero(image.grad.abs().sum(dim=(0, 1, 2)).numpy() > 0)
    return max(margin - seen[0], seen[-1] + 1 - margin - core)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_beyond_the_reach_matters_and_the_reach_is_not_wasted(name):
    network = small(name).double()
    measured = seen_px(network)
    assert measured <= network.reach_px
    assert network.reach_px % network.align_px == 0
    assert network.reach_px - measured <= max(2 * network.align_px, network.reach_px // 3)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("name", ["unet", "attention_resunet", "resunet_a", "segnet", "patchcnn"])
def test_the_reach_follows_the_levels(name, levels):
    network = small(name, levels=levels).double()
    assert 0 < seen_px(network) <= network.reach_px


@pytest.mark.parametrize("name", EXACT)
def test_windows_equal_the_whole_in_float64(name):
    network = small(name).double()
    assert network.tile_exact
    deep = name == "deeplabv3plus"  # a strip: its halo alone is 368 pixels
    equal_by_windows(network, (40, 840) if deep else (150, 203), 400 if deep else 48)


def test_windows_equal_the_whole_for_an_ensemble():
    members = [architecture("unet", levels=2), architecture("patchcnn"), architecture("segnet", levels=1)]
    network = build({"name": "ensemble", "members": members, "bands": BANDS, "classes": CLASSES})
    assert (network.align_px, network.reach_px, network.tile_exact) == (4, 24, True)
    equal_by_windows(drawn(network).double(), (90, 131), 24)


def equal_by_windows(network, size, core_px):
    """Predict an image whole and by windows; it is larger than a window."""
    frame = Frame(*size, network.reach_px, network.align_px)
    assert max(size) > core_px + network.reach_px
    image = torch.randn(1, BANDS, frame.full.height, frame.full.width, dtype=torch.float64)
    with torch.no_grad():
        whole = network(image)[0].numpy()
        for cut in cuts(frame, core_px):
            rows, cols = cut.read.within(frame.full)
            part = cut.kept.of(network(image[:, :, rows, cols])[0].numpy())
            rows, cols = cut.core.within(frame.full)
            assert np.abs(part - whole[:, rows, cols]).max() < 1e-10


@pytest.mark.parametrize("norm", ["group", "instance"])
@pytest.mark.parametrize("name", ["unet", "attention_resunet", "resunet_a", "segnet"])
def test_other_normalisations_do_not_promise_exact_windows(name, norm):
    network = small(name, norm=norm)
    assert not network.tile_exact
    align = network.align_px
    with torch.no_grad():
        assert network(torch.randn(2, BANDS, 4 * align, 6 * align)).shape == (
            2,
            CLASSES,
            4 * align,
            6 * align,
        )
