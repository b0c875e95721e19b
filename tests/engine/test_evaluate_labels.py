"""A map of any kind against labels of any kind."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from prediction_scenes import (
    CLASSES,
    grid_of,
    recipe_of,
    scene,
    write_dataset,
    write_map,
    write_model,
    write_raster,
)

from geoseg_engine import cli
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    Area,
    Dataset,
    EvaluateJob,
    GeoSegError,
    LabelClass,
    Labels,
    read_json,
    write_json,
)
from geoseg_engine.evaluation import evaluate, map_source, reference_labels
from geoseg_engine.raster.geodesy import row_areas_m2
from geoseg_engine.scores.metrics import confusion

ROWS, COLS = 90, 120
GRID = grid_of(ROWS, COLS)
SIZE, LEFT, TOP = GRID.transform[0], GRID.transform[2], GRID.transform[5]
BOXES = [(5, 5, 30, 40, "water"), (40, 20, 80, 50, "rock"), (10, 70, 60, 115, "water")]


def ground(row, col, end_row, end_col):
    return shapely.box(LEFT + col * SIZE, TOP - end_row * SIZE, LEFT + end_col * SIZE, TOP - row * SIZE)


def truth_ids(fill=0):
    ids = np.full((ROWS, COLS), fill, np.uint8)
    for row, col, end_row, end_col, name in BOXES:
        ids[row:end_row, col:end_col] = {"water": 1, "rock": 2}[name]
    return ids


def map_ids(seed=0):
    ids = truth_ids()
    ids = np.roll(ids, (3, -4), (0, 1))
    ids[np.random.default_rng(seed).random(ids.shape) < 0.05] = 2
    ids[-4:] = 255
    return ids


def write_polygons(path, names=None, crs=None, boxes=BOXES, field="kind"):
    names = names or [box[4] for box in boxes]
    frame = geopandas.GeoDataFrame({field: names}, geometry=[ground(*box[:4]) for box in boxes], crs=GRID.crs)
    (frame.to_crs(crs) if crs else frame).to_file(path)
    return path


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.transform


def run(folder, **fields):
    return evaluate.run(EvaluateJob(**fields), folder, Channel(folder))


@pytest.fixture
def place(tmp_path):
    write_map(tmp_path / "map.tif", map_ids())
    write_polygons(tmp_path / "truth.gpkg")
    return tmp_path


TRUTH = Labels("truth.gpkg", class_field="kind", unlabelled="background")


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_a_raster_against_polygons(place, crs):
    write_polygons(place / "truth.gpkg", crs=crs)
    result = run(place, prediction="map.tif", truth=TRUTH, output="out")
    names = [item.name for item in result["classes"]]
    assert names[0] == "background" and set(names) == {"background", "water", "rock"}
    order = [names.index(item.name) for item in CLASSES]
    expected = confusion(truth_ids(), map_ids(), 3)
    assert (np.array(result["confusion"])[np.ix_(order, order)] == expected).all()
    kinds, _ = read(place / "out" / "errors.tif")
    judged = map_ids() != 255
    assert ((kinds != 255) == judged).all()
    assert ((kinds == 1) == (judged & (truth_ids() == map_ids()))).all()
    assert result["intervals"]["blocks"] > 1 and result["kappa"] > 0.5
    assert any("no prediction" in item.message for item in result["warnings"])


def test_areas_are_those_of_the_judged_pixels(place):
    result = run(place, prediction="map.tif", truth=TRUTH, output="out")
    areas = row_areas_m2(GRID, 0, ROWS)
    judged = map_ids() != 255
    for row in result["areas"]:
        number = [item.name for item in CLASSES].index(row["name"])
        assert row["true_m2"] == pytest.approx((areas * (judged & (truth_ids() == number))).sum(), rel=1e-6)
        assert row["mapped_m2"] == pytest.approx((areas * (map_ids() == number)).sum(), rel=1e-6)
        assert row["difference"] == pytest.approx(row["mapped_m2"] / row["true_m2"] - 1, abs=1e-5)
    table = list(csv.DictReader((place / "out" / "areas.csv").open(encoding="utf-8")))
    assert [float(row["mapped_m2"]) for row in table] == [row["mapped_m2"] for row in result["areas"]]
    page = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Areas</h2>" in page and "map against truth" in page and "against the labels of" in page
    said = json.loads((place / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert said["areas"] == result["areas"] and said["truth"] == "truth"


def test_windows_do_not_change_the_answer(place, monkeypatch):
    whole = run(place, prediction="map.tif", truth=TRUTH, output="a")
    monkeypatch.setattr(evaluate, "WINDOW_PX", 37)
    parts = run(place, prediction="map.tif", truth=TRUTH, output="b")
    assert whole["confusion"] == parts["confusion"] and whole["intervals"] == parts["intervals"]
    assert (read(place / "a" / "errors.tif")[0] == read(place / "b" / "errors.tif")[0]).all()


def test_only_the_area_is_judged_and_the_errors_have_its_size(place):
    low, high = ground(40, 20, 41, 21).bounds, ground(79, 49, 80, 50).bounds
    area = Area("extent", extent=(low[0], high[1], high[2], low[3]), extent_crs=GRID.crs)
    result = run(place, prediction="map.tif", truth=TRUTH, area=area)
    expected = confusion(truth_ids()[40:80, 20:50], map_ids()[40:80, 20:50], 3)
    assert result["pixels"] == expected.sum() == 40 * 30
    assert result["accuracy"] == pytest.approx(np.trace(expected) / 1200)
    kinds, transform = read(place / "errors.tif")
    assert kinds.shape == (40, 30) and transform.c == LEFT + 20 * SIZE and transform.f == TOP - 40 * SIZE


def test_polygons_that_span_little_of_the_ground_are_said_to_be_perhaps_incomplete(place):
    write_polygons(place / "truth.gpkg", boxes=BOXES[:1])
    by_hull = run(place, prediction="map.tif", truth=TRUTH, area=Area("bounds"), output="hull")
    assert "labels_incomplete" not in {item.code for item in by_hull["warnings"]}
    assert by_hull["pixels"] == 25 * 35
    result = run(place, prediction="map.tif", truth=TRUTH)
    said = next(item for item in result["warnings"] if item.code == "labels_incomplete")
    assert "span 8% of" in said.message


def test_unlabelled_ground_that_is_unknown_is_not_judged(place):
    labels = dataclasses.replace(TRUTH, unlabelled="unknown")
    result = run(place, prediction="map.tif", truth=labels)
    assert result["pixels"] == ((truth_ids(255) != 255) & (map_ids() != 255)).sum()
    assert result["per_class"][0]["name"] == "background" and result["per_class"][0]["support_px"] == 0


def test_no_value_of_a_raster_with_a_background_is_no_background(place):
    ids = truth_ids()
    ids[:, :6] = 255
    write_map(place / "truth.tif", ids)
    judged = (ids != 255) & (map_ids() != 255)
    for classes in ((), tuple(dataclasses.replace(item, value=str(item.id)) for item in CLASSES)):
        result = run(place, prediction="map.tif", truth=Labels("truth.tif", kind="raster", classes=classes))
        assert result["pixels"] == judged.sum()
        assert result["accuracy"] == pytest.approx((ids == map_ids())[judged].mean(), abs=1e-4)


def test_a_raster_against_a_raster_of_other_pixels(place):
    fine = np.kron(truth_ids(), np.ones((2, 2), np.uint8))
    write_map(place / "truth.tif", fine, grid_of(2 * ROWS, 2 * COLS, size=5.0))
    result = run(place, prediction="map.tif", truth=Labels("truth.tif", kind="raster"))
    names = [item.name for item in result["classes"]]
    order = [names.index(item.name) for item in CLASSES]
    found = np.array(result["confusion"])[np.ix_(order, order)]
    assert (found == confusion(truth_ids(), map_ids(), 3)).all()


def test_polygons_against_a_raster(place):
    ids = truth_ids()
    write_map(place / "truth.tif", np.roll(ids, 5, 1))
    write_polygons(place / "polygons.gpkg", field="class_name")
    labels = Labels("truth.tif", kind="raster")
    result = run(place, prediction="polygons.gpkg", truth=labels)
    names = [item.name for item in result["classes"]]
    order = [names.index(item.name) for item in CLASSES]
    expected = confusion(np.roll(ids, 5, 1), ids, 3)
    assert (np.array(result["confusion"])[np.ix_(order, order)] == expected).all()


def test_labels_beyond_a_map_of_polygons_are_told_of(place):
    write_polygons(place / "part.gpkg", boxes=BOXES[:2], crs="EPSG:4326")
    fields = {"prediction": "part.gpkg", "prediction_field": "kind", "pixel_size": 1e-4, "truth": TRUTH}
    told = [item for item in run(place, **fields)["warnings"] if item.code == "beyond_map"]
    assert "52% of the area labelled by 'truth'" in told[0].message and "'part'" in told[0].message
    within = write_polygons(place / "area.gpkg", boxes=[(0, 0, 90, 50, "here")])
    result = run(place, **fields, area=Area("polygons", str(within)), output="within")
    assert not any(item.code == "beyond_map" for item in result["warnings"])


def test_polygons_against_polygons(place, monkeypatch):
    moved = [(row + 2, col, end_row + 2, end_col, name) for row, col, end_row, end_col, name in BOXES]
    write_polygons(place / "moved.gpkg", boxes=moved)
    fields = {"prediction": "moved.gpkg", "prediction_field": "kind", "truth": TRUTH}
    result = run(place, **fields, pixel_size=5.0)
    by_name = {row["name"]: row["iou"] for row in result["per_class"]}
    assert by_name["rock"] == pytest.approx(38 / 42, abs=0.005)
    derived = run(place, **fields, output="derived")
    assert {row["name"]: row["iou"] for row in derived["per_class"]}["rock"] == pytest.approx(
        38 / 42, abs=0.02
    )
    assert any(item.code == "pixel_size" and "of 20 " in item.message for item in derived["warnings"])
    monkeypatch.setattr(reference_labels, "MAX_PIXELS", 500)
    coarse = run(place, **fields, output="coarse")
    assert 300 < coarse["grid"]["width"] * coarse["grid"]["height"] <= 500
    with pytest.raises(GeoSegError) as caught:
        run(place, **fields, pixel_size=0.01)
    assert caught.value.code == "too_many_pixels" and "pixel size" in caught.value.hint


def test_names_are_compared_without_regard_to_case_and_unknown_ones_are_listed(place):
    write_polygons(place / "truth.gpkg", ["Water", "ROCK ", "water"])
    assert run(place, prediction="map.tif", truth=TRUTH)["accuracy"] > 0.7
    write_polygons(place / "truth.gpkg", ["Wasser", "Fels", "Fels"])
    with pytest.raises(GeoSegError) as caught:
        run(place, prediction="map.tif", truth=TRUTH)
    assert caught.value.code == "other_classes"
    assert "Wasser" in caught.value.message and "water" in caught.value.message


def test_a_class_that_only_the_labels_have_counts_as_wrong_and_is_said(place):
    write_polygons(place / "truth.gpkg", ["quarry", "rock", "water"])
    result = run(place, prediction="map.tif", truth=TRUTH)
    known = run(
        place, prediction="map.tif", truth=dataclasses.replace(TRUTH, excluded=("quarry",)), output="k"
    )
    quarry = next(row for row in result["per_class"] if row["name"] == "quarry")
    assert quarry["support_px"] > 0 and quarry["recall"] == 0 and quarry["iou"] == 0
    right = np.trace(np.array(known["confusion"]))
    assert np.trace(np.array(result["confusion"])) == right
    assert result["accuracy"] == pytest.approx(right / (known["pixels"] + quarry["support_px"]))
    (said,) = [item for item in result["warnings"] if item.code == "other_classes"]
    assert "quarry" in said.message and said.severity == "warning"


def test_a_class_that_only_the_map_has_joins_the_legend(place):
    labels = dataclasses.replace(TRUTH, excluded=("rock",))
    result = run(place, prediction="map.tif", truth=labels)
    rock = next(row for row in result["per_class"] if row["name"] == "rock")
    assert rock["support_px"] == 0 and rock["predicted_px"] > 0
    assert not (read(place / "errors.tif")[0][40:80, 20:50] != 255).any()


def test_one_class_called_like_its_layer_is_the_one_class_of_the_map(place):
    classes = (CLASSES[0], LabelClass(1, "lake", "l", "#0000ff"))
    ids = (truth_ids() > 0).astype(np.uint8)
    write_map(place / "map.tif", ids, classes=classes)
    result = run(place, prediction="map.tif", truth=Labels("truth.gpkg"))
    assert result["accuracy"] == 1.0 and result["errors_kind"] == "true_false"
    assert [item.name for item in result["classes"]] == ["background", "lake"]
    assert any(item.code == "same_class" and "'lake'" in item.message for item in result["warnings"])


def test_a_raster_without_names_is_read_by_number_and_says_so(place):
    write_raster(place / "plain.tif", (truth_ids() > 0).astype(np.uint8), GRID)
    result = run(place, prediction="plain.tif", truth=Labels("truth.gpkg"))
    assert result["accuracy"] == 1.0
    assert any(
        item.code == "unnamed_classes" and "1 is 'truth'" in item.message for item in result["warnings"]
    )
    write_raster(place / "plain.tif", (truth_ids() > 0).astype(np.uint8) + 10, GRID)
    with pytest.raises(GeoSegError) as caught:
        run(place, prediction="plain.tif", truth=Labels("truth.gpkg"))
    assert caught.value.code == "other_classes"


def test_a_map_without_background_is_judged_where_there_are_labels(place):
    ids = truth_ids()
    classes = (LabelClass(0, "grass"), LabelClass(1, "water"), LabelClass(2, "rock"))
    write_map(place / "map.tif", ids, classes=classes)
    result = run(place, prediction="map.tif", truth=TRUTH)
    assert result["pixels"] == (ids > 0).sum() and result["accuracy"] == 1.0
    assert any(item.code == "no_background" for item in result["warnings"])


def test_labels_elsewhere_are_refused(place):
    far = [(row + 9000, col, end_row + 9000, end_col, name) for row, col, end_row, end_col, name in BOXES]
    write_polygons(place / "truth.gpkg", boxes=far)
    with pytest.raises(GeoSegError) as caught:
        run(place, prediction="map.tif", truth=TRUTH)
    assert caught.value.code == "labels_outside" and not (place / "metrics.json").exists()


def test_labels_where_the_map_has_no_class_leave_nothing(place):
    write_map(place / "map.tif", np.full((ROWS, COLS), 255, np.uint8))
    with pytest.raises(GeoSegError) as caught:
        run(place, prediction="map.tif", truth=TRUTH)
    assert caught.value.code == "nothing_to_score"
    assert not list(place.glob("*errors*")) and not (place / "metrics.json").exists()


@pytest.fixture
def dataset(tmp_path):
    image = write_raster(tmp_path / "image.tif", scene(ROWS, COLS), GRID)
    folder = tmp_path / "data"
    folder.mkdir()
    write_dataset(folder, recipe_of(image, GRID), truth_ids(), np.full((ROWS, COLS), 2, np.uint8))
    return folder


def test_a_map_of_other_pixels_is_compared_with_a_dataset_by_pixel_centres(tmp_path, dataset):
    coarse = map_ids()[1::3, 1::3]
    write_map(tmp_path / "map.tif", coarse, grid_of(ROWS // 3, COLS // 3, size=30.0))
    result = run(tmp_path, dataset="data", prediction="map.tif")
    expected = confusion(truth_ids(), np.kron(coarse, np.ones((3, 3), np.uint8)), 3)
    assert result["confusion"] == expected.tolist()
    assert any(item.code == "resampled_map" for item in result["warnings"])


def test_a_map_in_another_crs_is_compared_with_a_dataset(tmp_path, dataset, monkeypatch):
    frame = geopandas.GeoSeries([ground(0, 0, ROWS, COLS)], crs=GRID.crs).to_crs("EPSG:4326")
    west, south, east, north = frame.total_bounds
    step = 1e-4
    fine = dataclasses.replace(
        grid_of(int((north - south) / step) + 2, int((east - west) / step) + 2),
        crs="EPSG:4326",
        transform=(step, 0.0, west, 0.0, -step, north),
    )
    write_polygons(tmp_path / "truth.gpkg")
    shapes = geopandas.read_file(tmp_path / "truth.gpkg").to_crs("EPSG:4326")
    values = shapes["kind"].map({"water": 1, "rock": 2})
    ids = rasterio.features.rasterize(
        zip(shapes.geometry, values, strict=True),
        (fine.height, fine.width),
        transform=rasterio.Affine(*fine.transform),
        dtype="uint8",
    )
    write_map(tmp_path / "map.tif", ids, fine)
    result = run(tmp_path, dataset="data", prediction="map.tif", output="a")
    assert result["accuracy"] > 0.97
    monkeypatch.setattr(map_source, "SOURCE_LIMIT_PX", 500)
    assert run(tmp_path, dataset="data", prediction="map.tif", output="b")["confusion"] == result["confusion"]


def test_a_part_of_a_map_is_compared_pixel_by_pixel(tmp_path, dataset):
    part = map_ids()[20:70, 30:90]
    corner = (SIZE, 0.0, LEFT + 30 * SIZE, 0.0, -SIZE, TOP - 20 * SIZE)
    write_map(tmp_path / "map.tif", part, dataclasses.replace(grid_of(50, 60), transform=corner))
    result = run(tmp_path, dataset="data", prediction="map.tif")
    assert result["confusion"] == confusion(truth_ids()[20:70, 30:90], part, 3).tolist()
    assert not any(item.code == "resampled_map" for item in result["warnings"])


def test_polygons_are_compared_with_a_dataset(tmp_path, dataset):
    write_polygons(tmp_path / "polygons.gpkg")
    result = run(tmp_path, dataset="data", prediction="polygons.gpkg", prediction_field="kind")
    assert result["accuracy"] == 1.0 and result["pixels"] == ROWS * COLS


def test_from_the_shell(place):
    words = ["evaluate", "--prediction", str(place / "map.tif"), "--truth", str(place / "truth.gpkg")]
    words += ["class_field=kind", "--job-folder", str(place / "job")]
    (place / "job").mkdir()
    command = [sys.executable, "-m", "geoseg_engine", *words]
    there = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=there, encoding="utf-8")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["type"] == "done" and last["result"]["truth"] == "truth"
    assert (place / "job" / "report.html").exists()
    assert cli.parser().parse_args(words).truth


@pytest.mark.parametrize("pixel_m", [10.0, 20.0])
def test_ground_that_the_model_of_the_map_has_seen_is_told(place, pixel_m):
    """The upper half of a dataset was trained on; its lower half is for the test. On its own pixels or on others."""
    times = int(pixel_m / SIZE)
    grid = grid_of(ROWS // times, COLS // times, size=pixel_m)
    recipe = recipe_of(place / "image.tif", grid)
    split = np.zeros((grid.height, grid.width), np.uint8)
    half = grid.height // 2
    split[half:] = 2
    file = write_dataset(place, recipe, np.ones_like(split), split)
    write_json(file, dataclasses.replace(read_json(Dataset, file), fingerprint="one"))
    (place / "job.json").write_text(json.dumps({"job": {"dataset": "dataset.json"}}), encoding="utf-8")

    def warned(fingerprint="one", **fields):
        write_model(place / "model.onnx", recipe, fingerprint=fingerprint)
        result = run(place, prediction="map.tif", truth=TRUTH, output="out", **fields)
        return [item.message for item in result["warnings"] if item.code == "seen_ground"]

    seen = int((map_ids()[: half * times] != 255).sum())
    judged = int((map_ids() != 255).sum())
    told = warned(made_by="model.onnx")
    assert len(told) == 1 and f"{seen:,} of the {judged:,} evaluated pixels" in told[0]
    assert warned() == [] and warned("another", made_by="model.onnx") == []
    assert warned(made_by="gone.onnx") == []
    (place / "job.json").unlink()
    assert warned(made_by="model.onnx") == []
