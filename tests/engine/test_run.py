"""The engine command: guarded stdout, one last event, exit codes, errors with a next step."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg_engine import channel as channels
from geoseg_engine import cli, run
from geoseg_engine.contract import Cancelled, DescribeJob, GeoSegError, ProbeJob, job_to_json

TRAINING = Path(run.__file__).parents[1]


def engine(folder: Path, *arguments: str) -> tuple[int, list[dict], str]:
    """Run the engine as a process; returns exit code, events and stderr."""
    environment = {**os.environ, "PYTHONPATH": str(TRAINING)}
    command = [sys.executable, "-u", "-m", "geoseg_engine", *arguments]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def test_job_that_cannot_start_fails_with_one_last_event(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"protocol": "1.0", "kind": "dance"}), encoding="utf-8")
    code, events, _ = engine(tmp_path, "run", "job.json")
    assert code == run.EXIT_FAILED
    assert [event["type"] for event in events] == ["failed"]
    assert "dance" in events[0]["message"] and events[0]["hint"]
    assert not (tmp_path / "engine.pid").exists()


def test_the_folder_of_a_run_is_taken_for_its_model(tmp_path, capfd):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.onnx").write_bytes(b"no model")
    for name in ("run", "nothing"):
        (tmp_path / "job.json").write_text(json.dumps(job_to_json(DescribeJob(name))), encoding="utf-8")
        run.run_file(tmp_path / "job.json", channels.Channel(tmp_path))
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    codes = [event["code"] for event in told if event["type"] == "failed"]
    assert codes == ["not_our_model", "model_missing"]


def test_a_job_file_may_be_named_relative_to_the_caller(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "job.json").write_text(
        json.dumps({"protocol": "1.0", "kind": "dance"}), encoding="utf-8"
    )
    _, events, _ = engine(tmp_path, "run", "inner/job.json")
    assert "dance" in events[0]["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "mine.json is no job: it holds [1, 2]"),
        ("{}", "mine.json is no job: it holds {}"),
        ('{"protocol": "1.0", "kind": ["probe"]}', "mine.json is no job"),
        ("kind: probe", "mine.json is not valid JSON"),
    ],
)
def test_a_file_that_is_no_job_is_named_without_a_traceback(text, words, tmp_path):
    (tmp_path / "mine.json").write_text(text, encoding="utf-8")
    run.run_file(tmp_path / "mine.json", channels.Channel(tmp_path))
    failed = json.loads((tmp_path / "events.jsonl").read_text(encoding="utf-8"))
    assert (failed["type"], failed["code"], failed["details"]) == ("failed", "bad_json", "")
    assert words in failed["message"] and '"kind"' in failed["hint"]


def test_a_job_file_that_is_not_there_is_no_fault_of_ours(tmp_path):
    run.run_file(tmp_path / "gone.json", channels.Channel(tmp_path))
    failed = json.loads((tmp_path / "events.jsonl").read_text(encoding="utf-8"))
    assert failed["code"] == "file_missing" and "gone.json" in failed["message"] and not failed["details"]


def test_complaints_of_a_job_are_joined(tmp_path):
    data = {"protocol": "1.0", "kind": "train", "job": {"dataset": "d", "epochs": -1, "dropout": 2.0}}
    (tmp_path / "job.json").write_text(json.dumps(data), encoding="utf-8")
    code, events, _ = engine(tmp_path, "run", "job.json")
    assert code == run.EXIT_FAILED
    assert "Epochs: -1" in events[-1]["message"] and "Dropout: 2" in events[-1]["message"]


def test_native_prints_do_not_reach_the_channel(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from geoseg_engine.channel import Channel\n"
        "c = Channel.guarding_stdout(Path('.'))\n"
        "os.write(1, b'native rubbish\\n'); print('python rubbish'); c.log('clean')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TRAINING)}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert json.loads(ended.stdout)["text"] == "clean"
    assert "native rubbish" in ended.stderr and "python rubbish" in ended.stderr
    assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == ended.stdout


def test_progress_is_the_cancel_point(tmp_path):
    channel = channels.Channel(tmp_path)
    channel.progress("reading", 1, 2)
    (tmp_path / "cancel").touch()
    with pytest.raises(Cancelled):
        channel.progress("reading", 2, 2)


def test_reader_that_goes_away_does_not_stop_the_job(tmp_path):
    reading, writing = os.pipe()
    channel = channels.Channel(tmp_path, os.fdopen(writing, "w", encoding="utf-8"))
    os.close(reading)
    for number in range(3):
        channel.log(f"line {number}")
    assert len((tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.tif"), "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied", "a.tif"), "not_writable"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.tif"), "file_missing"),
        (FileNotFoundError("a.tif is not here"), "file_missing"),
        (FileNotFoundError(errno.ENOENT, "No such file", Path("a.tif")), "file_missing"),
        (FileNotFoundError(errno.ENOENT, "No such file", 3), "file_missing"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), "file_missing"),
        (OSError(errno.ELOOP, "Too many links"), "file_missing"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out_of_gpu_memory"),
        (ZeroDivisionError("division by zero"), "internal"),
    ],
)
def test_every_failure_has_a_code_and_a_next_step(error, code):
    translated = run.translate(error, "details")
    assert translated.code == code and translated.hint and translated.message


def test_flags_and_job_file_make_the_same_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = cli.parser().parse_args(["train", "--dataset", "d.json", "--epochs", "3", "--augment", "none"])
    data = json.loads(cli.write_job(options).read_text(encoding="utf-8"))
    assert data["kind"] == "train"
    assert (
        data["job"]["epochs"] == 3
        and data["job"]["augment"] == ["none"]
        and data["job"]["dataset"] == "d.json"
    )


def test_flag_that_is_no_json_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = cli.parser().parse_args(["rasterize", "--stack", "s.tif", "--labels", "{oops"])
    with pytest.raises(GeoSegError, match="labels"):
        cli.write_job(options)


def test_probe_job_needs_no_fields():
    assert job_to_json(ProbeJob())["job"] == {}


def test_labels_are_a_file_where_the_job_wants_one_and_polygons_where_it_wants_those(tmp_path):
    """The job's own type decides, not the ending of the name."""
    for name in ("slides.gpkg", "slides.tif", "s.tif"):
        (tmp_path / name).touch()
    slides = str(tmp_path / "slides.gpkg")
    common = ["--stack", str(tmp_path / "s.tif"), "--job-folder", str(tmp_path)]
    tile = json.loads(
        cli.write_job(cli.parser().parse_args(["tile", "--labels", slides, *common])).read_text(
            encoding="utf-8"
        )
    )
    assert tile["job"]["labels"] == slides
    for name in ("slides.gpkg", "slides.tif"):
        flags = ["rasterize", "--labels", str(tmp_path / name), *common]
        burnt = json.loads(cli.write_job(cli.parser().parse_args(flags)).read_text(encoding="utf-8"))
        assert burnt["job"]["labels"]["path"] == str(tmp_path / name)


def test_an_empty_flag_is_an_empty_text(tmp_path):
    flags = ["predict", "--model", "m.onnx", "--confidence", "", "--job-folder", str(tmp_path)]
    job = json.loads(cli.write_job(cli.parser().parse_args(flags)).read_text(encoding="utf-8"))["job"]
    assert job["confidence"] == ""
