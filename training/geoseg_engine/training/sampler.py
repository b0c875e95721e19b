"""The crops of a training: centred on labelled pixels, a fraction of them class-balanced.

Class-balanced crops, a third unless set otherwise, are centred on a class drawn uniformly, then on a polygon
(connected component) of it, then on a pixel (after Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z, with
the polygon in between, so that one huge polygon does not outweigh the small ones). The others are centred on any
labelled pixel.
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
from .transfer import sent

CLASS_BALANCED_FRACTION = 1 / 3
MAX_PIXELS = 4_000_000
"""Candidates kept in memory per class; more are thinned evenly."""
COMPONENT_PIXELS = 16_000_000
"""Components are found on a coarser raster where there are more pixels than this."""


@dataclass(frozen=True)
class CandidatePixels:
    """Candidate centres of one class, grouped by connected component.

    Attributes:
        flat: indices into the flattened raster, ordered by component.
        start: index into `flat` where each component starts, and its end.
        cumulative_share: cumulative probability of the components, 0..1.
    """

    flat: NDArray[np.int64]
    start: NDArray[np.int64]
    cumulative_share: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> int:
        """Return the index of a pixel in the flattened raster."""
        group = int(np.searchsorted(self.cumulative_share, rng.random(), side="right"))
        group = min(group, len(self.start) - 2)
        return int(self.flat[rng.integers(self.start[group], self.start[group + 1])])


class Sampler:
    """Draws the crops of a step. A step's crops depend on the seed and the step's number alone.

    Args:
        scene: image and labels.
        crop_px: side of a crop in pixels.
        seed: any whole number.
        class_balanced_fraction: fraction of the crops drawn class first, 0..1.
    """

    def __init__(
        self, scene: Scene, crop_px: int, seed: int, class_balanced_fraction: float = CLASS_BALANCED_FRACTION
    ) -> None:
        self.scene, self.crop_px, self.seed, self.class_balanced_fraction = (
            scene,
            crop_px,
            seed,
            class_balanced_fraction,
        )
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
        """Return the crops of a step.

        Args:
            step: number of the step, from 0.
            batch_size: number of crops.
            size_px: side in pixels, where it is not the sampler's own.
            share: which of the crops to cut, where several processes share a step.

        Returns:
            z-scores float32 (batch, bands, side, side) and labels uint8 (batch, side, side), IGNORE outside
            the train split and outside the raster; on the device of the image.
        """
        size, image = size_px or self.crop_px, self.scene.image
        corners = self.corners(step, batch_size, size)[share]
        if isinstance(image, ImageInMemory) and image.on_gpu:
            images = cut_batch(image.scores, corners, size, 0.0).float()
            return images, cut_batch(self._labels[None], corners, size, IGNORE)[:, 0]
        return (
            torch.stack([image.read(row, col, size, size) for row, col in corners]),
            torch.stack([cut(self._labels, row, col, size, size, IGNORE) for row, col in corners]),
        )

    def corners(self, step: int, batch_size: int, size_px: int = 0) -> list[tuple[int, int]]:
        """Return row and column of the upper left pixel of each crop of a step.

        Args:
            step: number of the step, from 0.
            batch_size: number of crops.
            size_px: side in pixels, where it is not the sampler's own.
        """
        rng = self.random(step)
        return [self._corner(rng, size_px or self.crop_px) for _ in range(batch_size)]

    def random(self, step: int, purpose: int = 0) -> np.random.Generator:
        """Return random numbers of a step that do not depend on any other draw.

        Args:
            step: number of the step, from 0.
            purpose: 0 for the corners, other numbers for other uses.
        """
        return np.random.default_rng((self.seed, step, purpose))

    def _corner(self, rng: np.random.Generator, size: int) -> tuple[int, int]:
        if rng.random() < self.class_balanced_fraction:
            flat = self._classes[rng.integers(len(self._classes))].draw(rng)
        else:
            flat = int(self._labelled[rng.integers(len(self._labelled))])
        row, col = divmod(flat, self.scene.train.shape[1])
        jitter = rng.integers(-(size // 4), size // 4 + 1, size=2)
        rows, cols = self.scene.train.shape
        return (
            crop_start(row - size // 2 + int(jitter[0]), size, rows),
            crop_start(col - size // 2 + int(jitter[1]), size, cols),
        )


def cut_batch(array: Tensor, corners: list[tuple[int, int]], size: int, fill: float) -> Tensor:
    """Cut squares of an array in one gather: for a GPU, where every further call costs more than the copying.

    Args:
        array: (bands, rows, cols).
        corners: row and column of each square's upper left pixel; squares may reach outside.
        size: side in pixels.
        fill: value outside the array.

    Returns:
        (squares, bands, size, size).
    """
    starts = sent(np.array(corners, np.int64).reshape(-1, 2), array.device)
    steps = torch.arange(size, device=array.device)
    rows, cols = starts[:, :1] + steps, starts[:, 1:] + steps
    height, width = array.shape[-2:]
    flat = rows.clamp(0, height - 1)[:, :, None] * width + cols.clamp(0, width - 1)[:, None, :]
    found = array.flatten(1)[:, flat].transpose(0, 1)
    if all(0 <= row <= height - size and 0 <= col <= width - size for row, col in corners):
        return found
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((cols >= 0) & (cols < width))[:, None, :]
    return found.masked_fill(~inside[:, None], fill)


def crop_start(start: int, size: int, length: int) -> int:
    """Return the start of a crop shifted into 0..length; centred where the raster is smaller than the crop.

    Args:
        start: row or column where the crop would start.
        size: side of the crop in pixels.
        length: rows or columns of the raster.
    """
    if length <= size:
        return (length - size) // 2
    return min(max(start, 0), length - size)


def group_pixels(labels: NDArray[np.uint8], index: int) -> CandidatePixels:
    """Group the pixels of a class by connected component; a component's probability grows with the root of its size.

    Args:
        labels: uint8 (rows, cols) class ids.
        index: class id.
    """
    mask = labels == index
    flat = _thin(np.flatnonzero(mask.ravel()))
    factor = max(1, int(np.ceil((mask.size / COMPONENT_PIXELS) ** 0.5)))
    rows, cols = np.divmod(flat, labels.shape[1])
    component = _components(mask, factor)[rows // factor, cols // factor]
    order = np.argsort(component, kind="stable")
    sizes = np.bincount(component)
    sizes = sizes[sizes > 0]
    shares = np.sqrt(sizes)
    return CandidatePixels(
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
