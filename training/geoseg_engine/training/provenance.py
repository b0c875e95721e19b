"""Where a model comes from: versions, machine, data and time, enough to tell why two runs differ."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import Any

from .. import __version__
from ..contract import Dataset
from ..versions import installed_versions


def provenance(dataset: Dataset, folder: Path, seconds: float) -> dict[str, Any]:
    """Facts for metrics.json and the model; job, plan, seed and device stand beside them.

    Args:
        dataset: what was trained on.
        folder: the dataset's; paths of sources are relative to it.
        seconds: wall time of the run up to now, in this process.
    """
    return {
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "versions": {"geoseg": __version__, "python": platform.python_version(), **installed_versions()},
        "platform": platform.platform(),
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "folder": str(folder),
            "files": source_files(dataset, folder),
        },
    }


def source_files(dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Path, size and time of change of every file the stack is made of; without size where it is no file."""
    paths = [path for source in dataset.recipe.sources for path in (source.path, *source.paths)]
    return [_file(path, folder) for path in dict.fromkeys([*paths, dataset.labels, dataset.split]) if path]


def _file(path: str, folder: Path) -> dict[str, Any]:
    place = folder / path
    try:
        facts = place.stat()
    except (OSError, ValueError):
        return {"path": path}
    changed = datetime.datetime.fromtimestamp(facts.st_mtime, datetime.UTC)
    return {"path": path, "bytes": facts.st_size, "changed": changed.isoformat(timespec="seconds")}
