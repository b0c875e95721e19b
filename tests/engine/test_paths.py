"""No character of a folder's or file's name is taken for syntax: what is read and written is what was named."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import geopandas
import pytest
import shapely
from data_scenes import UTM, channel, hills, pixel_box, sources_of, write_polygons, write_raster

from geoseg_engine.cli_flags import absolute, value_of
from geoseg_engine.cli_flags import sources_of as sources_in
from geoseg_engine.contract import (
    Area,
    Band,
    EvaluateJob,
    GeoSegError,
    Labels,
    PolygonizeJob,
    RasterizeJob,
    SampleJob,
    Series,
    Source,
    StackJob,
    TileJob,
)
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.labels import rasterize
from geoseg_engine.evaluation import evaluate, sampling
from geoseg_engine.postprocess.polygons import polygonize
from geoseg_engine.stacking import stack
from geoseg_engine.vector.files import layer_names
from geoseg_engine.vector.geopackage import write_layer
from geoseg_engine.vector.polygons import read_labels

NAMES = [
    "hey!", "zip!in", "a;b", "a!b;c", "a#1", "100% sure", "%20", "amp&", "it's", "a,b", "band[1]", "{x}", "~t", "$HOME",
    "a=b", " lead", "-dash", "+plus", "(1)", "^c", "`b`", "@at", "a.zip", "a.gdb", "vsizip", "ü", "u\u0308", "影像",
]  # fmt: skip
NOT_ON_WINDOWS = [
    "what?", "pipe|x", "a|layername=b", "*star", "<b>", 'say "x"', "colon:x", "back\\slash", "new\nline", "tab\t",
    "trail.", "trail ",
]  # fmt: skip
if sys.platform != "win32":
    NAMES += NOT_ON_WINDOWS


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Polygons a and b under a plain name."""
    return write_polygons(
        tmp_path / "l.gpkg", [pixel_box(5, 5, 20, 20), pixel_box(30, 30, 20, 20)], kind=["a", "b"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_polygons_are_read_and_written_under_any_name(plain, name):
    folder = plain.parent / name
    folder.mkdir()
    path = folder / f"{name}.gpkg"
    shutil.copy(plain, path)
    before = set(Path("/").iterdir())
    assert len(read_labels(Labels(str(path), class_field="kind"), UTM).geometries) == 2
    made = folder / f"made {name}.gpkg"
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2)], crs=UTM)
    write_layer(frame, made, "points")
    write_layer(frame, made, "points", append=True)
    assert layer_names(str(made), "made") == ("points",)
    assert sorted(item.name for item in folder.iterdir()) == sorted([path.name, made.name])
    assert set(Path("/").iterdir()) == before


@pytest.mark.parametrize("name", ["a!b;c", "100% [1]#"])
def test_jobs_leave_their_results_where_they_were_asked_for(plain, name):
    folder = plain.parent / name
    folder.mkdir()
    shutil.copy(plain, folder / "l.gpkg")
    sources = sources_of(write_raster(folder / "a.tif", hills(64, 64)))
    labels = Labels(str(folder / "l.gpkg"), class_field="kind")
    before = set(os.listdir("/"))  # noqa: PTH208
    jobs = (
        (stack, StackJob(sources, (Band("a", "r1"),), output=str(folder / "stack.tif"))),
        (
            rasterize,
            RasterizeJob(str(folder / "stack.tif"), labels, area=Area(), output=str(folder / "labels.tif")),
        ),
        (
            tiles,
            TileJob(
                str(folder / "stack.tif"),
                str(folder / "labels.tif"),
                output=str(folder / "dataset"),
                tile_px=16,
                buffer_px=0,
                block_px=16,
            ),
        ),
        (polygonize, PolygonizeJob(str(folder / "labels.tif"), output=str(folder / "polygons.gpkg"))),
        (sampling, SampleJob(str(folder / "labels.tif"), output=str(folder / "sample.gpkg"), count=30)),
        (
            evaluate,
            EvaluateJob(prediction=str(folder / "polygons.gpkg"), truth=labels, output=str(folder / "e")),
        ),
    )
    for worker, job in jobs:
        result = worker.run(job, folder, channel(folder))
    assert result["accuracy"] == 1
    assert not [item for item in folder.rglob("*") if ".part" in item.name]
    assert set(os.listdir("/")) == before  # noqa: PTH208


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_series_in_a_file_whose_name_has_a_quotation_mark_is_refused_truly(tmp_path):
    path = tmp_path / 'say "x".nc'
    path.write_bytes(b"CDF")
    source = Source("s", str(path), "s", kind="series", series=Series(("v",)))
    with pytest.raises(GeoSegError) as caught:
        stack.run(
            StackJob((source,), (Band("m", "s", derive="mean"),), output="s.tif"), tmp_path, channel(tmp_path)
        )
    assert caught.value.code == "cannot_open" and "quotation mark" in caught.value.message


def test_a_file_that_begins_like_json_is_a_file_in_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("[1].tif", "{a}.tif", "@a.tif"):
        (tmp_path / name).touch()
        assert [item["path"] for item in sources_in("sources", [name], "s")] == [str(tmp_path / name)]
        assert value_of("labels", Labels, [name])["path"] == str(tmp_path / name)
    assert value_of("labels", Labels, ['{"path": "l.gpkg"}']) == {"path": "l.gpkg"}


def test_a_source_of_qgis_is_made_absolute_with_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.gpkg").touch()
    assert absolute("l.gpkg|layername=b") == f"{tmp_path / 'l.gpkg'}|layername=b"
    assert absolute("none.gpkg|layername=b") == "none.gpkg|layername=b"
