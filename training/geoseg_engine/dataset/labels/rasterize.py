"""The job `rasterize`: labels, drawn or as a raster of classes, as class ids on the grid of a stack.

A pixel takes the class of the polygon that holds its centre, lines and points being areas too (`vector.buffers`);
where polygons of two classes overlap, the class later in the legend wins. A pixel is IGNORE outside the area, without
value in some band, under a polygon of unknown or excluded class, in the band along borders, in a patch below the
minimum area, or, with `unlabelled="unknown"`, under no polygon. So is a nodata pixel of a class raster that has a class
background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ...channel import Channel
from ...contract import (
    IGNORE,
    Area,
    Band,
    GeoSegError,
    Grid,
    LabelClass,
    Labels,
    Problem,
    RasterizeJob,
    Source,
    check_order,
    counted,
    encode,
    present,
    read_json,
    write_json,
)
from ...raster.grid import Window, full_window, window_px, windows
from ...raster.nodata import no_values
from ...raster.resample import mapping
from ...raster.sources import open_source, source_grid
from ...raster.stream import pump
from ...raster.writer import RasterWriter
from ...stacking.reader import StackReader, open_stack
from ...stacking.recipe_plan import smallest_source_px
from ...stacking.recipes import SUFFIX, recipe_path
from ...stacking.stack_plan import on_grid
from ...vector.area import area_geometry, area_title
from ...vector.polygons import LabelPolygons, read_labels
from .burning import Burner, Claims, Tally
from .kept_burn import (
    Shapes,
    halo_px,
    keep,
    kept_pixels,
    read_kept,
    same_windows,
    settings_key,
    shapes_of,
    summed,
)
from .problems import hull_only, label_problems

BURN_PX = 1024
STRIP_COLS = 32_768


def fill_id(labels: Labels, polygons: LabelPolygons) -> int:
    """Return the id of unlabelled pixels inside the area.

    In a class raster that has a value for background, a nodata pixel is not known to be background.

    Args:
        labels: settings of the job.
        polygons: the labels that were read.
    """
    if labels.unlabelled != "background":
        return IGNORE
    return IGNORE if polygons.raster is not None and 0 in polygons.ids else 0


def run(job: RasterizeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Burn the labels; writes the raster and `<stem>.classes.json` beside it.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress and the artifact `labels`.

    Raises:
        GeoSegError: `labels_outside`; as `read_labels`, `area_geometry`, `open_stack`.
    """
    output = folder / job.output
    with open_stack(folder / job.stack) as reader:
        polygons = read_labels(job.labels, reader.grid, job.area)
        labels = present(polygons.labels, "the settings of labels")
        on_grid(polygons, reader.grid)
        area, of_area = area_geometry(job.area, polygons.geometries, reader.grid)
        burner = Burner(reader.grid, polygons, area, fill_id(labels, polygons))
        _burn_all(job, burner, reader, folder / job.stack, output, polygons, area, channel)
        warnings = [
            *polygons.problems,
            *of_area,
            *label_problems(labels, job.area, polygons, reader.grid, burner.tally, reader.band_names),
            *hull_only(
                labels, job.area, burner.tally, smallest_source_px(reader.recipe.sources, reader.grid)
            ),
        ]
    sidecar = LabelFacts(
        name=output.stem,
        classes=polygons.classes,
        unlabelled=labels.unlabelled,
        area=job.area,
        counts={str(class_id): count for class_id, count in burner.tally.pixels.items()},
        warnings=tuple(warnings),
    )
    write_json(facts_path(output), sidecar)
    channel.artifact("labels", output)
    return _result(output, polygons, burner.tally, warnings, area_title(job.area, job.labels))


def _burn_all(
    job: RasterizeJob,
    burner: Burner,
    reader: StackReader,
    stack: Path,
    output: Path,
    polygons: LabelPolygons,
    area: Any,
    channel: Channel,
) -> None:
    """Burn window by window while the next one's values are read and the last one's classes are written.

    With `update`, windows that no changed polygon comes near are copied from the raster of the last time.
    """
    valued = not always_valid(reader, stack)
    side = min(BURN_PX, window_px(len(reader.band_names)))
    parts = list(windows(burner.grid, side) if valued else strips(burner.grid, BURN_PX))

    key, shapes, kept, same = "", Shapes(), None, [False] * len(parts)
    classes, tallies = list(burner.tally.pixels), list[Tally]()
    if job.update and polygons.raster is None:
        key = settings_key(job.labels, polygons, area, reader.recipe, stack, side)
        shapes, kept = shapes_of(polygons), read_kept(output, key, len(parts))
        if kept is not None:
            same = same_windows(kept, shapes, parts, burner.grid, halo_px(job.labels))
            channel.log(
                f"{counted(len(parts) - sum(same), 'window')} of {len(parts)} burnt; the others are kept."
            )

    def read(place: int) -> tuple[int, np.ndarray | None, Claims | None]:
        if same[place]:
            return place, None, None
        return place, reader.read(parts[place]) if valued else None, burner.claims(parts[place])

    def burn(part: tuple[int, np.ndarray | None, Claims | None]) -> tuple[np.ndarray, Window]:
        place, values, claims = part
        if kept is not None and same[place]:
            tallies.append(kept.tallies[place])
            return kept_pixels(output, parts[place]), parts[place]
        burner.tally = Tally({class_id: 0 for class_id in classes})
        ids = burner.burn(parts[place], values, claims)
        tallies.append(burner.tally)
        return ids, parts[place]

    with RasterWriter(output, burner.grid, "uint8", IGNORE, ("class",), polygons.classes) as writer:
        done = count(1)

        def write(part: tuple[np.ndarray, Window]) -> None:
            writer.write(*part)
            channel.progress("rasterize", next(done), len(parts))

        pump(range(len(parts)), read, burn, write)
    burner.tally = summed(tallies, classes)
    if key:
        keep(output, key, shapes, tallies)


def strips(grid: Grid, rows: int) -> Iterator[Window]:
    """Yield windows that cover every pixel once, row by row.

    Args:
        grid: to cover.
        rows: height of a window; its width is at most STRIP_COLS.
    """
    for row in range(0, grid.height, rows):
        for col in range(0, grid.width, STRIP_COLS):
            yield Window(row, col, min(rows, grid.height - row), min(STRIP_COLS, grid.width - col))


def _result(
    output: Path, polygons: LabelPolygons, tally: Tally, warnings: list[Problem], area: str
) -> dict[str, Any]:
    return {
        "output": str(output),
        "classes": encode(polygons.classes),
        "counts": {str(class_id): count for class_id, count in tally.pixels.items()},
        "ignored_px": tally.ignored_px,
        "overlap_px": tally.overlap_px,
        "excluded_px": tally.excluded_px,
        "border_px": tally.border_px,
        "small_px": tally.small_px,
        "repaired": polygons.repaired,
        "skipped": polygons.skipped,
        "area": area,
        "warnings": encode(warnings),
    }


@dataclass(frozen=True)
class LabelFacts:
    """`<labels>.classes.json`: facts that a label raster cannot hold itself."""

    name: str
    classes: tuple[LabelClass, ...]
    unlabelled: str = "background"
    area: Area = Area()
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def facts_path(labels: Path) -> Path:
    """Return the file of a label raster's facts: `a/labels.tif` -> `a/labels.classes.json`."""
    return labels.with_name(labels.stem + ".classes.json")


def read_facts(labels: Path) -> LabelFacts:
    """Read the facts of a label raster.

    Raises:
        GeoSegError: `file_missing`, `not_our_labels`, `bad_classes`; as `read_json`.
    """
    if not labels.exists():
        raise GeoSegError(
            "file_missing", f"The label raster {labels} does not exist.", "Rasterize the labels again."
        )
    if labels.suffix.lower() not in (".tif", ".tiff"):
        raise GeoSegError(
            "not_our_labels",
            f"{labels.name} is not a label raster.",
            "Rasterize the polygons first: run geoseg rasterize, or Rasterize labels in QGIS.",
        )
    path = facts_path(labels)
    if not path.exists():
        raise GeoSegError(
            "not_our_labels",
            f"{labels.name} has no {path.name} beside it, so its classes are unknown.",
            "Make the label raster with GeoSeg (Rasterize labels).",
        )
    facts = read_json(LabelFacts, path)
    check_order(facts.classes, path.name)
    return facts


def always_valid(reader: StackReader, stack: Path) -> bool:
    """Return whether every pixel of a stack is certain to have a value, so that none needs to be read to know.

    A written composite is never certain, because it holds NaN where there is no value.

    Args:
        reader: the open stack.
        stack: its file.
    """
    composite = stack.with_suffix("").with_suffix(".tif") if stack.name.endswith(SUFFIX) else stack
    if composite.exists() and recipe_path(stack).exists():
        return False
    recipe = reader.recipe
    bands = (*recipe.bands, *recipe.intermediates)
    if any(band.derive for band in bands):
        return False
    used = [source for source in recipe.sources if any(band.source == source.key for band in bands)]
    return all(_complete(source, bands, recipe.grid) for source in used)


def _complete(source: Source, bands: tuple[Band, ...], grid: Grid) -> bool:
    """Whether a source is one raster of whole numbers without nodata or mask that holds all pixels of the grid."""
    if source.kind != "raster" or source.paths or source.nodata is not None:
        return False
    with open_source(source) as dataset:
        indexes = {band.index for band in bands if band.source == source.key}
        for index in indexes:
            whole_numbers = np.dtype(dataset.dtypes[index - 1]).kind in "iu"
            if not whole_numbers or not no_values(dataset)[index - 1].complete:
                return False
        own = source_grid(source, dataset)
        shift = mapping(grid, own).shift
    if shift is None:
        return False
    window = full_window(grid)
    return (
        shift[0] >= 0
        and shift[1] >= 0
        and shift[0] + window.height <= own.height
        and shift[1] + window.width <= own.width
    )
