"""One installation: make, complete or update the environment; what works stays until something better works.

An environment that is there stays as it is while a new one is made beside it from the same files, and is replaced only
when the engine has proved itself in the new one. An interrupted installation resumes where it stopped.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ...contract import Cancelled, GeoSegError, kept_json, present, write_json
from ...paths import training_dir
from ..environment import STAMP_FILE, Environment, interpreter, requirements_hash
from ..liveness import locked
from .access import Access
from .builds import Build, Proposal, propose
from .command import Command
from .facts import Machine
from .fetching import fetcher
from .finish import write_command
from .kit import Kit, read_kit
from .machine import inspect_machine
from .persistence import PAUSES_S, Persistence
from .places import Places, check_outside_plugin, check_path_length
from .plan import Listener, Network, Plan
from .proof import device_warning, stamp_of
from .pythons import SUPPORTED, Interpreter, find_python, inspect_interpreter
from .redaction import redacted
from .runners import PipRunner, Runner, UvRunner
from .simple_index import DEFAULT_INDEX, Source
from .space import UPDATE_MB, check_space, other_pip_cache
from .steps import OPENVINO_STEP, STATE_FILE, ZOO_STEP, Steps
from .swap import check_unused, clone, drop_former, recover, swap, swap_back
from .uv import UvSource, uv_or_reason
from .wheel_lists import PYTHON, WheelLists, lists_for, platform_of, tool


class Installation:
    """One installation, with its progress.

    Args:
        plan: what to install.
        listener: is kept informed; may stop it.
        network: how the network is reached.
        machine: what it is installed on; None looks.
        pauses_s: seconds before what failed is tried again.
    """

    def __init__(
        self,
        plan: Plan,
        listener: Listener | None = None,
        network: Network | None = None,
        machine: Machine | None = None,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self.plan = plan
        self._listener = listener or Listener()
        self._network = network or Network()
        self._machine = machine
        self._pauses_s = pauses_s
        self._places = Places.of(plan.root)
        self._root = self._places.root
        self._command = Command(self._places.log, self._forward, self._listener.is_cancelled)
        self._steps: Steps | None = None
        self._kit: Kit | None = None
        self.proposal = Proposal(None, "")
        self.warning = ""
        """Why the chosen device is not used; empty if it is. Known when the installation is done."""

    def run(self) -> Environment:
        """Do all steps that are not done yet. Returns the environment.

        Raises:
            GeoSegError: `no_build`, `no_python`, `disk_full`, `not_writable`, `path_too_long`, `install_…`, `kit_…`.
            Cancelled: what is done is kept.
        """
        check_path_length(self._root)
        check_outside_plugin(self._root)
        self._choose()
        try:
            self._folder_of_lock().mkdir(parents=True, exist_ok=True)
            with locked(self._places.lock):
                self._run_locked()
        except OSError as error:
            raise problem_of(error, self._root) from error
        return Environment(interpreter(self._root), managed=True)

    def _run_locked(self) -> None:
        self._command.trim()
        if recover(self._places):
            self._say("An interrupted update was completed.")
        if self._is_whole(self._root):
            self._say(f"{self._root} is complete.")
            return
        updates = (self._root / STAMP_FILE).is_file() and self._places.can_swap
        self._check_space(updates)
        if updates:
            self._update()
        else:
            check_unused(self._root)
            (self._root / STAMP_FILE).unlink(missing_ok=True)
            self._fill(self._root)
        self._listener.on_progress("Ready", 1.0)

    def _choose(self) -> None:
        """Decide which build is installed, or report why there is none, before anything is downloaded."""
        machine = self._machine = self._machine or inspect_machine()
        chosen = self.plan.build
        if self.plan.kit is not None:
            self._kit = read_kit(self.plan.kit)
            self._kit.check(platform_of(machine))
            chosen = self._kit.build
        self.proposal = propose(machine, chosen)
        if self.proposal.build is None:
            first = self.proposal.problems[0]
            raise GeoSegError(first.code, first.message, first.hint)

    def _update(self) -> None:
        """Make a new environment beside the old one, and let it take its place when it has proved itself."""
        staging = self._places.staging
        try:
            if not (staging / STATE_FILE).is_file():
                self._say("The present environment is kept until the new one has passed its checks.")
                clone(self._root, staging, self._listener.is_cancelled)
                (staging / STAMP_FILE).unlink(missing_ok=True)
                if not (staging / STATE_FILE).is_file():
                    write_json(staging / STATE_FILE, {})
            if not self._is_whole(staging):
                self._fill(staging)
            swap(self._places)
        except Cancelled:
            raise
        except GeoSegError as error:
            hint = f"{error.hint} Until then the present environment is used."
            raise GeoSegError(error.code, error.message, hint, error.details) from error
        if not isinstance(inspect_interpreter(interpreter(self._root)), Interpreter):
            swap_back(self._places)
            raise GeoSegError("install_check", "The new environment does not start in its place; the former is back.",
                              "Set up again; if it fails again, report it with the log.")  # fmt: skip
        write_command(self._root)
        drop_former(self._places)

    def _fill(self, folder: Path) -> None:
        """Do the steps in a folder, and write the stamp. Rests of interrupted downloads go before and after."""
        shutil.rmtree(self._places.cache / "tmp", ignore_errors=True)
        access = Access(self._network, self._places.cache, self._say)
        access.pip_cache = other_pip_cache(
            self._root, self._places.cache, self.proposal.download_mb, access.settings, os.environ
        )
        runner = self._runner(folder, access)
        persistence = Persistence(access, self._say, self._listener.is_cancelled, self._pauses_s)
        listener = Listener(self._listener.on_progress, self._say, self._listener.is_cancelled)
        build = present(self.proposal.build, "a build")
        python = partial(self._python, runner)
        folder.mkdir(parents=True, exist_ok=True)
        self._steps = Steps(
            folder,
            self.plan,
            build,
            runner,
            python,
            persistence,
            listener,
            self._lists,
            partial(self._reaching, access),
        )
        probe = self._steps.run()
        self._stamp(folder, build, runner, probe)
        try:
            runner.tidy()
        except Cancelled:
            raise
        except GeoSegError as error:
            self._say(f"The cache was not tidied: {error.message}")

    def _runner(self, folder: Path, access: Access) -> Runner:
        """uv where it can be had and may run, else pip."""
        platform = platform_of(present(self._machine, "a machine"))
        if self.plan.tool != "pip":
            wheels = None if self._kit is None else self._kit.wheels
            source = UvSource(
                self._places.own_uv, access, self._network, self._listener.is_cancelled, platform, wheels
            )
            program = uv_or_reason(source, self._say)
            if program is not None:
                return UvRunner(self._command, access, folder, program, offline=self._kit is not None)
            if self.plan.tool == "uv":
                raise GeoSegError("install_no_uv", "uv cannot be used; the log says why.", "Set up with pip.")
        return PipRunner(self._command, access, folder, lambda: self._pip_wheel(access))

    def _pip_wheel(self, access: Access) -> Path:
        """pip as a file, for a Python without ensurepip."""
        wheel = present(tool("pip", "any"), "a wheel of pip")
        if self._kit is not None:
            return self._kit.wheels / wheel.file
        fetch = self._network.fetch or fetcher(access.uv())
        index = access.settings.get("index-url") or DEFAULT_INDEX
        folder = self._places.cache / "pip"
        return Source(index, fetch, folder, self._listener.is_cancelled).get(wheel, folder)

    @contextmanager
    def _reaching(self, access: Access, index: str) -> Iterator[None]:
        """Look whether an index answers: where the name is unknown or nothing answers, the tools need not wait long."""
        page = self._places.cache / "tmp" / "page"
        page.parent.mkdir(parents=True, exist_ok=True)
        fetch = self._network.fetch or fetcher(access.uv(True), tries=1, timeout_s=20.0)
        try:
            fetch(f"{index}/torch/", page, self._listener.is_cancelled)
        except Cancelled:
            raise
        except GeoSegError as error:
            access.impatient = error.code == "install_network"
        try:
            yield
        finally:
            access.impatient = False

    def _python(self, runner: Runner) -> Interpreter:
        """The interpreter to make the environment from; uv brings one where none fits."""
        machine = present(self._machine, "a machine")
        processor = machine.processor if machine.system == "macos" else ""
        versions = SUPPORTED if self._kit is None else (PYTHON,)  # the wheels of a kit are for one Python
        try:
            return own_python(self._places.own_python) or find_python(self.plan.python, processor, versions)
        except GeoSegError:
            if self.plan.python or not isinstance(runner, UvRunner):
                raise
        version = ".".join(str(part) for part in PYTHON)
        self._say(f"No usable Python was found; Python {version} is downloaded.")
        mirror = None if self._kit is None else self._kit.pythons
        runner.bring_python(version, self._places.own_python, mirror)
        found = own_python(self._places.own_python)
        if found is None:
            raise GeoSegError("no_python", "The Python that was downloaded does not run.",
                              "Install Python 3.12 (64 bit) and choose it here.")  # fmt: skip
        return found

    def _lists(self, python: tuple[int, int]) -> WheelLists | None:
        platform = platform_of(present(self._machine, "a machine"))
        folder = None if self._kit is None else self._kit.lists
        found = lists_for(platform, present(self.proposal.build, "a build"), python, folder)
        if found is None and self._kit is not None:
            raise GeoSegError("kit_python", f"The kit is for Python 3.12; this one is {python[0]}.{python[1]}.",
                              "Install Python 3.12, or remove the engine and install from the kit again.")  # fmt: skip
        return found

    def _check_space(self, updates: bool) -> None:
        stamp = kept_json(self._root / STAMP_FILE)
        same = (
            updates
            and isinstance(stamp, dict)
            and stamp.get("build") == present(self.proposal.build, "a build").key
        )
        begun = (self._root / STATE_FILE).exists() and not updates
        if not begun:
            check_space(self._root, UPDATE_MB if same else self.proposal.free_needed_mb)

    def _wish(self, build: Build) -> dict[str, str]:
        return {
            "requirements": requirements_hash(),
            "build": build.key,
            "torch": build.torch,
            "with_richdem": str(self.plan.with_richdem),
            "dev": str(self.plan.dev),
            "training": str(training_dir()),
            **({"zoo": "True"} if self.plan.zoo else {}),
            **({"openvino": "True"} if self.plan.openvino else {}),
        }

    def _is_whole(self, folder: Path) -> bool:
        stamp = kept_json(folder / STAMP_FILE)
        wish = self._wish(present(self.proposal.build, "a build"))
        same = isinstance(stamp, dict) and all(stamp.get(key) == value for key, value in wish.items())
        return same and isinstance(inspect_interpreter(interpreter(folder)), Interpreter)

    def _stamp(self, folder: Path, build: Build, runner: Runner, probe: dict[str, Any]) -> None:
        """Write what was installed, and the warning if the device of the build is not used."""
        state = present(self._steps, "the steps").state
        self._say(f"Device: {probe.get('device_name') or probe.get('device')}")
        for name, version in dict(probe.get("versions") or {}).items():
            self._say(f"{name} {version}")
        warning = device_warning(build, probe, self.proposal.advice)
        if warning is not None:
            self.warning = warning.message
            self._say(f"{warning.message} {warning.hint}".strip())
        made = {
            "device": "cpu" if build.key == "cpu" else "gpu",
            "onnxruntime": build.onnxruntime,
            "tool": runner.name,
            "richdem": str(state.get("richdem", "no")),
            "made": time.strftime("%Y-%m-%d %H:%M"),
            **({"zoo": "True"} if ZOO_STEP in state else {}),
            **({"openvino": "True"} if OPENVINO_STEP in state else {}),
        }
        write_json(folder / STAMP_FILE, {**self._wish(build), **made, **stamp_of(warning, probe)})

    def _folder_of_lock(self) -> Path:
        return self._places.lock.parent

    def _say(self, line: str) -> None:
        """Write a line of our own into the log, and forward it."""
        line = redacted(line)
        self._command.write(line)
        self._forward(line)

    def _forward(self, line: str) -> None:
        if self._steps is not None:
            self._steps.creep()
        self._listener.on_line(line)


def own_python(folder: Path) -> Interpreter | None:
    """Return the Python that was brought into a folder; None if there is none."""
    for pattern in ("cpython-*/bin/python3.*", "cpython-*/python.exe"):
        for path in sorted(folder.glob(pattern)):
            found = inspect_interpreter(path) if "config" not in path.name else ""
            if isinstance(found, Interpreter):
                return found
    return None


def problem_of(error: OSError, root: Path) -> GeoSegError:
    """What the system refused, in our words."""
    where = error.filename or root
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return GeoSegError("disk_full", f"The disk is full: {where}.",
                           "Free some space or choose another folder, then set up again.")  # fmt: skip
    if error.errno == errno.EROFS:
        return GeoSegError("not_writable", f"{where} is on a disk that can only be read.",
                           "Choose a folder that you may write to.")  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM):
        return GeoSegError(
            "not_writable", f"{where} cannot be written.", "Choose a folder that you may write to."
        )
    return GeoSegError("install_failed", f"{where}: {error.strerror or error}.",
                       "Look at the log, then set up again: finished steps are kept.")  # fmt: skip
