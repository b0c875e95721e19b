"""Pictures of the panel in real QGIS: every page, at a width, a theme and a scale of your choice.

Starts QGIS under Xvfb with a profile of its own and `screenshot_in_qgis.py`; standard library only. With --workspace
the pages show the datasets and runs that are there. Leaves <page>.png (the panel) and window-<page>.png in --out.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import stage_profile

ROOT = Path(__file__).resolve().parents[1]
IN_QGIS = Path(__file__).with_name("screenshot_in_qgis.py")
ENGINE_PYTHON = ROOT / ".envs" / "engine" / "bin" / "python"
SCENE = ROOT / "build" / "demo" / "scene"
SCREEN = "-screen 0 {}x{}x24"


def main() -> int:
    """Take the pictures; returns QGIS's exit code."""
    options = parser().parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    request = {
        "out": str(out),
        "layers": [str(Path(path).resolve()) for path in options.layers],
        "project": str(options.project.resolve()) if options.project else "",
        "workspace": str((options.workspace or out / "workspace").resolve()),
        "theme": options.theme,
        "width": options.width,
        "pages": options.pages,
        "wait_s": options.wait_s,
    }
    code = run_in_qgis(IN_QGIS, request, out, options.scale, options.timeout_s)
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")
    return code


def parser() -> argparse.ArgumentParser:
    """Flags."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    scene = [str(SCENE / name) for name in ("optical.tif", "dem.tif", "landslides.gpkg")]
    options.add_argument("--layers", nargs="*", default=scene)
    options.add_argument("--project", type=Path, help="a project file instead of layers")
    options.add_argument("--workspace", type=Path)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "screenshots")
    options.add_argument("--theme", default="default", help="QGIS theme, e.g. 'Night Mapping'")
    options.add_argument("--width", type=int, default=380, help="width of the panel in px")
    options.add_argument("--scale", type=float, default=1.0)
    pages = ["data", "tiles", "train", "predict", "results", "engine"]
    options.add_argument("--pages", nargs="*", default=pages)
    options.add_argument("--wait-s", type=float, default=30, help="longest wait for the engine's answers")
    options.add_argument("--timeout-s", type=float, default=240)
    return options


def run_in_qgis(
    code: Path, request: dict[str, object], out: Path, scale: float = 1.0, timeout_s: float = 240
) -> int:
    """Start QGIS under Xvfb with a Python file that finds `request` in GEOSEG_SCREENSHOT; wait for its end."""
    request_file = out / "request.json"
    request_file.write_text(json.dumps(request), encoding="utf-8")
    choose_theme(stage_profile.stage(out / "profile"), str(request.get("theme") or "default"))
    environment = {  # QGIS's own Python is found by PATH: the system's goes first
        **os.environ,
        "GEOSEG_SCREENSHOT": str(request_file),
        "GEOSEG_ENGINE_PYTHON": os.environ.get("GEOSEG_ENGINE_PYTHON", str(ENGINE_PYTHON)),
        "PATH": os.pathsep.join(["/usr/bin", "/bin", os.environ.get("PATH", "")]),
        "QT_QPA_PLATFORM": "xcb",
        "QT_SCALE_FACTOR": str(scale),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    screen = SCREEN.format(round(1500 * scale), round(1000 * scale))
    command = ["xvfb-run", "-a", "-s", screen, "qgis", "--nologo", "--noversioncheck"]
    command += ["--profiles-path", str(out / "profile"), "--profile", "default", "--code", str(code)]
    with (out / "qgis.log").open("w", encoding="utf-8") as log:
        qgis = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            return qgis.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(qgis.pid, signal.SIGTERM)
            qgis.wait()
            print(f"QGIS did not end within {timeout_s:.0f} s; see {out / 'qgis.log'}", file=sys.stderr)
            return 1


def choose_theme(profile: Path, theme: str) -> None:
    """Write QGIS's theme into the settings of a profile."""
    settings = profile / "QGIS" / "QGIS3.ini"
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(settings, encoding="utf-8")
    if not parser.has_section("UI"):
        parser.add_section("UI")
    parser.set("UI", "UITheme", theme)
    with settings.open("w", encoding="utf-8") as stream:
        parser.write(stream, space_around_delimiters=False)


if __name__ == "__main__":
    sys.exit(main())
