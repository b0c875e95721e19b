"""The project's own Python files as syntax trees, and what each imports."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN, ENGINE = ROOT / "geoseg_plugin", ROOT / "training" / "geoseg_engine"
PRODUCT = (PLUGIN, ENGINE, ROOT / "scripts")


@dataclass(frozen=True)
class Import:
    """One imported module by its whole name, with the line it is on; relative names are resolved."""

    module: str
    line: int


@functools.cache
def python_files(folder: Path) -> tuple[Path, ...]:
    """Python files below a folder, sorted."""
    return tuple(sorted(folder.rglob("*.py")))


@functools.cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def name_of(file: Path) -> str:
    """Whole module name, e.g. `geoseg_plugin.jobs.train`; packages without `__init__`."""
    base = ROOT / "training" if file.is_relative_to(ENGINE) else ROOT
    parts = file.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports(file: Path) -> tuple[Import, ...]:
    """Everything a file imports, wherever in the file; `from a import b` gives a and a.b."""
    package = name_of(file).split(".")
    return tuple(imported(tree(file), package if file.name == "__init__.py" else package[:-1]))


def imported(module: ast.Module, package: list[str]) -> Iterator[Import]:
    """Everything a module of a package imports; blocks for type checking are no exception."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield Import(name, node.lineno)
            yield from (Import(f"{name}.{alias.name}", node.lineno) for alias in node.names)


def place(file: Path, line: int = 0) -> str:
    """Where something is, as an editor takes it."""
    where = file.relative_to(ROOT).as_posix()
    return f"{where}:{line}" if line else where


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Files that are, or would be, under version control."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False)  # fmt: skip
    names = [name for name in listed.stdout.decode().split("\0") if name]
    if listed.returncode != 0:
        left_out = {".git", ".envs", "build", "__pycache__"}
        names = [str(file.relative_to(ROOT)) for file in ROOT.rglob("*")
                 if not left_out & set(file.relative_to(ROOT).parts)]  # fmt: skip
    return tuple(sorted(ROOT / name for name in names if (ROOT / name).is_file()))


def for_each(files: Iterable[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test over many files, which reports all that fail and not only the first."""

    def wrap(test: Callable[[Path], None]) -> Callable[[], None]:
        def test_all() -> None:
            failures = []
            for file in files:
                try:
                    test(file)
                except AssertionError as error:
                    failures.append(str(error))
            assert not failures, "\n".join(failures)

        test_all.__name__, test_all.__doc__ = test.__name__, test.__doc__
        return test_all

    return wrap
