"""Training by several processes, one per GPU, as torchrun starts them: together they do what one process would.

Every process holds the network and the whole scene. Of each step's crops it takes its share; the logits are
exchanged, so that the loss is that of the whole batch (Dice, Lovász and the mean over labelled pixels are no mean of
the shares'), and DistributedDataParallel averages the gradients (Li et al. 2020, arXiv:2006.15704). Normalisation
uses the statistics of all crops. Whatever depends on the clock or on a file (schedule, time limit, cancel, precision)
is decided by the first process, which alone writes files and sends events.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..channel import Channel, has_others
from ..contract import GeoSegError
from ..device.devices import CPU, Device, gpus
from .plan import Plan

Value = TypeVar("Value")


@dataclass(frozen=True)
class Group:
    """The processes of one training.

    Attributes:
        rank: number of this process, from 0.
        size: processes.
        local_rank: number of this process on its machine; its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes files and sends events."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Items of a list that this process works on."""
        return slice(self.rank, None, self.size)

    def device(self, wanted: Device) -> Device:
        """Return the device of this process; `wanted` itself unless several processes train on GPUs.

        Raises:
            GeoSegError: `no_gpu` where this process has none, or several cannot exchange data there.
        """
        if self.size == 1 or not wanted.is_gpu:
            return wanted
        found = [gpu for gpu in gpus() if gpu.kind == wanted.kind]
        if self.local_rank >= len(found) or not wanted.offer.collectives:
            raise GeoSegError(
                "no_gpu",
                f"{self.size} processes cannot train on {len(found)} of the kind '{wanted.title}'.",
                "Start one process for each GPU, or choose the CPU as device.",
            )
        device = found[self.local_rank]
        device.make_current()
        return device

    def with_divisible_batch(self, plan: Plan) -> Plan:
        """Return the plan with a batch size that is a multiple of the number of processes."""
        return replace(plan, batch_size=-(-plan.batch_size // self.size) * self.size)

    def broadcast(self, value: Value) -> Value:
        """Return the first process's value in every process; plain data. All processes must call."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def broadcast_numbers(self, numbers: tuple[float, ...], device: Device) -> tuple[float, ...]:
        """Return the first process's numbers in every process; faster than `broadcast`, for every step.

        Args:
            numbers: the same count in every process.
            device: that the processes exchange data on.
        """
        if self.size == 1:
            return numbers
        shared = torch.tensor(numbers, dtype=torch.float64, device=for_numbers(device))
        distributed.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def gather(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Gather logits and labels of all processes; gradients flow into this one's logits alone.

        Args:
            logits: of this process (batch, classes, rows, cols).
            labels: of this process (batch, rows, cols).

        Returns:
            Logits and labels of the whole batch, in the order of the processes.
        """
        if self.size == 1:
            return logits, labels
        everyones = [_gathered(item.detach(), self.size) for item in (logits, labels)]
        everyones[0][self.rank] = logits
        return torch.cat(everyones[0]), torch.cat(everyones[1])

    def summed(self, counts: NDArray[Any], device: Device) -> NDArray[Any]:
        """Return the sum of an array over the processes, exact up to 2**53.

        Args:
            counts: array of any shape and number type, the same in every process.
            device: that the processes exchange data on.

        Returns:
            Array of the same shape and type.
        """
        if self.size == 1:
            return counts
        total = torch.from_numpy(counts.astype(np.float64)).to(for_numbers(device))
        distributed.all_reduce(total)
        return total.cpu().numpy().astype(counts.dtype)

    def seed(self, seed: int, epoch: int) -> None:
        """Seed this process's random numbers for dropout; the first process's are restored from the checkpoint.

        Args:
            seed: of the job.
            epoch: number of the epoch.
        """
        if not self.first:
            torch.manual_seed(int(np.random.default_rng((seed, epoch, self.rank)).integers(2**31)))

    def channel(self, channel: Channel) -> Channel:
        """Return the channel of the training loop: with other processes a cancel counts once all have received it."""
        return channel if self.size == 1 else AgreedChannel(channel)

    def check_cancelled(self, channel: Channel, device: Device) -> None:
        """Raise Cancelled in all processes, between two steps, if the user has cancelled the first.

        Args:
            channel: of the training loop.
            device: that the processes exchange data on.

        Raises:
            Cancelled: in every process of the group.
        """
        if isinstance(channel, AgreedChannel):
            channel.stop = bool(self.broadcast_numbers((float(channel.requested()),), device)[0])
        channel.check_cancelled()

    def wrap(self, network: nn.Module, unused: bool = False) -> nn.Module:
        """Return the network as a training step calls it; its normalisation then uses the crops of all processes.

        Args:
            network: on its device; changed in place, names of its parameters are kept.
            unused: whether some parameters may get no gradient, e.g. of a frozen encoder.
        """
        if self.size == 1:
            return network
        on_gpu = next(network.parameters()).device.type != "cpu"
        synchronise(network, nn.SyncBatchNorm if on_gpu else SyncedBatchNorm)
        return DistributedDataParallel(
            network,
            device_ids=[self.local_rank] if on_gpu else None,
            broadcast_buffers=False,
            find_unused_parameters=unused,
        )


ALONE = Group()


def for_numbers(device: Device) -> torch.device:
    """Return where processes exchange double precision: the CPU where the device has none."""
    return device.torch_device if device.has_float64 else CPU.torch_device


def join_group(wanted: Device) -> Group:
    """Join the processes that torchrun announces by environment variables; without them this process is alone."""
    if not has_others():
        return ALONE
    group = Group(
        int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0"))
    )
    device = group.device(wanted)
    if not distributed.is_initialized():
        distributed.init_process_group(device.offer.collectives)
        atexit.register(distributed.destroy_process_group)
    return group


class AgreedChannel(Channel):
    """Channel on which a cancel counts once all processes have received it: `stop` is set then."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self.folder, self.stop = channel, channel.folder, False

    def send(self, event_type: str, /, **fields: Any) -> None:
        self._channel.send(event_type, **fields)

    def cancelled(self) -> bool:
        return self.stop

    def requested(self) -> bool:
        """Return whether the user has cancelled, as this process sees it."""
        return self._channel.cancelled()


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the crops of all processes; for the CPU, where torch has none."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.float()
        size = distributed.get_world_size()
        mean = _Sum.apply(values.mean((0, 2, 3))) / size
        away = values - mean[:, None, None]
        variance = _Sum.apply(away.square().mean((0, 2, 3))) / size
        self._remember(mean.detach(), variance.detach(), size * values.numel() // values.shape[1])
        scale = self.weight / (variance + self.eps).sqrt()
        return (away * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        momentum = self.momentum or 0.0
        self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
        self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)  # type: ignore[union-attr]
        self.num_batches_tracked += 1  # type: ignore[operator]


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


def synchronise(network: nn.Module, kind: type[nn.Module]) -> None:
    """Replace every batch normalisation by `kind`; parameters and buffers are the same objects.

    Args:
        network: changed in place.
        kind: a batch normalisation that uses the crops of all processes.
    """
    for name, module in list(network.named_children()):
        if isinstance(module, nn.BatchNorm2d):
            other = kind(module.num_features, module.eps, module.momentum)
            other.train(module.training)
            for key, value in (*module._parameters.items(), *module._buffers.items()):
                setattr(other, key, value)
            setattr(network, name, other)
        else:
            synchronise(module, kind)


def _gathered(own: Tensor, size: int) -> list[Tensor]:
    own = own.contiguous()
    everyones = [torch.empty_like(own) for _ in range(size)]
    distributed.all_gather(everyones, own)
    return everyones
