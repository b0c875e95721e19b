"""Where the image of a training lies: on the GPU if it fits there, in half precision if that makes it fit."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..channel import Channel
from ..device.devices import Device
from .scene import STRIP_ROWS, Image, ImageInMemory, Scene

SHARE, HALF_SHARE = 0.25, 0.4
"""The image is kept on a GPU in float32 if it uses at most the first fraction of the free memory there, in float16 if
it uses at most the second; the rest is for the network."""


def scene_on_device(whole: Scene, device: Device, channel: Channel | None = None) -> Scene:
    """Return the scene with its image on the GPU, if it fits there; on a CPU the scene itself.

    Args:
        whole: with its image in memory or on disk.
        device: of the training.
        channel: gets progress, which takes long for an image on disk; cancel point.
    """
    if not device.is_gpu:
        return whole
    image = whole.image
    dtype = stored_as(image, device.memory().free)
    if dtype is None:
        return whole
    shape = (image.bands, image.height, image.width)
    try:
        scores = device.run(lambda: torch.empty(shape, dtype=dtype, device=device.torch_device))
    except MemoryError:
        device.empty_cache()
        return whole
    for row in range(0, image.height, STRIP_ROWS):
        if channel is not None and not isinstance(image, ImageInMemory):
            channel.progress("reading the stack", row, image.height)
        height = min(STRIP_ROWS, image.height - row)
        scores[:, row : row + height] = rows_of(image, row, height).to(dtype)
    return replace(whole, image=ImageInMemory(scores, on_gpu=True))


def stored_as(image: Image, free: int) -> torch.dtype | None:
    """Return the type in which an image is kept on a GPU; None where it does not fit.

    Args:
        image: of the scene.
        free: bytes of the GPU's memory.
    """
    numbers = image.bands * image.height * image.width
    is_half = isinstance(image, ImageInMemory) and image.scores.dtype == torch.float16
    if not is_half and 4 * numbers <= SHARE * free:
        return torch.float32
    return torch.float16 if 2 * numbers <= HALF_SHARE * free else None


def rows_of(image: Image, row: int, height: int) -> Tensor:
    """Return rows of an image as it stores them (bands, height, width).

    Args:
        image: of the scene.
        row: the first one.
        height: number of rows.
    """
    if isinstance(image, ImageInMemory):
        return image.scores[:, row : row + height]
    return image.read(row, 0, height, image.width)
