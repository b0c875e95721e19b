"""Prepare every real case, from files to tiles, and write what was made of each to docs/real-data.md.

Run with the engine's Python: `python scripts/studies/prepare_cases.py DATA [CASE …] [--docs FILE]` or, to try it
out, `--small` alone. Nothing is trained. The awkward rasters are opened one by one, and stacked or refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
from preparation_cases import Case, cases, made_case  # noqa: E402
from study import studied, study_flags, write_section  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import (  # noqa: E402
    IGNORE,
    SPLITS,
    Area,
    Band,
    CheckJob,
    GeoSegError,
    GridRequest,
    RasterizeJob,
    Source,
    StackJob,
    TileJob,
)
from geoseg_engine.raster.grid import full_window  # noqa: E402
from geoseg_engine.raster.sources import all_bands  # noqa: E402
from geoseg_engine.run import guarding_errors, work  # noqa: E402
from geoseg_engine.stacking.reader import open_stack  # noqa: E402

MARKS = ("<!-- preparation: written by scripts/studies/prepare_cases.py -->", "<!-- end of preparation -->")
NO_DATA_FILES = (
    ".txt",
    ".md",
    ".xml",
    ".shp",
    ".shx",
    ".dbf",
    ".prj",
    ".cpg",
    ".gpkg",
    ".geojson",
    ".csv",
    ".msk",
    "",
)
"""Endings of what lies among the awkward rasters and is none."""


@dataclasses.dataclass
class Prepared:
    """What was made of a case; `failed` says in which job and why it ended."""

    case: Case
    results: dict[str, dict[str, Any]]
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    agreement: str = ""
    failed: str = ""


def prepared(case: Case, folder: Path) -> Prepared:
    """Stack, rasterize, tile and check a case in a folder; never raises."""
    done = Prepared(case, {})
    channel = Channel(folder)
    area = dataclasses.replace(case.area, split_field="")
    jobs = {
        "stack": StackJob(
            case.sources, case.bands, case.grid, area, case.labels, intermediates=case.intermediates
        ),
        "rasterize": RasterizeJob("stack.tif", case.labels, area),
        "tile": TileJob(
            "stack.tif", "labels.tif", case.tile_px, area=case.area if case.split_by_area else Area()
        ),
        "check": CheckJob(
            case.sources,
            case.labels,
            case.bands,
            area,
            case.grid,
            case.tile_px,
            findings="findings.gpkg",
            intermediates=case.intermediates,
        ),
    }
    for kind, job in jobs.items():
        started = time.perf_counter()
        try:
            with guarding_errors():
                done.results[kind] = work(job, folder, channel)
            done.seconds[kind] = time.perf_counter() - started
        except GeoSegError as error:
            details = f" {error.details}" if error.code == "internal" else ""
            done.failed = f"{kind}: {error.code}: {error.message}{details}"
            break
    if case.reference and "rasterize" in done.results:
        done.agreement = agreement(case, folder, done.results["rasterize"])
    return done


def agreement(case: Case, folder: Path, result: dict[str, Any]) -> str:
    """Share of the reference's pixels in which our labels say the same; what is ignored by one is no class there."""
    with rasterio.open(folder / "labels.tif") as ours, rasterio.open(case.reference) as theirs:
        ids = ours.read(1)
        window = theirs.window(*ours.bounds).round_offsets().round_lengths()
        values = theirs.read(1, window=window, boundless=True, fill_value=0)
    if ids.shape != values.shape:
        return f"grids differ: {ids.shape} and {values.shape}"
    if all(not item["value"] for item in result["classes"]):  # one class and background
        values = (values > 0).astype(np.int64)
    mine = np.zeros(ids.shape, np.int64)
    for item in result["classes"]:
        try:
            mine[ids == item["id"]] = int(item["value"]) if item["value"] else int(item["id"])
        except ValueError:
            return f"class '{item['value']}' is no number"
    mine[ids == IGNORE] = 0
    same = int((mine == values).sum())
    return f"{same / ids.size:.4%} of {ids.size} px" if same < ids.size else f"all {ids.size} px"


def awkward(path: Path, folder: Path) -> dict[str, Any]:
    """Stack a raster in its own grid, or in degrees if it has none of its own.

    Returns:
        `refused` with the code, or `bands`, `size`, `valid` (share), `mean` of the first band, `warnings` (codes).
    """
    channel = Channel(folder)
    try:
        with guarding_errors():
            sources = [{"key": "r1", "path": str(path), "name": path.stem}]
            bands = tuple(Band(**item) for item in all_bands(sources))
            job = StackJob((Source("r1", str(path), path.stem),), bands[:4], GridRequest())
            result = work(job, folder, channel)
            with open_stack(folder / "stack.tif") as reader:
                first = reader.read(full_window(reader.grid))[0]
    except GeoSegError as error:
        if error.code == "internal":
            print(error.details)
        return {"refused": error.code, "message": error.message}
    valid = np.isfinite(first)
    return {
        "bands": len(bands),
        "size": f"{reader.grid.width} × {reader.grid.height}",
        "valid": round(float(valid.mean()), 4),
        "mean": float(f"{np.mean(first[valid], dtype=np.float64):.5g}") if valid.any() else None,
        "warnings": sorted({item["code"] for item in result.get("warnings", result.get("problems", ()))}),
    }


def awkward_files(data: Path) -> list[Path]:
    """The rasters among the awkward files, by name."""
    found = (data / "awkward_rasters").glob("*/*")
    return sorted(path for path in found if path.suffix not in NO_DATA_FILES)


def case_row(done: Prepared) -> str:
    """One row of the table of cases."""
    if done.failed:
        return f"| {done.case.name} | {done.case.what} | **{done.failed}** | | | | | {sum(done.seconds.values()):.1f} |"
    stack, burnt, tiled = (done.results[key] for key in ("stack", "rasterize", "tile"))
    names = {str(item["id"]): item["name"] for item in burnt["classes"]}
    classes = ", ".join(f"{names[key]} {count:,}" for key, count in burnt["counts"].items() if key in names)
    split = " / ".join(f"{sum(tiled['counts'].get(name, {}).values()):,}" for name in SPLITS)
    distance = tiled.get("split_distance_px") or 0
    split += f" (blocks of {tiled['block_px']} px)" if tiled.get("block_px") else ""
    split += f", {distance:.0f} px apart" if distance else ""
    findings = sorted({item["code"] for item in done.results["check"]["problems"]})
    grid = stack["grid"]
    crs = grid["crs"] if len(grid["crs"]) < 12 else "own"
    size = f"{grid['width']} × {grid['height']}, {abs(grid['transform'][0]):.4g}, {crs}"
    cells = (
        done.case.name,
        done.case.what,
        size,
        str(len(done.case.bands)),
        classes + (f" (reference: {done.agreement})" if done.agreement else ""),
        split,
        ", ".join(findings) or "–",
        f"{sum(done.seconds.values()):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def awkward_row(name: str, facts: dict[str, Any]) -> str:
    """One row of the table of awkward rasters."""
    if "refused" in facts:
        return f"| {name} | refused: `{facts['refused']}` | | | |"
    notes = ", ".join(facts["warnings"]) or "–"
    return (
        f"| {name} | {facts['bands']} | {facts['size']} | {facts['valid']:.1%}, {facts['mean']} | {notes} |"
    )


def text_of(rows: list[str], odd: list[str]) -> str:
    """The section for the document."""
    return "\n".join(
        [
            "| case | bands of | grid (pixels, pixel size, CRS) | bands | labelled pixels | train / validation / test "
            "pixels | findings of `checklabels` | s |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Awkward rasters, each stacked alone (first four bands) on its own grid, or refused with a reason:",
            "",
            "| file | bands | grid | valid share and mean of the first band | notes |",
            "|---|---|---|---|---|",
            *odd,
        ]
    )


def main() -> int:
    """Prepare what is asked for; the exit code is 1 if a case failed."""
    flags = study_flags(__doc__)
    flags.add_argument("--docs", type=Path, help="document to write the tables into")
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    rows, odd, failed = [], [], 0
    with studied(flags, by_name, made_case) as (options, known):
        for name in options.cases or known:
            with tempfile.TemporaryDirectory() as folder:
                done = prepared(known[name], Path(folder))
            failed += bool(done.failed)
            rows.append(case_row(done))
            print(rows[-1], flush=True)
        for path in rasters_alone(options, known):
            with tempfile.TemporaryDirectory() as folder:
                facts = awkward(path, Path(folder))
            odd.append(awkward_row(f"{path.parent.name}/{path.name}", facts))
            print(odd[-1], flush=True)
        if options.docs:
            write_section(options.docs, [text_of(rows, odd)], MARKS)
    return 1 if failed else 0


def by_name(data: Path) -> dict[str, Case]:
    """Every case by name."""
    return {case.name: case for case in cases(data)}


def rasters_alone(options: argparse.Namespace, known: Mapping[str, Case]) -> list[Path]:
    """The rasters to open one by one: the awkward ones unless cases are named, with `--small` those of the case."""
    if options.small:
        return [Path(item.path) for case in known.values() for item in case.sources]
    return [] if options.cases else awkward_files(options.data.resolve())


if __name__ == "__main__":
    sys.exit(main())
