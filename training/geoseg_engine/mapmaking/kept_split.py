"""The test areas of a map stay where they were drawn, so that scores before and after a correction compare."""

from __future__ import annotations

from pathlib import Path

from ..contract import GeoSegError, LabelClass, Source
from ..dataset.datasets import FILE, read_dataset
from ..dataset.labels.rasterize import read_facts
from ..dataset.split.kept import BLOCKS_FILE, kept_plan
from ..raster.sources import open_source, source_grid


def split_to_keep(dataset: Path, labels: Path, why: str) -> tuple[Path | None, str | None]:
    """Return the blocks to keep.

    Args:
        dataset: folder of the dataset as it was made last.
        labels: the label raster as it is now.
        why: the reason to draw them anew, if there is one already.

    Returns:
        Path of the blocks, None to draw them; and why they are drawn anew, None where there were none.
    """
    path = dataset / BLOCKS_FILE
    if not path.exists() or not (dataset / FILE).exists():
        return None, None
    if why:
        return None, why
    source = Source("labels", str(labels), labels.stem)
    try:
        with open_source(source) as raster:
            kept_plan(path, source_grid(source, raster))
        before, _ = read_dataset(dataset)
    except GeoSegError as error:
        if error.code == "other_grid":
            return None, "the area or its grid has changed"
        return None, f"the split of the last time cannot be read ({error.message})"
    if names(before.classes) != names(read_facts(labels).classes):
        return None, "the classes have changed"
    return path, None


def names(classes: tuple[LabelClass, ...]) -> list[tuple[int, str]]:
    """Return ids and names of classes."""
    return [(item.id, item.name) for item in classes]
