"""The job `compare`: every model on every band set with every seed, evaluated on one split, ranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from ..channel import Channel
from ..contract import (
    BandSet,
    Cancelled,
    CompareJob,
    Contender,
    Dataset,
    ForestJob,
    GeoSegError,
    TrainJob,
    encode,
    write_json,
)
from ..dataset.datasets import read_dataset
from ..dataset.split.distance import warnings_for
from ..device.faults import DEVICE_LOST
from ..modelfile.reading import read_model
from ..models import NETWORKS, facts
from ..outputs import prepare_folder, whole_file
from ..report.bar_charts import comparison_chart
from ..report.comparison import write_comparison
from . import runs
from .ranking import FinishedRun, close_second, rank, score_name, write_csv
from .seed_ensemble import seed_ensembles

RESULT_FILE, TABLE_FILE, FIGURE_FILE, REPORT_FILE = (
    "comparison.json",
    "comparison.csv",
    "comparison.svg",
    "report.html",
)
RUNS, PHASE = "runs", "comparing"
CONTENDERS = (
    Contender("random forest", baseline=ForestJob("")),
    Contender("U-Net", TrainJob("", architecture="unet")),
    Contender("Attention Res-UNet", TrainJob("", architecture="attention_resunet")),
    Contender("DeepLabV3+", TrainJob("", architecture="deeplabv3plus", encoder="resnet18")),
)
"""Of jobs without models, as they were written before: the names are those of the runs' folders."""
ALL_BANDS = BandSet("all bands")
NODES = ("nodes_splits", "leaf_weights", "nodes_values")
"""What the numbers of a tree are called in a model file."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a comparison: the job that makes its model, and its folder."""

    contender: str
    bands: BandSet
    seed: int
    job: TrainJob | ForestJob
    folder: Path

    @property
    def title(self) -> str:
        """Its name in the log."""
        return f"{self.contender}, {self.bands.name}, seed {self.seed}"


def run(job: CompareJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Train and evaluate every model; write comparison.json, .csv, .svg, report.html and a folder per run.

    A run that fails is reported and skipped. Every finished run is in the files at once, and is not repeated when the
    job is resumed. If the user stops, the result is that of the finished runs.

    Args:
        job: the comparison.
        folder: folder of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_compared` if every run failed, with the first error; `unknown_split`.
        Cancelled: before the first run is finished.
    """
    runs.check_one_process()
    output = (folder / job.output).resolve()
    prepare_folder(output)
    dataset, _ = read_dataset(folder / job.dataset)
    check_bands(job, dataset)
    entries = planned_runs(job, folder, output)
    cells: list[FinishedRun] = []
    networks: list[FinishedRun] = []
    unfinished: list[dict[str, Any]] = []
    result: dict[str, Any] = {}
    cancelled = False
    for number, entry in enumerate(entries):
        try:
            channel.progress(PHASE, number, len(entries))
            cell = train_and_score(
                job, entry, dataset, channel, runs.share_of_progress(channel, PHASE, number, len(entries))
            )
            cells.append(cell)
            networks += [cell] if isinstance(entry.job, TrainJob) else []
        except Cancelled:
            cancelled = True
            break
        except GeoSegError as error:
            if error.code == DEVICE_LOST:  # no other run could use it either; what is finished is kept
                raise
            channel.log(f"{entry.title} failed: {error.message} {error.hint}", "warning")
            unfinished.append(failed_run(entry, error))
        result = save(job, dataset, cells, unfinished, output)
    if not cells:
        raise Cancelled if cancelled else nothing_compared(unfinished)
    if job.together and not cancelled:
        try:
            means = seed_ensembles(job, networks, dataset, output, channel)
            result = save(job, dataset, [*cells, *means], unfinished, output)
        except Cancelled:
            cancelled = True
        except GeoSegError as error:  # the runs themselves are finished
            channel.log(f"The mean of the seeds failed: {error.message} {error.hint}", "warning")
    channel.send("progress", phase=PHASE, done=len(cells) + len(unfinished), total=len(entries), rate="")
    for kind, name in (
        ("comparison", RESULT_FILE),
        ("table", TABLE_FILE),
        ("figure", FIGURE_FILE),
        ("report", REPORT_FILE),
    ):
        channel.artifact(kind, output / name)
    return {**result, "cancelled": cancelled}


def check_bands(job: CompareJob, dataset: Dataset) -> None:
    """Check the names of the bands before anything is trained.

    Args:
        job: the comparison.
        dataset: its dataset.

    Raises:
        GeoSegError: `unknown_band` if a band set names a band that the dataset does not have.
    """
    known = [band.name for band in dataset.recipe.bands]
    for item in job.band_sets:
        unknown = [name for name in item.bands if name not in known]
        if unknown:
            raise GeoSegError(
                "unknown_band",
                f"Band set '{item.name}' names {', '.join(unknown)}; the dataset has {', '.join(known)}.",
                "Choose of the dataset's bands, or make a stack with this band.",
            )


def planned_runs(job: CompareJob, folder: Path, output: Path) -> list[PlannedRun]:
    """Return all runs: seeds outermost, so that the table has all models after the first seed.

    Args:
        job: the comparison.
        folder: folder of the job.
        output: folder of the results.
    """
    names: set[str] = set()
    entries = []
    for seed in job.seeds:
        for bands in job.band_sets or (ALL_BANDS,):
            for contender in job.contenders or CONTENDERS:
                name = runs.folder_name(contender.name, bands.name, f"seed{seed}")
                while name.casefold() in names:
                    name += "-2"
                names.add(name.casefold())
                inner = job_of(job, contender, bands, seed, folder)
                entries.append(PlannedRun(contender.name, bands, seed, inner, output / RUNS / name))
    return entries


def job_of(
    job: CompareJob, contender: Contender, bands: BandSet, seed: int, folder: Path
) -> TrainJob | ForestJob:
    """Return the job of a contender: its own settings, with data, seed, device and time of the comparison.

    Args:
        job: the comparison.
        contender: the model.
        bands: its band set.
        seed: its seed.
        folder: folder of the job.
    """
    common: dict[str, Any] = {"dataset": job.dataset, "bands": bands.bands, "seed": seed}
    if contender.baseline is not None:
        return runs.absolute(replace(contender.baseline, **common), folder)
    network = contender.network or TrainJob("")
    minutes = job.minutes or network.max_minutes
    return runs.absolute(replace(network, **common, device=job.device, max_minutes=minutes), folder)


def train_and_score(
    job: CompareJob, entry: PlannedRun, dataset: Dataset, channel: Channel, progress: runs.Progress
) -> FinishedRun:
    """Train and evaluate one model.

    Args:
        job: the comparison.
        entry: the run.
        dataset: dataset of the comparison.
        channel: for log and cancelling.
        progress: receives the share of the run that is done.

    Raises:
        GeoSegError: of training or evaluation.
        Cancelled: if the user stops.
    """
    trained, evaluated = runs.train_and_evaluate(
        entry.job,
        entry.folder,
        job.split,
        channel,
        entry.title,
        resume=job.resume,
        progress=progress,
        tta=job.tta if isinstance(entry.job, TrainJob) else "none",
    )
    model = entry.folder / runs.MODEL_FILE
    messages = [item["message"] for item in (*trained.get("warnings", ()), *evaluated.get("warnings", ()))]
    of_the_dataset = {item.message for item in dataset.warnings}
    return FinishedRun(
        model=entry.contender,
        bands=entry.bands.name,
        seed=entry.seed,
        folder=str(entry.folder),
        band_names=entry.bands.bands or tuple(band.name for band in dataset.recipe.bands),
        evaluation=evaluated,
        train_s=trained["seconds"],
        size_mb=round(model.stat().st_size / 1e6, 3),
        parameters=parameters_of(model),
        warnings=tuple(text for text in messages if text not in of_the_dataset),
    )


def parameters_of(path: Path) -> int:
    """Return the number of weights of a network, or of the numbers in a baseline's file (means, covariances, nodes)."""
    architecture = read_model(path).architecture
    trained = facts(architecture).parameters if architecture["name"] in NETWORKS else 0
    if trained:
        return trained
    graph = onnx.load(path, load_external_data=False).graph
    held = sum(math.prod(item.dims) for item in graph.initializer)
    attributes = (item for node in graph.node for item in node.attribute)
    return held + sum(len(item.floats) or math.prod(item.t.dims) for item in attributes if item.name in NODES)


def failed_run(entry: PlannedRun, error: GeoSegError) -> dict[str, Any]:
    """Return the row of a run that failed.

    Args:
        entry: the run.
        error: its error.
    """
    return {
        "name": entry.title,
        "model": entry.contender,
        "bands": entry.bands.name,
        "seed": entry.seed,
        "code": error.code,
        "error": error.message,
        "hint": error.hint,
        "folder": str(entry.folder),
    }


def nothing_compared(unfinished: Sequence[Mapping[str, Any]]) -> GeoSegError:
    """Return the error that no run was finished."""
    first = unfinished[0]
    return GeoSegError(
        "nothing_compared",
        f"None of {len(unfinished)} runs came to its end. {first['name']}: {first['error']}",
        str(first["hint"]),
    )


def save(
    job: CompareJob,
    dataset: Dataset,
    cells: Sequence[FinishedRun],
    unfinished: Sequence[Mapping[str, Any]],
    output: Path,
) -> dict[str, Any]:
    """Write all files of the comparison so far.

    Args:
        job: the comparison.
        dataset: its dataset.
        cells: its finished runs.
        unfinished: rows of failed runs.
        output: folder of the results.

    Returns:
        The result as plain data.
    """
    score = score_name(cells)
    rows = rank(cells, score)
    reach_px = None if any(item.network for item in job.contenders or CONTENDERS) else 0
    warnings = [*warnings_for(dataset, reach_px), *close_second(rows)]
    result = encode(
        {
            "rows": rows,
            "score": score,
            "split": job.split,
            "dataset": dataset.name,
            "unfinished": list(unfinished),
            "table": str(output / TABLE_FILE),
            "figure": str(output / FIGURE_FILE),
            "report": str(output / REPORT_FILE),
            "warnings": warnings,
        }
    )
    write_json(output / RESULT_FILE, result)
    write_csv(output / TABLE_FILE, rows)
    drawing = comparison_chart(rows, score, job.split)
    with whole_file(output / FIGURE_FILE) as partial:
        partial.write_text(drawing, encoding="utf-8")
    write_comparison(output / REPORT_FILE, result, dataset, job, drawing)
    return dict(result)
