"""The shell: flags of every kind become the job that QGIS would write, and events become sentences."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geoseg_engine import cli, cli_help
from geoseg_engine.cli_terminal import Sentences, done_lines, sentences
from geoseg_engine.contract import JOBS, GeoSegError

ENGINE = Path(cli.__file__).resolve().parents[1]


def job(folder: Path, *flags: str) -> dict[str, Any]:
    options = cli.parser().parse_args([*flags, "--job-folder", str(folder)])
    written: dict[str, Any] = json.loads(cli.write_job(options).read_text(encoding="utf-8"))["job"]
    return written


def test_every_job_has_a_command_with_help(capsys):
    for kind in JOBS:
        with pytest.raises(SystemExit) as ended:
            cli.parser().parse_args([kind, "--help"])
        said = capsys.readouterr().out
        assert ended.value.code == 0 and "--job-folder" in said
        unknown = re.search(r"\b[A-Z]+_[A-Z_]+\b|\bof [A-Z]{4,}\b|\b[A-Z]\w+Job\b", told(kind))
        assert not unknown, f"{kind}: a person does not know {unknown}"
        assert "Attributes:" not in said and "Args:" not in said


def told(kind):
    """All that the shell says of a job's flags in words."""
    job = JOBS[kind]
    flags = [cli_help.flag_help(job, field.name) for field in dataclasses.fields(job)]
    return " ".join([cli_help.description(job), *flags])


def test_a_flag_says_what_it_takes_and_what_is_taken_without_it(capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--architecture TEXT Architecture. Kind of network (one of unet, " in said and "[unet]" in said
    assert "one or more of auto, none, flip, turn" in said and "--patience N" in said
    assert "--find-rate" not in said and "--lr-range-test" in said


def test_former_names_of_flags_are_still_read(tmp_path):
    written = job(tmp_path, "train", "--dataset", "d", "--find-rate", "--average", "0.9")
    assert written["lr_range_test"] is True and written["ema_decay"] == 0.9
    written = job(tmp_path, "samplepoints", "--classes", "c.tif", "--least", "20", "--most", "90")
    assert (written["min_points"], written["max_points"]) == (20, 90)
    assert (
        job(tmp_path, "clean", "--classes", "c.tif", "--cleaning", "least_area_px=9")["cleaning"][
            "min_patch_px"
        ]
        == 9
    )


def test_what_is_cleaned_without_a_word_is_said(tmp_path):
    assert "[min_patch_px=4]" in cli_help.flag_help(JOBS["clean"], "cleaning")
    assert job(tmp_path, "clean", "--classes", "c.tif")["cleaning"]["min_patch_px"] == 4


def test_a_switch_may_be_left_to_the_file(tmp_path):
    for flags, value in ((), None), (("--skip-background",), True), (("--no-skip-background",), False):
        assert job(tmp_path, "polygonize", "--classes", "c.tif", *flags)["skip_background"] is value
    assert job(tmp_path, "clean", "--classes", "c.tif", "--background", "-1")["background"] == -1


def test_lists_are_repeated_values(tmp_path):
    chips = job(tmp_path, "exportchips", "--dataset", "d", "--splits", "train", "test")
    assert chips["splits"] == ["train", "test"]
    terrain = job(tmp_path, "terrain", "--dem", "dem.tif", "--attributes", "slope", "tpi")
    assert terrain["attributes"] == ["slope", "tpi"] and terrain["dem"]["key"] == "dem"
    terrain = job(tmp_path, "terrain", "--dem", "feet.tif", "height_unit=US survey foot")
    assert (terrain["dem"]["key"], terrain["dem"]["name"], terrain["dem"]["height_unit"]) == (
        "dem",
        "feet",
        "US survey foot",
    )
    for shares in (["0.5", "0.2", "0.3"], ["0.5,0.2,0.3"], ["[0.5, 0.2, 0.3]"]):
        tiled = job(tmp_path, "tile", "--stack", "s.tif", "--labels", "l.tif", "--fractions", *shares)
        assert tiled["fractions"] == [0.5, 0.2, 0.3]
    predicted = job(tmp_path, "predict", "--model", "m.onnx", "--extent", "-5", "0", "10", "1e2")
    assert predicted["extent"] == [-5, 0, 10, 100]


def test_objects_are_pairs_or_json_or_a_file(tmp_path):
    common = ["rasterize", "--stack", "s.tif"]
    words = ["slides.gpkg", "class_field=kind", "unlabelled=unknown", "border_px=2", "excluded=road,lake"]
    labels = job(tmp_path, *common, "--labels", *words)["labels"]
    assert Path(labels["path"]).name == "slides.gpkg" and Path(labels["path"]).is_absolute()
    assert (labels["class_field"], labels["unlabelled"], labels["border_px"]) == ("kind", "unknown", 2)
    assert labels["excluded"] == ["road", "lake"]
    (tmp_path / "labels.json").write_text(
        json.dumps({"path": "slides.gpkg", "all_touched": True}), encoding="utf-8"
    )
    assert job(tmp_path, *common, "--labels", f"@{tmp_path}/labels.json")["labels"]["all_touched"] is True
    asked = [*common, "--labels", "s.gpkg", "all_touched=yes", "--area", "concave_hull", "ratio=0.5"]
    done = job(tmp_path, *asked)
    assert (done["area"]["kind"], done["area"]["ratio"]) == ("concave_hull", 0.5)
    assert done["labels"]["all_touched"] is True
    boxes = job(tmp_path, *common, "--labels", "s.gpkg", "--area", "boxes.gpkg")["area"]
    assert boxes["kind"] == "polygons" and boxes["path"].endswith("boxes.gpkg")


def test_areas_of_splits_grid_and_parameters(tmp_path):
    tiled = job(
        tmp_path,
        "tile",
        "--stack",
        "s.tif",
        "--labels",
        "l.tif",
        "--split-areas",
        "a.gpkg",
        "b.gpkg",
        "c.gpkg",
    )
    assert [area["kind"] for area in tiled["split_areas"]] == ["polygons"] * 3
    bands = json.dumps([{"name": "b", "source": "r1"}])
    stacked = job(
        tmp_path,
        "stack",
        "--sources",
        "a.tif",
        "--bands",
        bands,
        "--grid",
        "crs=EPSG:32632",
        "pixel_size=10,5",
    )
    assert stacked["grid"]["pixel_size"] == [10, 5] and stacked["grid"]["crs"] == "EPSG:32632"
    terrain = job(tmp_path, "terrain", "--dem", "d.tif", "--parameters", "radius_m=500", "radii=100,300")
    assert terrain["parameters"] == {"radius_m": 500.0, "radii": "100,300"}


def test_only_files_to_read_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("map.tif", "sure.tif", "result.gpkg", "kind", "m.onnx"):
        (tmp_path / name).touch()
    words = ["--classes", "map.tif", "--confidence", "sure.tif", "--output", "result.gpkg"]
    polygons = job(tmp_path / "run", "polygonize", *words)
    assert [polygons["classes"], polygons["confidence"]] == [
        str(tmp_path / name) for name in ("map.tif", "sure.tif")
    ]
    assert polygons["output"] == "result.gpkg"
    predicted = job(tmp_path / "run", "predict", "--model", "m.onnx", "--confidence", "sure.tif")
    assert (predicted["model"], predicted["confidence"]) == (str(tmp_path / "m.onnx"), "sure.tif")
    judged = job(
        tmp_path / "run", "areas", "--classes", "map.tif", "--sample", "s", "--reference-field", "kind"
    )
    assert judged["reference_field"] == "kind"
    labels = job(
        tmp_path / "run", "rasterize", "--stack", "map.tif", "--labels", "l.gpkg", "class_field=kind"
    )
    assert labels["labels"]["class_field"] == "kind"


def test_sources_in_a_file_have_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).touch()
    sources = [{"key": "r1", "path": "a.tif", "paths": ["b.tif"]}]
    (tmp_path / "sources.json").write_text(json.dumps(sources), encoding="utf-8")
    bands = json.dumps([{"name": "b", "source": "r1"}])
    stacked = job(tmp_path, "stack", "--sources", "@sources.json", "--bands", bands)
    assert stacked["sources"][0]["path"] == str(tmp_path / "a.tif")
    assert stacked["sources"][0]["paths"] == [str(tmp_path / "b.tif")]


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--area", "ratio=tight"], "'tight', not a number"),
        (["--area", "bounds", "a.gpkg", "b.gpkg"], "'b.gpkg' is no setting"),
        (["--area", "@nowhere.json"], "nowhere.json cannot be read"),
        (["--area", "{oops"], "not valid JSON"),
    ],
)
def test_words_that_do_not_fit_are_named(tmp_path, flags, part):
    with pytest.raises(GeoSegError, match=part) as caught:
        job(tmp_path, "rasterize", "--stack", "s.tif", "--labels", "l.gpkg", *flags)
    assert caught.value.code == "bad_flag" and caught.value.hint


class Paper:
    """A terminal that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def writelines(self, lines: Any) -> None:
        self.text += "".join(lines)

    def flush(self) -> None:
        pass


def test_progress_is_written_over_and_gone_before_the_next_sentence():
    paper = Paper()
    shown = Sentences(paper)
    for done in (1, 2):
        shown.write(
            json.dumps({"type": "progress", "phase": "stacking", "done": done, "total": 2, "rate": ""})
        )
    shown.write(json.dumps({"type": "log", "level": "warning", "text": "B5 is constant."}))
    assert paper.text.split("\r\x1b[K")[1:] == [
        "stacking: 50 % (1 of 2)",
        "stacking: 100 % (2 of 2)",
        "Warning: B5 is constant.\n",
    ]


def test_results_are_sentences_facts_and_warnings():
    result = {
        "sentence": "2 bands on 30 × 20 pixels.",
        "bands": [{"name": "red", "mean": 0.123456}, {"name": "nir", "mean": 2.0}],
        "counts": {"train": {"0": 5, "1": 7}},
        "dates": [f"d{number}" for number in range(68)],
        "warnings": [{"message": "B5 is constant.", "hint": "Leave it out.", "severity": "warning"}],
    }
    lines = done_lines(result)
    assert lines[0] == "2 bands on 30 × 20 pixels." and lines[-1] == "Done."
    assert "  name  mean" in lines and "  red   0.1235" in lines
    assert "counts:" in lines and "    1: 7" in lines
    assert any("d11, … (68 in all)" in line for line in lines)
    assert "Warning: B5 is constant. Leave it out." in lines
    failed = {"type": "failed", "code": "no_crs", "message": "No CRS.", "hint": "Set it.", "details": ""}
    assert sentences(failed) == ["Error: No CRS. Set it. [no_crs]"]
    epoch = {"type": "epoch", "epoch": 3, "epochs": 60, "train_loss": 0.4, "miou": 0.7, "best": True}
    assert sentences(epoch) == ["Epoch 3 of 60: loss 0.4 / –, mean IoU 0.7, kept so far"]


def test_scores_end_in_a_sentence_and_leave_to_the_files_what_is_long():
    result = {
        "classes": [{"id": 0, "name": "old_forest"}, {"id": 1, "name": "water"}],
        "counts": {"0": 5, "1": 7}, "confusion": [[4, 1], [0, 7]], "miou": 0.8375, "accuracy": 11 / 12,
        "majority_accuracy": 7 / 12, "majority_class": "water", "pixels": 12, "split": "test",
        "trained": {"job": {"dataset": "d"}}, "metrics": "/m.json", "plan": {"width": 8, "reasons": ["a, b"]},
        "reasons": ["8 channels, for a CPU", "3 levels"],
    }  # fmt: skip
    lines = done_lines(result)
    assert lines[-2] == (
        "Mean IoU 0.838 on the split 'test', 12 pixels. Accuracy 0.917; naming 'water' everywhere would reach 0.583."
    )
    assert [
        next(line for line in lines if line.startswith(start))
        for start in ("  old_forest  5", "  4,", "  0,")
    ] == ["  old_forest  5", "  4, 1", "  0, 7"]
    assert lines.count("  8 channels, for a CPU") == 1 and lines.count("reasons:") == 1
    assert not any("trained" in line for line in lines)


def test_a_comparison_is_a_table_with_the_best_first():
    row = {"rank": 1, "model": "U-Net", "bands": "all bands", "iou": 0.8123, "interval": [0.7, 0.9], "spread": None,
           "accuracy": 0.95, "train_s": 61.2, "predict_s": 1.23456, "size_mb": 2.5, "runs": ["/a"]}  # fmt: skip
    second = {**row, "rank": 2, "model": "random forest", "iou": 0.5, "interval": None}
    lines = done_lines({"rows": [row, second], "score": "foreground_iou", "split": "test", "unfinished": []})
    assert lines[0].split() == [
        *[
            "rank",
            "model",
            "bands",
            "IoU",
            "95",
            "%",
            "spread",
            "accuracy",
            "training",
            "s",
            "prediction",
            "s",
            "MB",
        ]
    ]
    assert lines[1].split()[:8] == ["1", "U-Net", "all", "bands", "0.812", "0.700", "to", "0.900"]
    assert lines[2].split()[:6] == ["2", "random", "forest", "all", "bands", "0.500"]
    assert "split: test" in lines


def test_contenders_and_a_training_are_written_as_other_objects_are(tmp_path):
    contenders = [
        {"name": "small", "network": {"dataset": "", "width": 8}},
        {"name": "ml", "baseline": {"dataset": ""}},
    ]
    (tmp_path / "models.json").write_text(json.dumps(contenders), encoding="utf-8")
    asked = [
        "--dataset",
        "d",
        "--contenders",
        f"@{tmp_path}/models.json",
        "--seeds",
        "1",
        "2",
        "--minutes",
        "3",
    ]
    compared = job(tmp_path, "compare", *asked)
    assert [item["name"] for item in compared["contenders"]] == ["small", "ml"] and compared["seeds"] == [
        1,
        2,
    ]
    assert compared["contenders"][0]["network"]["width"] == 8
    searched = job(
        tmp_path, "search", "--training", "dataset=d", "epochs=4", "augment=flip,turn", "--parameters", "loss"
    )
    assert searched["training"]["augment"] == ["flip", "turn"] and searched["training"]["epochs"] == 4
    crossed = job(tmp_path, "crossvalidate", "--training", "dataset=d", "--no-ensemble")
    assert crossed["training"]["dataset"] == "d" and not crossed["ensemble"]


def engine_output(folder: Path, *flags: str) -> str:
    """What the command prints at a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "geoseg_engine", *flags, "--job-folder", str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(ENGINE)}
    done = subprocess.run(
        command, env=environ, stdout=its, stderr=subprocess.DEVNULL, timeout=300, check=False
    )
    os.close(its)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 1
    return text


def test_a_terminal_gets_sentences_and_json_where_asked(tmp_path):
    flags = ["stack", "--sources", "nowhere.tif", "--bands", '[{"name": "b", "source": "r1"}]']
    assert engine_output(tmp_path, *flags).startswith("Error: ")
    events = [json.loads(line) for line in engine_output(tmp_path, *flags, "--json").splitlines()]
    assert [event["type"] for event in events] == ["hello", "failed"]


def failure(folder: Path, *flags: str) -> dict[str, Any]:
    """The one event of a command whose output goes into a pipe."""
    command = [sys.executable, "-m", "geoseg_engine", *flags, "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ENGINE)}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    (line,) = done.stdout.splitlines()
    assert done.returncode == 1 and json.loads(line)["type"] == "failed"
    event: dict[str, Any] = json.loads(line)
    return event


def test_what_is_refused_before_there_is_a_job_is_an_event_too(tmp_path):
    """Without --bands the sources are opened while the job is written."""
    (tmp_path / "a.tif").write_text("no raster", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert failure(tmp_path, "stack", "--sources", "a.tif", "--output", "s.tif")["code"] == "cannot_open"
    assert failure(tmp_path, "stack", "--sources", "{oops", "--job-folder", "job")["code"] == "bad_flag"
    folder = failure(tmp_path, "stack", "--sources", "a.tif", "--job-folder", "file/job")
    assert folder["code"] == "not_writable" and "file/job" in folder["message"]
    assert failure(tmp_path, "run", "nowhere/job.json")["code"] == "not_writable"
    assert not (tmp_path / "nowhere").exists() and (tmp_path / "events.jsonl").exists()
