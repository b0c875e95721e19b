"""A disk without room: told before work in numbers that make sense, and in one sentence where it fills meanwhile."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from data_scenes import hills, pixel_box, stack_of, write_polygons, write_raster
from prediction_scenes import CLASSES
from third_party_models import write_foreign
from training_scenes import small_job, write_dataset

from geoseg_engine import outputs
from geoseg_engine.contract import (
    GeoSegError,
    Labels,
    PolygonizeJob,
    PredictJob,
    RasterizeJob,
    Source,
    job_to_json,
    load_json,
    write_json,
)
from geoseg_engine.contract.prediction_jobs import Cleaning
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.outputs import SPARE_BYTES, distinguished, require_room, size_title
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.result_layers import layers_of
from geoseg_engine.raster.grid import Window
from geoseg_engine.training import checkpoint

LIMITS = {
    "stack": (6_000, 100_000),
    "rasterize": (2_000,),
    "predict": (3_000, 60_000),
    "polygonize": (30_000, 1_000_000, 2_150_000),
    "train": (100_000,),
}
"""Bytes that one file may have while a job of a kind runs; each writes a larger one."""
LIMITED = """
import json, resource, sys
from pathlib import Path
from geoseg_engine.channel import Channel
from geoseg_engine.run import run_file

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for text in sys.stdin:
    folder, limit = json.loads(text)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    run_file(Path(folder) / "job.json", Channel(Path(folder), sys.stdout))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""


def disk(monkeypatch, free):
    monkeypatch.setattr(
        outputs.shutil, "disk_usage", lambda _: outputs.shutil._ntuple_diskusage(10**12, 0, free)
    )


@pytest.mark.parametrize(
    ("size", "title"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (24_000, "24 kB"),
        (4_194_304, "4.2 MB"),
        (36e9, "36 GB"),
    ],
)
def test_sizes_are_in_units_of_their_own(size, title):
    assert size_title(size) == title


def test_what_is_short_reads_as_less_than_what_is_needed():
    assert distinguished(1.0e9, 1.3e9) == ("1.0 GB", "1.3 GB")
    assert distinguished(12_000_000, 12_400_000) == ("12.0 MB", "12.4 MB")
    assert distinguished(999_000, 4_200_000) == ("999 kB", "4.2 MB")


def test_a_nearly_full_disk_is_told_with_numbers_that_make_sense(tmp_path, monkeypatch):
    disk(monkeypatch, 1_000_000)
    with pytest.raises(GeoSegError) as caught:
        require_room({tmp_path / "new" / "a.tif": 2000})
    assert caught.value.code == "disk_full"
    assert caught.value.message == (
        f"The disk of {tmp_path} has 1.0 MB left; 4.2 MB are needed for the result and its temporary files, "
        "4.2 MB of it to stay free."
    )


def test_all_that_goes_to_one_disk_is_counted_together(tmp_path, monkeypatch):
    disk(monkeypatch, SPARE_BYTES + 1500)
    require_room({tmp_path / "a": 1000})
    with pytest.raises(GeoSegError):
        require_room({tmp_path / "a": 1000, tmp_path / "b" / "c": 1000})


def test_every_output_of_a_prediction_is_counted():
    window = Window(0, 0, 1000, 1000)

    def room(**settings):
        job = PredictJob("m.onnx", **settings)
        layers = layers_of(job, CLASSES)
        files = predict.files_bytes(job, Path("/x"), window, layers)
        return predict.scratch_bytes(job, window, layers), files

    between, files = room()
    assert set(files) == {Path("/x/classes.tif")} and between > 0
    wide, more = room(confidence="c.tif", probability="p.tif", entropy="e.tif", polygons="p.gpkg")
    assert set(more) == {Path("/x") / name for name in ("classes.tif", "c.tif", "p.tif", "e.tif", "p.gpkg")}
    assert wide > between and more[Path("/x/p.tif")] > 2.9 * more[Path("/x/c.tif")]
    assert room(polygons="p.gpkg")[0] > between  # a confidence that nobody asked for
    assert room(cleaning=Cleaning(majority_px=3))[0] > between


def writers(folder):
    """A sound job of every kind that writes large files."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    ids = write_raster(folder / "ids.tif", (noise.random((300, 300)) > 0.5).astype(np.uint8))
    wide = write_raster(
        folder / "wide.tif", hills(300, 300) + noise.normal(0, 9, (300, 300)).astype(np.float32)
    )
    plots = [pixel_box(row, col, 4, 3 + col % 3) for row in range(0, 290, 7) for col in range(0, 290, 8)]
    labels = Labels(str(write_polygons(folder / "plots.gpkg", plots)))
    photo = write_raster(folder / "photo.tif", noise.integers(0, 255, (3, 300, 300)).astype(np.uint8))
    model = write_foreign(folder / "model.onnx", outputs=3)
    asked = {"confidence": "out/c.tif", "probability": "out/p.tif", "polygons": "out/p.gpkg"}
    sources = (Source("photo", str(photo), "photo"),)
    return {
        "stack": stack_of(wide, output="out/stack.tif"),
        "rasterize": RasterizeJob(str(wide), labels, output="out/labels.tif"),
        "predict": PredictJob(
            str(model), sources, output="out/classes.tif", cleaning=Cleaning(majority_px=3), **asked
        ),
        "polygonize": PolygonizeJob(str(ids), output="out/polygons.gpkg", min_area_px=1),
        "train": small_job(write_dataset(folder / "dataset"), epochs=1, steps_per_epoch=2, tensorboard=False),
    }


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Each job run under its limits: kind and limit to its last event and the files it left."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit on the size of files")
    root = tmp_path_factory.mktemp("limited")
    jobs = writers(root / "inputs")
    folders = {(kind, limit): root / kind / str(limit) for kind, limits in LIMITS.items() for limit in limits}
    for (kind, _), folder in folders.items():
        folder.mkdir(parents=True)
        write_json(folder / "job.json", job_to_json(jobs[kind]))
    lines = "".join(json.dumps([str(folder), limit]) + "\n" for (_, limit), folder in folders.items())
    environment = {
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "training"),
        "PATH": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], input=lines, encoding="utf-8", check=True, env=environment, timeout=300,
        capture_output=True,
    )  # fmt: skip
    last = [json.loads(line) for line in done.stdout.splitlines()]
    last = [event for event in last if event["type"] in ("done", "failed")]
    left = [[file for file in folder.rglob("*") if file.is_file()] for folder in folders.values()]
    return dict(zip(folders, zip(last, left, strict=True), strict=True))


@pytest.mark.parametrize("kind", LIMITS)
def test_a_file_that_may_not_grow_is_one_sentence_and_nothing_is_half_written(kind, limited):
    for limit in LIMITS[kind]:
        event, files = limited[kind, limit]
        assert (event["type"], event.get("code")) == ("failed", "disk_full"), event
        assert event["hint"] and "\n" not in event["message"] and "Error" not in event["message"]
        for file in files:
            assert ".part" not in file.name, file
            assert_whole(file)


def assert_whole(file):
    """What lies under its final name can be read to its end."""
    if file.suffix == ".tif":
        with rasterio.open(file) as dataset:
            dataset.read()
    elif file.suffix == ".gpkg":
        assert len(pyogrio.read_dataframe(file))
    elif file.suffix == ".pt":
        checkpoint.load(file)
    elif file.suffix == ".onnx":
        read_model(file)
    elif file.suffix == ".json":
        load_json(file)
