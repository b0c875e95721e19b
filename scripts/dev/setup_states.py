"""Computers and engines that this computer is not, so that every state of the Engine page can be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from geoseg_plugin.engine.setup.builds import propose
from geoseg_plugin.engine.setup.facts import Card, Machine
from geoseg_plugin.steps.engine.setup_state import Look, SetupChoices, Situation, Working

RTX_4090 = Card("nvidia", "NVIDIA GeForce RTX 4090", (581, 29), (8, 9), 24564)
GTX_1080 = Card("nvidia", "NVIDIA GeForce GTX 1080", (581, 29), (6, 1), 8192)
RTX_5090 = Card("nvidia", "NVIDIA GeForce RTX 5090", (570, 86), (12, 0), 32607)
APPLE_M3 = Card("apple", "Apple M3 Pro", memory_mb=18432)
WINDOWS = Machine("windows", "x86_64", (10, 0, 22631))
LINUX = Machine("linux", "x86_64", (6, 8), (2, 39))
MAC = Machine("macos", "arm64", (15, 1))
PYTHON, FOLDER = (
    "C:\\Program Files\\QGIS 3.40\\apps\\Python312\\python.exe",
    "C:\\Users\\ada\\AppData\\Local\\geoseg\\engine",
)
CPU_PROBE: dict[str, Any] = {
    "device": "cpu",
    "device_name": "CPU",
    "versions": {"torch": "2.13.0+cpu", "numpy": "2.4.6", "rasterio": "1.4.4", "onnxruntime": "1.31.1"},
    "providers": ["CPUExecutionProvider"],
    "proof": {"device": "cpu", "convolution": "ok", "training_step": "ok", "onnx_session": "ok"},
}
CARD_PROBE = {
    **CPU_PROBE,
    "device": "cuda:0",
    "device_name": RTX_4090.name,
    "device_memory_mb": RTX_4090.memory_mb,
    "versions": {**CPU_PROBE["versions"], "torch": "2.13.0+cu130"},
    "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
PLAN = "Installs PyTorch for NVIDIA GPUs, CUDA 13.0: 2.3 GB to download, 5.2 GB on disk, about 7 min at 50 Mbit/s."
ENGINE = FOLDER + "\\Scripts\\python.exe"


def look(machine: Machine, *cards: Card, **changes: Any) -> Look:
    """What a look at a computer with these cards finds."""
    found = Look(replace(machine, cards=cards), "3.12", PYTHON, FOLDER, 212_000)
    return replace(found, **changes)


def failure(code: str, message: str, hint: str) -> dict[str, str]:
    """Why a set-up failed."""
    return {"code": code, "message": message, "hint": hint}


PROXY = failure(
    "install_proxy",
    "The network's proxy requires a user name and password: tunnel error: proxy authorization required",
    "Enter them in QGIS under Settings > Options > Network, then set up again.",
)
SITUATIONS: dict[str, Situation] = {
    "looking": Situation(),
    "nothing": Situation(look(LINUX, python="3.11", folder="/home/ada/.local/share/geoseg/engine")),
    "card": Situation(look(WINDOWS, RTX_4090, proxy="proxy.example.org:8080")),
    "card-pascal": Situation(look(WINDOWS, GTX_1080)),
    "card-apple": Situation(
        look(MAC, APPLE_M3, python="", folder="/Users/ada/Library/Application Support/geoseg/engine")
    ),
    "unused": Situation(look(WINDOWS, RTX_5090)),
    "impossible": Situation(look(replace(MAC, processor="x86_64", os_version=(13, 6)))),
    "disk-full": Situation(look(WINDOWS, RTX_4090, free_mb=3200)),
    "offline": Situation(look(WINDOWS, RTX_4090), choices=SetupChoices(kit="E:\\geoseg-windows-cu130")),
    "installing": Situation(
        look(WINDOWS, RTX_4090),
        working=Working("Setting up the engine", "Install PyTorch", 0.42, 312, PLAN),
    ),
    "failed": Situation(look(WINDOWS, RTX_4090), failure=PROXY),
    "probing": Situation(look(WINDOWS, RTX_4090), python=ENGINE, probing=True),
    "ready": Situation(look(WINDOWS, RTX_4090), python=ENGINE, stamp={"build": "cu130"}, probe=CARD_PROBE),
    "ready-cpu": Situation(look(LINUX), python=ENGINE, stamp={"build": "cpu"}, probe=CPU_PROBE),
    "warning-driver": Situation(
        look(WINDOWS, RTX_5090), python=ENGINE, stamp={"build": "cpu"}, probe=CPU_PROBE
    ),
    "warning-build": Situation(
        look(WINDOWS, RTX_4090), python=ENGINE, stamp={"build": "cpu"}, probe=CPU_PROBE
    ),
    "update": Situation(
        look(WINDOWS, RTX_4090), python=ENGINE, stamp={"build": "cu130"}, probe=CARD_PROBE, outdated=True
    ),
    "broken": Situation(
        look(WINDOWS, RTX_4090),
        python=ENGINE,
        problems=(
            failure(
                "install_records",
                "torch is damaged: 3 of its 12 000 files are missing.",
                "Repair the engine.",
            ),
        ),
    ),
    "own": Situation(look(LINUX), python="/opt/conda/envs/geo/bin/python", managed=False, probe=CPU_PROBE),
}
"""All states, by the name of their picture; their proposals are computed."""


def situation(of: str | Situation) -> Situation:
    """Return a situation by its name, or as it is given, with the proposal for its computer."""
    now = SITUATIONS[of] if isinstance(of, str) else of
    if now.look is None:
        return now
    return replace(now, proposal=propose(now.look.machine, now.choices.build))


def show(panel: Any, name: str) -> None:
    """Show a state on the Engine page of a panel, as if this were that computer.

    Args:
        panel: the running panel.
        name: of the state.
    """
    engine, now = panel.engine, situation(name)
    engine.probe = dict(now.probe)
    engine.situation = lambda: now
    engine.show_state()
    if now.working is not None:
        engine.page.show_progress(now.working)
