"""Files beside the chips of ArcGIS' layout Classified_Tiles: names, class values, statistics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import IGNORE, Dataset, Grid, write_json
from ..raster.grid import pixel_size

MODE = "Classified_Tiles"
NO_CLASS = 0
"""Value that ArcGIS ignores; class i is written as i + 1, the background too."""


class ArcgisFacts:
    """Statistics of chips, collected while they are written, and the four files with them."""

    def __init__(self, dataset: Dataset, grid: Grid) -> None:
        bands, classes = len(dataset.recipe.bands), len(dataset.classes)
        self._dataset, self._grid = dataset, grid
        self._lines: list[str] = []
        self._count = np.zeros(bands)
        self._mean, self._squares = np.zeros(bands), np.zeros(bands)
        self._low, self._high = np.full(bands, math.inf), np.full(bands, -math.inf)
        self._pixels, self._images = np.zeros(classes, np.int64), np.zeros(classes, np.int64)

    def mask(self, ids: np.ndarray) -> np.ndarray:
        """Return class ids, uint8 (rows, cols), as values of ArcGIS: 1..n, and 0 for IGNORE."""
        return np.where(ids == IGNORE, NO_CLASS, ids + 1).astype(np.uint8)

    def add(self, number: int, image: np.ndarray, ids: np.ndarray) -> tuple[str, str]:
        """Count one chip.

        Args:
            number: of the chip, from 0.
            image: (bands, rows, cols), NaN where there is no value.
            ids: uint8 (rows, cols), class ids or IGNORE.

        Returns:
            Names of its image and its label file.
        """
        name = f"{number:012d}.tif"
        self._lines.append(f"images/{name} labels/{name}")
        pixels = np.bincount(ids.ravel(), minlength=256)[: len(self._pixels)]
        self._pixels += pixels
        self._images += pixels > 0
        for band, values in enumerate(image):
            self._add_values(band, values[np.isfinite(values)].astype(float))
        return f"images/{name}", f"labels/{name}"

    def _add_values(self, band: int, values: np.ndarray) -> None:
        """Join mean and sum of squares of two samples (Chan, Golub & LeVeque 1979)."""
        if not values.size:
            return
        before, total = self._count[band], self._count[band] + values.size
        step = values.mean() - self._mean[band]
        self._squares[band] += ((values - values.mean()) ** 2).sum() + step**2 * before * values.size / total
        self._mean[band] += step * values.size / total
        self._count[band] = total
        self._low[band] = min(self._low[band], values.min())
        self._high[band] = max(self._high[band], values.max())

    def write(self, folder: Path) -> None:
        """Write map.txt, stats.txt, esri_accumulated_stats.json and esri_model_definition.emd."""
        (folder / "map.txt").write_text("".join(f"{line}\n" for line in self._lines), encoding="utf-8")
        (folder / "stats.txt").write_text(self._stats_text(), encoding="utf-8")
        write_json(folder / "esri_accumulated_stats.json", self._accumulated())
        write_json(folder / "esri_model_definition.emd", self._definition())

    def _stats_text(self) -> str:
        side, bands = self._dataset.tile_px, len(self._mean)
        lines = [f"images = {len(self._lines)} *{bands}*{side}*{side}", f"classes = {len(self._pixels)}"]
        lines.append("cls name\tcls value\timages\tpixels")
        for item, images, pixels in zip(self._dataset.classes, self._images, self._pixels, strict=True):
            lines.append(f"{item.name}\t{item.id + 1}\t{images}\t{pixels}")
        return "".join(f"{line}\n" for line in lines)

    def _accumulated(self) -> dict[str, Any]:
        width, height = pixel_size(self._grid)
        side, count = self._dataset.tile_px, len(self._lines)
        return {
            "Version": 1,
            "NumBands": len(self._mean),
            "TileSizeX": side,
            "TileSizeY": side,
            "NumClasses": len(self._pixels),
            "NumTiles": count,
            "NumTilesAsDouble": float(count),
            "OutputFeatures": False,
            "MetaDataMode": MODE,
            "MinCellSize": {"x": width, "y": height},
            "MaxCellSize": {"x": width, "y": height},
            "BandStatsState": [
                {"Num": count, "Min": low, "Max": high, "M1": mean, "M2": squares}
                for count, low, high, mean, squares in zip(
                    self._count.tolist(),
                    *self._limits(),
                    self._mean.tolist(),
                    self._squares.tolist(),
                    strict=True,
                )
            ],
            "ClassPixelStats": {
                "NumImagesTotal": count,
                "NumClasses": len(self._pixels),
                "NumImagesPerClass": self._images.tolist(),
                "NumPixelsPerClass": self._pixels.tolist(),
            },
        }

    def _definition(self) -> dict[str, Any]:
        names = [band.name for band in self._dataset.recipe.bands]
        deviation = np.sqrt(self._squares / np.maximum(self._count, 1)).tolist()
        low, high = self._limits()
        return {
            "Framework": "",
            "ModelConfiguration": "",
            "ModelFile": "",
            "ImageHeight": self._dataset.tile_px,
            "ImageWidth": self._dataset.tile_px,
            "ExtractBands": list(range(len(names))),
            "DataRange": [min(low, default=0.0), max(high, default=0.0)],
            "BatchSize": 64,
            "MetaDataMode": MODE,
            "ImageSpaceUsed": "MAP_SPACE",
            "Classes": [
                {"Value": item.id + 1, "Name": item.name, "Color": _rgb(item.color)}
                for item in self._dataset.classes
            ],
            "InputRastersProps": {"RasterCount": 1, "SensorName": "Raster Dataset", "BandNames": names},
            "AllTilesStats": [
                {"BandName": name, "Min": low_value, "Max": high_value, "Mean": mean, "StdDev": spread}
                for name, low_value, high_value, mean, spread in zip(
                    names, low, high, self._mean.tolist(), deviation, strict=True
                )
            ],
        }

    def _limits(self) -> tuple[list[float], list[float]]:
        """Minimum and maximum of each band; 0 for a band without values."""
        found = self._count > 0
        return np.where(found, self._low, 0.0).tolist(), np.where(found, self._high, 0.0).tolist()


def _rgb(color: str) -> list[int]:
    text = color.lstrip("#")
    try:
        return [int(text[place : place + 2], 16) for place in (0, 2, 4)]
    except ValueError:
        return [128, 128, 128]
