"""Comparisons and their kin in the Toolbox: parameters become jobs; the engine is a fake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toolbox import checked, record, run

from geoseg_plugin.contract import (
    COMPARED,
    Band,
    BandSet,
    Cancelled,
    CrossValidateJob,
    Dataset,
    Grid,
    LabelClass,
    Recipe,
    SearchJob,
    Source,
    TrainJob,
    contender,
    write_json,
)
from geoseg_plugin.jobs.experiments import CONTENDERS
from geoseg_plugin.processing.provider import GeoSegProvider

ROW: dict[str, Any] = {
    "rank": 1,
    "model": "U-Net",
    "bands": "all bands",
    "iou": 0.71,
    "interval": [0.6, 0.8],
    "runs": ["/runs/a", "/runs/b"],
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset of an image, a DEM and what is derived of it."""
    sources = (Source("o", "optical.tif"), Source("d", "dem.tif"))
    bands = (Band("red", "o"), Band("nir", "o", 2), Band("dem", "d"), Band("slope", "d", derive="slope"))
    recipe = Recipe(sources, bands, Grid("EPSG:32632", (10, 0, 0, 0, -10, 0), 8, 8))
    classes = (LabelClass(0, "other"), LabelClass(1, "scarp"))
    write_json(
        tmp_path / "dataset.json", Dataset("d", recipe, "labels.tif", "split.tif", "tiles.gpkg", classes)
    )
    return tmp_path


def test_a_comparison_needs_no_more_than_a_dataset(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"rows": [ROW], "table": "/t.csv", "report": "/r.html", "unfinished": []})
    found = run(provider, "compare", DATASET=str(dataset), OUTPUT=str(dataset / "comparison"))
    job = taken[0].job
    assert (
        job.problems() == []
        and job.seeds == (42,)
        and job.band_sets == (BandSet("all bands"),)
        and job.split == "test"
    )
    assert job.contenders == tuple(contender(key) for key in COMPARED)
    assert (found["BEST"], found["IOU"]) == ("U-Net, all bands", 0.71)
    assert found["BEST_MODEL"] == str(Path("/runs/a/model.onnx")) and found["REPORT"] == "/r.html"


def test_choices_of_a_comparison_become_fields(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"rows": []}, {"rows": []})
    given: dict[str, Any] = {
        "MODELS": list(CONTENDERS),
        "BAND_SETS": "optical = red, nir; both=",
        "SEEDS": 3,
        "PRESET": "quick",
        "MAX_MINUTES": 2,
        "SPLIT": "validation",
        "RESUME": False,
    }
    run(provider, "compare", DATASET=str(dataset), OUTPUT=str(dataset / "c"), **given)
    job = taken[0].job
    assert job.problems() == []
    assert len({item.name for item in job.contenders}) == len(CONTENDERS)
    assert job.band_sets == (BandSet("optical", ("red", "nir")), BandSet("both"))
    assert (job.seeds, job.minutes, job.split, job.resume) == ((42, 43, 44), 2.0, "validation", False)
    assert job.contenders[3].network.preset == "quick"
    run(provider, "compare", DATASET=str(dataset), OUTPUT=str(dataset / "c"), BAND_SETS="auto")
    assert taken[1].job.band_sets == (
        BandSet("all bands"),
        BandSet("imagery only", ("red", "nir")),
        BandSet("terrain only", ("dem", "slope")),
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"BAND_SETS": "red, nir"}, "has no name"),
        ({"BAND_SETS": "a = red; a = nir"}, "named a"),
        ({"DEVICE": "gpu"}, "'gpu' is no device"),
    ],
)
def test_what_cannot_be_compared_is_said_before(
    given: dict[str, Any], part: str, provider: GeoSegProvider, engine: None, dataset: Path
) -> None:
    fixed = {"DATASET": str(dataset), "OUTPUT": str(dataset / "c")}
    assert checked(provider, "compare", **fixed) == ""
    assert part in checked(provider, "compare", **fixed, **given)


def test_a_cancelled_comparison_gives_what_is_finished(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, Cancelled(), Cancelled())
    given = {"DATASET": str(dataset), "OUTPUT": str(dataset / "c")}
    assert run(provider, "compare", **given) == {}
    (dataset / "c").mkdir()
    write_json(dataset / "c" / "comparison.json", {"rows": [ROW], "unfinished": []})
    assert run(provider, "compare", **given)["IOU"] == 0.71


def test_folds_are_wanted_and_scored(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"DATASET": str(dataset), "OUTPUT": str(dataset / "cv"), "EPOCHS": 3}
    assert "has no folds" in checked(provider, "crossvalidate", **given)
    (dataset / "folds" / "1").mkdir(parents=True)
    (dataset / "folds" / "1" / "dataset.json").write_text("{}", encoding="utf-8")
    assert checked(provider, "crossvalidate", **given) == ""
    result = {"miou": 0.6, "intervals": {"miou": [0.5, 0.7]}, "folds": [{"fold": 1, "miou": 0.6}]}
    taken = record(monkeypatch, result)
    found = run(provider, "crossvalidate", **given, ENSEMBLE=False)
    job = taken[0].job
    assert job == CrossValidateJob(TrainJob(str(dataset), epochs=3), ensemble=False)
    assert (found["MIOU"], found["MIOU_LOW"], found["MIOU_HIGH"]) == (0.6, 0.5, 0.7)


def test_a_search_has_its_own_limits(
    provider: GeoSegProvider, engine: None, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch, {"score": 0.7, "automatic": 0.6, "best_trial": 3}, Cancelled(), Cancelled())
    given: dict[str, Any] = {"DATASET": str(dataset), "OUTPUT": str(dataset / "s")}
    found = run(provider, "searchsettings", **given, SEARCH_MINUTES=9, MAX_MINUTES=1, PARAMETERS=["loss"])
    training = TrainJob(str(dataset), max_minutes=1.0)
    assert taken[0].job == SearchJob(training, parameters=("loss",), max_minutes=9.0)
    assert (found["SCORE"], found["AUTOMATIC"]) == (0.7, 0.6)
    assert found["MODEL"] == str(dataset / "s" / "model.onnx")
    assert run(provider, "searchsettings", **given) == {}
    (dataset / "s").mkdir()
    (dataset / "s" / "model.onnx").touch()
    assert run(provider, "searchsettings", **given)["MODEL"] == found["MODEL"]
