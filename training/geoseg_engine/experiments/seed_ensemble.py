"""The runs of one model with several seeds as one model: the score of their mean, without further training.

The mean of networks that differ in initial weights and order of crops errs less than each (deep ensembles,
Lakshminarayanan et al. 2017, arXiv:1612.01474); prediction takes as many times longer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..channel import Channel
from ..contract import CompareJob, Dataset, EvaluateJob, encode
from ..modelfile.reading import read_model
from ..outputs import prepare_folder
from . import runs
from .ensemble import write_ensemble
from .ranking import FinishedRun

TOGETHER, MEMBERS_FILE = "together", "members.txt"


def seed_ensembles(
    job: CompareJob, cells: Sequence[FinishedRun], dataset: Dataset, output: Path, channel: Channel
) -> list[FinishedRun]:
    """Return the mean of every model and band set with several finished seeds, evaluated as each of them is.

    Args:
        job: the comparison.
        cells: its finished runs of networks.
        dataset: dataset of the comparison.
        output: folder of the comparison.
        channel: for log and cancelling.
    """
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.bands), []).append(cell)
    return [
        seed_ensemble(job, group, dataset, output, channel) for group in groups.values() if len(group) > 1
    ]


def seed_ensemble(
    job: CompareJob, cells: Sequence[FinishedRun], dataset: Dataset, output: Path, channel: Channel
) -> FinishedRun:
    """Write the mean of some runs unless it exists, and evaluate it.

    Args:
        job: the comparison.
        cells: runs of one model and band set.
        dataset: dataset of the comparison.
        output: folder of the comparison.
        channel: for log and cancelling.
    """
    first = cells[0]
    title = f"{first.model}, {len(cells)} seeds together"
    folder = output / TOGETHER / runs.folder_name(title, first.bands)
    models = [Path(cell.folder) / runs.MODEL_FILE for cell in cells]
    model = folder / runs.MODEL_FILE
    members_file = folder / MEMBERS_FILE
    members = "\n".join(
        f"{path.parent.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in models
    )
    if not (
        job.resume and model.exists() and members_file.exists() and members_file.read_text("utf-8") == members
    ):
        prepare_folder(folder)
        members_file.unlink(missing_ok=True)
        channel.log(f"{title} on {first.bands}: writing the mean of their probabilities.")
        write_ensemble(models, dataset, summary_of(cells), model)
        runs.remove_results(folder, [])
        members_file.write_text(members, "utf-8")
    evaluation = EvaluateJob(job.dataset, str(model), split=job.split, device=job.device, tta=job.tta)
    result = runs.run_or_reuse(evaluation, folder / runs.EVALUATION, channel, title, resume=job.resume)
    return replace(
        first,
        model=title,
        members=tuple(cell.seed for cell in cells),
        folder=str(folder),
        evaluation=result,
        train_s=sum(cell.train_s for cell in cells),
        size_mb=round(model.stat().st_size / 1e6, 3),
        parameters=sum(cell.parameters or 0 for cell in cells),
        warnings=tuple(dict.fromkeys(text for cell in cells for text in cell.warnings)),
    )


def summary_of(cells: Sequence[FinishedRun]) -> dict[str, object]:
    """What the model file of the mean says of its training: validation scores are the members' own."""
    first = read_model(Path(cells[0].folder) / runs.MODEL_FILE)
    return {
        "warnings": encode(first.warnings),
        "classes": [],
        "split": "validation",
        "folds": 0,
        "intervals": {},
        "device": cells[0].evaluation.get("device") or "",
        "seconds": sum(cell.train_s for cell in cells),
        "seeds": [cell.seed for cell in cells],
    }
