"""Arithmetic on a CPU that does not depend on the size of the window, and the check that it holds on this computer.

A window that is computed with its halo has the pixels of the whole raster only if every operation adds in the same
order whatever the size. Three do not by themselves, and each processor shows it elsewhere:

- PyTorch gives a convolution of one image to oneDNN only above 20 480 elements; below it multiplies matrices.
- oneDNN takes another kernel for a few input channels in bf16, and for very narrow maps; `windows` keeps them wider.
- A softmax computes what is left of a row beyond whole vectors, and of the share of each thread, in another way.

`make_invariant` and `over_classes` give every size one implementation. Other libraries and other processors promise
nothing, so `largest_difference` asks the runtime itself before a plan is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...models.ensemble import Ensemble
from ...raster.grid import Window, round_up
from ..windows import Frame, cut_at

SMALL_ELEMENTS = 20_480
"""Of one image; PyTorch convolves no more than these without oneDNN."""
CHANNEL_BLOCK = 16
"""Input channels that are a multiple of it have one kernel in bf16, however wide the map."""
VECTOR_PX = 64
"""At least the widest vector of any processor, in pixels."""


def make_invariant(network: nn.Module) -> None:
    """Give the convolutions and the softmax of a network on the CPU one implementation for maps of any size.

    Args:
        network: in evaluation mode and in its final precision, float32 or bf16; changed in place.
    """
    for module in network.modules():
        if isinstance(module, Ensemble):
            module.log_softmax = partial(over_classes, module.log_softmax)
        if not torch.backends.mkldnn.is_available():
            continue
        if type(module) is nn.ConvTranspose2d:
            module.forward = partial(_twice, module.forward)  # type: ignore[method-assign]
        elif (
            type(module) is nn.Conv2d and module.padding_mode == "zeros" and isinstance(module.padding, tuple)
        ):
            short = module.weight.dtype != torch.float32
            module.forward = _padded(module) if short else partial(_by_onednn, module)  # type: ignore[method-assign]


def _by_onednn(conv: nn.Conv2d, features: Tensor) -> Tensor:
    made: Tensor = torch.ops.aten.mkldnn_convolution(
        features, conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups
    )
    return made


def _padded(conv: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """What a convolution computes, of input channels that are filled up with zeros to a multiple of CHANNEL_BLOCK."""
    missing = -conv.in_channels % CHANNEL_BLOCK
    if not missing or conv.groups > 1:
        return conv.forward
    weight = _with_channels(conv.weight.detach(), missing)
    return lambda features: conv._conv_forward(_with_channels(features, missing), weight, conv.bias)


def _with_channels(pixels: Tensor, more: int) -> Tensor:
    first, channels, rows, cols = pixels.shape
    filled = torch.empty(
        (first, channels + more, rows, cols), dtype=pixels.dtype, memory_format=torch.channels_last
    )
    filled[:, :channels] = pixels
    filled[:, channels:] = 0
    return filled


def _twice(transposed: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """What a transposed convolution computes, as one of two equal images where PyTorch would not ask oneDNN."""
    if len(features) > 1 or features.numel() > SMALL_ELEMENTS:
        return transposed(features)
    return transposed(torch.cat([features, features]))[:1]


def over_classes(function: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Apply a softmax, or a function of one, so that a pixel gets the same bits anywhere in its window.

    Args:
        function: of (1, classes, pixels, 1), over the classes.
        logits: (1, classes, rows, cols).
    """
    _, classes, rows, cols = logits.shape
    count = rows * cols
    size = round_up(count, VECTOR_PX * torch.get_num_threads())
    if size == count:
        return function(logits.reshape(1, classes, count, 1)).view(1, classes, rows, cols)
    padded = logits.new_empty((1, classes, size, 1))
    padded[0, :, :count, 0].view(classes, rows, cols).copy_(logits[0])
    padded[0, :, count:] = 0
    return function(padded)[0, :, :count, 0].reshape(1, -1, rows, cols)


def largest_difference(
    predict: Callable[[NDArray[Any], Window], NDArray[Any]], scores: NDArray[Any], frame: Frame
) -> float:
    """Return how much the output of the first pixels of a window changes when it is cut to the smallest allowed size.

    Args:
        predict: `Runtime.predict_window`.
        scores: z-scores (bands, rows, cols) of a window larger than the smallest.
        frame: raster and network.

    Returns:
        The largest difference of the output q; 0 if windows of any size agree, and if none can be smaller.
    """
    height, width = scores.shape[1:]
    inside = Frame(height, width, frame.reach_px, frame.align_px)
    core = [max(inside.min_px(across) - inside.halo_px, frame.align_px) for across in (width, height)]
    cut = cut_at(inside, 0, 0, min(core[0], height), min(core[1], width))
    if cut.read == inside.full:
        return 0.0
    whole, part = predict(scores, cut.core), predict(np.ascontiguousarray(cut.read.of(scores)), cut.kept)
    return float(np.abs(whole.astype(np.float64) - part).max())
