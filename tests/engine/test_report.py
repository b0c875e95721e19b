"""The report: one file, complete in itself, that says in words what was done."""

import json
import re

import numpy as np
import pytest

from geoseg_engine.contract import Band, Dataset, Grid, LabelClass, Problem, Recipe, Source
from geoseg_engine.report.bar_charts import importance_chart
from geoseg_engine.report.evaluation import write_report
from geoseg_engine.report.evaluation_text import calibration_sentences, crs_name, main_numbers
from geoseg_engine.scores.intervals import intervals
from geoseg_engine.scores.metrics import scores

BINARY = (LabelClass(0, "background", "", "#dddddd"), LabelClass(1, "scar <old>", "s", "#cc2200"))
GRID = Grid("EPSG:32631", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), 200, 100)
DATASET = Dataset(
    "slopes",
    Recipe((Source("r1", "image.tif", "image"),), (Band("b1", "r1", 1), Band("b2", "r1", 2)), GRID),
    "labels.tif",
    "split.tif",
    "tiles.gpkg",
    BINARY,
    block_px=64,
    buffer_px=8,
    counts={"train": {"0": 900, "1": 100}, "test": {"0": 90, "1": 10}},
)


def metrics(**changes):
    matrices = np.random.default_rng(0).integers(1, 50, (9, 2, 2))
    return {
        **scores(matrices.sum(axis=0), BINARY),
        "intervals": intervals(matrices, BINARY, 64),
        "classes": BINARY,
        "split": "test",
        "dataset": "slopes",
        "model": "/runs/one/model.onnx",
        "architecture": {"name": "unet", "bands": 2, "classes": 2, "width": 16, "levels": 3},
        "areas": [
            {"id": 0, "name": "background", "mapped_m2": 2e6, "true_m2": 1.6e6, "difference": 0.25},
            {"id": 1, "name": "scar <old>", "mapped_m2": 5e4, "true_m2": 0.0, "difference": None},
        ],
        "warnings": [Problem("scores", "Look at <this>.", "Then do that.", "warning")],
        "ece": 0.034,
        "reliability": [
            {"low": 0.5, "high": 0.6, "confidence": 0.55, "accuracy": 0.5, "pixels": 10},
            {"low": 0.9, "high": 1.0, "confidence": 0.95, "accuracy": 0.97, "pixels": 90},
        ],
        "calibration": {"temperature": 1.5, "bias": [0.1, -0.1], "weights": [0.5, 1.0], "ece": [0.09, 0.01]},
        "trained": {
            "job": {"seed": 7, "loss": "auto"},
            "plan": {"loss": "ce+lovasz", "crop_px": 64, "batch_size": 8, "augment": ["flip", "turn"]},
            "epochs_run": 9,
            "best_epoch": 5,
            "kept_sentence": "Kept epoch 5: lowest validation loss.",
        },
        **changes,
    }


@pytest.fixture
def page(tmp_path):
    rows = [{"epoch": n, "train_loss": 1 / n, "validation_loss": 2 / n, "miou": 1 - 1 / n} for n in (1, 2, 3)]
    (tmp_path / "history.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "plan.json").write_text(
        json.dumps({"reasons": ["64 px because slides are small"]}), encoding="utf-8"
    )
    bands = [{"name": "slope", "permutation": 0.2, "impurity": None}, {"name": "b1", "permutation": -0.1}]
    (tmp_path / "importance.json").write_text(json.dumps({"bands": bands}), encoding="utf-8")
    uri = "data:image/png;base64,AAAA"
    tile = {"row": 1, "col": 2, "size_px": 64, "iou": 0.25, "image": uri, "truth": uri, "prediction": uri}
    write_report(
        tmp_path / "report.html",
        metrics(),
        dataset=DATASET,
        run_folder=tmp_path,
        examples={"best": [], "worst": [tile]},
    )
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_everything_has_its_place(page):
    for title in ("Classes", "Confusion matrix", "Areas", "Examples", "Calibration", "Training", "Importance of bands",
                  "Data", "Settings"):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    assert "on the map, km²" in page and "+25.0%" in page and "2.000" in page
    assert "64 px because slides are small" in page and "U-Net; width 16, levels 3" in page
    assert "Kept epoch 5: lowest validation loss." in page and "flip, turn" in page and "ce+lovasz" in page
    assert "Where it is worst" in page and "Where it is best" not in page
    assert "from a probability of 0.33 on" in page


def test_the_file_is_complete_in_itself_and_well_formed(page):
    from html.parser import HTMLParser

    assert "http" not in page and "<script" not in page and "@import" not in page
    assert "prefers-color-scheme: dark" in page
    assert "&lt;this&gt;" in page and "scar &lt;old&gt;" in page and "<old>" not in page
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br", "img", "rect", "path", "polyline"):
                opened.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    reader = Reader()
    reader.feed(page)
    assert opened == []
    assert set(re.findall(r"var\((--[a-z-]+)\)", page)) <= set(re.findall(r"(--[a-z-]+):", page))


def test_a_report_of_a_class_raster_leaves_out_what_there_is_not(tmp_path):
    bare = metrics(model="", prediction="map.tif", reliability=[], ece=None, trained=None, architecture=None)
    write_report(tmp_path / "report.html", {**bare, "calibration": None}, dataset=DATASET)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "map.tif, evaluated" in page
    for title in ("Calibration", "Training", "Importance", "Examples", "Settings"):
        assert f"<h2>{title}" not in page


def test_damaged_files_of_the_run_are_left_out(tmp_path):
    for name in ("history.json", "plan.json", "importance.json"):
        (tmp_path / name).write_text("{half", encoding="utf-8")
    write_report(tmp_path / "report.html", metrics(), run_folder=tmp_path)
    assert "<h2>Calibration</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_scores_that_are_unknown_are_dashes():
    empty = metrics(
        **scores(np.zeros((2, 2)), BINARY), intervals=intervals(np.zeros((0, 2, 2), int), BINARY, 64)
    )
    assert {value for _, value, _ in main_numbers(empty)} == {"–"}


def test_several_classes_have_their_weights_in_words():
    data = {"per_class": [{"name": name} for name in "abc"], "calibration": {"weights": [0.5, 1.0, 0.25]}}
    assert calibration_sentences(data) == [
        "In the decision, classes weigh: a 0.5, b 1, c 0.25 (best mean IoU on the validation pixels)."
    ]


def test_names_of_crs_and_bars():
    assert crs_name('PROJCRS["WGS 84 / UTM 45N",BASE') == "WGS 84 / UTM 45N"
    assert crs_name("EPSG:4326") == "EPSG:4326"
    assert importance_chart([], "x") == "" and importance_chart([("b", -1.0)], "x").count("<rect") == 1
