"""The job `predict`: class raster, what is known of each pixel, and polygons, of any layers with the model's bands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from ..channel import Channel
from ..contract import (
    GeoSegError,
    Grid,
    PolygonizeJob,
    PredictJob,
    Problem,
    Recipe,
    encode,
    present,
    shard_of,
)
from ..contract.checks import area_problems
from ..modelfile.reading import ModelFile, read_model
from ..output_checks import check_overwriting, output_files
from ..outputs import prepare_folder, require_room
from ..postprocess.cleaning.clean import clean
from ..postprocess.polygons.polygonize import outline_bytes, polygonize
from ..raster.grid import Window, grid_bounds, subgrid, whole
from ..raster.stream import pump
from ..raster.writer import OVERVIEWS, PACKED_SHARE
from ..stacking.filecheck import file_problems
from ..stacking.gridplan import raise_errors
from ..stacking.reader import StackReader
from ..stacking.recipes import absolute
from ..vector.area import area_geometry
from ..vector.scanfill import ScanFill
from .inference import Answers, BandReader, Block, Setup, beyond_warnings, set_up, windows_warning
from .matching import Match, placed, predict_sentence
from .parts import (
    Gathering,
    Parts,
    assembling,
    held_bytes,
    keep_only_result,
    kept_result,
    parts_folder,
    prepare_parts,
    remove_parts,
)
from .result_files import Assembly, Tally, chunks
from .result_layers import BEYOND, CLASSES, Layer, Piece, band_count, layers_of, predict_block
from .run_plan import Plan, agreed, needed, plan_key, taking_up, unit_px_for, units
from .runtimes.averaging import looks

FILES = (CLASSES, "confidence", "entropy", "probability", "margin", "disagreement", BEYOND)
"""Fields of the job and keys of the result that name a raster."""
RESULTS = (*FILES, "polygons")


@dataclass(frozen=True)
class Work:
    """A prediction that is set up: what is kept in which parts.

    `window` is the part of the recipe's grid that is mapped; around it the network sees what is there. Nothing is
    predicted outside `area`.
    """

    job: PredictJob
    folder: Path
    model: ModelFile
    recipe: Recipe
    window: Window
    area: ScanFill | None
    layers: tuple[Layer, ...]
    parts: Parts


def run(job: PredictJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Predict; leave the rasters and polygons whose paths are not empty.

    Finished parts are kept beside the output until the files are whole: the same job goes on with them. Of a job that
    is one of several shards, the last to end makes the files.

    Raises:
        GeoSegError: `not_our_model`, `missing_bands`, `no_overlap`, `out_of_memory`, `area_outside`, `disk_full`, …
        Cancelled: if the user stops; a file is whole under its final name or not there, and finished parts are kept.
    """
    sources = tuple(absolute(source) for source in job.sources)
    model = read_model(folder / job.model, job.foreign_bands, sources)
    found, recipe, window = placed(model, sources, job.extent, job.extent_crs)
    found.problems += area_problems(job.area, None) if job.area is not None else []
    found.problems += file_problems(found.recipe) if found.recipe is not None else []
    if job.dry_run:
        return described(job, model, found)
    raise_errors(found.problems)
    recipe, window = present(recipe, "the recipe of a prediction"), present(window, "its window")
    read = [path for source in recipe.sources for path in (source.path, *source.paths)]
    check_overwriting(list(output_files(job)), read, folder)
    for problem in found.problems:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    channel.log(predict_sentence(model, present(found.recipe, "the recipe of the window")) + ".")
    result = predict_recipe(job, model, recipe, window, folder, channel)
    for kind in FILES:
        if result[kind]:
            channel.artifact("classes" if kind == CLASSES else kind, result[kind])
    of_training = [replace(item, message=f"Of the training: {item.message}") for item in model.warnings]
    result["warnings"] = [*found.problems, *result["warnings"], *of_training]
    return {**described(job, model, found), **result, "problems": []}


def described(job: PredictJob, model: ModelFile, found: Match) -> dict[str, Any]:
    """What a dry run returns; `looks` is how often the model looks at each pixel."""
    return {
        "problems": found.problems,
        "matched": found.matched,
        "grid": found.recipe.grid if found.recipe else None,
        "sentence": predict_sentence(model, found.recipe) if found.recipe else "",
        "classes": model.classes,
        "looks": looks(model, job.tta, job.dropout_passes, found.recipe.grid if found.recipe else None),
    }


def predict_recipe(
    job: PredictJob, model: ModelFile, recipe: Recipe, window: Window, folder: Path, channel: Channel
) -> dict[str, Any]:
    """Predict what this run has to do of a window of a recipe's grid; make the files if all parts are there then."""
    shard = shard_of(job.shard)
    beside = parts_folder(folder / job.output)
    layers = layers_of(job, model.classes)
    key = plan_key(job, model, recipe, window, layers, folder)
    area = area_of(job, recipe.grid, window, channel)
    prepare_folder((folder / job.output).parent)
    room = {beside: expected_bytes(job, window, layers) - held_bytes(beside)}
    require_room(room | files_bytes(job, folder, window, layers))
    plan = prepare_parts(beside, key, job.resume or shard is not None)
    if plan is not None and (done := kept_result(beside, unsharded(job), RESULTS)):
        channel.log("All shards of this prediction have been done.")
        return {**done, **_shard(job, len(needed(units(recipe.grid, plan.unit_px), window)), True)}
    started = time.monotonic()
    with StackReader(recipe) as stack:
        setup, plan = planned(job, model, stack, layers, plan, key, beside, channel)
        parts = Parts(beside, recipe.grid, window, plan, layers, len(model.recipe.bands))
        work = Work(job, folder, model, recipe, window, area, layers, parts)
        mine = parts.needed if shard is None else parts.needed[shard[0] - 1 :: shard[1]]
        todo = sorted(set(mine) - parts.present())
        resumed = len(mine) - len(todo)
        if resumed:
            channel.log(f"{resumed} of {len(mine)} parts are there from before; {len(todo)} are left to do.")
        reader = BandReader(stack, model, area, bool(job.beyond))
        pixels = flow(work, setup, reader, todo, channel)
    seconds = time.monotonic() - started
    facts = {
        "runtime": setup.runtime.title,
        "precision": setup.runtime.precision,
        "device": setup.runtime.device,
        "agreement": setup.choice.agreement,
        "int8_loss": setup.choice.int8_loss,
        "largest_difference": plan.difference,
        "views": setup.views,
        "core_px": setup.core_px,
        "mpx_per_s": round(pixels / 1e6 / max(seconds, 1e-9), 3),
        "seconds": round(seconds, 2),
        "resumed_parts": resumed,
    }
    del setup, reader  # making the files needs memory too
    return finished(work, facts, channel)


def planned(
    job: PredictJob,
    model: ModelFile,
    stack: StackReader,
    layers: Sequence[Layer],
    plan: Plan | None,
    key: str,
    beside: Path,
    channel: Channel,
) -> tuple[Setup, Plan]:
    """Runtime and cutting: those of the plan, or chosen now and written as the plan."""
    answers = Answers(job.tta, job.dropout_passes, bool(job.disagreement))
    bytes_px = 2 * band_count(layers)

    def opened(wanted: PredictJob) -> Setup:
        return set_up(
            model, stack, job.device, wanted.runtime, wanted.core_px, bytes_px, channel.log,
            precision=wanted.precision, int8_loss=job.int8_loss, answers=answers, check_windows=plan is None,
        )  # fmt: skip

    setup = opened(taking_up(job, plan))
    if plan is not None:
        return setup, plan
    unit_px = unit_px_for(setup.core_px, setup.step_px)
    choice = setup.choice
    mine = Plan(key, setup.opened.runtime, setup.opened.precision, setup.core_px, unit_px, choice.difference)
    theirs = agreed(beside, mine)
    return (setup, mine) if theirs == mine else (opened(taking_up(job, theirs)), theirs)


def area_of(job: PredictJob, grid: Grid, window: Window, channel: Channel) -> ScanFill | None:
    """The area of a job inside a window of the grid, ready to be asked for windows; None for no limit.

    What there is to say of its layer is logged.

    Raises:
        GeoSegError: as `area_geometry`.
    """
    geometry, problems = (
        (None, ()) if job.area is None else area_geometry(job.area, np.empty(0, object), grid)
    )
    for problem in problems:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    if window != whole(grid):
        mapped = shapely.box(*grid_bounds(grid, window))
        geometry = mapped if geometry is None else shapely.intersection(geometry, mapped)
    if geometry is None:
        return None
    parts = shapely.get_parts(np.array([geometry], object))
    polygons = parts[shapely.get_dimensions(parts) == 2]
    return ScanFill(polygons, grid)


def expected_bytes(job: PredictJob, window: Window, layers: Sequence[Layer]) -> int:
    """Room on disk, packed, for the parts and for the rasters between them and the files."""
    between = 4 * bool(job.polygons and not job.confidence) + 3 * job.cleaning.anything
    return int(window.width * window.height * PACKED_SHARE * (2 * band_count(layers) + between))


def files_bytes(job: PredictJob, folder: Path, window: Window, layers: Sequence[Layer]) -> dict[Path, int]:
    """Room on disk, packed, for each file of the result, with its overviews."""
    pixels = window.width * window.height * OVERVIEWS
    found = {
        folder / getattr(job, layer.key): int(
            pixels * PACKED_SHARE * len(layer.bands) * (4 if layer.is_share else 1)
        )
        for layer in layers
        if getattr(job, layer.key)
    }
    if job.polygons:
        found[folder / job.polygons] = outline_bytes(window.height, window.width)
    return found


def flow(work: Work, setup: Setup, reader: BandReader, todo: Sequence[int], channel: Channel) -> int:
    """Read, predict and keep units, with progress and the cancel point between two windows. Returns their pixels."""
    total = sum(work.parts.units[index].height * work.parts.units[index].width for index in todo)
    done, started = 0, time.monotonic()
    gathering = Gathering(work.parts, band_count(work.layers))
    channel.progress("predict", 0, total)

    def compute(item: tuple[int, Block]) -> tuple[int, Piece]:
        nonlocal done
        piece = predict_block(setup, item[1], work.layers, channel.log)
        done += piece.window.height * piece.window.width
        rate = done / 1e6 / max(time.monotonic() - started, 1e-9)
        channel.progress("predict", done, total, f"{rate:.2f} Mpx/s")
        return item[0], piece

    items = ((index, cut) for index in todo for cut in setup.cuts(work.parts.units[index]))
    pump(items, lambda item: (item[0], reader.read(item[1])), compute, lambda item: gathering.add(*item))
    return total


def finished(work: Work, facts: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """The result, `facts` in it: make the files if every part is there, and take the parts away; else say how many."""
    job, parts, wanted = work.job, work.parts, unsharded(work.job)
    if done := kept_result(parts.folder, wanted, RESULTS):
        return {**done, **_shard(job, len(parts.needed), True)}
    nothing: dict[str, Any] = {
        **facts,
        **dict.fromkeys(RESULTS, ""),
        "grid": subgrid(work.recipe.grid, work.window),
        "classes": work.model.classes,
        "areas_m2": {},
        "counts": {},
        "nodata_px": 0,
        "cleaned": None,
        "warnings": windows_warning(facts["runtime"], facts["largest_difference"]),
    }
    present = len(parts.present())
    if present < len(parts.needed):
        channel.log(f"{present} of {len(parts.needed)} parts are there: other shards are still to be done.")
        return {**nothing, **_shard(job, present, False)}
    with assembling(parts.folder) as free:
        if not free:
            return {**nothing, **in_other_hands(job, present, channel)}
        if done := kept_result(parts.folder, wanted, RESULTS):
            return {**done, **_shard(job, present, True)}
        made = files_of(work, facts["runtime"], channel)
        made["warnings"] = [*nothing["warnings"], *made["warnings"]]
        result = {**nothing, **made, **_shard(job, present, True)}
        if job.shard:
            keep_only_result(parts.folder, wanted, encode(result))
    if not job.shard:
        remove_parts(parts.folder)
    return result


def unsharded(job: PredictJob) -> Any:
    """What all shards of a job have in common, as plain data."""
    return encode(replace(job, shard="", resume=True))


def in_other_hands(job: PredictJob, present: int, channel: Channel) -> dict[str, Any]:
    """What a shard says while another one makes the files.

    Raises:
        GeoSegError: `in_work` for a job that is no shard.
    """
    if not job.shard:
        raise GeoSegError(
            "in_work",
            f"Another run is making {job.output} from the same parts.",
            "Wait until it has ended, or choose another name for the result.",
        )
    channel.log("All parts are there; another shard puts them together.")
    return _shard(job, present, False)


def files_of(work: Work, runtime: str, channel: Channel) -> dict[str, Any]:
    """Rasters, cleaned if that is asked for, and polygons. Returns what the result says of them.

    `runtime`, in words, is noted in the rasters.
    """
    job, folder, scratch = work.job, work.folder, work.parts.folder
    files = {layer.key: folder / getattr(job, layer.key) for layer in work.layers if getattr(job, layer.key)}
    named = {key: str(path) for key, path in files.items()}
    if job.polygons:
        files.setdefault("confidence", scratch / "confidence.tif")
    if job.cleaning.anything:
        files[CLASSES] = scratch / "classes.tif"
    tags = {"GEOSEG_MODEL": work.model.path.name, "GEOSEG_RUNTIME": runtime}
    grid, classes = subgrid(work.recipe.grid, work.window), work.model.classes
    row, col = work.window.row, work.window.col
    tally = Assembly(work.parts, work.layers, grid, classes, tags, row, col).write(files, channel)
    result = {**named, **counted(tally, work), "cleaned": None}
    if job.cleaning.anything:
        found = clean(files[CLASSES], job.cleaning, folder / job.output, None, channel)
        result["cleaned"] = {key: found[key] for key in ("changed_px", "patches")}
        result |= {key: found[key] for key in ("counts", "areas_m2")}
        result["warnings"] += found["warnings"]
    if job.polygons:
        result["polygons"], found_wrong = make_polygons(job, files["confidence"], folder, channel)
        result["warnings"] += found_wrong
    return result


def counted(tally: Tally, work: Work) -> dict[str, Any]:
    """Pixels and ground area of each class, pixels of the area without one, and what is odd about them."""
    classes, counts = work.model.classes, tally.pixels
    beyond, seen = work.parts.facts()
    names = [band.name for band in work.model.recipe.bands]
    return {
        "areas_m2": {str(item.id): round(float(tally.areas_m2[item.id]), 2) for item in classes},
        "counts": {str(item.id): int(counts[item.id]) for item in classes},
        "nodata_px": int(counts[-1]) - outside_px(work),
        "warnings": [*beyond_warnings(names, beyond, seen), *odd_counts(work.model, counts[: len(classes)])],
    }


def outside_px(work: Work) -> int:
    """Pixels of the map that the area leaves out."""
    if work.area is None:
        return 0
    parts = chunks(subgrid(work.recipe.grid, work.window))
    masks = (work.area.mask(part.moved(work.window.row, work.window.col)) for part in parts)
    return sum(int(np.count_nonzero(~mask)) for mask in masks)


def odd_counts(model: ModelFile, counts: Any) -> list[Problem]:
    """A warning where nothing, or one class alone, was found."""
    if not counts.sum():
        return [
            Problem(
                "all_nodata",
                "No pixel has a value in every band of the model: the result is empty.",
                "Check the nodata values and where the layers overlap.",
                "warning",
            )
        ]
    if (counts > 0).sum() > 1:
        return []
    return [
        Problem(
            "one_class_predicted",
            f"Every pixel was given the class '{model.classes[int(counts.argmax())].name}'.",
            "Is this ground like that of the training data? Look at the confidence.",
            "warning",
        )
    ]


def make_polygons(
    job: PredictJob, confidence: Path, folder: Path, channel: Channel
) -> tuple[str, list[Problem]]:
    """Polygons of the finished class raster; returns the path of the GeoPackage, and warnings."""
    polygons = PolygonizeJob(
        classes=job.output,
        confidence=str(confidence),
        min_area_px=job.min_area_px,
        output=job.polygons,
        outlines=job.outlines,
    )
    result = polygonize(polygons, folder, channel)
    return result["output"], result["warnings"]


def _shard(job: PredictJob, done: int, complete: bool) -> dict[str, Any]:
    """The entry `shard` of the result; None for a job that is no shard."""
    shard = shard_of(job.shard)
    if shard is None:
        return {"shard": None}
    return {"shard": {"index": shard[0], "count": shard[1], "done": done, "complete": complete}}
