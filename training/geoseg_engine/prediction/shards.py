"""Several runs, on one or more machines, that share one prediction; the last one to end makes the files.

Each run predicts its shard of the parts. A lock in the folder of the parts lets one run at a time make the files; the
others find the result that it left.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..channel import Channel
from ..contract import GeoSegError, PredictJob, decode, encode, file_exists, kept_json, shard_of

LOCK_FILE, DONE_FILE = "assembling.json", "done.json"
STALE_S, BEAT_S = 300.0, 20.0
"""A lock that was not renewed for STALE_S seconds is void; it is renewed every BEAT_S seconds."""


def shard_entry(job: PredictJob, done: int, complete: bool) -> dict[str, Any]:
    """Return the entry `shard` of a result.

    Args:
        job: the prediction.
        done: number of parts that are there.
        complete: whether the files are made.

    Returns:
        `{"shard": …}` with index, count, done and complete; `{"shard": None}` for a job that is no shard.
    """
    shard = shard_of(job.shard)
    if shard is None:
        return {"shard": None}
    return {"shard": {"index": shard[0], "count": shard[1], "done": done, "complete": complete}}


def shared_job(job: PredictJob) -> Any:
    """Return what all shards of a job have in common, as plain data."""
    return encode(replace(job, shard="", resume=True))


def assembled_elsewhere(job: PredictJob, done: int, channel: Channel) -> dict[str, Any]:
    """Return the entry `shard` of a run that leaves the files to another one.

    Args:
        job: the prediction.
        done: number of parts that are there.
        channel: for the log.

    Raises:
        GeoSegError: `in_work` for a job that is no shard.
    """
    if not job.shard:
        raise GeoSegError(
            "in_work",
            f"Another run is making {job.output} from the same parts.",
            "Wait until it has ended, or choose another name for the result.",
        )
    channel.log("All parts are there. Another shard is making the files.")
    return shard_entry(job, done, False)


def keep_only_result(folder: Path, wanted: Any, result: dict[str, Any]) -> None:
    """Remove the parts and keep the result: a shard that runs again reads it and does nothing.

    Args:
        folder: folder of the parts.
        wanted: the job as of `shared_job`.
        result: result of the prediction, as plain data.
    """
    partial = folder / f"{DONE_FILE}.part"
    partial.write_text(json.dumps({"wanted": wanted, "result": result}), encoding="utf-8")
    partial.replace(folder / DONE_FILE)
    for path in folder.glob("*.tif"):
        path.unlink(missing_ok=True)


def kept_result(folder: Path, wanted: Any, kinds: Sequence[str]) -> dict[str, Any] | None:
    """Return the result that `keep_only_result` wrote for the same job.

    Args:
        folder: folder of the parts.
        wanted: the job as of `shared_job`.
        kinds: keys of the result that name a file.

    Returns:
        The result; None if there is none, or if one of its files is missing.
    """
    found = kept_json(folder / DONE_FILE)
    if not isinstance(found, dict) or not _same_job(found.get("wanted"), wanted):
        return None
    result = found.get("result")
    if not isinstance(result, dict):
        return None
    files = [result[kind] for kind in kinds if result.get(kind)]
    there = all(isinstance(file, str) and file_exists(file) for file in files)
    return result if there and all(kind in result for kind in kinds) else None


def _same_job(kept: Any, wanted: Any) -> bool:
    """Whether a job that was kept, under the names that its fields had then, is the wanted one."""
    try:
        return bool(encode(decode(PredictJob, kept)) == wanted)
    except GeoSegError:
        return False


@contextmanager
def assembly_lock(folder: Path) -> Iterator[bool]:
    """Yield whether this process may make the files: one at a time, over all machines that share the folder.

    The lock of a process that has ended is void: at once on the same machine, after STALE_S on another one.
    """
    path = folder / LOCK_FILE
    if not _acquire(path) and not (_clear(path) and _acquire(path)):
        yield False
        return
    with ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        stop = threading.Event()
        beat = threading.Thread(target=_renew, args=(path, stop), name="heartbeat", daemon=True)
        beat.start()
        stack.callback(beat.join)
        stack.callback(stop.set)
        yield True


def _renew(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT_S):
        with suppress(OSError):
            os.utime(path)


def _acquire(path: Path) -> bool:
    """Make the lock; False if it exists."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{socket.gethostname()} {os.getpid()}")
    except FileExistsError:
        return False
    return True


def _clear(path: Path) -> bool:
    """Remove a void lock. What was moved is checked again: another process may have made a new one meanwhile."""
    aside = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}")
    try:
        if _is_held(path):
            return False
        path.rename(aside)
        if _is_held(aside):
            aside.replace(path)
            return False
        aside.unlink()
    except FileNotFoundError:
        return True
    return True


def _is_held(path: Path) -> bool:
    """Whether the process that made a lock is running; a lock that is still empty is judged by its age."""
    if time.time() - path.stat().st_mtime >= STALE_S:
        return False
    host, _, pid = path.read_text(encoding="utf-8").partition(" ")
    if host == socket.gethostname() and pid.isdigit() and sys.platform != "win32":
        return int(pid) != os.getpid() and _alive(int(pid))
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
