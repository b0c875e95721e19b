"""Bad input: one clear sentence with the offending value, a hint, nothing half-written, inputs as they were.

One table over what users really bring. Each job runs through the border of the engine, as from QGIS or the shell.
Elsewhere: an engine killed while it trains (tests/e2e/test_training_control.py), QGIS closed meanwhile
(tests/e2e/test_close.py), layers that QGIS exports for the engine (tests/plugin/test_layers_snapshot.py).
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas
import numpy as np
import onnx
import prediction_scenes
import pytest
import rasterio
import shapely
from data_scenes import (
    CORNER,
    UTM,
    hills,
    pixel_box,
    sources_of,
    stack_of,
    utm_grid,
    write_polygons,
    write_raster,
)
from training_scenes import small_job, write_dataset

from geoseg_engine import outputs, run
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    Area,
    Band,
    CheckJob,
    DescribeJob,
    EvaluateJob,
    GeoSegError,
    Job,
    Labels,
    PolygonizeJob,
    PredictJob,
    RasterizeJob,
    Source,
    StackJob,
    TerrainJob,
    TileJob,
    job_to_json,
    write_json,
)
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.writer import RasterWriter

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
ENGINE = Path(__file__).resolve().parents[2] / "training"
OWN_FILES = {"job.json", "events.jsonl"}


@dataclass(frozen=True)
class Ended:
    """How a job ended: its last event, and the files it left beside its own."""

    event: dict
    left: set[str]

    @property
    def warnings(self) -> dict[str, dict]:
        return {item["code"]: item for item in self.event["result"]["warnings"]}


def checksums(folder: Path) -> dict[str, str]:
    """Content of every file in a folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def ended(job: Job, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Run a job in a new folder."""
    folder.mkdir()
    write_json(folder / "job.json", job_to_json(job))
    monkeypatch.chdir(folder)
    run.run_file(folder / "job.json", Channel(folder))
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["type"] in ("done", "failed") for event in events].count(True) == 1
    left = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    return Ended(events[-1], left - OWN_FILES)


def assert_clear(item: dict, code: str, words: tuple[str, ...]) -> None:
    """The right code, one sentence that names what is wrong, and a next step."""
    assert item["code"] == code, item
    for word in words:
        assert word in item["message"] + item["hint"], item
    assert item["hint"] and len(item["message"]) < 240 and "Traceback" not in item["message"]
    assert "Error" not in item["message"]


# what users bring; every function writes into a folder and returns the job


def raster(folder: Path, name: str = "height.tif", **more) -> Path:
    return write_raster(folder / name, hills(40, 50), **more)


def no_overlap(folder: Path) -> Job:
    return stack_of(raster(folder, "here.tif"), raster(folder, "far.tif", corner=(700_000.0, 5_300_000.0)))


def no_crs(folder: Path) -> Job:
    return stack_of(raster(folder, crs=None))


def metres_in_degrees(folder: Path) -> Job:
    return stack_of(raster(folder, crs="EPSG:4326"))


def degrees_in_metres(folder: Path) -> Job:
    return stack_of(raster(folder, pixel=1e-4, corner=(10.3, 46.9)))


def ungeoreferenced(folder: Path) -> Job:
    return stack_of(raster(folder, transform=rasterio.Affine.identity()))


def all_nodata(folder: Path) -> Job:
    return stack_of(raster(folder), write_raster(folder / "void.tif", np.full((40, 50), -9.0), nodata=-9))


def vanished(folder: Path) -> Job:
    return stack_of(folder / "gone.tif")


def unreadable(folder: Path) -> Job:
    (folder / "strange.img").write_bytes(b"neither fish nor raster")
    return stack_of(folder / "strange.img")


def truncated(folder: Path) -> Job:
    path = raster(folder, "cut.tif", compress="deflate", tiled=True, blockxsize=16, blockysize=16)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return stack_of(path)


def missing_band_number(folder: Path) -> Job:
    return StackJob(sources_of(raster(folder)), (Band("seventh", "r1", 7),))


def labels_on(folder: Path, **more) -> RasterizeJob:
    """A stack and one polygon on it; `more` are fields of Labels."""
    path = folder / "plots.gpkg"
    if not path.exists():
        write_polygons(path, [pixel_box(4, 4, 9, 9), pixel_box(20, 20, 9, 9)], kind=["a", "b"])
    return RasterizeJob(str(raster(folder)), Labels(**{"path": str(path), **more}))


def labels_vanished(folder: Path) -> Job:
    return labels_on(folder, path=str(folder / "gone.gpkg"))


def labels_unreadable(folder: Path) -> Job:
    (folder / "strange.shp").write_bytes(b"no shapes at all")
    return labels_on(folder, path=str(folder / "strange.shp"))


def labels_without_crs(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [pixel_box(4, 4, 9, 9)], crs=None)
    return labels_on(folder)


def labels_with_lying_crs(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [pixel_box(4, 4, 9, 9)], crs="EPSG:4326")
    return labels_on(folder)


def labels_elsewhere(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [pixel_box(4000, 4, 9, 9)])
    return labels_on(folder)


def labels_without_geometry(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [None, None], kind=["a", "b"])
    return labels_on(folder)


def no_such_field(folder: Path) -> Job:
    return labels_on(folder, class_field="klass")


def all_classes_null(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [pixel_box(4, 4, 9, 9)], kind=np.array([None], dtype=object))
    return labels_on(folder, class_field="kind")


def area_vanished(folder: Path) -> Job:
    return replace(labels_on(folder), area=Area("polygons", str(folder / "gone_area.gpkg")))


def area_of_another_layer(folder: Path) -> Job:
    job = labels_on(folder)
    return replace(job, area=Area("polygons", job.labels.path, "zz"))


def area_is_points(folder: Path) -> Job:
    job = labels_on(folder)
    write_polygons(folder / "wells.gpkg", [pixel_box(4, 4, 9, 9).centroid])
    return replace(job, area=Area("polygons", str(folder / "wells.gpkg")))


def area_is_empty(folder: Path) -> Job:
    job = labels_on(folder)
    empty = geopandas.GeoDataFrame({"n": []}, geometry=[], crs=UTM)
    empty.to_file(folder / "empty.gpkg", driver="GPKG", engine="pyogrio", geometry_type="Polygon")
    return replace(job, area=Area("polygons", str(folder / "empty.gpkg")))


def extent_of(folder: Path, *numbers: float) -> Job:
    """Part of the raster of `our_model`."""
    return PredictJob(str(our_model(folder)), extent=numbers)


def extent_from_east_to_west(folder: Path) -> Job:
    return extent_of(folder, 500_200.0, 4_999_700.0, 500_100.0, 4_999_800.0)


def extent_from_north_to_south(folder: Path) -> Job:
    return extent_of(folder, 500_100.0, 4_999_800.0, 500_200.0, 4_999_700.0)


def extent_elsewhere(folder: Path) -> Job:
    return extent_of(folder, 1.0, 2.0, 3.0, 4.5)


def empty_model(folder: Path) -> Job:
    (folder / "empty.onnx").touch()
    return DescribeJob(str(folder / "empty.onnx"))


def confidence_of_another_map(folder: Path) -> Job:
    classes = write_raster(folder / "classes.tif", np.ones((40, 50), np.uint8))
    return PolygonizeJob(str(classes), confidence=str(raster(folder, "sure.tif", pixel=20)))


def tiles_of_other_labels(folder: Path) -> Job:
    foreign = write_raster(folder / "foreign.tif", np.ones((40, 50), np.uint8))
    return TileJob(str(raster(folder)), str(foreign))


def tiles_of_polygons(folder: Path) -> Job:
    polygons = write_polygons(folder / "slides.gpkg", [pixel_box(4, 4, 20, 20)])
    return TileJob(str(raster(folder)), str(polygons))


def dataset_vanished(folder: Path) -> Job:
    return small_job(folder / "dataset" / "dataset.json")


def stack_of_dataset_vanished(folder: Path) -> Job:
    dataset = write_dataset(folder / "dataset")
    (folder / "dataset" / "image.tif").unlink()
    return small_job(dataset)


def dataset_of_one_class(folder: Path) -> Job:
    path = write_dataset(folder / "dataset")
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "classes": data["classes"][:1]}), encoding="utf-8")
    return small_job(path)


def our_model(folder: Path) -> Path:
    grid = prediction_scenes.grid_of(64, 64)
    image = prediction_scenes.write_raster(folder / "image.tif", prediction_scenes.scene(64, 64), grid, -999)
    return prediction_scenes.write_model(folder / "model.onnx", prediction_scenes.recipe_of(image, grid))


def foreign_onnx(folder: Path) -> Path:
    """A sound ONNX file of somebody else, with the metadata of a detector."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["in"], ["out"])
    ends = [value(name, onnx.TensorProto.FLOAT, [1, 3, 64, 64]) for name in ("in", "out")]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "foreign", ends[:1], ends[1:]))
    onnx.helper.set_model_props(model, {"model_type": '"Detector"'})
    onnx.save(model, folder / "detector.onnx")
    return folder / "detector.onnx"


def garbage(folder: Path) -> Path:
    (folder / "garbage.onnx").write_bytes(bytes(range(256)) * 40)
    return folder / "garbage.onnx"


def predict_foreign(folder: Path) -> Job:
    return PredictJob(str(foreign_onnx(folder)), sources_of(raster(folder)))


def predict_garbage(folder: Path) -> Job:
    return PredictJob(str(garbage(folder)), sources_of(raster(folder)))


def describe_garbage(folder: Path) -> Job:
    return DescribeJob(str(garbage(folder)))


def evaluate_foreign(folder: Path) -> Job:
    return EvaluateJob(str(write_dataset(folder / "dataset")), str(foreign_onnx(folder)))


def model_vanished(folder: Path) -> Job:
    return PredictJob(str(folder / "gone.onnx"), sources_of(raster(folder)))


def lacks_a_band(folder: Path) -> Job:
    return PredictJob(str(our_model(folder)), sources_of(raster(folder, "one_band.tif")))


def layers_of_model_vanished(folder: Path) -> Job:
    model = our_model(folder)
    (folder / "image.tif").unlink()
    return PredictJob(str(model))


def polygons_of_vanished(folder: Path) -> Job:
    return PolygonizeJob(str(folder / "gone.tif"))


def terrain_of_lying_dem(folder: Path) -> Job:
    return TerrainJob(Source("dem", str(raster(folder, "dem.tif", crs="EPSG:4326")), "dem"))


REFUSED: list[tuple[Callable[[Path], Job], str, tuple[str, ...]]] = [
    (no_overlap, "no_overlap", ("'far'", "'here'")),
    (no_crs, "no_crs", ("'height'",)),
    (metres_in_degrees, "crs_lies", ("'height'", "EPSG:4326", "600000")),
    (degrees_in_metres, "crs_lies", ("'height'", UTM, "10.3")),
    (ungeoreferenced, "not_georeferenced", ("'height'", "Georeferencer")),
    (all_nodata, "empty_band", ("'void'", "nodata")),
    (vanished, "file_missing", ("'gone'", "gone.tif")),
    (unreadable, "cannot_open", ("'strange'", "strange.img", "Export")),
    (truncated, "cannot_read", ("'cut'", "rows")),
    (missing_band_number, "missing_bands", ("'height'", "band 7")),
    (labels_vanished, "file_missing", ("gone.gpkg",)),
    (labels_unreadable, "cannot_open", ("strange.shp", "Export")),
    (labels_without_crs, "no_crs", ("'plots'",)),
    (labels_with_lying_crs, "crs_lies", ("'plots'", "EPSG:4326")),
    (labels_elsewhere, "labels_outside", ("None of the 1",)),
    (labels_without_geometry, "no_polygons", ("'plots'",)),
    (no_such_field, "no_field", ("'klass'", "kind")),
    (area_vanished, "file_missing", ("gone_area",)),
    (area_of_another_layer, "no_layer", ("no layer 'zz' in plots.gpkg", "it has: plots")),
    (area_is_points, "not_polygons", ("'wells'", "Point")),
    (area_is_empty, "no_polygons", ("'empty' is empty",)),
    (extent_from_east_to_west, "bad_extent", ("west", "500200", "east", "500100")),
    (extent_from_north_to_south, "bad_extent", ("south", "4999800", "north", "4999700")),
    (extent_elsewhere, "outside_rasters", ("1 2 3 4.5", "500000 4999360 500640 5000000")),
    (empty_model, "not_our_model", ("empty.onnx", "the file is empty")),
    (confidence_of_another_map, "other_grid", ("pixels of 20 m", "pixels of 10 m")),
    (tiles_of_other_labels, "not_our_labels", ("foreign.tif",)),
    (tiles_of_polygons, "not_our_labels", ("slides.gpkg is not a label raster", "geoseg rasterize")),
    (dataset_vanished, "no_dataset", ("dataset",)),
    (stack_of_dataset_vanished, "file_missing", ("image.tif",)),
    (dataset_of_one_class, "one_class", ("background",)),
    (predict_foreign, "not_our_model", ("detector.onnx", "Detector")),
    (predict_garbage, "not_our_model", ("garbage.onnx",)),
    (describe_garbage, "not_our_model", ("garbage.onnx",)),
    (evaluate_foreign, "not_our_model", ("detector.onnx",)),
    (model_vanished, "model_missing", ("gone.onnx",)),
    (lacks_a_band, "missing_bands", ("height", "'one_band' (1 band)")),
    (layers_of_model_vanished, "file_missing", ("image.tif",)),
    (polygons_of_vanished, "file_missing", ("gone.tif",)),
    (terrain_of_lying_dem, "crs_lies", ("'dem'", "EPSG:4326")),
]


@pytest.mark.parametrize(("make", "code", "words"), REFUSED, ids=[make.__name__ for make, _, _ in REFUSED])
def test_refused_with_a_reason(make, code, words, tmp_path, monkeypatch):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    job = make(inputs)
    before = checksums(inputs)
    end = ended(job, tmp_path / "job", monkeypatch)
    assert end.event["type"] == "failed"
    assert_clear(end.event, code, words)
    assert end.left == set() and checksums(inputs) == before


# what is done, with a warning


def rotated(folder: Path) -> Job:
    turned = (
        rasterio.Affine.translation(*CORNER) * rasterio.Affine.rotation(20) * rasterio.Affine.scale(10, -10)
    )
    return stack_of(raster(folder, transform=turned))


def constant(folder: Path) -> Job:
    return stack_of(raster(folder), write_raster(folder / "flat.tif", np.full((40, 50), 7.0, np.float32)))


def some_classes_null(folder: Path) -> Job:
    shapes = [pixel_box(4, 4, 9, 9), pixel_box(20, 20, 9, 9)]
    write_polygons(folder / "plots.gpkg", shapes, kind=np.array(["a", None], dtype=object))
    return labels_on(folder, class_field="kind")


def some_without_geometry(folder: Path) -> Job:
    write_polygons(folder / "plots.gpkg", [pixel_box(4, 4, 9, 9), None], kind=["a", "b"])
    return labels_on(folder)


def crossing_itself(folder: Path) -> Job:
    x, y = CORNER
    knot = shapely.Polygon([(x + 50, y - 50), (x + 150, y - 150), (x + 150, y - 50), (x + 50, y - 150)])
    write_polygons(folder / "plots.gpkg", [knot])
    return labels_on(folder)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (rotated, "rotated", ("'height'",)),
        (constant, "constant_band", ("'flat'",)),
        (some_classes_null, "null_class", ("1 of 2 polygons", "'kind'")),
        (all_classes_null, "null_class", ("1 of 1 polygon", "'kind'")),
        (some_without_geometry, "no_geometry", ("number 2", "'plots'")),
        (crossing_itself, "invalid_geometry", ("number 1", "'plots'", "copy")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_done_with_a_warning(make, code, words, tmp_path, monkeypatch):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    job = make(inputs)
    before = checksums(inputs)
    end = ended(job, tmp_path / "job", monkeypatch)
    assert end.event["type"] == "done", end.event
    assert_clear(end.warnings[code], code, words)
    assert checksums(inputs) == before and not [name for name in end.left if ".part" in name]


def test_raster_smaller_than_a_tile(tmp_path, monkeypatch):
    rows, cols = 12, 30
    stack = write_raster(tmp_path / "small.tif", hills(rows, cols))
    write_polygons(tmp_path / "plots.gpkg", [pixel_box(1, 2 + 7 * n, 6, 3) for n in range(4)])
    burnt = RasterizeJob(
        str(stack), Labels(str(tmp_path / "plots.gpkg")), output=str(tmp_path / "labels.tif")
    )
    assert ended(burnt, tmp_path / "burn", monkeypatch).event["type"] == "done"
    end = ended(TileJob(str(stack), str(tmp_path / "labels.tif"), tile_px=64), tmp_path / "job", monkeypatch)
    assert_clear(end.warnings["smaller_than_tile"], "smaller_than_tile", ("30 × 12", "64"))


# folders that take no files, disks that are full, engines that are killed


def writers(folder: Path, output: str) -> dict[str, Job]:
    """One sound job of every kind that writes, with its results under `output`."""
    height, dataset = raster(folder), write_dataset(folder / "dataset")
    ids = write_raster(folder / "ids.tif", (hills(40, 50) > 800).astype(np.uint8))
    labels = Labels(str(write_polygons(folder / "plots.gpkg", [pixel_box(4, 4, 20, 20)])))
    prediction = write_raster(folder / "prediction.tif", np.zeros((96, 128), np.uint8), corner=(500_000.0, 5_000_000.0),
                              crs="EPSG:32631")  # fmt: skip
    model = our_model(folder)
    return {
        "stack": stack_of(height, output=f"{output}/stack.tif"),
        "recipe": stack_of(height, output=f"{output}/stack.recipe.json"),
        "terrain": TerrainJob(Source("dem", str(height)), output=f"{output}/terrain.tif"),
        "rasterize": RasterizeJob(str(height), labels, output=f"{output}/labels.tif"),
        "train": replace(small_job(dataset), output=output, epochs=1, steps_per_epoch=2),
        "predict": PredictJob(str(model), output=f"{output}/classes.tif", runtime="torch"),
        "evaluate": EvaluateJob(str(dataset), prediction=str(prediction), output=output),
        "polygonize": PolygonizeJob(str(ids), output=f"{output}/polygons.gpkg"),
    }


KINDS = ("stack", "recipe", "terrain", "rasterize", "train", "predict", "evaluate", "polygonize")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_cannot_be_written(kind, tmp_path, monkeypatch):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "file").write_text(
        "a file where a folder should be", encoding="utf-8"
    )  # root may write anywhere else
    job = writers(inputs, str(inputs / "file" / "out"))[kind]
    before = checksums(inputs)
    end = ended(job, tmp_path / "job", monkeypatch)
    assert end.event["type"] == "failed"
    assert_clear(end.event, "not_writable", (str(inputs / "file"),))
    assert end.left == set() and checksums(inputs) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can make files")
@pytest.mark.parametrize("kind", [*KINDS, "check"])
def test_a_folder_in_which_nobody_can_make_files(kind, tmp_path, monkeypatch):
    """It has no free space either, but that is not what is wrong."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    jobs = writers(inputs, "/proc/out" if kind in ("train", "evaluate") else "/proc")
    polygons = write_polygons(inputs / "checked.gpkg", [pixel_box(4, 4, 20, 20)])
    sources = sources_of(raster(inputs, "checked.tif"))
    jobs["check"] = CheckJob(sources, Labels(str(polygons)), output="/proc/x.json")
    end = ended(jobs[kind], tmp_path / "job", monkeypatch)
    assert end.event["type"] == "failed" and end.left == set()
    assert_clear(end.event, "not_writable", ("/proc", "may write to"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("recipe", "train", "evaluate")])
def test_a_disk_that_is_nearly_full_is_told_beforehand(kind, tmp_path, monkeypatch):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    job = writers(inputs, "out")[kind]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 5000, 5000)
    )
    end = ended(job, tmp_path / "job", monkeypatch)
    assert end.event["type"] == "failed" and end.left == set()
    assert_clear(end.event, "disk_full", ("Free some space",))


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a small file system without a free block."""
    place = tmp_path / "full"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        (place / "out").mkdir()
        with pytest.raises(OSError), (place / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)) == 4096:
                pass
            raise OSError
        yield place / "out"
    finally:
        os.chdir("/")
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_when_the_result_is_written(kind, tmp_path, full_disk, monkeypatch):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    job = writers(inputs, str(full_disk))[kind]
    before = checksums(inputs)
    monkeypatch.setattr(outputs, "prepare_folder", lambda folder, needs_bytes=0: None)
    end = ended(job, tmp_path / "job", monkeypatch)
    assert end.event["type"] == "failed"
    assert_clear(end.event, "disk_full", ("Free some space",))
    assert end.left == set() and checksums(inputs) == before and list(full_disk.iterdir()) == []


def test_blocks_lost_when_a_raster_is_closed_are_noticed(full_disk, monkeypatch):
    """GDAL writes the last blocks on closing, where rasterio does not tell that the disk is full."""
    grid = utm_grid(100, 100)
    monkeypatch.setattr(outputs, "prepare_folder", lambda folder, needs_bytes=0: None)
    (full_disk.parent / "ballast").write_bytes(bytes(120_000))
    noise = np.random.default_rng(0).random((3, 100, 100), np.float32)
    with (
        pytest.raises(GeoSegError) as caught,
        RasterWriter(full_disk / "noise.tif", grid, "float32", None, ("a", "b", "c")) as writer,
    ):
        writer.write(noise, full_window(grid))
        written = True
    assert written, "the disk ran full before the file was closed: this shows nothing"
    assert caught.value.code == "disk_full" and list(full_disk.iterdir()) == []


def test_a_job_in_a_folder_on_a_full_disk_still_says_why(full_disk, monkeypatch, capsys):
    """Neither job.json's record nor the pid file can be written; the reader is told all the same."""
    monkeypatch.setattr(Path, "write_text", _no_space)
    with (full_disk.parent.parent / "said").open("w+", encoding="utf-8") as stream:
        assert run.run_file(full_disk / "job.json", Channel(full_disk, stream)) == run.EXIT_FAILED
        stream.seek(0)
        assert_clear(json.loads(stream.read()), "disk_full", ("Free some space",))


def _no_space(path: Path, *_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_killed_engine_leaves_nothing_under_a_final_name(tmp_path):
    height = write_raster(tmp_path / "height.tif", np.tile(hills(500, 500), (6, 6)))
    folder = tmp_path / "job"
    folder.mkdir()
    write_json(folder / "job.json", job_to_json(stack_of(height)))
    before = hashlib.sha256(height.read_bytes()).hexdigest()
    command = [sys.executable, "-m", "geoseg_engine", "run", str(folder / "job.json")]
    environ = {**os.environ, "PYTHONPATH": str(ENGINE)}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "progress":
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "stack.tif").exists() and not (folder / "stack.recipe.json").exists()
    assert hashlib.sha256(height.read_bytes()).hexdigest() == before
