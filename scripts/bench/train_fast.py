"""The fast model beside scikit-learn's forest on the same features and beside the random forest of the engine.

Run with the engine's Python: `python scripts/bench/train_fast.py [--cases DATA] [--small]`. The scene has 1 Mpx of 6
bands. Seconds are those of whole processes as QGIS starts them; those of an empty job (`describe`) are what Python and
its packages take to start. scikit-learn is given features ready made, and
grows as many trees with the same settings. With `--cases`, the folder of the cases of
scripts/studies/comparison_cases.py, all three ways are scored on their test ground.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import ENGINE_ENV, ROOT, add_small, engine_command, timed

sys.path[:0] = [str(ROOT / "training"), str(ROOT / "scripts" / "studies")]

from train_forest import make  # noqa: E402
from train_forest_search import FEWER, PEER, judged, watched  # noqa: E402

BANDS, SIDE_PX, SMALL_PX = 6, 1000, 100
WAYS: dict[str, dict[str, Any]] = {
    "fast model": {"method": "fast"},
    "random forest": {"method": "forest"},
    "random forest, texture 3 and 7": {"method": "forest", "texture_px": [3, 7]},
}


def print_times(folder: Path, repeat: int, small: bool) -> None:
    """Print a table: seconds from dataset to model and from model to map, all ways in turn."""
    folder.mkdir()
    make(folder, SMALL_PX if small else SIDE_PX, BANDS)
    commands = {}
    for name, way in (("fast model", "fast"), ("random forest", "forest")):
        commands[f"fit, {name}"] = engine_command(
            folder / way, "trainforest", {**WAYS[name], **dataset(folder)}
        )
        timed([commands[f"fit, {name}"]], ENGINE_ENV)
        map_job = {"model": str(folder / way / "model.onnx"), "output": "classes.tif"}
        commands[f"predict, {name}"] = engine_command(folder / f"map_{way}", "predict", map_job)
    commands["fit, scikit-learn, features ready made"] = peer(folder)
    commands["an empty job"] = engine_command(folder / "start", "describe", {"model": map_job["model"]})
    wall: dict[str, list[float]] = {name: [] for name in commands}
    busy: dict[str, list[float]] = {name: [] for name in commands}
    peaks = dict.fromkeys(commands, 0.0)
    for _ in range(repeat):
        for name, command in commands.items():
            seconds, peak_mb = watched(busy[name], lambda command=command: timed([command], ENGINE_ENV))  # type: ignore[misc]
            wall[name].append(seconds)
            peaks[name] = max(peaks[name], peak_mb)
    print("| work | s | processor s | peak MB |\n|---|---|---|---|")
    for name in commands:
        print(
            f"| {name} | {median(wall[name]):.1f} | {median(busy[name]):.1f} | {peaks[name]:.0f} |",
            flush=True,
        )


def dataset(folder: Path) -> dict[str, str]:
    """Field of a job."""
    return {"dataset": str(folder / "dataset.json")}


def peer(folder: Path) -> list[str]:
    """The command of scikit-learn on the features and settings of the fast model."""
    from geoseg_engine.baselines.forest import settled
    from geoseg_engine.baselines.pixels import draw
    from geoseg_engine.channel import Channel
    from geoseg_engine.contract import ForestJob
    from geoseg_engine.dataset.datasets import read_dataset

    found, root = read_dataset(folder / "dataset.json")
    with (folder / "draw.jsonl").open("w", encoding="utf-8") as stream:
        samples = draw(settled(ForestJob("", method="fast")), found, found, root, Channel(folder, stream))
    np.savez(folder / "features.npz", values=samples.train, truth=samples.train_truth)
    script = folder / "peer.py"
    script.write_text(PEER, encoding="utf-8")
    return [sys.executable, str(script), str(folder / "features.npz"), str(folder / "fast" / "metrics.json")]


def print_scores(data: Path, folder: Path, seeds: list[int]) -> None:
    """Print the scores on test ground: one line a case, way and seed."""
    from comparison_cases import comparisons, prepare

    print("| case | model | seed | mean IoU | IoU of the object | fit, s |\n|---|---|---|---|---|---|")
    for name, comparison in comparisons(data).items():
        place = prepare(comparison, folder / name)
        for way, settings in WAYS.items():
            if "texture_px" in settings and name in FEWER:
                continue
            for seed in seeds:
                job = {"dataset": str(place), "seed": seed, **settings}
                run = folder / name / f"{seed}_{len(way)}"
                print(f"| {name} | {way} | {seed} | {judged(run, job, ROOT)} |", flush=True)


def main() -> None:
    """Times, then the scores that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, metavar="DATA", help="folder with the real cases")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=3, help="rounds of timing; 0 leaves it out")
    add_small(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="geoseg-fast-") as place:
        if options.repeat:
            print_times(Path(place) / "scene", 1 if options.small else options.repeat, options.small)
        if options.cases:
            print_scores(options.cases.resolve(), Path(place), options.seeds)


if __name__ == "__main__":
    main()
