"""Areas of a map's classes, counted and adjusted by a sample."""

import csv
import json
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import rasterio.shutil
import shapely
from prediction_scenes import CLASSES, grid_of, write_map, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import AreasJob, GeoSegError, LabelClass
from geoseg_engine.evaluation import areas, classmap
from geoseg_engine.evaluation.estimation import estimates, half_widths
from geoseg_engine.raster.geodesy import pixel_areas_m2
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.writer import RasterWriter
from geoseg_engine.report.bar_charts import area_chart, nice_step
from geoseg_engine.report.html import unit_of

ROWS, COLS = 60, 80
GRID = grid_of(ROWS, COLS)


def write_points(path, rows, cols, grid=GRID, crs=None, **fields):
    size, left, top = grid.transform[0], grid.transform[2], grid.transform[5]
    points = shapely.points(left + (np.asarray(cols) + 0.5) * size, top - (np.asarray(rows) + 0.5) * size)
    frame = geopandas.GeoDataFrame(fields, geometry=points, crs=grid.crs)
    (frame.to_crs(crs) if crs else frame).to_file(path, layer="sample")
    return path


def run(folder, **fields):
    return areas.run(AreasJob("map.tif", **fields), folder, Channel(folder))


@pytest.fixture
def ids(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (ROWS, COLS)).astype(np.uint8)
    ids[:5] = 255
    write_map(tmp_path / "map.tif", ids)
    return ids


def test_the_worked_example_of_the_paper():
    """Table 8 of Olofsson et al. 2014 and the figures on its page 54."""
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    found = estimates(counts, pixels / pixels.sum())
    hectares = pixels.sum() * 0.09
    assert np.rint(found.shares * hectares).tolist() == [21158, 11686, 285770, 581386]
    assert np.rint(found.shares_error * 1.96 * hectares).tolist() == [6158, 3756, 15510, 16282]
    assert found.users.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert (found.users_error * 1.96).round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert found.producers.round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert round(found.overall, 2) == 0.95 and round(found.overall_error * 1.96, 2) == 0.02
    assert found.cells.sum() == pytest.approx(1)


def test_the_worked_example_of_the_paper_before_it():
    """Example 1 of Olofsson et al. 2013, Remote Sensing of Environment 129: 122-131."""
    counts = np.array([[97, 0, 3], [3, 279, 18], [2, 1, 97]])
    pixels = np.array([22_353, 1_122_543, 610_228])
    found = estimates(counts, pixels / pixels.sum())
    assert found.shares[0] * pixels.sum() == pytest.approx(45_112, abs=1)
    assert found.shares_error[0] * pixels.sum() == pytest.approx(10_751, abs=1)
    assert found.users.round(2).tolist() == [0.97, 0.93, 0.97]
    assert found.producers.round(2).tolist() == [0.48, 0.99, 0.90]
    assert round(found.overall, 3) == 0.944 and round(found.overall_error, 4) == 0.0112


def paper_sample(folder, other=0):
    """A map whose classes cover as much as in table 8, and its points; some are truly of a class that it lacks."""
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    ids = np.repeat(np.arange(4, dtype=np.uint8), [20, 15, 320, 645]).reshape(25, 40)
    classes = [LabelClass(number, name, "", "#ff0000") for number, name in enumerate(PAPER)]
    with RasterWriter(folder / "map.tif", grid_of(25, 40), "uint8", 255, ("class",), classes) as writer:
        writer.write(ids, Window(0, 0, 25, 40))
    drawn, truth = (axis.ravel() for axis in np.indices(counts.shape))
    drawn, truth = np.repeat(drawn, counts.ravel()), np.repeat(truth, counts.ravel())
    names = np.array(PAPER, object)[truth]
    names[np.flatnonzero((drawn == 3) & (truth == 3))[:other]] = "Quarry "
    first = np.array([np.argwhere(ids == number)[0] for number in range(4)])
    rows, cols = first[drawn].T
    write_points(folder / "s.gpkg", rows, cols, grid_of(25, 40), class_id=drawn, reference=names)
    return drawn


PAPER = ("Deforestation", "Forest gain", "Stable forest", "Stable non-forest")


def test_a_true_class_that_the_map_lacks_is_an_error_with_an_area_of_its_own(tmp_path):
    paper_sample(tmp_path)
    assert run(tmp_path, sample="s.gpkg", output="all")["overall"]["accuracy"] == pytest.approx(
        0.9465, abs=2e-4
    )
    drawn = paper_sample(tmp_path, other=11)
    result = run(tmp_path, sample="s.gpkg", output="other")
    assert result["sample"] == {"points": len(drawn), "used": len(drawn), "left_out": 0}
    weight = 0.645 / 325
    assert result["overall"]["accuracy"] == pytest.approx(0.9465 - 11 * weight, abs=2e-4)
    *known, quarry = result["rows"]
    assert [row["name"] for row in known] == list(PAPER)
    assert (quarry["name"], quarry["id"], quarry["pixels"], quarry["area_m2"]) == ("Quarry", None, 0, 0.0)
    assert quarry["adjusted_m2"] == pytest.approx(11 * weight * result["total_m2"], rel=1e-3)
    spread = 0.645 * np.sqrt(11 / 325 * 314 / 325 / 324) * half_widths(0.95) * result["total_m2"]
    assert quarry["high_m2"] - quarry["adjusted_m2"] == pytest.approx(spread, rel=1e-3)
    assert quarry["users"] is None and quarry["producers"] == 0.0
    assert sum(row["adjusted_m2"] for row in result["rows"]) == pytest.approx(result["total_m2"])
    (said,) = [item["message"] for item in result["warnings"] if item["code"] == "unmapped_classes"]
    assert "'Quarry' (11)" in said
    held = json.loads((tmp_path / "other" / "areas.json").read_text(encoding="utf-8"))
    assert held["matrix_classes"] == [*PAPER, "Quarry"]
    assert held["matrix_points"][3] == [2, 1, 9, 302, 11] and held["matrix_points"][4] == [0] * 5
    table = list(csv.DictReader((tmp_path / "other" / "areas.csv").open(encoding="utf-8")))
    assert table[4]["name"] == "Quarry" and table[4]["id"] == ""
    assert "Quarry" in (tmp_path / "other" / "areas.svg").read_text(encoding="utf-8")


def test_a_field_of_remarks_is_no_field_of_classes(tmp_path, ids):
    rows, cols = np.repeat([10, 20, 30, 40], 10), np.tile(np.arange(10) * 7, 4)
    write_points(tmp_path / "s.gpkg", rows, cols, reference=["water", *(f"remark {n}" for n in range(39))])
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, sample="s.gpkg")
    assert caught.value.code == "unknown_reference" and "water" in caught.value.hint


def test_points_drawn_in_a_class_that_the_map_no_longer_has_are_said(tmp_path, ids):
    rows, cols = np.repeat([10, 20, 30], 10), np.tile(np.arange(10) * 4, 3)
    drawn = ids[rows, cols].astype(int)
    truth = np.array(["background", "water", "rock"])[drawn]
    drawn[:5] = 9
    write_points(tmp_path / "s.gpkg", rows, cols, class_id=drawn, reference=truth)
    result = run(tmp_path, sample="s.gpkg")
    (said,) = [item["message"] for item in result["warnings"] if item["code"] == "other_map"]
    assert said.startswith("5 points")


def test_estimates_are_unbiased_and_intervals_hold_as_often_as_they_say():
    random = np.random.default_rng(1)
    joint = np.array([[0.05, 0.01, 0.00], [0.02, 0.22, 0.03], [0.01, 0.05, 0.61]])  # map, truth
    weights, truth = joint.sum(axis=1), joint.sum(axis=0)
    draws, z = 2000, half_widths(0.95)
    shares, held, right = np.zeros(3), np.zeros(3), 0
    for _ in range(draws):
        counts = np.stack([random.multinomial(400, row / row.sum()) for row in joint])
        found = estimates(counts, weights)
        shares += found.shares / draws
        held += (np.abs(found.shares - truth) <= z * found.shares_error) / draws
        right += abs(found.overall - np.trace(joint)) <= z * found.overall_error
    assert shares == pytest.approx(truth, abs=0.001)
    assert held == pytest.approx(0.95, abs=0.025) and right / draws == pytest.approx(0.95, abs=0.025)


def test_standard_errors_of_producers_accuracy_agree_with_repeated_draws():
    random = np.random.default_rng(2)
    joint = np.array([[0.15, 0.05], [0.08, 0.72]])
    weights = joint.sum(axis=1)
    drawn = [
        estimates(np.stack([random.multinomial(200, row / row.sum()) for row in joint]), weights)
        for _ in range(2000)
    ]
    spread = np.std([item.producers for item in drawn], axis=0)
    assert np.mean([item.producers_error for item in drawn], axis=0) == pytest.approx(spread, rel=0.06)


def test_counts_every_pixel_once_and_measures_it_on_the_ellipsoid(tmp_path, ids, monkeypatch):
    whole = run(tmp_path, output="whole")
    monkeypatch.setattr(classmap, "STRIP_PX", 7 * COLS)
    result = run(tmp_path)
    assert [row["pixels"] for row in result["rows"]] == [int((ids == k).sum()) for k in range(3)]
    rows, cols = np.mgrid[:ROWS, :COLS]
    pixel = pixel_areas_m2(GRID, rows.ravel(), cols.ravel()).reshape(rows.shape)
    for row, same in zip(result["rows"], whole["rows"], strict=True):
        assert row["area_m2"] == pytest.approx(pixel[ids == row["id"]].sum(), rel=1e-6)
        assert row["area_m2"] == pytest.approx(same["area_m2"], rel=1e-9)
        assert "adjusted_m2" not in row
    assert result["overall"] is None and result["sample"] is None and result["warnings"] == []
    assert sum(row["share"] for row in result["rows"]) == pytest.approx(1)


def test_files_say_what_the_result_says(tmp_path, ids):
    random = np.random.default_rng(4)
    rows, cols = random.integers(5, ROWS, 90), random.integers(0, COLS, 90)
    names = np.array(["background", "water", "rock"])[ids[rows, cols]]
    names[:9] = "rock"
    write_points(tmp_path / "s.gpkg", rows, cols, reference=names)
    result = run(tmp_path, sample="s.gpkg", output="out")
    table = list(csv.DictReader((tmp_path / "out" / "areas.csv").open(encoding="utf-8")))
    assert [row["name"] for row in table] == ["background", "water", "rock"]
    assert [float(row["adjusted_m2"]) for row in table] == [row["adjusted_m2"] for row in result["rows"]]
    said = json.loads((tmp_path / "out" / "areas.json").read_text(encoding="utf-8"))
    assert said["rows"] == result["rows"] and np.sum(said["matrix_points"]) == 90
    root = ElementTree.parse(tmp_path / "out" / "areas.svg").getroot()
    assert len(root.findall(".//{*}circle")) == 3
    assert result["overall"]["low"] < result["overall"]["accuracy"] < result["overall"]["high"]
    assert sum(row["adjusted_m2"] for row in result["rows"]) == pytest.approx(result["total_m2"])
    for row in result["rows"]:
        assert row["low_m2"] <= row["adjusted_m2"] <= row["high_m2"]
        assert row["users_low"] <= row["users"] <= row["users_high"] <= 1
        assert row["producers_low"] <= row["producers"] <= row["producers_high"] <= 1


def test_points_in_another_crs_by_name_or_id_and_with_gaps(tmp_path, ids):
    rows, cols = np.repeat([10, 20, 30, 40], 10), np.tile(np.arange(10) * 7, 4)
    truth = ids[rows, cols]
    texts = [str(value) if place % 2 else CLASSES[value].name.upper() for place, value in enumerate(truth)]
    texts[3], texts[5] = None, " "
    write_points(tmp_path / "s.gpkg", rows, cols, crs="EPSG:4326", truth=texts)
    result = run(tmp_path, sample="s.gpkg", reference_field="truth")
    assert result["sample"] == {"points": 40, "used": 38, "left_out": 2}
    assert result["overall"]["accuracy"] == 1.0
    assert [item["code"] for item in result["warnings"]] == ["unanswered_points"]


def test_a_point_keeps_the_class_it_was_drawn_in_and_a_changed_map_is_said(tmp_path, ids):
    rows, cols = np.repeat([10, 20, 30], 20), np.tile(np.arange(20) * 4, 3)
    drawn = ids[rows, cols].astype(int)
    on_map = drawn.copy()
    on_map[:4] = (on_map[:4] + 1) % 3
    fields = {"class_id": on_map, "reference": np.array(["background", "water", "rock"])[drawn]}
    write_points(tmp_path / "s.gpkg", rows, cols, **fields)
    result = run(tmp_path, sample="s.gpkg")
    assert result["overall"]["accuracy"] < 1
    assert [item["code"] for item in result["warnings"]] == ["other_map"]


def test_points_off_the_map_are_left_out_and_said(tmp_path, ids):
    rows = np.array([0, *range(10, 22), -40])
    cols = np.arange(14) * 3
    write_points(tmp_path / "s.gpkg", rows, cols, reference=["water"] * 14)
    result = run(tmp_path, sample="s.gpkg")
    assert result["sample"]["left_out"] == 2
    assert "points_outside" in {item["code"] for item in result["warnings"]}


def test_a_class_without_points_is_left_out_of_the_estimates_and_one_point_is_as_unsure_as_can_be(
    tmp_path, ids
):
    places = [np.argwhere(ids == 0)[:30], np.argwhere(ids == 1)[:1]]
    rows, cols = np.concatenate(places).T
    names = ["background"] * 25 + ["water"] * 6
    write_points(tmp_path / "s.gpkg", rows, cols, reference=names)
    result = run(tmp_path, sample="s.gpkg")
    thin = [item["message"] for item in result["warnings"] if item["code"] == "thin_class"]
    assert len(thin) == 2 and "'water'" in thin[0] and "km²" in thin[1]
    background, water, rock = result["rows"]
    assert rock["users"] is None and rock["adjusted_m2"] == 0
    total = background["area_m2"] + water["area_m2"]
    assert background["adjusted_m2"] + water["adjusted_m2"] == pytest.approx(total, abs=0.1)
    assert water["high_m2"] - water["low_m2"] > 0.5 * total


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reference": ["forest"] * 3}, "unknown_reference"),
        ({"reference": [None, "", " "]}, "no_reference"),
        ({"other": [1, 2, 3]}, "no_field"),
    ],
)
def test_samples_that_cannot_be_used_say_why(tmp_path, ids, fields, code):
    write_points(tmp_path / "s.gpkg", [10, 11, 12], [3, 4, 5], **fields)
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, sample="s.gpkg")
    assert caught.value.code == code and caught.value.hint
    assert not list(tmp_path.glob("areas.*"))


@pytest.mark.parametrize(
    ("rows", "reference", "told"),
    [
        (
            [10, 11, 12],
            [None, "", " "],
            "None of the 3 points of layer 'Reference sample 2' has a reference class yet",
        ),
        ([9000], ["water"], "1 point of layer 'Reference sample 2' has a reference class, but no such point"),
        (
            [9000, 10],
            ["water", None],
            "1 point of layer 'Reference sample 2' has a reference class, but no such point",
        ),
    ],
)
def test_a_sample_without_answers_is_told_by_the_name_that_the_user_saw(tmp_path, ids, rows, reference, told):
    write_points(tmp_path / "s.gpkg", rows, [3] * len(rows), reference=reference)
    with pytest.raises(GeoSegError, match=told):
        run(tmp_path, sample="s.gpkg", sample_name="Reference sample 2")


def test_polygons_are_no_sample(tmp_path, ids):
    boxes = [shapely.box(500_000, 4_999_900, 500_100, 5_000_000)]
    geopandas.GeoDataFrame({"reference": ["water"]}, geometry=boxes, crs=GRID.crs).to_file(
        tmp_path / "s.gpkg"
    )
    with pytest.raises(GeoSegError, match="than points"):
        run(tmp_path, sample="s.gpkg")


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_a_foreign_raster_has_a_class_for_every_value(tmp_path, dtype):
    values = np.array([[10, 10, 20], [20, 20, 0]], dtype)
    write_raster(tmp_path / "map.tif", values, grid_of(2, 3), nodata=0)
    result = run(tmp_path)
    assert [(row["id"], row["name"], row["pixels"]) for row in result["rows"]] == [
        (10, "10", 2),
        (20, "20", 3),
    ]


@pytest.mark.parametrize("nodata", ["255", "-9999", "nan"])
def test_a_byte_raster_with_any_nodata(tmp_path, nodata):
    write_raster(tmp_path / "a.tif", np.array([[1, 1, 2], [2, 2, 255]], np.uint8), grid_of(2, 3), 255)
    rasterio.shutil.copy(tmp_path / "a.tif", tmp_path / "a.vrt", driver="VRT")
    text = (
        (tmp_path / "a.vrt").read_text(encoding="utf-8").replace("NoDataValue>255<", f"NoDataValue>{nodata}<")
    )
    (tmp_path / "a.vrt").write_text(text, encoding="utf-8")
    result = areas.run(AreasJob("a.vrt"), tmp_path, Channel(tmp_path))
    pixels = {row["id"]: row["pixels"] for row in result["rows"]}
    assert pixels == ({1: 2, 2: 3} if nodata == "255" else {1: 2, 2: 3, 255: 1})


def test_points_of_multipoint_layers_and_several_places_in_one(tmp_path, ids):
    rows, cols = np.full(12, 20), np.arange(12) * 5
    write_points(tmp_path / "s.gpkg", rows, cols, reference=["water"] * 12)
    frame = geopandas.read_file(tmp_path / "s.gpkg")
    frame.geometry = [shapely.MultiPoint([point]) for point in frame.geometry]
    frame.to_file(tmp_path / "multi.gpkg")
    assert run(tmp_path, sample="multi.gpkg")["sample"]["used"] == 12
    frame.dissolve().to_file(tmp_path / "several.gpkg")
    with pytest.raises(GeoSegError, match="than points"):
        run(tmp_path, sample="several.gpkg")


def test_what_is_no_map_of_classes_is_refused(tmp_path):
    write_raster(tmp_path / "map.tif", np.full((4, 4), 0.5, np.float32), grid_of(4, 4))
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path)
    assert caught.value.code == "not_classes"
    write_map(tmp_path / "map.tif", np.full((4, 4), 7, np.uint8), grid_of(4, 4))
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path)
    assert caught.value.code == "unknown_class"
    write_map(tmp_path / "map.tif", np.full((4, 4), 255, np.uint8), grid_of(4, 4))
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path)
    assert caught.value.code == "empty_map"


@pytest.mark.parametrize("maximum", [0.003, 0.9, 1, 3.7, 12, 99, 5_000_000])
def test_axis_has_a_few_round_numbers(maximum):
    step = nice_step(maximum)
    assert 1.9 < maximum / step <= 6.01


def test_chart_of_areas_of_every_size():
    row = {"id": 0, "name": "a <b>", "color": "#123456", "pixels": 1, "share": 1.0}
    for area, unit in ((0.0, "m²"), (50.0, "m²"), (20_000.0, "ha"), (7e9, "km²")):
        assert unit_of(area)[0] == unit
        ElementTree.fromstring(area_chart([{**row, "area_m2": area}], 0.95))
