"""Make the engine's environment, step by step; an interrupted installation resumes where it stopped.

Standard library only, so that a plain `python3 -m geoseg_plugin.engine.installer --root DIR` does the same
as the button in QGIS. Packages come from where the user's pip looks; GEOSEG_TORCH_INDEX may name one more
index for PyTorch, with builds for CPU or for a CUDA version.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ..contract import Cancelled, GeoSegError, kept_json, write_json
from ..paths import training_dir
from .environment import STAMP_FILE, Environment, default_root, interpreter, requirements_hash
from .finish import run_probe, write_command
from .liveness import locked
from .pip import Command
from .pythons import Interpreter, find_python, inspect_interpreter

STATE_FILE, INSTALL_LOG, LOCK_FILE = "installing.json", "install.log", "install.lock"
ZOO_STEP, OPENVINO_STEP = "Install the model zoo", "Install OpenVINO"
TAKES_GB = {"cpu": 2.2, "gpu": 9.0}
"""Disk space of an environment in GB of 10^9 bytes: measured on Linux with a CPU build of PyTorch; at most with one
for GPUs. The panel, README.md and metadata.txt state these numbers; a test holds them together."""
FREE_GB = {"cpu": 3.0, "gpu": 9.0}
"""What must be free before it is made: packages are unpacked beside what was downloaded."""


@dataclass(frozen=True)
class Plan:
    """What to install.

    Attributes:
        root: folder of the environment.
        device: `cpu` or `gpu`; which build of PyTorch is installed, and how much disk must be free.
        python: interpreter to make it from; empty finds one.
        with_richdem: try to build richdem; where that fails the environment is made without it.
        dev: also what the engine's tests need.
        zoo: also the networks of segmentation-models-pytorch; once there they stay.
        openvino: also OpenVINO, which predicts faster on some processors; once there it stays.
    """

    root: Path
    device: str = "cpu"
    python: str = ""
    with_richdem: bool = True
    dev: bool = False
    zoo: bool = False
    openvino: bool = False


class Installation:
    """One installation, with its progress.

    Args:
        plan: what to install.
        on_progress: step and overall fraction 0..1.
        on_line: a line for the log.
        is_cancelled: called ten times per second.
    """

    def __init__(
        self,
        plan: Plan,
        on_progress: Callable[[str, float], None] = lambda step, fraction: None,
        on_line: Callable[[str], None] = lambda line: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan = plan
        self._root = Path(plan.root).absolute()
        self._on_progress = on_progress
        self._on_line = on_line
        self._command = Command(self._root / INSTALL_LOG, self._line, is_cancelled)
        self._is_cancelled = is_cancelled
        self._state: dict[str, Any] = {}
        self._step, self._start, self._share, self._lines = "", 0.0, 0.0, 0

    def run(self) -> Environment:
        """Do all steps that are not done yet. Returns the environment.

        Raises:
            GeoSegError: `no_python`, `disk_full`, `not_writable`, `install_…`; Cancelled.
        """
        environment = Environment(interpreter(self._root), managed=True)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with locked(self._root / LOCK_FILE):
                if self._is_whole():
                    self._line(f"{self._root} is complete.")
                    return environment
                (self._root / STAMP_FILE).unlink(missing_ok=True)
                self._check_disk()
                self._read_state()
                self._steps()
        except PermissionError as error:
            raise GeoSegError("not_writable", f"{error.filename or self._root} cannot be written.",
                              "Choose a folder that you may write to.") from error  # fmt: skip
        return environment

    def _steps(self) -> None:
        self._do("Make the environment", 0.02, self._make_venv, str(self.plan.python))
        self._do("Install build tools", 0.04, lambda: self._install("build.txt"), digest("build.txt"))
        self._do(
            "Build richdem",
            0.15,
            self._build_richdem,
            digest("richdem.txt", "numpy1.txt"),
            self.plan.with_richdem,
        )
        numpy = "numpy1.txt" if self._has_richdem() else "numpy2.txt"
        self._do(
            "Install geodata packages",
            0.15,
            lambda: self._install_geodata(numpy),
            digest(numpy, "geo.txt"),
        )
        self._do(
            "Install PyTorch",
            0.35,
            lambda: self._install_torch(numpy),
            digest("torch.txt", numpy) + self.plan.device,
        )
        self._do(
            "Install ONNX Runtime",
            0.09,
            lambda: self._install("onnx.txt", pins=numpy),
            digest("onnx.txt", numpy),
        )
        self._do(
            "Install baselines and search",
            0.03,
            lambda: self._install("learn.txt", pins=numpy),
            digest("learn.txt", numpy),
        )
        self._do(
            ZOO_STEP,
            0.05,
            lambda: self._install_zoo(numpy),
            digest("zoo.txt", "torch.txt") + self.plan.device,
            self.plan.zoo or ZOO_STEP in self._state,
        )
        self._do(
            OPENVINO_STEP,
            0.03,
            lambda: self._install("openvino.txt", pins=numpy),
            digest("openvino.txt", numpy),
            self.plan.openvino or OPENVINO_STEP in self._state,
        )
        self._do(
            "Install test tools", 0.02, lambda: self._install("dev.txt"), digest("dev.txt"), self.plan.dev
        )
        self._do("Write the command geoseg", 0.01, self._write_command, str(training_dir()))
        self._begin("Check the engine", 0.06)
        self._check()
        self._stamp()
        self._on_progress("Ready", 1.0)

    def _do(self, step: str, share: float, action: Callable[[], None], key: str, wanted: bool = True) -> None:
        """Do a step unless it was done with the same key before."""
        self._begin(step, share)
        if wanted and self._state.get(step) != key:
            self._line(f"== {step}")
            action()
            self._state[step] = key
            write_json(self._root / STATE_FILE, self._state)

    def _begin(self, step: str, share: float) -> None:
        if self._is_cancelled():
            raise Cancelled
        self._step, self._start, self._share, self._lines = step, self._start + self._share, share, 0
        self._on_progress(step, self._start)

    def _line(self, line: str) -> None:
        """Forward a line; the bar creeps with every line, as their number is unknown."""
        self._lines += 1
        self._on_progress(self._step, self._start + self._share * (1 - 1 / (1 + self._lines / 20)))
        self._on_line(line)

    def _make_venv(self) -> None:
        """Make the environment in place; a working one of the right Python is adopted as it is."""
        python = interpreter(self._root)
        existing = inspect_interpreter(python) if python.exists() else "is not there"
        wanted = find_python(self.plan.python) if self.plan.python else None
        if isinstance(existing, Interpreter):
            if (wanted is None or wanted.version == existing.version) and self._has_pip():
                return
            self._clear()
        found = wanted or find_python()
        self._line(f"Python {found.version[0]}.{found.version[1]} at {found.path}")
        self._command.run([str(found.path), "-m", "venv", str(self._root)])

    def _has_pip(self) -> bool:
        try:
            self._command.run([str(interpreter(self._root)), "-m", "pip", "--version"])
        except Cancelled:
            raise
        except GeoSegError:
            return False
        return True

    def _clear(self) -> None:
        """Remove an environment of another Python, or half of one; the log and the lock stay."""
        for name in ("bin", "lib", "lib64", "include", "share", "Scripts", "Lib", "Include"):
            path = self._root / name
            if path.is_symlink():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
        self._state = {}

    def _install(self, *lists: str, pins: str = "", extra: tuple[str, ...] = ()) -> None:
        requirements = training_dir() / "requirements"
        arguments = [
            str(interpreter(self._root)),
            "-m",
            "pip",
            "install",
            "--no-input",
            "--progress-bar",
            "off",
        ]
        for name in lists:
            arguments += ["-r", str(requirements / name)]
        for name in ("constraints.txt", pins):
            arguments += ["-c", str(requirements / name)] if name else []
        self._command.run([*arguments, *extra])

    def _install_geodata(self, numpy: str) -> None:
        if not self._has_richdem():
            self._remove("richdem")
        self._install(numpy, "geo.txt")

    def _remove(self, package: str) -> None:
        """Remove what another choice left behind; nothing happens where it is not installed."""
        self._command.run([str(interpreter(self._root)), "-m", "pip", "uninstall", "--yes", package])

    def _install_torch(self, numpy: str) -> None:
        """A build for another device has the same version number, so it has to go first."""
        earlier = self._state.get("torch device")
        if earlier not in (None, self.plan.device):
            self._remove("torch")
        self._state["torch device"] = self.plan.device
        self._install("torch.txt", pins=numpy, extra=torch_index())

    def _install_zoo(self, numpy: str) -> None:
        """torchvision of another build than PyTorch's would break whatever imports it, so it has to go first."""
        self._remove("torchvision")
        self._install("zoo.txt", pins=numpy, extra=torch_index())

    def _build_richdem(self) -> None:
        """Build richdem; where it cannot be built, report it and continue without.

        richdem brings a pybind11 that is too old for Python 3.11, so the installed one has to come first on the
        compiler's line. Newer setuptools give CFLAGS to C only; CPPFLAGS reaches C++ with all of them. Its numpy is not
        built from source: that of Python 3.13 and newer would take an hour, or fail.
        """
        python = str(interpreter(self._root))
        try:
            self._install("numpy1.txt", extra=("--only-binary", "numpy"))
            include = self._command.run([python, "-c", "import pybind11; print(pybind11.get_include())"])[-1]
            requirements = str(training_dir() / "requirements" / "richdem.txt")
            self._command.run(
                [python, "-m", "pip", "install", "--no-input", "--no-build-isolation", "-r", requirements],
                {"CPPFLAGS": f"-I{shlex.quote(include)} {os.environ.get('CPPFLAGS', '')}".strip()},
            )
        except Cancelled:
            raise
        except GeoSegError as error:
            self._state["richdem"] = f"no: {error.message}"
            self._line("richdem cannot be built here; all terrain attributes are computed without it.")
        else:
            self._state["richdem"] = "yes"

    def _has_richdem(self) -> bool:
        return self.plan.with_richdem and self._state.get("richdem") == "yes"

    def _write_command(self) -> None:
        write_command(self._root)

    def _check(self) -> None:
        self._command.run([str(interpreter(self._root)), "-m", "pip", "check"])
        probe = run_probe(interpreter(self._root), self._root / "check", self._is_cancelled)
        self._line(f"Device: {probe.get('device_name') or probe.get('device')}")
        if self.plan.device == "gpu" and probe.get("device") == "cpu":
            self._line("A GPU was chosen, but PyTorch finds none: the engine will run on the CPU.")
        for name, version in dict(probe.get("versions") or {}).items():
            self._line(f"{name} {version}")

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._root).free
        needed = FREE_GB.get(self.plan.device, FREE_GB["cpu"])
        if free < needed * 1e9 and not (self._root / STATE_FILE).exists():
            what = f"{self._root} has {free / 1e9:.1f} GB free, {needed:.0f} GB are needed."
            raise GeoSegError("disk_full", what,
                              "Free some space, or set GEOSEG_ENGINE_DIR to a folder on another disk.")  # fmt: skip

    def _read_state(self) -> None:
        found = kept_json(self._root / STATE_FILE)
        self._state = found if isinstance(found, dict) else {}
        if not interpreter(self._root).exists():
            self._state = {}

    def _wish(self) -> dict[str, str]:
        return {
            "requirements": requirements_hash(),
            "device": self.plan.device,
            "with_richdem": str(self.plan.with_richdem),
            "dev": str(self.plan.dev),
            "training": str(training_dir()),
            **({"zoo": "True"} if self.plan.zoo else {}),
            **({"openvino": "True"} if self.plan.openvino else {}),
        }

    def _is_whole(self) -> bool:
        stamp = kept_json(self._root / STAMP_FILE)
        same = isinstance(stamp, dict) and all(stamp.get(key) == value for key, value in self._wish().items())
        return same and isinstance(inspect_interpreter(interpreter(self._root)), Interpreter)

    def _stamp(self) -> None:
        made = {"richdem": self._state.get("richdem", "no"), "made": time.strftime("%Y-%m-%d %H:%M")}
        made |= {"zoo": "True"} if ZOO_STEP in self._state else {}
        made |= {"openvino": "True"} if OPENVINO_STEP in self._state else {}
        write_json(self._root / STAMP_FILE, {**self._wish(), **made})


def torch_index() -> tuple[str, ...]:
    """pip's flags for the index of PyTorch's builds that the user named, if any."""
    index = os.environ.get("GEOSEG_TORCH_INDEX", "")
    return ("--extra-index-url", index) if index else ()


def digest(*lists: str) -> str:
    """Fingerprint of requirement lists, so that a step is done again when its list changes."""
    requirements = training_dir() / "requirements"
    text = b"\0".join((requirements / name).read_bytes() for name in (*lists, "constraints.txt"))
    return hashlib.sha256(text).hexdigest()[:16]


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line of the command at once."""
    print(line, file=stream or sys.stdout, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The installer as a command. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Set up the environment of the GeoSeg engine.")
    parser.add_argument("--root", type=Path, default=default_root(), help="folder of the environment")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--python", default="", help="interpreter to make it from")
    parser.add_argument("--without-richdem", action="store_true")
    parser.add_argument("--zoo", action="store_true", help="also the networks of segmentation-models-pytorch")
    parser.add_argument("--openvino", action="store_true", help="also OpenVINO, to predict on a CPU")
    parser.add_argument("--dev", action="store_true", help="also what the engine's tests need")
    options = parser.parse_args(arguments)
    plan = Plan(
        options.root,
        options.device,
        options.python,
        not options.without_richdem,
        options.dev,
        options.zoo,
        options.openvino,
    )
    try:
        environment = Installation(plan, on_line=say).run()
    except GeoSegError as error:
        say(f"{error.message} {error.hint}\n{error.details}", sys.stderr)
        return 1
    say(str(environment.python))
    return 0


if __name__ == "__main__":
    sys.exit(main())
