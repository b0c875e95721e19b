"""The job `evaluate`: a model or any map of classes against labels, with one confusion matrix for all pixels.

Against the held-out labels of a dataset, on its pixels; or against any labels, on the pixels of the map (see
`reference_labels`).
A map on other pixels than the dataset's is compared by the pixel that holds the centre, and that is said: who has a
map and labels wants to know how well they agree, whatever grid the map was made on.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import IGNORE, Dataset, EvaluateJob, GeoSegError, Grid, encode
from ..dataset.datasets import open_dataset_stack, read_dataset
from ..dataset.split.distance import warnings_for
from ..modelfile.reading import read_model
from ..outputs import prepare_folder
from ..raster.grid import Window, windows
from ..raster.writer import RasterWriter
from ..scores.intervals import DEFAULT_BLOCK_PX
from .evaluate_model import evaluate_model
from .evaluator import BINARY_ERRORS, CLASS_ERRORS, Evaluator, Record, joined_classes, split_evaluator
from .examples import best_and_worst, pictures
from .map_confidence import Confidences, confidence_of
from .map_source import Ids, MapSource, Table, map_classes, open_map, resampling_warning
from .reference_labels import open_reference_labels
from .summary import ERRORS_FILE, Evaluation, write_results
from .training_overlap import training_overlap

WINDOW_PX = 1024
BLOCKS_ACROSS = 10
"""Blocks, for intervals, along the shorter side of ground that was not split."""


def run(job: EvaluateJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Judge; leave metrics.json, confusion.csv, areas.csv, errors.tif and report.html in the output folder.

    Raises:
        GeoSegError: `nothing_to_score` if no labelled pixel has a prediction, `other_classes`; as
        `open_reference_labels`.
    """
    output = folder / job.output
    prepare_folder(output)
    judged = (
        evaluate_on_labels(job, folder, output, channel)
        if job.truth
        else evaluate_on_dataset(job, folder, output, channel)
    )
    return write_results(judged, output, channel)


def evaluate_on_dataset(job: EvaluateJob, folder: Path, output: Path, channel: Channel) -> Evaluation:
    """Judge a model or a map on one split of a dataset."""
    dataset, dataset_folder = read_dataset(folder / job.dataset)
    started = time.monotonic()
    grid = dataset.recipe.grid
    with ExitStack() as kept:
        if job.model:
            model = read_model(folder / job.model)
            legend, ids_of, other = joined_classes(model.classes, dataset.classes)
            judged = partial(evaluate_model, job, model, ids_of, dataset, dataset_folder)
        else:
            of_map = kept.enter_context(open_map(job, folder))
            legend, ids_of, other = map_classes(of_map, dataset.classes)
            judged = partial(evaluate_map, folder / job.prediction, of_map, ids_of, grid)
        judge = kept.enter_context(split_evaluator(dataset, dataset_folder, job.split, legend))
        scratch = kept.enter_context(tempfile.TemporaryDirectory(prefix=".evaluate-", dir=output))
        given = Path(scratch) / "classes.tif"
        with (
            errors_writer(output / ERRORS_FILE, grid, judge) as errors,
            RasterWriter(given, grid, "uint8", IGNORE) as classes,
        ):

            def record(window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None) -> None:
                errors.write(judge.judge(window, ids, confidence), window)
                classes.write(ids, window)

            facts = judged(judge, record, channel)
            check_scored(judge, f"the split '{job.split}' of the dataset")
        reach_px = facts.pop("reach_px", None)
        found = [*warnings_for(dataset, reach_px), *other, *facts.pop("found")]
        facts |= {"split": job.split, "dataset": dataset.name, "truth": "", "split_note": split_note(dataset)}
        facts["seconds"] = round(time.monotonic() - started, 2)
        shown = example_tiles(replace(dataset, classes=legend), dataset_folder, judge, given, channel)
    return Evaluation(judge, facts, found, shown, dataset)


def split_note(dataset: Dataset) -> str:
    """What a score on a dataset may be compared with: each making of tiles draws other test pixels."""
    if not dataset.fingerprint:
        return ""
    return (
        f"Compare this score only with others on the same labels and split (split {dataset.fingerprint[:8]}): after "
        "new labels or new tiles other pixels are judged."
    )


def evaluate_map(
    path: Path,
    found: MapSource,
    ids_of: Table,
    grid: Grid,
    judge: Evaluator,
    record: Record,
    channel: Channel,
) -> dict[str, Any]:
    """Compare a map with the dataset's labels, on their pixels; `ids_of` is the judge's id of each class of the map.

    Returns facts for the metrics.
    """
    with confidence_of(path, found.grid, grid) as confidences:
        evaluate_windows(judge, found.on(grid, ids_of), confidences, grid, record, channel)
    return {
        "model": "",
        "prediction": str(path),
        "found": [*found.problems, *resampling_warning(found, grid)],
    }


def evaluate_on_labels(job: EvaluateJob, folder: Path, output: Path, channel: Channel) -> Evaluation:
    """Judge a map by any labels."""
    started = time.monotonic()
    with open_map(job, folder) as found:
        truth = open_reference_labels(job, folder, found)
        grid = truth.grid
        block_px = max(DEFAULT_BLOCK_PX, -(-min(grid.width, grid.height) // BLOCKS_ACROSS))
        judge = Evaluator(truth.ids, truth.classes, grid, block_px)
        path = folder / job.prediction
        seen = training_overlap(folder / job.made_by, grid, channel) if job.made_by else None
        with (
            errors_writer(output / ERRORS_FILE, grid, judge) as errors,
            confidence_of(path, found.grid, grid) as confidences,
        ):

            def record(window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None) -> None:
                kinds = judge.judge(window, ids, confidence)
                errors.write(kinds, window)
                if seen is not None:
                    seen.add(window, kinds != IGNORE)

            evaluate_windows(judge, found.on(grid, truth.of_map), confidences, grid, record, channel)
            check_scored(judge, f"'{truth.name}'")
        facts = {
            "model": "",
            "prediction": str(path),
            "split": "",
            "dataset": "",
            "truth": truth.name,
            "grid": encode(grid),
            "seconds": round(time.monotonic() - started, 2),
        }
        said = seen.problems() if seen is not None else []
        return Evaluation(judge, facts, [*said, *found.problems, *truth.told()])


def evaluate_windows(
    judge: Evaluator, ids: Ids, confidences: Confidences | None, grid: Grid, record: Record, channel: Channel
) -> None:
    """Judge a map window by window, and its confidence where there is one."""
    parts = list(windows(grid, WINDOW_PX))
    for done, window in enumerate(parts):
        channel.progress("evaluate", done, len(parts))
        if (judge.truth(window) != IGNORE).any():
            record(window, ids(window), confidences(window) if confidences else None)
    channel.progress("evaluate", len(parts), len(parts))


def errors_writer(path: Path, grid: Grid, judge: Evaluator) -> RasterWriter:
    """The raster of errors."""
    kinds = BINARY_ERRORS if judge.binary else CLASS_ERRORS
    return RasterWriter(path, grid, "uint8", IGNORE, ["errors"], kinds)


def check_scored(judge: Evaluator, truth: str) -> None:
    """Raise if no pixel was judged.

    Raises:
        GeoSegError: `nothing_to_score`.
    """
    if not judge.matrix.sum():
        raise GeoSegError(
            "nothing_to_score",
            f"No labelled pixel of {truth} has a prediction.",
            "Do map and labels lie on the same ground? Or give the split a larger share, or evaluate another one.",
        )


def example_tiles(
    dataset: Dataset, folder: Path, judge: Evaluator, given: Path, channel: Channel
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
