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
"""Blocks, for intervals, along the shorter side of a map that was not split."""


def run(job: EvaluateJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Evaluate; write metrics.json, confusion.csv, areas.csv, errors.tif and report.html to the output folder.

    Args:
        job: the evaluation.
        folder: folder of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_to_score` if no labelled pixel has a prediction, `other_classes`; as
            `open_reference_labels`.
    """
    output = folder / job.output
    prepare_folder(output)
    evaluation = (
        evaluate_on_labels(job, folder, output, channel)
        if job.truth
        else evaluate_on_dataset(job, folder, output, channel)
    )
    return write_results(evaluation, output, channel)


def evaluate_on_dataset(job: EvaluateJob, folder: Path, output: Path, channel: Channel) -> Evaluation:
    """Evaluate a model or a map on one split of a dataset.

    Args:
        job: the evaluation.
        folder: folder of the job.
        output: folder of the results.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_to_score`, `other_classes`; as `read_dataset`, `read_model`.
    """
    dataset, dataset_folder = read_dataset(folder / job.dataset)
    started = time.monotonic()
    grid = dataset.recipe.grid
    with ExitStack() as kept:
        if job.model:
            model = read_model(folder / job.model)
            legend, ids_of, other = joined_classes(model.classes, dataset.classes)
            evaluate = partial(evaluate_model, job, model, ids_of, dataset, dataset_folder)
        else:
            of_map = kept.enter_context(open_map(job, folder))
            legend, ids_of, other = map_classes(of_map, dataset.classes)
            evaluate = partial(evaluate_map, folder / job.prediction, of_map, ids_of, grid)
        evaluator = kept.enter_context(split_evaluator(dataset, dataset_folder, job.split, legend))
        scratch = kept.enter_context(tempfile.TemporaryDirectory(prefix=".evaluate-", dir=output))
        given = Path(scratch) / "classes.tif"
        with (
            errors_writer(output / ERRORS_FILE, grid, evaluator) as errors,
            RasterWriter(given, grid, "uint8", IGNORE) as classes,
        ):

            def record(window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None) -> None:
                errors.write(evaluator.add(window, ids, confidence), window)
                classes.write(ids, window)

            facts = evaluate(evaluator, record, channel)
            check_scored(evaluator, f"the split '{job.split}' of the dataset")
        reach_px = facts.pop("reach_px", None)
        found = [*warnings_for(dataset, reach_px), *other, *facts.pop("found")]
        facts |= {"split": job.split, "dataset": dataset.name, "truth": "", "split_note": split_note(dataset)}
        facts["seconds"] = round(time.monotonic() - started, 2)
        shown = example_tiles(replace(dataset, classes=legend), dataset_folder, evaluator, given, channel)
    return Evaluation(evaluator, facts, found, shown, dataset)


def split_note(dataset: Dataset) -> str:
    """Return what a score on a dataset may be compared with; empty for a dataset without a fingerprint."""
    if not dataset.fingerprint:
        return ""
    return (
        f"Compare this score only with scores on the same labels and split "
        f"(split {dataset.fingerprint[:8]}). New labels or new tiles change the evaluated pixels."
    )


def evaluate_map(
    path: Path,
    found: MapSource,
    ids_of: Table,
    grid: Grid,
    evaluator: Evaluator,
    record: Record,
    channel: Channel,
) -> dict[str, Any]:
    """Compare a map with the labels of a dataset, on their pixels.

    Args:
        path: file of the map.
        found: the map.
        ids_of: id of the evaluator for each class of the map.
        grid: pixels of the dataset.
        evaluator: reference labels and counts.
        record: receives every window.
        channel: for progress and cancelling.

    Returns:
        Facts for the metrics.
    """
    with confidence_of(path, found.grid, grid) as confidences:
        evaluate_windows(evaluator, found.on(grid, ids_of), confidences, grid, record, channel)
    return {
        "model": "",
        "prediction": str(path),
        "found": [*found.problems, *resampling_warning(found, grid)],
    }


def evaluate_on_labels(job: EvaluateJob, folder: Path, output: Path, channel: Channel) -> Evaluation:
    """Evaluate a map against any labels.

    Args:
        job: the evaluation.
        folder: folder of the job.
        output: folder of the results.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_to_score`; as `open_map`, `open_reference_labels`.
    """
    started = time.monotonic()
    with open_map(job, folder) as found:
        reference = open_reference_labels(job, folder, found)
        grid = reference.grid
        block_px = max(DEFAULT_BLOCK_PX, -(-min(grid.width, grid.height) // BLOCKS_ACROSS))
        evaluator = Evaluator(reference.ids, reference.classes, grid, block_px)
        path = folder / job.prediction
        overlap = training_overlap(folder / job.made_by, grid, channel) if job.made_by else None
        with (
            errors_writer(output / ERRORS_FILE, grid, evaluator) as errors,
            confidence_of(path, found.grid, grid) as confidences,
        ):

            def record(window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None) -> None:
                kinds = evaluator.add(window, ids, confidence)
                errors.write(kinds, window)
                if overlap is not None:
                    overlap.add(window, kinds != IGNORE)

            evaluate_windows(evaluator, found.on(grid, reference.of_map), confidences, grid, record, channel)
            check_scored(evaluator, f"'{reference.name}'")
        facts = {
            "model": "",
            "prediction": str(path),
            "split": "",
            "dataset": "",
            "truth": reference.name,
            "grid": encode(grid),
            "seconds": round(time.monotonic() - started, 2),
        }
        known = overlap.problems() if overlap is not None else []
        return Evaluation(evaluator, facts, [*known, *found.problems, *reference.warnings()])


def evaluate_windows(
    evaluator: Evaluator,
    ids: Ids,
    confidences: Confidences | None,
    grid: Grid,
    record: Record,
    channel: Channel,
) -> None:
    """Evaluate a map window by window, and its confidence if there is one.

    Args:
        evaluator: reference labels and counts.
        ids: class ids of the map in a window.
        confidences: confidence of the map in a window; None if there is none.
        grid: pixels of the labels.
        record: receives every window with labels.
        channel: for progress and cancelling.
    """
    parts = list(windows(grid, WINDOW_PX))
    for done, window in enumerate(parts):
        channel.progress("evaluate", done, len(parts))
        if (evaluator.reference(window) != IGNORE).any():
            record(window, ids(window), confidences(window) if confidences else None)
    channel.progress("evaluate", len(parts), len(parts))


def errors_writer(path: Path, grid: Grid, evaluator: Evaluator) -> RasterWriter:
    """Return the writer of the raster of errors.

    Args:
        path: the raster.
        grid: pixels of the labels.
        evaluator: decides which kinds of error there are.
    """
    kinds = BINARY_ERRORS if evaluator.binary else CLASS_ERRORS
    return RasterWriter(path, grid, "uint8", IGNORE, ["errors"], kinds)


def check_scored(evaluator: Evaluator, truth: str) -> None:
    """Check that at least one pixel was evaluated.

    Args:
        evaluator: with its counts.
        truth: name of the labels in the message.

    Raises:
        GeoSegError: `nothing_to_score`.
    """
    if not evaluator.matrix.sum():
        raise GeoSegError(
            "nothing_to_score",
            f"No labelled pixel of {truth} has a prediction.",
            "Check that map and labels overlap. Or give the split a larger share, or evaluate another split.",
        )


def example_tiles(
    dataset: Dataset, folder: Path, evaluator: Evaluator, given: Path, channel: Channel
) -> dict[str, list[dict[str, Any]]]:
    """Return the best and worst tiles with their pictures; none if the stack can no longer be read.

    Args:
        dataset: the dataset, with all classes.
        folder: folder that its paths are relative to.
        evaluator: with its counts.
        given: raster of predicted class ids.
        channel: for the log.
    """
    found = best_and_worst(evaluator.tiles, evaluator.binary)
    try:
        with open_dataset_stack(dataset, folder) as stack:
            best, worst = (pictures(tiles, dataset, stack, evaluator.reference, given) for tiles in found)
    except GeoSegError as error:
        channel.log(f"No example tiles are shown: {error.message}", "warning")
        return {"best": [], "worst": []}
    return {"best": best, "worst": worst}
