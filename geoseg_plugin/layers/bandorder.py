"""A raster with its bands in the order that the model expects: a small VRT that names the bands of the real file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal

from ..contract import replace_with_sidecars
from .exports import export_failed


@dataclass(frozen=True)
class BandOrder:
    """Writes the VRT. Call it in a task thread.

    Attributes:
        source: file or GDAL dataset name.
        path: VRT to write.
        binding: band at training -> band of `source`. Bands that are not named stay at their number.
    """

    source: str
    path: Path
    binding: Mapping[int, int]
    note: str = ""

    def __call__(self) -> None:
        """Write the file under a temporary name and rename it when whole. Its bands have no descriptions, so that
        their numbers count.

        Raises:
            GeoSegError: `export_failed` if the source cannot be read or the file not written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.stem}.part.vrt")
        try:
            source = gdal.Open(self.source)
            bands = self.bands(source.RasterCount) if source is not None else []
            made = gdal.Translate(str(partial), source, format="VRT", bandList=bands) if bands else None
        except RuntimeError as error:  # where GDAL is set to raise
            raise export_failed(self.path, str(error)) from error
        if made is None:
            raise export_failed(self.path, gdal.GetLastErrorMsg() or f"{self.source} cannot be opened")
        for band in range(1, made.RasterCount + 1):
            made.GetRasterBand(band).SetDescription("")
        made.FlushCache()
        del made
        replace_with_sidecars(partial, self.path)

    def bands(self, count: int) -> list[int]:
        """Bands of a source with `count` bands in the order of training.

        Those behind them stay too: the last one may be the alpha that says which pixels have a value.
        """
        maximum = max(*self.binding, count)
        return [self.binding.get(band, min(band, count)) for band in range(1, maximum + 1)]
