"""How benchmark tables are made: rows from modules, commands as processes, wall clock and peak memory."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENGINE_PYTHON = sys.executable
Command = Sequence[str]
TABLE_HEAD = """\
| work | beside | ours s | beside s | ratio | bar | peak MB | holds | note |
|---|---|---|---|---|---|---|---|---|"""


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

    def line(self, judged: bool = True) -> str:
        """A row of the table; nothing is said of the bar unless `judged`."""
        holds = ("yes" if self.holds else "NO") if judged else "–"
        return (
            f"| {self.work} | {self.beside} | {self.ours_s:.2f} | {self.beside_s:.2f} | {self.ratio:.2f} | "
            f"≤ {self.bar:g} | {self.peak_mb:.0f} | {holds} | {self.note} |"
        )


def add_small(parser: argparse.ArgumentParser) -> None:
    """Give a script the flag `--small`, which every script of scripts/bench and scripts/studies has."""
    parser.add_argument(
        "--small",
        action="store_true",
        help="try the script out: a tiny made scene, seconds, figures that mean nothing; no bar is judged",
    )


def compared(
    ours: Callable[[], tuple[float, float]], beside: Callable[[], tuple[float, float]], repeat: int
) -> tuple[float, float, float, float]:
    """Run both by turns `repeat` times, after one round that is thrown away if `repeat` is above 1.

    Args:
        ours, beside: do the work once and return (seconds, peak MB), see `timed`.

    Returns:
        Median seconds of ours and of the peer, median of the ratios of the rounds, peak MB of ours.

    Raises:
        NotMeasured: by the side whose program is not here; ours, the first, has run once by then.
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
        NotMeasured: if a program is not installed.
        RuntimeError: if one fails, with what it printed.
    """
    missing = sorted({command[0] for command in commands if not shutil.which(command[0])})
    if missing:
        raise NotMeasured(f"{', '.join(missing)} not installed")
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


def function_command(file: str, function: str, *arguments: object) -> Command:
    """A call of a function of a module of this folder in a process of its own; its arguments come as text."""
    paths = [str(HERE), str(ROOT / "training")]
    code = f"import sys; sys.path[:0] = {paths}; import {Path(file).stem} as m; m.{function}(*sys.argv[1:])"
    return [ENGINE_PYTHON, "-c", code, *map(str, arguments)]


@dataclass(frozen=True)
class Peer:
    """A Python environment of a peer's own, build/bench-NAME.

    Attributes:
        imports: modules that it must have.
        packages: what pip is told to install for them.
        lent: whether it sees the engine's packages, and takes no others than `packages`.
    """

    name: str
    imports: tuple[str, ...]
    packages: tuple[str, ...]
    lent: bool = False

    def python(self, install: bool) -> str:
        """Its interpreter; the environment is made the first time.

        Args:
            install: whether packages may be installed.

        Raises:
            NotMeasured: if they are not there.
        """
        folder = ROOT / "build" / f"bench-{self.name}"
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        if self._works(python):
            return str(python)
        if not install:
            raise NotMeasured(f"{', '.join(self.imports)} not installed in build/bench-{self.name}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        if self.lent:
            where = "import sysconfig; print(sysconfig.get_path('purelib'))"
            own = subprocess.check_output([str(python), "-c", where], encoding="utf-8").strip()
            Path(own, "engine.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            *(["--no-deps"] if self.lent else []),
            *self.packages,
        ]
        if subprocess.run(pip, capture_output=True).returncode or not self._works(python):
            raise NotMeasured(f"{', '.join(self.packages)} cannot be installed")
        return str(python)

    def _works(self, python: Path) -> bool:
        command = [str(python), "-c", f"import {', '.join(self.imports)}"]
        return python.exists() and not subprocess.run(command, capture_output=True).returncode


def measure_row(name: str, run: Callable[[Path], Row], folder: Path | None, small: bool) -> Row | None:
    """Measure a row in a temporary folder and print its line.

    Args:
        name: told where it cannot be measured.
        run: measures it in the folder that it gets.
        folder: where temporary folders are made; None is the system's place.
        small: whether the script is only tried out; nothing is said of the bar then.

    Returns:
        The row; None where it cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix=f"geoseg-{name}-", dir=folder) as place:
        try:
            row = run(Path(place))
        except NotMeasured as reason:
            print(f"| {name} | | | | | | | – | not measured: {reason} |", flush=True)
            return None
    print(row.line(judged=not small), flush=True)
    return row


def measure_table(about: str, table: str, rows: Sequence[str], gpu_here: bool = False) -> int:
    """The command line of a table: measure the rows asked for, print them, write them as JSON.

    Args:
        about: help text.
        table: row R is the module `<table>_R.py` beside this file, with `run(folder, repeat, small) -> Row`.
        rows: all names; those that begin with `gpu` are measured only where a GPU is.
        gpu_here: whether one is.

    Returns:
        The exit code: 1 if a row does not hold, unless the script is only tried out (`--small`).
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(rows)}; default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--repeat", type=int, help="default 5; 1 with --small")
    parser.add_argument("--folder", type=Path, help="where temporary data go; some rows need 20 GB")
    add_small(parser)
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in rows]
    if unknown:
        parser.error(f"unknown row {', '.join(unknown)}; choose from {', '.join(rows)}")
    repeat = options.repeat or (1 if options.small else 5)
    print(TABLE_HEAD)
    found = []
    for name in options.rows or rows:
        if name.startswith("gpu") and not gpu_here:
            print(f"| {name} | | | | | | | – | not measured: no GPU here |")
            continue
        module = importlib.import_module(f"{table}_{name}")
        row = measure_row(
            name, partial(module.run, repeat=repeat, small=options.small), options.folder, options.small
        )
        found += [row] if row else []
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in found], indent=1), encoding="utf-8")
    return int(not options.small and not all(row.holds for row in found))
