"""Planning, preview, a baseline and its map through the plugin's tasks and the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine_runs import run

from geoseg_plugin.contract import (
    EvaluateJob,
    ForestJob,
    TrainJob,
)
from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.jobs import predict, train
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.panel.records import dataset_of
from geoseg_plugin.records.workspace import entry_of
from geoseg_plugin.steps.train.state import plan_sentence


def test_a_training_is_planned_in_words(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path: Path
) -> None:
    job = TrainJob(str(dataset), device="cpu", precision="float32")
    _, done, failed = run(environment, train.plan(tmp_path, job))
    assert failed == []
    text = plan_sentence(done[0])
    assert text.startswith("Crops of") and "parameters" in text and " on CPU" in text
    assert done[0]["reasons"] and not (tmp_path / "model.onnx").exists()


def test_a_preview_is_a_picture(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path: Path
) -> None:
    _, done, failed = run(environment, train.preview(tmp_path, TrainJob(str(dataset)), 4))
    assert failed == [] and (tmp_path / done[0]["image"]).stat().st_size > 0 and done[0]["sentences"]


def test_a_baseline_is_planned_trained_judged_and_applied(
    qgis_app: Any, environment: Environment, dataset: Path, forest: Path, tmp_path: Path
) -> None:
    job = ForestJob(str(dataset), trees=10, depth=6, features=1, search=False)
    _, done, failed = run(environment, train.plan(tmp_path / "plan", job))
    assert failed == [] and plan_sentence(done[0]).endswith(".")
    entry = entry_of(forest, train.MODEL)
    assert entry.finished and entry.state == "done" and not entry.resumable
    assert dataset_of(forest) == dataset
    job = EvaluateJob(str(dataset), str(forest / train.MODEL), split="test")
    judged = Submission(job, tmp_path / "evaluation", "")
    _, done, failed = run(environment, judged)
    assert failed == [] and done[0]["miou"] > 0.5
    mapped = predict.predict(tmp_path / "map", forest / train.MODEL, outputs=("confidence",))
    _, _, failed = run(environment, mapped)
    assert failed == [] and (tmp_path / "map" / "classes.tif").exists()
    record = json.loads((forest / train.METRICS).read_text(encoding="utf-8"))
    assert record["architecture"]["name"] == "forest" and record["miou"] > 0.5
