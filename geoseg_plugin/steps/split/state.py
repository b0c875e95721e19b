"""What is chosen on the Split page, the job that follows from it, and what is shown of it. No Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...contract import (
    JOB_FILE,
    RECIPE_SUFFIX,
    Area,
    GeoSegError,
    Labels,
    RasterizeJob,
    TileJob,
    default_of,
    read_job,
)
from ...forms.fields import grouped
from ...jobs import prepare
from ...jobs.submission import Submission
from ...panel.texts import as_sentence, split_names, tr

LAYERS, LABELS = "layers:", "labels:"
"""What the split follows, in the list of fields: layers of areas, or a field of the label polygons."""
SPLIT_FIELDS = grouped(TileJob)
IN_PERCENT = ("min_labelled_share", "empty_share")
"""Shares of tiles that the page shows, and projects store, in percent as the shares of the split beside them."""
SHARES = {
    key: round(100 * share)
    for key, share in zip(split_names(), default_of(TileJob, "fractions"), strict=True)
}
"""Split -> its share of the area in percent."""


@dataclass(frozen=True)
class SplitChoices:
    """The Split page.

    Attributes:
        tile_px: side of a tile.
        overlap_percent: of neighbouring tiles.
        fractions: shares of train, validation and test, which sum to 1.
        split_field: field that names the split, `LAYERS`, or `LABELS` and a field of the labels; empty is by blocks.
        split_layer_ids: of train, validation and test, for `LAYERS`.
        options: fields of the group of options.
    """

    tile_px: int
    fractions: tuple[float, float, float]
    overlap_percent: int = 0
    split_field: str = ""
    split_layer_ids: tuple[str, str, str] = ("", "", "")
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def stride_px(self) -> int:
        """Step from one tile to the next in pixels."""
        return max(1, round(self.tile_px * (1 - self.overlap_percent / 100)))

    def submission(self, folder: Path, split_areas: tuple[Area, ...] = ()) -> Submission:
        """Return the job that makes the tiles of a dataset, in the area of its labels.

        Args:
            folder: of the dataset.
            split_areas: areas of train, validation and test, where layers give them.
        """
        stack = folder / prepare.STACK
        job = TileJob(
            stack=str(stack if stack.exists() else stack.with_suffix(RECIPE_SUFFIX)),
            labels=str(folder / prepare.LABELS),
            output=str(folder),
            tile_px=self.tile_px,
            stride_px=self.stride_px if self.overlap_percent else 0,
            fractions=self.fractions,
            area=self.area(folder),
            split_areas=split_areas,
            **self.options,
        )
        return Submission(job, prepare.job_folder(folder, "tile"), "Make tiles")

    def area(self, folder: Path) -> Area:
        """Return the area of a dataset with the field that names the split.

        Args:
            folder: of the dataset.
        """
        area, labels = area_of(folder), labels_of(folder)
        if self.split_field.startswith(LABELS) and labels is not None:
            name = self.split_field.removeprefix(LABELS)
            return Area("polygons", labels.path, labels.layer, split_field=name)
        return area if self.split_field == LAYERS else dataclasses.replace(area, split_field=self.split_field)

    def sentence(self, pixel_size: float, unit: str) -> str:
        """Return what would be made.

        Args:
            pixel_size: of the dataset; 0 if it is not known.
            unit: of the pixel size.
        """
        side = self.tile_px * pixel_size
        size = tr(" ({:g} {})").format(round(side, 6), unit) if side else ""
        text = tr("Tiles of {0} × {0} px{1}, one every {2} px.").format(self.tile_px, size, self.stride_px)
        parts = [text, self._split_sentence()]
        empty, folds = self.options.get("empty_share", 1), self.options.get("folds", 0)
        if empty < 1:
            parts.append(tr("{} % of the empty tiles are kept.").format(round(100 * empty)))
        if folds:
            parts.append(tr("Additionally {} folds.").format(folds))
        return " ".join(parts)

    def _split_sentence(self) -> str:
        if self.split_field == LAYERS:
            return tr("Your layers give the areas of training, validation and test.")
        if self.split_field:
            name = self.split_field.removeprefix(LABELS)
            return tr("Field “{}” names the split.").format(name)
        shares = [round(100 * share) for share in self.fractions]
        return tr("Blocks: {} % train, {} % validation, {} % test.").format(*shares)


def made_sentence(result: Mapping[str, Any]) -> str:
    """Return how many tiles and folds there are.

    Args:
        result: of the job.
    """
    counts = result.get("tile_counts") or {}
    parts = [f"{counts[key]} {name.lower()}" for key, name in split_names().items() if counts.get(key)]
    text = tr("Tiles made: {}.").format(", ".join(parts)) if parts else tr("Tiles made.")
    return f"{text} {tr('{} folds.').format(len(result['folds']))}" if result.get("folds") else text


def split_note(result: Mapping[str, Any]) -> str:
    """Return why blocks have their size, and how far the splits are apart; empty where neither is known.

    Args:
        result: of the job.
    """
    facts = [str(result.get(key) or "") for key in ("block_reason", "split_distance")]
    return "\n".join(as_sentence(item) for item in facts if item)


def rasterize_job(dataset_folder: Path) -> RasterizeJob | None:
    """Return the job that made the labels of a dataset; None without a record."""
    file = prepare.job_folder(dataset_folder, "rasterize") / JOB_FILE
    try:
        job = read_job(file)
    except (OSError, GeoSegError):
        return None
    return job if isinstance(job, RasterizeJob) else None


def area_of(dataset_folder: Path) -> Area:
    """Return the area of the labels of a dataset; the default area without a record."""
    job = rasterize_job(dataset_folder)
    return job.area if job is not None else Area()


def labels_of(dataset_folder: Path) -> Labels | None:
    """Return the label polygons of a dataset; None if its labels are a raster, or without a record."""
    job = rasterize_job(dataset_folder)
    return job.labels if job is not None and job.labels.kind == "polygons" else None


def has_labels(folder: Path) -> bool:
    """Return whether the labels of a dataset are prepared."""
    return (folder / prepare.LABELS).exists() or (folder / "dataset.json").exists()
