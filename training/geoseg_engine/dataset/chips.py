"""The job `exportchips`: tiles as image and mask files for other programs, each read back and compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from ..channel import Channel
from ..contract import IGNORE, SPLITS, Dataset, ExportChipsJob, GeoSegError, Grid, beside, encode, write_json
from ..outputs import require_room, whole_folder, write_error
from ..raster.grid import Window, affine_of
from ..stacking.reader import StackReader
from ..vector.files import gdal_name
from .arcgis_chips import ArcgisFacts
from .datasets import open_dataset_stack, read_dataset

PNG_BANDS = (1, 3, 4)
FACTS_FILE = "chips.json"


@dataclass(frozen=True)
class Chip:
    """One tile to write.

    Attributes:
        stem: file name without suffix, the same of image and mask.
        split: index into SPLITS.
        window: its pixels.
        image: float32 (bands, tile, tile), NaN where there is no value or no raster.
        mask: uint8 (tile, tile), class ids, IGNORE where there is no label of the tile's own split.
    """

    stem: str
    split: int
    window: Window
    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Style:
    """How chips are written: `png` or `tif`, and as bytes or float32."""

    suffix: str
    eight_bit: bool


def chip_bytes(dataset: Dataset, style: Style) -> int:
    """Return the bytes on disk of a tile's image and its mask, which compress little.

    Args:
        dataset: with the size of its tiles.
        style: of the files.
    """
    each = 1 if style.eight_bit else 4
    return dataset.tile_px**2 * (each * len(dataset.recipe.bands) + 1)


class ChipReader:
    """Reads the tiles of a dataset with their labels."""

    def __init__(self, dataset: Dataset, home: Path, stack: StackReader) -> None:
        self.dataset, self.grid, self._stack = dataset, stack.grid, stack
        self._labels, self._split = home / dataset.labels, home / dataset.split
        self._tiles = home / dataset.tiles

    def places(self, splits: tuple[str, ...]) -> list[tuple[int, int, int]]:
        """Return split, row and column of the tiles of some splits, in the order of the index.

        Raises:
            GeoSegError: `no_tiles`.
        """
        if not self._tiles.exists():
            raise GeoSegError(
                "file_missing", f"The tile index {self._tiles} does not exist.", "Make tiles again."
            )
        frame = pyogrio.read_dataframe(gdal_name(str(self._tiles)), layer="tiles", read_geometry=False)
        chosen = frame[frame["split"].isin(splits)]
        if not len(chosen):
            raise GeoSegError(
                "no_tiles",
                f"The dataset has no tile of {', '.join(splits)}.",
                "Choose other splits, or make tiles with less strict shares.",
            )
        codes = [SPLITS.index(name) for name in chosen["split"]]
        return list(zip(codes, chosen["row"].tolist(), chosen["col"].tolist(), strict=True))

    def chips(self, places: list[tuple[int, int, int]]) -> Iterator[Chip]:
        """Read tiles; labels of another split than the tile's are IGNORE, so that no split leaks into another."""
        side = self.dataset.tile_px
        with rasterio.open(self._labels) as labels, rasterio.open(self._split) as split:
            for code, row, col in places:
                window = Window(row, col, side, side)
                inside = window.clipped(self.grid.height, self.grid.width)
                ids, codes = (raster.read(1, window=inside.rasterio) for raster in (labels, split))
                mask = np.full((side, side), IGNORE, np.uint8)
                mask[inside.within(window)] = np.where(codes == code, ids, IGNORE)
                yield Chip(f"r{row:06d}_c{col:06d}", code, window, self._stack.read(window), mask)


def run(job: ExportChipsJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Export the tiles of a dataset; the folder is complete or not there at all.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress and the artifact `chips`.

    Raises:
        GeoSegError: `not_empty`, `no_tiles`, `not_eight_bit`, `no_such_format`, `chip_differs`; as `read_dataset`.
    """
    output = folder / job.output
    check_empty(output)
    dataset, home = read_dataset(folder / job.dataset)
    with open_dataset_stack(dataset, home) as stack:
        reader = ChipReader(dataset, home, stack)
        places = reader.places(job.splits)
        style = chosen_style(job, reader, places)
        require_room({output: len(places) * chip_bytes(dataset, style)})
        with whole_folder(output, replacing=False) as partial:
            count = _write_all(job, reader, places, style, partial, channel)
    channel.artifact("chips", output)
    names = [SPLITS[code] for code, _, _ in places]
    return {
        "output": str(output),
        "layout": job.layout,
        "format": style.suffix,
        "count": count,
        "sentence": f"{count} chips of {dataset.tile_px} px as {style.suffix}, each read back and verified.",
        "chips_by_split": {name: names.count(name) for name in job.splits},
        "verified": count,
    }


def check_empty(output: Path) -> None:
    """Raise if the output folder is not empty.

    Raises:
        GeoSegError: `not_empty`.
    """
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise GeoSegError(
            "not_empty", f"{output} is not an empty folder.", "Choose a new or an empty folder."
        )


def chosen_style(job: ExportChipsJob, reader: ChipReader, places: list[tuple[int, int, int]]) -> Style:
    """Return the style of the files: PNG if it is set, or can hold every value; GeoTIFF otherwise. Values are read.

    Args:
        job: settings.
        reader: of the tiles.
        places: of the tiles, see `ChipReader.places`.

    Raises:
        GeoSegError: `no_such_format`, `not_eight_bit`.
    """
    eight_bit = all(_is_eight_bit(chip.image) for chip in reader.chips(places))
    bands = len(reader.dataset.recipe.bands)
    if job.layout == "arcgis" and job.image_format == "png":
        raise GeoSegError("no_such_format", "Classified_Tiles are written as GeoTIFF.", "Choose auto or tif.")
    if job.image_format == "png" and not (eight_bit and bands in PNG_BANDS):
        raise GeoSegError(
            "not_eight_bit",
            f"PNG cannot hold these chips: {bands} bands"
            f"{'' if eight_bit else ', values other than whole numbers from 0 to 255 or pixels without value'}.",
            "Choose auto or tif.",
        )
    png = job.layout == "pairs" and job.image_format != "tif" and eight_bit and bands in PNG_BANDS
    return Style("png" if png else "tif", eight_bit)


def _is_eight_bit(image: np.ndarray) -> bool:
    return bool(((image >= 0) & (image <= 255) & (image == np.floor(image))).all())


def _write_all(
    job: ExportChipsJob,
    reader: ChipReader,
    places: list[tuple[int, int, int]],
    style: Style,
    folder: Path,
    channel: Channel,
) -> int:
    """Write, read back and describe every chip; return their number."""
    facts = ArcgisFacts(reader.dataset, reader.grid) if job.layout == "arcgis" else None
    written: list[str] = []
    for number, chip in enumerate(reader.chips(places)):
        if facts is not None:
            names = facts.add(number, chip.image, chip.mask)
            mask, nodata = facts.mask(chip.mask), None
        else:
            name = f"{SPLITS[chip.split]}/{chip.stem}.{style.suffix}"
            names, mask, nodata = (f"images/{name}", f"masks/{name}"), chip.mask, IGNORE
        image = chip.image.astype(np.uint8) if style.eight_bit else chip.image
        bands = [band.name for band in reader.dataset.recipe.bands]
        _write(folder / names[0], image, reader.grid, chip.window, bands, None if style.eight_bit else np.nan)
        _write(folder / names[1], mask[None], reader.grid, chip.window, ["class"], nodata)
        written += names
        channel.progress("chips", number + 1, len(places))
    _check_complete(folder, written)
    if facts is not None:
        facts.write(folder)
    else:
        _write_facts(folder, reader.dataset, job, len(places))
    return len(places)


def _write(
    path: Path, values: np.ndarray, grid: Grid, window: Window, names: list[str], nodata: float | None
) -> None:
    """Write one file, read it back and compare pixel by pixel.

    Raises:
        GeoSegError: `chip_differs`, `disk_full`, `write_failed`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, rows, cols = values.shape
    profile: dict[str, Any] = {"count": bands, "height": rows, "width": cols, "dtype": values.dtype.name}
    if path.suffix == ".png":
        profile |= {"driver": "PNG"}
    else:
        profile |= {
            "driver": "GTiff",
            "crs": grid.crs,
            "transform": affine_of(grid, window),
            "nodata": nodata,
        }
        profile |= {"compress": "deflate", "interleave": "band"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.Env(GDAL_PAM_ENABLED="NO" if path.suffix == ".png" else "YES"):
                with rasterio.open(path, "w", **profile) as dataset:
                    dataset.write(values)
                    if path.suffix != ".png":
                        dataset.descriptions = tuple(names)
                with rasterio.open(path) as dataset:
                    again = dataset.read()
    except RasterioIOError as error:
        raise write_error(path, error) from error
    if again.dtype != values.dtype or not np.array_equal(again, values, equal_nan=values.dtype.kind == "f"):
        raise GeoSegError(
            "chip_differs",
            f"{path.name} does not read back as it was written.",
            "Check the disk, then export again.",
        )


def _check_complete(folder: Path, written: list[str]) -> None:
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there -= {
        beside(Path(name), ".aux.xml").as_posix() for name in written
    }  # of a CRS that GeoTIFF cannot hold
    if there != set(written):
        raise GeoSegError(
            "chip_differs",
            f"{len(written)} files were written, but {len(there)} exist.",
            "Check the disk, then export again.",
        )


def _write_facts(folder: Path, dataset: Dataset, job: ExportChipsJob, count: int) -> None:
    """chips.json of the layout `pairs`: the meaning of values and names."""
    facts = {
        "dataset": dataset.name,
        "chips": count,
        "tile_px": dataset.tile_px,
        "splits": list(job.splits),
        "bands": [band.name for band in dataset.recipe.bands],
        "classes": encode(dataset.classes),
        "ignore": IGNORE,
        "stem": "r<first row>_c<first column> in the grid",
        "grid": encode(dataset.recipe.grid),
    }
    write_json(folder / FACTS_FILE, facts)
