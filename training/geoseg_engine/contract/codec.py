"""Frozen dataclasses to JSON and back unchanged, with the protocol's version."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, TypeVar

from .decoding import decode, shown
from .errors import GeoSegError
from .events import JOB_FILE
from .job import Job
from .jobs import JOBS
from .strictjson import load_json
from .text import json_text

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
PROTOCOL = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
JOB_FORM = 'A job is {"protocol": "' + PROTOCOL + '", "kind": "…", "job": {…}}; `geoseg KIND …` writes one.'

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Dataclasses, tuples and mappings to plain JSON values; NaN and infinities become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def job_to_json(job: Job) -> dict[str, Any]:
    """The content of job.json."""
    return {"protocol": PROTOCOL, "kind": job.kind, "job": encode(job)}


def read_job(path: Path) -> Job:
    """The job in a file.

    Raises:
        OSError: where the file cannot be read.
        GeoSegError: `bad_json` for a file that holds no job; as `job_from_json`.
    """
    try:
        data = load_json(path)
    except GeoSegError as error:
        raise GeoSegError(error.code, error.message, JOB_FORM) from error
    return job_from_json(data, path.name)


def job_from_json(data: Any, name: str = JOB_FILE) -> Job:
    """The job of a job.json.

    Args:
        data: its content.
        name: of the file, for errors.

    Raises:
        GeoSegError: `bad_json` for content that is no job or does not fit its kind, `protocol` for another major
            protocol, `unknown_job` for an unknown kind, `out_of_range` for a number that makes no sense.
    """
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise GeoSegError("bad_json", f"{name} is no job: it holds {shown(data)}.", JOB_FORM)
    check_protocol(str(data.get("protocol", "")))
    kind = data["kind"]
    if kind not in JOBS:
        raise GeoSegError("unknown_job", f"Unknown job '{kind}'.", f"Known jobs: {', '.join(JOBS)}.")
    return decode(JOBS[kind], data.get("job", {}))


def check_protocol(protocol: str) -> None:
    """Raise `protocol` unless the major version is ours."""
    if protocol.split(".")[0] != str(PROTOCOL_MAJOR):
        raise GeoSegError(
            "protocol",
            f"The other side speaks protocol '{protocol}', this one {PROTOCOL}.",
            "Set up the engine again so that both have the same version.",
        )


def write_json(path: Path, value: Any) -> None:
    """Write JSON under a temporary name, then rename: a reader never sees half a file.

    Args:
        path: file to write.
        value: dataclasses and plain values.

    Raises:
        OSError: where the file cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(json_text(encode(value), indent=1), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(cls: type[T], path: Path) -> T:
    """Read a dataclass that `write_json` wrote.

    Raises:
        OSError: where the file cannot be read.
        GeoSegError: as `load_json` and `decode`.
    """
    return decode(cls, load_json(path))
