"""One run of an experiment: a job in a folder of its own, done once, taken up again where it was broken off.

A run's folder holds what any job's folder holds (`job.json`, `events.jsonl`, the results), so that it can be looked
at and done again by hand; and `result.json`, written last: a run is finished where that says that it is of the job
and the dataset that are wanted now.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from .. import __version__
from ..baselines import fit as baseline
from ..channel import Channel, has_others
from ..contract import (
    CANCEL_FILE,
    EVENTS_FILE,
    JOB_FILE,
    PROTOCOL,
    SAVING_PHASE,
    Cancelled,
    EvaluateJob,
    ForestJob,
    GeoSegError,
    TrainJob,
    Views,
    encode,
    job_to_json,
    kept_json,
    parse_event,
    read_job,
    write_json,
)
from ..device.faults import fault_of
from ..evaluation import evaluate
from ..outputs import prepare_folder
from ..training import checkpoint, fit

RESULT_FILE = "result.json"
MODEL_FILE, EVALUATION = "model.onnx", "evaluation"
TRAINING_SHARE = 0.9
"""Share of a run's progress that is its training; the rest is its evaluation."""
EARLIER_FILES = ("resume_mismatch", "bad_checkpoint")
"""Failures of a run that goes on from a checkpoint which is not its own."""

RunJob = TrainJob | ForestJob | EvaluateJob
Given = TypeVar("Given", TrainJob, ForestJob)
Progress = Callable[[float], None]
EpochWatch = Callable[[Mapping[str, Any]], None]


class EndedEarly(GeoSegError):
    """Raised by who watches the epochs of a run, to end it: it is not worth its time. No error to show."""

    def __init__(self, why: str) -> None:
        super().__init__("ended_early", why)


class RunChannel(Channel):
    """The voice of a run: writes its own events.jsonl, and tells the experiment's channel what matters there.

    Epochs and log lines become log lines of the experiment, shares of the work its progress. A wish to cancel the
    experiment is one to cancel the run.
    """

    def __init__(
        self,
        folder: Path,
        outer: Channel,
        title: str,
        progress: Progress,
        watch: EpochWatch | None = None,
    ) -> None:
        super().__init__(folder)
        self._outer, self._title = outer, title
        self._progress, self._watch = progress, watch

    def send(self, event_type: str, /, **fields: Any) -> None:
        """Record one event, and pass on what the experiment should say of it.

        Raises:
            EndedEarly: by the one who watches the epochs.
        """
        super().send(event_type, **fields)
        if event_type == "epoch":
            self._outer.log(f"{self._title}: {epoch_text(fields)}")
            self._progress(fields["epoch"] / max(fields["epochs"], 1))
            if self._watch:
                self._watch(fields)
        elif event_type == "log":
            self._outer.log(f"{self._title}: {fields['text']}", fields["level"])
        elif event_type == "hello" and fields["device"]:
            self._outer.send(event_type, **fields)
        elif event_type == "progress" and fields["phase"] == SAVING_PHASE:
            self._progress(1.0)

    def cancelled(self) -> bool:
        """Return whether the user stopped this run or the whole experiment."""
        return super().cancelled() or self._outer.cancelled()


def check_one_process() -> None:
    """Raise `many_processes` in an experiment that torchrun starts several times: its runs share their folders."""
    if has_others():
        raise GeoSegError(
            "many_processes",
            "An experiment was started as several processes.",
            "Start it once; several processes are for a single training.",
        )


def run_or_reuse(
    job: RunJob,
    folder: Path,
    outer: Channel,
    title: str,
    *,
    resume: bool = True,
    progress: Progress = lambda share: None,
    watch: EpochWatch | None = None,
) -> dict[str, Any]:
    """Do a job in a folder of its own, or read what it gave when it was done before.

    Args:
        job: its paths are absolute; its results come into the folder.
        folder: of the run.
        outer: channel of the experiment.
        title: the run's name in log lines.
        resume: keep it if it is finished, go on with it if it was broken off.
        progress: receives the share that is done, 0 to 1.
        watch: receives every epoch; may raise EndedEarly.

    Returns:
        The job's result as plain data, with `seconds`, the time it took in all sessions.

    Raises:
        GeoSegError: of the job; `out_of_memory`.
        Cancelled: where the user stopped it; what it has is kept for another time.
        EndedEarly: by `watch`.
    """
    digest = dataset_digest(job.dataset)
    known = resume and same_job(folder, job)
    if known and (done := finished_result(folder, digest)) is not None:
        return done
    prepare_folder(folder)
    remove_results(folder, [CANCEL_FILE] if known else [CANCEL_FILE, checkpoint.FILE, EVENTS_FILE])
    write_json(folder / JOB_FILE, job_to_json(job))
    channel = RunChannel(folder, outer, title, progress, watch)
    with run_events(channel):
        result = encode(resume_or_run(job, folder, channel, known))
    result = {**result, "seconds": busy_seconds(folder / EVENTS_FILE)}
    write_json(folder / RESULT_FILE, {"dataset": digest, "result": result})
    return cast(dict[str, Any], result)


def train_and_evaluate(
    job: TrainJob | ForestJob,
    folder: Path,
    split: str,
    outer: Channel,
    title: str,
    *,
    resume: bool = True,
    progress: Progress = lambda share: None,
    tta: Views = "none",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train, then evaluate the model on a split, in the folder `evaluation` inside.

    Args:
        job: the training.
        folder: folder of the run.
        split: split to evaluate on.
        outer: channel of the experiment.
        title: name of the run in the log.
        resume: whether to reuse what is finished.
        progress: receives the share of the run that is done.
        tta: test-time augmentation of the evaluation.

    Returns:
        Results of training and evaluation.

    Raises:
        GeoSegError: of training or evaluation.
        Cancelled: if the user stops.
    """

    def so_far(share: float) -> None:
        progress(TRAINING_SHARE * share)

    trained = run_or_reuse(job, folder, outer, title, resume=resume, progress=so_far)
    device = job.device if isinstance(job, TrainJob) else "auto"
    evaluating = EvaluateJob(job.dataset, str(folder / MODEL_FILE), split=split, device=device, tta=tta)
    evaluated = run_or_reuse(evaluating, folder / EVALUATION, outer, title, resume=resume)
    progress(1.0)
    return trained, evaluated


def share_of_progress(outer: Channel, phase: str, number: int, total: int) -> Progress:
    """Return a function that reports the experiment's progress from the share of one run that is done.

    Args:
        outer: channel of the experiment.
        phase: name of the progress.
        number: number of the run, from 0.
        total: number of runs.
    """

    def report(share: float) -> None:
        outer.send("progress", phase=phase, done=round(number + share, 3), total=total, rate="")

    return report


def remove_results(folder: Path, names: list[str]) -> None:
    """Remove files of an earlier run, and every result that was made from it.

    Args:
        folder: folder of the run.
        names: names of its files.
    """
    for path in (*(folder / name for name in names), *folder.rglob(RESULT_FILE)):
        path.unlink(missing_ok=True)


def resume_or_run(job: RunJob, folder: Path, channel: Channel, known: bool) -> dict[str, Any]:
    """Run a job; from its checkpoint if there is one of the same job and it can be resumed.

    Args:
        job: the job.
        folder: folder of the run.
        channel: channel of the run.
        known: whether the folder holds the same job.

    Raises:
        GeoSegError: of the job.
        Cancelled: if the user stops.
    """
    if not isinstance(job, TrainJob):
        return run_job(job, folder, channel)
    going_on = known and (folder / checkpoint.FILE).exists()
    try:
        result = run_job(replace(job, resume=going_on), folder, channel)
    except GeoSegError as error:
        if not going_on or error.code not in EARLIER_FILES:
            raise
        channel.log(f"{error.message} It is trained anew.", "warning")
        result = run_job(job, folder, channel)
    if result["cancelled"]:
        raise Cancelled
    return result


def run_job(job: RunJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Run a job of any kind that experiments use.

    Args:
        job: a training or an evaluation.
        folder: folder of the run.
        channel: channel of the run.

    Raises:
        GeoSegError: of the job; `out_of_memory`, `out_of_gpu_memory`, `device_lost`.
    """
    try:
        if isinstance(job, TrainJob):
            return fit.run(job, folder, channel)
        if isinstance(job, EvaluateJob):
            return evaluate.run(job, folder, channel)
        return baseline.run(job, folder, channel)
    except (MemoryError, RuntimeError) as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error


@contextmanager
def run_events(channel: Channel) -> Iterator[None]:
    """Begin the events of a run with `hello`, end them with `done` or `failed`, like those of any job, and close."""
    channel.send("hello", protocol=PROTOCOL, engine=__version__, versions={}, device="", device_memory_mb=0)
    try:
        yield
    except EndedEarly as ended:
        channel.send("done", result={"ended_early": ended.message})
        raise
    except GeoSegError as error:
        channel.fail(error)
        raise
    else:
        channel.send("done", result={})
    finally:
        channel.close()


def same_job(folder: Path, job: RunJob) -> bool:
    """Return whether the job.json of a folder holds the same job, also under former names of fields.

    Args:
        folder: folder of the run.
        job: the job.
    """
    try:
        return job_to_json(read_job(folder / JOB_FILE)) == job_to_json(job)
    except (OSError, GeoSegError):
        return False


def finished_result(folder: Path, digest: str) -> dict[str, Any] | None:
    """Return the result of a finished run.

    Args:
        folder: folder of the run.
        digest: as of `dataset_digest`.

    Returns:
        The result; None if the run is not finished, or if the dataset has changed.
    """
    found = kept_json(folder / RESULT_FILE)
    if not isinstance(found, dict) or found.get("dataset") != digest:
        return None
    result = found.get("result")
    return result if isinstance(result, dict) else None


def dataset_digest(path: str) -> str:
    """Return the SHA-256 of dataset.json, which changes with bands, labels and split.

    Raises:
        GeoSegError: `no_dataset`.
    """
    file = Path(path) / "dataset.json" if Path(path).is_dir() else Path(path)
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise GeoSegError("no_dataset", f"There is no dataset at {path}.", "Make tiles first.") from error


def busy_seconds(events: Path) -> float:
    """Return the time that a run took without the breaks between its sessions; each session begins with `hello`."""
    total, before = 0.0, None
    for line in events.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = parse_event(line)
        except GeoSegError:  # the last line before a kill
            continue
        moment = event.get("t", before)
        if before is not None and moment is not None and event["type"] != "hello":
            total += moment - before
        before = moment
    return round(total, 2)


def absolute(job: Given, folder: Path) -> Given:
    """Return a job with absolute paths, results in its own folder, and without a dry run.

    Args:
        job: a training or baseline.
        folder: folder that its paths are relative to.
    """
    changes: dict[str, Any] = {
        "dataset": str((folder / job.dataset).resolve()),
        "output": ".",
        "dry_run": False,
    }
    if isinstance(job, TrainJob):
        changes["resume"] = False
        for name in ("weights", "start_from"):
            text = getattr(job, name)
            if text and (folder / text).exists():
                changes[name] = str((folder / text).resolve())
    return replace(job, **changes)


def folder_name(*parts: str) -> str:
    """Return a name for a run's folder that is valid on every file system."""
    return "_".join(re.sub(r"[^\w.-]+", "-", part.strip()).strip("-.") or "x" for part in parts)


def epoch_text(fields: Mapping[str, Any]) -> str:
    """`epoch 3 of 60, loss 0.41, mean IoU 0.70`."""
    parts = [f"epoch {fields['epoch']} of {fields['epochs']}", f"loss {fields['train_loss']:.3g}"]
    if fields.get("miou") is not None:
        parts.append(f"mean IoU {fields['miou']:.3f}")
    return ", ".join(parts)
