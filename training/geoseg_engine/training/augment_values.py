"""Augmentation that changes values, and that puts parts of one crop onto another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..contract import IGNORE
from ..modelfile.directions import Directions

BRIGHTNESS, CONTRAST, NOISE = 0.1, 0.1, 0.05
"""Standard deviations, in z-scores; contrast is relative."""
DROPPED_SHARE = 0.1
MIXED_SHARE = 0.5
MIXED_AREA = (0.05, 0.4)
"""Shares: of bands that are dropped, of crops that get a part of another, of the area of that part."""


def brighten(images: Tensor, directions: Directions, rng: np.random.Generator) -> Tensor:
    """Brightness and contrast by crop and band; directions are left as they are."""
    batch, bands = images.shape[:2]
    # Half of a crop's change is shared by its bands (light, haze), half is each band's own.
    shift, gain = (
        (rng.normal(size=(batch, 1)) + rng.normal(size=(batch, bands))) / np.sqrt(2) for _ in range(2)
    )
    shift[:, directions.bands] = gain[:, directions.bands] = 0
    return torch.addcmul(_column(BRIGHTNESS * shift, images), images, _column(1 + CONTRAST * gain, images))


def add_noise(images: Tensor, directions: Directions, rng: np.random.Generator) -> Tensor:
    """Noise by pixel, of another strength in every crop; directions are left as they are."""
    strength = rng.uniform(0, NOISE, size=(len(images), 1)).repeat(images.shape[1], axis=1)
    strength[:, directions.bands] = 0
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**31)))
    speckle = torch.randn(images.shape, generator=generator, device=images.device)
    return torch.addcmul(images, speckle, _column(strength, images))


def drop_bands(images: Tensor, directions: Directions, rng: np.random.Generator) -> Tensor:
    """Set bands of a crop to their mean, a share of them but never all; a direction goes as a whole."""
    batch, bands = images.shape[:2]
    kept = rng.random((batch, bands)) >= DROPPED_SHARE
    for east, north in directions.pairs:
        kept[:, north] = kept[:, east]
    kept[~kept.any(axis=1)] = True
    return images * _column(kept.astype(np.float32), images)


def cut_and_mix(images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put a rectangle of another crop into half of the crops, at its place (Yun et al. 2019, arXiv:1905.04899)."""
    batch, side = len(images), images.shape[-1]
    area = rng.uniform(*MIXED_AREA, batch) * (rng.random(batch) < MIXED_SHARE)
    shape = rng.uniform(0.5, 2.0, batch)
    sides = np.stack([np.sqrt(area * shape), np.sqrt(area / shape)], 1).clip(0, 1)
    start = torch.from_numpy(rng.random((batch, 2)) * (1 - sides)).to(images.device)[:, :, None] * side
    end = start + torch.from_numpy(sides).to(images.device)[:, :, None] * side
    place = torch.arange(side, device=images.device)
    inside = (place >= start) & (place < end)
    mask = inside[:, 0, :, None] & inside[:, 1, None, :]
    return _put(images, labels, mask, _donors(images, rng))


def copy_rare(images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put the pixels of the rarest class of another crop onto half of the crops (Ghiasi et al. 2021).

    arXiv:2012.07177. The class of the donor with the fewest pixels in the batch is taken, and never the most
    frequent one of all.
    """
    donors = _donors(images, rng)
    flat = labels.flatten(1).long()
    counts = torch.zeros((len(images), 256), device=labels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=counts.dtype))
    counts[:, IGNORE] = 0
    total = counts.sum(dim=0)
    rarity = torch.where(counts > 0, total, torch.inf)
    rarity[:, total.argmax()] = torch.inf
    least, rare = rarity[donors].min(dim=1)
    gets = torch.from_numpy(rng.random(len(images)) < MIXED_SHARE).to(images.device)
    mask = (labels[donors] == rare[:, None, None]) & (gets & torch.isfinite(least))[:, None, None]
    return _put(images, labels, mask, donors)


def _donors(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Another crop for every crop of the batch."""
    batch = len(images)
    apart = int(rng.integers(1, batch)) if batch > 1 else 0
    return torch.from_numpy((np.arange(batch) + apart) % batch).to(images.device)


def _put(images: Tensor, labels: Tensor, mask: Tensor, donors: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of the donors where the mask (batch, rows, cols) says so."""
    return torch.where(mask[:, None], images[donors], images), torch.where(mask, labels[donors], labels)


def _column(values: np.ndarray, images: Tensor) -> Tensor:
    """Numbers (batch, bands) as a factor of images (batch, bands, rows, cols)."""
    return torch.from_numpy(values.astype(np.float32)).to(images)[:, :, None, None]
