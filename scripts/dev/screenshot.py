"""Pictures of the panel in real QGIS: every page, at a width, a theme and a scale of your choice.

Starts QGIS under Xvfb with a profile of its own and `screenshot_in_qgis.py`; standard library only. With --workspace
the pages show the datasets and runs that are there. Leaves <page>.png (the panel) and window-<page>.png in --out; with
--extras also the states of the set-up, the table of bands, the dialogs that add bands, pages with all groups open, the
findings of a check, and tiles with their blocks, the Train page with the newest dataset and run of --workspace, its
newest comparison with the register of runs, a map made with its newest model, and its newest map with a sample, labels
and a sheet to print.
"""

from __future__ import annotations

import argparse
import configparser
import sys
from pathlib import Path

import desktop
import stage_profile
from desktop import ROOT

IN_QGIS = Path(__file__).with_name("screenshot_in_qgis.py")
SCENE = ROOT / "build" / "demo" / "scene"
SCREEN = (1500, 1000)


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
        "extras": options.extras,
        "series": str(options.series.resolve()) if options.series else "",
        "wait_s": options.wait_s,
        "scripts": str(IN_QGIS.parent),
    }
    choose_theme(stage_profile.stage(out / "profile"), options.theme)
    code = desktop.run(IN_QGIS, request, out, screen=SCREEN, scale=options.scale, timeout_s=options.timeout_s)
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
    extras = [
        "setup",
        "train",
        "judging",
        "predict",
        "map",
        "table",
        "dialogs",
        "advanced",
        "findings",
        "blocks",
    ]
    options.add_argument("--extras", nargs="*", default=[], choices=extras, help="what takes an engine")
    options.add_argument("--series", type=Path, help="a NetCDF file for the dialog that adds a time series")
    options.add_argument("--wait-s", type=float, default=30, help="longest wait for the engine's answers")
    options.add_argument("--timeout-s", type=float, default=240)
    return options


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
