"""Scripts of scripts/bench and scripts/studies, and a run of one in small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "scripts" / name for name in ("bench", "studies")]
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.py"))
MAIN = "if __name__ == "
SCRIPTS = [file for file in FILES if MAIN in file.read_text(encoding="utf-8")]
MODULES = [file for file in FILES if file not in SCRIPTS]
IN_QGIS = {"real_cases.py"}
"""Work the panel; tests/e2e/test_studies_in_qgis.py runs them."""
LIMIT_S = 600


def scripts_in(folder: str) -> list[Path]:
    """Scripts of a folder that the engine's Python runs."""
    return [file for file in SCRIPTS if file.parent.name == folder and file.name not in IN_QGIS]


def run_small(script: Path, here: Path) -> None:
    """Run a script with --small in an empty folder; it must end well, say something and leave nothing there."""
    with TemporaryDirectory(
        prefix="gs-", ignore_cleanup_errors=True
    ) as short:  # holds sockets of 108 characters
        ended = subprocess.run(
            [sys.executable, str(script), "--small"],
            cwd=here,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": short},
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip()
    assert list(here.iterdir()) == [], "what is made small is thrown away"
