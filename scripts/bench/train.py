"""Speed of training beside the usual way of it, and beside the model alone.

Run with the engine's Python: `python scripts/bench/train.py [ROW …] [--json FILE] [--repeat 5] [--small]`.
Each row is a module `train_<row>.py` beside this file with `run(folder, repeat, small) -> Row`; rows whose names begin
with `gpu` are measured where a GPU of any maker is, and tried out on the CPU with `--small`. Ratios come from runs of
both by turns; `--small` is for trying the script out, its ratios mean nothing. The exit code is 1 if a row does not
hold, unless it was small.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

from measuring import measure_table  # noqa: E402

from geoseg_engine.device.devices import gpus  # noqa: E402

ROWS = (
    "plain",
    "limit",
    "first_epoch",
    "forest",
    "forest_search",
    "forest_texture",
    "gpu_plain",
    "gpu_limit",
)

if __name__ == "__main__":
    sys.exit(measure_table(__doc__, "train", ROWS, bool(gpus()) or "--small" in sys.argv))
