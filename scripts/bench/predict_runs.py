"""One raster, one U-Net trained for seconds, and runs over them, for the rows of scripts/bench/predict.py."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import torch  # noqa: E402
from measuring import ENGINE_ENV, engine_command, function_command, timed  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy import ndimage  # noqa: E402
from torch import nn  # noqa: E402

from geoseg_engine.contract import Band, Grid, LabelClass, Recipe, Source  # noqa: E402
from geoseg_engine.modelfile import export  # noqa: E402
from geoseg_engine.modelfile.reading import read_model  # noqa: E402
from geoseg_engine.modelfile.stats import Statistics  # noqa: E402
from geoseg_engine.models import build, traits  # noqa: E402
from geoseg_engine.prediction.runtimes.selection import open_runtime  # noqa: E402
from geoseg_engine.prediction.windows import Frame, cuts  # noqa: E402
from geoseg_engine.raster.grid import Window, rasterio_profile  # noqa: E402

BANDS, CLASSES, PATTERN_PX = 6, 3, 1024
TRAIN_STEPS, CROPS, CROP_PX = 60, 4, 128
MIN_S, SMALL_S, MIN_RUNS = 20.0, 0.0, 3
RUNTIMES = {"torch": "torch", "ONNX": "onnx", "OpenVINO": "openvino"}
"""First word of a runtime's title to its name."""


@dataclass(frozen=True)
class Size:
    """Side of the raster, width and levels of the U-Net."""

    side: int
    width: int
    levels: int

    @property
    def work(self) -> str:
        """In words."""
        side = f"{self.side:,}".replace(",", " ")
        return f"{side}² × {BANDS}, U-Net base {self.width}"


def size_for(small: bool) -> Size:
    """The size of a row."""
    side = int(os.environ.get("GEOSEG_BENCH_SIDE", "8192"))
    return Size(768, 8, 3) if small else Size(side, 32, 4)


@dataclass(frozen=True)
class Run:
    """One run of the job.

    Attributes:
        seconds: from the first window read to the files finished.
        wall_s: of the whole process, with imports and the choice of a runtime.
        peak_mb: of the process.
        result: as the engine gave it.
        input_px: pixels of all windows that the network saw.
        window_px: side of an inner window.
    """

    seconds: float
    wall_s: float
    peak_mb: float
    result: dict[str, Any]
    input_px: int
    window_px: int


@cache
def prepared(place: Path, size: Size) -> Path:
    """A folder in a place with image.tif and model.onnx, which all rows share; it is gone when the script ends."""
    folder = Path(tempfile.mkdtemp(prefix="geoseg-predict-", dir=place))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prepare(folder, size)
    return folder


def prepare(folder: Path, size: Size) -> None:
    """Write image.tif and model.onnx: a U-Net, or of no levels the network that costs nothing."""
    grid = Grid("EPSG:32631", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0), size.side, size.side)
    write_image(folder / "image.tif", grid)
    architecture = {"name": "unet", "width": size.width, "levels": size.levels}
    write_model(folder, grid, architecture if size.levels else {"name": "pixelwise"})


def write_image(path: Path, grid: Grid) -> None:
    """Write a raster, int16 as sensors give it: a pattern of blobs of the classes in noise, over and over."""
    profile = rasterio_profile(grid, BANDS, "int16", None)
    scene = pattern()[0]
    with rasterio.open(path, "w", **profile) as image:
        for row in range(0, grid.height, PATTERN_PX):
            for col in range(0, grid.width, PATTERN_PX):
                height, width = min(PATTERN_PX, grid.height - row), min(PATTERN_PX, grid.width - col)
                image.write(scene[:, :height, :width], window=Window(row, col, height, width).rasterio)


@cache
def pattern() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A made scene: bands (BANDS, PATTERN_PX, PATTERN_PX) around 1000, and the class of every pixel.

    Classes are blobs of 30 pixels; each lifts some bands a little above the noise.
    """
    random = np.random.default_rng(0)
    fields = ndimage.gaussian_filter(
        random.normal(0, 1, (CLASSES, PATTERN_PX, PATTERN_PX)), (0, 15, 15), mode="wrap"
    )
    classes = fields.argmax(axis=0).astype(np.uint8)
    lift = random.normal(0, 120, (CLASSES, BANDS))
    noise = random.normal(1000, 200, (BANDS, PATTERN_PX, PATTERN_PX))
    return (noise + np.moveaxis(lift[classes], 2, 0)).astype(np.int16), classes


def write_model(folder: Path, grid: Grid, architecture: dict[str, Any]) -> None:
    """Write model.onnx for image.tif of the same folder; a U-Net is trained for some seconds on the made scene."""
    bands = tuple(Band(f"b{index}", "r1", index) for index in range(1, BANDS + 1))
    classes = [LabelClass(index, f"class {index}") for index in range(CLASSES)]
    architecture = {**architecture, "bands": BANDS, "classes": CLASSES}
    torch.manual_seed(0)
    network = build(architecture).eval()
    if architecture["name"] == "unet":
        network.load_state_dict(trained(architecture))
    statistics = Statistics((1000.0,) * BANDS, (200.0,) * BANDS, (400.0,) * BANDS, (1600.0,) * BANDS)
    recipe = Recipe((Source("r1", str(folder / "image.tif")),), bands, grid)
    save_model(folder / "model.onnx", network, architecture, recipe, statistics, classes)


def save_model(
    path: Path,
    network: nn.Module,
    architecture: dict[str, Any],
    recipe: Recipe,
    statistics: Statistics,
    classes: list[LabelClass],
) -> None:
    """Write a model file of a network in evaluation mode."""
    facts = traits(network)
    own = {
        "recipe": recipe,
        "classes": classes,
        "statistics": statistics,
        "architecture": architecture,
        "reach_px": facts.reach_px,
        "align_px": facts.align_px,
        "tile_exact": facts.tile_exact,
        "tile_px": 256,
        "metrics": {},
        "unlabelled": "unknown",
        "warnings": [],
        "trained": {},
    }
    metadata = {
        **export.deepness_metadata(recipe.grid, classes, statistics, facts),
        **export.own_metadata(own),
    }
    side = max(4 * facts.align_px, 16)
    samples = [torch.randn(2, len(recipe.bands), side, side)]
    export.export(network, statistics, metadata, samples, path)


def trained(architecture: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Weights of a network after some steps on the made scene; kept in build/bench for the next time.

    An untrained one has nearly equal probabilities everywhere, so that bf16 would fail its check.
    """
    key = "-".join(str(value) for value in architecture.values())
    kept = ROOT / "build" / "bench" / f"trained-{key}.pt"
    if kept.exists():
        found: dict[str, torch.Tensor] = torch.load(kept, weights_only=True)
        return found
    torch.manual_seed(0)
    network = build(architecture).to(memory_format=torch.channels_last).train()
    bands, classes = (torch.from_numpy(array) for array in pattern())
    random = np.random.default_rng(1)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(TRAIN_STEPS):
        places = random.integers(0, PATTERN_PX - CROP_PX, (CROPS, 2))
        crops = [(slice(row, row + CROP_PX), slice(col, col + CROP_PX)) for row, col in places]
        images = torch.stack([(bands[:, rows, cols].float() - 1000) / 200 for rows, cols in crops])
        truth = torch.stack([classes[rows, cols].long() for rows, cols in crops])
        loss = nn.functional.cross_entropy(
            network(images.contiguous(memory_format=torch.channels_last)), truth
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = {name: value.contiguous() for name, value in network.eval().state_dict().items()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, kept)
    return state


def ours(folder: Path, device: str = "cpu", **options: Any) -> Run:
    """Run the job `predict` as QGIS does: classes and confidence of the whole raster, with options of the job."""
    place = folder / "ours"
    model = str(folder / "model.onnx")
    job = {
        "model": model,
        "output": "classes.tif",
        "confidence": "confidence.tif",
        "device": device,
        "resume": False,
        **options,
    }
    wall_s, peak_mb = timed([engine_command(place, "predict", job)], ENGINE_ENV)
    events = [json.loads(line) for line in (place / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    (place / "events.jsonl").unlink()
    result = events[-1]["result"]
    began = next(event["t"] for event in events if event.get("phase") == "predict")
    described, side = read_model(model), result["grid"]["width"]
    frame = Frame(side, side, described.reach_px, described.align_px)
    areas = [cut.read.height * cut.read.width for cut in cuts(frame, result["core_px"])]
    window_px = min(result["core_px"] + 2 * frame.halo_px, frame.full.width)
    return Run(events[-1]["t"] - began, wall_s, peak_mb, result, sum(areas), window_px)


def limit(folder: Path, run: Run, small: bool) -> float:
    """Pixels a second of the model alone, run as a run of ours has chosen, on windows as large as its own."""
    out = folder / "limit.json"
    facts = run.result
    name = RUNTIMES[facts["runtime"].split()[0]]
    settings = [name, facts["precision"], facts["device"], run.window_px, SMALL_S if small else MIN_S, out]
    timed([function_command(__file__, "alone", folder / "model.onnx", *settings)])
    return float(json.loads(out.read_text(encoding="utf-8"))["px_per_s"])


def alone(model: str, name: str, precision: str, device: str, side_px: str, min_s: str, out: str) -> None:
    """Write pixels a second of a runtime on a window that is there already, after one to warm up."""
    runtime, side = open_runtime(model, name, device, precision), int(side_px)
    scores = np.random.default_rng(0).normal(0, 1, (BANDS, side, side)).astype(np.float32)
    runtime.predict_window(scores)
    runs, started = 0, time.perf_counter()
    while runs < MIN_RUNS or time.perf_counter() - started < float(min_s):
        runtime.predict_window(scores)
        runs += 1
    seconds = time.perf_counter() - started
    Path(out).write_text(json.dumps({"px_per_s": runs * side * side / seconds}), encoding="utf-8")
