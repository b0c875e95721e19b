"""A job with the folder it runs in and the title a user sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..contract import CANCEL_FILE, JOB_FILE, Job, job_to_json, write_json


@dataclass(frozen=True)
class Submission:
    """One job to run.

    Attributes:
        job: what to do; relative paths are relative to `folder`.
        folder: receives job.json, events.jsonl, engine.log; made by `write`.
        title: what the user reads while it runs.
    """

    job: Job
    folder: Path
    title: str


def write(submission: Submission) -> Path:
    """Write job.json, making the folder. Returns its path.

    Raises:
        OSError: if the folder cannot be written.
    """
    submission.folder.mkdir(parents=True, exist_ok=True)
    (submission.folder / CANCEL_FILE).unlink(missing_ok=True)
    job_file = submission.folder / JOB_FILE
    write_json(job_file, job_to_json(submission.job))
    return job_file
