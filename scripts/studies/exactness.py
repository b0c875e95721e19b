"""Predict one raster in many ways and compare the files byte by byte.

Run with the engine's Python: `python scripts/studies/exactness.py MODEL [RASTER …] [--folder FOLDER]` or, to try it
out on an untrained model and a made raster, `--small` alone. Without rasters the model's own layers are taken. It tries
sizes of windows, shards (one of them run twice) and a run that is killed (SIGKILL) and taken up again. Prints a table;
the exit code is 1 if a file differs.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

from measuring import add_small  # noqa: E402

CORES, SHARDS = (512, 640, 1000, 1024, 2048), (2, 1, 1, 3)
SMALL_CORES, SMALL_SHARDS, SMALL_PX = (256, 320), (2, 1), 768
LAYERS = {key: f"{key}.tif" for key in ("confidence", "entropy", "margin", "probability", "beyond")}


def main() -> int:
    """Predict in every way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("rasters", nargs="*", type=Path)
    parser.add_argument("--folder", type=Path, help="where temporary data go")
    parser.add_argument("--cores", type=int, nargs="+", metavar="PX", help=f"default {CORES}")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    add_small(parser)
    options = parser.parse_args()
    if options.small == bool(options.model):
        parser.error("name a model, or give --small alone")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="geoseg-exact-", dir=options.folder) as folder:
        if options.small:
            options.model = made_model(Path(folder))
        print("| way | seconds | runtime | parts kept | files as the first |\n|---|---|---|---|---|")
        cores = options.cores or (SMALL_CORES if options.small else CORES)
        shards = SMALL_SHARDS if options.small else SHARDS
        return int(not all(list(compared(job_of(options), Path(folder), cores, shards))))


def made_model(folder: Path) -> Path:
    """An untrained model in a folder, with a raster beside it."""
    from predict_runs import Size, prepare

    prepare(folder, Size(SMALL_PX, 4, 2))
    return folder / "model.onnx"


def job_of(options: argparse.Namespace) -> dict[str, Any]:
    """The job `predict` that the command line asks for, with all layers."""
    return {
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


def compared(
    job: dict[str, Any], folder: Path, cores: Sequence[int], shards: Sequence[int]
) -> Iterator[bool]:
    """Whether the files of every way are those of the first.

    Args:
        job: without windows.
        folder: gets a folder for every way.
        cores: sides of windows.
        shards: numbers of the shards, in the order in which they are run.
    """
    first: dict[str, str] = {}
    ways = [(f"windows of {core} px", [{"core_px": core}], False) for core in cores]
    parts = [{"core_px": cores[0], "shard": f"{place}/{max(shards)}"} for place in shards]
    ways += [(f"{max(shards)} shards", parts, False), ("killed and taken up", [{"core_px": cores[0]}], True)]
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
