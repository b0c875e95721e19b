"""Crops to the device and through a step: read ahead, augmented, fewer where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channel import Channel
from ..contract import GeoSegError
from .augmentation import Directions, augment, source_size
from .distributed import Group
from .plan import Plan
from .sampler import Sampler
from .scene import ImageInMemory, Scene
from .trainer import Trainer

Batch = tuple[Tensor, Tensor]
ALLOCATOR = "DefaultCPUAllocator"
"""What torch's message holds when the CPU has no more memory; it is a plain RuntimeError."""


@dataclass(frozen=True)
class Feed:
    """Makes the augmented crops of a step, on the training device; they depend on seed and number of the step alone.

    Attributes:
        plan: crop size and augmentation.
        scene: image and labels.
        sampler: draws the crops.
        device: where they are wanted.
        group: whose share of the crops is made.
    """

    plan: Plan
    scene: Scene
    sampler: Sampler
    device: torch.device
    group: Group

    def cut(self, number: int, batch_size: int) -> Batch:
        """Crops of step `number` as they lie in the scene; pinned where they have to travel to a GPU."""
        crop_px, augmented = self.plan.crop_px, self.plan.augment
        random = self.sampler.random(number, 1)
        size = source_size(crop_px, random, augmented) if augmented else crop_px
        images, labels = self.sampler.crops(number, batch_size, size, self.group.share)
        if self.device.type == "cuda" and images.device.type == "cpu":
            return images.pin_memory(), labels.pin_memory()
        return images, labels

    def ready(self, number: int, crops: Batch) -> Batch:
        """The crops on the device, augmented."""
        images, labels = (item.to(self.device, non_blocking=True) for item in crops)
        if not self.plan.augment:
            return images, labels
        directions = Directions.of(self.scene.bands, self.scene.intermediates, self.scene.grid)
        random = self.sampler.random(number, 2 + self.group.rank)
        return augment(images, labels, self.plan.crop_px, directions, random, self.plan.augment)

    def batch(self, number: int, batch_size: int) -> Batch:
        """The augmented crops of a step."""
        return self.ready(number, self.cut(number, batch_size))

    def first(self, own: int) -> Batch:
        """So many crops of this process, of the first step."""
        return self.batch(0, own * self.group.size)


def batches(feed: Feed, steps: range, batch_size: Callable[[], int]) -> Iterator[Batch]:
    """Augmented crops of each step; the next are cut meanwhile unless they already lie on the GPU."""
    if is_near(feed.scene, feed.device) and feed.device.type != "cpu":
        yield from (feed.batch(number, batch_size()) for number in steps)
        return
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(feed.cut, steps[0], batch_size())
        for number in steps:
            crops = pending.result()
            if number + 1 in steps:
                pending = pool.submit(feed.cut, number + 1, batch_size())
            yield feed.ready(number, crops)


def step(trainer: Trainer, images: Tensor, labels: Tensor, channel: Channel) -> Tensor:
    """One step; where memory does not suffice, with half the crops from here on. Returns its loss.

    Raises:
        GeoSegError: `out_of_memory`, `out_of_gpu_memory` where a single crop is too much.
    """
    while True:
        try:
            return trainer.step(images[: trainer.batch_size], labels[: trainer.batch_size])
        except (MemoryError, RuntimeError) as error:
            if not short_of_memory(error):
                raise
            if trainer.batch_size == 1 or trainer.group.size > 1:
                raise out_of_memory(images, trainer) from error
            trainer.batch_size //= 2
        trainer.optimiser.zero_grad(set_to_none=True)
        if trainer.device.type == "cuda":
            torch.cuda.empty_cache()
        channel.log(f"Out of memory: going on with {trainer.batch_size} crops a step.", "warning")


def short_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the computer has no more memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or ALLOCATOR in str(error)


def out_of_memory(images: Tensor, trainer: Trainer) -> GeoSegError:
    """What to say where fewer crops cannot help, or where the other processes already wait for this one."""
    crops = (
        "A single crop" if len(images) == 1 or trainer.group.size == 1 else f"A step of {len(images)} crops"
    )
    on_gpu = trainer.device.type == "cuda"
    place = "the memory of the GPU" if on_gpu else "memory"
    cure = "Choose a smaller crop or width" + (", or the CPU as device." if on_gpu else ".")
    if trainer.group.size > 1:
        cure = f"Choose a smaller batch, of all {trainer.group.size} processes together, and resume."
    return GeoSegError(
        "out_of_gpu_memory" if on_gpu else "out_of_memory",
        f"{crops} of {images.shape[-1]} px does not fit into {place}.",
        cure,
    )


def is_near(scene: Scene, device: torch.device) -> bool:
    """Whether the image lies on the device."""
    return isinstance(scene.image, ImageInMemory) and scene.image.scores.device == device
