"""The job `preview`: a picture of crops as training would draw them, and as it would augment them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from torch import Tensor

from ..channel import Channel
from ..contract import IGNORE, LabelClass, PreviewJob, write_json
from ..dataset.datasets import read_dataset
from ..dataset.subset import with_bands
from ..modelfile.precision import find_device
from ..outputs import prepare_folder, whole_file
from .augmentation import augment, resize, source_size
from .data_survey import survey
from .plan import Plan
from .preparing import first_plan
from .sampler import Sampler
from .scene import load, margin

PICTURE_FILE, FACTS_FILE = "preview.png", "preview.json"
STRETCH = (2, 98)
"""Percentiles that become black and white."""
LEAST_PX, MOST_PX, GAP_PX, ACROSS = 128, 256, 4, 6
"""Side of a crop in the picture at least and at most, the gap between crops, and crops side by side."""


def run(job: PreviewJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Draw the crops of the first step; leave preview.png and preview.json in the output folder.

    The picture has a column for each crop: as it is, with its labels, and both again as augmented. Preview.json
    lists the crops of the picture, each with the row and column of the dataset's grid where it begins.

    Raises:
        GeoSegError: `no_training_pixels`, or as reading a dataset.
    """
    output, training = folder / job.output, job.training
    prepare_folder(output)
    whole, dataset_folder = read_dataset(folder / training.dataset)
    dataset = with_bands(whole, training.bands)
    margin_px = margin(training.crop_px, dataset.tile_px)
    scene, _ = load(dataset, dataset_folder, margin_px, channel, whole=whole)
    found = survey(scene)
    plan, _ = first_plan(training, dataset, found, find_device(training.device))

    directions = found.directions
    kinds = plan.augment
    sampler = Sampler(scene, plan.crop_px, training.seed, plan.by_class)
    size = source_size(plan.crop_px, sampler.random(0, 1), kinds)
    corners = sampler.corners(0, job.tiles, size)
    images, labels = sampler.crops(0, job.tiles, size)
    shown = [resize(images, labels, plan.crop_px)]
    if kinds:
        shown.append(augment(images, labels, plan.crop_px, directions, sampler.random(0, 2), kinds))

    with whole_file(output / PICTURE_FILE) as partial:
        write_png(partial, picture(shown, dataset.classes))
    sentences = explain(job.tiles, plan, directions.why())
    facts = {
        "rows": [
            {"kind": kind, "row": scene.region.row + row, "col": scene.region.col + col}
            for kind, _ in zip(("as it is", "augmented"), shown, strict=False)
            for row, col in corners
        ],
        "augment": list(kinds),
        "why": sentences,
    }
    write_json(output / FACTS_FILE, facts)
    channel.artifact("preview", (output / PICTURE_FILE).resolve())
    return {"image": str(output / PICTURE_FILE), "augment": list(kinds), "sentences": sentences}


def explain(tiles: int, plan: Plan, why: str) -> list[str]:
    """What the picture shows, in sentences; `why` names the band that forbids turns, where the plan heeds it."""
    kinds = ", ".join(plan.augment).replace("_", " ")
    return [
        f"{tiles} crops of {plan.crop_px} px; {plan.by_class:.0%} of the crops are drawn class by class",
        f"augmented by: {kinds}" if kinds else "no augmentation",
        *([why] if why in plan.reasons else []),
    ]


def picture(shown: Sequence[tuple[Tensor, Tensor]], classes: Sequence[LabelClass]) -> NDArray[np.uint8]:
    """All crops as one picture.

    Args:
        shown: images (crops, bands, side, side) and labels (crops, side, side), as they are and as augmented.
        classes: with their colours.

    Returns:
        (3, rows, cols).
    """
    limits = np.percentile(shown[0][0].numpy(), STRETCH, axis=(0, 2, 3))
    lines = []
    for images, labels in shown:
        plain = [to_rgb(image, limits) for image in images.numpy()]
        lines += [
            plain,
            [tint(rgb, label, classes) for rgb, label in zip(plain, labels.numpy(), strict=True)],
        ]
    blocks = [
        np.concatenate(
            [np.concatenate([framed(cell) for cell in line[start : start + ACROSS]], 2) for line in lines], 1
        )
        for start in range(0, len(lines[0]), ACROSS)
    ]
    width = blocks[0].shape[2]
    padded = [
        np.pad(block, ((0, 0), (0, 0), (0, width - block.shape[2])), constant_values=255) for block in blocks
    ]
    return np.concatenate(padded, 1)


def to_rgb(image: NDArray[np.float32], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The first three bands, or the grey of the first where there are fewer, as uint8 (3, side, side)."""
    chosen = [0, 1, 2] if len(image) >= 3 else [0, 0, 0]
    low, high = (limit[chosen, None, None] for limit in limits)
    return np.asarray(255 * ((image[chosen] - low) / np.maximum(high - low, 1e-6)).clip(0, 1), dtype=np.uint8)


def tint(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[LabelClass]
) -> NDArray[np.uint8]:
    """The picture with half transparent colours of classes; ground that is ignored stays as it is."""
    colours = np.zeros((256, 3), dtype=np.uint16)
    for item in classes:
        colours[item.id] = [int(item.color.lstrip("#")[place : place + 2], 16) for place in (0, 2, 4)]
    mixed = (rgb + colours[labels].transpose(2, 0, 1)) // 2
    return np.where(labels == IGNORE, rgb, mixed).astype(np.uint8)


def framed(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop at the size of the picture, by whole pixels, with white to its right and below."""
    side = rgb.shape[1]
    step, times = -(-side // MOST_PX), max(LEAST_PX // side, 1)
    sized = rgb[:, ::step, ::step].repeat(times, 1).repeat(times, 2)
    return np.pad(sized, ((0, 0), (0, GAP_PX), (0, GAP_PX)), constant_values=255)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write (3, rows, cols) as a PNG without a file beside it."""
    with warnings.catch_warnings(), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="PNG", width=rgb.shape[2], height=rgb.shape[1], count=3, dtype="uint8"
        ) as raster:
            raster.write(rgb)
        path.write_bytes(memory.read())
