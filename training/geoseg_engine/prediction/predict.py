"""The job `predict`: class raster, confidence and polygons of any layers that have the model's bands."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import (
    IGNORE,
    Grid,
    LabelClass,
    PolygonizeJob,
    PredictJob,
    Problem,
)
from ..maps.polygonize import is_background, polygonize
from ..modelfile.calibration import calibrated
from ..modelfile.reading import ModelFile, read_model
from ..raster.geodesy import window_areas_m2
from ..raster.grid import Window
from ..raster.stream import pump
from ..raster.writer import RasterWriter, rounded
from ..results import output_files, refuse_overwriting
from ..stacking.gridplan import raise_errors
from ..stacking.reader import StackReader
from ..stacking.recipes import absolute
from .inference import (
    BandReader,
    Block,
    Setup,
    beyond_warnings,
    class_confidence,
    class_ids,
    entropy,
    set_up,
)
from .matching import Match, match, predict_sentence


@dataclass(frozen=True)
class Part:
    """The result on one core; what is not asked for is None."""

    window: Window
    ids: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None
    entropy: NDArray[np.float32] | None
    probability: NDArray[np.float32] | None


class Tally:
    """Counts over all windows: pixels and ground area of each class, values beyond the training range."""

    def __init__(self, grid: Grid, classes: Sequence[LabelClass], bands: int) -> None:
        self._grid = grid
        self.classes = tuple(classes)
        self.pixels = np.zeros(IGNORE + 1, np.int64)
        self.areas_m2 = np.zeros(IGNORE + 1)
        self.beyond = np.zeros(bands, np.int64)
        self.seen = 0

    def add(self, part: Part) -> None:
        """Count the classes of a part."""
        window = part.window
        areas = window_areas_m2(self._grid, window.row, window.col, window.height, window.width)
        weights = np.broadcast_to(areas, part.ids.shape).ravel()
        self.pixels += np.bincount(part.ids.ravel(), minlength=IGNORE + 1)
        self.areas_m2 += np.bincount(part.ids.ravel(), weights=weights, minlength=IGNORE + 1)

    def note(self, block: Block) -> None:
        """Count values beyond the training range."""
        self.beyond += block.beyond
        self.seen += block.seen


def run(job: PredictJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Predict; leave the rasters and polygons whose paths are not empty.

    Raises:
        GeoSegError: `not_our_model`, `missing_bands`, `no_overlap`, `not_exact`, `out_of_memory`, …
        Cancelled: if the user stops; nothing is left under a final name then.
    """
    sources = tuple(absolute(source) for source in job.sources)
    model = read_model(folder / job.model, job.foreign_bands, sources)
    found = match(model, sources, job.extent, job.extent_crs)
    if job.dry_run:
        return described(model, found)
    raise_errors(found.problems)
    recipe = found.recipe
    assert recipe is not None
    refuse_overwriting(list(output_files(job)), [source.path for source in recipe.sources], folder)
    for problem in found.problems:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    channel.log(predict_sentence(model, recipe) + ".")
    with StackReader(recipe) as stack, ExitStack() as kept:
        if job.polygons and not job.confidence:
            scratch = kept.enter_context(tempfile.TemporaryDirectory(prefix=".predict-", dir=folder))
            working = replace(job, confidence=str(Path(scratch) / "confidence.tif"))
        else:
            working = job
        result = predict_stack(working, model, stack, folder, channel)
        if working.polygons:
            result["polygons"] = make_polygons(working, model, folder, channel)
    result["confidence"] = _full(folder, job.confidence)
    for kind in ("output", "confidence", "entropy", "probability"):
        if result[kind]:
            channel.artifact("classes" if kind == "output" else kind, result[kind])
    result["warnings"] = [*found.problems, *model.warnings, *result["warnings"]]
    return {**described(model, found), **result, "problems": []}


def described(model: ModelFile, found: Match) -> dict[str, Any]:
    """What a dry run returns."""
    return {
        "problems": found.problems,
        "matched": found.matched,
        "grid": found.recipe.grid if found.recipe else None,
        "sentence": predict_sentence(model, found.recipe) if found.recipe else "",
        "classes": model.classes,
    }


def predict_stack(
    job: PredictJob, model: ModelFile, stack: StackReader, folder: Path, channel: Channel
) -> dict[str, Any]:
    """Predict every window of a stack into the files that the job names."""
    wants = [bool(job.confidence), bool(job.entropy), bool(job.probability)]
    bytes_px = 1 + 4 * wants[0] + 4 * wants[1] + 4 * len(model.classes) * wants[2]
    setup = set_up(model, stack, job.device, job.runtime, job.core_px, bytes_px, channel.log)
    tally = Tally(stack.grid, model.classes, len(model.recipe.bands))
    started = time.monotonic()
    with ExitStack() as files:
        writers = open_writers(job, model, stack.grid, folder, setup, files)
        flow(job, setup, BandReader(stack, model), writers, tally, channel)
        channel.send("progress", phase="finishing the files", done=0, total=1, rate="")
    seconds = time.monotonic() - started
    return {
        **{
            key: _full(folder, getattr(job, key))
            for key in ("output", "confidence", "entropy", "probability")
        },
        "polygons": "",
        "grid": stack.grid,
        "classes": model.classes,
        "areas_m2": {str(item.id): round(float(tally.areas_m2[item.id]), 2) for item in model.classes},
        "counts": {str(item.id): int(tally.pixels[item.id]) for item in model.classes},
        "nodata_px": int(tally.pixels[IGNORE]),
        "runtime": setup.runtime.title,
        "precision": setup.runtime.precision,
        "device": setup.runtime.device,
        "agreement": setup.choice.agreement,
        "core_px": setup.core_px,
        "mpx_per_s": round(stack.grid.width * stack.grid.height / 1e6 / max(seconds, 1e-9), 3),
        "seconds": round(seconds, 2),
        "warnings": result_warnings(tally, stack.band_names),
    }


def open_writers(
    job: PredictJob, model: ModelFile, grid: Grid, folder: Path, setup: Setup, files: ExitStack
) -> dict[str, RasterWriter]:
    """Writers of the files that the job names; they end with the ExitStack."""
    tags = {"GEOSEG_MODEL": model.path.name, "GEOSEG_RUNTIME": setup.runtime.title}
    names = [item.name for item in model.classes]
    found = {"ids": RasterWriter(folder / job.output, grid, "uint8", IGNORE, ["class"], model.classes, tags)}
    for key, path, bands in (
        ("confidence", job.confidence, ["confidence"]),
        ("entropy", job.entropy, ["entropy"]),
        ("probability", job.probability, names),
    ):
        if path:
            found[key] = RasterWriter(folder / path, grid, "float32", float("nan"), bands, tags=tags)
    return {key: files.enter_context(writer) for key, writer in found.items()}


def flow(
    job: PredictJob,
    setup: Setup,
    reader: BandReader,
    writers: dict[str, RasterWriter],
    tally: Tally,
    channel: Channel,
) -> None:
    """Read, predict and write all windows, with progress and the cancel point between two of them."""
    total = setup.frame.height * setup.frame.width
    done, started = 0, time.monotonic()
    channel.progress("predict", 0, total)

    def compute(block: Block) -> Part:
        nonlocal done
        part = predict_block(setup, block, len(tally.classes), set(writers), channel)
        tally.note(block)
        done += part.ids.size
        rate = done / 1e6 / max(time.monotonic() - started, 1e-9)
        channel.progress("predict", done, total, f"{rate:.2f} Mpx/s")
        return part

    def write(part: Part) -> None:
        for key, writer in writers.items():
            writer.write(getattr(part, key), part.window)
        tally.add(part)

    pump(setup.cuts(), reader.read, compute, write)


def predict_block(setup: Setup, block: Block, classes: int, wanted: set[str], channel: Channel) -> Part:
    """The wanted results on a block's core; without any value there, the network is not asked."""
    missing = ~block.valid
    if not block.valid.any():
        shape = block.valid.shape
        none = np.full(shape, np.nan, np.float32)
        stack = np.broadcast_to(none, (classes, *shape))
        return Part(block.cut.core, np.full(shape, IGNORE, np.uint8), none, none, stack)
    output = setup.output(block, channel.log)
    shares = calibrated(output, setup.calibration)

    def masked(values: NDArray[Any]) -> NDArray[np.float32]:
        result = rounded(values)
        result[..., missing] = np.nan
        return result

    return Part(
        block.cut.core,
        class_ids(output, block.valid),
        masked(class_confidence(shares, output)) if "confidence" in wanted else None,
        masked(entropy(shares)) if "entropy" in wanted else None,
        masked(shares) if "probability" in wanted else None,
    )


def result_warnings(tally: Tally, band_names: Sequence[str]) -> list[Problem]:
    """What is odd about a finished prediction."""
    found = list(beyond_warnings(band_names, tally.beyond, tally.seen))
    counts = tally.pixels[: len(tally.classes)]
    if not counts.sum():
        found.append(
            Problem(
                "all_nodata",
                "No pixel has a value in every band of the model: the result is empty.",
                "Check the nodata values and where the layers overlap.",
                "warning",
            )
        )
    elif (counts > 0).sum() == 1:
        name = tally.classes[int(counts.argmax())].name
        found.append(
            Problem(
                "one_class_predicted",
                f"Every pixel was given the class '{name}'.",
                "Is this ground like that of the training data? Look at the confidence.",
                "warning",
            )
        )
    return found


def make_polygons(job: PredictJob, model: ModelFile, folder: Path, channel: Channel) -> str:
    """Polygons of the finished class raster; returns the path of the GeoPackage."""
    polygons = PolygonizeJob(
        classes=job.output,
        confidence=job.confidence,
        skip_background=is_background(model.classes),
        min_area_px=job.min_area_px,
        output=job.polygons,
    )
    polygonize(polygons, folder, channel)
    return _full(folder, job.polygons)


def _full(folder: Path, path: str) -> str:
    return str(folder / path) if path else ""
