"""Training steps of one network in three ways, for the rows of scripts/bench/train.py; each in a process of its own.

`ours` goes the way of `geoseg_engine.training`: random crops, augmentation, loss, clipping, averaging of weights.
`limit` takes forward pass, loss, backward pass and optimiser on a tensor that is there already, in the same arithmetic.
`plain` is what the usual tools do: a DataLoader over files of tiles, float32, rows of pixels as they lie in the file.
Prints JSON: seconds of the measured steps, peak memory, arithmetic, floating point operations of a step.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "training"))

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import torch  # noqa: E402
from measuring import ENGINE_PYTHON, timed  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import Band, TrainJob  # noqa: E402
from geoseg_engine.device.devices import CPU, Device, as_device, gpus  # noqa: E402
from geoseg_engine.modelfile.precision import Precision  # noqa: E402
from geoseg_engine.models import build  # noqa: E402
from geoseg_engine.training.batches import BatchSource, batches, train_step  # noqa: E402
from geoseg_engine.training.compilation import compiled_network, try_compiler  # noqa: E402
from geoseg_engine.training.data_survey import survey_scene  # noqa: E402
from geoseg_engine.training.distributed import ALONE  # noqa: E402
from geoseg_engine.training.placement import scene_on_device  # noqa: E402
from geoseg_engine.training.plan import make_plan  # noqa: E402
from geoseg_engine.training.preparing import loss_for, make_trainer  # noqa: E402
from geoseg_engine.training.sampler import Sampler  # noqa: E402
from geoseg_engine.training.scene import scene_from_arrays  # noqa: E402
from geoseg_engine.training.step_timing import time_steps  # noqa: E402

BANDS, CLASSES = 6, 2
WARM = 2
LONG_S, COMPILED = 3600.0, "+compiler"
"""Seconds of a training for which the compiler is tried; what the arithmetic is called then."""


@dataclass(frozen=True)
class Size:
    """What is trained: side of tiles, tiles a step, width and levels of the U-Net, steps to time."""

    px: int
    batch: int
    width: int
    levels: int
    steps: int


USUAL, SMALL, GPU = Size(256, 4, 32, 4, 6), Size(64, 2, 8, 3, 3), Size(256, 32, 32, 4, 40)


def first_gpu() -> Device:
    """The first GPU; the CPU where there is none."""
    return next(iter(gpus()), CPU)


def measured(
    kind: str, size: Size, folder: Path, device: str, precision: str = "auto"
) -> dict[str, float | str]:
    """Measure in a new process; the result as it printed it, with the peak memory of that process."""
    out = folder / f"{kind}.json"
    numbers = [str(value) for value in (size.px, size.batch, size.width, size.levels, size.steps)]
    alone = f"import sys; sys.path.insert(0, {str(HERE)!r}); import train_steps; train_steps.main()"
    command = [ENGINE_PYTHON, "-c", alone, kind, str(folder), str(out), device, precision, *numbers]
    timed([command])
    found: dict[str, float | str] = json.loads(out.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Measure one way and write what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["ours", "limit", "plain0", "plain2"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("device")
    parser.add_argument("precision")
    parser.add_argument("numbers", type=int, nargs=5)
    options = parser.parse_args()
    size, device = Size(*options.numbers), as_device(options.device)
    if options.kind.startswith("plain"):
        found = plain(size, options.folder, int(options.kind[-1]), device)
    else:
        found = of_engine(options.kind, size, options.folder, device, options.precision)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    options.out.write_text(json.dumps(found), encoding="utf-8")


def ground(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """A scene (bands, rows, cols) of eight tiles a side, and its labels."""
    random = np.random.default_rng(0)
    side = 8 * size.px
    labels = np.zeros((side, side), np.uint8)
    for _ in range(side * side // 4000):
        row, col = random.integers(0, side - 40, 2)
        labels[row : row + 40, col : col + 40] = 1
    image = random.normal(0, 1, (BANDS, side, side)).astype(np.float32) + labels
    return image, labels


def of_engine(kind: str, size: Size, folder: Path, device: Device, wanted: str) -> dict[str, float | str]:
    """`ours` and `limit`: the network, loss and optimiser of a run, with and without all that is around them."""
    torch.manual_seed(0)
    image, labels = ground(size)
    bands = tuple(Band(f"b{place}", "r1", place) for place in range(1, BANDS + 1))
    scene, _ = scene_from_arrays(image, labels, np.zeros_like(labels), bands, CLASSES)
    scene = scene_on_device(scene, device)
    job = TrainJob("", width=size.width, levels=size.levels, crop_px=size.px, batch_size=size.batch, seed=1)
    plan = make_plan(job, size.px, survey_scene(scene), device)
    architecture = {
        "name": "unet",
        "bands": BANDS,
        "classes": CLASSES,
        "width": size.width,
        "levels": size.levels,
    }
    network = build(architecture).to(device.torch_device, memory_format=device.layout)
    loss = loss_for(plan, scene)
    source = BatchSource(plan, scene, Sampler(scene, plan.crop_px, job.seed, plan.by_class), device, ALONE)
    if wanted == "auto":
        precision = time_steps(network, loss, source.first_batch, device, "auto", size.batch).precision
        ready = source.first_batch(size.batch)
        compiled = try_compiler(network, loss, lambda: ready, device, precision, LONG_S).network
    else:
        name, _, compiler = wanted.partition("+")
        precision, compiled = Precision(name), compiled_network(network) if compiler else None
    trainer = make_trainer(job, plan, network, loss, precision, ALONE, device)
    ready = source.first_batch(size.batch)
    with FlopCounterMode(display=False) as counter:
        trainer.backward(*ready)
    if compiled is not None:
        trainer.wrapped = compiled
    if kind == "ours":
        channel = Channel(folder)
        crops = batches(source, range(WARM + size.steps), lambda: size.batch)
        seconds = clock(crops, lambda batch: train_step(trainer, *batch, channel), device)
    else:
        images, truth = ready[0].contiguous(memory_format=device.layout), ready[1]

        def alone(batch: tuple[Tensor, Tensor]) -> None:
            trainer.optimizer.zero_grad(set_to_none=True)
            with precision.autocast(device):
                logits = trainer.wrapped(batch[0])
            loss(logits, batch[1]).backward()
            trainer.optimizer.step()

        network.train()
        seconds = clock(iter([(images, truth)] * (WARM + size.steps)), alone, device)
    return {
        "seconds": seconds,
        "precision": precision.name + COMPILED * (compiled is not None),
        "flops": float(counter.get_total_flops()),
    }


def clock(
    crops: Iterator[tuple[Tensor, Tensor]],
    do: Callable[[tuple[Tensor, Tensor]], object],
    device: Device,
) -> float:
    """Seconds of all steps but the first WARM."""
    started = 0.0
    for number, batch in enumerate(crops):
        if number == WARM:
            wait(device)
            started = time.perf_counter()
        do(batch)
    wait(device)
    return time.perf_counter() - started


def wait(device: Device) -> None:
    """Until the device has done what it was given."""
    device.synchronise()


class TileFiles(Dataset[tuple[Tensor, Tensor]]):
    """One GeoTIFF for the image and one for the mask of every tile, read when asked for, flipped by chance."""

    def __init__(self, folder: Path) -> None:
        self.images = sorted(folder.glob("image_*.tif"))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.images[index]
        with (
            rasterio.open(path) as image,
            rasterio.open(path.with_name(path.name.replace("image", "mask"))) as mask,
        ):
            values, truth = image.read(), mask.read(1)
        if np.random.random() < 0.5:
            values, truth = values[:, :, ::-1], truth[:, ::-1]
        return torch.from_numpy(values.copy()), torch.from_numpy(truth.astype(np.int64))


def write_tiles(size: Size, folder: Path) -> Path:
    """The scene cut into files, as chip folders are; returns their folder."""
    tiles = folder / "tiles"
    if tiles.exists():
        return tiles
    tiles.mkdir()
    image, labels = ground(size)
    for number in range(64):
        row, col = (part * size.px for part in divmod(number, 8))
        cut = np.s_[row : row + size.px, col : col + size.px]
        for name, array in (("image", image[:, cut[0], cut[1]]), ("mask", labels[None][:, cut[0], cut[1]])):
            profile = {"driver": "GTiff", "width": size.px, "height": size.px, "count": len(array)}
            with rasterio.open(
                tiles / f"{name}_{number:03d}.tif", "w", dtype=array.dtype, **profile
            ) as raster:
                raster.write(array)
    return tiles


def plain(size: Size, folder: Path, workers: int, device: Device) -> dict[str, float | str]:
    """The usual recipe: DataLoader, float32, Adam, cross-entropy."""
    torch.manual_seed(0)
    files = TileFiles(write_tiles(size, folder))
    loader = DataLoader(files, size.batch, shuffle=True, num_workers=workers, drop_last=True)
    architecture = {
        "name": "unet",
        "bands": BANDS,
        "classes": CLASSES,
        "width": size.width,
        "levels": size.levels,
    }
    network = build(architecture).to(device.torch_device).train()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        done = 0
        while True:
            for batch in loader:
                if done == WARM + size.steps:
                    return
                done += 1
                yield batch

    def one(batch: tuple[Tensor, Tensor]) -> None:
        images, truth = (item.to(device.torch_device) for item in batch)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), truth)
        loss.backward()
        optimiser.step()
        loss.item()

    return {"seconds": clock(endless(), one, device), "precision": "float32", "flops": 0.0}
