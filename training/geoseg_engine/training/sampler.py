"""Where training looks: crops centred on labelled pixels, a share of them drawn class by class.

A share of the crops, a third unless asked otherwise, is centred on a class drawn uniformly, then on a polygon
(connected component) of it, then on a pixel (after Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z, with
the polygon in between, so that one huge polygon does not drown the small ones). The rest is centred on any labelled
pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..contract import IGNORE
from .scene import ImageInMemory, Scene, cut

BY_CLASS = 1 / 3
MAX_PIXELS = 4_000_000
"""Candidates kept in memory, for each class; more are thinned evenly."""
COMPONENT_PIXELS = 16_000_000
"""Components are found on a coarser raster where there are more pixels than this."""


@dataclass(frozen=True)
class Pixels:
    """Candidate centres of one class, grouped by component; `upto` is the cumulative share of the groups."""

    flat: NDArray[np.int64]
    start: NDArray[np.int64]
    upto: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a pixel in the flattened raster."""
        group = int(np.searchsorted(self.upto, rng.random(), side="right"))
        group = min(group, len(self.start) - 2)
        return int(self.flat[rng.integers(self.start[group], self.start[group + 1])])


class Sampler:
    """Draws the crops of a step. A step's crops depend on the seed and the step's number alone.

    Args:
        scene: image and labels.
        crop_px: side of a crop.
        seed: any whole number.
        by_class: share of crops drawn class first, 0..1.
    """

    def __init__(self, scene: Scene, crop_px: int, seed: int, by_class: float = BY_CLASS) -> None:
        self.scene, self.crop_px, self.seed, self.by_class = scene, crop_px, seed, by_class
        self._labels = torch.from_numpy(scene.train)
        if isinstance(scene.image, ImageInMemory):
            self._labels = self._labels.to(scene.image.scores.device)
        flat = np.flatnonzero(scene.train.ravel() != IGNORE)
        self._labelled = _thin(flat)
        self._classes = [
            group_pixels(scene.train, index) for index, pixels in enumerate(scene.train_counts()) if pixels
        ]

    def crops(
        self, step: int, batch_size: int, size_px: int = 0, share: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """The crops of a step.

        Args:
            step: number of the step from 0.
            batch_size: crops.
            size_px: side, where it is not the sampler's own.
            share: which of the crops to cut, where several processes share a step.

        Returns:
            z-scores float32 (batch, bands, side, side) and labels uint8 (batch, side, side), IGNORE outside
            the train split and outside the raster; where the image lies.
        """
        size, image = size_px or self.crop_px, self.scene.image
        corners = self.corners(step, batch_size, size)[share]
        if isinstance(image, ImageInMemory) and image.scores.device.type != "cpu":
            images = cut_batch(image.scores, corners, size, 0.0).float()
            return images, cut_batch(self._labels[None], corners, size, IGNORE)[:, 0]
        return (
            torch.stack([image.read(row, col, size, size) for row, col in corners]),
            torch.stack([cut(self._labels, row, col, size, size, IGNORE) for row, col in corners]),
        )

    def corners(self, step: int, batch_size: int, size_px: int = 0) -> list[tuple[int, int]]:
        """Row and column where each crop of a step begins."""
        rng = self.random(step)
        return [self._corner(rng, size_px or self.crop_px) for _ in range(batch_size)]

    def random(self, step: int, purpose: int = 0) -> np.random.Generator:
        """Random numbers of a step that nothing else can shift."""
        return np.random.default_rng((self.seed, step, purpose))

    def _corner(self, rng: np.random.Generator, size: int) -> tuple[int, int]:
        if rng.random() < self.by_class:
            flat = self._classes[rng.integers(len(self._classes))].draw(rng)
        else:
            flat = int(self._labelled[rng.integers(len(self._labelled))])
        row, col = divmod(flat, self.scene.train.shape[1])
        jitter = rng.integers(-(size // 4), size // 4 + 1, size=2)
        rows, cols = self.scene.train.shape
        return (
            place(row - size // 2 + int(jitter[0]), size, rows),
            place(col - size // 2 + int(jitter[1]), size, cols),
        )


def cut_batch(array: Tensor, corners: list[tuple[int, int]], size: int, fill: float) -> Tensor:
    """Squares of an array in one gather: for a GPU, where every further call costs more than the copying.

    Args:
        array: (bands, rows, cols).
        corners: row and column where each square begins; squares may reach outside.
        size: side.
        fill: value outside the array.

    Returns:
        (squares, bands, size, size).
    """
    starts = torch.tensor(corners, device=array.device)
    steps = torch.arange(size, device=array.device)
    rows, cols = starts[:, :1] + steps, starts[:, 1:] + steps
    height, width = array.shape[-2:]
    flat = rows.clamp(0, height - 1)[:, :, None] * width + cols.clamp(0, width - 1)[:, None, :]
    found = array.flatten(1)[:, flat].transpose(0, 1)
    if all(0 <= row <= height - size and 0 <= col <= width - size for row, col in corners):
        return found
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((cols >= 0) & (cols < width))[:, None, :]
    return found.masked_fill(~inside[:, None], fill)


def place(start: int, size: int, length: int) -> int:
    """Start of a crop shifted into 0..length; centred where the raster is smaller than the crop."""
    if length <= size:
        return (length - size) // 2
    return min(max(start, 0), length - size)


def group_pixels(labels: NDArray[np.uint8], index: int) -> Pixels:
    """Pixels of a class by connected component; a component's share grows with the root of its size."""
    mask = labels == index
    flat = _thin(np.flatnonzero(mask.ravel()))
    factor = max(1, int(np.ceil((mask.size / COMPONENT_PIXELS) ** 0.5)))
    rows, cols = np.divmod(flat, labels.shape[1])
    component = _components(mask, factor)[rows // factor, cols // factor]
    order = np.argsort(component, kind="stable")
    sizes = np.bincount(component)
    sizes = sizes[sizes > 0]
    shares = np.sqrt(sizes)
    return Pixels(
        flat[order],
        np.concatenate([[0], np.cumsum(sizes)]),
        np.cumsum(shares / shares.sum()),
    )


def _components(mask: NDArray[np.bool_], factor: int) -> NDArray[np.int32]:
    if factor > 1:
        rows, cols = (-(-side // factor) for side in mask.shape)
        coarse = np.zeros((rows, cols), dtype=bool)
        for row in range(factor):
            for col in range(factor):
                part = mask[row::factor, col::factor]
                coarse[: part.shape[0], : part.shape[1]] |= part
        mask = coarse
    return np.asarray(ndimage.label(mask, structure=np.ones((3, 3)))[0], dtype=np.int32)


def _thin(flat: NDArray[np.int64]) -> NDArray[np.int64]:
    return flat[:: max(1, -(-len(flat) // MAX_PIXELS))]
