"""Predict one raster in many ways and compare the files byte by byte.

Run with the engine's Python: `python scripts/exactness.py MODEL [RASTER …] [--folder FOLDER]`. Without
rasters the model's own layers are taken. Tried are sizes of windows, shards (one of them run twice) and a run that is
killed (SIGKILL) and taken up again. Prints a table; the exit code is 1 if a file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORES = (512, 640, 1000, 1024, 2048)
LAYERS = {key: f"{key}.tif" for key in ("confidence", "entropy", "margin", "probability", "beyond")}


def main() -> int:
    """Predict in every way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("rasters", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path, help="where temporary data go")
    parser.add_argument("--cores", type=int, nargs="+", default=list(CORES), metavar="PX")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    job = {
        "model": str(options.model.resolve()),
        "sources": [
            {"key": f"r{place}", "path": str(path.resolve()), "name": path.stem}
            for place, path in enumerate(options.rasters, 1)
        ],
        "runtime": options.runtime,
        "precision": options.precision,
        "device": options.device,
        **LAYERS,
    }
    print("| way | seconds | runtime | parts kept | files as the first |\n|---|---|---|---|---|")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="geoseg-exact-", dir=options.folder) as folder:
        return int(not all(list(compared(job, Path(folder), options.cores))))


def compared(job: dict[str, Any], folder: Path, cores: list[int]) -> Iterator[bool]:
    """Whether the files of every way are those of the first."""
    first: dict[str, str] = {}
    ways = [(f"windows of {core} px", [{"core_px": core}], False) for core in cores]
    shards = [{"core_px": cores[0], "shard": f"{place}/3"} for place in (2, 1, 1, 3)]
    ways += [("three shards", shards, False), ("killed and taken up", [{"core_px": cores[0]}], True)]
    for title, changes, killed in ways:
        place = folder / title.replace(" ", "-")
        place.mkdir()
        started = time.perf_counter()
        if killed:
            start_and_kill({**job, **changes[0]}, place)
        for change in changes:
            result = predicted({**job, **change}, place)
        found = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(place.iterdir())
            if path.name.endswith((".tif", ".aux.xml"))
        }
        first = first or found
        other = [name for name in first if found.get(name) != first[name]]
        answer = f"NO: {', '.join(other)}" if other else f"yes, all {len(found)}"
        seconds = time.perf_counter() - started
        kept = result["resumed_parts"]
        print(f"| {title} | {seconds:.0f} | {result['runtime']} | {kept} | {answer} |", flush=True)
        yield not other and len(found) == len(first)


def start(job: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """Start the engine as QGIS does."""
    (folder / "job.json").write_text(
        json.dumps({"protocol": "1.0", "kind": "predict", "job": job}), encoding="utf-8"
    )
    (folder / "events.jsonl").unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "geoseg_engine", "run", "job.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "training")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def predicted(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a job to its end; its result."""
    start(job, folder).wait()
    last: dict[str, Any] = json.loads((folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    if last["type"] != "done":
        raise SystemExit(f"{last['message']} {last['hint']}\n{last['details']}")
    result: dict[str, Any] = last["result"]
    return result


def start_and_kill(job: dict[str, Any], folder: Path) -> None:
    """Kill the engine when its second part is there."""
    process = start(job, folder)
    while process.poll() is None and len(list(folder.glob(".predict-*/???????.tif"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
