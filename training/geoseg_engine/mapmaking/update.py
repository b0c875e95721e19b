"""The job `map`: bring a map up to date, stage by stage; what has not changed is kept.

A stage is done where what it is made from differs from the record (`map.json`), or where its files are not those that
it left. It is kept in the record only when it is finished, so that a run that was stopped goes on where it was. A stage
whose result comes out the same as before leaves the stages after it as they are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..channel import Channel
from ..contract import MODEL_FILE, GeoSegError, Job, MapJob, Recipe, encode, write_json
from ..contract.contents import digest
from ..contract.map_jobs import RECORD_FILE
from ..contract.map_stages import (
    ALL_LABELS,
    DATASET,
    EVALUATION,
    FINAL,
    JOBS,
    MODEL,
    OUTPUTS,
    STACK_FILE,
    absolute_job,
    files_of,
    map_states,
    parts_of,
    stage_job,
    training_of,
    uses_all_labels,
)
from ..contract.stages import (
    STAGES,
    TITLES,
    Made,
    StageState,
    changes,
    forgotten,
    kept_file,
    read_record,
    record_json,
    state_of,
)
from ..dataset.datasets import read_dataset
from ..outputs import prepare_folder
from ..stacking.recipes import read_recipe
from .all_labels import final_job, write_all_labels
from .comparing import compared
from .kept_split import split_to_keep
from .stage_runs import Bar, run_stage, shares

BY_KEY = {stage.key: stage for stage in STAGES}
SHOWN = (
    "classes",
    "counts",
    "block_px",
    "buffer_px",
    "split_distance",
    "miou",
    "best_epoch",
    "kept_sentence",
    "warnings",
)
"""Of the results of jobs, what the record keeps."""
MAX_WARNINGS = 50


@dataclass
class Update:
    """The state of one run of the job.

    Attributes:
        job: with absolute paths of its inputs.
        folder: of the map.
        channel: of the job.
        record: what was made; written after every stage.
        bar: progress of the stages that are to be done.
        redone: what was done, and why.
        kept: titles of the stages that were kept.
        note: what happened to the split.
        comparable: whether a score may be compared with the one before.
    """

    job: MapJob
    folder: Path
    channel: Channel
    record: dict[str, Made]
    bar: Bar
    redone: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    comparable: bool = True


def run(job: MapJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Bring the map of a folder up to date; see `MapJob` for the files.

    Args:
        job: the map.
        folder: of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Returns:
        Paths of the map and its model, scores, what was done and why, what was kept, and the seconds of each stage.

    Raises:
        GeoSegError: of the first stage that fails; what was finished before is kept.
        Cancelled: if the user stops; the next run goes on where this one was.
    """
    started = time.monotonic()
    output = (folder / job.output).resolve()
    prepare_folder(output)
    job = absolute_job(job, folder.resolve())
    channel.progress("keeping", 0, 1)
    found = map_states(job, output, __version__)
    record = read_record(output / RECORD_FILE)
    before = dict(record)
    update = Update(job, output, channel, record, bar_of(found, record, channel))
    for key in BY_KEY:
        if key in wanted_keys(job, update.record):
            bring_up_to_date(update, key)
    update.record = {
        key: made for key, made in update.record.items() if key in wanted_keys(job, update.record)
    }
    save(update)
    return result_of(update, before, round(time.monotonic() - started, 2))


def wanted_keys(job: MapJob, record: dict[str, Made]) -> tuple[str, ...]:
    """Return the stages that a map has.

    Args:
        job: the map.
        record: of its folder.
    """
    left_out = {"model", "final"} if job.model_file else set()
    left_out |= set() if uses_all_labels(job, record) else {"final"}
    return tuple(key for key in BY_KEY if key not in left_out)


def bar_of(found: tuple[StageState, ...], record: dict[str, Made], channel: Channel) -> Bar:
    """Return the progress bar of the stages that are out of date.

    Args:
        found: states of all stages.
        record: of the map's folder.
        channel: of the map.
    """
    waiting = [state.key for state in found if not state.current]
    return Bar(channel, shares(waiting, {key: made.seconds for key, made in record.items()}))


def bring_up_to_date(update: Update, key: str) -> None:
    """Do a stage if it is out of date.

    Args:
        update: the run; its record is written anew.
        key: of the stage.

    Raises:
        GeoSegError: of its job.
        Cancelled: if the user stops.
    """
    parts = parts_of(update.job, key, update.record, __version__)
    made = update.record.get(key)
    state = state_of(BY_KEY[key], parts, made, update.folder)
    reasons = list(state.reasons)
    if key == "split" and update.job.new_split:
        reasons.append("A new split was asked for.")
    if made is not None and not reasons:
        update.kept.append({"stage": key, "title": TITLES[key], "seconds": made.seconds})
        update.bar.finish(key)
        return
    update.channel.log(f"{TITLES[key]}: {' '.join(reasons)}")
    split_from = choose_split(update, made, parts) if key == "split" else ""
    save(update, without=key)
    result, seconds = do_stage(update, key, split_from)
    update.record[key] = Made(parts, output_of(update, key), files_kept(update, key), seconds, shown(result))
    save(update)
    update.redone.append({"stage": key, "title": TITLES[key], "reasons": reasons, "seconds": seconds})
    update.bar.finish(key)


def choose_split(update: Update, made: Made | None, parts: Any) -> str:
    """Return the file of the blocks that are kept; empty where they are drawn anew, and say which.

    Args:
        update: the run.
        made: what the record keeps of the split.
        parts: what the split is made from now.
    """
    before = made.parts if made is not None else {}
    settings = [text for text in changes(before, parts) if not text.startswith(("Labels:", "Engine:"))]
    why = "a new split was asked for" if update.job.new_split else ""
    why = why or (f"settings of the split have changed ({' '.join(settings)})" if made and settings else "")
    kept, reason = split_to_keep(update.folder / DATASET, update.folder / DATASET / "labels.tif", why)
    update.comparable = bool(kept)
    update.note = "" if kept or reason is None else f"The test areas were drawn anew: {reason}."
    if update.note:
        update.channel.log(f"{update.note} Scores do not compare with those before.", "warning")
    return str(kept or "")


def do_stage(update: Update, key: str, split_from: str = "") -> tuple[dict[str, Any], float]:
    """Run the job of a stage.

    Args:
        update: the run.
        key: of the stage.
        split_from: blocks that are kept, for `split`.

    Returns:
        Its result, and the seconds that it took.

    Raises:
        GeoSegError: of the job.
        Cancelled: if the user stops.
    """
    folder, job = update.folder, update.job
    if key == "final":
        write_all_labels(folder / DATASET, folder / ALL_LABELS)
        training = training_of(job, str(folder / DATASET))
        return run_stage(
            final_job(training, folder / MODEL, folder / ALL_LABELS), folder / FINAL, update.bar, key
        )
    validated = job.model_file or str(folder / MODEL / MODEL_FILE)
    model = model_of_map(update) if key == "map" else validated
    inner: Job = stage_job(job, key, folder, model, split_from)
    places = {"model": folder / MODEL, "accuracy": folder / EVALUATION}
    return run_stage(inner, places.get(key, folder / JOBS / key), update.bar, key)


def model_of_map(update: Update) -> str:
    """Return the model that the map is made with."""
    if update.job.model_file:
        return update.job.model_file
    final = uses_all_labels(update.job, update.record)
    return str(update.folder / (FINAL if final else MODEL) / MODEL_FILE)


def output_of(update: Update, key: str) -> str:
    """Return a text that is equal for equal results of a stage; where the rasters are does not count."""
    folder = update.folder
    if key == "stack":
        return digest(without_paths(read_recipe(folder / STACK_FILE)))
    if key == "split":
        dataset, _ = read_dataset(folder / DATASET)
        return digest([dataset.fingerprint, encode(dataset.classes), without_paths(dataset.recipe)])
    return digest([kept_file(update.folder / name)[1] for name in files_of(update.job, key)])


def without_paths(recipe: Recipe) -> Any:
    """Return a recipe as plain values, its sources without their paths."""
    return encode(replace(recipe, sources=tuple(replace(item, path="", paths=()) for item in recipe.sources)))


def files_kept(update: Update, key: str) -> dict[str, tuple[list[int], str]]:
    """Return the results of a stage with their stamps and digests.

    Raises:
        GeoSegError: `internal` if one is not there.
    """
    found = {name: kept_file(update.folder / name) for name in files_of(update.job, key)}
    missing = [name for name, (_, text) in found.items() if not text]
    if missing:
        raise GeoSegError(
            "internal",
            f"The stage {TITLES[key]} has left no {', '.join(missing)}.",
            "This is a fault of GeoSeg: please report it with the log.",
        )
    return found


def shown(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the record keeps of a result."""
    kept = {key: result[key] for key in SHOWN if key in result}
    if isinstance(kept.get("warnings"), list):
        kept["warnings"] = kept["warnings"][:MAX_WARNINGS]
    return kept


def save(update: Update, without: str = "") -> None:
    """Write the record, perhaps without the stage that is being done: half of it is never taken for whole."""
    record = forgotten(update.record, without) if without else update.record
    write_json(update.folder / RECORD_FILE, encode(record_json(record)))


def result_of(update: Update, before: dict[str, Made], seconds: float) -> dict[str, Any]:
    """Return the result of the job.

    Args:
        update: the finished run.
        before: record before it.
        seconds: wall time of the whole job.
    """
    job, folder = update.job, update.folder
    comparison = compared(folder / EVALUATION, update.record, before, update.comparable)
    done = ", ".join(item["title"] for item in update.redone)
    sentence = f"Done again: {done}." if done else "Nothing was out of date."
    if update.redone and update.kept:
        sentence += f" Kept: {', '.join(item['title'] for item in update.kept)}."
    final = uses_all_labels(job, update.record)
    update.channel.log(sentence)
    update.channel.log(comparison["score_sentence"])
    warnings = {
        item["message"]: item
        for key in update.record
        for item in update.record[key].result.get("warnings", ())
    }
    files = {name: str(folder / text) for name in OUTPUTS if (text := getattr(job.prediction, name))}
    for name, path in files.items():
        update.channel.artifact(name, path)
    return {
        **files,
        "model": model_of_map(update),
        "evaluation": str(folder / EVALUATION / "metrics.json"),
        "report": str(folder / EVALUATION / "report.html"),
        **comparison,
        "classes": update.record["map"].result.get("classes", ()),
        "split_note": update.note,
        "trained_on_all_labels": final,
        "final_sentence": final_sentence(final),
        "redone": update.redone,
        "kept": update.kept,
        "sentence": sentence,
        "stage_seconds": {key: made.seconds for key, made in update.record.items()},
        "seconds": seconds,
        "warnings": list(warnings.values()),
    }


def final_sentence(final: bool) -> str:
    """Return what the score says of the model of the map."""
    if not final:
        return "The map is made by the model that was scored; it has not seen the test areas."
    return (
        "The map is made by a model that learned from all labels, the test areas too. "
        "The score is that of the model that left them out, with the same settings."
    )
