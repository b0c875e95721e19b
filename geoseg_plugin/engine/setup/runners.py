"""uv and pip behind one interface: both carry out the same requests with the same result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..environment import interpreter
from .access import Access
from .command import Command
from .places import site_packages
from .pythons import Interpreter
from .records import installed


@dataclass(frozen=True)
class Request:
    """Packages to install.

    Attributes:
        packages: requirements, e.g. `torch==2.13.0+cpu`.
        lists: requirement files.
        constraints: files with versions of what else comes along.
        index: address of the only index that may be used; empty uses the user's own.
        links: folder of wheels that replaces every index.
        no_deps: install nothing but what is named.
        hashes: every package must have a hash in its list.
        no_isolation: build with the packages of the environment.
        binary: packages that are never built from source.
        environ: further variables.
    """

    packages: tuple[str, ...] = ()
    lists: tuple[Path, ...] = ()
    constraints: tuple[Path, ...] = ()
    index: str = ""
    links: Path | None = None
    no_deps: bool = False
    hashes: bool = False
    no_isolation: bool = False
    binary: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> list[str]:
        """Return what both tools understand in the same way; addresses are passed as variables."""
        found = [word for name in self.lists for word in ("-r", str(name))]
        found += [word for name in self.constraints for word in ("-c", str(name))]
        found += [word for name in self.binary for word in ("--only-binary", name)]
        if self.links is not None:
            found += ["--no-index", "--find-links", str(self.links)]
        flags = {
            "--no-deps": self.no_deps,
            "--require-hashes": self.hashes,
            "--no-build-isolation": self.no_isolation,
        }
        return [*found, *(flag for flag, wanted in flags.items() if wanted), *self.packages]


class Runner(Protocol):
    """A tool that makes environments and fills them."""

    name: str

    def make(self, python: Interpreter) -> None:
        """Make the environment from an interpreter; an existing folder is kept."""

    def install(self, request: Request) -> None:
        """Install packages."""

    def remove(self, *packages: str) -> None:
        """Remove packages that are installed."""

    def forget(self, *packages: str) -> None:
        """Drop packages from the cache, where a damaged file may be the same file as in the environment."""

    def check(self) -> None:
        """Compare the requirements of all packages with what is installed."""

    def tidy(self) -> None:
        """Remove what interrupted downloads left in the cache."""

    def usable(self) -> bool:
        """Whether the tool can work on the environment as it is."""


class PipRunner:
    """pip of the environment itself.

    Args:
        command: runs programs.
        access: variables of pip.
        root: folder of the environment.
        pip_wheel: gets pip as a file, for a Python that brings none.
    """

    name = "pip"

    def __init__(self, command: Command, access: Access, root: Path, pip_wheel: Callable[[], Path]) -> None:
        self._command = command
        self._access = access
        self._root = root
        self._pip_wheel = pip_wheel
        self._wheel: Path | None = None
        self._python = str(interpreter(root))

    def make(self, python: Interpreter) -> None:
        """Make the environment with `venv`; without ensurepip, pip runs from its wheel."""
        if not python.has_pip:
            self._wheel = self._pip_wheel()
        options = [] if self._wheel is None else ["--without-pip"]
        self._command.run([str(python.path), "-m", "venv", *options, str(self._root)], self._access.pip())

    def install(self, request: Request) -> None:
        """Install packages. The bar of pip states in the log how much of a file came."""
        environ = {**self._access.pip(bool(request.index or request.links)), **dict(request.environ)}
        if request.index:
            environ["PIP_INDEX_URL"] = request.index
        bar = "on" if request.index or request.hashes else "off"
        arguments = [*self._pip(), "install", "--no-input", "--progress-bar", bar, *request.arguments()]
        self._command.run(arguments, environ)

    def remove(self, *packages: str) -> None:
        """Remove packages."""
        self._command.run([*self._pip(), "uninstall", "--yes", *packages], self._access.pip())

    def forget(self, *packages: str) -> None:
        """Nothing: pip copies from its cache."""

    def check(self) -> None:
        """Run `pip check`."""
        self._command.run([*self._pip(), "check"], self._access.pip())

    def tidy(self) -> None:
        """Nothing: pip's cache holds whole files only."""

    def usable(self) -> bool:
        """pip works on any environment: in one that uv made, from its wheel."""
        return True

    def _pip(self) -> list[str]:
        if self._wheel is None and "pip" not in installed(site_packages(self._root)):
            self._wheel = self._pip_wheel()
        if self._wheel is not None:
            return [self._python, str(self._wheel / "pip")]
        return [self._python, "-m", "pip"]


class UvRunner:
    """The program uv, which works on an environment from outside.

    Args:
        command: runs programs.
        access: variables of uv.
        root: folder of the environment.
        program: uv itself.
        offline: never use the network.
    """

    name = "uv"

    def __init__(
        self, command: Command, access: Access, root: Path, program: Path, offline: bool = False
    ) -> None:
        self._command = command
        self._access = access
        self._root = root
        self._program = str(program)
        self._offline = ["--offline"] if offline else []

    def make(self, python: Interpreter) -> None:
        """Make the environment; the Python needs neither venv nor ensurepip."""
        options = ["--relocatable", "--allow-existing", "--python", str(python.path)]
        self._run(["venv", *options, str(self._root)], {})

    def install(self, request: Request) -> None:
        """Install packages."""
        environ = dict(request.environ)
        if request.index:
            environ["UV_DEFAULT_INDEX"] = request.index
        self._pip(["install", *request.arguments()], environ, bool(request.index or request.links))

    def remove(self, *packages: str) -> None:
        """Remove packages."""
        self._pip(["uninstall", *packages])

    def forget(self, *packages: str) -> None:
        """Remove packages from the cache, whose files are hard links of those in the environment."""
        self._run(["cache", "clean", *packages], {})

    def check(self) -> None:
        """Run `uv pip check`."""
        self._pip(["check"])

    def tidy(self) -> None:
        """Remove what nothing refers to from the cache."""
        self._run(["cache", "prune"], {})

    def usable(self) -> bool:
        """uv works on any environment."""
        return True

    def bring_python(self, version: str, folder: Path, mirror: Path | None = None) -> None:
        """Download a Python into a folder; nothing else on the machine changes.

        Args:
            version: e.g. `3.12`.
            folder: for Pythons.
            mirror: folder with archives that replaces the network.
        """
        environ = {"UV_PYTHON_DOWNLOADS": "manual"}
        if mirror is not None:
            environ["UV_PYTHON_INSTALL_MIRROR"] = mirror.as_uri()
        options = ["--install-dir", str(folder), "--no-bin"]
        if os.name == "nt":
            options.append("--no-registry")
        self._command.run(
            [self._program, "python", "install", version, *options], {**self._access.uv(), **environ}
        )

    def _pip(
        self, arguments: list[str], environ: dict[str, str] | None = None, only_index: bool = False
    ) -> None:
        verb, *rest = arguments
        self._run(["pip", verb, "--python", str(interpreter(self._root)), *rest], environ or {}, only_index)

    def _run(self, arguments: list[str], environ: dict[str, str], only_index: bool = False) -> None:
        self._command.run(
            [self._program, *self._offline, *arguments], {**self._access.uv(only_index), **environ}
        )
