"""How benchmark tables are made: rows from modules, commands as processes, wall clock and peak memory."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = sys.executable
Command = Sequence[str]


class NotMeasured(RuntimeError):
    """A row that cannot be measured here, with the reason."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work, beside: what was measured, and against what.
        ours_s, beside_s: medians of the repetitions, in seconds.
        ratio: median of ours / beside.
        bar: what the ratio must not exceed.
        peak_mb: the most memory any process of ours held.
        peak_bar_mb: what that must not exceed; 0 is no bar.
        note: anything the numbers need to be read rightly, e.g. that results agree.
        agrees: whether the result was the same as the peer's, where that is asked for.
    """

    work: str
    beside: str
    ours_s: float
    beside_s: float
    ratio: float
    bar: float
    peak_mb: float
    peak_bar_mb: float = 0.0
    note: str = ""
    agrees: bool = True

    @property
    def holds(self) -> bool:
        """Whether time, memory and result are as they must be."""
        in_memory = not self.peak_bar_mb or self.peak_mb <= self.peak_bar_mb
        return self.ratio <= self.bar and in_memory and self.agrees

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "holds": self.holds}

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.work} | {self.beside} | {self.ours_s:.2f} | {self.beside_s:.2f} | {self.ratio:.2f} | "
            f"≤ {self.bar:g} | {self.peak_mb:.0f} | {'yes' if self.holds else 'NO'} | {self.note} |"
        )


def compared(
    ours: Callable[[], tuple[float, float]], beside: Callable[[], tuple[float, float]], repeat: int
) -> tuple[float, float, float, float]:
    """Run both by turns `repeat` times, after one round that is thrown away if `repeat` is above 1.

    Args:
        ours, beside: do the work once and return (seconds, peak MB), see `timed`.

    Returns:
        Median seconds of ours and of the peer, median of the ratios of the rounds, peak MB of ours.
    """
    if repeat > 1:
        ours(), beside()
    rounds = [(ours(), beside()) for _ in range(repeat)]
    return (
        statistics.median(one[0] for one, _ in rounds),
        statistics.median(other[0] for _, other in rounds),
        statistics.median(one[0] / other[0] for one, other in rounds),
        max(one[1] for one, _ in rounds),
    )


def timed(commands: Sequence[Command], env: dict[str, str] | None = None) -> tuple[float, float]:
    """Run commands one after another; wall seconds of all and the peak MB of the largest.

    Raises:
        RuntimeError: if one fails, with what it printed.
    """
    started, peak_kb = time.perf_counter(), 0
    for command in commands:
        process = subprocess.Popen(
            list(command),
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command[:3])} failed: {printed.decode(errors='replace')[-2000:]}")
        peak_kb = max(peak_kb, usage.ru_maxrss)
    return time.perf_counter() - started, peak_kb / 1024


def engine_command(folder: Path, kind: str, job: dict[str, Any]) -> Command:
    """Write job.json into a folder; the command that runs it as QGIS does. Needs `ENGINE_ENV`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(
        json.dumps({"protocol": "1.0", "kind": kind, "job": job}), encoding="utf-8"
    )
    return [ENGINE_PYTHON, "-u", "-m", "geoseg_engine", "run", str(folder / "job.json")]


ENGINE_ENV = {"PYTHONPATH": str(ROOT / "training")}


def measure_table(about: str, table: str, rows: Sequence[str], gpu_here: bool = False) -> int:
    """The command line of a table: measure the rows asked for, print them, write them as JSON.

    Args:
        about: help text.
        table: row R is the module `<table>_R.py` beside this file, with `run(folder, repeat, small) -> Row`.
        rows: all names; those that begin with `gpu` are measured only where a GPU is.
        gpu_here: whether one is.

    Returns:
        The exit code: 1 if a row does not hold, unless it was small.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)}; default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="tiny data")
    parser.add_argument("--folder", type=Path, help="where temporary data go; some rows need 20 GB")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in rows]
    if unknown:
        parser.error(f"unknown row {', '.join(unknown)}; choose from {', '.join(rows)}")
    print("| work | beside | ours s | beside s | ratio | bar | peak MB | holds | note |")
    print("|---|---|---|---|---|---|---|---|---|")
    found = []
    for name in options.rows or rows:
        if name.startswith("gpu") and not gpu_here:
            print(f"| {name} | | | | | | | – | not measured: no GPU here |")
            continue
        with tempfile.TemporaryDirectory(prefix=f"geoseg-{name}-", dir=options.folder) as folder:
            module = importlib.import_module(f"{table}_{name}")
            try:
                row: Row = module.run(Path(folder), options.repeat, options.small)
            except NotMeasured as reason:
                print(f"| {name} | | | | | | | – | not measured: {reason} |", flush=True)
                continue
        print(row.line(), flush=True)
        found.append(row)
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in found], indent=1), encoding="utf-8")
    return int(not options.small and not all(row.holds for row in found))
