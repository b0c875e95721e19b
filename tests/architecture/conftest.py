"""Puts this folder and the scripts on the path: the reader of syntax trees is shared, the scan is tested."""

import sys
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parents[1] / "scripts" / "dev")]
