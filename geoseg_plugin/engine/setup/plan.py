"""What a set-up is asked for, who listens to it, and how it reaches the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What to install.

    Attributes:
        root: folder of the environment.
        build: key of the build of PyTorch (`cpu`, `cu130`, …); `auto` takes the one that the machine suggests.
        python: interpreter to make it from; empty finds one, or has one brought.
        with_richdem: try to build richdem; where that fails the environment is made without it.
        dev: also what the engine's tests need.
        zoo: also the networks of segmentation-models-pytorch; once there they stay.
        openvino: also OpenVINO, which predicts faster on some processors; once there it stays.
        kit: folder of an offline kit to install from; None installs from the network.
        tool: `uv`, `pip`, or `auto`: uv where it can be had and may run, else pip.
    """

    root: Path
    build: str = "auto"
    python: str = ""
    with_richdem: bool = True
    dev: bool = False
    zoo: bool = False
    openvino: bool = False
    kit: Path | None = None
    tool: str = "auto"


def _no_progress(_step: str, _fraction: float) -> None:
    """Forward nothing."""


def _no_line(_line: str) -> None:
    """Forward nothing."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Listener:
    """Who is kept informed of a long work, and may stop it.

    Attributes:
        on_progress: step and overall fraction 0..1.
        on_line: a line for the log, without secrets.
        is_cancelled: called ten times per second.
    """

    on_progress: Callable[[str, float], None] = _no_progress
    on_line: Callable[[str], None] = _no_line
    is_cancelled: Callable[[], bool] = _never


Fetch = Callable[[str, Path, Callable[[], bool]], None]
"""Fetches an address into a file; the last argument says whether to stop. Raises GeoSegError."""


@dataclass(frozen=True)
class Network:
    """How the network is reached.

    Attributes:
        environ: variables for the programs that download, e.g. HTTPS_PROXY with its login, percent-encoded;
            they are passed in the environment only, never as arguments.
        fetch: fetches one file (uv itself); None uses Python's own means.
        certificates: further trusted certificates as PEM text, e.g. those of QGIS.
    """

    environ: dict[str, str] = field(default_factory=dict)
    fetch: Fetch | None = None
    certificates: str = ""
