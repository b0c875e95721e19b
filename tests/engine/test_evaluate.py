import csv
import dataclasses
import json

import numpy as np
import pytest
import rasterio
from prediction_scenes import grid_of, recipe_of, scene, write_dataset, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    Cleaning,
    Dataset,
    EvaluateJob,
    GeoSegError,
    LabelClass,
    PredictJob,
    job_to_json,
    read_json,
    write_json,
)
from geoseg_engine.dataset.datasets import read_dataset
from geoseg_engine.evaluation import evaluate
from geoseg_engine.evaluation.evaluator import error_kinds, joined_classes
from geoseg_engine.prediction import predict
from geoseg_engine.report.charts import curve
from geoseg_engine.scores.metrics import confusion

ROWS, COLS = 120, 160


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    grid = grid_of(ROWS, COLS)
    values = scene(ROWS, COLS)
    values[0, :4, 100:120] = np.nan
    image = write_raster(folder / "image.tif", values, grid)
    recipe = recipe_of(image, grid)
    write_model(folder / "model.onnx", recipe)
    labels = np.random.default_rng(2).integers(0, 3, (ROWS, COLS)).astype(np.uint8)
    labels[::5] = 255
    split = np.zeros((ROWS, COLS), np.uint8)
    split[:, 80:] = 1
    split[:, 100:] = 255
    split[:70, 104:] = 2
    write_dataset(folder, recipe, labels, split)
    job = PredictJob(model=str(folder / "model.onnx"), output="classes.tif", runtime="torch")
    predict.run(job, folder, Channel(folder))
    return folder


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_model_and_its_raster_give_the_same_scores_and_the_expected_matrix(place, tmp_path):
    by_model = evaluate.run(
        EvaluateJob(dataset=str(place), model=str(place / "model.onnx")), tmp_path, Channel(tmp_path)
    )
    folder = tmp_path / "raster"
    folder.mkdir()
    by_raster = evaluate.run(
        EvaluateJob(dataset=str(place), prediction=str(place / "classes.tif")), folder, Channel(folder)
    )
    assert by_model["confusion"] == by_raster["confusion"]
    truth, ids = read(place / "labels.tif"), read(place / "classes.tif")
    truth[read(place / "split.tif") != 2] = 255
    assert by_model["confusion"] == confusion(truth, ids, 3).tolist()
    assert by_model["miou"] == pytest.approx(np.mean([row["iou"] for row in by_model["per_class"]]))
    kinds = read(tmp_path / "errors.tif")
    judged = (truth != 255) & (ids != 255)
    assert ((kinds != 255) == judged).all()
    assert ((kinds == 1) == (judged & (truth == ids))).all()
    assert any("no prediction" in item.message for item in by_model["warnings"])


def test_what_it_leaves_behind(place, tmp_path):
    evaluate.run(
        EvaluateJob(dataset=str(place), model=str(place / "model.onnx"), output="e"),
        tmp_path,
        Channel(tmp_path),
    )
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["split"] == "test" and metrics["majority_accuracy"] > 0
    rows = list(csv.reader((tmp_path / "e" / "confusion.csv").open(encoding="utf-8")))
    assert rows[0][1:] == ["background", "water", "rock"]
    assert [[int(text) for text in row[1:]] for row in rows[1:]] == metrics["confusion"]
    areas = list(csv.DictReader((tmp_path / "e" / "areas.csv").open(encoding="utf-8")))
    assert [row["name"] for row in areas] == ["background", "water", "rock"]
    assert sum(float(row["true_m2"]) for row in areas) == pytest.approx(100 * metrics["pixels"], rel=1e-3)
    page = (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
    assert "Confusion matrix" in page and "water" in page and "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("of_model", "of_dataset", "says"),
    [
        ("one", "one", ""),
        ("one", "two", "another split"),
        ("", "two", "not recorded"),
        ("one", "", "not recorded"),
        ("", "", "not recorded"),
    ],
)
def test_only_a_model_of_this_very_split_is_said_to_be_judged_on_unseen_ground(
    place, tmp_path, of_model, of_dataset, says
):
    known = read_json(Dataset, place / "dataset.json")
    recipe = known.recipe
    file = write_dataset(tmp_path, recipe, read(place / "labels.tif"), read(place / "split.tif"))
    write_json(file, dataclasses.replace(known, fingerprint=of_dataset))
    write_model(tmp_path / "model.onnx", recipe, fingerprint=of_model)
    result = evaluate.run(EvaluateJob(".", model="model.onnx"), tmp_path, Channel(tmp_path))
    found = [item for item in result["warnings"] if item.code == "other_split"]
    assert len(found) == bool(says) and all(says in item.message and item.hint for item in found)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("none of them used for training" in page) is not bool(says)


def test_a_class_raster_is_not_said_to_be_judged_on_unseen_ground(place, tmp_path):
    evaluate.run(EvaluateJob(str(place), prediction=str(place / "classes.tif")), tmp_path, Channel(tmp_path))
    assert "used for training" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_scores_of_training_ground_are_no_surprise(place, tmp_path):
    job = EvaluateJob(str(place), model=str(place / "model.onnx"), split="train")
    result = evaluate.run(job, tmp_path, Channel(tmp_path))
    assert "other_split" not in {item.code for item in result["warnings"]}


@pytest.mark.parametrize("by", ["model", "prediction"])
def test_a_class_that_the_dataset_lacks_counts_as_wrong_where_it_is_predicted(place, tmp_path, by):
    known = read_json(Dataset, place / "dataset.json")
    labels = read(place / "labels.tif")
    labels[labels == 2] = 0
    file = write_dataset(tmp_path, known.recipe, labels, read(place / "split.tif"))
    write_json(file, dataclasses.replace(known, classes=known.classes[:2]))
    path = place / ("model.onnx" if by == "model" else "classes.tif")
    result = evaluate.run(EvaluateJob(".", **{by: str(path)}), tmp_path, Channel(tmp_path))
    labels[read(place / "split.tif") != 2] = 255
    assert result["confusion"] == confusion(labels, read(place / "classes.tif"), 3).tolist()
    assert [item.name for item in result["classes"]] == ["background", "water", "rock"]
    rock = result["per_class"][2]
    assert rock["support_px"] == 0 and rock["predicted_px"] > 0 and rock["iou"] == 0
    (said,) = [item for item in result["warnings"] if item.code == "other_classes"]
    assert "rock" in said.message and "water" not in said.message
    assert "rock" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_classes_that_differ_by_case_alone_stay_apart():
    wanted = (LabelClass(0, "background"), LabelClass(1, "Water"), LabelClass(2, "water"))
    given = (
        LabelClass(0, "water"),
        LabelClass(1, "Water"),
        LabelClass(2, "ROCK"),
        LabelClass(3, "Background"),
    )
    classes, numbers, problems = joined_classes(given, wanted)
    assert numbers.tolist() == [2, 1, 3, 0] and [item.id for item in classes] == [0, 1, 2, 3]
    assert "ROCK" in problems[0].message


def test_a_prediction_of_other_classes_altogether_is_refused(place, tmp_path):
    known = read_json(Dataset, place / "dataset.json")
    file = write_dataset(tmp_path, known.recipe, read(place / "labels.tif"), read(place / "split.tif"))
    names = ("background", "road", "house")
    other = tuple(
        dataclasses.replace(item, name=name) for item, name in zip(known.classes, names, strict=True)
    )
    write_json(file, dataclasses.replace(known, classes=other))
    for job in ({"model": str(place / "model.onnx")}, {"prediction": str(place / "classes.tif")}):
        with pytest.raises(GeoSegError) as caught:
            evaluate.run(EvaluateJob(".", **job), tmp_path, Channel(tmp_path))
        assert caught.value.code == "other_classes" and "road" in caught.value.message


def test_binary_errors():
    truth = np.array([0, 0, 1, 1, 255, 1], np.uint8)
    ids = np.array([0, 1, 1, 0, 1, 255], np.uint8)
    assert error_kinds(truth, ids, True).tolist() == [0, 2, 1, 3, 255, 255]
    assert error_kinds(truth, ids, False).tolist() == [1, 2, 1, 2, 255, 255]


@pytest.mark.parametrize(
    ("first", "kind", "values"),
    [("background", "true_false", {0, 1, 2, 3, 255}), ("land", "right_wrong", {1, 2, 255})],
)
def test_two_classes_of_ground_are_no_background_and_object(place, tmp_path, first, kind, values):
    random = np.random.default_rng(3)
    dataset, _ = read_dataset(place)
    labels, ids = random.integers(0, 2, (2, ROWS, COLS)).astype(np.uint8)
    write_dataset(tmp_path, dataset.recipe, labels, read(place / "split.tif"))
    classes = (LabelClass(0, first), LabelClass(1, "water", "w"))
    write_json(tmp_path / "dataset.json", dataclasses.replace(dataset, classes=classes))
    write_raster(tmp_path / "map.tif", ids, grid_of(ROWS, COLS))
    result = evaluate.run(EvaluateJob(".", prediction="map.tif"), tmp_path, Channel(tmp_path))
    assert result["errors_kind"] == kind and set(np.unique(read(tmp_path / "errors.tif"))) == values
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("IoU of &#x27;water&#x27;" in page) == (kind == "true_false")


def test_a_split_without_labels_says_so_and_leaves_nothing(place, tmp_path):
    labels = read(place / "labels.tif")
    labels[read(place / "split.tif") == 2] = 255
    write_dataset(tmp_path, read_dataset(place)[0].recipe, labels, read(place / "split.tif"))
    with pytest.raises(GeoSegError) as caught:
        evaluate.run(EvaluateJob(".", model=str(place / "model.onnx")), tmp_path, Channel(tmp_path))
    assert caught.value.code == "nothing_to_score"
    assert not list(tmp_path.glob("*errors*")) and not (tmp_path / "metrics.json").exists()


def test_curves_survive_gaps():
    epochs = [{"epoch": 1, "miou": None}, {"epoch": 2, "miou": 0.1}, {"epoch": 3, "miou": 0.4}]
    assert curve(epochs, ["miou"]).startswith("<svg") and not curve(epochs[:2], ["miou"])


def test_intervals_reliability_and_examples_of_a_model(place, tmp_path):
    job = EvaluateJob(str(place), model=str(place / "model.onnx"), split="train")
    result = evaluate.run(job, tmp_path, Channel(tmp_path))
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    low, high = metrics["intervals"]["miou"]
    assert low <= metrics["miou"] <= high and metrics["intervals"]["blocks"] == 4
    assert len(metrics["intervals"]["per_class"]) == 3
    assert any("4 blocks of 64 px" in item.message for item in result["warnings"])
    assert sum(row["pixels"] for row in metrics["reliability"]) == metrics["pixels"]
    by_hand = sum(abs(row["accuracy"] - row["confidence"]) * row["pixels"] for row in metrics["reliability"])
    assert metrics["ece"] == pytest.approx(by_hand / metrics["pixels"], abs=1e-4)
    assert -1 <= metrics["kappa"] <= 1 and 0 <= metrics["fw_iou"] <= 1
    best, worst = metrics["tiles"]["best"], metrics["tiles"]["worst"]
    assert best[0]["iou"] >= worst[0]["iou"] and "image" not in best[0]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3 * len(best + worst)
    assert "Calibration" in page and "Where it is worst" in page
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".evaluate")]


def test_a_class_raster_has_intervals_and_examples_but_no_calibration(place, tmp_path):
    job = EvaluateJob(str(place), prediction=str(place / "classes.tif"), split="train")
    result = evaluate.run(job, tmp_path, Channel(tmp_path))
    assert result["reliability"] == [] and result["ece"] is None and result["intervals"]["miou"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Where it is best" in page and ">Calibration<" not in page


def test_without_the_layers_there_are_scores_but_no_examples(place, tmp_path):
    known = read_json(Dataset, place / "dataset.json")
    gone = dataclasses.replace(known.recipe.sources[0], path=str(tmp_path / "gone.tif"))
    recipe = dataclasses.replace(known.recipe, sources=(gone,))
    write_dataset(tmp_path, recipe, read(place / "labels.tif"), read(place / "split.tif"))
    job = EvaluateJob(".", prediction=str(place / "classes.tif"))
    result = evaluate.run(job, tmp_path, Channel(tmp_path))
    assert result["miou"] and result["tiles"] == {"best": [], "worst": []}


def test_a_map_is_as_sure_as_the_confidence_that_was_made_with_it(place, tmp_path):
    job = PredictJob(
        model=str(place / "model.onnx"), output="classes.tif", confidence="sure.tif", runtime="torch"
    )
    predict.run(job, tmp_path, Channel(tmp_path))
    judged = EvaluateJob(str(place), prediction="classes.tif", split="train")
    without = evaluate.run(judged, tmp_path, Channel(tmp_path))
    assert without["ece"] is None
    write_json(tmp_path / "job.json", job_to_json(job))
    by_map = evaluate.run(judged, tmp_path, Channel(tmp_path))
    by_model = evaluate.run(
        EvaluateJob(str(place), model=str(place / "model.onnx"), split="train"), tmp_path, Channel(tmp_path)
    )
    assert by_map["ece"] == pytest.approx(by_model["ece"], abs=0.002)
    cleaned = dataclasses.replace(job, cleaning=Cleaning(min_patch_px=4))
    write_json(tmp_path / "job.json", job_to_json(cleaned))
    assert evaluate.run(judged, tmp_path, Channel(tmp_path))["ece"] is None
