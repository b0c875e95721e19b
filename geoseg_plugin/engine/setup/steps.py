"""The steps that fill one environment; what is done is remembered beside it, and an interrupted step is done again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...contract import Cancelled, GeoSegError, kept_json, write_json
from ...paths import training_dir
from ..environment import STAMP_FILE, interpreter
from . import packages, richdem
from .builds import Build, address
from .failures import unreachable
from .finish import run_probe, write_command
from .persistence import Persistence
from .places import site_packages
from .plan import Listener, Plan
from .pythons import Interpreter, inspect_interpreter
from .records import broken_packages, clear_halves, installed
from .requirement_lists import digest, key_of, list_file
from .runners import Request, Runner
from .wheel_lists import WheelList, WheelLists

STATE_FILE = "installing.json"
ENVIRONMENT_STEP, RICHDEM_STEP, TORCH_STEP = "Make the environment", "Build richdem", "Install PyTorch"
ZOO_STEP, OPENVINO_STEP = "Install the model zoo", "Install OpenVINO"
OWN_FILES = (STATE_FILE, STAMP_FILE, "install.log")
"""One of them is in every environment that GeoSeg made or began; the last is of earlier versions."""
KEPT_NAMES = ("richdem", "tool")
"""Entries of the state that are no steps."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        title: for people, and its name in the state.
        share: of the whole, 0..1.
        action: carries it out.
        key: fingerprint of what it installs; it is done again when that changes.
        wanted: False leaves it out.
    """

    title: str
    share: float
    action: Callable[[], None]
    key: str
    wanted: bool = True


class Steps:
    """The steps for one folder.

    Args:
        root: folder of the environment.
        plan: what to install.
        build: exact build of PyTorch.
        runner: uv or pip on this folder.
        python: finds the interpreter to make it from.
        persistence: tries again what may work later.
        listener: is kept informed.
        wheels: finds the lists of tested wheels for a Python.
        reaching: looks whether an index answers; while it lasts, the tools do not wait for one that does not.
    """

    def __init__(
        self,
        root: Path,
        plan: Plan,
        build: Build,
        runner: Runner,
        python: Callable[[], Interpreter],
        persistence: Persistence,
        listener: Listener,
        wheels: Callable[[tuple[int, int]], WheelLists | None] = lambda version: None,
        reaching: Callable[[str], AbstractContextManager[None]] = lambda index: nullcontext(),
    ) -> None:
        self._root = root
        self._plan = plan
        self._build = build
        self._runner = runner
        self._python = python
        self._persist = persistence.run
        self._listener = listener
        self._find_wheels = wheels
        self._reaching = reaching
        self._state: dict[str, Any] = {}
        self._step, self._start, self._share, self._lines = "", 0.0, 0.0, 0

    @property
    def state(self) -> dict[str, Any]:
        """What is done: step -> key, and whether richdem was built."""
        return self._state

    def run(self) -> dict[str, Any]:
        """Do all steps that are not done yet, compare every file with its record, and let the engine prove itself.

        Returns:
            The result of the engine's probe.
        """
        self._read_state()
        self._mend()
        self._start = 0.0
        for step in self._all():
            self._do(step)
        self._begin("Check the files", 0.02)
        if self._mend():
            for step in self._all():
                self._do(step)
            if broken := broken_packages(site_packages(self._root)):
                raise GeoSegError(
                    "install_records",
                    f"{broken[0].name} is still incomplete after it was installed twice: {broken[0].what}.",
                    "An antivirus may remove files: look into its log, exclude the engine's folder, and set up again.",
                )
        self._begin("Check the engine", 0.05)
        self._runner.check()
        return run_probe(interpreter(self._root), self._root / "check", self._listener.is_cancelled)

    def creep(self) -> None:
        """Move the bar with a line of output, as their number is unknown."""
        self._lines += 1
        fraction = self._start + self._share * (1 - 1 / (1 + self._lines / 20))
        self._listener.on_progress(self._step, min(1.0, fraction))

    def _all(self) -> Iterator[Step]:
        """All steps in order; later ones depend on whether richdem could be built."""
        networked = self._plan.kit is None
        yield Step(ENVIRONMENT_STEP, 0.02, self._make, str(self._plan.python))
        yield Step(
            "Bring pip up to date",
            0.01,
            self._update_pip,
            digest("wheels/pip.txt"),
            networked and self._runner.name == "pip",
        )
        yield Step(
            "Install build tools", 0.02, lambda: self._install("build.txt"), digest("build.txt"), networked
        )
        yield Step(
            RICHDEM_STEP,
            0.12,
            self._build_richdem,
            digest("richdem.txt", "numpy1.txt"),
            networked and self._plan.with_richdem,
        )
        numpy = "numpy1.txt" if self._has_richdem() else "numpy2.txt"
        wheels = None if self._has_richdem() else self._wheels()
        if wheels is not None:
            yield from self._tested(wheels)
        else:
            yield from self._resolved(numpy)
        yield from self._extras(numpy)
        yield Step(
            "Write the command geoseg", 0.01, lambda: _ignore(write_command(self._root)), str(training_dir())
        )

    def _tested(self, wheels: WheelLists) -> Iterator[Step]:
        """Steps that install exactly the tested files: PyTorch's from its index, all others from the user's own."""
        yield Step(TORCH_STEP, 0.32, lambda: self._install_torch_list(wheels.torch), key_of(wheels.torch))
        share = 0.3 / max(1, len(wheels.others))
        for item in wheels.others:
            yield Step(f"Install {item.part}", share, partial(self._install_list, item), key_of(item))

    def _resolved(self, numpy: str) -> Iterator[Step]:
        """Steps that find versions by the constraints, for Pythons without a list of wheels."""
        torch = self._build.torch
        yield Step(TORCH_STEP, 0.3, self._install_torch, torch)
        yield Step(
            "Install geodata packages", 0.15, lambda: self._install_geodata(numpy), digest(numpy, "geo.txt")
        )
        yield Step(
            "Install what PyTorch needs",
            0.08,
            lambda: self._install("torch.txt", pins=numpy),
            digest("torch.txt", numpy) + torch,
        )
        yield Step(
            "Install ONNX Runtime",
            0.06,
            lambda: self._install_onnx(numpy),
            digest("onnx.txt", numpy) + self._build.onnxruntime,
        )
        yield Step(
            "Install baselines and search",
            0.03,
            lambda: self._install("learn.txt", pins=numpy),
            digest("learn.txt", numpy),
        )

    def _extras(self, numpy: str) -> Iterator[Step]:
        yield Step(
            ZOO_STEP,
            0.05,
            lambda: self._install_zoo(numpy),
            digest("zoo.txt", "torch.txt") + self._build.torch,
            self._plan.zoo or ZOO_STEP in self._state,
        )
        yield Step(
            OPENVINO_STEP,
            0.03,
            lambda: self._install("openvino.txt", pins=numpy),
            digest("openvino.txt", numpy),
            self._plan.openvino or OPENVINO_STEP in self._state,
        )
        yield Step(
            "Install test tools", 0.02, lambda: self._install("dev.txt"), digest("dev.txt"), self._plan.dev
        )

    def _do(self, step: Step) -> None:
        """Do a step unless it was done with the same key before."""
        self._begin(step.title, step.share)
        if step.wanted and self._state.get(step.title) != step.key:
            self._listener.on_line(f"== {step.title}")
            step.action()
            self._state[step.title] = step.key
            self._write_state()

    def _begin(self, step: str, share: float) -> None:
        if self._listener.is_cancelled():
            raise Cancelled
        self._step, self._start, self._share, self._lines = step, self._start + self._share, share, 0
        self._listener.on_progress(step, min(1.0, self._start))

    def _mend(self) -> bool:
        """Remove the records of packages that are not whole: they are installed again. Returns whether any is."""
        site = site_packages(self._root)
        halves = clear_halves(site)
        broken = broken_packages(site)
        for item in broken:
            self._listener.on_line(
                f"{item.name} {item.version} is incomplete: {item.what}. It is installed again."
            )
            for folder in site.glob("*.dist-info"):
                if packages.normalized(folder.name.partition("-")[0]) == item.name:
                    shutil.rmtree(folder)
        if not halves and not broken:
            return False
        if broken:
            self._runner.forget(*(item.name for item in broken))
        self._forget()
        return True

    def _forget(self) -> None:
        """All steps are done again; what is whole already is only looked at. Extras that are there stay."""
        kept = (*KEPT_NAMES, ENVIRONMENT_STEP)
        extras = {name: "again" for name in (ZOO_STEP, OPENVINO_STEP) if name in self._state}
        self._state = {**{name: self._state[name] for name in kept if name in self._state}, **extras}
        if "richdem" not in installed(site_packages(self._root)):
            self._state.pop("richdem", None)
        elif self._state.get("richdem") == "yes":
            self._state[RICHDEM_STEP] = digest("richdem.txt", "numpy1.txt")
        self._write_state()

    def _read_state(self) -> None:
        found = kept_json(self._root / STATE_FILE)
        self._state = found if isinstance(found, dict) else {}
        if not interpreter(self._root).exists():
            self._state = {}

    def _write_state(self) -> None:
        write_json(self._root / STATE_FILE, self._state)

    def _make(self) -> None:
        """Make the environment in place; a working one of the right Python is adopted as it is."""
        python = interpreter(self._root)
        existing = inspect_interpreter(python) if python.exists() else "is not there"
        found = self._python()
        if isinstance(existing, Interpreter) and not (self._root / "pyvenv.cfg").is_file():
            raise GeoSegError(
                "not_writable", f"{self._root} holds another Python.", "Choose an empty folder."
            )
        if isinstance(existing, Interpreter) and existing.version == found.version and self._runner.usable():
            return
        if python.exists() or (self._root / "pyvenv.cfg").is_file():
            if not any((self._root / name).is_file() for name in OWN_FILES):
                raise GeoSegError("not_writable", f"{self._root} holds a Python that GeoSeg did not make.",
                                  "Choose an empty folder.")  # fmt: skip
            clear(self._root)
            self._state = {}
        self._listener.on_line(
            f"Python {found.version[0]}.{found.version[1]} at {found.path}, with {self._runner.name}"
        )
        self._write_state()  # from now on it is known as ours
        self._runner.make(found)

    def _update_pip(self) -> None:
        """The pinned pip resumes downloads; an older one that an own index still has will do, too."""
        try:
            self._request(Request(lists=(list_file("wheels/pip.txt"),), hashes=True))
        except GeoSegError as error:
            if error.code != "install_no_package":
                raise
            self._listener.on_line(
                "The package index does not have the tested pip; the installed one is used."
            )

    def _request(self, request: Request) -> None:
        if self._plan.kit is not None:
            request = replace(request, links=self._plan.kit / "wheels", index="")
        self._persist(lambda: self._runner.install(request))

    def _install(self, *lists: str, pins: str = "") -> None:
        names = [name for name in ("constraints.txt", pins) if name]
        self._request(
            Request(
                lists=tuple(list_file(name) for name in lists),
                constraints=tuple(list_file(name) for name in names),
            )
        )

    def _install_geodata(self, numpy: str) -> None:
        if not self._has_richdem():
            self._remove("richdem")
        self._install(numpy, "geo.txt")

    def _remove(self, *names: str) -> None:
        """Remove what another choice left behind; nothing happens where it is not installed."""
        there = installed(site_packages(self._root))
        found = [name for name in names if name in there]
        if found:
            self._persist(lambda: self._runner.remove(*found))

    def _install_torch(self) -> None:
        """The exact build, and nothing else, from its index; where that cannot be reached, from the user's own."""
        site = site_packages(self._root)
        if installed(site).get("torch") != self._build.torch:
            self._from_torch_index((f"torch=={self._build.torch}",))
        site = site_packages(self._root)
        if companions := packages.torch_companions(site):
            self._from_torch_index(tuple(companions))
        self._remove(*packages.torch_leftovers(site))

    def _from_torch_index(
        self, requirements: tuple[str, ...] = (), lists: tuple[Path, ...] = (), hashes: bool = False
    ) -> None:
        index = address(self._build)
        own = Request(packages=requirements, lists=lists, no_deps=True, hashes=hashes)
        if not index or self._plan.kit is not None:
            self._request(own)
            return
        with self._reaching(index):
            self._persist(lambda: self._first_or_own(replace(own, index=index), own))

    def _first_or_own(self, request: Request, own: Request) -> None:
        """The same exact version from the user's own index cannot be another build: its name states it."""
        try:
            self._runner.install(request)
        except GeoSegError as error:
            if not unreachable(error) or "+" not in self._build.torch:
                raise
            self._listener.on_line(
                f"PyTorch's index cannot be used ({error.message}); your own index is tried."
            )
            try:
                self._runner.install(own)
            except GeoSegError as second:
                if not unreachable(second):
                    raise
                raise error from second

    def _install_onnx(self, numpy: str) -> None:
        """Exactly one ONNX Runtime: two of them overwrite each other's files without a word."""
        wanted = self._build.onnxruntime
        self._remove(*packages.other_flavours(site_packages(self._root), packages.name_of(wanted)))
        constraints = tuple(list_file(name) for name in ("constraints.txt", numpy))
        self._request(Request(packages=(wanted,), lists=(list_file("onnx.txt"),), constraints=constraints))

    def _install_zoo(self, numpy: str) -> None:
        """torchvision of another build than PyTorch's would break whatever imports it."""
        local = self._build.torch.partition("+")[2]
        line = next(line for line in list_file("zoo.txt").read_text(encoding="utf-8").splitlines()
                    if line.startswith("torchvision"))  # fmt: skip
        if local:
            self._from_torch_index((f"{line}+{local}",))
        self._install("zoo.txt", pins=numpy)

    def _wheels(self) -> WheelLists | None:
        """The lists of tested wheels for the Python of this environment, if there are any."""
        existing = inspect_interpreter(interpreter(self._root))
        return self._find_wheels(existing.version) if isinstance(existing, Interpreter) else None

    def _install_torch_list(self, wheels: WheelList) -> None:
        self._from_torch_index(lists=(wheels.path,), hashes=not wheels.unchecked)
        self._remove(*packages.torch_leftovers(site_packages(self._root)), "richdem")

    def _install_list(self, wheels: WheelList) -> None:
        names = {wheel.name for wheel in wheels.wheels}
        wanted = next((name for name in packages.FLAVOURS if name in names), "")
        if wanted:
            self._remove(*packages.other_flavours(site_packages(self._root), wanted))
        self._request(Request(lists=(wheels.path,), no_deps=True, hashes=not wheels.unchecked))

    def _build_richdem(self) -> None:
        """Build richdem; where it cannot be built, report it and continue without."""
        why_not = richdem.compiler_problem(interpreter(self._root))
        if not why_not:
            why_not = self._try_richdem()
        self._state["richdem"] = f"no: {why_not}" if why_not else "yes"
        if why_not:
            self._listener.on_line(f"All terrain attributes are computed without richdem: {why_not}.")

    def _try_richdem(self) -> str:
        """Return why richdem cannot be installed; empty if it was."""
        try:
            self._request(richdem.packages())
        except GeoSegError as error:
            if error.code != "install_no_package":
                raise
            return error.message
        try:
            self._runner.install(richdem.source(site_packages(self._root)))
        except Cancelled:
            raise
        except GeoSegError as error:
            return error.message
        return ""

    def _has_richdem(self) -> bool:
        return self._plan.with_richdem and self._state.get("richdem") == "yes"


def clear(root: Path) -> None:
    """Remove an environment of another Python, or half of one; log, lock and cache stay."""
    for name in (
        "bin",
        "lib",
        "lib64",
        "include",
        "share",
        "Scripts",
        "Lib",
        "Include",
        "pyvenv.cfg",
        STATE_FILE,
    ):
        path = root / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)


def _ignore(_value: object) -> None:
    """Return nothing."""
