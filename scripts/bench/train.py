"""Speed of training beside the usual way of it, and beside the model alone.

Run with the engine's Python: `python scripts/bench/train.py [ROW …] [--json FILE] [--repeat 5] [--small]`.
Each row is a module `train_<row>.py` beside this file with `run(folder, repeat, small) -> Row`; rows whose names begin
with `gpu` are measured only where a GPU is. Ratios come from runs of both by turns; `--small` is for trying the script
out, its ratios mean nothing. The exit code is 1 if a row does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

import torch  # noqa: E402
from prepare import line  # noqa: E402

ROWS = ("plain", "limit", "first_epoch", "forest", "gpu_plain", "gpu_limit")


def main() -> int:
    """Measure the rows asked for and print them as a table."""
    there = [name for name in ROWS if (HERE / f"train_{name}.py").exists()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(there)}; default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="tiny data")
    parser.add_argument("--folder", type=Path, help="where temporary data go")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in there]
    if unknown:
        parser.error(f"unknown row {', '.join(unknown)}; choose from {', '.join(there)}")
    print("| work | beside | ours s | beside s | ratio | bar | peak MB | holds | note |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for name in options.rows or there:
        if name.startswith("gpu") and not torch.cuda.is_available():
            print(f"| {name} | | | | | | | – | not measured: no GPU here |")
            continue
        with tempfile.TemporaryDirectory(prefix=f"geoseg-{name}-", dir=options.folder) as folder:
            row = importlib.import_module(f"train_{name}").run(Path(folder), options.repeat, options.small)
        print(line(row), flush=True)
        rows.append(row)
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1), encoding="utf-8")
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
