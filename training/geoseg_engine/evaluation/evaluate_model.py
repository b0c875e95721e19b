"""Evaluation of a model: it predicts where the split has labels, and is evaluated block by block."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import IGNORE, Dataset, EvaluateJob, Problem
from ..dataset.datasets import open_dataset_stack
from ..device.finding import device_warnings
from ..modelfile.calibration import calibrated
from ..modelfile.reading import ModelFile
from ..prediction.block_reader import BandReader, Block
from ..prediction.inference import Setup, Variants, class_confidence, class_ids, set_up
from ..raster.grid import Window
from ..raster.stream import pump
from ..stacking.reader import StackReader
from ..stacking.rebind import rebind
from .evaluator import Evaluator, Record, lookup_table


def evaluate_model(
    job: EvaluateJob,
    model: ModelFile,
    of_model: NDArray[np.uint8],
    dataset: Dataset,
    dataset_folder: Path,
    evaluator: Evaluator,
    record: Record,
    channel: Channel,
) -> dict[str, Any]:
    """Predict the windows that touch the split, and evaluate them.

    Args:
        job: the evaluation.
        model: the model file.
        of_model: id of the evaluator for each class of the model.
        dataset, dataset_folder: the dataset, and the folder that its paths are relative to.
        evaluator, record: reference labels, and what receives every window.
        channel: for progress, log and cancelling.

    Returns:
        Facts for the metrics.

    Raises:
        GeoSegError: as `model_stack`, `set_up`.
    """
    lut = lookup_table(model.classes, of_model)
    with ExitStack() as files:
        stack = files.enter_context(model_stack(model, dataset, dataset_folder))
        setup = set_up(model, stack, job.device, "auto", 0, 2, channel.log, variants=Variants(job.tta))
        reader = BandReader(stack, model)
        touched = [cut for cut in setup.cuts() if (evaluator.reference(cut.core) != IGNORE).any()]
        channel.log(f"{len(touched)} windows touch the split '{job.split}'.")
        done = 0

        def compute(block: Block) -> tuple[Window, NDArray[np.uint8], NDArray[Any]]:
            nonlocal done
            ids, confidence = predict_classes(setup, block, channel.log)
            done += 1
            channel.progress("evaluate", done, len(touched))
            return block.cut.core, lut[ids], confidence

        channel.progress("evaluate", 0, len(touched))
        pump(touched, reader.read, compute, lambda part: record(*part))
    warnings = [item for item in model.warnings if item not in dataset.warnings]
    own_split = bool(model.fingerprint) and model.fingerprint == dataset.fingerprint
    if not own_split and job.split != "train":
        warnings.append(other_split_warning(model, dataset))
    warnings += device_warnings(setup.runtime.device)
    return {
        "model": str(model.path),
        "prediction": "",
        "runtime": setup.runtime.title,
        "device": str(setup.runtime.device),
        "precision": setup.runtime.precision,
        "trained": model.trained,
        "architecture": model.architecture,
        "calibration": model.calibration,
        "own_split": own_split,
        "reach_px": model.reach_px,
        "found": warnings,
    }


def other_split_warning(model: ModelFile, dataset: Dataset) -> Problem:
    """Return the warning that scores may include pixels that the model was trained on.

    Args:
        model: the model file.
        dataset: the dataset of the evaluation.
    """
    known = bool(model.fingerprint and dataset.fingerprint)
    what = (
        "This model was trained on another split than that of"
        if known
        else "It is not recorded whether this model was trained on the split of"
    )
    return Problem(
        "other_split",
        f"{what} dataset '{dataset.name}': its training pixels may be among the evaluated pixels.",
        "Train again on this dataset, or evaluate on the run's own dataset.",
        "warning",
    )


def predict_classes(
    setup: Setup, block: Block, log: Callable[[str], None]
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the class ids (rows, cols) of a block's core, and the calibrated probability of each, 0 to 1.

    Args:
        setup: the network.
        block: z-scores of one window.
        log: receives a line if a window must be halved.
    """
    if not block.valid.any():
        shape = block.valid.shape
        return np.full(shape, IGNORE, np.uint8), np.zeros(shape, np.float32)
    output = setup.output(block, log)
    confidence = class_confidence(calibrated(output, setup.calibration), output)
    return class_ids(output, block.valid), confidence


def model_stack(model: ModelFile, dataset: Dataset, folder: Path) -> StackReader:
    """Return the dataset's stack if it has the model's bands, else the model's bands made from the dataset's layers.

    Args:
        model: the model file.
        dataset: the dataset.
        folder: folder that its paths are relative to.

    Raises:
        GeoSegError: `missing_bands`; as `open_source`.
    """
    names = {band.name for band in dataset.recipe.bands}
    if all(band.name in names for band in model.recipe.bands):
        return open_dataset_stack(dataset, folder)
    recipe = rebind(model.recipe, dataset.recipe.sources)
    return StackReader(replace(recipe, grid=dataset.recipe.grid))
