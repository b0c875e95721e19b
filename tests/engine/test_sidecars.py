"""What lies beside a file goes where it goes; what a text holds can be written everywhere."""

import json
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from data_scenes import UTM, hills, pixel_box, utm_grid, write_polygons, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    Band,
    GeoSegError,
    LabelClass,
    Labels,
    Problem,
    Recipe,
    Source,
    decode,
    encode,
    read_json,
    write_json,
)
from geoseg_engine.contract.sidecars import SIDECARS
from geoseg_engine.contract.text import json_text, plain_text
from geoseg_engine.outputs import whole_file
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.writer import RasterWriter, read_classes
from geoseg_engine.report.bar_charts import area_chart
from geoseg_engine.stacking.recipes import recipe_of_raster
from geoseg_engine.vector.geopackage import write_layer
from geoseg_engine.vector.polygons import read_labels

NASTY = (
    "a\x00b\x01<&>\"'😀",
    "one\r\ntwo\tthree\x0bfour",
    "half \ud83d",
    "\ufffe\x7f\x9b]]>",
    "sep\u2028end",
)
PLAIN = ("ab<&>\"'😀", "one two three four", "half \ufffd", "]]>", "sep end")


def test_sidecars_come_along_and_those_of_an_older_file_go(tmp_path):
    path = tmp_path / "a.gpkg"
    for ending in ("", *SIDECARS):
        (tmp_path / f"a.gpkg{ending}").write_text("old", encoding="utf-8")
        (tmp_path / f"a.part.gpkg{ending}").write_text("of a try that broke off", encoding="utf-8")
    with whole_file(path) as partial:
        assert [item.name for item in tmp_path.iterdir() if ".part" in item.name] == []
        partial.write_text("new", encoding="utf-8")
        partial.with_name(partial.name + ".aux.xml").write_text("new", encoding="utf-8")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.gpkg", "a.gpkg.aux.xml"]
    assert all(item.read_text(encoding="utf-8") == "new" for item in tmp_path.iterdir())


def test_nothing_is_left_of_a_file_that_failed_and_the_older_one_stays(tmp_path):
    (tmp_path / "a.gpkg").write_text("old", encoding="utf-8")
    (tmp_path / "a.gpkg-wal").write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.gpkg") as partial:
        partial.with_name(partial.name + "-wal").write_text("new", encoding="utf-8")
        raise RuntimeError
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.gpkg", "a.gpkg-wal"]


def test_a_raster_inside_a_file_being_made_keeps_its_names(tmp_path):
    classes = (LabelClass(0, "train", "", "#377eb8"), LabelClass(1, "test", "", "#e41a1c"))
    grid = utm_grid(16, 16)
    with (
        whole_file(tmp_path / "split.tif") as partial,
        RasterWriter(partial, grid, "uint8", 255, ("split",), classes) as writer,
    ):
        writer.write(np.zeros((16, 16), np.uint8), full_window(grid))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["split.tif", "split.tif.aux.xml"]


@pytest.mark.parametrize(("nasty", "plain"), list(zip(NASTY, PLAIN, strict=True)))
def test_names_are_plain_text_wherever_they_are_made(nasty, plain):
    assert plain_text(nasty) == plain and plain_text(plain) == plain
    assert (
        LabelClass(0, nasty).name
        == Labels("l.gpkg", name=nasty).name
        == Source("s", "p", nasty).name
        == plain
    )
    band = Band(nasty, "s", derive="expression", inputs={"x": nasty}, described=nasty)
    assert (band.name, band.inputs["x"], band.described) == (plain, plain, plain)
    assert decode(Band, json.loads(json.dumps(encode(band)))) == band
    assert plain_text("Wald – Überblick  😀") == "Wald – Überblick  😀"


def test_every_writer_takes_every_name(tmp_path):
    classes = tuple(LabelClass(number, name, name) for number, name in enumerate(NASTY))
    grid = utm_grid(16, 16)
    with RasterWriter(tmp_path / "c.tif", grid, "uint8", 255, (PLAIN[0],), classes) as writer:
        writer.write(np.zeros((16, 16), np.uint8), full_window(grid))
    table = ElementTree.parse(tmp_path / "c.tif.aux.xml")
    assert [item.text for item in table.iter("Category")] == list(PLAIN)
    with rasterio.open(tmp_path / "c.tif") as dataset:
        assert tuple(item.name for item in read_classes(dataset)) == PLAIN and dataset.descriptions == (
            PLAIN[0],
        )
    rows = [{"name": item.name, "color": item.color, "area_m2": 100.0, "pixels": 1} for item in classes]
    assert PLAIN[0] in "".join(ElementTree.fromstring(area_chart(rows, 0.95)).itertext())
    frame = geopandas.GeoDataFrame(
        {"class_name": [item.name for item in classes]}, geometry=[shapely.box(0, 0, 1, 1)] * 5, crs=UTM
    )
    write_layer(frame, tmp_path / "p.gpkg", "polygons")
    assert geopandas.read_file(tmp_path / "p.gpkg")["class_name"].tolist() == list(PLAIN)
    recipe = Recipe((Source("s", "p.tif", NASTY[2]),), tuple(Band(name, "s") for name in NASTY), grid)
    write_json(tmp_path / "r.json", recipe)
    assert read_json(Recipe, tmp_path / "r.json") == recipe


def test_classes_named_by_such_values_keep_them_as_values(tmp_path):
    boxes = [pixel_box(0, 3 * number, 2, 2) for number in range(2)]
    drawn = write_polygons(tmp_path / "p.gpkg", boxes, kind=["wo\x0bod", "lake\x01"])
    found = read_labels(Labels(str(drawn), class_field="kind", unlabelled="unknown"), UTM)
    assert [(item.name, item.value) for item in found.classes] == [
        ("lake", "lake\x01"),
        ("wo od", "wo\x0bod"),
    ]
    assert found.ids.tolist() == [1, 0]


def test_an_event_is_one_line_whatever_it_says(tmp_path):
    channel = Channel(tmp_path)
    channel.log(" ".join(NASTY), "warning")
    channel.fail(GeoSegError("x", NASTY[4], NASTY[2]))
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["log", "failed"]
    assert json.loads(lines[1])["message"] == NASTY[4] and json_text(["Überblick"]) == '["Überblick"]'


def test_band_names_of_a_file_are_plain(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(8, 8))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("red\n<&>",)
    assert recipe_of_raster(path).bands[0].name == "red <&>"


def test_a_problem_carries_the_layers_that_it_is_about():
    problem = Problem("tiles_of_one", "m", "h", details=("left", "right"))
    assert decode(Problem, json.loads(json.dumps(encode(problem)))) == problem
    assert decode(Problem, {"code": "a", "message": "m"}).details == ()
