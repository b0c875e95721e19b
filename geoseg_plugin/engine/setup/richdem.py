"""richdem, the one package that is built from source: whether that can be done, and how."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from ..environment import cleaned
from ..liveness import answer
from .requirement_lists import list_file
from .runners import Request


def compiler_problem(python: Path) -> str:
    """Return why nothing can be compiled for an interpreter; empty if it can."""
    compilers = (
        ("cl",) if sys.platform == "win32" else (os.environ.get("CXX", "c++"), "c++", "g++", "clang++")
    )
    if not any(shutil.which(name.split(" ")[0]) for name in compilers if name):
        return "there is no C++ compiler"
    question = "import os, sysconfig; print(os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')))"
    try:
        done = answer([str(python), "-c", question], cleaned(), 20)
    except (OSError, subprocess.TimeoutExpired):
        return "the interpreter does not answer"
    return "" if done.stdout.strip() == "True" else "the header files of Python are not installed"


def packages() -> Request:
    """Return what must be there first. numpy is not built from source: that would take an hour, or fail."""
    constraints = (list_file("constraints.txt"),)
    return Request(lists=(list_file("numpy1.txt"),), constraints=constraints, binary=("numpy",))


def source(site: Path) -> Request:
    """Return the request that builds richdem.

    richdem brings a pybind11 that is too old for Python 3.11, so the installed one has to come first on the
    compiler's line. Newer setuptools give CFLAGS to C only; CPPFLAGS reaches C++ with all of them.

    Args:
        site: folder of the environment's packages.
    """
    include = site / "pybind11" / "include"
    flags = f"-I{shlex.quote(str(include))} {os.environ.get('CPPFLAGS', '')}".strip()
    return Request(lists=(list_file("richdem.txt"),), no_isolation=True, environ=(("CPPFLAGS", flags),))
