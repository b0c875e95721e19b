"""One stage of a map: a job in a folder of its own, whose progress is a part of the map's."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ..channel import Channel
from ..contract import (
    CANCEL_FILE,
    JOB_FILE,
    EvaluateJob,
    ForestJob,
    Job,
    TrainJob,
    encode,
    job_to_json,
    write_json,
)
from ..contract.stages import STAGES
from ..experiments.runs import resume_or_run, run_events, same_job
from ..output_checks import check_outputs
from ..outputs import prepare_folder

TRAINED = (TrainJob, ForestJob)


class Bar:
    """The progress of a map over the stages that are to be done; each has the share of the time that it takes."""

    def __init__(self, outer: Channel, seconds: dict[str, float]) -> None:
        """Share out the bar.

        Args:
            outer: channel of the map.
            seconds: key of a stage that is to be done -> what it may take.
        """
        self.outer = outer
        self._seconds = seconds
        self._done: set[str] = set()

    def report(self, key: str, phase: str, share: float) -> None:
        """Send the progress of the map.

        Args:
            key: of the stage that is being done.
            phase: of its job.
            share: of the stage that is done, 0 to 1.
        """
        total = sum(self._seconds.values()) or 1.0
        done = sum(self._seconds[name] for name in self._done)
        done += min(max(share, 0.0), 1.0) * self._seconds.get(key, 0.0)
        self.outer.send("progress", phase=phase, done=round(done / total, 4), total=1, rate="")

    def finish(self, key: str) -> None:
        """Count a stage as done, or as kept."""
        if key in self._seconds:
            self._done.add(key)


def shares(keys: Sequence[str], known: dict[str, float]) -> dict[str, float]:
    """Return what each stage may take, in seconds: as last time, or else a guess.

    Args:
        keys: of the stages.
        known: key -> seconds of last time.
    """
    usual = {stage.key: stage.seconds for stage in STAGES}
    return {key: max(known.get(key, usual[key]), 0.1) for key in keys}


class StageChannel(Channel):
    """The voice of a stage: writes its own events.jsonl, and tells the map's channel what matters there."""

    def __init__(self, folder: Path, bar: Bar, key: str) -> None:
        super().__init__(folder)
        self._bar, self._key = bar, key
        self._share = 0.0

    def send(self, event_type: str, /, **fields: Any) -> None:
        """Record one event, and pass on progress, epochs, log and device.

        The share of the stage never falls: a job has phases, and each begins at nothing.
        """
        super().send(event_type, **fields)
        if event_type == "progress":
            if fields["total"]:
                self._share = max(self._share, min(fields["done"] / fields["total"], 1.0))
            self._bar.report(self._key, fields["phase"], self._share)
        elif event_type == "epoch":
            self._share = max(self._share, fields["epoch"] / max(fields["epochs"], 1))
            self._bar.outer.send(event_type, **fields)
            self._bar.report(self._key, "training", self._share)
        elif event_type == "log" or (event_type == "hello" and fields["device"]):
            self._bar.outer.send(event_type, **fields)

    def cancelled(self) -> bool:
        """Return whether the user stopped the map."""
        return super().cancelled() or self._bar.outer.cancelled()


def run_stage(job: Job, folder: Path, bar: Bar, key: str) -> tuple[dict[str, Any], float]:
    """Do the job of a stage in a folder of its own; a training that was interrupted goes on.

    Args:
        job: its paths are absolute, or relative to `folder`.
        folder: of the job.
        bar: of the map.
        key: of the stage.

    Returns:
        The job's result as plain data, and the seconds that it took.

    Raises:
        GeoSegError: of the job.
        Cancelled: if the user stopped; what there is to go on with is kept.
    """
    started = time.monotonic()
    prepare_folder(folder)
    known = same_job(folder, cast(Any, job))
    (folder / CANCEL_FILE).unlink(missing_ok=True)
    check_outputs(job, folder)
    write_json(folder / JOB_FILE, job_to_json(job))
    channel = StageChannel(folder, bar, key)
    with run_events(channel):
        result = encode(_run(job, folder, channel, known))
    return cast(dict[str, Any], result), round(time.monotonic() - started, 2)


def _run(job: Job, folder: Path, channel: StageChannel, known: bool) -> dict[str, Any]:
    channel.check_cancelled()
    if isinstance(job, (*TRAINED, EvaluateJob)):
        return resume_or_run(job, folder, channel, known)
    worker = importlib.import_module(f"{__package__.rpartition('.')[0]}.{job.worker}")
    result: dict[str, Any] = worker.run(job, folder, channel)
    return result
