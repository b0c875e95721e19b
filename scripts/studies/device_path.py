"""Predict real rasters over the device path and on the CPU's ordinary path, and compare the maps.

Run with the engine's Python: `python scripts/studies/device_path.py [--device cuda] [--data FOLDER]`, or `--small` for
one made raster. The CPU takes the device path too if it is the device (its CPU mode). For each case a small U-Net is
trained for seconds on classes made of the raster itself, so that it decides as a trained network does. Prints a table;
the exit code is 1 if more than 0.01 % of a map's pixels get another class.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT / "training")]

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
import torch  # noqa: E402
from measuring import add_small  # noqa: E402
from predict_runs import CLASSES, Size, prepare, save_model  # noqa: E402
from scipy import ndimage  # noqa: E402
from torch import nn  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import Band, LabelClass, PredictJob, Recipe, Source, StackJob  # noqa: E402
from geoseg_engine.modelfile.stats import measure, normalise  # noqa: E402
from geoseg_engine.models import build  # noqa: E402
from geoseg_engine.prediction import predict  # noqa: E402
from geoseg_engine.prediction.on_device.pipeline import SWITCH  # noqa: E402
from geoseg_engine.raster.grid import Window  # noqa: E402
from geoseg_engine.raster.sources import all_bands  # noqa: E402
from geoseg_engine.stacking import stack  # noqa: E402
from geoseg_engine.stacking.reader import StackReader  # noqa: E402
from geoseg_engine.stacking.recipes import read_recipe  # noqa: E402

CASES: dict[str, tuple[tuple[str, ...], int]] = {
    "orthoseg_fields": (("orthoseg_fields/BEFL-TEST-s2_2023-05-01_2023-07-01_B08-B04-B03_min_byte.tif",), 0),
    "rstoolbox_landcover_dem": (
        ("rstoolbox_landcover_dem/lsat.tif", "rstoolbox_landcover_dem/srtm_lsat.tif"),
        2,
    ),
    "everest_glacier": (("everest_glacier/LE71400412000304SGS00_RGB.tif",), 0),
}
"""Layers of a case, and which of them, from 1, is a DEM whose slope and aspect are bands; 0 is none."""
MOST_OTHER = 1e-4
STEPS, CROPS, CROP_PX, SAMPLE_PX = 60, 4, 64, 768
FILES = {
    "confidence": "confidence.tif",
    "margin": "margin.tif",
    "entropy": "entropy.tif",
    "beyond": "beyond.tif",
}
HEAD = """\
| case | layers | pixels | of them by the CPU | other class | their largest margin | files of the same bytes | runtime |
|---|---|---|---|---|---|---|---|"""


def main() -> int:
    """Compare all cases that are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data"
    )
    parser.add_argument("--precision", default="auto")
    add_small(parser)
    options = parser.parse_args()
    print(HEAD)
    shares = []
    with tempfile.TemporaryDirectory(prefix="geoseg-device-") as place:
        for name, folder in prepared(Path(place), options):
            shares.append(compared(name, folder, options.device, options.precision))
    if not shares:
        print(f"No case is in {options.data}.")
    return int(any(share > MOST_OTHER for share in shares))


def prepared(place: Path, options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield each case with a folder that holds its model.onnx."""
    if options.small:
        prepare(place, Size(512, 4, 2))
        yield "made", place
        return
    for name, (files, dem) in CASES.items():
        paths = [options.data / file for file in files]
        if all(path.exists() for path in paths):
            folder = place / name
            folder.mkdir()
            make_model(folder, recipe_of(folder, paths, dem))
            yield name, folder


def recipe_of(folder: Path, paths: list[Path], dem: int) -> Recipe:
    """All bands of rasters, and slope and the sine of aspect of a DEM among them, on the grid of the first."""
    sources = tuple(Source(f"r{number}", str(path), path.stem) for number, path in enumerate(paths, 1))
    bands = [
        Band(**band) for band in all_bands([{"key": s.key, "path": s.path, "name": s.name} for s in sources])
    ]
    bands += [Band(derived, f"r{dem}", 1, derived) for derived in ("slope", "aspect_sin") if dem]
    stack.run(StackJob(sources, tuple(bands), output="stack.recipe.json"), folder, Channel(folder))
    return read_recipe(folder / "stack.recipe.json")


def make_model(folder: Path, recipe: Recipe) -> None:
    """Train a small U-Net on the terciles of the smoothed first band, and write its model file."""
    grid = recipe.grid
    size = min(SAMPLE_PX, grid.height), min(SAMPLE_PX, grid.width)
    with StackReader(recipe) as reader:
        values = reader.read(Window((grid.height - size[0]) // 2, (grid.width - size[1]) // 2, *size))
    statistics, _ = measure(values.reshape(len(values), -1), recipe.bands)
    scores = normalise(values.copy(), statistics)
    smooth = ndimage.gaussian_filter(scores[0], 2)
    classes = np.digitize(smooth, np.quantile(smooth, (1 / 3, 2 / 3)))
    architecture = {"name": "unet", "bands": len(values), "classes": CLASSES, "width": 8, "levels": 3}
    torch.manual_seed(0)
    network = build(architecture).train()
    learn(network, torch.from_numpy(scores), torch.from_numpy(classes))
    named = [LabelClass(number, f"class {number}") for number in range(CLASSES)]
    save_model(folder / "model.onnx", network.eval(), architecture, recipe, statistics, named)


def learn(network: nn.Module, scores: torch.Tensor, classes: torch.Tensor) -> None:
    """Some steps on crops drawn by chance."""
    random, optimizer = np.random.default_rng(0), torch.optim.AdamW(network.parameters(), 3e-3)
    limits = [size - CROP_PX + 1 for size in classes.shape]
    for _ in range(STEPS):
        crops = [
            tuple(slice(first, first + CROP_PX) for first in (random.integers(limit) for limit in limits))
            for _ in range(CROPS)
        ]
        images = torch.stack([scores[:, rows, cols] for rows, cols in crops])
        truth = torch.stack([classes[rows, cols] for rows, cols in crops])
        loss = nn.functional.cross_entropy(network(images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def compared(name: str, folder: Path, device: str, precision: str) -> float:
    """Predict both ways, print a line; the share of pixels that get another class."""
    wanted = precision if device != "cpu" or precision != "auto" else "float32"
    _, plain = predicted(folder, "plain", "cpu", "float32", "off")
    result, found = predicted(folder, "device", device, wanted, "cpu")
    if result["host_s"] is None:
        raise RuntimeError(f"{name} was not predicted over the device path: {result['runtime']}")
    known = plain["classes"] != 255
    other = plain["classes"] != found["classes"]
    share = float(other.sum() / max(known.sum(), 1))
    margin = float(np.nanmax(plain["margin"][other])) if (other & known).any() else 0.0
    same = sum(
        (folder / "plain" / file).read_bytes() == (folder / "device" / file).read_bytes()
        for file in ("classes.tif", *FILES.values())
    )
    host = ", ".join(result["host_bands"]) or "none"
    print(
        f"| {name} | {len(result['matched'])} | {known.size:,} | {host} | {share:.4%} | {margin:.4f} | "
        f"{same} of {len(FILES) + 1} | {result['runtime']} |",
        flush=True,
    )
    return share


def predicted(
    folder: Path, way: str, device: str, precision: str, switch: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Result of a prediction in a folder of its own, and its classes and margins."""
    place = folder / way
    place.mkdir()
    os.environ[SWITCH] = switch
    job = PredictJob(model=str(folder / "model.onnx"), output="classes.tif", **FILES)
    job = replace(job, device=device, precision=precision, runtime="torch", core_px=512)  # type: ignore[arg-type]
    result = predict.run(job, place, Channel(place))
    maps = {}
    for key, file in (("classes", "classes.tif"), ("margin", FILES["margin"])):
        with rasterio.open(place / file) as raster:
            maps[key] = raster.read(1)
    return result, maps


if __name__ == "__main__":
    sys.exit(main())
