"""Rules in plain data: the grid's reference, tiles of one raster, and which results are out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_results import later

from geoseg_plugin.contract import Problem
from geoseg_plugin.jobs.composition import compose
from geoseg_plugin.jobs.inputs import RasterInput
from geoseg_plugin.jobs.prepare import plan
from geoseg_plugin.jobs.rasterfacts import RasterFacts, reference_of, strip_problem, tile_groups, tiles_named
from geoseg_plugin.records import freshness
from geoseg_plugin.records.freshness import Step
from geoseg_plugin.records.workspace import discard

BANDS = (("red", 1), ("nir", 1))
LABELS = "labels.tif"


def image(name: str = "image", **facts: Any) -> RasterFacts:
    """100 × 100 pixels of 30 m in a projected CRS."""
    place = {"extent": (0.0, 0.0, 3000.0, 3000.0), "pixel": (30.0, 30.0)}
    return RasterFacts(
        name, name, **{"crs": "EPSG:32616", "bands": BANDS, "pixel_m2": 900.0, **place, **facts}
    )


def degrees(name: str = "dem", **facts: Any) -> RasterFacts:
    """About 30 m in degrees."""
    return RasterFacts(
        name,
        name,
        **{"crs": "EPSG:4326", "bands": (("b", 2),), "projected": False, "pixel_m2": 880.0, **facts},
    )


@pytest.mark.parametrize(
    ("layers", "reference"),
    [
        ([degrees(), image(of_labels=True)], "image"),
        ([image(of_labels=True), degrees()], "image"),
        ([degrees(of_labels=True), image()], "image"),
        ([degrees("a"), degrees("b", of_labels=True)], "b"),
        ([image("other zone", pixel_m2=100.0), image("same zone", of_labels=True)], "same zone"),
        ([image("coarse"), image("fine", pixel_m2=100.0)], "fine"),
        ([degrees("coarse", pixel_m2=8000.0), degrees("fine")], "fine"),
        ([image("one band", bands=BANDS[:1]), image("two bands")], "two bands"),
        ([image("one band", bands=BANDS[:1], pixel_m2=900.1), image("two bands")], "two bands"),
        ([image("first"), image("second")], "first"),
        ([], ""),
    ],
)
def test_the_grid_follows_a_rule_and_not_the_order_of_layers(
    layers: list[RasterFacts], reference: str
) -> None:
    assert reference_of(layers) == reference


def test_the_reference_is_written_into_the_job(tmp_path: Path) -> None:
    dem, optical = (
        RasterInput(f"/{facts.name}.tif", facts.name, ("b",), (1,), layer_id=facts.layer_id, facts=facts)
        for facts in (degrees(), image(of_labels=True))
    )
    parts = compose([dem, optical])
    assert parts.keys == {"dem": "r1", "image": "r2"} and parts.reference == "r2"
    assert plan(tmp_path, parts).job.grid.reference == "r2"  # type: ignore[attr-defined]
    assert plan(tmp_path, [RasterInput("/a.tif", "a", ("b",), (1,))]).job.grid.reference == ""  # type: ignore[attr-defined]


def tile(name: str, west: float, **facts: Any) -> RasterFacts:
    """100 × 100 pixels of one degree's thousandth."""
    values = {"extent": (west, 0.0, west + 0.1, 0.1), "pixel": (0.001, 0.001), "bands": ((name, 2),), **facts}
    return degrees(name, **values)


@pytest.mark.parametrize(
    ("other", "together"),
    [
        (tile("b", 0.1), True),
        (tile("b", 0.097), True),
        (tile("b", 5.0), True),
        (tile("b", 0.04), False),
        (tile("b", 0.1, crs="EPSG:4269"), False),
        (tile("b", 0.1, pixel=(0.002, 0.002)), False),
        (tile("b", 0.1, bands=(("b", 6),)), False),
        (tile("b", 0.1, bands=BANDS), False),
    ],
)
def test_tiles_of_one_raster_agree_and_lie_side_by_side(other: RasterFacts, together: bool) -> None:
    assert [len(group) for group in tile_groups([image(), tile("a", 0.0), other])] == (
        [2] if together else []
    )


def test_names_of_several_bands_have_to_agree() -> None:
    one, other = (tile(name, west, bands=BANDS) for name, west in (("a", 0.0), ("b", 0.1)))
    assert tile_groups([one, other]) == [[one, other]]
    assert tile_groups([one, tile("c", 0.1, bands=(("nir", 1), ("red", 1)))]) == []


def test_tiles_as_layers_of_their_own_are_told_with_the_strip_that_they_share() -> None:
    problem = strip_problem([image(), tile("west", 0.0), tile("east", 0.097)])
    assert problem is not None and (problem.code, problem.severity) == ("tiles_of_one", "error")
    assert "'west', 'east'" in problem.message and "only 3 × 100 pixels" in problem.message
    apart = strip_problem([tile(f"aoi_{number}", 0.1 * number) for number in range(7)])
    assert apart is not None and "and 4 more" in apart.message and "share no pixel" in apart.message
    assert strip_problem([image("a"), image("b")]) is None, "two dates of one place"
    assert strip_problem([tile("a", 0.0), tile("b", 0.08)]) is None, (
        "enough is left where they overlap by a fifth"
    )


@pytest.mark.parametrize(
    ("problem", "named"),
    [
        ({"code": "tiles_of_one", "details": ["east", "west"]}, ["west", "east"]),
        ({"code": "tiles_of_one", "details": "west\neast"}, ["west", "east"]),
        ({"code": "sliver", "message": "Layers 'east' and 'west' share 3 columns."}, ["west", "east"]),
        ({"code": "tiles_of_one", "message": "They share a strip."}, ["west", "east", "north"]),
        ({"code": "sliver", "message": "3 polygons are narrower than a pixel."}, []),
        ({"code": "tiles_of_one", "details": ["west", "image"]}, ["west", "east", "north"]),
        (Problem("tiles_of_one", "Layers 'west', 'north' …"), ["west", "north"]),
        ({"code": "labels_outside", "details": ["east", "west"]}, []),
    ],
)
def test_a_problem_of_tiles_names_the_layers_to_merge(problem: Any, named: list[str]) -> None:
    layers = [image(), tile("west", 0.0), tile("east", 0.097), tile("north", 0.3)]
    assert tiles_named(problem, layers) == named
    assert tiles_named({"code": "tiles_of_one"}, [image(), tile("west", 0.0)]) == [], (
        "nothing could be merged"
    )


def test_fingerprints_are_equal_for_equal_data_only() -> None:
    one = freshness.fingerprints({"labels": {"a": 1, "b": (2, 3)}, "area": ["extent", None]})
    assert one == freshness.fingerprints({"labels": {"b": [2, 3], "a": 1}, "area": ("extent", None)})
    other = freshness.fingerprints(
        {"labels": {"a": 1, "b": (2, 4)}, "area": ["extent", None], "grid": "ü\udcff"}
    )
    assert freshness.changed(one, other) == ("labels", "grid")
    assert freshness.changed(other, {}) == ("labels", "area", "grid")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A prepared dataset with a record of its inputs."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / LABELS).touch()
    freshness.keep_inputs(folder, {"labels": "1", "area": "2"})
    return folder


def test_a_dataset_is_out_of_date_where_its_inputs_are_others(dataset: Path) -> None:
    assert freshness.data_step(dataset, LABELS, {"labels": "1", "area": "2"}) == Step("done")
    assert freshness.data_step(dataset, LABELS, {"labels": "3", "area": "2"}) == Step("outdated", ("labels",))
    assert freshness.data_step(dataset, LABELS, {}) == Step("done"), "nothing is chosen: nothing is said"
    (dataset / freshness.INPUTS_FILE).write_text("{broken", encoding="utf-8")
    assert freshness.data_step(dataset, LABELS, {"labels": "3"}) == Step("done"), (
        "of an older version: unknown"
    )
    assert freshness.data_step(None, LABELS, {"labels": "1"}) == Step("missing")
    (dataset / LABELS).unlink()
    assert freshness.data_step(dataset, LABELS, {}) == Step("missing")


def test_what_follows_is_out_of_date_with_what_it_is_made_from(dataset: Path, tmp_path: Path) -> None:
    fresh, stale = Step("done"), Step("outdated", ("labels",))
    assert freshness.tiles_step(dataset, fresh, LABELS) == Step("missing")
    index = later(dataset / "dataset.json", dataset / LABELS)
    assert freshness.tiles_step(dataset, fresh, LABELS) == Step("done")
    assert freshness.tiles_step(dataset, stale, LABELS) == stale
    model = later(tmp_path / "run" / "model.onnx", index)
    assert freshness.model_step(model, dataset, dataset, fresh) == Step("done")
    assert freshness.model_step(model, dataset, dataset, stale) == stale
    assert freshness.model_step(model, dataset, tmp_path / "dataset-2", fresh) == Step(
        "outdated", ("dataset",)
    )
    assert freshness.model_step(model, None, dataset, fresh) == Step("done"), (
        "where it comes from is not known"
    )
    later(index, model)
    assert freshness.model_step(model, dataset, dataset, fresh) == Step("outdated", ("again",)), (
        "tiles made again"
    )
    assert freshness.model_step(None, None, None, Step()) == Step("missing")


def test_a_folder_without_a_result_goes_and_one_with_any_part_stays(tmp_path: Path) -> None:
    for name, files, gone in (
        ("empty", [], True),
        (
            "failed",
            ["job.json", "events.jsonl", "engine.log", "jobs/stack/job.json", "inputs/labels.gpkg"],
            True,
        ),
        ("half written", ["stack.tif.part", "stack.part.tif", "stack.recipe.json"], True),
        ("stacked", ["jobs/stack/job.json", "stack.tif"], False),
        ("with parts", ["job.json", "parts/0000001.tif"], False),
        ("of the user's own", ["notes.txt"], False),
    ):
        folder = tmp_path / name
        for file in files or ["."]:
            path = folder / file
            (path if file == "." else path.parent).mkdir(parents=True, exist_ok=True)
            if file != ".":
                path.touch()
        assert discard(folder) is gone and folder.exists() is not gone, name
    assert not discard(tmp_path / "never there")
