"""Peak memory of the job `predict` on rasters of growing size.

Run with the engine's Python: `python scripts/bench/predict_memory.py --sizes 5000 20000`. Makes a sparse raster and
an untrained model in a temporary folder, runs the engine as QGIS does (one process a job) and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))

LIMIT_MB = 2000
CLASSES = 3


def main() -> int:
    """Measure every size; the exit code is 1 if one needs more than LIMIT_MB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 20000], metavar="PX")
    parser.add_argument("--bands", type=int, default=6)
    parser.add_argument("--width", type=int, default=8, help="channels of the first level of the U-Net")
    parser.add_argument("--levels", type=int, default=4)
    parser.add_argument("--core", type=int, default=0, help="side of a core; 0 lets the engine choose")
    parser.add_argument("--runtime", default="auto", choices=["auto", "torch", "onnx"])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print("| raster | peak MB | minutes | Mpx/s | runtime | core px |")
    print("|---|---|---|---|---|---|")
    worst = 0.0
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="geoseg-bench-") as name:
            worst = max(worst, measure(size, options, Path(name)))
    return int(worst > LIMIT_MB)


def measure(size: int, options: argparse.Namespace, folder: Path) -> float:
    """Predict a raster of size × size pixels; print a row and return the peak in MB."""
    prepare(size, options, folder)
    job = {
        "model": "model.onnx",
        "output": "classes.tif",
        "confidence": "confidence.tif",
        "core_px": options.core,
        "runtime": options.runtime,
        "device": options.device,
    }
    (folder / "job.json").write_text(json.dumps({"protocol": "1.0", "kind": "predict", "job": job}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "training")}
    started = time.monotonic()
    with (folder / "out.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "geoseg_engine", "run", "job.json"],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        usage = os.wait4(process.pid, 0)[2]
    minutes = (time.monotonic() - started) / 60
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    if last["type"] != "done":
        raise SystemExit(f"{last['message']} {last['hint']}\n{last['details']}")
    result = last["result"]
    peak_mb = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    print(
        f"| {size} × {size} × {options.bands} | {peak_mb:.0f} | {minutes:.1f} | {result['mpx_per_s']} | "
        f"{result['runtime']} | {result['core_px']} |",
        flush=True,
    )
    return float(peak_mb)


def prepare(size: int, options: argparse.Namespace, folder: Path) -> None:
    """Write a sparse raster and an untrained model that expects it."""
    import numpy as np
    import rasterio
    import torch

    from geoseg_engine.contract import Band, Grid, LabelClass, Recipe, Source
    from geoseg_engine.modelfile import export
    from geoseg_engine.modelfile.stats import Statistics
    from geoseg_engine.models import build, traits
    from geoseg_engine.raster.grid import Window, rasterio_profile

    grid = Grid("EPSG:32631", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0), size, size)
    profile = {**rasterio_profile(grid, options.bands, "float32", None), "sparse_ok": True}
    with rasterio.open(folder / "image.tif", "w", **profile) as dataset:
        values = np.random.default_rng(0).normal(size=(options.bands, 1024, 1024)).astype(np.float32)
        for corner in range(0, size - 1024, 4096):
            dataset.write(values, window=Window(corner, corner, 1024, 1024).rasterio)
    bands = tuple(Band(f"b{index}", "r1", index) for index in range(1, options.bands + 1))
    recipe = Recipe((Source("r1", str(folder / "image.tif")),), bands, grid)
    architecture = {
        "name": "unet",
        "bands": options.bands,
        "classes": CLASSES,
        "width": options.width,
        "levels": options.levels,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    network = build(architecture).eval()
    facts = traits(network)
    zeros, ones = (0.0,) * options.bands, (1.0,) * options.bands
    statistics = Statistics(zeros, ones, tuple(-3.0 for _ in ones), tuple(3.0 for _ in ones))
    metadata = export.own_metadata(
        {
            "recipe": recipe,
            "classes": [LabelClass(index, f"class {index}") for index in range(CLASSES)],
            "statistics": statistics,
            "architecture": architecture,
            "reach_px": facts.reach_px,
            "align_px": facts.align_px,
            "tile_exact": facts.tile_exact,
            "tile_px": 64,
            "metrics": {},
            "unlabelled": "unknown",
            "warnings": [],
            "trained": {},
        }
    )
    side = 4 * facts.align_px
    export.export(
        network, statistics, metadata, [torch.randn(2, options.bands, side, side)], folder / "model.onnx"
    )


if __name__ == "__main__":
    raise SystemExit(main())
