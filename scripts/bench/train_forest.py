"""A random forest fitted and predicted over 50 million pixels beside scikit-learn on whole arrays.

Both grow the same number of trees on the same pixels; ours without its search, calibrated all the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from measuring import ENGINE_ENV, ROOT, Row, compared, engine_command, timed
from rasterio.transform import Affine

sys.path.insert(0, str(ROOT / "training"))

SIDE_PX, SMALL_PX = 7072, 200
BANDS, TREES, SMALL_TREES = 6, 100, 8
"""As many trees as scikit-learn grows unless it is told."""
LABELLED_PX = 448
"""Side of the two labelled grounds, 200 000 pixels each: one to train, one to validate."""
CLASSES = ("water", "field", "forest", "town")
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 5_000_000)
CRS = "EPSG:32631"

PEER = """
import sys
import numpy as np, rasterio
from sklearn.ensemble import RandomForestClassifier
image, labels, split, output, trees = sys.argv[1:]
with rasterio.open(image) as raster:
    bands, profile = raster.read(), raster.profile
with rasterio.open(labels) as one, rasterio.open(split) as other:
    truth, split = one.read(1).ravel(), other.read(1).ravel()
pixels = bands.reshape(len(bands), -1).T
train = (split == 0) & (truth != 255)
forest = RandomForestClassifier(n_estimators=int(trees), n_jobs=-1, random_state=0)
forest.fit(pixels[train], truth[train])
classes = forest.predict(pixels).reshape(bands.shape[1:])
profile.update(count=1, dtype="uint8")
with rasterio.open(output, "w", **profile) as raster:
    raster.write(classes.astype("uint8"), 1)
"""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Make a scene, fit and predict by both ways, compare the maps."""
    side, trees = (SMALL_PX, SMALL_TREES) if small else (SIDE_PX, TREES)
    make(folder, side)
    script = folder / "peer.py"
    script.write_text(PEER, encoding="utf-8")
    files = [str(folder / name) for name in ("image.tif", "labels.tif", "split.tif", "peer.tif")]
    theirs = [sys.executable, str(script), *files, str(trees)]
    ours = commands(folder, trees)
    peaks = []

    def peer() -> tuple[float, float]:
        seconds, peak_mb = timed([theirs])
        peaks.append(peak_mb)
        return seconds, peak_mb

    ours_s, beside_s, ratio, peak_mb = compared(lambda: timed(ours, ENGINE_ENV), peer, repeat)
    same = agreement(folder / "predict" / "classes.tif", folder / "peer.tif")
    return Row(
        f"random forest: fit and predict, {side}² × {BANDS} bands, {trees} trees",
        "scikit-learn on whole arrays",
        ours_s,
        beside_s,
        ratio,
        1.0,
        peak_mb,
        max(peaks) / 4,
        f"{same:.1%} of the pixels get the same class; scikit-learn holds {max(peaks):.0f} MB",
        same >= 0.9,
    )


def make(folder: Path, side: int, count: int = BANDS) -> None:
    """Classes in patches, bands that tell them apart with noise, and two labelled grounds."""
    random = np.random.default_rng(1)
    patches = random.integers(0, len(CLASSES), (side // 25 + 1, side // 25 + 1)).astype(np.uint8)
    means = random.normal(0, 350, (len(CLASSES), count)) + 2000
    profile = {
        "driver": "GTiff",
        "crs": CRS,
        "transform": TRANSFORM,
        "width": side,
        "height": side,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    packed = {**profile, "count": count, "dtype": "int16", "compress": "zstd", "zstd_level": 1}
    truth = np.full((side, side), 255, np.uint8)
    split = np.full((side, side), 255, np.uint8)
    known = min(LABELLED_PX, side // 2)
    with rasterio.open(folder / "image.tif", "w", **packed) as image:
        for row in range(0, side, 512):
            height = min(512, side - row)
            rows = np.arange(row, row + height) // 25
            ids = patches[rows[:, None], np.arange(side)[None] // 25]
            window = rasterio.windows.Window(0, row, side, height)
            for band in range(count):
                values = means[ids, band] + random.normal(0, 250, ids.shape)
                image.write(values.astype(np.int16), band + 1, window=window)
            inside = slice(0, max(min(known - row, height), 0))
            truth[row : row + height][inside, : 2 * known] = ids[inside, : 2 * known]
    split[:known, :known], split[:known, known : 2 * known] = 0, 1
    for name, array in (("labels", truth), ("split", split)):
        with rasterio.open(
            folder / f"{name}.tif", "w", **profile, count=1, dtype="uint8", compress="deflate"
        ) as raster:
            raster.write(array, 1)
    write_dataset(folder, side, count)


def write_dataset(folder: Path, side: int, count: int) -> None:
    """dataset.json beside the rasters."""
    from geoseg_engine.contract import Band, Dataset, Grid, LabelClass, Recipe, Source, write_json

    bands = tuple(Band(f"b{index}", "image", index) for index in range(1, count + 1))
    grid = Grid(CRS, tuple(TRANSFORM)[:6], side, side)
    source = Source("image", str(folder / "image.tif"), "image")
    classes = tuple(LabelClass(index, name, name, "#808080") for index, name in enumerate(CLASSES))
    dataset = Dataset(
        "forest", Recipe((source,), bands, grid), "labels.tif", "split.tif", "tiles.gpkg", classes
    )
    write_json(folder / "dataset.json", dataset)


def commands(folder: Path, trees: int) -> list[list[str]]:
    """The jobs `trainforest` and `predict`."""
    train = {
        "dataset": str(folder / "dataset.json"),
        "trees": trees,
        "search": False,
        "pixels": LABELLED_PX**2,
    }
    predict = {"model": str(folder / "train" / "model.onnx"), "output": "classes.tif"}
    return [
        list(engine_command(folder / "train", "trainforest", train)),
        list(engine_command(folder / "predict", "predict", predict)),
    ]


def agreement(ours: Path, theirs: Path) -> float:
    """Share of pixels with the same class, strip by strip."""
    same = total = 0
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        for row in range(0, one.height, 512):
            window = rasterio.windows.Window(0, row, one.width, min(512, one.height - row))
            equal = one.read(1, window=window) == other.read(1, window=window)
            same, total = same + int(equal.sum()), total + equal.size
    return same / total
