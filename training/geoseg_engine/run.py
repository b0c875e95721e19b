"""Run one job in its folder: read it, check it, do it, and end with exactly one last event."""

from __future__ import annotations

import errno
import importlib
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import __version__
from .channel import Channel, is_first
from .contract import (
    CANCEL_FILE,
    DISK_FULL,
    PID_FILE,
    PROTOCOL,
    GeoSegError,
    Job,
    read_job,
    with_files_of_runs,
)
from .contract.decoding import shown
from .device.faults import fault_of
from .versions import installed_versions

EXIT_DONE, EXIT_FAILED = 0, 1
NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
LONGEST_PATH = 1000
"""Characters of a path that a message gives in full."""
SILENT_FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""Lets operations that Apple's GPUs lack run on the CPU, and names the first alone; `Device.run` names them all."""
NAMED_FALLBACK = "PYTORCH_DEBUG_XPU_FALLBACK"
"""Lets PyTorch name every operation that Intel's GPUs lack, which it always computes on the CPU."""
SPINS, WAITS, FEW_SPINS = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "20000"
"""How long a waiting thread of PyTorch on Linux keeps its core. The default is 15 times as long, which gains nothing on
an idle machine and makes training 2 to 4 times as slow beside other programs (docs/performance.md)."""
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
"""Errors of a place that takes no files; the last two where a file stands in the place of a folder."""


def run_file(job_file: Path, channel: Channel) -> int:
    """Run the job of a job.json in that file's folder. Returns the exit code."""
    os.environ.pop(SILENT_FALLBACK, None)
    os.environ.setdefault(NAMED_FALLBACK, "1")
    if WAITS not in os.environ:
        os.environ.setdefault(SPINS, FEW_SPINS)
    job_file = job_file.resolve()
    folder = job_file.parent
    os.chdir(folder)
    try:
        with guarding_errors():
            if is_first():
                (folder / CANCEL_FILE).unlink(missing_ok=True)
                (folder / PID_FILE).write_text(str(os.getpid()), encoding="ascii")
            result = work(read_job(job_file), folder, channel)
    except GeoSegError as error:
        channel.fail(error)
        return EXIT_FAILED
    finally:
        if is_first():
            (folder / PID_FILE).unlink(missing_ok=True)
    channel.send("done", result=result)
    return EXIT_DONE


def work(job: Job, folder: Path, channel: Channel) -> dict[str, Any]:
    """Do a job; its paths are relative to `folder`. Returns the result as plain data.

    Raises:
        GeoSegError: for every expected failure.
    """
    channel.send(
        "hello",
        protocol=PROTOCOL,
        engine=__version__,
        versions=installed_versions(),
        device="",
        device_memory_mb=0,
    )
    job = with_files_of_runs(job, folder)
    problems = [problem for problem in job.problems() if problem.severity == "error"]
    if problems:
        raise GeoSegError(
            problems[0].code,
            " ".join(item.message for item in problems),
            " ".join(dict.fromkeys(item.hint for item in problems)),
        )
    if job.kind != "probe":  # that one has to say what does not import
        importlib.import_module(f"{__package__}.output_checks").check_outputs(job, folder)
    module = importlib.import_module(f"{__package__}.{job.worker}")
    result: dict[str, Any] = module.run(job, folder, channel)
    return result


@contextmanager
def guarding_errors() -> Iterator[None]:
    """Border of the engine: whatever goes wrong inside leaves as a GeoSegError with a next step."""
    try:
        yield
    except GeoSegError:
        raise
    except Exception as error:
        raise translate(error, traceback.format_exc()) from error


def _is_no_name(error: Exception) -> bool:
    """Whether a name was given that no file can have: too long for the system, or in circles."""
    return isinstance(error, OSError) and error.errno in NO_NAME


def _name_in(error: Exception) -> str:
    """The file that an error is about, shortened if nobody would read it whole; empty where it names none."""
    found = error.filename if isinstance(error, OSError) else getattr(error, "object", None)
    name = "" if found is None else str(found)
    return name if len(name) <= LONGEST_PATH else shown(name)


def translate(error: Exception, details: str) -> GeoSegError:
    """The expected failures of the machine as errors with codes of their own; the rest as `internal`."""
    text = next(iter(str(error).splitlines()), "")
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return GeoSegError(
            "disk_full",
            f"The disk is full: {error.filename or text}.",
            "Free some space or choose another output folder, then run again.",
            details,
        )
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno in NOT_WRITABLE):
        return GeoSegError(
            "not_writable",
            f"No permission to write or read {error.filename or text}.",
            "Choose a folder that you may write to.",
            details,
        )
    if isinstance(error, FileNotFoundError | UnicodeEncodeError) or _is_no_name(error):
        return GeoSegError(
            "file_missing",
            f"The file {_name_in(error) or text} does not exist{', and none can have that name' * _is_no_name(error)}.",
            "Choose a shorter name, and a folder that is no link to itself."
            if _is_no_name(error)
            else "Was it moved or deleted? Choose it again.",
        )
    fault = fault_of(error)
    if fault is not None:
        fault.details = details
        return fault
    return GeoSegError(
        "internal",
        f"{type(error).__name__}: {text or 'no message'}",
        "This is a fault of GeoSeg: please report it with the log.",
        details,
    )
