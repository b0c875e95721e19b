"""The job `pretrain`: an encoder learns the ground without labels, by filling in hidden parts of the stack."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...channel import Channel
from ...contract import Cancelled, Dataset, GeoSegError, PretrainJob, TrainJob, encode
from ...dataset.datasets import read_dataset
from ...modelfile.precision import Precision, choose, find_device
from ...models import architecture_of, build, encoder_modules, traits
from ...outputs import prepare_folder, whole_file
from ..fit import announce
from ..plan import CPU_WIDTH, GPU_WIDTH, LEVELS
from ..trainer import rate
from .masking import Hiding, draw_visible, hidden_error, patch_px
from .unlabelled_crops import Ground, open_ground

ENCODER_FILE, FORMAT = "encoder.pt", 1
CROP_PX = {"cpu": 128, "cuda": 256}
BATCH = {"cpu": 8, "cuda": 32}
STEPS_MIN, STEPS_MAX = 20, 200
LEARNING_RATE, WEIGHT_DECAY, GRADIENT_NORM = 1e-3, 0.05, 5.0


@dataclass
class Pretraining:
    """State of a run: `loss` is the least of an epoch so far, `encoder` its weights."""

    network: nn.Module
    hiding: Hiding
    optimiser: torch.optim.Optimizer
    ends: float
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    epoch: int = 0
    loss: float = math.inf
    encoder: dict[str, Tensor] = field(default_factory=dict)

    def time_share(self) -> float:
        """Share of the time limit that is used up; 0 without one."""
        return (time.monotonic() - self.started) / (self.ends - self.started) if self.ends else 0.0


def run(job: PretrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Pretrain on all ground but the test split's; leaves encoder.pt after each better epoch.

    Raises:
        GeoSegError: `no_ground`, `no_gpu`, `loss_not_finite`, `unknown_band`.
        Cancelled: if the user stops before the first epoch is complete.
    """
    started = time.monotonic()
    output = folder / job.output
    prepare_folder(output)
    device = find_device(job.device)
    announce(device, channel)
    dataset, dataset_folder = read_dataset(folder / job.dataset)
    ground = open_ground(dataset, dataset_folder, job.bands, channel)
    architecture = architecture_for(job, len(ground.chosen), device)
    state, precision, crop_px = set_up(job, architecture, ground, device, started)
    steps = steps_per_epoch(ground, crop_px, device)
    channel.log(
        f"Pretraining on about {ground.pixels / 1e6:.2f} Mpx, {steps} steps of {BATCH[device.type]} crops of "
        f"{crop_px} px an epoch, {job.mask_share:.0%} hidden in patches of {patch_of(state.network)} px."
    )
    try:
        with closing(ground.stack):
            while state.epoch < job.epochs and not (state.epoch and state.time_share() >= 1):
                loss = train_epoch(job, state, ground, crop_px, steps, precision, channel)
                better = loss < state.loss
                if better:
                    state.loss, state.encoder = loss, encoder_weights(state.network)
                    write_encoder(output / ENCODER_FILE, state, architecture, dataset, ground)
                report(job, state, loss, better, channel)
    except Cancelled:
        if not state.encoder:
            raise
        channel.log(f"Stopped: the encoder of the best epoch, loss {state.loss:.4f}, is kept.")
    channel.artifact("encoder", (output / ENCODER_FILE).resolve())
    return {
        "encoder": str(output / ENCODER_FILE),
        "loss": state.loss,
        "epochs_run": state.epoch,
        "seconds": round(time.monotonic() - started, 1),
    }


def architecture_for(job: PretrainJob, bands: int, device: torch.device) -> dict[str, Any]:
    """The network that will start from the encoder; its head gives back the bands in the place of classes."""
    wide = GPU_WIDTH if device.type == "cuda" else CPU_WIDTH
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
    job: PretrainJob, architecture: dict[str, Any], ground: Ground, device: torch.device, started: float
) -> tuple[Pretraining, Precision, int]:
    """Network, optimiser, precision and the side of the crops."""
    torch.manual_seed(job.seed)
    network = build(architecture).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    patch = patch_of(network)
    longest = max(ground.height, ground.width)
    crop_px = max(min(CROP_PX[device.type], longest) // patch, 2) * patch
    batch = (BATCH[device.type], architecture["bands"], crop_px, crop_px)
    precision = choose(network, batch, device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    ends = started + 60 * job.max_minutes if job.max_minutes else 0.0
    return (
        Pretraining(network, Hiding(network, encoder_modules(network)), optimiser, ends, started),
        precision,
        crop_px,
    )


def train_epoch(
    job: PretrainJob,
    state: Pretraining,
    ground: Ground,
    crop_px: int,
    steps: int,
    precision: Precision,
    channel: Channel,
) -> float:
    """One epoch, shorter when time runs out. Returns its mean loss: squared error of hidden scores.

    Raises:
        Cancelled: if the user asks to stop.
        GeoSegError: `loss_not_finite`.
    """
    device = next(state.network.parameters()).device
    side = crop_px // patch_of(state.network)
    losses: list[float] = []
    for number in range(steps):
        channel.progress("pretraining", state.epoch + number / steps, job.epochs)
        random = np.random.default_rng((job.seed, state.steps))
        images = ground.draw(random, BATCH[device.type], crop_px).to(device)
        visible = draw_visible(random, len(images), side, job.mask_share).to(device)
        progress = max(state.steps / (steps * job.epochs), state.time_share())
        for group in state.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate(min(progress, 1.0))
        with precision.autocast(device):
            seen = torch.nan_to_num(images).contiguous(memory_format=torch.channels_last)
            filled = state.hiding.fill_in(seen, visible)
        loss = hidden_error(filled, images, visible)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise GeoSegError(
                "loss_not_finite",
                f"The loss became {losses[-1]} at step {state.steps + 1}.",
                "Check the bands for extreme values, or leave out the one that has them.",
            )
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
        state.optimiser.step()
        state.steps += 1
        if state.time_share() >= 1:
            break
    state.epoch += 1
    return float(np.mean(losses))


def steps_per_epoch(ground: Ground, crop_px: int, device: torch.device) -> int:
    """As many as look at all ground once, within limits."""
    once = ground.pixels / (BATCH[device.type] * crop_px**2)
    return min(max(round(once), STEPS_MIN), STEPS_MAX)


def report(job: PretrainJob, state: Pretraining, loss: float, better: bool, channel: Channel) -> None:
    """Send the epoch to the other side."""
    spent = time.monotonic() - state.started
    left = spent / state.epoch * (job.epochs - state.epoch)
    if state.ends:
        left = min(left, max(state.ends - time.monotonic(), 0.0))
    device = next(state.network.parameters()).device
    channel.send(
        "epoch",
        epoch=state.epoch,
        epochs=job.epochs,
        train_loss=loss,
        validation_loss=None,
        iou=[],
        f1=[],
        miou=None,
        learning_rate=state.optimiser.param_groups[0]["lr"],
        tiles_per_s=round(state.steps * BATCH[device.type] / spent, 2),
        seconds_left=round(left, 1),
        best=better,
    )


def patch_of(network: nn.Module) -> int:
    """Side of the patches that are hidden from a network."""
    return patch_px(traits(network).align_px)


def encoder_weights(network: nn.Module) -> dict[str, Tensor]:
    """State of the encoder, by the names of the whole network's, copied to the CPU."""
    inside = {id(part) for part in encoder_modules(network)}
    prefixes = tuple(f"{name}." for name, module in network.named_modules() if id(module) in inside)
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in network.state_dict().items()
        if name.startswith(prefixes)
    }


def write_encoder(
    path: Path, state: Pretraining, architecture: dict[str, Any], dataset: Dataset, ground: Ground
) -> None:
    """Weights with what is needed to know whether they fit."""
    bands = [dataset.recipe.bands[place].name for place in ground.chosen]
    contents = {
        "format": FORMAT,
        "kind": "encoder",
        "encoder": state.encoder,
        "architecture": architecture,
        "bands": bands,
        "fingerprint": dataset.fingerprint,
        "statistics": encode(ground.statistics),
        "loss": state.loss,
        "epoch": state.epoch,
    }
    with whole_file(path) as partial:
        torch.save(contents, partial)
