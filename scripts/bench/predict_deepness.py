"""Prediction beside the way that Deepness goes: one tile a run of ONNX Runtime on the CPU, the next after the last.

Side of the tiles and their overlap are those that our model file tells Deepness; the note says what the ratio would be
at 15 % of overlap, with fewer tiles at the same time a tile.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from measuring import ENGINE_PYTHON, Row, compared, timed
from predict_runs import ours, prepared, size_for

USUAL_OVERLAP = 15

PEER = """
import json, sys, numpy as np, onnxruntime, rasterio
from rasterio.windows import Window
image, model, output, overlap = *sys.argv[1:4], float(sys.argv[4])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
told = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items() if ":" not in key}
side = told["tile_size"]
mean, std = (np.array(told["standardization_" + name], np.float32) for name in ("mean", "std"))
step = int(side * (1 - overlap / 100))
with rasterio.open(image) as raster:
    found = np.zeros((raster.height, raster.width), np.uint8)
    edge = (side - step) // 2
    for row in range(0, max(raster.height - edge, 1), step):
        for col in range(0, max(raster.width - edge, 1), step):
            window = Window(col - edge, row - edge, side, side)
            tile = raster.read(window=window, boundless=True, fill_value=0).astype(np.float32)
            tile = (np.moveaxis(tile, 0, 2) / 255 - mean) / std
            shares = session.run(None, {"image": np.moveaxis(tile, 2, 0)[None].astype(np.float32)})[0][0]
            kept = shares.argmax(axis=0).astype(np.uint8)[edge : edge + step, edge : edge + step]
            target = found[row : row + step, col : col + step]
            target[:] = kept[: target.shape[0], : target.shape[1]]
    profile = {**raster.profile, "count": 1, "dtype": "uint8"}
with rasterio.open(output, "w", **profile) as raster:
    raster.write(found, 1)
"""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns."""
    size = size_for(small)
    folder = prepared(folder.parent, size)
    files = [str(folder / name) for name in ("image.tif", "model.onnx", "deepness.tif")]
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    told = {item.key: item.value for item in model.metadata_props}
    overlap, side = json.loads(told["tiles_overlap"]), json.loads(told["tile_size"])

    def whole() -> tuple[float, float]:
        found = ours(folder)
        return found.wall_s, found.peak_mb

    ours_s, beside_s, ratio, peak_mb = compared(
        whole, lambda: timed([[ENGINE_PYTHON, "-c", PEER, *files, str(overlap)]]), repeat
    )
    more = tiles(size.side, side, overlap) / tiles(size.side, side, USUAL_OVERLAP)
    return Row(
        f"{size.work}, cpu, whole process",
        f"one tile of {side} px a run, ONNX Runtime, {overlap} % overlap",
        ours_s,
        beside_s,
        ratio,
        1 / 2,
        peak_mb,
        note=f"{1 / ratio:.2f} times as fast; with {USUAL_OVERLAP} % overlap it would be {1 / ratio / more:.2f}",
    )


def tiles(length: int, side: int, overlap: float) -> int:
    """Tiles of a square raster."""
    step = int(side * (1 - overlap / 100))
    edge = (side - step) // 2
    return len(range(0, max(length - edge, 1), step)) ** 2
