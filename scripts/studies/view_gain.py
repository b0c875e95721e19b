"""What mirror images, turns and passes of dropout are worth: test scores of finished runs with each of them.

Run with the engine's Python: `python scripts/studies/view_gain.py RUN [RUN …] [--passes 10]`, each RUN a folder with
model.onnx and job.json, or, to try it out on a made one, `--small` alone. Prints a table: mean IoU on the run's own
test split, and the time of every row over that of the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("training", "scripts/bench", "tests/engine")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

from measuring import add_small  # noqa: E402
from training_scenes import small_job, write_dataset  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import IGNORE, GeoSegError, job_to_json, write_json  # noqa: E402
from geoseg_engine.dataset.datasets import read_dataset  # noqa: E402
from geoseg_engine.evaluation.evaluate_model import model_stack, predict_classes  # noqa: E402
from geoseg_engine.evaluation.evaluator import joined_classes, lookup_table, split_evaluator  # noqa: E402
from geoseg_engine.modelfile.reading import read_model  # noqa: E402
from geoseg_engine.prediction.block_reader import BandReader  # noqa: E402
from geoseg_engine.prediction.inference import Variants, set_up  # noqa: E402
from geoseg_engine.run import work  # noqa: E402
from geoseg_engine.scores.metrics import scores  # noqa: E402

WAYS = {
    "as it is": ("none", False),
    "flips": ("flips", False),
    "all": ("all", False),
    "dropout": ("none", True),
}


def main() -> None:
    """Score every run in every way."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    flags.add_argument("--passes", type=int, default=10)
    add_small(flags)
    options = flags.parse_args()
    if options.small:
        with TemporaryDirectory(prefix="geoseg-study-") as folder:
            tabulate([made_run(Path(folder))], 2)
    elif not options.runs:
        flags.error("name the folders of finished runs, or give --small")
    else:
        tabulate(options.runs, options.passes)


def made_run(folder: Path) -> Path:
    """A training of a few steps, with dropout, on a made scene; returns its folder."""
    job = small_job(write_dataset(folder / "dataset"), epochs=1, steps_per_epoch=1, dropout=0.1)
    run = folder / "comparison" / "runs" / "made"
    run.mkdir(parents=True)
    write_json(run / "job.json", job_to_json(job))
    work(job, run, Channel(run))
    return run


def tabulate(runs: list[Path], passes: int) -> None:
    """Print the table of runs, with so many passes of dropout."""
    print("| run | " + " | ".join(WAYS) + " | times |\n|" + "---|" * (len(WAYS) + 2))
    for run in runs:
        found = [score(run, tta, passes * drops) for tta, drops in WAYS.values()]
        first = found[0]
        cells = [f"{first[0]:.4f}"] + [cell(item, first) for item in found[1:]]
        times = ", ".join("–" if item is None else f"{item[1] / first[1]:.1f}" for item in found)
        name = f"{run.parents[2].name}/{run.name}"
        print(f"| {name} | {' | '.join(cells)} | {times} |", flush=True)


def cell(item: tuple[float, float] | None, first: tuple[float, float]) -> str:
    """Score and gain."""
    return "–" if item is None else f"{item[0]:.4f} ({item[0] - first[0]:+.4f})"


def score(run: Path, tta: str, passes: int) -> tuple[float, float] | None:
    """Mean IoU on the test split, and seconds; None where the model has no such views."""
    model = read_model(run / "model.onnx")
    job = json.loads((run / "job.json").read_text(encoding="utf-8"))["job"]
    dataset, folder = read_dataset(run / job["dataset"])
    classes, numbers, _ = joined_classes(model.classes, dataset.classes)
    table = lookup_table(model.classes, numbers)
    with (
        split_evaluator(dataset, folder, "test", classes) as evaluator,
        model_stack(model, dataset, folder) as stack,
    ):
        try:
            variants = Variants(tta, passes)
            setup = set_up(model, stack, "auto", "torch", 0, 2, told, variants=variants)
        except GeoSegError as error:
            told(error.message)
            return None
        reader = BandReader(stack, model)
        started = time.monotonic()
        for cut in setup.cuts():
            if (evaluator.reference(cut.core) != IGNORE).any():
                ids, _ = predict_classes(setup, reader.read(cut), lambda text: None)
                evaluator.add(cut.core, table[ids])
        seconds = time.monotonic() - started
        result = scores(evaluator.matrix, classes)
    return float(np.round(result["miou"], 5)), seconds


def told(text: str) -> None:
    """Beside the table."""
    print(" ", text, file=sys.stderr)


if __name__ == "__main__":
    main()
