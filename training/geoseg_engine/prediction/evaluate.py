"""The job `evaluate`: a model or a class raster against held-out labels, with one confusion matrix for all pixels."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import (
    IGNORE,
    SPLITS,
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
from ..modelfile.reading import ModelFile, read_model
from ..outputs import prepare_folder, whole_file
from ..raster.grid import Window, windows
from ..raster.sources import coincide, open_source, source_grid
from ..raster.stream import pump
from ..raster.writer import RasterWriter, read_classes
from ..scores.metrics import Matrix, background_and_object, confusion, score_warnings, scores
from ..scores.report import write_report
from ..stacking.reader import StackReader
from ..stacking.rebind import rebind
from .inference import BandReader, Block, Setup, class_ids, probabilities, set_up

METRICS_FILE, CONFUSION_FILE, ERRORS_FILE, REPORT_FILE = (
    "metrics.json",
    "confusion.csv",
    "errors.tif",
    "report.html",
)
WINDOW_PX = 1024
BINARY_ERRORS = (
    LabelClass(0, "true negative", "", "#f0f0f0"),
    LabelClass(1, "true positive", "", "#1a9641"),
    LabelClass(2, "false positive", "", "#d7191c"),
    LabelClass(3, "false negative", "", "#fdae61"),
)
CLASS_ERRORS = (LabelClass(1, "right", "", "#1a9641"), LabelClass(2, "wrong", "", "#d7191c"))


class Judge:
    """Truth of one split, and the confusion matrix so far."""

    def __init__(self, labels: Any, split: Any, number: int, classes: Sequence[LabelClass]) -> None:
        self._labels, self._split, self._number = labels, split, number
        self.classes = tuple(classes)
        self.binary = background_and_object(classes)
        self.matrix: Matrix = np.zeros((len(classes), len(classes)), np.int64)
        self.unpredicted_px = 0

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """Labels of a window inside the raster; IGNORE outside the split."""
        truth: NDArray[np.uint8] = self._labels.read(1, window=window.rasterio)
        truth[self._split.read(1, window=window.rasterio) != self._number] = IGNORE
        return truth

    def judge(self, truth: NDArray[np.uint8], ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Count a window; returns its errors."""
        self.matrix += confusion(truth, ids, len(self.classes))
        self.unpredicted_px += int(((truth != IGNORE) & (ids == IGNORE)).sum())
        return errors(truth, ids, self.binary)


def run(job: EvaluateJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Judge on one split; leave metrics.json, confusion.csv, errors.tif and report.html in the output folder.

    Raises:
        GeoSegError: `nothing_to_score` if the split holds no labelled pixel, `other_grid`, `other_classes`, …
    """
    output = folder / job.output
    prepare_folder(output)
    dataset, dataset_folder = load_dataset(folder / job.dataset)
    started = time.monotonic()
    with judging(dataset, dataset_folder, job.split) as judge:
        kinds = BINARY_ERRORS if judge.binary else CLASS_ERRORS
        with RasterWriter(
            output / ERRORS_FILE, dataset.recipe.grid, "uint8", IGNORE, ["errors"], kinds
        ) as writer:
            if job.model:
                facts = judge_model(job, folder, dataset, dataset_folder, judge, writer, channel)
            else:
                facts = judge_raster(folder / job.prediction, dataset, judge, writer, channel)
            if not judge.matrix.sum():
                raise GeoSegError(
                    "nothing_to_score",
                    f"The split '{job.split}' of the dataset has no labelled pixel with a prediction.",
                    "Give the split a larger share, or evaluate another one.",
                )
    facts["seconds"] = round(time.monotonic() - started, 2)
    return conclude(job, dataset, judge, facts, output, channel)


@contextmanager
def judging(dataset: Dataset, folder: Path, split: str) -> Iterator[Judge]:
    """Open labels and split rasters."""
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as splits:
        yield Judge(labels, splits, SPLITS.index(split), dataset.classes)


def judge_model(
    job: EvaluateJob,
    folder: Path,
    dataset: Dataset,
    dataset_folder: Path,
    judge: Judge,
    writer: RasterWriter,
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

        def compute(block: Block) -> tuple[Window, NDArray[np.uint8]]:
            nonlocal done
            ids = lut[predicted(setup, block, channel.log)]
            done += 1
            channel.progress("evaluate", done, len(touched))
            return block.cut.core, ids

        def write(part: tuple[Window, NDArray[np.uint8]]) -> None:
            window, ids = part
            writer.write(judge.judge(judge.truth(window), ids), window)

        channel.progress("evaluate", 0, len(touched))
        pump(touched, reader.read, compute, write)
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


def predicted(setup: Setup, block: Block, log: Callable[[str], None]) -> NDArray[np.uint8]:
    """Class ids of a block's core."""
    if not block.valid.any():
        return np.full(block.valid.shape, IGNORE, np.uint8)
    return class_ids(probabilities(setup.runtime, setup.frame, block, log), block.valid)


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
    path: Path, dataset: Dataset, judge: Judge, writer: RasterWriter, channel: Channel
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
            truth = judge.truth(window)
            if (truth == IGNORE).all():
                continue
            raw = raster.read(1, window=window.rasterio)
            ids = np.where((raw >= 0) & (raw < IGNORE) & (raw != nodata), raw, IGNORE).astype(np.uint8)
            writer.write(judge.judge(truth, lut[ids]), window)
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


def class_table(given: Sequence[LabelClass], wanted: Sequence[LabelClass]) -> NDArray[np.uint8]:
    """Lookup table from class ids of a model or raster to those of the dataset, by name.

    Raises:
        GeoSegError: `other_classes` if a class has no namesake.
    """
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    by_name = {item.name: item.id for item in wanted}
    missing = [item.name for item in given if item.name not in by_name]
    if missing:
        raise GeoSegError(
            "other_classes",
            f"The prediction has the classes {', '.join(item.name for item in given)}; the dataset has "
            f"{', '.join(by_name)}.",
            "Evaluate on a dataset with the same class names.",
        )
    for item in given:
        table[item.id] = by_name[item.name]
    return table


def errors(truth: NDArray[np.uint8], ids: NDArray[np.uint8], binary: bool) -> NDArray[np.uint8]:
    """Kinds of error of a window; IGNORE where nothing is judged.

    Binary, one class against a background: 0 true negative, 1 true positive, 2 false positive, 3 false negative.
    Else: 1 right, 2 wrong.
    """
    if binary:
        kinds = np.where(truth == 1, np.where(ids == 1, 1, 3), np.where(ids == 1, 2, 0))
    else:
        kinds = np.where(truth == ids, 1, 2)
    kinds[(truth == IGNORE) | (ids == IGNORE)] = IGNORE
    return kinds.astype(np.uint8)


def conclude(
    job: EvaluateJob, dataset: Dataset, judge: Judge, facts: dict[str, Any], output: Path, channel: Channel
) -> dict[str, Any]:
    """Write metrics, confusion matrix and report; returns the job's result."""
    result = scores(judge.matrix, judge.classes)
    found = [*dataset.warnings, *facts.pop("found"), *_as_problems(score_warnings(result))]
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
        "classes": judge.classes,
        "errors_kind": "true_false" if judge.binary else "right_wrong",
        "split": job.split,
        "dataset": dataset.name,
        "warnings": found,
        **facts,
    }
    write_json(output / METRICS_FILE, summary)
    write_confusion(output / CONFUSION_FILE, judge.matrix, judge.classes)
    write_report(
        output / REPORT_FILE, summary, dataset=dataset, history=history_beside(facts.get("model", ""))
    )
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


def history_beside(model: str) -> Path | None:
    """history.json of the run that made a model, if it still lies beside it."""
    path = Path(model).with_name("history.json") if model else None
    return path if path and path.exists() else None


def write_confusion(path: Path, matrix: Matrix, classes: Sequence[LabelClass]) -> None:
    """Write the matrix as CSV: rows are the truth, columns the prediction."""
    names = [item.name for item in classes]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["truth \\ predicted", *names])
        table.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))


def _as_problems(sentences: Iterable[str]) -> list[Problem]:
    return [Problem("scores", sentence, "", "warning") for sentence in sentences]
