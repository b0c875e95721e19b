"""Start real QGIS with the plugin and a Python file that works it. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import stage_profile

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = ROOT / ".envs" / "engine" / "bin" / "python"
REQUEST = "GEOSEG_REQUEST"
"""Environment variable that names the JSON file with what the Python file shall do."""


def run(
    code: Path,
    request: dict[str, object],
    out: Path,
    *,
    on_line: Callable[[str], None] = print,
    screen: tuple[int, int] | None = (1680, 1050),
    scale: float = 1.0,
    timeout_s: float = 1800,
) -> int:
    """Run `code` inside QGIS with an empty profile below `out`; wait for QGIS to end.

    Args:
        code: file for `qgis --code`.
        request: written to out/request.json, which GEOSEG_REQUEST names.
        on_line: gets every line that QGIS prints to stdout; stderr goes to out/qgis.log.
        screen: size of the virtual screen in pixels at scale 1; None uses the real one, without a time limit.

    Returns:
        QGIS's exit code; negative if it was ended for lack of time.
    """
    request_file = out / "request.json"
    request_file.write_text(json.dumps(request, indent=1), encoding="utf-8")
    stage_profile.stage(out / "profile")
    command = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(out / "profile")]
    command += ["--profile", "default", "--code", str(code)]
    if screen is not None:
        size = "x".join(str(round(side * scale)) for side in screen)
        command = ["xvfb-run", "-a", "-s", f"-screen 0 {size}x24", *command]
    environment = {
        **os.environ,
        REQUEST: str(request_file),
        "GEOSEG_ENGINE_PYTHON": os.environ.get("GEOSEG_ENGINE_PYTHON", str(ENGINE_PYTHON)),
        "PATH": system_first(os.environ.get("PATH", "")),
        "QT_QPA_PLATFORM": "xcb",
        "QT_SCALE_FACTOR": str(scale),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (out / "qgis.log").open("w", encoding="utf-8") as log:
        qgis = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            encoding="utf-8",
        )
        watchdog = threading.Timer(timeout_s, os.killpg, (qgis.pid, signal.SIGTERM))
        watchdog.daemon = True
        if screen is not None:
            watchdog.start()
        for line in qgis.stdout or ():
            on_line(line.rstrip())
        code_of_qgis = qgis.wait()
        watchdog.cancel()
        return code_of_qgis


def system_first(path: str) -> str:
    """PATH with the system's programs first: QGIS takes its Python's home from the `python3` found there."""
    return os.pathsep.join(["/usr/bin", "/bin", path])
