"""The job `preview`: a picture of crops as training would draw them, before and after augmentation."""

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
from ..device.finding import find_device
from ..outputs import prepare_folder, whole_file
from .augmentation import augment, resize, source_size
from .data_survey import survey_scene
from .plan import Plan
from .preparing import first_plan
from .sampler import Sampler
from .scene import load_scene, padding

PICTURE_FILE, FACTS_FILE = "preview.png", "preview.json"
STRETCH = (2, 98)
"""Percentiles that are shown as black and white."""
MIN_PX, MAX_PX, GAP_PX, ACROSS = 128, 256, 4, 6
"""Minimum and maximum side of a crop in the picture, the gap between crops, and crops side by side."""


def run(job: PreviewJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Draw the crops of the first step and write preview.png and preview.json.

    The picture has a column per crop: the crop, the crop with its labels, and both again after augmentation.
    Preview.json lists the crops of the picture, each with the row and column of the dataset's grid where it begins.

    Args:
        job: settings of the training, and the number of crops.
        folder: of the job; its paths are relative to it.
        channel: gets events; cancel point.

    Returns:
        Path of the picture, kinds of augmentation, and sentences that describe the picture.

    Raises:
        GeoSegError: `no_training_pixels`, or as reading a dataset.
    """
    output, training = folder / job.output, job.training
    prepare_folder(output)
    whole, dataset_folder = read_dataset(folder / training.dataset)
    dataset = with_bands(whole, training.bands)
    padding_px = padding(training.crop_px, dataset.tile_px)
    scene, _ = load_scene(dataset, dataset_folder, padding_px, channel, whole=whole)
    survey = survey_scene(scene)
    plan, _ = first_plan(training, dataset, survey, find_device(training.device))

    directions = survey.directions
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
    sentences = describe_picture(job.tiles, plan, directions.restriction())
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


def describe_picture(tiles: int, plan: Plan, restriction: str) -> list[str]:
    """Describe the picture in sentences.

    Args:
        tiles: number of crops.
        plan: crop size and augmentation.
        restriction: of the bands that allow no rotation; left out where the plan does not depend on it.
    """
    kinds = ", ".join(plan.augment).replace("_", " ")
    return [
        f"{tiles} crops of {plan.crop_px} px; {plan.by_class:.0%} of the crops are class-balanced",
        f"augmented by: {kinds}" if kinds else "no augmentation",
        *([restriction] if restriction in plan.reasons else []),
    ]


def picture(shown: Sequence[tuple[Tensor, Tensor]], classes: Sequence[LabelClass]) -> NDArray[np.uint8]:
    """Return all crops as one picture.

    Args:
        shown: images (crops, bands, side, side) and labels (crops, side, side), before and after augmentation.
        classes: with their colours.

    Returns:
        uint8 (3, rows, cols).
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
            [
                np.concatenate([frame_crop(cell) for cell in line[start : start + ACROSS]], 2)
                for line in lines
            ],
            1,
        )
        for start in range(0, len(lines[0]), ACROSS)
    ]
    width = blocks[0].shape[2]
    padded = [
        np.pad(block, ((0, 0), (0, 0), (0, width - block.shape[2])), constant_values=255) for block in blocks
    ]
    return np.concatenate(padded, 1)


def to_rgb(image: NDArray[np.float32], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the first three bands as colours, or the first one in grey where there are fewer.

    Args:
        image: z-scores (bands, side, side).
        limits: (2, bands), values shown as black and white.

    Returns:
        uint8 (3, side, side).
    """
    chosen = [0, 1, 2] if len(image) >= 3 else [0, 0, 0]
    low, high = (limit[chosen, None, None] for limit in limits)
    return np.asarray(255 * ((image[chosen] - low) / np.maximum(high - low, 1e-6)).clip(0, 1), dtype=np.uint8)


def tint(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[LabelClass]
) -> NDArray[np.uint8]:
    """Return the picture with half-transparent class colours; unlabelled pixels stay as they are.

    Args:
        rgb: uint8 (3, side, side).
        labels: uint8 (side, side), IGNORE where unlabelled.
        classes: with their colours.

    Returns:
        uint8 (3, side, side).
    """
    colours = np.zeros((256, 3), dtype=np.uint16)
    for item in classes:
        colours[item.id] = [int(item.color.lstrip("#")[place : place + 2], 16) for place in (0, 2, 4)]
    mixed = (rgb + colours[labels].transpose(2, 0, 1)) // 2
    return np.where(labels == IGNORE, rgb, mixed).astype(np.uint8)


def frame_crop(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop at the size of the picture, scaled by whole pixels, with white to its right and below."""
    side = rgb.shape[1]
    step, times = -(-side // MAX_PX), max(MIN_PX // side, 1)
    sized = rgb[:, ::step, ::step].repeat(times, 1).repeat(times, 2)
    return np.pad(sized, ((0, 0), (0, GAP_PX), (0, GAP_PX)), constant_values=255)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a PNG without a sidecar file.

    Args:
        path: of the file.
        rgb: uint8 (3, rows, cols).
    """
    with warnings.catch_warnings(), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(
            driver="PNG", width=rgb.shape[2], height=rgb.shape[1], count=3, dtype="uint8"
        ) as raster:
            raster.write(rgb)
        path.write_bytes(memory.read())
