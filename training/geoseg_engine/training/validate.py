"""Validation: every validation pixel once, with full context, into one confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..channel import Channel
from ..contract import IGNORE
from ..device.devices import Device
from ..modelfile.precision import Precision
from ..models import traits
from ..raster.grid import Window, round_up
from ..raster.window_blending import MIN_WINDOW_PX, Lattice, blend
from ..scores.cells import Cells, lattice_px
from ..scores.intervals import DEFAULT_BLOCK_PX as BLOCK_PX
from .distributed import ALONE, Group
from .losses import Loss
from .scene import Scene
from .transfer import sent, sent_back

Waited = Callable[[], Tensor]
"""Waits for a tensor that is on its way to the host."""
CORE_PX = 512
SMALLEST_SHARE = 1e-7


@dataclass(frozen=True)
class ValidationResult:
    """Mean loss per pixel, and the confusion matrices of the validated blocks (rows are the truth)."""

    loss: float
    blocks: NDArray[np.int64]

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Confusion matrix (K, K) of all pixels."""
        return np.asarray(self.blocks.sum(axis=0))


@dataclass(frozen=True)
class Core:
    """A part of the scene that holds validation pixels; half-open, aligned."""

    row: int
    col: int
    height: int
    width: int

    def halves(self, align_px: int) -> list[Core]:
        """Return the two halves of the part, along its longer side; empty where it cannot be divided.

        Args:
            align_px: what rows and columns of a part are multiples of.
        """
        by_rows = self.height >= self.width
        length = self.height if by_rows else self.width
        first = round_up((length + 1) // 2, align_px)
        if first >= length:
            return []
        if by_rows:
            return [
                Core(self.row, self.col, first, self.width),
                Core(self.row + first, self.col, length - first, self.width),
            ]
        return [
            Core(self.row, self.col, self.height, first),
            Core(self.row, self.col + first, self.height, length - first),
        ]


def cores(labels: NDArray[np.uint8], align_px: int, core_px: int = CORE_PX) -> list[Core]:
    """Return aligned parts that hold every labelled pixel once, each shrunk to the labels in it.

    Args:
        labels: uint8 (rows, cols), IGNORE where unlabelled.
        align_px: what rows and columns of a part are multiples of.
        core_px: maximum side of a part in pixels.
    """
    step = max(core_px // align_px, 1) * align_px
    found = []
    for row in range(0, labels.shape[0], step):
        for col in range(0, labels.shape[1], step):
            known = labels[row : row + step, col : col + step] != IGNORE
            if known.any():
                top, bottom = _aligned_span(known.any(axis=1), align_px)
                left, right = _aligned_span(known.any(axis=0), align_px)
                found.append(Core(row + top, col + left, bottom - top, right - left))
    return found


def validate(
    network: nn.Module,
    scene: Scene,
    loss: Loss,
    device: Device,
    precision: Precision,
    channel: Channel,
    group: Group = ALONE,
    crop_px: int = CORE_PX,
) -> ValidationResult:
    """Predict all validation pixels and count; each process of a group does its share.

    Args:
        network: on the device.
        scene: image and labels.
        loss: of logits and labels.
        device: of the network.
        precision: arithmetic of the passes.
        channel: cancel point.
        group: processes that share the validation.
        crop_px: side of the training crops, the windows of a network that is not tile-exact.

    Raises:
        Cancelled: if the user stops meanwhile.
    """
    height, width = scene.validation.shape
    cells = Cells(lattice_px(BLOCK_PX, height, width), height, width, scene.classes)
    total = pixels = 0.0

    def count(core: Core, truth: NDArray[np.uint8], cost: Waited, mapped: Waited) -> None:
        nonlocal total, pixels
        known = float((truth != IGNORE).sum())
        total += known * float(cost())
        pixels += known
        cells.add(core.row, core.col, truth, mapped().numpy())

    waiting: list[tuple[Core, NDArray[np.uint8], Waited, Waited]] = []
    for core, logits in predict_cores(network, scene, device, precision, channel, group.share, crop_px):
        truth = scene.validation[core.row : core.row + core.height, core.col : core.col + core.width]
        logits = logits[:, :, : truth.shape[0], : truth.shape[1]]
        there = sent(truth, device.torch_device)[None]
        cost = device.run(partial(loss, logits, there))
        mapped = logits[0].argmax(dim=0).to(torch.uint8)
        waiting.append((core, truth, sent_back(cost, device), sent_back(mapped, device)))
        if len(waiting) > 1:  # the device has the next part before this one is counted
            count(*waiting.pop(0))
    for part in waiting:
        count(*part)
    total, pixels = group.summed(np.array([total, pixels]), device)
    blocks = group.summed(cells.all_matrices(), device)
    return ValidationResult(float(total / max(pixels, 1.0)), blocks[blocks.any(axis=(1, 2))])


@torch.no_grad()
def predict_cores(
    network: nn.Module,
    scene: Scene,
    device: Device,
    precision: Precision,
    channel: Channel | None = None,
    share: slice = slice(None),
    crop_px: int = CORE_PX,
) -> Iterator[tuple[Core, Tensor]]:
    """Yield the logits of each core of a share, as prediction will compute them.

    With the halo that the network needs; where no halo is enough, blended from overlapping windows.

    Args:
        network: on the device; set to evaluation mode.
        scene: image and labels.
        device: of the network.
        precision: arithmetic of the passes.
        channel: cancel point; None for none.
        share: which of the cores to predict, where several processes share them.
        crop_px: side of the windows of a network that is not tile-exact.

    Yields:
        The core, and its logits (1, classes, rows, cols) in float32.
    """
    network.eval()
    facts = traits(network)
    if not facts.tile_exact:
        yield from _predict_blended(network, scene, device, precision, channel, share, crop_px)
        return
    waiting = cores(scene.validation, facts.align_px)[share][::-1]
    while waiting:
        core = waiting.pop()
        if channel is not None:
            channel.check_cancelled()
        # No halo beyond the border of the scene: there the network pads with zeros itself.
        top, left = max(core.row - facts.reach_px, 0), max(core.col - facts.reach_px, 0)
        bottom = min(core.row + core.height + facts.reach_px, round_up(scene.image.height, facts.align_px))
        right = min(core.col + core.width + facts.reach_px, round_up(scene.image.width, facts.align_px))
        image = scene.image.read(top, left, bottom - top, right - left)[None]
        try:
            logits = forward(network, image, device, precision)
        except MemoryError:
            parts = core.halves(facts.align_px)
            if not parts:
                raise
            waiting += parts[::-1]
            device.empty_cache()
            continue
        row, col = core.row - top, core.col - left
        yield core, logits[:, :, row : row + core.height, col : col + core.width].float()


def forward(network: nn.Module, images: Tensor, device: Device, precision: Precision) -> Tensor:
    """Return the logits of images (batch, classes, rows, cols), on the device.

    Args:
        network: on the device.
        images: (batch, bands, rows, cols), anywhere.
        device: of the network.
        precision: arithmetic of the pass.

    Raises:
        MemoryError: where they do not fit into the device's memory.
        GeoSegError: `device_lost`.
    """

    def logits() -> Tensor:
        here = images.to(device.torch_device).contiguous(memory_format=device.layout)
        with precision.autocast(device):
            made: Tensor = network(here)
        return made

    return device.run(logits)


def _predict_blended(
    network: nn.Module,
    scene: Scene,
    device: Device,
    precision: Precision,
    channel: Channel | None,
    share: slice,
    crop_px: int,
) -> Iterator[tuple[Core, Tensor]]:
    """As `predict_cores`; the logits are logarithms of probabilities, which are what is blended."""
    align_px = traits(network).align_px
    height, width = round_up(scene.image.height, align_px), round_up(scene.image.width, align_px)
    lattice = Lattice(height, width, round_up(max(crop_px, MIN_WINDOW_PX), align_px), align_px)

    def shares(image: NDArray[np.float32]) -> NDArray[np.float32]:
        if channel is not None:
            channel.check_cancelled()
        window = torch.from_numpy(np.ascontiguousarray(image))[None]
        logits = forward(network, window, device, precision)
        found: NDArray[np.float32] = logits[0].float().softmax(dim=0).cpu().numpy()
        return found

    for core in cores(scene.validation, align_px)[share]:
        window = Window(core.row, core.col, core.height, core.width)
        around = lattice.around(window)
        image = scene.image.read(around.row, around.col, around.height, around.width).cpu().numpy()
        blended = torch.from_numpy(blend(lattice, window, around, image, shares))
        yield core, blended.clamp_min(SMALLEST_SHARE).log()[None].to(device.torch_device)


def _aligned_span(known: NDArray[np.bool_], align_px: int) -> tuple[int, int]:
    places = np.flatnonzero(known)
    return int(places[0]) // align_px * align_px, round_up(int(places[-1]) + 1, align_px)
