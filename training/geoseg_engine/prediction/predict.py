"""The job `predict`: class raster, confidence and uncertainty of each pixel, and polygons.

`run` is the recipe: match the layers to the model's bands, plan the windows, predict them part by part, make the files
of the parts, post-process, report. Finished parts are kept beside the output until the files are whole: an interrupted
job resumes with them, and several runs can share one prediction (`shards`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..channel import Channel
from ..contract import PredictJob, Recipe, encode, present, shard_of
from ..contract.checks import area_problems
from ..device.devices import KINDS, Device
from ..device.finding import device_warnings, find_device
from ..modelfile.reading import ModelFile, read_model
from ..output_checks import check_overwriting, output_files
from ..outputs import prepare_folder, require_room
from ..raster.grid import Window
from ..stacking.file_checks import file_problems
from ..stacking.reader import StackReader
from ..stacking.recipe_plan import raise_errors
from ..stacking.recipes import absolute
from .computing import compute_parts
from .inference import Setup, Variants, set_up, windows_warning
from .matching import Match, match_extent, prediction_sentence
from .parts import Parts, held_bytes, parts_folder, prepare_parts, remove_parts, room_for_plain
from .result_files import files_bytes, scratch_bytes, write_files
from .result_layers import CLASSES, OUT_OF_RANGE, band_count, layers_of
from .run_plan import RunPlan, agree_on, needed_units, plan_key, unit_px_for, units, with_plan
from .runtimes.averaging import variant_count
from .shards import (
    assembled_elsewhere,
    assembly_lock,
    keep_only_result,
    kept_result,
    shard_entry,
    shared_job,
)
from .task import PredictionTask, area_of

FILES = (CLASSES, "confidence", "entropy", "probability", "margin", "disagreement", OUT_OF_RANGE)
"""Fields of the job and keys of the result that name a raster."""
RESULTS = (*FILES, "polygons")
CORES_OF_PIXELWISE = 4
"""Cores side by side in a unit of a network without halo, whose cores are small."""


def run(job: PredictJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Predict; write the rasters and polygons whose paths are not empty.

    The same job resumes with the parts that an interrupted run has finished. Of a job that is one of several shards,
    the last to end makes the files.

    Args:
        job: the prediction.
        folder: folder of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Returns:
        The result as plain data; of a dry run, what matches and what is wrong.

    Raises:
        GeoSegError: `not_our_model`, `missing_bands`, `no_overlap`, `out_of_memory`, `area_outside`, `disk_full`, …
        Cancelled: if the user stops; a file is whole under its final name or not there, and finished parts are kept.
    """
    model, found, recipe, window = match_inputs(job, folder)
    if job.dry_run:
        return described(job, model, found)
    raise_errors(found.problems)
    recipe, window = present(recipe, "the recipe of a prediction"), present(window, "its window")
    check_overwriting(list(output_files(job)), read_files(recipe), folder)
    log_inputs(model, found, channel)
    layers = layers_of(job, model.classes)
    area = area_of(job, recipe.grid, window, channel)
    task = PredictionTask(job, folder, model, recipe, window, area, layers)
    plan, result = open_parts(task, channel)
    if result is None:
        parts, facts = predict_parts(task, plan, channel)
        result = assemble(task, parts, facts, channel)
    return report(task, found, result, channel)


def match_inputs(job: PredictJob, folder: Path) -> tuple[ModelFile, Match, Recipe | None, Window | None]:
    """Match the layers of a job to the bands of its model.

    Args:
        job: the prediction.
        folder: folder that its paths are relative to.

    Returns:
        The model; what matches, with all problems; the recipe on a grid over all layers, and the part of that grid to
        predict (both None if a problem prevents it).

    Raises:
        GeoSegError: as `read_model`.
    """
    sources = tuple(absolute(source) for source in job.sources)
    model = read_model(folder / job.model, job.foreign_bands, sources)
    found, recipe, window = match_extent(model, sources, job.extent, job.extent_crs)
    found.problems += area_problems(job.area, None) if job.area is not None else []
    found.problems += file_problems(found.recipe) if found.recipe is not None else []
    return model, found, recipe, window


def described(job: PredictJob, model: ModelFile, found: Match) -> dict[str, Any]:
    """Return the result of a dry run; `looks` is the number of predictions averaged for each pixel.

    Args:
        job: the prediction.
        model: the model file.
        found: how the layers match.
    """
    return {
        "problems": found.problems,
        "matched": found.matched,
        "grid": found.recipe.grid if found.recipe else None,
        "sentence": prediction_sentence(model, found.recipe) if found.recipe else "",
        "classes": model.classes,
        "looks": variant_count(
            model, job.tta, job.dropout_passes, found.recipe.grid if found.recipe else None
        ),
    }


def read_files(recipe: Recipe) -> list[str]:
    """Return the paths of all files that a recipe reads."""
    return [path for source in recipe.sources for path in (source.path, *source.paths)]


def log_inputs(model: ModelFile, found: Match, channel: Channel) -> None:
    """Log the warnings of the match, and what is predicted.

    Args:
        model: the model file.
        found: how the layers match.
        channel: for the log.
    """
    for problem in found.problems:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    channel.log(prediction_sentence(model, present(found.recipe, "the recipe of the window")) + ".")


def open_parts(task: PredictionTask, channel: Channel) -> tuple[str | RunPlan, dict[str, Any] | None]:
    """Make the folder of parts ready.

    Args:
        task: the prediction.
        channel: for the log.

    Returns:
        The plan of an earlier run of the same prediction, or the key of a plan that is still to be made; and the
        result if all shards have ended before.

    Raises:
        GeoSegError: `disk_full`, `not_writable`, `in_work`.
    """
    job, folder, window = task.job, task.folder, task.window
    shard = shard_of(job.shard)
    beside = parts_folder(folder / job.output)
    key = plan_key(task)
    prepare_folder((folder / job.output).parent)
    room = {beside: scratch_bytes(job, window, task.layers) - held_bytes(beside)}
    require_room(room | files_bytes(job, folder, window, task.layers))
    plan = prepare_parts(beside, key, job.resume or shard is not None)
    if plan is not None and (done := kept_result(beside, shared_job(job), RESULTS)):
        channel.log("All shards of this prediction have been done.")
        count = len(needed_units(units(task.recipe.grid, plan.unit_px), window))
        return plan, {**done, **shard_entry(job, count, True)}
    return plan or key, None


def predict_parts(
    task: PredictionTask, plan: str | RunPlan, channel: Channel
) -> tuple[Parts, dict[str, Any]]:
    """Predict the parts of this run that are not there yet.

    Args:
        task: the prediction.
        plan: as of `open_parts`.
        channel: for progress, log and cancelling.

    Returns:
        The parts, and facts about the run for the result.

    Raises:
        GeoSegError: `missing_bands`, `out_of_memory`, `in_work`, `disk_full`; as `set_up`.
        Cancelled: if the user stops.
    """
    job, model, shard = task.job, task.model, shard_of(task.job.shard)
    started = time.monotonic()
    with StackReader(task.recipe) as stack:
        setup, plan = plan_windows(task, stack, plan, channel)
        beside = parts_folder(task.folder / job.output)
        # several machines may share the folder over a network, where packed parts are faster
        whole = units(task.recipe.grid, plan.unit_px)
        held = [whole[index] for index in needed_units(whole, task.window)]
        packed = shard is not None or not room_for_plain(beside, held, task.layers)
        bands = len(model.recipe.bands)
        parts = Parts(beside, task.recipe.grid, task.window, plan, task.layers, bands, packed)
        mine = parts.needed if shard is None else parts.needed[shard[0] - 1 :: shard[1]]
        todo = sorted(set(mine) - parts.present())
        resumed = len(mine) - len(todo)
        if resumed:
            channel.log(f"{resumed} of {len(mine)} parts are there from before; {len(todo)} are left to do.")
        computed = compute_parts(task, parts, setup, stack, todo, channel)
    seconds = time.monotonic() - started
    return parts, {
        "runtime": setup.runtime.title,
        "precision": setup.runtime.precision,
        "device": str(setup.runtime.device),
        "agreement": setup.choice.agreement,
        "int8_loss": setup.choice.int8_loss,
        "largest_difference": plan.difference,
        "views": setup.variants,
        "core_px": setup.core_px,
        "mpx_per_s": round(computed.pixels / 1e6 / max(seconds, 1e-9), 3),
        "seconds": round(seconds, 2),
        "resumed_parts": resumed,
        **computed.facts,
        "warnings": [*computed.warnings, *device_warnings(setup.runtime.device)],
    }


def plan_windows(
    task: PredictionTask, stack: StackReader, plan: str | RunPlan, channel: Channel
) -> tuple[Setup, RunPlan]:
    """Open the runtime and choose the size of windows: as planned before, or now, and then write the plan.

    Args:
        task: the prediction.
        stack: its bands.
        plan: as of `open_parts`.
        channel: for the log.

    Raises:
        GeoSegError: as `set_up`.
    """
    job = task.job
    known = plan if isinstance(plan, RunPlan) else None
    variants = Variants(job.tta, job.dropout_passes, bool(job.disagreement))
    bytes_px = 2 * band_count(task.layers)

    def opened(wanted: PredictJob) -> Setup:
        return set_up(
            task.model, stack, job.device, wanted.runtime, wanted.core_px, bytes_px, channel.log,
            precision=wanted.precision, int8_loss=job.int8_loss, variants=variants, check_windows=known is None,
        )  # fmt: skip

    setup = opened(job if known is None else able_here(with_plan(job, known)))
    if known is not None:
        report_other_device(known, setup.runtime.device, channel)
        return setup, known
    name, precision, difference = setup.opened.runtime, setup.opened.precision, setup.choice.difference
    cores = 1 if setup.frame.halo_px else CORES_OF_PIXELWISE
    unit_px = unit_px_for(cores * setup.core_px, setup.step_px)
    kind = setup.runtime.device.kind
    mine = RunPlan(str(plan), name, precision, setup.core_px, unit_px, difference, kind)
    agreed = agree_on(parts_folder(task.folder / job.output), mine)
    if agreed == mine:
        return setup, mine
    report_other_device(agreed, setup.runtime.device, channel)
    return opened(able_here(with_plan(job, agreed))), agreed


def able_here(job: PredictJob) -> PredictJob:
    """Return the job in float32 where the device that torch would use does not have its precision.

    Args:
        job: the prediction, with runtime and precision of a plan that another device may have made.

    Raises:
        GeoSegError: `no_gpu` where the job names a device that is not here.
    """
    if job.runtime != "torch" or job.precision in find_device(job.device).precisions:
        return job
    return replace(job, precision="float32")


def report_other_device(plan: RunPlan, device: Device, channel: Channel) -> None:
    """Log that a plan was made on another kind of device than the one that is used now.

    Args:
        plan: of an earlier run.
        device: of this run.
        channel: gets the warning.
    """
    if plan.device in ("", device.kind):
        return
    before = KINDS[plan.device].title if plan.device in KINDS else plan.device
    channel.log(
        f"The first parts were predicted on another device ({before}); the others are predicted on {device.name}: "
        "single pixels may get another class.",
        "warning",
    )


def assemble(task: PredictionTask, parts: Parts, facts: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Make the files if every part is there, and remove the parts.

    Args:
        task: the prediction.
        parts: its parts.
        facts: of this run; they are in the result.
        channel: for progress, log and cancelling.

    Returns:
        The result; its files are empty while other shards are still to be done.

    Raises:
        GeoSegError: `not_writable`, `disk_full`, `in_work`.
        Cancelled: if the user stops.
    """
    job, wanted = task.job, shared_job(task.job)
    if done := kept_result(parts.folder, wanted, RESULTS):
        return {**done, **shard_entry(job, len(parts.needed), True)}
    nothing: dict[str, Any] = {
        **facts,
        **dict.fromkeys(RESULTS, ""),
        "grid": task.grid,
        "classes": task.model.classes,
        "areas_m2": {},
        "counts": {},
        "nodata_px": 0,
        "cleaned": None,
        "warnings": [*windows_warning(facts["runtime"], facts["largest_difference"]), *facts["warnings"]],
    }
    there = len(parts.present())
    if there < len(parts.needed):
        channel.log(f"{there} of {len(parts.needed)} parts are there: other shards are still to be done.")
        return {**nothing, **shard_entry(job, there, False)}
    with assembly_lock(parts.folder) as free:
        if not free:
            return {**nothing, **assembled_elsewhere(job, there, channel)}
        if done := kept_result(parts.folder, wanted, RESULTS):
            return {**done, **shard_entry(job, there, True)}
        made = write_files(task, parts, facts["runtime"], channel)
        made["warnings"] = [*nothing["warnings"], *made["warnings"]]
        result = {**nothing, **made, **shard_entry(job, there, True)}
        if job.shard:
            keep_only_result(parts.folder, wanted, encode(result))
    if not job.shard:
        remove_parts(parts.folder)
    return result


def report(task: PredictionTask, found: Match, result: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Announce the files, and return the complete result.

    Args:
        task: the prediction.
        found: how the layers match; its warnings come first.
        result: as of `assemble`.
        channel: for the artifacts.

    Returns:
        The result with the warnings of match, prediction and training.
    """
    for kind in FILES:
        if result[kind]:
            channel.artifact("classes" if kind == CLASSES else kind, result[kind])
    of_training = [replace(item, message=f"Of the training: {item.message}") for item in task.model.warnings]
    warnings = [*found.problems, *result["warnings"], *of_training]
    return {**described(task.job, task.model, found), **result, "warnings": warnings, "problems": []}
