"""Compare models on the real cases, as `geoseg compare` does for a user, and write the tables to docs/real-data.md.

Run with the engine's Python: `python scripts/studies/compare_cases.py DATA [CASE …] [--seeds 1 2 3] [--docs FILE]`
or, to try it out, `--small` alone.
Finished runs in the output folder are kept, so an interrupted comparison goes on where it stopped. Nothing is tuned
by hand: every model is trained in the automatic mode; the split is the one that others have used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(Path(__file__).parent)]

from comparison_cases import Comparison, comparisons, made_comparison, prepare  # noqa: E402
from study import studied, study_flags, write_section  # noqa: E402

from geoseg_engine.channel import Channel  # noqa: E402
from geoseg_engine.contract import VIEWS, BandSet, CompareJob, Contender, ForestJob, TrainJob  # noqa: E402
from geoseg_engine.run import work  # noqa: E402

Named = TypeVar("Named", Contender, BandSet)
MARKS = ("<!-- comparison: written by scripts/studies/compare_cases.py -->", "<!-- end of comparison -->")
CONTENDERS = (
    Contender("random forest", baseline=ForestJob("")),
    Contender("random forest, texture", baseline=ForestJob("", texture_px=(3, 7))),
    Contender("maximum likelihood", baseline=ForestJob("", method="maximum_likelihood")),
    Contender("U-Net", network=TrainJob("")),
    Contender("Attention Res-UNet", network=TrainJob("", architecture="attention_resunet")),
    Contender("DeepLabV3+ ResNet-18", network=TrainJob("", architecture="deeplabv3plus", encoder="resnet18")),
)
SMALL = {"models": ["maximum likelihood"], "sets": ["image"], "seeds": [1], "minutes": 0.01}
"""Options of `--small`."""


def named(known: Sequence[Named], names: list[str]) -> tuple[Named, ...]:
    """Those of the names, or all without names; ends the script at a name that is not known."""
    unknown = set(names) - {item.name for item in known}
    if unknown:
        sys.exit(
            f"Not known: {', '.join(sorted(unknown))}; choose of {', '.join(item.name for item in known)}."
        )
    return tuple(item for item in known if not names or item.name in names)


def compare(name: str, comparison: Comparison, options: argparse.Namespace) -> dict[str, Any]:
    """Prepare a case unless it is there, compare on it, and return the comparison's result."""
    folder = options.out / name
    if not (folder / "dataset" / "dataset.json").exists():
        prepare(comparison, folder)
    chosen = named(CONTENDERS, options.models)
    sets = named(comparison.sets, options.sets)
    job = CompareJob(
        str(folder / "dataset"),
        chosen,
        sets or (BandSet("all"),),
        tuple(options.seeds),
        options.minutes,
        options.split,
        output=str(folder / f"comparison_{options.split}"),
        tta=options.tta,
    )
    return work(job, folder, Channel(folder))


def table(name: str, comparison: Comparison, result: dict[str, Any]) -> str:
    """The ranking of one case."""
    score = {"foreground_iou": "IoU of the object", "miou": "mean IoU"}[result["score"]]
    lines = [
        f"**{name}**: {comparison.case.what}. Split: {comparison.split}.",
        "",
        f"| rank | model | bands | {score}, mean ± deviation over seeds | 95 % interval | accuracy | kappa | "
        "training, s | model, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        interval = row.get("interval")
        shown = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval and None not in interval else "–"
        spread = f" ± {row['spread']:.3f}" if row["spread"] is not None else ""
        lines.append(
            f"| {row['rank']} | {row['model']} | {row['bands']} | **{row['iou']:.3f}**{spread} | "
            f"{shown} | {row['accuracy']:.3f} | {row['kappa']:.3f} | {row['train_s']:.0f} | {row['size_mb']:.1f} |"
        )
    unfinished = [f"Not finished: {item}." for item in result.get("unfinished", [])]
    return "\n".join([*lines, *unfinished])


def main() -> None:
    """Compare on the cases named on the command line, or on all."""
    flags = study_flags(__doc__)
    flags.add_argument("--out", type=Path, default=Path("build/comparisons"))
    flags.add_argument("--models", nargs="*", default=[], help="names; left out: all")
    flags.add_argument("--sets", nargs="*", default=[], help="names of band sets; left out: all of the case")
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    flags.add_argument("--minutes", type=float, default=3.0, help="limit of one training; 0 is none")
    flags.add_argument("--split", default="test")
    flags.add_argument("--tta", choices=VIEWS, default="all", help="views that are averaged on judged ground")
    flags.add_argument("--docs", type=Path)
    with studied(flags, comparisons, made_comparison, **SMALL) as (options, known):
        options.out = options.out.resolve()
        tables = []
        for name in options.cases or known:
            result = compare(name, known[name], options)
            (options.out / name / f"comparison_{options.split}.json").write_text(
                json.dumps(result, indent=1, default=str), encoding="utf-8"
            )
            tables.append(table(name, known[name], result))
            print(tables[-1], flush=True)
        if options.docs:
            write_section(options.docs, tables, MARKS)


if __name__ == "__main__":
    main()
