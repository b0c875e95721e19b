"""The final model: trained once more on all labels, with the settings and the length that validation found."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from ..contract import (
    IGNORE,
    MODEL_FILE,
    SPLITS,
    ForestJob,
    GeoSegError,
    LabelClass,
    Problem,
    TrainJob,
    kept_json,
)
from ..dataset.datasets import fingerprint, read_dataset, relative_to, save_dataset
from ..dataset.split.splitters import NONE, TRAIN
from ..outputs import prepare_folder, whole_file
from ..raster.grid import windows
from ..raster.writer import RasterWriter

SPLIT_FILE = "split.tif"
WINDOW_PX = 1024
COLOURS = ("#377eb8", "#ff7f00", "#e41a1c")
NOTE = Problem(
    "trained_on_all_labels",
    "The model was trained on all labels, test areas too: its scores are those of the model that left them out.",
    "For a score of this model itself, collect reference points.",
    "warning",
)


def write_all_labels(dataset: Path, output: Path) -> None:
    """Write a dataset of the same labels in which every labelled pixel is for training.

    Args:
        dataset: folder of the dataset.
        output: folder of the new one.

    Raises:
        GeoSegError: as `read_dataset`, `whole_file`.
    """
    found, folder = read_dataset(dataset)
    prepare_folder(output)
    grid = found.recipe.grid
    legend = tuple(
        LabelClass(index, name, "", colour)
        for index, (name, colour) in enumerate(zip(SPLITS, COLOURS, strict=True))
    )
    labels = folder / found.labels
    with whole_file(output / SPLIT_FILE) as path:
        with (
            rasterio.open(labels) as raster,
            RasterWriter(path, grid, "uint8", NONE, ("split",), legend) as writer,
        ):
            for window in windows(grid, WINDOW_PX):
                ids = raster.read(1, window=window.rasterio)
                writer.write(np.where(ids == IGNORE, NONE, TRAIN).astype(np.uint8), window)
        mark = fingerprint(labels, path)
    sums = {
        item: sum(split.get(item, 0) for split in found.counts.values()) for item in found.counts[SPLITS[0]]
    }
    nothing = dict.fromkeys(sums, 0)
    everything = replace(
        found,
        labels=relative_to(labels, output),
        split=SPLIT_FILE,
        tiles=relative_to(folder / found.tiles, output),
        stack=relative_to(folder / found.stack, output) if found.stack else "",
        counts={name: sums if name == SPLITS[TRAIN] else nothing for name in SPLITS},
        warnings=(*found.warnings, NOTE),
        fingerprint=mark,
        split_distance_px=0.0,
    )
    save_dataset(everything, output)


def final_job(job: TrainJob | ForestJob, run_folder: Path, dataset: Path) -> TrainJob | ForestJob:
    """Return the job that trains on all labels as an earlier run did on the training areas.

    Args:
        job: of the earlier run.
        run_folder: of the earlier run, with its model and metrics.json.
        dataset: folder of the dataset of all labels.

    Raises:
        GeoSegError: `no_run` where the earlier run has left no record of its settings.
    """
    common: dict[str, Any] = {"dataset": str(dataset), "settings_from": str(run_folder / MODEL_FILE)}
    if isinstance(job, ForestJob):
        return replace(job, **common)
    metrics = kept_json(run_folder / "metrics.json")
    plan = metrics.get("plan") if isinstance(metrics, dict) else None
    epochs = metrics.get("best_epoch") if isinstance(metrics, dict) else None
    if not isinstance(plan, dict) or not isinstance(epochs, int) or epochs < 1:
        raise GeoSegError(
            "no_run",
            f"{run_folder} has no metrics.json with the settings of its run.",
            "Train the model again.",
        )
    fields = {item.name for item in dataclasses.fields(TrainJob)}
    kept = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plan.items()
        if name in fields
    }
    return replace(
        job,
        **{
            **kept,
            **common,
            "ema_decay": plan.get("average"),
            "epochs": epochs,
            "patience": 0,
            "max_minutes": 0.0,
        },
    )
