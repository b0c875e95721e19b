"""Run the demo's whole path through QGIS on real layers, and print a table for docs/real-data.md.

`python scripts/studies/real_cases.py DATA [CASE …] [--out build/real]` in the engine environment or, to try it out,
`--small` alone. DATA is a folder that holds the cases' folders; nothing in it is changed. Each case leaves what
`make demo` leaves, in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas
import rasterio
from shapely.geometry import box

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(Path(__file__).parent)]

from study import make_layers, studied, study_flags  # noqa: E402

from geoseg_engine.vector.geopackage import write_layer  # noqa: E402

DEMO = ROOT / "scripts" / "demo" / "demo.py"
PROGRAMS = ("qgis", "xvfb-run")


@dataclass(frozen=True)
class Case:
    """Layers of one case, in the data folder or by absolute paths. `area` makes an area layer in the output folder."""

    rasters: tuple[str, ...]
    labels: str
    field: str = ""
    area: str | Callable[[Path, Path], Path] = ""
    unlabelled: str = ""
    terrain_of: str = ""


def west_and_east(data: Path, folder: Path) -> Path:
    """Area polygons over the everest scene: the western 60 % trains, the eastern 25 % tests."""
    with rasterio.open(data / "everest_glacier/LE71400412000304SGS00_RGB.tif") as raster:
        left, bottom, right, top = raster.bounds
        crs = raster.crs
    width = right - left
    boxes = [box(left, bottom, left + 0.60 * width, top), box(right - 0.25 * width, bottom, right, top)]
    path = folder / "areas.gpkg"
    folder.mkdir(parents=True, exist_ok=True)
    areas = geopandas.GeoDataFrame({"split": ["train", "test"], "geometry": boxes}, crs=crs)
    write_layer(areas, path, "areas")
    return path


CASES = {
    "orthoseg_fields": Case(
        ("orthoseg_fields/BEFL-TEST-s2_2023-05-01_2023-07-01_B08-B04-B03_min_byte.tif",),
        "orthoseg_fields/fields_BEFL-s2-fields-2023_polygons.gpkg",
        "label_name",
        "orthoseg_fields/fields_BEFL-s2-fields-2023_locations.gpkg",
    ),
    "everest_glacier": Case(
        ("everest_glacier/LE71400412000304SGS00_RGB.tif", "everest_glacier/LE71400412000304SGS00_B4.tif"),
        "everest_glacier/15_rgi60_glacier_outlines.gpkg",
        area=west_and_east,
    ),
    "rstoolbox_landcover_dem": Case(
        ("rstoolbox_landcover_dem/lsat.tif", "rstoolbox_landcover_dem/srtm_lsat.tif"),
        "rstoolbox_landcover_dem/training_lsat.gpkg",
        "class",
        unlabelled="unknown",
    ),
    "opengeos_dem_buildings": Case(
        (
            "opengeos_dem_buildings/dsm.tif",
            "opengeos_dem_buildings/dtm.tif",
            "opengeos_dem_buildings/hag.tif",
        ),
        "opengeos_dem_buildings/buildings.geojson",
    ),
}


def made_case(folder: Path) -> Case:
    """The case of `--small`."""
    image, dem, labels = map(str, make_layers(folder))
    return Case((image, dem), labels, "class", unlabelled="background")


def run_case(name: str, case: Case, options: argparse.Namespace) -> dict[str, object]:
    """Run one case; returns its metrics.json."""
    data, folder = (options.data or Path()).resolve(), options.out.resolve() / name
    area = case.area(data, folder) if callable(case.area) else (data / case.area if case.area else None)
    command = [sys.executable, str(DEMO), "--out", str(folder), "--labels", str(data / case.labels)]
    command += ["--rasters", *(str(data / raster) for raster in case.rasters)]
    for flag, value in (("--field", case.field), ("--area", area), ("--unlabelled", case.unlabelled)):
        command += [flag, str(value)] if value else []
    command += ["--max-minutes", str(options.minutes), "--epochs", str(options.epochs)]
    subprocess.run(command, check=True)
    metrics: dict[str, object] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def row(name: str, metrics: dict) -> str:
    """One line of the table."""
    scores = ", ".join(
        f"{item['name']} {item['iou']:.3f}" for item in metrics["per_class"] if item["iou"] is not None
    )
    warnings = "; ".join(warning["code"] for warning in metrics["warnings"]) or "–"
    return (
        f"| {name} | {scores} | {metrics['miou']:.3f} | {metrics['accuracy']:.3f} "
        f"({metrics['largest_class_accuracy']:.3f}) | {metrics['train_minutes']:.1f} | {warnings} |"
    )


def main() -> None:
    """Run the cases named on the command line, or all."""
    flags = study_flags(__doc__)
    flags.add_argument("--out", type=Path, default=Path("build/real"))
    flags.add_argument("--minutes", type=float, default=3.0, help="time budget of one training")
    flags.add_argument(
        "--epochs", type=int, default=0, help="of one training at most; 0 leaves it to the budget"
    )
    with studied(flags, lambda data: CASES, made_case, minutes=1.0, epochs=1) as (options, known):
        missing = [program for program in PROGRAMS if not shutil.which(program)]
        if missing:
            said = f"not installed: {', '.join(missing)}; the panel cannot be worked without."
            print(said) if options.small else sys.exit(said)
            return
        rows = [row(name, run_case(name, known[name], options)) for name in options.cases or known]
        print(
            "| case | test IoU per class | mean IoU | accuracy (largest class) | training, min | warnings |"
        )
        print("|---|---|---|---|---|---|")
        print("\n".join(rows))


if __name__ == "__main__":
    main()
