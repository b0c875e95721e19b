"""From a stack and a label raster to a dataset of tiles, split in space."""

from __future__ import annotations

from pathlib import Path

from ..contract import Area, TileJob
from .prepare import LABELS, STACK, job_folder
from .submission import Submission

DEFAULT_FRACTIONS = (0.65, 0.15, 0.20)


def tiles(
    dataset_folder: Path,
    tile_px: int = 64,
    stride_px: int = 0,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    block_px: int = 0,
    buffer_px: int = -1,
    area: Area | None = None,
    seed: int = 42,
    stack_path: Path | None = None,
    labels_path: Path | None = None,
    split_areas: tuple[Area, ...] = (),
    min_labelled_share: float = 0.0,
    empty_share: float = 1.0,
    folds: int = 0,
) -> Submission:
    """Write dataset.json, tiles.gpkg and split.tif to the dataset's folder.

    `stack_path` and `labels_path` default to the files that `prepare.dataset` writes there. The other
    arguments are fields of the contract's TileJob.
    """
    job = TileJob(
        stack=str(stack_path or dataset_folder / STACK),
        labels=str(labels_path or dataset_folder / LABELS),
        tile_px=tile_px,
        stride_px=stride_px,
        fractions=fractions,
        block_px=block_px,
        buffer_px=buffer_px,
        area=area or Area(),
        seed=seed,
        output=str(dataset_folder),
        split_areas=split_areas,
        min_labelled_share=min_labelled_share,
        empty_share=empty_share,
        folds=folds,
    )
    return Submission(job, job_folder(dataset_folder, "tile"), "Make tiles")
