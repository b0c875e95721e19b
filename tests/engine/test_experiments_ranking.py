"""Rows of a comparison: means over seeds, ranks, the table, the figure, the report."""

import csv
import xml.etree.ElementTree as ET

import pytest

from geoseg_engine.contract import BandSet, CompareJob, Dataset, Grid, LabelClass, Recipe
from geoseg_engine.experiments.ranking import FinishedRun, close_second, rank, score_name, write_csv
from geoseg_engine.report.bar_charts import axis_top, comparison_chart
from geoseg_engine.report.comparison import write_comparison


def evaluation(iou, interval=None, binary=True):
    rows = [
        {"name": name, "iou": iou, "f1": iou, "precision": iou, "recall": None if name == "scar" else iou}
        for name in ("background", "scar")
    ]
    found = {"foreground_iou": iou if binary else None, "miou": iou, "per_class": rows, "accuracy": 0.9}
    intervals = {"foreground_iou": interval, "miou": interval} if interval else {}
    return {**found, "kappa": 0.5, "seconds": 2.0, "device": "CPU", "intervals": intervals}


def cell(model, iou, bands="all", seed=1, interval=None, warnings=(), binary=True):
    judged = evaluation(iou, interval, binary)
    return FinishedRun(
        model, bands, seed, f"/runs/{model}{seed}", ("a", "b"), judged, 60.0, 1.5, 1000, warnings
    )


def test_rows_are_means_over_seeds_and_ranked_by_them():
    cells = [cell("unet", 0.6), cell("forest", 0.7), cell("unet", 0.9, seed=2, warnings=("w",))]
    rows = rank(cells, score_name(cells))
    assert [(row["rank"], row["model"], row["seeds"]) for row in rows] == [
        (1, "unet", [1, 2]),
        (2, "forest", [1]),
    ]
    assert rows[0]["iou"] == pytest.approx(0.75) and rows[0]["spread"] == pytest.approx(0.2121, abs=1e-4)
    assert rows[1]["spread"] is None and rows[1]["interval"] is None
    assert rows[0]["runs"] == ["/runs/unet1", "/runs/unet2"] and rows[0]["warnings"] == ["w"]
    assert rows[0]["per_class"][1] == {
        "name": "scar", "iou": pytest.approx(0.75), "f1": pytest.approx(0.75), "precision": pytest.approx(0.75),
        "recall": None,
    }  # fmt: skip


def test_models_without_a_score_come_last():
    cells = [cell("none", None), cell("bad", 0.0)]
    assert [row["model"] for row in rank(cells, "miou")] == ["bad", "none"]


def test_the_score_is_of_the_one_class_only_where_there_is_one():
    assert score_name([cell("unet", 0.5)]) == "foreground_iou"
    assert score_name([cell("unet", 0.5, binary=False)]) == "miou"
    assert score_name([]) == "miou"


def test_intervals_are_means_and_a_close_second_is_told():
    cells = [
        cell("unet", 0.80, interval=[0.7, 0.9]),
        cell("unet", 0.80, seed=2, interval=[0.6, 0.8]),
        cell("forest", 0.7, interval=[0.6, 0.66]),
    ]
    rows = rank(cells, "foreground_iou")
    assert rows[0]["interval"] == pytest.approx([0.65, 0.85])
    (warning,) = close_second(rows)
    assert "unet on all (0.800) and forest on all (0.700)" in warning.message and warning.hint
    rows[1]["interval"] = [0.5, 0.64]
    assert close_second(rows) == [] and close_second(rows[:1]) == []


def test_the_table_holds_every_number(tmp_path):
    cells = [cell("unet", 0.8, interval=[0.7, 0.9]), cell("forest", 0.7)]
    write_csv(tmp_path / "t.csv", rank(cells, "miou"))
    first, second = csv.DictReader((tmp_path / "t.csv").open())
    assert (first["model"], first["iou"], first["low"], first["high"]) == ("unet", "0.8", "0.7", "0.9")
    assert (first["iou scar"], first["recall scar"], second["low"]) == ("0.8", "", "")
    write_csv(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text(encoding="utf-8").startswith("rank,model,bands")


def numbers(root, tag):
    return [item for item in root.iter() if item.tag.endswith(tag)]


def test_the_figure_has_a_bar_a_row_in_groups_of_band_sets():
    cells = [
        cell("unet", 0.8, "optical", interval=[0.7, 0.9]),
        cell("forest <1>", 0.4, "optical"),
        cell("unet", 0.6, "optical + DEM"),
        cell("none", None, "optical"),
    ]
    root = ET.fromstring(comparison_chart(rank(cells, "miou"), "miou", "test"))
    bars = [item for item in numbers(root, "rect") if item.get("class") == "bar"]
    widths = [float(item.get("width")) for item in bars]
    assert len(bars) == 3
    assert widths[0] / widths[1] == pytest.approx(2, abs=0.01), "0.8 beside 0.4, optical first"
    assert bars[0].get("fill") == bars[2].get("fill") != bars[1].get("fill"), "a colour is a model"
    words = [item.text for item in numbers(root, "text")]
    assert {"optical", "optical + DEM", "forest <1>", "0.800"} <= set(words)
    assert len([item for item in numbers(root, "path") if item.get("class") == "whisker"]) == 1


def test_the_axis_ends_above_the_longest_whisker():
    rows = rank([cell("unet", 0.31, interval=[0.2, 0.42])], "miou")
    assert axis_top(rows) == 0.5
    assert axis_top([]) == 1.0
    ET.fromstring(comparison_chart([], "miou", "test"))


def test_the_report_says_all_in_one_file(tmp_path):
    rows = rank([cell("unet <b>", 0.8, warnings=("Band 'x' is constant.",)), cell("forest", 0.7)], "miou")
    grid = Grid("EPSG:32632", (10, 0, 0, 0, -10, 0), 30, 20)
    classes = (LabelClass(0, "background"), LabelClass(1, "scar"))
    dataset = Dataset("valley", Recipe((), (), grid), "l", "s", "t", classes, block_px=64)
    failed = {"name": "segnet, all, seed 1", "error": "Out of memory.", "hint": "Smaller."}
    warnings = [{"message": "Few polygons.", "hint": "Draw more."}]
    result = {"rows": rows, "score": "miou", "split": "test", "unfinished": [failed], "warnings": warnings}
    job = CompareJob("d", band_sets=(BandSet("optical", ("red", "nir")),), seeds=(1, 2), minutes=5)
    write_comparison(tmp_path / "report.html", result, dataset, job, comparison_chart(rows, "miou", "test"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for part in ("unet &lt;b&gt; on all is first of 2", "Few polygons.", "Out of memory.", "Band &#x27;x&#x27;",
                 "red, nir", "at most 5 min", "<svg", "blocks of 64 px", "0.800"):  # fmt: skip
        assert part in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched from elsewhere"
