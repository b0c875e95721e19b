"""The last steps of an installation: the shell command, and a first answer of the engine."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...contract import JOB_FILE, Cancelled, GeoSegError, ProbeJob, job_to_json, write_json
from ...paths import training_dir
from ..environment import cleaned, interpreter
from ..process import EngineProcess

PROBE_S = 180.0


def write_command(root: Path) -> Path:
    """Write the shell command `geoseg` into the environment.

    The engine's code stays in its one place, the plugin's folder or the checkout, and is found through
    PYTHONPATH; a copy in site-packages would go stale with the next version of the plugin.
    """
    python, training = interpreter(root), training_dir()
    if sys.platform == "win32":
        command = python.with_name("geoseg.bat")
        return _written(command, f'@echo off\nset "PYTHONPATH={training}"\n"{python}" -m geoseg_engine %*\n')
    line = f"PYTHONPATH={shlex.quote(str(training))} exec {shlex.quote(str(python))} -m geoseg_engine"
    return _written(python.with_name("geoseg"), f'#!/bin/sh\n{line} "$@"\n')


def _written(command: Path, text: str) -> Path:
    """Write a program beside its place and rename it: a copy of the environment may share the file."""
    partial = command.with_name(command.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o755)  # nosec B103  # a program of the user
    partial.replace(command)
    return command


def run_probe(python: Path, folder: Path, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Run the engine's probe in an environment. Returns its result.

    Args:
        python: interpreter.
        folder: for the job.
        is_cancelled: whether the probe must stop.

    Raises:
        GeoSegError: as the engine reported, or `install_check` if it did not end in three minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / JOB_FILE, job_to_json(ProbeJob()))
    process = EngineProcess(python, folder, cleaned())
    process.start()
    deadline = time.monotonic() + PROBE_S
    while process.running:
        if is_cancelled() or time.monotonic() > deadline:
            process.cancel()
        process.poll(0.1)
    outcome = process.outcome
    if outcome is None or outcome.kind == "cancelled":
        if is_cancelled():
            raise Cancelled
        raise GeoSegError("install_check", "The engine gave no answer.", "Look at the log.")
    if outcome.problem is not None:
        raise GeoSegError(**outcome.problem)
    return outcome.result
