"""The job `search`: the automatic settings first, trials around them, pruning, and going on where it stopped."""

import csv
import json
import math

import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from recorder import Recorder
from training_scenes import small_job, write_dataset

from geoseg_engine.contract import (
    Cancelled,
    GeoSegError,
    SearchJob,
    encode,
    job_from_json,
    write_json,
)
from geoseg_engine.contract.experiment_jobs import SEARCHED
from geoseg_engine.experiments import runs, search, study
from geoseg_engine.experiments.search import score_of
from geoseg_engine.experiments.search_space import settings, space, values
from geoseg_engine.modelfile.reading import read_model

torch.set_num_threads(1)
PLAN = {
    "learning_rate": 1e-3, "weight_decay": 0.01, "loss": "ce+tversky", "width": 20, "levels": 3, "dropout": 0.1,
    "augment": ("flip", "turn"), "by_class": 0.33,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


class Pretended:
    """Stands for a training: the nearer the learning rate is to 0.01, the better the score."""

    def __init__(self, monkeypatch, epochs=8, fails=lambda job: False):
        self.jobs, self.epochs, self.fails = [], epochs, fails
        monkeypatch.setattr(runs.fit, "run", self.run)

    def run(self, job, folder, channel):
        self.jobs.append(job)
        if self.fails(job):
            raise GeoSegError("loss_not_finite", "The loss became nan.", "Smaller.")
        rate = job.learning_rate or 1e-3
        history = []
        for epoch in range(1, self.epochs + 1):
            channel.check_cancelled()
            score = math.exp(-abs(math.log10(rate) + 2)) * epoch / self.epochs
            row = {"epoch": epoch, "train_loss": 1.0, "validation_loss": 1 - score, "miou": score}
            row |= {"iou": [0.9, score], "f1": [0.9, score], "learning_rate": rate, "best": True}
            history.append(row)
            channel.send("epoch", epochs=self.epochs, tiles_per_s=1.0, seconds_left=0.0, **row)
        plan = {**PLAN, "learning_rate": rate}
        write_json(folder / "history.json", history)
        (folder / "model.onnx").write_text(f"rate {rate}", encoding="utf-8")
        write_json(
            folder / "metrics.json",
            {"job": encode(job), "plan": plan, "architecture": {"name": "unet", "width": 20, "dropout": 0.1}},
        )
        return {"cancelled": False, "miou": score, "warnings": []}


def job_for(dataset, **changes):
    return SearchJob(
        **{"training": small_job(dataset), "parameters": ("learning_rate", "loss"), "trials": 8, **changes}
    )


def test_the_first_trial_is_the_automatic_one_and_the_best_is_kept(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    job = job_for(dataset, training=small_job(dataset, learning_rate=0.0))
    channel = Recorder(tmp_path)
    result = search.run(job, tmp_path, channel)
    assert trainings.jobs[0].learning_rate == 0 and len(trainings.jobs) == 8
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    assert [int(row["trial"]) for row in rows] == list(range(1, 9))
    assert float(rows[0]["learning_rate"]) == 1e-3 and float(rows[0]["score"]) == result["automatic"]
    assert {row["state"] for row in rows} <= {"finished", "pruned"}
    finished = [float(row["score"]) for row in rows if row["state"] == "finished"]
    assert result["score"] == max(finished) >= result["automatic"]
    best = job_from_json(json.loads((tmp_path / "best.json").read_text(encoding="utf-8")))
    assert best.problems() == []
    rate = best.learning_rate or 1e-3
    assert (tmp_path / "model.onnx").read_text(encoding="utf-8") == f"rate {rate}"
    progress = channel.of("progress")
    assert {item["phase"] for item in progress} == {"searching"} and progress[-1]["total"] == 8


def test_trials_that_fall_behind_are_pruned_and_that_is_no_error(dataset, tmp_path, monkeypatch):
    Pretended(monkeypatch)
    result = search.run(job_for(dataset, trials=16), tmp_path, Recorder(tmp_path))
    pruned = [row for row in result["trials"] if row["state"] == "pruned"]
    assert pruned and all(3 <= row["epochs"] < 8 and not row["error"] for row in pruned)
    events = (
        (tmp_path / "trials" / str(pruned[0]["trial"]) / "events.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    last = json.loads(events[-1])
    assert last["type"] == "done" and "pruned" in last["result"]["ended_early"]


def test_a_trial_that_fails_counts_and_the_search_goes_on(dataset, tmp_path, monkeypatch):
    Pretended(monkeypatch, fails=lambda job: job.learning_rate not in (0.0, 5e-3) and job.loss != "ce")
    result = search.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    failed = [row for row in result["trials"] if row["state"] == "failed"]
    assert failed and failed[0]["error"] == "The loss became nan." and len(result["trials"]) == 8


def test_it_goes_on_where_it_was_broken_off(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    channel = Recorder(tmp_path, stop_at="Trial 4: epoch 2")
    result = search.run(job_for(dataset), tmp_path, channel)
    assert result["cancelled"] and result["score"] > 0
    broken = trainings.jobs[-1]
    again = search.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert len(trainings.jobs) == 4 + 5, "three are kept, five are left"
    assert trainings.jobs[4].learning_rate == broken.learning_rate, "the one that was broken off comes first"
    assert not again["cancelled"]
    counted = [row for row in again["trials"] if row["state"] in ("finished", "pruned")]
    assert len(counted) == 8


def test_a_kill_leaves_a_trial_that_is_begun_anew(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch, fails=lambda job: len(trainings.jobs) == 3 and killed())

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    trainings.fails = lambda job: False
    result = search.run(job_for(dataset), tmp_path, Recorder(tmp_path))
    assert trainings.jobs[3].learning_rate == trainings.jobs[2].learning_rate
    assert len([row for row in result["trials"] if row["state"] in ("finished", "pruned")]) == 8


def test_more_trials_can_be_added_but_not_of_another_search(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    search.run(job_for(dataset, trials=3), tmp_path, Recorder(tmp_path))
    search.run(job_for(dataset, trials=5), tmp_path, Recorder(tmp_path))
    assert len(trainings.jobs) == 5
    with pytest.raises(GeoSegError) as caught:
        search.run(job_for(dataset, parameters=("width",)), tmp_path, Recorder(tmp_path))
    assert caught.value.code == "resume_mismatch"
    search.run(job_for(dataset, parameters=("width",), trials=2, resume=False), tmp_path, Recorder(tmp_path))


def test_a_study_under_former_field_names_resumes(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    search.run(job_for(dataset, trials=3), tmp_path, Recorder(tmp_path))
    for path in (tmp_path / study.FILE, *tmp_path.rglob("job.json")):
        text = path.read_text(encoding="utf-8")
        renamed = text.replace("lr_range_test", "find_rate").replace("ema_decay", "average")
        assert renamed != text
        path.write_text(renamed, encoding="utf-8")
    search.run(job_for(dataset, trials=5), tmp_path, Recorder(tmp_path))
    assert len(trainings.jobs) == 5, "three are kept"


def test_the_same_seed_proposes_the_same(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    for name in ("a", "b"):
        search.run(job_for(dataset, output=name, trials=7), tmp_path, Recorder(tmp_path))
    tried = [(job.learning_rate, job.loss) for job in trainings.jobs]
    assert tried[:7] == tried[7:] and len(set(tried[1:7])) > 4


def test_time_and_cancel_end_it(dataset, tmp_path, monkeypatch):
    trainings = Pretended(monkeypatch)
    search.run(job_for(dataset, max_minutes=1e-9), tmp_path, Recorder(tmp_path))
    assert len(trainings.jobs) == 1
    with pytest.raises(Cancelled):
        search.run(job_for(dataset, output="c"), tmp_path, Recorder(tmp_path, stop_at="Trial 1: epoch"))


def test_settings_that_the_network_lacks_are_left_out(dataset, tmp_path, monkeypatch):
    Pretended(monkeypatch)
    channel = Recorder(tmp_path)
    result = search.run(job_for(dataset, parameters=("levels", "dropout"), trials=2), tmp_path, channel)
    assert set(result["best"]) == {"dropout"}
    assert any("unet has no levels" in item["text"] for item in channel.of("log"))
    with pytest.raises(GeoSegError) as caught:
        search.run(job_for(dataset, parameters=("levels",), output="b"), tmp_path, channel)
    assert caught.value.code == "nothing_to_search"


def test_every_parameter_has_values_and_the_plans_is_among_them():
    distributions, now = space(SEARCHED, PLAN), values(SEARCHED, PLAN)
    assert set(distributions) == set(SEARCHED)
    for name, distribution in distributions.items():
        assert distribution._contains(distribution.to_internal_repr(now[name])), name
    assert isinstance(distributions["width"], CategoricalDistribution)
    assert isinstance(distributions["levels"], IntDistribution) and distributions["levels"].low == 1
    assert (
        isinstance(distributions["learning_rate"], FloatDistribution) and distributions["learning_rate"].log
    )
    none = space(("weight_decay",), {"weight_decay": 0.0})["weight_decay"]
    assert none._contains(0.0)
    assert settings(now)["augment"] == ("flip", "turn")
    assert settings(values(("augment",), {"augment": ()}))["augment"] == ("none",)


def test_the_score_is_what_training_monitors():
    row = {"miou": 0.6, "validation_loss": 0.3, "iou": [0.9, 0.4], "f1": [0.8, None, 0.4]}
    assert score_of(row, "miou") == 0.6 and score_of(row, "loss") == 0.3
    assert score_of(row, "foreground_iou") == 0.4 and score_of(row, "f1") == pytest.approx(0.6)
    assert score_of({**row, "iou": [0.1, 0.2, 0.3]}, "foreground_iou") is None


def test_lower_is_better_where_the_loss_is_monitored(dataset, tmp_path, monkeypatch):
    Pretended(monkeypatch)
    job = job_for(dataset, training=small_job(dataset, monitor="loss"), trials=5)
    result = search.run(job, tmp_path, Recorder(tmp_path))
    assert result["score"] == min(row["score"] for row in result["trials"] if row["state"] == "finished")


def test_a_real_search_leaves_a_model(dataset, tmp_path):
    job = SearchJob(small_job(dataset, epochs=2), ("learning_rate", "width", "augment"), trials=2)
    result = search.run(job, tmp_path, Recorder(tmp_path))
    assert read_model(tmp_path / "model.onnx").classes
    assert result["trials"][0]["width"] == 4 and len(result["trials"]) == 2
