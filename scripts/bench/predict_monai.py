"""Prediction beside MONAI's sliding windows at their defaults, with rasterio before and after.

The peer runs in an environment of its own, build/bench-monai, which lends the engine's packages and is made if it is
not there. It takes the network as training leaves it, the whole raster in memory, windows of 256 px by fours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measuring import ENGINE_ENV, Peer, Row, compared, timed
from predict_runs import ours, prepared, size_for

MONAI = Peer("monai", ("monai",), ("monai==1.6.1",), lent=True)

PEER = """
import sys, numpy as np, rasterio, torch
from monai.inferers import sliding_window_inference
from geoseg_engine.modelfile.reading import load_network
image, model, output = sys.argv[1:]
with rasterio.open(image) as raster:
    values, profile = raster.read().astype(np.float32), raster.profile
values = torch.from_numpy((values - 1000) / 200)[None]
network = load_network(model).eval()
with torch.no_grad():
    shares = torch.softmax(sliding_window_inference(values, (256, 256), 4, network), dim=1)[0]
confidence, classes = shares.max(dim=0)
for path, found, dtype in ((output, classes, "uint8"), (output + ".confidence.tif", confidence, "float32")):
    with rasterio.open(path, "w", **{**profile, "count": 1, "dtype": dtype}) as raster:
        raster.write(found.numpy().astype(dtype), 1)
"""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns.

    Raises:
        NotMeasured: where MONAI cannot be had.
    """
    size = size_for(small)
    return beside_monai(prepared(folder.parent, size), repeat, small, f"{size.work}, cpu, whole process")


def beside_monai(folder: Path, repeat: int, small: bool, work: str, **options: Any) -> Row:
    """The row of a job `predict` with options, over what `prepared` left in a folder.

    Raises:
        NotMeasured: where MONAI cannot be had.
    """
    files = [str(folder / name) for name in ("image.tif", "model.onnx", "monai.tif")]
    chosen = set()

    def whole() -> tuple[float, float]:
        found = ours(folder, **options)
        chosen.add(f"{found.result['runtime']}, cores of {found.result['core_px']} px")
        return found.wall_s, found.peak_mb

    ours_s, beside_s, ratio, peak_mb = compared(
        whole,
        lambda: timed([[MONAI.python(install=not small), "-c", PEER, *files]], ENGINE_ENV),
        repeat,
    )
    return Row(
        work,
        "MONAI sliding_window_inference at its defaults in float32, rasterio in and out",
        ours_s,
        beside_s,
        ratio,
        1 / 2.5,
        peak_mb,
        note=f"{1 / ratio:.2f} times as fast; {'; '.join(sorted(chosen))}",
    )
