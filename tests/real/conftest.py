"""Finds the real data; its tests are skipped where they are not there."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(ROOT / "tests" / "engine")]


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real data: GEOSEG_REAL_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("GEOSEG_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set GEOSEG_REAL_DATA")
    return folder
