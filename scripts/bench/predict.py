"""Speed and memory of prediction beside the usual ways of it, and beside the model alone.

Run with the engine's Python: `python scripts/bench/predict.py [ROW …] [--json FILE] [--repeat 5] [--small]`.
Each row is a module `predict_<row>.py` beside this file with `run(folder, repeat, small) -> Row`; rows whose names
begin with `gpu` are measured where a GPU of any maker is, and tried out on the CPU with `--small`. Ratios come from
runs of both by turns; `--small` is for trying the script out, its ratios mean nothing. GEOSEG_BENCH_SIDE sets another
side of the raster than 8 192 pixels. The exit code is 1 if a row does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

from measuring import measure_table  # noqa: E402

from geoseg_engine.device.devices import gpus  # noqa: E402

ROWS = ("pipeline", "limit", "output", "monai", "int8", "deepness", "memory", "polygonize", "gpu_limit")

if __name__ == "__main__":
    sys.exit(measure_table(__doc__, "predict", ROWS, bool(gpus()) or "--small" in sys.argv))
