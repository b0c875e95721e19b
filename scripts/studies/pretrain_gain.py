"""What pretraining without labels is worth where labels are few: the same training with and without it, several seeds.

Run with the engine's Python: `python scripts/studies/pretrain_gain.py DATA [CASE …] [--share 0.02] [--seeds 1 2 3]`
or, to try it out, `--small` alone.
Of the training labels a share is kept, in whole squares of the size of a tile; validation and test keep theirs. Every
training has the same number of steps. Prints a table of the test IoU: mean and standard deviation over the seeds;
labels, pretraining and training all change with the seed. Finished runs in the output folder are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(Path(__file__).parent)]

from comparison_cases import comparisons, made_comparison, prepare  # noqa: E402
from study import studied, study_flags  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import IGNORE, EvaluateJob, PretrainJob, TrainJob  # noqa: E402
from geoseg_engine.dataset.datasets import read_dataset, save_dataset  # noqa: E402
from geoseg_engine.run import work  # noqa: E402

CASES = ("everest_glacier", "orthoseg_fields")
WIDTH, LEVELS, EPOCHS = 8, 3, 5
WITHOUT, WITH = "from random weights", "from the pretrained encoder"


SMALL = {"share": 0.5, "seeds": [1], "steps": EPOCHS, "minutes": 0.005}
"""Options of `--small`."""


def main() -> None:
    """Run what is missing and print the table."""
    with studied(parser(), comparisons, made_comparison, **SMALL) as (options, known):
        options.out = options.out.resolve()
        kept = f"{options.share:.1%} of the labels"
        print(f"| case, {kept} | {WITHOUT} | {WITH} | gain by seed |\n|---|---|---|---|")
        for case in options.cases or CASES:
            folder = options.out / case
            if not (folder / "dataset" / "dataset.json").exists():
                prepare(known[case], folder)
            scores = [pair(folder, seed, options) for seed in options.seeds]
            columns = list(zip(*scores, strict=True))
            gains = ", ".join(f"{after - before:+.3f}" for before, after in scores)
            print(f"| {case} | {cell(columns[0])} | {cell(columns[1])} | {gains} |", flush=True)


def parser() -> argparse.ArgumentParser:
    """The script's flags."""
    flags = study_flags(__doc__)
    flags.add_argument("--out", type=Path, default=Path("build/comparisons"))
    flags.add_argument("--share", type=float, default=0.02, help="of the training labels that is kept")
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    flags.add_argument("--steps", type=int, default=150, help="of one training")
    flags.add_argument("--minutes", type=float, default=0.5, help="of one pretraining")
    return flags


def pair(folder: Path, seed: int, options: argparse.Namespace) -> tuple[float, float]:
    """Test IoU without and with pretraining."""
    runs = folder / "pretraining" / f"{options.share:g} {options.minutes:g} {options.steps}" / str(seed)
    few = with_few_labels(folder / "dataset", runs / "dataset", options.share, seed)
    encoder = runs / "pretrained" / "encoder.pt"
    if not encoder.exists():
        job = PretrainJob(
            str(few), width=WIDTH, levels=LEVELS, epochs=1000, max_minutes=options.minutes, seed=seed
        )
        done(job, encoder.parent)
    base = TrainJob(
        str(few),
        width=WIDTH,
        levels=LEVELS,
        epochs=EPOCHS,
        steps_per_epoch=options.steps // EPOCHS,
        patience=0,
        seed=seed,
        precision="float32",
        tensorboard=False,
    )
    return score(base, runs / "without"), score(replace(base, weights=str(encoder)), runs / "with")


def with_few_labels(dataset: Path, folder: Path, share: float, seed: int) -> Path:
    """A copy of a dataset that keeps a share of its training labels, with at least a square of every class."""
    if folder.exists():
        return folder
    known, home = read_dataset(dataset)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(dataset, partial)
    with rasterio.open(home / known.split) as raster:
        train = raster.read(1) == 0
    labels_path = partial / Path(known.labels).name
    with rasterio.open(home / known.labels) as raster:
        labels, profile = raster.read(1), raster.profile
    keep = squares(np.where(train, labels, IGNORE), known.tile_px, share, seed)
    labels[train & ~keep] = IGNORE
    with rasterio.open(labels_path, "w", **profile) as raster:
        raster.write(labels, 1)
    stack = str((home / known.stack).resolve()) if known.stack else ""
    split = str((home / known.split).resolve())
    changed = replace(known, labels=labels_path.name, stack=stack, split=split, fingerprint=f"{share} {seed}")
    save_dataset(changed, partial)
    partial.rename(folder)
    return folder


def squares(labels: np.ndarray, side: int, share: float, seed: int) -> np.ndarray:
    """Pixels of random squares that together hold a share of the labels, and some of every class."""
    random = np.random.default_rng(seed)
    classes = [index for index in np.unique(labels) if index != IGNORE]
    wanted, keep = share * (labels != IGNORE).sum(), np.zeros(labels.shape, dtype=bool)
    corners = [
        (row, col) for row in range(0, labels.shape[0], side) for col in range(0, labels.shape[1], side)
    ]
    for place in random.permutation(len(corners)):
        row, col = corners[place]
        inside = labels[row : row + side, col : col + side]
        have = set(np.unique(labels[keep]))
        enough = (keep & (labels != IGNORE)).sum() >= wanted
        if enough and have.issuperset(classes):
            break
        if not enough or set(np.unique(inside)) - have - {IGNORE}:
            keep[row : row + side, col : col + side] |= inside != IGNORE
    return keep


def score(job: TrainJob, run: Path) -> float:
    """Test IoU of one training: of the object, or the mean where there are more classes."""
    judged = run / "evaluation" / "metrics.json"
    if not judged.exists():
        done(job, run)
        done(EvaluateJob(job.dataset, str(run / "model.onnx")), judged.parent)
    found = json.loads(judged.read_text(encoding="utf-8"))
    return float(found["foreground_iou"] if found.get("foreground_iou") is not None else found["miou"])


def done(job: TrainJob | PretrainJob | EvaluateJob, folder: Path) -> None:
    """Do a job in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    work(job, folder, Channel(folder))


def cell(values: tuple[float, ...]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


if __name__ == "__main__":
    main()
