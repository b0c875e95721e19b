"""The demo: a scene (made, or the caller's layers), the whole path through real QGIS, a report and a screenshot.

Standard library only. Starts QGIS under Xvfb (or on the screen with --show) with `demo_in_qgis.py`, which works the
panel as a user would. Leaves in --out: metrics.json, report.html, screenshot.png, demo.qgz and the workspace with
dataset, run and prediction.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dev"))

import desktop
from desktop import ENGINE_PYTHON, ROOT

HERE = Path(__file__).resolve().parent
IN_QGIS, SCENE = HERE / "demo_in_qgis.py", HERE / "demo_scene.py"
SCREEN = (1680, 1050)
PROMISED_IOU = 0.75
"""Mean IoU on held-out blocks of the demo's own scene, known to be reachable."""
LEFT_OVER = ("metrics.json", "report.html", "screenshot.png", "failure.json", "workspace", "profile")


def main() -> int:
    """Run the demo; returns 0 only if every step succeeded."""
    options = parser().parse_args()
    out = options.out.resolve()
    started = time.monotonic()
    forget_last_run(out)
    request = own_scene(out) if not options.rasters else callers_layers(options)
    request |= {"out": str(out), "max_minutes": options.max_minutes}
    request |= {"epochs": options.epochs, "stay_open": options.show}
    screen = None if options.show else SCREEN
    code = desktop.run(IN_QGIS, request, out, on_line=say, screen=screen, timeout_s=options.timeout_s)
    if not (out / "metrics.json").exists():
        return tell_failure(out, code)
    miou = tell_result(out, time.monotonic() - started)
    if not options.rasters and miou < PROMISED_IOU:
        print(f"demo: mean IoU {miou:.3f} is below the promised {PROMISED_IOU}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Flags of the demo."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rasters", nargs="*", default=[], help="left out: a scene is made")
    options.add_argument("--labels", help="polygon layer")
    options.add_argument("--field", default="", help="class field; left out: one class")
    options.add_argument("--area", default="", help="polygons in which labels are complete")
    options.add_argument("--unlabelled", default="", choices=["", "background", "unknown"])
    options.add_argument("--max-minutes", type=float, default=3.0, help="time budget of the training")
    options.add_argument(
        "--epochs", type=int, default=0, help="of the training at most; 0 leaves it to the budget"
    )
    options.add_argument("--timeout-s", type=float, default=1800)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "demo")
    options.add_argument("--show", action="store_true", help="on the screen, and stay open")
    return options


def forget_last_run(out: Path) -> None:
    """Remove what an earlier demo left, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for name in LEFT_OVER:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def own_scene(out: Path) -> dict[str, object]:
    """Make the scene with known truth; labels are complete over all of it."""
    folder = out / "scene"
    subprocess.run([str(ENGINE_PYTHON), str(SCENE), str(folder)], check=True)
    return {
        "rasters": [str(folder / "optical.tif"), str(folder / "dem.tif")],
        "dem": str(folder / "dem.tif"),
        "reference": str(folder / "dem.tif"),
        "labels": str(folder / "landslides.gpkg"),
        "field": "class",
        "area": "",
        "area_kind": "rasters",
        "unlabelled": "background",
    }


def callers_layers(options: argparse.Namespace) -> dict[str, object]:
    """The caller's layers; what is left open follows the panel's own defaults."""
    if not options.labels:
        sys.exit('demo: RASTERS without LABELS. Say LABELS="polygons.gpkg".')
    paths = [*options.rasters, options.labels, *([options.area] if options.area else [])]
    missing = [path for path in paths if not Path(path.split("|")[0]).exists()]
    if missing:
        sys.exit(f"demo: no such file: {', '.join(missing)}.")
    return {
        "rasters": [str(Path(path).resolve()) for path in options.rasters],
        "labels": str(Path(options.labels).resolve()),
        "field": options.field,
        "area": str(Path(options.area).resolve()) if options.area else "",
        "area_kind": "polygons" if options.area else "",
        "unlabelled": options.unlabelled,
    }


def say(line: str) -> None:
    """Pass on what the demo says; QGIS itself says more than a user wants to read."""
    if line.startswith("demo:"):
        print(line, flush=True)


def tell_failure(out: Path, code: int) -> int:
    """Print why the demo failed; returns 1."""
    failure = out / "failure.json"
    if failure.exists():
        problem = json.loads(failure.read_text(encoding="utf-8"))
        print(f"demo failed: {problem['message']} {problem.get('hint', '')}", file=sys.stderr)
    else:
        print(
            f"demo failed: QGIS ended with code {code}; its words are in {out / 'qgis.log'}", file=sys.stderr
        )
    return 1


def tell_result(out: Path, seconds: float) -> float:
    """Print the scores, the warnings, and where to look; returns the mean IoU."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    print(f"\nOn held-out ground ({metrics['split']}), {metrics['device']}, {seconds / 60:.1f} min in all:")
    for row in metrics["per_class"]:
        scores = "  ".join(f"{key} {_number(row[key])}" for key in ("precision", "recall", "f1", "iou"))
        print(f"  {row['name']:<20} {scores}")
    print(f"  mean IoU {_number(metrics['miou'])}, accuracy {_number(metrics['accuracy'])}", end=" ")
    print(f"(always the largest class: {_number(metrics['largest_class_accuracy'])})")
    for warning in metrics["warnings"]:
        print(f"Warning: {warning['message']} {warning['hint']}")
    print(f"Report: {out / 'report.html'}\nScreenshot: {out / 'screenshot.png'}")
    return float(metrics["miou"])


def _number(value: float | None) -> str:
    return "   – " if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
