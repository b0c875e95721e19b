"""Paths of the files that a model was trained on: its run's folder has them, the model file does not.

A model is shared, so its recipe has file names without folders. As long as it is in its run's folder, the record of
the run and its job are beside it and name the dataset, whose recipe has the paths.
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
"""Folders above a model's that may hold its job: averaged models of a comparison are two below."""


def without_folders(recipe: Recipe) -> Recipe:
    """Return the recipe with the names of its files, as models store it."""
    return replace(recipe, sources=tuple(_without_folder(source) for source in recipe.sources))


def with_folders(recipe: Recipe, model: Path) -> Recipe:
    """Return the recipe with the paths of its files, where the dataset of the model's run can be read.

    Folds of a dataset, and new labels of it, have its files too: they are recognised by file names and grid.

    Args:
        recipe: of the model file.
        model: path of the model file.
    """
    if all(source.path != file_name(source.path) for source in recipe.sources if source.path):
        return recipe  # of an older version, which stored the paths
    for folder in dataset_folders(model):
        try:
            dataset = read_json(Dataset, folder / DATASET_FILE)
        except (OSError, GeoSegError):
            continue
        if dataset.recipe.grid == recipe.grid:
            homes = {source.key: source for source in dataset.recipe.sources}
            return replace(
                recipe, sources=tuple(_with_folder(source, homes, folder) for source in recipe.sources)
            )
    return recipe


def dataset_folders(model: Path) -> Iterator[Path]:
    """Yield the folders that may hold the dataset of a model, by the files beside it, the most likely first."""
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
    """The text under nested keys; empty where a record, of any version, has none."""
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record if isinstance(record, str) else ""


def _without_folder(source: Source) -> Source:
    return replace(source, path=file_name(source.path), paths=tuple(map(file_name, source.paths)))


def _with_folder(source: Source, homes: dict[str, Source], folder: Path) -> Source:
    home = homes.get(source.key)
    if home is None or _without_folder(home).path != source.path:
        return source
    path, *paths = (
        str((folder / text).absolute()) if file_exists(str(folder / text)) else text
        for text in (home.path, *home.paths)
    )
    return replace(source, path=path, paths=tuple(paths))
