"""The network's promises: its reach is exact, and it is what it says it is."""

import pytest
import torch

from geoseg_engine.contract import GeoSegError
from geoseg_engine.models import build
from geoseg_engine.models.unet import UNet, reach


def network(levels: int, width: int = 4) -> UNet:
    torch.manual_seed(0)
    made = UNet(3, 2, width, levels)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return made.double().eval()


@pytest.mark.parametrize(("levels", "expected"), [(1, 8), (2, 24), (4, 96)])
def test_reach_is_a_multiple_of_the_alignment(levels, expected):
    assert reach(levels) == expected
    assert UNet(1, 2, 2, levels).align_px == 2**levels


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_window_with_the_reach_equals_the_whole(levels):
    made = network(levels)
    image = torch.randn(1, 3, 160, 160, dtype=torch.float64)
    halo, core = made.reach_px, 16
    start = 64
    with torch.no_grad():
        whole = made(image)[:, :, start : start + core, start : start + core]
        window = image[:, :, start - halo : start + core + halo, start - halo : start + core + halo]
        part = made(window)[:, :, halo : halo + core, halo : halo + core]
    assert torch.equal(whole, part) or (whole - part).abs().max() < 1e-12


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_nothing_beyond_the_reach_matters_and_something_within_does(levels):
    made = network(levels)
    align, halo = made.align_px, made.reach_px
    image = torch.randn(1, 3, 2 * halo + align, 2 * halo + align, dtype=torch.float64, requires_grad=True)
    made(image)[:, :, halo : halo + align, halo : halo + align].square().sum().backward()
    seen = image.grad.abs().sum(dim=(0, 1)).sum(dim=1) > 0
    assert seen[align : 2 * align].any() or seen[:align].any()
    bigger = torch.randn(1, 3, 2 * halo + 5 * align, align * 2, dtype=torch.float64, requires_grad=True)
    made(bigger)[:, :, halo + 2 * align : halo + 3 * align].square().sum().backward()
    assert not (bigger.grad.abs().sum(dim=(0, 1, 3))[: 2 * align] > 0).any()


def test_an_unknown_architecture_is_named():
    with pytest.raises(GeoSegError, match="segformer") as caught:
        build({"name": "segformer"})
    assert caught.value.code == "architecture"
