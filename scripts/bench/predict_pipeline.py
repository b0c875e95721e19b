"""Prediction with a network that costs nothing, over the device path in its CPU mode, beside rasterio copying.

The network is one convolution of 1 × 1, so what is measured is everything around a network: decoding, normalising,
classes and confidence, parts, files with their overviews. The peer reads the same raster block by block and writes the
same pixels into the same two files with the same options. Both are timed without imports and without the choice of a
runtime. The second figure is the host's processor time: all of the process, less what the device would compute and
less what the peer needs for decoding and encoding. Torch has one thread, so that it can be told apart: the threads of
the pipeline keep two cores busy.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import torch  # noqa: E402
from measuring import Row, function_command, timed  # noqa: E402
from predict_runs import BANDS, PATTERN_PX, Size, prepared, size_for  # noqa: E402
from rasterio.enums import Resampling  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import PredictJob  # noqa: E402
from geoseg_engine.models import NETWORKS  # noqa: E402
from geoseg_engine.prediction import predict  # noqa: E402
from geoseg_engine.prediction.on_device.pipeline import SWITCH  # noqa: E402

BAR, HOST_BAR_MS = 1.5, 20.0
OURS, THEIRS = ("classes.tif", "confidence.tif"), ("classes-copied.tif", "confidence-copied.tif")
NAME = "pixelwise"
WARM_PX = 4096


class Pixelwise(nn.Module):
    """One convolution of 1 × 1."""

    reach_px, align_px, tile_exact = 0, 1, True

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(bands, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols)."""
        found: Tensor = self.head(image)
        return found


NETWORKS[NAME] = Pixelwise


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns."""
    size = size_for(small)
    place = prepared(folder.parent, Size(size.side, 0, 0))
    rounds = [(ours(place), theirs(place)) for _ in range(repeat)]
    ratio = statistics.median(one["seconds"] / other["seconds"] for one, other in rounds)
    peer_s = min(other["processor_s"] for _, other in rounds)
    mpx = size.side**2 / 1e6
    host_ms = (min(one["processor_s"] - one["device_s"] for one, _ in rounds) - peer_s) / mpx * 1e3
    all_ms = (min(one["processor_s"] for one, _ in rounds) - peer_s) / mpx * 1e3
    same = all(_same(place / one, place / other) for one, other in zip(OURS, THEIRS, strict=True))
    side = f"{size.side:,}".replace(",", " ")
    return Row(
        f"{side}² × {BANDS} int16, a network that costs nothing, device path on the CPU",
        "rasterio copying it to the same files block by block",
        statistics.median(one["seconds"] for one, _ in rounds),
        statistics.median(other["seconds"] for _, other in rounds),
        ratio,
        BAR,
        max(one["peak_mb"] for one, _ in rounds),
        note=f"host {host_ms:.1f} ms a megapixel besides decoding and encoding (≤ {HOST_BAR_MS:.0f}), "
        f"{all_ms:.1f} with what a device would compute; parts {rounds[0][0]['parts_s']:.1f} s, files "
        f"{rounds[0][0]['files_s']:.1f} s; {'the same pixels' if same else 'OTHER PIXELS'}",
        agrees=same and (small or host_ms <= HOST_BAR_MS),
    )


def ours(folder: Path, threads: int = 1) -> dict[str, Any]:
    """Figures of one run of the job, see `job`."""
    out = folder / "pipeline.json"
    _, peak_mb = timed([function_command(__file__, "job", folder, threads, out)], {SWITCH: "cpu"})
    return {**json.loads(out.read_text(encoding="utf-8")), "peak_mb": peak_mb}


def theirs(folder: Path) -> dict[str, Any]:
    """Figures of one copy, see `copy`."""
    out = folder / "copied.json"
    timed([function_command(__file__, "copy", folder, out)])
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


class Clock(Channel):
    """Notes when the first window is read, and when the files are begun."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.began: dict[str, tuple[float, float]] = {}

    def progress(self, phase: str, done: int, total: int, rate: str = "") -> None:
        """Note the first report of a phase."""
        self.began.setdefault(phase, (time.perf_counter(), time.process_time()))


def job(folder: str, threads: str, out: str) -> None:
    """Predict, and write seconds, processor seconds of all and of the device, and seconds of both phases."""
    if int(threads):
        torch.set_num_threads(int(threads))
    place = Path(folder)
    clock = Clock(place)
    model = str(place / "model.onnx")
    settings = PredictJob(
        model=model, output="classes.tif", confidence="confidence.tif", device="cpu", runtime="torch",
        precision="float32", resume=False,
    )  # fmt: skip
    result = predict.run(settings, place, clock)
    ended, processor = time.perf_counter(), time.process_time()
    began, processor_began = clock.began["predict"]
    files = clock.began["write"][0]
    found = {
        "seconds": ended - began,
        "processor_s": processor - processor_began,
        "device_s": result["host_s"]["compute_s"],
        "parts_s": files - began,
        "files_s": ended - files,
        "stages": result["host_s"],
        "core_px": result["core_px"],
    }
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def copy(folder: str, out: str) -> None:
    """Read the raster block by block, write the pixels of our files into others of the same kind, with overviews."""
    place = Path(folder)
    patterns, profiles, factors = [], [], []
    for name in OURS:
        with rasterio.open(place / name) as raster:
            patterns.append(raster.read(1, window=((0, PATTERN_PX), (0, PATTERN_PX))))
            profiles.append(
                {**raster.profile, "zstd_level": 1, "num_threads": "ALL_CPUS", "bigtiff": "IF_SAFER"}
            )
            factors.append(raster.overviews(1))
    profiles[1]["predictor"] = 3
    started, processor = time.perf_counter(), time.process_time()
    with (
        rasterio.open(place / "image.tif") as image,
        rasterio.open(place / THEIRS[0], "w", **profiles[0]) as classes,
        rasterio.open(place / THEIRS[1], "w", **profiles[1]) as confidence,
    ):
        for _, block in classes.block_windows(1):
            image.read(window=block)
            rows, cols = (
                slice(start % PATTERN_PX, start % PATTERN_PX + size)
                for start, size in ((block.row_off, block.height), (block.col_off, block.width))
            )
            for raster, pattern in zip((classes, confidence), patterns, strict=True):
                raster.write(pattern[rows, cols], 1, window=block)
    for name, wanted, kind in zip(THEIRS, factors, (Resampling.nearest, Resampling.average), strict=True):
        if wanted:
            with rasterio.open(place / name, "r+") as raster:
                raster.build_overviews(wanted, kind)
    found = {"seconds": time.perf_counter() - started, "processor_s": time.process_time() - processor}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def _same(one: Path, other: Path) -> bool:
    """Whether two rasters have the same pixels, row of blocks by row of blocks."""
    with rasterio.open(one) as first, rasterio.open(other) as second:
        for row in range(0, first.height, 512):
            window = ((row, min(row + 512, first.height)), (0, first.width))
            if not np.array_equal(first.read(window=window), second.read(window=window), equal_nan=True):
                return False
    return True
