"""Peak memory of the job `predict` on a raster of 50 000 × 50 000 × 6 beside one of 10 000 × 10 000.

The raster is sparse: squares of 1024 pixels on its diagonal have values, the rest is nodata, which is read but not
predicted. The network is a U-Net of 4 levels and 8 channels, untrained. The engine runs as QGIS starts it, one process
a job, with confidence written. Ratio and bar are of the peaks; seconds are told, not judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from measuring import ENGINE_ENV, Row, engine_command, timed

from geoseg_engine.contract import Band, Grid, LabelClass, Recipe, Source
from geoseg_engine.modelfile import export
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.models import build, traits
from geoseg_engine.raster.grid import Window, rasterio_profile

SIZES, SMALL = (10_000, 50_000), (300, 600)
BANDS, WIDTH, LEVELS, CLASSES = 6, 8, 4, 3
CORE_PX = 1024
"""The same for both: what is chosen depends on the speed of the moment."""
BAR, PEAK_BAR_MB = 1.1, 2000.0


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Measure both sizes once, whatever `repeat` says: memory does not vary as time does."""
    few, many = SMALL if small else SIZES
    write_model(folder / "model.onnx", write_image(folder / "few.tif", few))
    write_image(folder / "many.tif", many)
    beside_s, beside_mb = measured(folder, "few")
    ours_s, ours_mb = measured(folder, "many")
    return Row(
        f"memory, {many}² × {BANDS}",
        f"{few}² × {BANDS}",
        ours_s,
        beside_s,
        ours_mb / beside_mb,
        BAR,
        ours_mb,
        PEAK_BAR_MB,
        f"ratio of peaks, {ours_mb:.0f} and {beside_mb:.0f} MB; U-Net of {WIDTH} channels, sparse raster",
    )


def measured(folder: Path, name: str) -> tuple[float, float]:
    """Predict NAME.tif; seconds and peak MB."""
    job: dict[str, Any] = {
        "model": str(folder / "model.onnx"),
        "sources": [{"key": "r1", "path": str(folder / f"{name}.tif"), "name": name}],
        "output": "classes.tif",
        "confidence": "confidence.tif",
        "runtime": "torch",
        "core_px": CORE_PX,
    }
    return timed([engine_command(folder / name, "predict", job)], ENGINE_ENV)


def write_image(path: Path, size: int) -> Recipe:
    """Write a sparse raster of size × size pixels; the recipe of its bands."""
    side = min(size, 1024)
    grid = Grid("EPSG:32631", (10.0, 0.0, 300_000.0, 0.0, -10.0, 5_000_000.0), size, size)
    profile = {**rasterio_profile(grid, BANDS, "float32", 0.0), "sparse_ok": True}
    with rasterio.open(path, "w", **profile) as dataset:
        values = np.random.default_rng(0).normal(size=(BANDS, side, side)).astype(np.float32)
        for corner in range(0, max(size - 1024, 1), 4096):
            dataset.write(values, window=Window(corner, corner, side, side).rasterio)
    bands = tuple(Band(f"b{index}", "r1", index) for index in range(1, BANDS + 1))
    return Recipe((Source("r1", str(path)),), bands, grid)


def write_model(path: Path, recipe: Recipe) -> None:
    """Write an untrained model that expects the bands of a recipe."""
    architecture = {
        "name": "unet",
        "bands": BANDS,
        "classes": CLASSES,
        "width": WIDTH,
        "levels": LEVELS,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    network = build(architecture).eval()
    facts = traits(network)
    zeros, ones = (0.0,) * BANDS, (1.0,) * BANDS
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
    crop_px = 4 * facts.align_px
    export.export(network, statistics, metadata, [torch.randn(2, BANDS, crop_px, crop_px)], path)
