"""What each default of the automatic mode is worth: one setting changed at a time, on real cases, several seeds.

Run with the engine's Python:
`python scripts/studies/ablations.py DATA [CASE …] [--settings KIND …] [--seeds 1 2 3] [--steps 300] [--docs FILE]` or,
to try it out, `--small` alone.
Every run has the same number of steps, the same small network and crops and no time limit, so that only the setting
differs; the epoch is chosen on the validation split and judged on the test split. Finished runs in the output folder
are kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(Path(__file__).parent)]

from comparison_cases import comparisons, made_comparison, prepare  # noqa: E402
from study import studied, study_flags, write_section  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import EvaluateJob, TrainJob  # noqa: E402
from geoseg_engine.run import work  # noqa: E402

MARKS = ("<!-- ablations: written by scripts/studies/ablations.py -->", "<!-- end of ablations -->")
CASES = ("orthoseg_fields", "opengeos_dem_buildings", "runopt_debrisflow_dem")
EPOCHS = 6
WIDTH = 8
ALL_AUGMENTATION = ("flip", "turn", "scale", "brightness", "noise")
BASE = TrainJob(
    "",
    width=WIDTH,
    crop_px=64,
    batch_size=8,
    loss="ce+lovasz",
    class_weights="sqrt",
    augment=ALL_AUGMENTATION,
    by_class=1 / 3,
    ema_decay=0.98,
    epochs=EPOCHS,
    patience=0,
    precision="float32",
    tensorboard=False,
)
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "loss": {
        "cross-entropy + Lovász": {},
        "cross-entropy": {"loss": "ce"},
        "cross-entropy + Dice": {"loss": "ce+dice"},
        "Unified Focal": {"loss": "unified_focal"},
    },
    "class weights": {
        "square root": {},
        "none": {"class_weights": "none"},
        "inverse": {"class_weights": "inverse"},
    },
    "sampling": {
        "a third class first": {},
        "evenly": {"by_class": 0.0},
        "all class first": {"by_class": 1.0},
    },
    "augmentation": {
        "flips, turns, scale, light, noise": {},
        "none": {"augment": ("none",)},
        "flips and turns": {"augment": ("flip", "turn")},
        "all, with rotation and copy-paste": {"augment": (*ALL_AUGMENTATION, "rotate", "copy_paste")},
    },
    "averaging of weights": {"decay 0.98": {}, "none": {"ema_decay": 0.0}},
    "calibration and thresholds": {"on validation": {}, "none": {"calibrate": False}},
}
SMALL = {"settings": ["averaging of weights"], "seeds": [1], "steps": EPOCHS}
"""Options of `--small`."""


def score(case: str, name: str, changes: dict[str, Any], seed: int, options: argparse.Namespace) -> float:
    """Test IoU of one run: of the object, or the mean where there are more classes."""
    folder = options.out / case
    run = folder / "ablations" / name / str(seed)
    metrics = run / "evaluation" / "metrics.json"
    job = replace(
        BASE, dataset=str(folder / "dataset"), seed=seed, steps_per_epoch=options.steps // EPOCHS, **changes
    )
    if not metrics.exists():
        run.mkdir(parents=True, exist_ok=True)
        work(job, run, Channel(run))
        (run / "evaluation").mkdir(exist_ok=True)
        judge = EvaluateJob(job.dataset, str(run / "model.onnx"))
        work(judge, run / "evaluation", Channel(run / "evaluation"))
    found = json.loads(metrics.read_text(encoding="utf-8"))
    return float(found["foreground_iou"] if found.get("foreground_iou") is not None else found["miou"])


def row(kind: str, variant: str, scores: dict[str, list[float]]) -> str:
    """One line of the table; the default of each kind comes first."""
    cells = [
        f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"
        for values in scores.values()
    ]
    return f"| {kind} | {variant} | {' | '.join(cells)} |"


def main() -> None:
    """Run what is missing, print the table, and write it into the document."""
    flags = study_flags(__doc__)
    flags.add_argument("--out", type=Path, default=Path("build/comparisons"))
    flags.add_argument(
        "--settings", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="KIND"
    )
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    flags.add_argument("--steps", type=int, default=300)
    flags.add_argument("--docs", type=Path)
    with studied(flags, comparisons, made_comparison, **SMALL) as (options, known):
        options.out = options.out.resolve()
        chosen = options.cases or list(CASES)
        for case in chosen:
            if not (options.out / case / "dataset" / "dataset.json").exists():
                prepare(known[case], options.out / case)
        lines = table(chosen, options)
        if options.docs:
            write_section(options.docs, ["\n".join(lines)], MARKS)


def table(chosen: list[str], options: argparse.Namespace) -> list[str]:
    """The lines of the table, each printed when it is there."""
    lines = [f"| setting | value | {' | '.join(chosen)} |", "|---|---|" + "---|" * len(chosen)]
    print("\n".join(lines))
    for kind in options.settings:
        for variant, changes in VARIANTS[kind].items():
            name = "base" if not changes else f"{kind} {variant}".replace(" ", "_").replace(",", "")
            scores = {
                case: [score(case, name, changes, seed, options) for seed in options.seeds] for case in chosen
            }
            lines.append(row(kind, variant, scores))
            print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    main()
