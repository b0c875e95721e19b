"""The job `compare` on a small scene: what it leaves, what it does not do twice, what it does when one fails."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from recorder import Recorder
from training_scenes import small_job, write_dataset

import geoseg_engine
from geoseg_engine.contract import (
    BandSet,
    Cancelled,
    CompareJob,
    Contender,
    ForestJob,
    GeoSegError,
    job_from_json,
    job_to_json,
    write_json,
)
from geoseg_engine.experiments import compare, runs, seed_ensemble
from geoseg_engine.training import fit

torch.set_num_threads(1)
FILES = ("comparison.json", "comparison.csv", "comparison.svg", "report.html")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


def job_for(dataset, **changes):
    settings = {
        "dataset": str(dataset),
        "contenders": (
            Contender("small U-Net", small_job("", epochs=2)),
            Contender("hasty U-Net", small_job("", epochs=1, steps_per_epoch=2)),
            Contender("likelihood", baseline=ForestJob("", method="maximum_likelihood")),
        ),
        "device": "cpu",
        "seeds": (1,),
        **changes,
    }
    return CompareJob(**settings)


@pytest.fixture(scope="module")
def compared(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    channel = Recorder(folder)
    return compare.run(job_for(dataset), folder, channel), channel, folder


@pytest.fixture
def untrained(monkeypatch):
    """Fail if anything is trained."""
    monkeypatch.setattr(fit, "run", lambda *_: pytest.fail("trained again"))


def test_the_comparison_ranks_and_leaves_its_files(compared):
    result, _, folder = compared
    rows = {row["model"]: row for row in result["rows"]}
    first = rows["small U-Net"]
    assert [row["rank"] for row in result["rows"]] == [1, 2, 3] and len(rows) == 3
    assert first["rank"] < rows["hasty U-Net"]["rank"] and first["iou"] > 0.5
    low, high = first["interval"]
    assert result["score"] == "foreground_iou" and low <= first["iou"] <= high
    assert first["bands"] == "all bands" and first["band_names"] == ["b1", "b2", "b3"]
    assert first["train_s"] > 0 and first["predict_s"] > 0 and first["size_mb"] > 0
    assert first["parameters"] > 1000 and first["seeds"] == [1] and first["device"]
    assert result["unfinished"] == [] and not result["cancelled"]
    assert all((folder / name).stat().st_size > 0 for name in FILES)
    saved = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert saved["rows"] == result["rows"]
    table = csv.DictReader((folder / "comparison.csv").open())
    assert [row["model"] for row in table] == [row["model"] for row in result["rows"]]


def test_every_run_has_a_folder_that_stands_alone(compared):
    result, _, folder = compared
    run = Path(result["rows"][0]["runs"][0])
    assert run.parent == folder / "runs"
    for name in ("job.json", "events.jsonl", "model.onnx", "metrics.json", "evaluation/metrics.json"):
        assert (run / name).exists()
    job = job_from_json(json.loads((run / "job.json").read_text(encoding="utf-8")))
    assert job.seed == 1 and Path(job.dataset).is_absolute() and job.problems() == []
    last = json.loads((run / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["type"] == "done"


def test_progress_counts_runs_and_epochs_are_log_lines(compared):
    _, channel, _ = compared
    progress = channel.of("progress")
    assert {item["phase"] for item in progress} == {"comparing"}
    done = [item["done"] for item in progress]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 3
    assert any(0 < value < 1 for value in done)
    assert channel.of("epoch") == []
    assert any("small U-Net, all bands, seed 1: epoch 2 of 2" in item["text"] for item in channel.of("log"))


def test_finished_runs_are_not_done_again(dataset, compared, untrained):
    result, _, folder = compared
    channel = Recorder(folder)
    again = compare.run(job_for(dataset), folder, channel)
    assert again["rows"] == result["rows"]


def test_other_settings_and_another_dataset_are_done_again(dataset, compared, tmp_path, untrained):
    run = Path(compared[0]["rows"][0]["runs"][0])
    job = job_from_json(json.loads((run / "job.json").read_text(encoding="utf-8")))
    assert runs.same_job(run, job) and not runs.same_job(run, small_job(job.dataset, seed=2))
    assert runs.finished_result(run, runs.dataset_digest(job.dataset)) is not None
    assert runs.finished_result(run, "another") is None
    with pytest.raises(GeoSegError) as caught:
        runs.dataset_digest(str(tmp_path / "nowhere.json"))
    assert caught.value.code == "no_dataset"


def test_a_run_under_former_field_names_is_the_same(tmp_path):
    job = small_job(tmp_path / "dataset.json", ema_decay=0.9)
    stored = job_to_json(job)
    stored["job"]["average"] = stored["job"].pop("ema_decay")
    stored["job"]["find_rate"] = stored["job"].pop("lr_range_test")
    (tmp_path / "job.json").write_text(json.dumps(stored), encoding="utf-8")
    assert runs.same_job(tmp_path, job)
    assert not runs.same_job(tmp_path, small_job(tmp_path / "dataset.json", ema_decay=0.8))


def test_a_failure_is_kept_and_the_others_go_on(dataset, tmp_path, monkeypatch):
    real = fit.run

    def run(job, folder, channel):
        if job.epochs == 2:
            raise MemoryError
        return real(job, folder, channel)

    monkeypatch.setattr(fit, "run", run)
    result = compare.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert {row["model"] for row in result["rows"]} == {"hasty U-Net", "likelihood"}
    (failed,) = result["unfinished"]
    assert failed["name"] == "small U-Net, all bands, seed 1" and failed["code"] == "out_of_memory"
    last = (Path(failed["folder"]) / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last)["code"] == "out_of_memory"
    assert "Not finished" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_lost_device_ends_the_comparison_which_can_be_resumed(dataset, tmp_path, monkeypatch):
    def run(*_):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(fit, "run", run)
    with pytest.raises(GeoSegError) as caught:
        compare.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "device_lost" and caught.value.hint


def test_where_nothing_can_be_trained_the_reason_is_told(dataset, tmp_path, monkeypatch):
    def run(*_):
        raise GeoSegError("no_training_pixels", "None.", "Draw.")

    monkeypatch.setattr(fit, "run", run)
    monkeypatch.setattr(runs.baseline, "run", run)
    with pytest.raises(GeoSegError, match="None of 3 runs") as caught:
        compare.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "nothing_compared" and caught.value.hint == "Draw."


def test_a_band_that_is_not_there_is_told_before_training(dataset, tmp_path, untrained):
    job = job_for(dataset, band_sets=(BandSet("radar", ("vv",)),))
    with pytest.raises(GeoSegError, match="vv") as caught:
        compare.run(job, tmp_path, Recorder(tmp_path))
    assert caught.value.code == "unknown_band"


def test_cancel_gives_what_is_finished_and_resume_the_rest(dataset, tmp_path):
    channel = Recorder(tmp_path, stop_at="hasty U-Net, all bands, seed 1: epoch")
    job = job_for(dataset, seeds=(1, 2))
    result = compare.run(job, tmp_path, channel)
    assert result["cancelled"] and [row["model"] for row in result["rows"]] == ["small U-Net"]
    assert json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))["rows"] == result["rows"]
    early = Recorder(tmp_path / "early", stop_at="small U-Net")
    with pytest.raises(Cancelled):
        compare.run(job, tmp_path / "early", early)


def test_several_processes_are_for_a_single_training(dataset, tmp_path, monkeypatch, untrained):
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(GeoSegError) as caught:
        compare.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "many_processes"


def test_networks_of_several_seeds_also_compete_as_one(dataset, compared, tmp_path, monkeypatch):
    one = Contender("hasty U-Net", small_job("", epochs=1, steps_per_epoch=2))
    job = job_for(dataset, contenders=(one,), seeds=(1, 2), tta="flips")
    result = compare.run(job, tmp_path, Recorder(tmp_path))
    rows = {row["model"]: row for row in result["rows"]}
    mean = rows["hasty U-Net, 2 seeds together"]
    assert mean["seeds"] == [1, 2] and mean["spread"] is None
    assert mean["train_s"] == pytest.approx(2 * rows["hasty U-Net"]["train_s"])
    assert (Path(mean["runs"][0]) / "model.onnx").exists()
    assert not any("another split" in text for text in mean["warnings"])
    monkeypatch.setattr(seed_ensemble, "write_ensemble", lambda *_: pytest.fail("written again"))
    again = compare.run(job, tmp_path, Recorder(tmp_path))
    assert again["rows"] == result["rows"]
    for error, cancelled in ((Cancelled(), True), (GeoSegError("export_mismatch", "It differs."), False)):
        monkeypatch.setattr(compare, "seed_ensembles", lambda *_, error=error: (_ for _ in ()).throw(error))
        left = compare.run(job, tmp_path, Recorder(tmp_path))
        assert [row["model"] for row in left["rows"]] == ["hasty U-Net"] and left["cancelled"] is cancelled


def test_names_that_fall_together_get_folders_of_their_own(dataset, tmp_path):
    contenders = (
        Contender("a/b", small_job("")),
        Contender("a:b", small_job("")),
        Contender("A b", small_job("")),
    )
    entries = compare.planned_runs(job_for(dataset, contenders=contenders), tmp_path, tmp_path)
    assert len({entry.folder for entry in entries}) == 3
    default = compare.planned_runs(CompareJob(str(dataset), seeds=(1, 2)), tmp_path, tmp_path)
    assert len(default) == 10 and {entry.seed for entry in default[:5]} == {1}


def test_a_kill_in_the_middle_costs_only_the_run_that_was_on(dataset, tmp_path):
    slow = small_job("", epochs=40, steps_per_epoch=15)
    contenders = (Contender("first", small_job("", epochs=1)), Contender("second", slow))
    write_json(tmp_path / "job.json", job_to_json(job_for(dataset, contenders=contenders)))
    start = [sys.executable, "-m", "geoseg_engine", "run", str(tmp_path / "job.json")]
    root = str(Path(geoseg_engine.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    engine = subprocess.Popen(start, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first, second = (tmp_path / "runs" / f"{name}_all-bands_seed1" for name in ("first", "second"))
    until = time.monotonic() + 120
    while not (second / "checkpoint.pt").exists() and time.monotonic() < until:
        assert engine.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert (
        json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))["rows"][0]["model"] == "first"
    )
    made = (first / "model.onnx").stat().st_mtime_ns
    subprocess.run(start, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    assert (first / "model.onnx").stat().st_mtime_ns == made, "the finished run is kept"
    assert "Resumed after epoch" in (second / "events.jsonl").read_text(encoding="utf-8")
    rows = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))["rows"]
    assert {row["model"] for row in rows} == {"first", "second"}
