"""What a training leaves beside its model: history.csv, TensorBoard's event files, provenance."""

import csv
import json

import pytest
import torch
from training_scenes import CLASSES, small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.training import fit, logs

torch.set_num_threads(1)


class Talkative(Channel):
    """Keeps what is logged."""

    def __init__(self, folder):
        super().__init__(folder)
        self.said = []

    def log(self, text, level="info"):
        self.said.append((level, text))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    dataset = write_dataset(folder / "data")
    fit.run(small_job(dataset, epochs=2, steps_per_epoch=4), folder, Channel(folder))
    return folder, dataset


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / logs.TENSORBOARD_FOLDER))
    found.Reload()
    return found


def test_tensorboard_gets_curves_and_a_picture(run):
    folder, _ = run
    found = events(folder)
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    for tag, key in (("loss/train", "train_loss"), ("miou", "miou"), ("learning rate", "learning_rate")):
        assert [item.value for item in found.Scalars(tag)] == pytest.approx([row[key] for row in history])
    assert {f"iou/{item.name}" for item in CLASSES} <= set(found.Tags()["scalars"])
    assert len(found.Images(found.Tags()["images"][0])) == 1


def test_the_table_holds_the_rows_of_the_history(run):
    folder, _ = run
    with (folder / logs.CSV_FILE).open() as file:
        table = list(csv.DictReader(file))
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert [int(row["epoch"]) for row in table] == [1, 2]
    for row, kept in zip(table, history, strict=True):
        assert float(row["train_loss"]) == kept["train_loss"]
        assert float(row["iou scar"]) == pytest.approx(kept["iou"][1])


def test_a_resumed_run_goes_on_in_the_same_curves(run):
    folder, dataset = run
    fit.run(small_job(dataset, epochs=3, steps_per_epoch=4, resume=True), folder, Channel(folder))
    assert [item.step for item in events(folder).Scalars("loss/train")] == [1, 2, 3]


def test_without_tensorboard_training_says_so_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_tensorboard", lambda: None)
    channel = Talkative(tmp_path)
    logs.Logs(tmp_path, CLASSES, True, 0, channel).close()
    assert [level for level, _ in channel.said] == ["warning"] and "history.csv" in channel.said[0][1]
    assert not (tmp_path / logs.TENSORBOARD_FOLDER).exists()


def test_no_logs_of_tensorboard_unless_wanted(tmp_path):
    logs.Logs(tmp_path, CLASSES, False, 0, Channel(tmp_path)).close()
    assert not (tmp_path / logs.TENSORBOARD_FOLDER).exists()


def test_a_row_without_validation_has_empty_cells_and_no_curves(tmp_path):
    row = {"epoch": 1, "train_loss": 0.5, "validation_loss": None, "miou": None, "iou": [], "f1": []}
    row |= {"learning_rate": 1e-3, "best": True}
    logs.write_csv(tmp_path / "history.csv", [row], CLASSES)
    assert (
        (tmp_path / "history.csv")
        .read_text(encoding="utf-8")
        .splitlines()[1]
        .startswith("1,0.5,,,0.001,True")
    )
    assert logs.scalars(row, CLASSES) == {"loss/train": 0.5, "learning rate": 1e-3}


def test_provenance_tells_versions_and_data(run):
    folder, dataset = run
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["provenance"]
    assert {"geoseg", "python", "torch", "numpy", "rasterio"} <= set(metrics["versions"])
    files = {item["path"]: item for item in metrics["dataset"]["files"]}
    image = dataset.parent / "image.tif"
    assert files[str(image)]["bytes"] == image.stat().st_size and metrics["seconds"] > 0
    assert set(files) >= {"labels.tif", "split.tif"}
    model = read_model(folder / "model.onnx")
    carried = model.trained["provenance"]
    assert carried["versions"] == metrics["versions"] and "folder" not in carried["dataset"]
    named = {item["path"]: item["bytes"] for item in carried["dataset"]["files"]}
    assert named["image.tif"] == image.stat().st_size  # a model is handed on: names, no folders
