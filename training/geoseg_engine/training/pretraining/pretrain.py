"""The job `pretrain`: an encoder is trained without labels, by reconstructing masked parts of the stack."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...channel import Channel
from ...contract import Cancelled, Dataset, GeoSegError, PretrainJob, TrainJob, encode
from ...dataset.datasets import read_dataset
from ...device.devices import Device
from ...device.finding import find_device
from ...modelfile.precision import Precision, choose
from ...models import architecture_of, build, encoder_modules, traits
from ...outputs import prepare_folder, whole_file
from ..fit import report_device
from ..optimizer import AdamW, schedule_factor
from ..plan import CPU_WIDTH, GPU_WIDTH, LEVELS
from .masking import Masking, draw_visible, patch_px, reconstruction_loss
from .unlabelled_crops import UnlabelledPixels, open_unlabelled

ENCODER_FILE, FORMAT = "encoder.pt", 1
CPU_CROP_PX, GPU_CROP_PX = 128, 256
CPU_BATCH, GPU_BATCH = 8, 32
STEPS_MIN, STEPS_MAX = 20, 200
LEARNING_RATE, WEIGHT_DECAY, GRADIENT_NORM = 1e-3, 0.05, 5.0


@dataclass
class Pretraining:
    """State of a run: `loss` is the lowest of an epoch so far, `encoder` its weights."""

    network: nn.Module
    device: Device
    masking: Masking
    optimizer: torch.optim.Optimizer
    ends: float
    batch_size: int
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    epoch: int = 0
    loss: float = math.inf
    encoder: dict[str, Tensor] = field(default_factory=dict)

    def time_share(self) -> float:
        """Return the fraction of the time limit that is used; 0 without a limit."""
        return (time.monotonic() - self.started) / (self.ends - self.started) if self.ends else 0.0


def run(job: PretrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Pretrain on all pixels outside the test split; write encoder.pt after each better epoch.

    Args:
        job: settings.
        folder: of the job; its paths are relative to it.
        channel: gets events; cancel point.

    Returns:
        Path of the encoder, loss, number of epochs and seconds.

    Raises:
        GeoSegError: `no_ground`, `no_gpu`, `loss_not_finite`, `unknown_band`.
        Cancelled: if the user stops before the first epoch is complete.
    """
    started = time.monotonic()
    output = folder / job.output
    prepare_folder(output)
    device = find_device(job.device)
    report_device(device, channel)
    dataset, dataset_folder = read_dataset(folder / job.dataset)
    data = open_unlabelled(dataset, dataset_folder, job.bands, channel)
    architecture = architecture_for(job, len(data.chosen), device)
    state, precision, crop_px = set_up(job, architecture, data, device, started)
    steps = steps_per_epoch(data, crop_px, device)
    channel.log(
        f"Pretraining on about {data.count / 1e6:.2f} Mpx: {steps} steps per epoch, {state.batch_size} crops of "
        f"{crop_px} px per step, {job.mask_share:.0%} masked in patches of {patch_of(state.network)} px."
    )
    try:
        with closing(data.stack):
            while state.epoch < job.epochs and not (state.epoch and state.time_share() >= 1):
                loss = train_epoch(job, state, data, crop_px, steps, precision, channel)
                better = loss < state.loss
                if better:
                    state.loss, state.encoder = loss, encoder_weights(state.network)
                    write_encoder(output / ENCODER_FILE, state, architecture, dataset, data)
                report(job, state, loss, better, channel)
    except Cancelled:
        if not state.encoder:
            raise
        channel.log(f"Cancelled: the encoder of the best epoch, loss {state.loss:.4f}, is kept.")
    channel.artifact("encoder", (output / ENCODER_FILE).resolve())
    return {
        "encoder": str(output / ENCODER_FILE),
        "loss": state.loss,
        "epochs_run": state.epoch,
        "seconds": round(time.monotonic() - started, 1),
    }


def architecture_for(job: PretrainJob, bands: int, device: Device) -> dict[str, Any]:
    """Return the architecture that will start from the encoder; its head returns the bands instead of classes.

    Args:
        job: architecture and size; 0 is automatic.
        bands: number of bands.
        device: GPU or CPU, for the automatic width.
    """
    wide = GPU_WIDTH if device.is_gpu else CPU_WIDTH
    network = TrainJob(job.dataset, architecture=job.architecture, encoder=job.encoder)
    return architecture_of(
        network,
        width=job.width or wide,
        levels=job.levels or LEVELS,
        dropout=0.0,
        bands=bands,
        classes=bands,
    )


def set_up(
    job: PretrainJob,
    architecture: dict[str, Any],
    data: UnlabelledPixels,
    device: Device,
    started: float,
) -> tuple[Pretraining, Precision, int]:
    """Set up network, optimizer, precision and crop size.

    Args:
        job: settings.
        architecture: of the network.
        pixels: what is trained on.
        device: GPU or CPU.
        started: `time.monotonic()` at the start of the run.

    Returns:
        The state of the run, the precision, and the side of the crops in pixels.
    """
    torch.manual_seed(job.seed)
    network = build(architecture).to(device.torch_device, memory_format=device.layout).train()  # type: ignore[call-overload]
    patch = patch_of(network)
    longest = max(data.height, data.width)
    crop_px = max(min(GPU_CROP_PX if device.is_gpu else CPU_CROP_PX, longest) // patch, 2) * patch
    batch = (batch_size(device), architecture["bands"], crop_px, crop_px)
    precision = choose(network, batch, device)
    optimizer = AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    ends = started + 60 * job.max_minutes if job.max_minutes else 0.0
    return (
        Pretraining(
            network, device, Masking(network, encoder_modules(network)), optimizer, ends, batch[0], started
        ),
        precision,
        crop_px,
    )


def batch_size(device: Device) -> int:
    """Return the crops of a step."""
    return GPU_BATCH if device.is_gpu else CPU_BATCH


def train_epoch(
    job: PretrainJob,
    state: Pretraining,
    data: UnlabelledPixels,
    crop_px: int,
    steps: int,
    precision: Precision,
    channel: Channel,
) -> float:
    """Train one epoch, shorter when time runs out.

    Args:
        job: settings.
        state: changed in place.
        pixels: what is trained on.
        crop_px: side of the crops.
        steps: of the epoch.
        precision: arithmetic of the passes.
        channel: gets progress; cancel point.

    Returns:
        The mean loss: squared error of masked scores.

    Raises:
        Cancelled: if the user stops.
        GeoSegError: `loss_not_finite`.
    """
    device = state.device
    side = crop_px // patch_of(state.network)
    losses: list[float] = []
    for number in range(steps):
        channel.progress("pretraining", state.epoch + number / steps, job.epochs)
        random = np.random.default_rng((job.seed, state.steps))
        images = data.draw(random, state.batch_size, crop_px).to(device.torch_device)
        visible = draw_visible(random, len(images), side, job.mask_share).to(device.torch_device)
        progress = max(state.steps / (steps * job.epochs), state.time_share())
        for group in state.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * schedule_factor(min(progress, 1.0))
        losses.append(device.run(partial(backward, state, precision, images, visible)))
        if not math.isfinite(losses[-1]):
            raise GeoSegError(
                "loss_not_finite",
                f"The loss became {losses[-1]} at step {state.steps + 1}.",
                "Check the bands for extreme values and leave out those that have them.",
            )
        device.run(lambda: update(state), once=not state.steps)
        state.steps += 1
        if state.time_share() >= 1:
            break
    state.epoch += 1
    return float(np.mean(losses))


def backward(state: Pretraining, precision: Precision, images: Tensor, visible: Tensor) -> float:
    """Compute the loss of a batch and the gradients of the weights.

    Args:
        state: network and optimizer.
        precision: arithmetic of the passes.
        images: z-scores (batch, bands, rows, cols), NaN where there is no value.
        visible: (batch, …), False where the image is masked.

    Returns:
        The loss.
    """
    state.optimizer.zero_grad(set_to_none=True)
    with precision.autocast(state.device):
        known = torch.nan_to_num(images).contiguous(memory_format=state.device.layout)
        reconstructed = state.masking.reconstruct(known, visible)
    loss = reconstruction_loss(reconstructed, images, visible)
    loss.backward()
    return float(loss.detach())


def update(state: Pretraining) -> None:
    """Change the weights by their gradients."""
    nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
    state.optimizer.step()


def steps_per_epoch(data: UnlabelledPixels, crop_px: int, device: Device) -> int:
    """Return the steps that see every pixel about once, within STEPS_MIN and STEPS_MAX.

    Args:
        pixels: what is trained on.
        crop_px: side of the crops.
        device: GPU or CPU, for the batch size.
    """
    once = data.count / (batch_size(device) * crop_px**2)
    return min(max(round(once), STEPS_MIN), STEPS_MAX)


def report(job: PretrainJob, state: Pretraining, loss: float, better: bool, channel: Channel) -> None:
    """Send the event `epoch`.

    Args:
        job: its number of epochs.
        state: at the end of the epoch.
        loss: of the epoch.
        better: whether the epoch is the best so far.
        channel: gets the event.
    """
    spent = time.monotonic() - state.started
    left = spent / state.epoch * (job.epochs - state.epoch)
    if state.ends:
        left = min(left, max(state.ends - time.monotonic(), 0.0))
    channel.send(
        "epoch",
        epoch=state.epoch,
        epochs=job.epochs,
        train_loss=loss,
        validation_loss=None,
        iou=[],
        f1=[],
        miou=None,
        learning_rate=state.optimizer.param_groups[0]["lr"],
        tiles_per_s=round(state.steps * state.batch_size / spent, 2),
        seconds_left=round(left, 1),
        best=better,
    )


def patch_of(network: nn.Module) -> int:
    """Return the side of a network's masked patches in pixels."""
    return patch_px(traits(network).align_px)


def encoder_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the state of the encoder, by the names of the whole network's, copied to the CPU."""
    inside = {id(part) for part in encoder_modules(network)}
    prefixes = tuple(f"{name}." for name, module in network.named_modules() if id(module) in inside)
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in network.state_dict().items()
        if name.startswith(prefixes)
    }


def write_encoder(
    path: Path, state: Pretraining, architecture: dict[str, Any], dataset: Dataset, data: UnlabelledPixels
) -> None:
    """Write encoder.pt: weights with what is needed to check whether they fit.

    Args:
        path: of the file.
        state: weights, loss and epoch.
        architecture: of the network.
        dataset: bands and fingerprint.
        pixels: bands that are used, and their statistics.
    """
    bands = [dataset.recipe.bands[place].name for place in data.chosen]
    contents = {
        "format": FORMAT,
        "kind": "encoder",
        "encoder": state.encoder,
        "architecture": architecture,
        "bands": bands,
        "fingerprint": dataset.fingerprint,
        "statistics": encode(data.statistics),
        "loss": state.loss,
        "epoch": state.epoch,
    }
    with whole_file(path) as partial:
        torch.save(contents, partial)
