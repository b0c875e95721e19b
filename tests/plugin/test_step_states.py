"""The states of the steps: choices, the jobs that follow from them, and what is shown. No QGIS."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from geoseg_plugin.contract import (
    ARCHITECTURES,
    BASELINES,
    CATALOGUE,
    Area,
    Cleaning,
    ForestJob,
    GeoSegError,
    Labels,
    Outlines,
    PredictJob,
    RasterizeJob,
    SampleJob,
    TileJob,
    TrainJob,
    default_of,
    write_json,
)
from geoseg_plugin.forms.fields import from_stored, grouped, kind_of, row_key, stored_fields, to_stored
from geoseg_plugin.jobs.choices import DataChoices
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.steps.data.state import RasterRow, mosaic_rows, unlabelled_note
from geoseg_plugin.steps.engine.state import badge_text, device_text
from geoseg_plugin.steps.predict.state import (
    MORE_LAYERS,
    QUALITY_FIELDS,
    cleaning_title,
    outlines_title,
    setting_problems,
    settings_of,
)
from geoseg_plugin.steps.results.state import HALF_WIDTH, HALF_WIDTH_RANGE, SampleDesign
from geoseg_plugin.steps.split.state import LABELS, LAYERS, SHARES, SplitChoices, made_sentence
from geoseg_plugin.steps.train.state import (
    BASELINE_FIELDS,
    NETWORK_FIELDS,
    OF_TREES,
    Start,
    TrainChoices,
    bands_title,
    plan_sentence,
)

DECLARED = [
    (cls, name) for cls in (TrainJob, ForestJob, TileJob, PredictJob, Cleaning, Outlines, Labels)
    for name in grouped(cls)
]  # fmt: skip


def stored(cls: type, names: Any) -> dict[str, Any]:
    """What a page stores while nothing is changed."""
    return {row_key(cls, name): to_stored(cls, name, default_of(cls, name)) for name in names}


@pytest.mark.parametrize(("cls", "name"), DECLARED, ids=lambda item: getattr(item, "__name__", item))
def test_what_is_stored_of_a_field_is_read_back(cls: type, name: str) -> None:
    default = default_of(cls, name)
    assert from_stored(cls, name, to_stored(cls, name, default)) == default


@pytest.mark.parametrize(
    ("cls", "name", "value", "kept"),
    [
        (TrainJob, "loss", "ce+dice", ["ce", "dice"]),
        (TrainJob, "augment", ("flip", "noise"), ["flip", "noise"]),
        (TrainJob, "patience", None, -1),
        (TrainJob, "patience", 0, 0),
        (TrainJob, "dropout", None, -0.05),
        (TrainJob, "learning_rate", 0.0, 0.0),
        (TileJob, "buffer_px", -1, -1),
        (ForestJob, "texture_px", (3, 7), "3, 7"),
        (Cleaning, "connectivity", 8, True),
        (Outlines, "right_angles", False, False),
    ],
)
def test_values_are_stored_as_projects_have_them(cls: type, name: str, value: Any, kept: Any) -> None:
    assert to_stored(cls, name, value) == kept
    assert from_stored(cls, name, kept) == value


def test_former_projects_are_read() -> None:
    assert from_stored(Cleaning, "majority_px", "5") == 5
    assert from_stored(ForestJob, "texture_px", "3; 7, x") == (3, 7)
    assert from_stored(TileJob, "min_labelled_share", 5, percent=True) == 0.05
    names = {row_key(TrainJob, name) for name in NETWORK_FIELDS}
    assert {"find_rate", "average"} <= names and "ema_decay" not in names


def test_fields_that_no_row_holds_are_refused() -> None:
    with pytest.raises(TypeError):
        kind_of(PredictJob, "sources")


def test_nothing_chosen_is_the_default_job() -> None:
    assert TrainChoices().job(Path("d")) == TrainJob("d")
    assert TrainChoices("forest").job(Path("d")) == ForestJob("d")
    options = stored_fields(TrainJob, NETWORK_FIELDS, stored(TrainJob, NETWORK_FIELDS))
    assert TrainChoices(options=options).job(Path("d")) == TrainJob("d")
    options = stored_fields(ForestJob, BASELINE_FIELDS, stored(ForestJob, BASELINE_FIELDS))
    assert TrainChoices("forest", options=options).job(Path("d")) == ForestJob("d")


def test_every_model_makes_a_job() -> None:
    jobs: list[Any] = [TrainChoices(key).job(Path("d")) for key in CATALOGUE]
    assert all(job.problems() == [] for job in jobs)
    found = {job.architecture if isinstance(job, TrainJob) else job.method for job in jobs}
    assert found == {*ARCHITECTURES, *BASELINES}


def test_other_baselines_have_no_trees() -> None:
    options = {"trees": 7, "pixels": 500}
    assert TrainChoices("forest", options=options).settings()["trees"] == 7
    settings = TrainChoices("spectral_angle", options=options).settings()
    assert settings["pixels"] == 500 and not set(OF_TREES) & set(settings)


@pytest.mark.parametrize("mode", ["again", "model", "encoder"])
def test_a_start_that_is_not_chosen_is_refused(mode: str) -> None:
    with pytest.raises(GeoSegError) as error:
        TrainChoices(start=Start(mode)).job(Path("d"))
    assert error.value.code == "start"
    assert TrainChoices("forest", start=Start(mode)).job(Path("d")) == ForestJob("d")


def test_a_run_continues_with_its_own_settings(tmp_path: Path) -> None:
    write_job(Submission(TrainJob("old", loss="ce+dice", seed=7), tmp_path, "run"))
    start = Start("again", str(tmp_path / "model.onnx"), freeze_epochs=-1)
    job = TrainChoices(max_minutes=5, options={"loss": "focal"}, start=start).job(tmp_path / "new")
    assert isinstance(job, TrainJob)
    assert (job.loss, job.seed, job.max_minutes, job.freeze_epochs) == ("ce+dice", 7, 5, -1)


def test_fine_tuning_takes_the_network_of_the_model(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"architecture": {"name": "segnet", "width": 24, "levels": 4}})
    start = Start("model", str(tmp_path / "model.onnx"))
    job = TrainChoices("unet", start=start, options={"width": 8}).job(tmp_path)
    assert isinstance(job, TrainJob)
    assert (job.architecture, job.width, job.levels, job.start_from) == ("segnet", 24, 4, start.model)


def test_pretraining_is_of_the_chosen_network() -> None:
    choices = TrainChoices("deeplabv3plus:resnet50", ("red",), options={"width": 8, "loss": "ce"})
    job = choices.pretraining(Path("d"))
    assert (job.architecture, job.encoder, job.bands, job.width) == ("deeplabv3plus", "resnet50", ("red",), 8)


def test_a_plan_is_a_sentence() -> None:
    result = {"plan": {"crop_px": 64, "batch_size": 8, "epochs": 60}, "minutes": 4, "device": "CPU"}
    text = plan_sentence(result)
    assert all(part in text for part in ("64 px", "8", "60", "4 min", "CPU")) and text.endswith(".")
    assert plan_sentence({"reasons": ["a forest"]}) == "A forest."
    assert bands_title(2, 3) != bands_title(3, 3)


def split_choices(**changes: Any) -> SplitChoices:
    """The Split page as it opens."""
    train, validation, test = (share / 100 for share in SHARES.values())
    return dataclasses.replace(SplitChoices(64, (train, validation, test)), **changes)


def test_the_default_split_is_that_of_the_job(tmp_path: Path) -> None:
    (tmp_path / "stack.tif").touch()
    expected = TileJob(str(tmp_path / "stack.tif"), str(tmp_path / "labels.tif"), output=str(tmp_path))
    assert split_choices().submission(tmp_path).job == expected
    (tmp_path / "stack.tif").unlink()
    job: Any = split_choices(overlap_percent=50).submission(tmp_path).job
    assert job.stride_px == 32 and job.stack.endswith(".recipe.json")


def test_the_split_follows_a_field(tmp_path: Path) -> None:
    job = RasterizeJob("s.tif", Labels("l.gpkg", "polygons"), Area("polygons", "a.gpkg", "areas"))
    write_job(Submission(job, tmp_path / "jobs" / "rasterize", "labels"))
    assert split_choices(split_field="set").area(tmp_path) == dataclasses.replace(job.area, split_field="set")
    assert split_choices(split_field=f"{LABELS}set").area(tmp_path).path == "l.gpkg"
    assert split_choices(split_field=LAYERS).area(tmp_path) == job.area
    sentences = {split_choices(split_field=item).sentence(10, "m") for item in ("", "set", LAYERS)}
    assert len(sentences) == 3 and all("640 m" in item for item in sentences)


def test_tiles_that_were_made_are_counted() -> None:
    text = made_sentence({"tile_counts": {"train": 3, "test": 1}, "folds": ["a", "b"]})
    assert "3" in text and "1" in text and "2" in text


def predict_values() -> dict[str, Any]:
    """What the Predict page stores while nothing is changed."""
    return {
        **stored(PredictJob, (*QUALITY_FIELDS, "min_area_px")),
        **stored(Cleaning, grouped(Cleaning)),
        **stored(Outlines, grouped(Outlines)),
    }


def test_default_settings_of_a_prediction_are_those_of_the_job() -> None:
    settings = settings_of(predict_values())
    assert PredictJob("m.onnx", **settings) == PredictJob("m.onnx")
    assert setting_problems(settings) == []
    assert MORE_LAYERS == ("entropy", "probability", "margin", "disagreement", "beyond")


def test_smoothing_excludes_right_angles_and_even_windows_are_reported() -> None:
    settings = settings_of({**predict_values(), "smooth": 2, "right_angles": True, "majority": "4"})
    assert settings["outlines"] == Outlines(smooth=2)
    assert [item.code for item in setting_problems(settings)] == ["majority_px"]


def test_titles_list_what_is_set() -> None:
    assert cleaning_title(Cleaning()) != cleaning_title(Cleaning(min_patch_px=4))
    assert cleaning_title(Cleaning(connectivity=8)) == cleaning_title(Cleaning())
    assert "2.5 m" in outlines_title(Outlines(simplify_m=2.5))


def test_the_default_sample_is_that_of_the_job() -> None:
    assert SampleJob("c.tif", **SampleDesign().settings()) == SampleJob("c.tif")
    job = SampleJob("c.tif", **SampleDesign(half_width=4).settings())
    assert job.max_points == 0 and job.standard_error == pytest.approx(0.0204, abs=1e-4)
    assert HALF_WIDTH == 9.8


@pytest.mark.parametrize("half_width", HALF_WIDTH_RANGE)
def test_samples_at_the_ends_of_the_range_are_taken(half_width: float) -> None:
    assert not SampleJob("c.tif", **SampleDesign(half_width=half_width).settings()).problems()


def test_notes_about_unlabelled_pixels_differ() -> None:
    choices = [
        DataChoices(label_layer_id="l", area_kind="rasters"),
        DataChoices(label_layer_id="l"),
        DataChoices(label_layer_id="l", unlabelled="unknown"),
        DataChoices(label_layer_id="l", unlabelled="unknown", class_field="class"),
    ]
    assert len({unlabelled_note(item) for item in choices}) == 4


def test_a_mosaic_is_one_row() -> None:
    rows = [RasterRow(key, key, ("red",)) for key in "abc"]
    found = mosaic_rows(rows, [("a", "c"), ("x", "b")])
    assert [(row.layer_id, row.also) for row in found] == [("a", ("c",)), ("b", ())]


def test_a_device_is_named() -> None:
    probe = {"device": "cuda", "device_name": "NVIDIA X", "device_memory_mb": 2048}
    assert (device_text(probe), badge_text(probe)) == ("NVIDIA X, 2 GB", "NVIDIA X")
    assert device_text({}) == badge_text({}) == ""
