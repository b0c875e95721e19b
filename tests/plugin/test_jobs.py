"""Builders of jobs and the workspace: plain data and folders, no QGIS."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from geoseg_plugin.contract import (
    Band,
    GeoSegError,
    Labels,
    ProbeJob,
    Series,
    StackJob,
    TrainJob,
    job_from_json,
)
from geoseg_plugin.jobs import predict, prepare, train
from geoseg_plugin.jobs.additions import (
    Addition,
    Input,
    additions_from_json,
    additions_to_json,
    index_addition,
)
from geoseg_plugin.jobs.composition import Composition, compose
from geoseg_plugin.jobs.inputs import RasterInput, sources_and_bands, unbound_sources
from geoseg_plugin.jobs.submission import Submission, write
from geoseg_plugin.records.workspace import Workspace, last_result

OPTICAL = RasterInput("/a/optical.tif", "Optical", ("red", "", "nir"), (1, 2, 3))
DEM = RasterInput("/a/dem.tif", "DEM", ("Band 1",), (1,), ("slope", "aspect_sin"), nodata=-1.0)


def test_bands_have_human_names_and_the_order_of_the_user() -> None:
    sources, bands = sources_and_bands([OPTICAL, DEM])
    assert [(item.key, item.name, item.nodata) for item in sources] == [
        ("r1", "Optical", None),
        ("r2", "DEM", -1.0),
    ]
    optical = ["Optical: red", "Optical: band 2", "Optical: nir"]
    assert [band.name for band in bands] == [*optical, "DEM", "DEM: slope", "DEM: aspect sin"]
    assert [band.derive for band in bands[3:]] == ["", "slope", "aspect_sin"]


def test_two_layers_of_one_name_do_not_collide() -> None:
    _, bands = sources_and_bands([DEM, DEM])
    assert len({band.name for band in bands}) == 6
    assert bands[3].name == "DEM (2)"


def test_terrain_without_the_dem_itself_and_nothing_ticked() -> None:
    only_slope = RasterInput("/d", "D", ("",), (), ("slope",))
    nothing = RasterInput("/e", "E", ("",), ())
    sources, bands = sources_and_bands([nothing, only_slope])
    assert [source.path for source in sources] == ["/d"]
    assert [(band.name, band.index, band.derive) for band in bands] == [("D: slope", 1, "slope")]


def test_codes_are_resampled_by_nearest_neighbour() -> None:
    _, bands = sources_and_bands([RasterInput("/c", "C", ("",), (1,), categorical=True), OPTICAL])
    assert [band.resampling for band in bands] == ["nearest", "bilinear", "bilinear", "bilinear"]


def test_sources_for_prediction_never_take_a_slot_by_accident() -> None:
    assert not {source.key for source in unbound_sources([OPTICAL, DEM])} & {"r1", "r2"}


def every_submission(folder: Path) -> list[Submission]:
    labels = Labels("/l.gpkg")
    rasters = [OPTICAL, DEM]
    return [
        prepare.plan(folder, rasters, None, None, labels),
        prepare.check(folder, rasters, labels),
        prepare.summarize(folder, rasters),
        prepare.inspect(folder, "/n.nc"),
        *prepare.dataset(folder, rasters, None, None, labels),
        train.train(folder / "run", folder, epochs=3),
        predict.predict(folder / "p", Path("/m.onnx"), unbound_sources(rasters)),
        predict.plan(folder / "p", Path("/m.onnx")),
    ]


def test_every_job_is_whole_and_survives_its_file(tmp_path: Path) -> None:
    folders = set()
    for submission in every_submission(tmp_path):
        job_file = write(submission)
        assert job_from_json(json.loads(job_file.read_text(encoding="utf-8"))) == submission.job
        assert submission.job.problems() == [], submission.title
        folders.add(submission.folder)
    assert len(folders) == len(every_submission(tmp_path)), "two jobs would share one record"


def test_a_dataset_ends_in_one_folder(tmp_path: Path) -> None:
    stack, labels = prepare.dataset(tmp_path, [OPTICAL], None, None, Labels("/l.gpkg"))
    assert isinstance(stack.job, StackJob) and stack.job.output == str(tmp_path / "stack.tif")
    assert labels.job.stack == stack.job.output  # type: ignore[attr-defined]
    assert labels.job.output == str(tmp_path / "labels.tif")  # type: ignore[attr-defined]


def test_resume_is_the_same_job_again(tmp_path: Path) -> None:
    write(train.train(tmp_path, tmp_path / "dataset", epochs=3, seed=7))
    again = train.resume(tmp_path).job
    assert isinstance(again, TrainJob) and (again.epochs, again.seed, again.resume) == (3, 7, True)
    with pytest.raises(GeoSegError, match="cannot be read"):
        train.resume(tmp_path / "nothing")


def test_writing_a_job_takes_an_old_cancel_away(tmp_path: Path) -> None:
    (tmp_path / "cancel").touch()
    write(Submission(ProbeJob(), tmp_path, ""))
    assert not (tmp_path / "cancel").exists()


def record(folder: Path, *events: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write(train.train(folder, folder / "dataset"))
    (folder / "events.jsonl").write_text(
        "\n".join(json.dumps(event) for event in events) + "\n", encoding="utf-8"
    )
    return folder


def test_folders_never_collide(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    names = [workspace.new_dataset("Hang / Süd: 1").name for _ in range(3)]
    assert names == ["Hang_Süd_1", "Hang_Süd_1-2", "Hang_Süd_1-3"]
    assert workspace.new_run("a") != workspace.new_run("a")
    assert workspace.new_prediction("..").parent == tmp_path / "predictions"


def test_runs_and_how_they_ended(tmp_path: Path) -> None:
    hello, runs = {"type": "hello"}, tmp_path / "runs"
    done = {"type": "done", "result": {"model": "model.onnx"}}
    record(runs / "done", hello, done)
    record(runs / "stopped", hello, {"type": "epoch"})
    record(runs / "cancelled", hello, {"type": "done", "result": {"cancelled": True}})
    record(runs / "failed", hello, done, hello, {"type": "failed", "code": "disk_full"})
    record(runs / "running", hello)
    (runs / "running" / "engine.pid").write_text("not a number", encoding="utf-8")
    (runs / "stopped" / "checkpoint.pt").touch()
    (runs / "done" / "model.onnx").touch()
    workspace = Workspace(tmp_path)
    states = {entry.title: entry.state for entry in workspace.runs()}
    assert states.pop("running") == "stopped", "a pid file without a process is no running engine"
    assert states == {name: name for name in ("done", "stopped", "cancelled", "failed")}
    assert [entry.title for entry in workspace.runs() if entry.resumable] == ["stopped"]
    assert [entry.title for entry in workspace.runs() if entry.finished] == ["done"]
    assert last_result(runs / "done") == {"model": "model.onnx"}


def test_newest_first(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number, name in enumerate(("old", "new", "middle")):
        folder = workspace.new_dataset(name)
        (folder / "dataset.json").touch()
        os.utime(folder / "dataset.json", (0, (0, 2, 1)[number]))
    assert [entry.title for entry in workspace.datasets()] == ["new", "middle", "old"]
    assert all(entry.finished and entry.state == "done" for entry in workspace.datasets())


def test_a_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [item.code for item in Workspace(tmp_path / "file" / "w").problems()] == ["not_writable"]
    assert [item for item in Workspace(tmp_path / "w").problems() if item.severity == "error"] == []


def added(*additions: Addition, settings: dict[str, dict[str, object]] | None = None) -> Composition:
    rasters = [
        dataclasses.replace(OPTICAL, ticked=(1,), layer_id="optical"),
        dataclasses.replace(DEM, ticked=(), terrain=(), layer_id="dem"),
    ]
    return compose(rasters, additions, settings)


def test_expressions_name_ticked_bands_and_bring_the_others_along() -> None:
    inputs = (Input("a", "optical", 1), Input("b", "optical", 3), Input("c", name="X"))
    made = added(index_addition("X", "a / b", inputs[:2]), index_addition("Y", "a + c", inputs[::2]))
    assert [band.name for band in made.bands] == ["Optical: red", "X", "Y"]
    assert made.bands[1].inputs == {"a": "Optical: red", "b": "Optical: nir"}
    assert made.bands[2].inputs == {"a": "Optical: red", "c": "X"}
    assert [band.name for band in made.intermediates] == ["Optical: nir"]
    assert StackJob(made.sources, made.bands, intermediates=made.intermediates).problems() == []


def test_added_bands_bring_their_sources() -> None:
    relief = Addition(
        "TPI", (Band("TPI 500 m", derive="tpi", parameters={"radius_m": 500.0}),), layer_id="dem"
    )
    roads = Addition(
        "Roads", (Band("Distance to roads", derive="distance"),), "vector", "roads", "/r.gpkg", layer="l"
    )
    dates = Addition(
        "NDVI", (Band("NDVI median", derive="median"),), "series", path="/n.nc", series=Series(("NDVI",))
    )
    made = added(relief, roads, dates)
    assert [(item.key, item.kind, item.path) for item in made.sources] == [
        ("r1", "raster", "/a/optical.tif"),
        ("r2", "raster", "/a/dem.tif"),
        ("a3", "vector", "/r.gpkg"),
        ("a4", "series", "/n.nc"),
    ]
    assert [band.source for band in made.bands] == ["r1", "r2", "a3", "a4"]
    assert made.sources[3].series == Series(("NDVI",))
    assert additions_from_json(additions_to_json([relief, roads, dates])) == (relief, roads, dates)
    assert additions_from_json([{"of": "another version"}]) == ()


def test_settings_of_a_band_go_into_the_job() -> None:
    made = added(
        settings={"Optical: red": {"fill": "median", "clip_percent": [2, 98]}, "gone": {"fill": "0"}}
    )
    assert (made.bands[0].fill, made.bands[0].clip_percent) == ("median", (2.0, 98.0))
    assert made.source_name(made.bands[0]) == "Optical"


def test_the_unit_of_heights_is_that_of_the_raster_they_are_taken_from() -> None:
    made = compose(
        [OPTICAL, DEM], settings={"DEM: slope": {"height_unit": "foot"}, "Optical: red": {"fill": "0"}}
    )
    assert [source.height_unit for source in made.sources] == ["", "foot"]
    stated = dataclasses.replace(DEM, height_unit="US survey foot")
    assert compose([stated]).sources[0].height_unit == "US survey foot"


def test_several_files_make_one_source() -> None:
    mosaic = dataclasses.replace(OPTICAL, more_paths=("/a/east.tif",))
    assert compose([mosaic]).sources[0].paths == ("/a/east.tif",)
