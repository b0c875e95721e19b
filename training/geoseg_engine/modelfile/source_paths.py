"""Where the files lie that a model was trained on: its run's folder knows, the model file does not.

A model is handed on, so it names files without their folders. Beside it, as long as it lies in its run's folder, stand
the record of the run and its job, which name the dataset; that one's recipe has the paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..contract import (
    JOB_FILE,
    Dataset,
    GeoSegError,
    Recipe,
    Source,
    file_exists,
    file_name,
    kept_json,
    read_json,
)

METRICS_FILE, DATASET_FILE = "metrics.json", "dataset.json"
ABOVE = 2
"""Folders above a model's that may hold the job which made it: the means of a comparison lie two below."""


def without_places(recipe: Recipe) -> Recipe:
    """The recipe with the names of its files, as models carry it."""
    return replace(recipe, sources=tuple(_named(source) for source in recipe.sources))


def with_places(recipe: Recipe, model: Path) -> Recipe:
    """The recipe with the paths of its files, where the dataset of the run that a model lies in is at hand.

    Folds of a dataset, and what was labelled anew, have its files too: they are known by their names and by the grid.

    Args:
        recipe: that the model file at `model` carries.
    """
    if all(source.path != file_name(source.path) for source in recipe.sources if source.path):
        return recipe  # of an older version, which carried the paths
    for folder in dataset_folders(model):
        try:
            dataset = read_json(Dataset, folder / DATASET_FILE)
        except (OSError, GeoSegError):
            continue
        if dataset.recipe.grid == recipe.grid:
            homes = {source.key: source for source in dataset.recipe.sources}
            return replace(recipe, sources=tuple(_placed(source, homes, folder) for source in recipe.sources))
    return recipe


def dataset_folders(model: Path) -> Iterator[Path]:
    """Folders that the dataset of a model may lie in, by what stands beside it, likeliest first."""
    metrics = kept_json(model.parent / METRICS_FILE)
    texts = [_text_in(metrics, "provenance", "dataset", "folder")]
    for folder in (model.parent, *model.parent.parents[:ABOVE]):
        for record in (kept_json(folder / JOB_FILE), metrics):
            text = _text_in(record, "job", "dataset") or _text_in(record, "job", "training", "dataset")
            texts.append(str(folder / text) if text else "")
    for text in filter(None, texts):
        if file_exists(text):
            path = Path(text)
            yield path.parent if path.suffix == ".json" else path


def _text_in(record: Any, *keys: str) -> str:
    """The text under a key in a key; empty where a record, of whatever version it is, has none."""
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record if isinstance(record, str) else ""


def _named(source: Source) -> Source:
    return replace(source, path=file_name(source.path), paths=tuple(map(file_name, source.paths)))


def _placed(source: Source, homes: dict[str, Source], folder: Path) -> Source:
    home = homes.get(source.key)
    if home is None or _named(home).path != source.path:
        return source
    path, *paths = (
        str((folder / text).absolute()) if file_exists(str(folder / text)) else text
        for text in (home.path, *home.paths)
    )
    return replace(source, path=path, paths=tuple(paths))
