"""From a stack and a label raster to a dataset of tiles, split in space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..contract import TileJob
from .prepare import LABELS, STACK, job_folder
from .submission import Submission


def tiles(
    dataset_folder: Path, stack_path: Path | None = None, labels_path: Path | None = None, **settings: Any
) -> Submission:
    """Write dataset.json, tiles.gpkg and split.tif to the dataset's folder.

    Args:
        dataset_folder: of the dataset.
        stack_path, labels_path: those that `prepare.dataset` writes there if they are left out.
        settings: further fields of TileJob.
    """
    job = TileJob(
        stack=str(stack_path or dataset_folder / STACK),
        labels=str(labels_path or dataset_folder / LABELS),
        output=str(dataset_folder),
        **settings,
    )
    return Submission(job, job_folder(dataset_folder, "tile"), "Make tiles")
