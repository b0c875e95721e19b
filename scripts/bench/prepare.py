"""Time and memory of data preparation beside the usual tools.

Run with the engine's Python: `python scripts/bench/prepare.py [ROW …] [--json FILE] [--repeat 5] [--small]`.
Each row is a module `prepare_<row>.py` beside this file with `run(folder, repeat, small) -> Row`. Ratios come from
runs of both by turns; `--small` is for trying the script out, its ratios mean nothing. The exit code is 1 if a
row does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

from measuring import measure_table  # noqa: E402

ROWS = ("stack", "rasterize", "slope", "tiles", "series")

if __name__ == "__main__":
    sys.exit(measure_table(__doc__, "prepare", ROWS))
