"""A forest with its search beside one of scikit-learn of the size that was found, and its scores on real cases.

Run with the engine's Python: `python scripts/bench/train_forest_search.py [--cases DATA] [--before DIR] [--small]`.
scikit-learn is given the pixels and their features ready made and grows as many trees with the same settings; ours
reads them, searches, grows, calibrates, scores, measures what the bands are worth, and writes and checks its model.
With `--cases`, the folder of the cases of scripts/studies/comparison_cases.py, their scores on test ground are listed;
with `--before`, another checkout, its forest is timed and scored beside ours, on the same datasets with the same seeds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ENGINE_ENV, ROOT, Row, compared, engine_command, timed

sys.path[:0] = [str(ROOT / "training"), str(ROOT / "scripts" / "studies")]

from train_forest import make  # noqa: E402

BANDS, PIXELS, SMALL_PIXELS = 7, 190_000, 2_000
SIDE_PX, SMALL_PX = 1000, 100
SMALL_TREES = 10
BAR = 2.0
FEWER = {"enmap_potsdam_specdeepmap": "texture of 218 bands is left out"}

PEER = """
import json, sys
import numpy as np
from sklearn.ensemble import RandomForestClassifier
pixels, metrics = sys.argv[1:]
data, found = np.load(pixels), json.load(open(metrics, encoding="utf-8"))["settings"]
RandomForestClassifier(
    n_estimators=found["trees"], max_depth=found["depth"] or None, max_features=found["features"],
    min_samples_leaf=found["leaf"], n_jobs=-1, random_state=0,
).fit(data["values"], data["truth"])
"""


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, on 7 bands."""
    return beside_scikit_learn(folder, repeat, small, ())


def run_texture(folder: Path, repeat: int, small: bool) -> Row:
    """Both in turn, on 7 bands with the texture of two windows."""
    return beside_scikit_learn(folder, repeat, small, (3, 7))


def beside_scikit_learn(folder: Path, repeat: int, small: bool, texture_px: tuple[int, ...]) -> Row:
    """Row of a forest on PIXELS pixels with or without texture."""
    make(folder, SMALL_PX if small else SIDE_PX, BANDS)
    job = train_job(folder, small, texture_px)
    ours = engine_command(folder / "train", "trainforest", job)
    features = write_features(folder, job)
    script = folder / "peer.py"
    script.write_text(PEER, encoding="utf-8")
    metrics = folder / "train" / "metrics.json"
    theirs = [sys.executable, str(script), str(folder / "features.npz"), str(metrics)]
    busy: dict[str, list[float]] = {"ours": [], "theirs": []}
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: watched(busy["ours"], lambda: timed([ours], ENGINE_ENV)),
        lambda: watched(busy["theirs"], lambda: timed([theirs])),
        repeat,
    )
    found = json.loads(metrics.read_text(encoding="utf-8"))
    settings = found["settings"]
    ours_busy, theirs_busy = (statistics.median(one) for one in busy.values())
    return Row(
        f"random forest with search: {found['train_pixels']} pixels, {BANDS} bands, {features} features",
        "scikit-learn, the size found, no search",
        ours_s,
        beside_s,
        ratio,
        BAR,
        peak_mb,
        note=f"{settings['trees']} trees, leaf {settings['leaf']}, {settings['features']} features at a split; "
        f"processor seconds {ours_busy:.1f} against {theirs_busy:.1f}; expected: {expected(folder / 'train')}",
    )


def watched(busy: list[float], work: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Do the work, and add the processor seconds of its processes to the list."""

    def used() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    before = used()
    result = work()
    busy.append(used() - before)
    return result


def train_job(folder: Path, small: bool, texture_px: tuple[int, ...]) -> dict[str, Any]:
    """The job `trainforest`, with everything but the pixels left open."""
    pixels = SMALL_PIXELS if small else PIXELS
    job = {"dataset": str(folder / "dataset.json"), "pixels": pixels, "texture_px": list(texture_px)}
    return {**job, "trees": SMALL_TREES} if small else job


def write_features(folder: Path, job: dict[str, Any]) -> int:
    """features.npz: what the forest learns from; returns how many there are of a pixel."""
    from geoseg_engine.baselines.pixels import draw
    from geoseg_engine.channel import Channel
    from geoseg_engine.contract import ForestJob
    from geoseg_engine.dataset.datasets import read_dataset

    dataset, root = read_dataset(Path(job["dataset"]))
    with (folder / "draw.jsonl").open("w", encoding="utf-8") as stream:
        channel = Channel(folder, stream)
        wanted = ForestJob("", texture_px=tuple(job["texture_px"]), pixels=job["pixels"])
        samples = draw(wanted, dataset, dataset, root, channel)
    np.savez(folder / "features.npz", values=samples.train, truth=samples.train_truth)
    return int(samples.train.shape[1])


def expected(folder: Path) -> str:
    """The sentence about time of a fit, if it said one."""
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [str(json.loads(line).get("text", "")) for line in lines]
    return next((text for text in reversed(texts) if text.startswith("About ")), "nothing was said")


def before_row(folder: Path, checkout: Path, small: bool, texture_px: tuple[int, ...]) -> str:
    """Seconds of the other checkout's fit on the same scene, once."""
    job = train_job(folder, small, texture_px)
    seconds, _ = timed([engine_command(folder / "before", "trainforest", job)], environment(checkout))
    return f"| before, {len(texture_px)} texture windows | {seconds:.1f} s |"


def environment(checkout: Path) -> dict[str, str]:
    """To run a checkout's engine."""
    return {"PYTHONPATH": str(checkout / "training")}


def case_rows(data: Path, folder: Path, before: Path | None, seeds: list[int], textured: bool) -> list[str]:
    """Scores on test ground: one line a case and seed, by both checkouts."""
    from comparison_cases import comparisons, prepare

    codes = {"now": ROOT, **({"before": before} if before else {})}
    lines = []
    for name, comparison in comparisons(data).items():
        dataset = prepare(comparison, folder / name)
        bands = list(comparison.sets[-1].bands) if comparison.sets else []
        for texture_px in [[], *([[3, 7]] if textured and name not in FEWER else [])]:
            for seed in seeds:
                job = {"dataset": str(dataset), "bands": bands, "texture_px": texture_px, "seed": seed}
                for code, checkout in codes.items():
                    place = folder / name / f"{code}_{seed}_{len(texture_px)}"
                    lines.append(
                        f"| {name} | {len(texture_px)} | {seed} | {code} | {judged(place, job, checkout)} |"
                    )
                    print(lines[-1], flush=True)
    return lines


def judged(folder: Path, job: dict[str, Any], checkout: Path) -> str:
    """Mean IoU, IoU of the object and seconds of a fit of a checkout."""
    env = environment(checkout)
    seconds, _ = timed([engine_command(folder / "train", "trainforest", job)], env)
    model = str(folder / "train" / "model.onnx")
    timed([engine_command(folder / "judged", "evaluate", {"dataset": job["dataset"], "model": model})], env)
    found = json.loads((folder / "judged" / "metrics.json").read_text(encoding="utf-8"))
    of_object = found["foreground_iou"]
    return f"{found['miou']:.3f} | {'–' if of_object is None else f'{of_object:.3f}'} | {seconds:.0f}"


def main() -> None:
    """Times, then the scores that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, metavar="DATA", help="folder with the real cases")
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--texture", action="store_true", help="the cases with texture as well")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of timing; 0 leaves it out")
    parser.add_argument("--small", action="store_true", help="tiny data; the ratios mean nothing")
    options = parser.parse_args()
    for timing, texture_px in ((run, ()), (run_texture, (3, 7))) if options.repeat else ():
        with tempfile.TemporaryDirectory(prefix="geoseg-forest-") as place:
            print(
                timing(Path(place), 1 if options.small else options.repeat, options.small).line(), flush=True
            )
            if options.before:
                print(
                    before_row(Path(place), options.before.resolve(), options.small, texture_px), flush=True
                )
    if options.cases:
        print(
            "| case | texture windows | seed | code | mean IoU | IoU of the object | seconds |\n"
            "|---|---|---|---|---|---|---|"
        )
        before = options.before.resolve() if options.before else None
        with tempfile.TemporaryDirectory(prefix="geoseg-forest-cases-") as place:
            case_rows(options.cases.resolve(), Path(place), before, options.seeds, options.texture)


if __name__ == "__main__":
    main()
