"""Time and memory of data preparation beside the usual tools.

Run with the engine's Python: `python scripts/bench/prepare.py [ROW …] [--json FILE] [--repeat 5] [--small]`.
Each row is a module `prepare_<row>.py` beside this file with `run(folder, repeat, small) -> Row`. Ratios come from
runs of both by turns; `--small` is for trying the script out, its ratios mean nothing. The exit code is 1 if a
row does not hold.
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

from measuring import Row  # noqa: E402

ROWS = ("stack", "rasterize", "slope", "tiles", "series")


def main() -> int:
    """Measure the rows asked for and print them as a table."""
    there = [name for name in ROWS if (HERE / f"prepare_{name}.py").exists()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(there)}; default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="tiny data")
    parser.add_argument("--folder", type=Path, help="where temporary data go; needs some 20 GB")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in there]
    if unknown:
        parser.error(f"unknown row {', '.join(unknown)}; choose from {', '.join(there)}")
    print("| work | beside | ours s | beside s | ratio | bar | peak MB | holds | note |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for name in options.rows or there:
        with tempfile.TemporaryDirectory(prefix=f"geoseg-{name}-", dir=options.folder) as folder:
            row = importlib.import_module(f"prepare_{name}").run(Path(folder), options.repeat, options.small)
        print(line(row), flush=True)
        rows.append(row)
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1), encoding="utf-8")
    return int(not all(row.holds for row in rows))


def line(row: Row) -> str:
    """A row of the table."""
    return (
        f"| {row.work} | {row.beside} | {row.ours_s:.2f} | {row.beside_s:.2f} | {row.ratio:.2f} | ≤ {row.bar:g} | "
        f"{row.peak_mb:.0f} | {'yes' if row.holds else 'NO'} | {row.note} |"
    )


if __name__ == "__main__":
    sys.exit(main())
