"""Batches of a training step: crops are read ahead, augmented on the device, and fewer where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

from torch import Tensor

from ..channel import Channel
from ..contract import GeoSegError
from ..device.devices import Device
from .augmentation import DirectionalBands, augment, source_size
from .distributed import Group
from .plan import Plan
from .sampler import Sampler
from .scene import ImageInMemory, Scene
from .trainer import Trainer

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class BatchSource:
    """Makes the augmented crops of a step on the training device; they depend on seed and step number alone.

    Attributes:
        plan: crop size and augmentation.
        scene: image and labels.
        sampler: draws the crops.
        device: where the batches are needed.
        group: processes that share a step; only this process's crops are made.
    """

    plan: Plan
    scene: Scene
    sampler: Sampler
    device: Device
    group: Group

    def read(self, number: int, batch_size: int) -> Batch:
        """Read the crops of a step where the scene is; in pinned memory if they have to be copied to a GPU.

        Args:
            number: step, from 0.
            batch_size: crops of the step, of all processes together.

        Returns:
            Images (batch, bands, side, side) and labels uint8 (batch, side, side), not yet augmented.
        """
        crop_px, augmented = self.plan.crop_px, self.plan.augment
        random = self.sampler.random(number, 1)
        size = source_size(crop_px, random, augmented) if augmented else crop_px
        images, labels = self.sampler.crops(number, batch_size, size, self.group.share)
        if images.device.type == "cpu":
            return self.device.pinned(images), self.device.pinned(labels)
        return images, labels

    def to_device(self, number: int, crops: Batch) -> Batch:
        """Copy crops to the device and augment them.

        Args:
            number: step, from 0.
            crops: of `read`.

        Returns:
            Images (batch, bands, crop_px, crop_px) and labels (batch, crop_px, crop_px).
        """
        images, labels = (item.to(self.device.torch_device, non_blocking=True) for item in crops)
        if not self.plan.augment:
            return images, labels

        def augmented() -> Batch:
            random = self.sampler.random(number, 2 + self.group.rank)
            return augment(images, labels, self.plan.crop_px, self.directions, random, self.plan.augment)

        return self.device.run(augmented)

    @cached_property
    def directions(self) -> DirectionalBands:
        """Bands that allow only some rotations, or none."""
        return DirectionalBands.of(self.scene.bands, self.scene.intermediates, self.scene.grid)

    def batch(self, number: int, batch_size: int) -> Batch:
        """Return the augmented crops of a step.

        Args:
            number: step, from 0.
            batch_size: crops of the step, of all processes together.

        Returns:
            Images (batch, bands, crop_px, crop_px) and labels (batch, crop_px, crop_px), on the device.
        """
        return self.to_device(number, self.read(number, batch_size))

    def first_batch(self, own: int) -> Batch:
        """Return the first step's crops of this process, `own` of them."""
        return self.batch(0, own * self.group.size)


def batches(source: BatchSource, steps: range, batch_size: Callable[[], int]) -> Iterator[Batch]:
    """Yield the augmented crops of each step; the next step's are read meanwhile unless they are on the GPU already.

    Args:
        source: makes the batches.
        steps: numbers of the steps.
        batch_size: returns the crops of the next step, which may shrink on the way.

    Yields:
        Images (batch, bands, crop_px, crop_px) and labels (batch, crop_px, crop_px).
    """
    if is_on_gpu(source.scene):
        yield from (source.batch(number, batch_size()) for number in steps)
        return
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(source.read, steps[0], batch_size())
        for number in steps:
            crops = pending.result()
            if number + 1 in steps:
                pending = pool.submit(source.read, number + 1, batch_size())
            yield source.to_device(number, crops)


def train_step(trainer: Trainer, images: Tensor, labels: Tensor, channel: Channel) -> Tensor:
    """Run one training step; where memory is short, halve the batch from here on.

    Args:
        trainer: its `batch_size` is reduced where needed.
        images: (batch, bands, crop_px, crop_px).
        labels: (batch, crop_px, crop_px).
        channel: gets a warning for every reduction.

    Returns:
        The loss of the step.

    Raises:
        GeoSegError: `out_of_memory`, `out_of_gpu_memory` where a single crop is too much.
    """
    while True:
        try:
            size = trainer.batch_size
            step = partial(trainer.step, images[:size], labels[:size])
            return trainer.device.run(step, once=not trainer.has_stepped)
        except MemoryError as error:
            if trainer.batch_size == 1 or trainer.group.size > 1:
                raise out_of_memory_error(images, trainer) from error
            trainer.batch_size //= 2
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.device.empty_cache()
        channel.log(f"Out of memory: training continues with {trainer.batch_size} crops per step.", "warning")


def out_of_memory_error(images: Tensor, trainer: Trainer) -> GeoSegError:
    """Return the error for a step that cannot be made smaller, alone or because other processes wait for this one.

    Args:
        images: of the step (batch, bands, side, side).
        trainer: its device and group decide code and hint.
    """
    crops = (
        "A single crop" if len(images) == 1 or trainer.group.size == 1 else f"A step of {len(images)} crops"
    )
    on_gpu = trainer.device.is_gpu
    place = "the memory of the GPU" if on_gpu else "memory"
    hint = "Choose a smaller crop or fewer base channels" + (", or the CPU as device." if on_gpu else ".")
    if trainer.group.size > 1:
        hint = f"Choose a smaller batch size (of all {trainer.group.size} processes together) and resume."
    return GeoSegError(
        "out_of_gpu_memory" if on_gpu else "out_of_memory",
        f"{crops} of {images.shape[-1]} px does not fit into {place}.",
        hint,
    )


def is_on_gpu(scene: Scene) -> bool:
    """Return whether the image of a scene is in the memory of a GPU."""
    return isinstance(scene.image, ImageInMemory) and scene.image.on_gpu
