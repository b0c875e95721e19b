"""Files of a workspace as a broken disk or an unkind hand leaves them: the panel reads past them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoseg_plugin.contract import (
    Band,
    Dataset,
    GeoSegError,
    Grid,
    LabelClass,
    Recipe,
    Source,
    TrainJob,
    job_to_json,
    parse_event,
    write_json,
)
from geoseg_plugin.engine.environment import Environment, stamp
from geoseg_plugin.engine.liveness import job_kind
from geoseg_plugin.jobs import experiments, train
from geoseg_plugin.layers.publish import read_dataset
from geoseg_plugin.records import runs as register
from geoseg_plugin.records.workspace import Workspace, entry_of, last_result, result_of

TIMES = 150
VALUES = (
    None,
    True,
    -1,
    2**40,
    1e300,
    "",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [1, 2, 3],
    {"a": {"b": [1]}},
    "x" * 3000,
)
RAW = ("NaN", "1e999", "9" * 400, '{"a":1,"a":2}', "[" * 50_000, '"\\u0000"', "tru")
RESULT = {
    "miou": 0.5,
    "foreground_iou": None,
    "score": 0.5,
    "device": "CPU",
    "intervals": {"miou": [0.4, 0.6]},
    "classes": [{"id": 0, "name": "a", "color": "#808080"}],
    "warnings": [{"code": "a", "message": "b", "hint": "", "severity": "warning"}],
    "rows": [{"name": "a", "rank": 1, "iou": 0.5, "miou": 0.4, "color": "#808080"}],
    "architecture": {"name": "unet", "width": 8},
}
EPOCH = {"type": "epoch", "epoch": 1, "epochs": 2, "iou": [0.1], "f1": [0.1], "miou": 0.1, "train_loss": 1.0}
EVENTS = [
    {"type": "hello"},
    EPOCH,
    {"type": "log", "level": "info", "text": "a"},
    {"type": "done", "result": RESULT},
]


def damaged(texts: list[str], draw: random.Random) -> bytes:
    """Lines of JSON, one of them damaged as a value, as a text or as bytes."""
    texts = list(texts)
    place = draw.randrange(len(texts))
    kind = draw.randrange(4)
    if kind < 2:
        texts[place] = json.dumps(changed(json.loads(texts[place]), draw))
    elif kind == 2:
        at = texts[place].find(":", draw.randrange(len(texts[place])))
        texts[place] = texts[place][: at + 1] + draw.choice(RAW) + texts[place][at + 3 :]
    content = bytearray("\n".join(texts).encode("utf-8", "surrogatepass"))
    if kind == 3:
        for _ in range(draw.choice((1, 5))):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        del content[draw.choice((len(content), draw.randrange(len(content)))) :]
    return bytes(content)


def changed(value: object, draw: random.Random) -> object:
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        return {**value, key: changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        place = draw.randrange(len(value))
        return [*value[:place], changed(value[place], draw), *value[place + 1 :]]
    return draw.choice(VALUES)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = Workspace(tmp_path).new_run("one")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def texts_of() -> Iterator[tuple[str, list[str]]]:
    events = [json.dumps({"v": "1.0", "t": 1.0 + place, **event}) for place, event in enumerate(EVENTS)]
    yield "events.jsonl", events
    yield "job.json", [json.dumps(job_to_json(TrainJob("dataset.json", bands=("a",))))]
    yield "metrics.json", [json.dumps(RESULT)]
    yield "plan.json", [json.dumps({"plan": {"width": 8, "reasons": ["a"]}})]
    yield "result.json", [json.dumps({"dataset": "x", "result": RESULT})]
    yield "comparison.json", [json.dumps({"rows": [{"name": "a", "rank": 1}]})]


@pytest.mark.parametrize("name", [name for name, _ in texts_of()])
def test_the_register_reads_past_a_damaged_file(name: str, run: Path, tmp_path: Path) -> None:
    texts = dict(texts_of())
    for other, lines in texts.items():
        (run / other).write_text("\n".join(lines), encoding="utf-8")
    draw = random.Random(1)
    for _ in range(TIMES):
        (run / name).write_bytes(damaged(texts[name], draw))
        entry = entry_of(run, "model.onnx")
        assert register.run_of(entry).name == run.name
        register.epochs_of(run), register.settings_of(run), register.minutes_of(run)
        last_result(run), result_of(run), job_kind(run), experiments.read_comparison(run)
        train.network_of(run / "model.onnx")
        assert [entry.folder for entry in Workspace(tmp_path).runs()] == [run]


def test_a_damaged_dataset_is_one_sentence(tmp_path: Path) -> None:
    grid = Grid("EPSG:32631", (10, 0, 0, 0, -10, 0), 10, 10)
    recipe = Recipe((Source("r", "a.tif"),), (Band("red", "r"),), grid)
    dataset = Dataset("d", recipe, "l.tif", "s.tif", "t.gpkg", (LabelClass(0, "a"),))
    write_json(tmp_path / "dataset.json", dataset)
    text = (tmp_path / "dataset.json").read_text(encoding="utf-8")
    draw = random.Random(2)
    refused = 0
    for _ in range(TIMES):
        (tmp_path / "dataset.json").write_bytes(damaged([text], draw))
        try:
            read_dataset(tmp_path)
        except GeoSegError as error:
            refused += 1
            assert error.message and "\n" not in error.message
    assert refused > TIMES / 3


@pytest.mark.parametrize(
    "line",
    [
        '{"v": "1.0", "type": []}',
        '{"v": 1, "type": "log"}',
        '{"v": "1.0", "type": "progress", "phase": 3, "done": 1, "total": 2}',
        '{"v": "1.0", "type": "progress", "phase": "a", "done": "1", "total": 2}',
        '{"v": "1.0", "type": "epoch", "epoch": null, "epochs": 2}',
        '{"v": "1.0", "type": "done", "result": [1]}',
        "[1]",
        "NaN",
    ],
)
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(GeoSegError):
        parse_event(line)


def test_a_damaged_stamp_is_none(tmp_path: Path) -> None:
    from geoseg_plugin.engine.environment import STAMP_FILE

    python = tmp_path / "bin" / "python"
    for text in ("[1]", "NaN", "{", '{"requirements": [1]}'):
        (tmp_path / STAMP_FILE).write_text(text, encoding="utf-8")
        stamp(Environment(python, True))
