"""What is handed on (model file, report, STAC item) says nothing of folders and people of the machine it is from."""

import json
import shutil
from dataclasses import replace

import onnx
import pytest
from recorder import Recorder
from training_scenes import small_job, write_dataset

from geoseg_engine.baselines import fit as baselines
from geoseg_engine.contract import (
    Dataset,
    EvaluateJob,
    ForestJob,
    PredictJob,
    Problem,
    encode,
    file_name,
    names_only,
    read_json,
    without_folders,
    write_json,
)
from geoseg_engine.evaluation import evaluate
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.training_tiles import trained_on
from geoseg_engine.report.evaluation import write_report
from geoseg_engine.training import fit

SECRET = "Jane Doe.private"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A dataset whose warnings name a path, in a folder that nobody else should read of."""
    folder = tmp_path_factory.mktemp("home") / SECRET
    (folder / "data").mkdir(parents=True)
    path = write_dataset(folder / "data")
    dataset = read_json(Dataset, path)
    told = Problem("told", f"The file {folder / 'data' / 'image.tif'} has no CRS.", "", "warning")
    write_json(path, {**encode(dataset), "warnings": [encode(told)]})
    return folder


@pytest.fixture(scope="module")
def network(home):
    folder = home / "runs" / "net"
    job = small_job(home / "data" / "dataset.json", epochs=1)
    channel = Recorder(folder)
    fit.run(job, folder, channel)
    return folder


@pytest.fixture(scope="module")
def forest(home):
    folder = home / "runs" / "forest"
    job = ForestJob(str(home / "data"), trees=5, search=False, pixels=500)
    channel = Recorder(folder)
    baselines.run(job, folder, channel)
    write_json(folder / "job.json", {"protocol": "1.0", "kind": "trainforest", "job": encode(job)})
    return folder


def assert_names_only(content, home):
    for word in (SECRET, "Jane", str(home.parent), "site-packages", "geoseg_engine/", "/tmp"):
        assert word.encode() not in content, word


def judge(run, home):
    channel = Recorder(run / "evaluation")
    job = EvaluateJob(dataset=str(home / "data"), model=str(run / "model.onnx"), split="validation")
    evaluate.run(job, run / "evaluation", channel)
    return run / "evaluation"


@pytest.mark.parametrize("kind", ["network", "forest"])
def test_a_run_hands_on_names_only(kind, home, network, forest):
    run = network if kind == "network" else forest
    for file in (run / "model.onnx", run / "model.stac.json", judge(run, home) / "report.html"):
        assert_names_only(file.read_bytes(), home)


def test_a_model_in_its_runs_folder_finds_its_files(home, network, forest, tmp_path):
    for run in (network, forest):
        model = read_model(run / "model.onnx")
        assert model.recipe.sources[0].path == str(home / "data" / "image.tif")
        assert trained_on(model)[1] == home / "data"
        found = predict.run(PredictJob(str(run / "model.onnx"), dry_run=True), tmp_path, Recorder(tmp_path))
        assert not [problem for problem in found["problems"] if problem.severity == "error"]


@pytest.mark.parametrize(
    ("below", "job"), [("together/x", {"dataset": "data"}), (".", {"training": {"dataset": "data"}})]
)
def test_means_of_networks_find_their_files_by_the_job_that_made_them(below, job, home, network, tmp_path):
    """Their fingerprint is that of no dataset; so is that of a dataset which was labelled anew."""
    shutil.copytree(home / "data", tmp_path / "data")
    dataset = read_json(Dataset, tmp_path / "data" / "dataset.json")
    write_json(tmp_path / "data" / "dataset.json", replace(dataset, fingerprint="another"))
    write_json(tmp_path / "job.json", {"protocol": "1.0", "kind": "any", "job": job})
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    model = shutil.copy(network / "model.onnx", tmp_path / below / "model.onnx")
    assert read_model(model).recipe.sources[0].path == str(home / "data" / "image.tif")
    grid = replace(dataset.recipe.grid, width=dataset.recipe.grid.width - 1)
    write_json(
        tmp_path / "data" / "dataset.json", replace(dataset, recipe=replace(dataset.recipe, grid=grid))
    )
    assert read_model(model).recipe.sources[0].path == "image.tif", "files of another ground"


def test_a_model_elsewhere_asks_for_its_layers_and_knows_them_by_name(home, network, tmp_path):
    shutil.copy(network / "model.onnx", tmp_path / "model.onnx")
    assert read_model(tmp_path / "model.onnx").recipe.sources[0].path == "image.tif"
    channel = Recorder(tmp_path)
    alone = predict.run(PredictJob("model.onnx", dry_run=True), tmp_path, channel)
    assert [(item.code, "its layers 'image'" in item.message) for item in alone["problems"]] == [
        ("no_sources", True)
    ]
    source = read_json(Dataset, home / "data" / "dataset.json").recipe.sources[0]
    given = predict.run(PredictJob("model.onnx", sources=(source,), dry_run=True), tmp_path, channel)
    assert not given["problems"] and given["matched"][0]["file"] == source.path


def test_a_report_has_no_path_in_any_of_its_words(home, network, tmp_path):
    metrics = json.loads((judge(network, home) / "metrics.json").read_text(encoding="utf-8"))
    metrics["warnings"] = [
        {"message": f"{home}/a b/c.tif is empty.", "hint": rf"See C:\Users\{SECRET}\x.txt"}
    ]
    write_report(tmp_path / "report.html", metrics, run_folder=network)
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert SECRET not in content and "c.tif is empty." in content and "See x.txt" in content


def test_the_graph_keeps_nothing_of_the_code_it_came_from(network):
    graph = onnx.load(network / "model.onnx").graph
    assert not any(node.doc_string or node.metadata_props for node in graph.node)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/jane/data/a.tif", "a.tif"),
        ("The file /home/jane doe/a.tif and b/c are one.", "The file a.tif and b/c are one."),
        ("C:\\Users\\Jane Doe\\a.tif has no CRS", "a.tif has no CRS"),
        ("\\\\server\\share\\a.tif", "a.tif"),
        ('NETCDF:"/home/jane/a.nc":NDVI', 'NETCDF:"a.nc":NDVI'),
        ("/vsizip//home/jane/a.zip/b.tif", "b.tif"),
        ("file:///home/jane/a.gpkg|layername=x", "a.gpkg|layername=x"),
        ("See '/home/jane/a.tif'.", "See 'a.tif'."),
        ("NAD83 / UTM zone 10N", "NAD83 / UTM zone 10N"),
        ("(a - b) / (a + b) / c", "(a - b) / (a + b) / c"),
        ("5 km/h on 2020/01/02", "5 km/h on 2020/01/02"),
        ("https://schema.example/v1/a.json", "https://schema.example/v1/a.json"),
    ],
)
def test_folders_are_taken_out_of_texts_and_nothing_else(text, left):
    assert without_folders(text) == left
    assert names_only({"a": [text, 1, None]}) == {"a": [left, 1, None]}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b/c.tif", "c.tif"),
        ("b/c.tif", "c.tif"),
        ("D:\\b\\c.tif", "c.tif"),
        ("/a/folder/", "folder"),
        ("https://host/b/c.tif?token=secret", "c.tif"),
        ("PG:dbname=x user=jane password=y", "PG"),
        ("", ""),
    ],
)
def test_a_files_name(path, name):
    assert file_name(path) == name
