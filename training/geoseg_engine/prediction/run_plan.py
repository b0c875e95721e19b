"""What decides the pixels of a prediction, written beside its parts: only a run with the same plan can resume."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path

from .. import __version__
from ..contract import GeoSegError, Grid, PredictJob, Recipe, encode, read_json
from ..output_checks import behind, files_in
from ..raster.grid import Window, round_up, windows
from .task import PredictionTask

PLAN_FILE = "plan.json"
FORMAT = 1
"""Of the parts; another makes them useless to each other."""
UNIT_PX = 512
"""Units are squares of a multiple of it, as the blocks of the files are."""


@dataclass(frozen=True)
class RunPlan:
    """What was decided when the first part was made; every later run does the same.

    Attributes:
        key: hash of all that decides pixels.
        runtime, precision: what the network runs with.
        core_px: side of a core.
        unit_px: side of a unit, the square that one part holds.
        difference: see `tiling_invariance.largest_difference`; None if it was not computed.
        device: kind of device that it was made on; empty in plans of former versions.
    """

    key: str
    runtime: str
    precision: str
    core_px: int
    unit_px: int
    difference: float | None = None
    device: str = ""


def plan_key(task: PredictionTask) -> str:
    """Return the hash of all that decides pixels: engine, model, files with size and time, recipe, options."""
    job, recipe = task.job, task.recipe
    digest = hashlib.sha256()
    with task.model.path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    facts = {
        "engine": __version__,
        "format": FORMAT,
        "recipe": encode(recipe),
        "files": [list(stamp) for stamp in file_stamps(job, recipe, task.folder)],
        "layers": encode(task.layers),
        "options": [job.runtime, job.precision, job.device, job.int8_loss, job.core_px, job.tta],
        "passes": job.dropout_passes,
        "area": encode(job.area),
        "window": encode(task.window),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def file_stamps(job: PredictJob, recipe: Recipe, folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and modification time of every file that is read, those behind a VRT too.

    Args:
        job: the prediction.
        recipe: its bands.
        folder: folder that paths are relative to.

    Yields:
        (path, bytes, nanoseconds); zeros for a source that is no file.
    """
    texts = [text for source in recipe.sources for text in (source.path, *source.paths)]
    texts += [job.area.path] if job.area is not None and job.area.path else []
    for text in texts:
        found = [each for path in files_in(text, folder) for each in (path, *behind(path))]
        yield from ((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)
        if not found:
            yield text, 0, 0


def unit_px_for(core_px: int, align_px: int) -> int:
    """Return the side of a unit: the whole blocks of the files that hold a core, or two cores of one and a half blocks.

    Args:
        core_px: side of a core.
        align_px: units begin at multiples of it.
    """
    if core_px == 3 * UNIT_PX // 2:
        return lcm(core_px, UNIT_PX, align_px)
    return round_up(max(core_px, 1), lcm(UNIT_PX, align_px))


def units(grid: Grid, unit_px: int) -> list[Window]:
    """Return the units of a grid, row by row; the number of a unit is its index here.

    Args:
        grid: grid of the recipe.
        unit_px: side of a unit.
    """
    return list(windows(grid, unit_px))


def needed_units(units: Sequence[Window], window: Window) -> list[int]:
    """Return the numbers of the units that share a pixel with a window.

    Args:
        units: as of `units`.
        window: pixels to predict.
    """
    return [number for number, unit in enumerate(units) if not unit.shared(window).empty]


def read_plan(folder: Path) -> RunPlan | None:
    """Return the plan in a folder of parts; None if there is none, or none that can be read."""
    try:
        return read_json(RunPlan, folder / PLAN_FILE)
    except (OSError, GeoSegError):
        return None


def agree_on(folder: Path, plan: RunPlan) -> RunPlan:
    """Write a plan, or return the plan with the same key that another run has written first.

    Args:
        folder: folder of the parts.
        plan: the plan of this run.
    """
    path = folder / PLAN_FILE
    partial = path.with_name(f"{PLAN_FILE}.{socket.gethostname()}-{os.getpid()}.part")
    partial.write_text(json.dumps(encode(plan)), encoding="utf-8")
    try:
        os.link(partial, path)
    except FileExistsError:
        theirs = read_plan(folder)
        if theirs is not None and theirs.key == plan.key:
            return theirs
        partial.replace(path)
    except OSError:  # a file system without links
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return plan


def with_plan(job: PredictJob, plan: RunPlan | None) -> PredictJob:
    """Return the job with the runtime, precision and core size of a plan.

    Args:
        job: the prediction.
        plan: the plan of an earlier run; None changes nothing.
    """
    if plan is None:
        return job
    return replace(job, runtime=plan.runtime, precision=plan.precision, core_px=plan.core_px)  # type: ignore[arg-type]
