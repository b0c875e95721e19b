"""Jobs of many trainings: compare models, cross-validate one, search its settings; and what they leave on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract import (
    COMPARABLE,
    COMPARED,
    COMPARED_PRESET,
    DATA_OF_KINDS,
    RELIEF_ATTRIBUTES,
    TERRAIN_ATTRIBUTES,
    Band,
    BandSet,
    CompareJob,
    CrossValidateJob,
    Dataset,
    GeoSegError,
    Problem,
    SearchJob,
    TrainJob,
    contender,
    kept_json,
    known_fields,
)
from .submission import Submission
from .train import job_of

COMPARISON, FOLDS = "comparison.json", "folds"
CONTENDERS = tuple(model.key for model in COMPARABLE)
"""Keys of the models that a comparison can train."""
SEEDS = 42
"""The first of the seeds; each further one is larger by one."""


def compare(
    folder: Path,
    dataset_folder: Path,
    models: Sequence[str],
    band_sets: Sequence[BandSet] = (),
    seeds: int = 1,
    preset: str = COMPARED_PRESET,
    **settings: Any,
) -> Submission:
    """Return the job that trains and evaluates every model on every band set.

    Args:
        folder: of the comparison.
        dataset_folder: whose split is evaluated.
        models: keys of CONTENDERS; none uses COMPARED.
        band_sets: none uses all bands.
        seeds: how many runs each.
        preset: how long one training may take, as TrainJob.preset.
        settings: further fields of CompareJob.
    """
    chosen = tuple(contender(key, preset) for key in models or COMPARED)
    numbers = tuple(range(SEEDS, SEEDS + seeds))
    if band_sets:
        settings["band_sets"] = tuple(band_sets)
    job = CompareJob(str(dataset_folder), chosen, seeds=numbers, **settings)
    return Submission(job, folder, f"Compare {len(chosen)} models")


def again(folder: Path) -> Submission:
    """Return the job that resumes a comparison, cross-validation or search: finished runs are kept.

    Raises:
        GeoSegError: `no_run` if the folder holds none.
    """
    job = job_of(folder)
    if not isinstance(job, (CompareJob, CrossValidateJob, SearchJob)):
        raise GeoSegError("no_run", f"{folder} holds a job of kind {job.kind}.", "Choose a comparison.")
    return Submission(dataclasses.replace(job, resume=True), folder, f"Resume {folder.name}")


def cross_validate(folder: Path, training: TrainJob, **settings: Any) -> Submission:
    """Return the job that trains once per fold of a dataset.

    Args:
        folder: of the cross-validation.
        training: what is trained, and on which dataset.
        settings: further fields of CrossValidateJob.
    """
    return Submission(CrossValidateJob(training, **settings), folder, "Cross-validate")


def search(folder: Path, training: TrainJob, **settings: Any) -> Submission:
    """Return the job that searches settings of a training.

    Args:
        folder: of the search.
        training: what is trained, and on which dataset.
        settings: further fields of SearchJob.
    """
    return Submission(SearchJob(training, **settings), folder, "Search settings")


def fold_count(dataset_folder: Path) -> int:
    """Folds that a dataset has; 0 if it was made without."""
    home = dataset_folder / FOLDS
    return len([path for path in home.glob("*/dataset.json") if path.parent.name.isdigit()])


def band_sets_of(dataset: Dataset) -> tuple[BandSet, ...]:
    """Band sets worth comparing: all bands, each kind of band alone, and all but one kind where there are three."""
    groups: dict[str, list[str]] = {}
    for band in dataset.recipe.bands:
        groups.setdefault(nature(band, dataset), []).append(band.name)
    found = [BandSet("all bands")]
    if len(groups) > 1:
        found += [BandSet(f"{name} only", tuple(bands)) for name, bands in groups.items()]
    if len(groups) > 2:
        every = [band.name for band in dataset.recipe.bands]
        found += [
            BandSet(f"without {name}", tuple(band for band in every if band not in bands))
            for name, bands in groups.items()
        ]
    return tuple(found)


def named_sets(listed: str) -> tuple[BandSet, ...]:
    """`optical = red, nir; all =` as band sets; a name without bands is all of them.

    Raises:
        GeoSegError: `band_sets` where a part has no name.
    """
    found = []
    for part in filter(None, (part.strip() for part in listed.split(";"))):
        name, sign, bands = part.partition("=")
        if not sign or not name.strip():
            raise GeoSegError(
                "band_sets",
                f"The band set '{part}' has no name.",
                "Write it as: optical = red, nir; terrain = slope, curvature",
            )
        names = tuple(item.strip() for item in bands.split(",") if item.strip())
        found.append(BandSet(name.strip(), names))
    return tuple(found)


def unknown_bands(sets: Sequence[BandSet], dataset: Dataset) -> list[Problem]:
    """Return a problem for each set that names a band which the dataset lacks.

    Args:
        sets: band sets of a comparison.
        dataset: whose bands they name.
    """
    known = [band.name for band in dataset.recipe.bands]
    found = []
    for item in sets:
        missing = [name for name in item.bands if name not in known]
        if missing:
            text = f"Band set '{item.name}': the dataset has no band {', '.join(missing)}."
            found.append(Problem("unknown_band", text, f"Choose of: {', '.join(known)}."))
    return found


def nature(band: Band, dataset: Dataset) -> str:
    """Return what kind of data a band is: imagery, terrain, time series or map.

    Args:
        band: of the dataset.
        dataset: with the source of the band.
    """
    kinds = {source.key: source.kind for source in dataset.recipe.sources}
    reliefs = {item.source for item in dataset.recipe.bands if is_terrain(item)}
    if is_terrain(band) or (band.source and band.source in reliefs):
        return "terrain"
    return DATA_OF_KINDS[kinds.get(band.source, "raster")]


def is_terrain(band: Band) -> bool:
    """Whether a band is derived from heights."""
    return band.derive in (*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES)


def read_comparison(folder: Path) -> dict[str, Any]:
    """What a comparison has found so far; empty before its first run is finished."""
    found = kept_json(folder / COMPARISON)
    return known_fields(found) if isinstance(found, dict) else {}
