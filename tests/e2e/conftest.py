"""Tests of the whole: the packaged plugin, real QGIS processes, the real engine."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "scripts" / "dev"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
