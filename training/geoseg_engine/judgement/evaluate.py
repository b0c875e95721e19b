"""The job `evaluate`: a model or a class raster against held-out labels, with one confusion matrix for all pixels."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import (
    IGNORE,
    Dataset,
    EvaluateJob,
    GeoSegError,
    Grid,
    LabelClass,
    Problem,
    Source,
    write_json,
)
from ..dataset.datasets import load_dataset, open_dataset_stack
from ..modelfile.calibration import calibrated
from ..modelfile.reading import ModelFile, read_model
from ..outputs import prepare_folder, whole_file
from ..prediction.inference import BandReader, Block, Setup, class_confidence, class_ids, set_up
from ..raster.grid import Window, windows
from ..raster.sources import coincide, open_source, source_grid
from ..raster.stream import pump
from ..raster.writer import RasterWriter, read_classes
from ..scores.intervals import interval_warnings, intervals
from ..scores.metrics import Matrix, score_warnings, scores
from ..scores.report import write_report
from ..stacking.reader import StackReader
from ..stacking.rebind import rebind
from .examples import best_and_worst, pictures
from .judging import BINARY_ERRORS, CLASS_ERRORS, Judge, class_table, judging

METRICS_FILE, CONFUSION_FILE, ERRORS_FILE, REPORT_FILE = (
    "metrics.json",
    "confusion.csv",
    "errors.tif",
    "report.html",
)
WINDOW_PX = 1024
Record = Callable[[Window, NDArray[np.uint8], NDArray[Any] | None], None]
"""Takes class ids of the dataset over a window, and their confidence if they have one."""


def run(job: EvaluateJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Judge on one split; leave metrics.json, confusion.csv, errors.tif and report.html in the output folder.

    Raises:
        GeoSegError: `nothing_to_score` if the split holds no labelled pixel, `other_grid`, `other_classes`, …
    """
    output = folder / job.output
    prepare_folder(output)
    dataset, dataset_folder = load_dataset(folder / job.dataset)
    started = time.monotonic()
    with ExitStack() as kept:
        judge = kept.enter_context(judging(dataset, dataset_folder, job.split))
        scratch = kept.enter_context(tempfile.TemporaryDirectory(prefix=".evaluate-", dir=output))
        given = Path(scratch) / "classes.tif"
        facts = judge_into(job, folder, dataset, dataset_folder, judge, output / ERRORS_FILE, given, channel)
        facts["seconds"] = round(time.monotonic() - started, 2)
        facts["examples"] = examples(dataset, dataset_folder, judge, given, channel)
    return conclude(job, dataset, judge, facts, output, channel)


def judge_into(
    job: EvaluateJob,
    folder: Path,
    dataset: Dataset,
    dataset_folder: Path,
    judge: Judge,
    errors: Path,
    given: Path,
    channel: Channel,
) -> dict[str, Any]:
    """Judge the split; write the raster of errors and that of the classes. Returns facts for the metrics.

    Raises:
        GeoSegError: `nothing_to_score`.
    """
    kinds = BINARY_ERRORS if judge.binary else CLASS_ERRORS
    grid = dataset.recipe.grid
    with (
        RasterWriter(errors, grid, "uint8", IGNORE, ["errors"], kinds) as error_writer,
        RasterWriter(given, grid, "uint8", IGNORE) as class_writer,
    ):

        def record(window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None) -> None:
            error_writer.write(judge.judge(window, ids, confidence), window)
            class_writer.write(ids, window)

        if job.model:
            facts = judge_model(job, folder, dataset, dataset_folder, judge, record, channel)
        else:
            facts = judge_raster(folder / job.prediction, dataset, judge, record, channel)
        if not judge.matrix.sum():
            raise GeoSegError(
                "nothing_to_score",
                f"The split '{job.split}' of the dataset has no labelled pixel with a prediction.",
                "Give the split a larger share, or evaluate another one.",
            )
    return facts


def examples(
    dataset: Dataset, folder: Path, judge: Judge, given: Path, channel: Channel
) -> dict[str, list[dict[str, Any]]]:
    """Best and worst tiles with their pictures; empty where the stack cannot be read any more."""
    found = best_and_worst(judge.tiles, judge.binary)
    try:
        with open_dataset_stack(dataset, folder) as stack:
            best, worst = (pictures(tiles, dataset, stack, judge.truth, given) for tiles in found)
    except GeoSegError as error:
        channel.log(f"No example tiles are shown: {error.message}", "warning")
        return {"best": [], "worst": []}
    return {"best": best, "worst": worst}


def judge_model(
    job: EvaluateJob,
    folder: Path,
    dataset: Dataset,
    dataset_folder: Path,
    judge: Judge,
    record: Record,
    channel: Channel,
) -> dict[str, Any]:
    """Predict the windows that touch the split. Returns facts for the metrics."""
    model = read_model(folder / job.model)
    lut = class_table(model.classes, dataset.classes)
    with ExitStack() as files:
        stack = files.enter_context(model_stack(model, dataset, dataset_folder))
        setup = set_up(model, stack, job.device, "auto", 0, 2, channel.log)
        reader = BandReader(stack, model)
        touched = [cut for cut in setup.cuts() if (judge.truth(cut.core) != IGNORE).any()]
        channel.log(f"{len(touched)} windows touch the split '{job.split}'.")
        done = 0

        def compute(block: Block) -> tuple[Window, NDArray[np.uint8], NDArray[Any]]:
            nonlocal done
            ids, confidence = predicted(setup, block, channel.log)
            done += 1
            channel.progress("evaluate", done, len(touched))
            return block.cut.core, lut[ids], confidence

        channel.progress("evaluate", 0, len(touched))
        pump(touched, reader.read, compute, lambda part: record(*part))
    warnings = [item for item in model.warnings if item not in dataset.warnings]
    own_split = bool(model.fingerprint) and model.fingerprint == dataset.fingerprint
    if not own_split and job.split != "train":
        warnings.append(other_split(model, dataset))
    return {
        "model": str(folder / job.model),
        "prediction": "",
        "runtime": setup.runtime.title,
        "device": setup.runtime.device,
        "precision": setup.runtime.precision,
        "trained": model.trained,
        "architecture": model.architecture,
        "calibration": model.calibration,
        "own_split": own_split,
        "found": warnings,
    }


def other_split(model: ModelFile, dataset: Dataset) -> Problem:
    """The warning that scores may be of pixels that the model was trained on."""
    known = bool(model.fingerprint and dataset.fingerprint)
    what = (
        "This model was trained on another split than that of"
        if known
        else "It is not recorded whether this model was trained on the split of"
    )
    return Problem(
        "other_split",
        f"{what} dataset '{dataset.name}': its training pixels may be among those scored.",
        "Train again on this dataset, or evaluate on the run's own dataset.",
        "warning",
    )


def predicted(
    setup: Setup, block: Block, log: Callable[[str], None]
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Class ids of a block's core, and the calibrated probability of each."""
    if not block.valid.any():
        shape = block.valid.shape
        return np.full(shape, IGNORE, np.uint8), np.zeros(shape, np.float32)
    output = setup.output(block, log)
    confidence = class_confidence(calibrated(output, setup.calibration), output)
    return class_ids(output, block.valid), confidence


def model_stack(model: ModelFile, dataset: Dataset, folder: Path) -> StackReader:
    """The dataset's stack if it has the model's bands, else the model's bands made from the dataset's layers.

    Raises:
        GeoSegError: `missing_bands`; as `open_source`.
    """
    names = {band.name for band in dataset.recipe.bands}
    if all(band.name in names for band in model.recipe.bands):
        return open_dataset_stack(dataset, folder)
    recipe = rebind(model.recipe, dataset.recipe.sources)
    return StackReader(replace(recipe, grid=dataset.recipe.grid))


def judge_raster(
    path: Path, dataset: Dataset, judge: Judge, record: Record, channel: Channel
) -> dict[str, Any]:
    """Compare a class raster on the dataset's grid. Returns facts for the metrics.

    Raises:
        GeoSegError: `other_grid`, `other_classes`.
    """
    grid = dataset.recipe.grid
    source = Source("prediction", str(path), path.stem)
    with open_source(source) as raster:
        refuse_other_grid(path, source_grid(source, raster), grid)
        classes = read_classes(raster)
        lut = class_table(classes, dataset.classes) if classes else np.arange(IGNORE + 1, dtype=np.uint8)
        nodata = raster.nodata
        parts = list(windows(grid, WINDOW_PX))
        for done, window in enumerate(parts):
            channel.progress("evaluate", done, len(parts))
            if (judge.truth(window) == IGNORE).all():
                continue
            raw = raster.read(1, window=window.rasterio)
            ids = np.where((raw >= 0) & (raw < IGNORE) & (raw != nodata), raw, IGNORE).astype(np.uint8)
            record(window, lut[ids], None)
    return {"model": "", "prediction": str(path), "found": []}


def refuse_other_grid(path: Path, grid: Grid, wanted: Grid) -> None:
    """Raise `other_grid` unless the pixels coincide."""
    if not coincide(grid, wanted):
        raise GeoSegError(
            "other_grid",
            f"{path.name} has {grid.width} × {grid.height} pixels that do not coincide with the dataset's "
            f"{wanted.width} × {wanted.height}.",
            "Evaluate the model instead: it is then predicted on the dataset's grid.",
        )


def conclude(
    job: EvaluateJob, dataset: Dataset, judge: Judge, facts: dict[str, Any], output: Path, channel: Channel
) -> dict[str, Any]:
    """Write metrics, confusion matrix and report; returns the job's result."""
    result = scores(judge.matrix, judge.classes)
    bounds = intervals(judge.blocks.matrices(), judge.classes, judge.blocks.cell_px)
    shown = facts.pop("examples")
    said = [*score_warnings(result), *interval_warnings(bounds)]
    found = [*dataset.warnings, *facts.pop("found"), *_as_problems(said)]
    if judge.unpredicted_px:
        found.append(
            replace(
                _as_problems(
                    [f"{judge.unpredicted_px} labelled pixels have no prediction (no value in a band)."]
                )[0],
                hint="They are not in the scores.",
            )
        )
    summary = {
        **result,
        "intervals": bounds,
        "ece": judge.reliability.error(),
        "reliability": judge.reliability.curve(),
        "tiles": {
            kind: [{key: tile[key] for key in ("row", "col", "size_px", "iou")} for tile in tiles]
            for kind, tiles in shown.items()
        },
        "classes": judge.classes,
        "errors_kind": "true_false" if judge.binary else "right_wrong",
        "split": job.split,
        "dataset": dataset.name,
        "warnings": found,
        **facts,
    }
    write_json(output / METRICS_FILE, summary)
    write_confusion(output / CONFUSION_FILE, judge.matrix, judge.classes)
    run_folder = Path(facts["model"]).parent if facts["model"] else None
    write_report(output / REPORT_FILE, summary, dataset=dataset, run_folder=run_folder, examples=shown)
    for kind, name in (
        ("metrics", METRICS_FILE),
        ("confusion", CONFUSION_FILE),
        ("errors", ERRORS_FILE),
        ("report", REPORT_FILE),
    ):
        channel.artifact(kind, (output / name).resolve())
    return {
        **summary,
        "metrics": str(output / METRICS_FILE),
        "errors": str(output / ERRORS_FILE),
        "report": str(output / REPORT_FILE),
    }


def write_confusion(path: Path, matrix: Matrix, classes: Sequence[LabelClass]) -> None:
    """Write the matrix as CSV: rows are the truth, columns the prediction."""
    names = [item.name for item in classes]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["truth \\ predicted", *names])
        table.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))


def _as_problems(sentences: Iterable[str]) -> list[Problem]:
    return [Problem("scores", sentence, "", "warning") for sentence in sentences]
