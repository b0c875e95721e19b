"""Frozen dataclasses to JSON and back unchanged, with the protocol's version."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, TypeVar

from .decoding import decode
from .errors import GeoSegError
from .jobs import JOBS, Job
from .text import json_text

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
PROTOCOL = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"

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


def job_from_json(data: dict[str, Any]) -> Job:
    """The job of a job.json.

    Raises:
        GeoSegError: `protocol` for another major protocol, `unknown_job` for an unknown kind.
    """
    check_protocol(str(data.get("protocol", "")))
    kind = data.get("kind", "")
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
    """Write JSON under a temporary name, then rename: a reader never sees half a file."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(json_text(encode(value), indent=1), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(cls: type[T], path: Path) -> T:
    """Read a dataclass that `write_json` wrote."""
    return decode(cls, json.loads(path.read_text(encoding="utf-8")))
