"""The line between the processes: what is written is read back, and complaints come all at once."""

import json
import re
import typing
from pathlib import Path

import pytest
from job_examples import EXAMPLES, SOURCES

from geoseg_engine import run as engine_run
from geoseg_engine.contract import (
    DATA_OF_KINDS,
    DERIVATIONS,
    JOBS,
    PHASES,
    PROTOCOL,
    Area,
    Band,
    CheckJob,
    CompareJob,
    DescribeJob,
    EvaluateJob,
    ForestJob,
    GeoSegError,
    Labels,
    PredictJob,
    ProbeJob,
    RasterizeJob,
    SearchJob,
    Source,
    SourceKind,
    StackJob,
    SummarizeJob,
    TileJob,
    TrainJob,
    encode,
    job_from_json,
    job_to_json,
    types_of,
    with_files_of_runs,
)


def test_every_job_has_an_example():
    assert {job.kind for job in EXAMPLES} == set(JOBS)


@pytest.mark.parametrize("job", EXAMPLES, ids=lambda job: job.kind)
def test_json_round_trip_is_identity(job):
    assert job_from_json(json.loads(json.dumps(job_to_json(job)))) == job
    assert job.problems() == []


def test_unknown_field_is_named():
    data = job_to_json(ProbeJob())
    data["job"]["colour"] = "red"
    with pytest.raises(GeoSegError, match="colour"):
        job_from_json(data)


def test_a_former_name_beside_the_new_one_is_refused_as_such():
    for training in ({"find_rate": True, "lr_range_test": True}, {"average": 0.9, "ema_decay": 0.8}):
        old = next(iter(training))
        data = {"training": {"dataset": "d", **training}}
        with pytest.raises(GeoSegError, match=f"'{old}' is the former name"):
            job_from_json({"protocol": PROTOCOL, "kind": "search", "job": data})


def test_settings_of_an_object_are_its_fields():
    assert not {"kind", "worker", "title", "phases"} & {*types_of(TrainJob)}


def test_a_number_out_of_range_is_given_with_all_its_digits():
    (found,) = TrainJob("d", seed=2**32).problems()
    assert "4,294,967,296" in found.message and "4,294,967,295" in found.hint
    (found,) = ForestJob("d", texture_px=(33,)).problems()
    assert found.hint == "Choose 3 to 31, or leave it out."


def test_phases_that_the_engine_sends_have_a_text():
    engine = Path(engine_run.__file__).parent
    sent = {
        phase
        for file in engine.rglob("*.py")
        for phase in re.findall(
            r'(?m)(?:channel\.progress\(|^PHASE = |phase=)"([^"]+)"', file.read_text(encoding="utf-8")
        )
    }
    assert len(sent) > 10 and sent <= {*PHASES}


def test_other_major_protocol_is_refused_and_minor_is_not():
    data = job_to_json(ProbeJob())
    assert job_from_json({**data, "protocol": "1.99"}) == ProbeJob()
    with pytest.raises(GeoSegError) as caught:
        job_from_json({**data, "protocol": "2.0"})
    assert caught.value.code == "protocol"


def test_all_complaints_come_at_once():
    job = TileJob("stack.tif", "labels.tif", tile_px=50, stride_px=80, fractions=(0.5, 0.1, 0.1))
    assert [problem.code for problem in job.problems()] == ["tile_px", "stride_px", "fractions"]
    assert all(problem.hint for problem in job.problems())


def test_bands_must_be_named_apart_and_have_a_source():
    job = StackJob(SOURCES[:1], (Band("b", "r1"), Band("b", "r1", 2), Band("c", "dem")))
    assert {problem.code for problem in job.problems()} == {"unknown_source", "band_names"}


def test_numbers_that_json_cannot_hold_become_null():
    assert encode({"iou": float("nan"), "loss": [float("inf"), 1.0]}) == {"iou": None, "loss": [None, 1.0]}


@pytest.mark.parametrize(
    ("kind", "job", "words"),
    [
        ("rasterize", {"stack": "s.tif", "labels": {"path": "a", "unlabelled": "nothing"}},
         ("'unlabelled' is 'nothing'", "background, unknown or auto")),
        ("train", {"dataset": "d", "precision": "half"}, ("'precision' is 'half'", "auto, float32 or bf16")),
        ("predict", {"model": "m", "runtime": "gpu"}, ("'runtime' is 'gpu'", "auto, torch, onnx or openvino")),
        ("rasterize", {"stack": "s", "labels": {"path": "a"}, "area": {"kind": "hull"}},
         ("'kind' is 'hull'", "concave_hull")),
        ("rasterize", {"stack": "s", "labels": "a.gpkg"}, ("'labels' is 'a.gpkg'", '{"path": "…"}')),
        ("rasterize", {"stack": "s", "labels": {"path": "a"}, "area": "hull"}, ("'area' is 'hull'", '"kind"')),
        ("stack", {"sources": "a.tif", "bands": []}, ("'sources' is 'a.tif'", "a list", '"key"')),
        ("stack", {"sources": ["a.tif"], "bands": []}, ("'sources' is 'a.tif'", "object", '"path"')),
        ("tile", {"stack": "s", "labels": "l", "fractions": [0.5, 0.5]}, ("'fractions' has 2 values instead of 3",)),
        ("tile", {"stack": "s", "labels": {"path": "l"}}, ("'labels' is {", "a text")),
        ("tile", {"stack": "s", "labels": "l", "tile_px": "64"}, ("'tile_px' is '64'", "a whole number")),
        ("tile", {"stack": "s", "labels": "l", "tile_px": 64.5}, ("'tile_px' is 64.5", "a whole number")),
        ("tile", {"stack": "s", "labels": "l", "tilepx": 64}, ("'tilepx'", "tile_px, stride_px")),
        ("tile", {"stack": "s"}, ("lacks the field 'labels'", "tile_px, stride_px")),
        ("train", {"dataset": "d", "resume": "yes"}, ("'resume' is 'yes'", "true or false")),
        ("train", [], ("TrainJob", "object")),
    ],
)  # fmt: skip
def test_json_that_makes_no_job_is_named_with_what_would(kind, job, words):
    with pytest.raises(GeoSegError) as caught:
        job_from_json({"protocol": "1.0", "kind": kind, "job": job})
    said = f"{caught.value.message} {caught.value.hint}"
    assert caught.value.code == "bad_json" and caught.value.hint
    assert [word for word in words if word not in said] == [], said


def test_numbers_become_the_type_of_their_field():
    job = job_from_json(
        {"protocol": "1.0", "kind": "train", "job": {"dataset": "d", "epochs": 3.0, "dropout": 0}}
    )
    assert isinstance(job.epochs, int) and isinstance(job.dropout, float)


DEM = Source("dem", "dem.tif")


@pytest.mark.parametrize(
    ("band", "code"),
    [
        (Band("a", "dem", 0), "band_index"),
        (Band("a", "dem", derive="lee", parameters={"size_px": "wide"}), "bad_parameter"),
        (Band("a", "dem", derive="lee", parameters={"looks": 0}), "bad_parameter"),
        (Band("a", "dem", derive="distance", parameters={"limit_m": -5}), "bad_parameter"),
        (Band("a", "dem", fill="nan"), "fill"),
        (
            Band("a", derive="expression", parameters={"expression": "x"}, inputs={"x": "none"}),
            "unknown_input",
        ),
        (Band("a", "elsewhere"), "unknown_source"),
    ],
)
def test_bands_that_cannot_be_are_refused_by_every_job_that_takes_them(band, code):
    jobs = (
        StackJob((DEM,), (band,)),
        CheckJob((DEM,), Labels("l.gpkg"), (band,)),
        SummarizeJob(sources=(DEM,), bands=(band,)),
    )
    for job in jobs:
        assert [problem.code for problem in job.problems()] == [code]


def test_gaps_of_intermediates_cannot_be_filled():
    job = StackJob((DEM,), (Band("a", "dem"),), intermediates=(Band("b", "dem", fill="0"),))
    assert [problem.code for problem in job.problems()] == ["fill"]


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (TileJob("s.tif", "l.tif", area=Area("polygons", split_field="split")), "no_area"),
        (TileJob("s.tif", "l.tif", split_areas=(Area("extent"), Area(), Area())), "no_extent"),
        (TileJob("s.tif", "l.tif", block_px=-5), "block_px"),
        (TileJob("s.tif", "l.tif", fractions=(float("nan"), 0.5, 0.5)), "fractions"),
        (RasterizeJob("s.tif", Labels("l.gpkg", border_px=-3)), "border_px"),
        (SummarizeJob("s.tif", sample_px=-1), "sample_px"),
        (EvaluateJob(prediction="m.tif", truth=Labels("l.gpkg", border_px=-3)), "border_px"),
        (CompareJob("d", seeds=(1, -1)), "seeds"),
        (PredictJob("m.onnx", core_px=-5), "core_px"),
        (PredictJob("m.onnx", core_px=15), "core_px"),
    ],
)
def test_numbers_and_areas_that_cannot_be_are_refused_beforehand(job, code):
    assert [problem.code for problem in job.problems()] == [code]


def test_the_value_of_a_core_is_said_and_that_0_finds_one():
    (problem,) = PredictJob("m.onnx", core_px=7).problems()
    assert "7 px" in problem.message and "16 to 65,536, or 0" in problem.hint
    assert not PredictJob("m.onnx", core_px=16).problems()


def test_a_run_folder_stands_for_its_model(tmp_path):
    run = tmp_path / "runs" / "north"
    run.mkdir(parents=True)
    for name in ("model.onnx", "encoder.pt"):
        (run / name).touch()
    asked = TrainJob(dataset="d", start_from="runs/north", weights=str(run))
    search = with_files_of_runs(SearchJob(asked), tmp_path)
    assert search.training.start_from == "runs/north/model.onnx" and search.training.weights == str(
        run / "encoder.pt"
    )
    assert with_files_of_runs(PredictJob(str(run)), tmp_path).model == str(run / "model.onnx")
    for job in (
        TrainJob(dataset="d", weights="imagenet"),
        DescribeJob("runs/north/model.onnx"),
        DescribeJob(str(tmp_path)),
        EvaluateJob(dataset="d", prediction="runs/north"),
        ProbeJob(),
    ):
        assert with_files_of_runs(job, tmp_path) == job


def test_a_job_is_listed_by_the_module_that_declares_it():
    assert [kind for kind in JOBS if JOBS[kind].kind != kind or not JOBS[kind].worker] == []
    assert {"stack", "train", "compare", "predict", "evaluate", "describe"} <= set(JOBS)


def test_every_kind_of_source_says_what_is_derived_from_it_and_what_its_data_are():
    kinds = set(typing.get_args(SourceKind))
    assert set(DERIVATIONS) == kinds == set(DATA_OF_KINDS)
