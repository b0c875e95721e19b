"""What the studies share: flags, the cases chosen, tables in documents, and a made case in place of the real ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(ROOT / "scripts" / "bench"), str(ROOT / "tests" / "engine")]

import geopandas  # noqa: E402
import numpy as np  # noqa: E402
import rasterio  # noqa: E402
from measuring import add_small  # noqa: E402
from rasterio.features import shapes  # noqa: E402
from rasterio.transform import Affine  # noqa: E402
from scipy import ndimage  # noqa: E402
from shapely.geometry import shape  # noqa: E402
from training_scenes import blobs  # noqa: E402

from geoseg_engine.vector.geopackage import write_layer  # noqa: E402

Found = TypeVar("Found")
MADE = "made"
"""Name of the made case."""
ROWS, COLS = 96, 128
CRS, TRANSFORM = "EPSG:32631", Affine(10, 0, 500_000, 0, -10, 5_000_000)


def study_flags(about: str | None) -> argparse.ArgumentParser:
    """The flags of a study: where the real cases are, which of them, and `--small`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder that holds the folders of the real cases")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="left out: all of the study")
    add_small(parser)
    return parser


@contextmanager
def studied(
    parser: argparse.ArgumentParser,
    real: Callable[[Path], Mapping[str, Found]],
    made: Callable[[Path], Found],
    **small: object,
) -> Iterator[tuple[argparse.Namespace, Mapping[str, Found]]]:
    """The options of a study and the cases that it knows; with `--small` the made one, and a folder for its results.

    Ends the script where the command line names no data, or a case that is not known.

    Args:
        parser: of `study_flags`, with flags of the study's own.
        real: finds the cases below the folder of the data.
        made: makes the case named MADE in a folder.
        small: options in place of those given, with `--small`.
    """
    options = parser.parse_args()
    if not options.small:
        if options.data is None:
            parser.error("name the folder of the real cases, or give --small")
        if not options.data.is_dir():
            parser.error(f"no folder {options.data}; see docs/real-data.md, or give --small")
        known = real(options.data.resolve())
        unknown = ", ".join(sorted(set(options.cases) - set(known)))
        if unknown:
            parser.error(f"no case {unknown}; choose of {', '.join(known)}")
        yield options, known
        return
    if options.data or getattr(options, "docs", None):
        parser.error("--small makes its own case and writes no document: give neither DATA nor --docs")
    with TemporaryDirectory(prefix="geoseg-study-") as folder:
        print(f"Tried out on a made case of {COLS} x {ROWS} pixels: the figures mean nothing.", flush=True)
        values = {"cases": [MADE], "out": Path(folder) / "out", **small}
        yield argparse.Namespace(**{**vars(options), **values}), {MADE: made(Path(folder) / "data")}


def write_section(document: Path, tables: list[str], marks: tuple[str, str]) -> None:
    """Put tables between the marks of a document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(marks[0])
    _, _, after = rest.partition(marks[1])
    text = "\n\n".join(tables)
    document.write_text(f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{after}", encoding="utf-8")


def make_layers(folder: Path) -> tuple[Path, Path, Path]:
    """Write image.tif (3 bands), dem.tif and labels.gpkg, polygons of the field `class`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    image, labels, _ = blobs(ROWS, COLS)
    relief = np.random.default_rng(1).normal(0, 300, (ROWS, COLS))
    heights = 800 + ndimage.gaussian_filter(relief, 4) + 3 * labels
    for name, bands in (("image", image), ("dem", heights[None].astype(np.float32))):
        profile: dict[str, Any] = {"driver": "GTiff", "crs": CRS, "transform": TRANSFORM}
        profile |= {"width": COLS, "height": ROWS, "count": len(bands), "dtype": "float32"}
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as raster:
            raster.write(bands)
    outlines = [shape(item) for item, _ in shapes(labels, labels == 1, transform=TRANSFORM)]
    frame = geopandas.GeoDataFrame({"class": ["scar"] * len(outlines)}, geometry=outlines, crs=CRS)
    write_layer(frame, folder / "labels.gpkg", "labels")
    return folder / "image.tif", folder / "dem.tif", folder / "labels.gpkg"
