"""Stratified random samples laid out on a map."""

import geopandas
import numpy as np
import pyogrio
import pytest
from prediction_scenes import CLASSES, grid_of, write_map, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import AreasJob, GeoSegError, SampleJob
from geoseg_engine.evaluation import areas, classmap, sampling
from geoseg_engine.evaluation.allocation import allocate, expected_error, points_needed
from geoseg_engine.raster import class_areas as classground
from geoseg_engine.raster import geodesy

ROWS, COLS = 90, 70
GRID = grid_of(ROWS, COLS)


@pytest.fixture
def ids(tmp_path):
    random = np.random.default_rng(0)
    ids = random.choice(3, (ROWS, COLS), p=[0.8, 0.17, 0.03]).astype(np.uint8)
    ids[:, :5] = 255
    write_map(tmp_path / "map.tif", ids, GRID)
    return ids


def run(folder, **fields):
    result = sampling.run(SampleJob("map.tif", **{"max_points": 0, **fields}), folder, Channel(folder))
    return result, geopandas.read_file(result["output"])


def pixels_of(frame):
    cols = (frame.geometry.x.to_numpy() - GRID.transform[2]) / GRID.transform[0]
    rows = (GRID.transform[5] - frame.geometry.y.to_numpy()) / GRID.transform[0]
    assert (cols % 1 == 0.5).all() and (rows % 1 == 0.5).all()
    return rows.astype(int), cols.astype(int)


def test_points_lie_on_pixels_of_their_class_each_once(tmp_path, ids):
    result, frame = run(tmp_path, count=300)
    rows, cols = pixels_of(frame)
    assert (ids[rows, cols] == frame["class_id"]).all() and len(set(zip(rows, cols, strict=True))) == len(
        frame
    )
    assert list(frame.columns) == ["point_id", "class_id", "class_name", "weight", "reference", "geometry"]
    assert frame["reference"].isna().all() and frame["point_id"].tolist() == list(range(1, len(frame) + 1))
    assert pyogrio.read_info(tmp_path / "sample.gpkg", layer="sample")["dtypes"][-1] == "object"
    assert frame["weight"].sum() == pytest.approx(1) and frame.crs == GRID.crs
    assert result["count"] == len(frame) == sum(row["points"] for row in result["rows"]) == 300
    for row in result["rows"]:
        assert (frame["class_name"] == row["name"]).sum() == row["points"]


def test_the_sample_does_not_depend_on_how_the_map_is_read_but_on_the_seed(tmp_path, ids, monkeypatch):
    _, first = run(tmp_path, count=200)
    monkeypatch.setattr(classmap, "STRIP_PX", 3 * COLS)
    for room in (classground, geodesy):
        monkeypatch.setattr(room, "even_columns_px", lambda grid: 16)
    _, second = run(tmp_path, count=200)
    assert first.drop(columns="weight").equals(second.drop(columns="weight"))
    _, third = run(tmp_path, count=200, seed=7)
    assert not first.geometry.equals(third.geometry)


def test_every_pixel_of_a_class_is_as_likely(tmp_path):
    ids = np.zeros((12, 10), np.uint8)
    ids[::3] = 1
    grid = grid_of(12, 10)
    write_map(tmp_path / "map.tif", ids, grid)
    seen = np.zeros(ids.shape)
    with classmap.class_map(tmp_path / "map.tif") as found:
        held = classmap.map_areas(found, Channel(tmp_path), "count")
        for seed in range(600):
            rows, cols = sampling.draw_pixels(found, held, np.array([8, 10, 0]), seed, Channel(tmp_path))
            seen[rows, cols] += 1
    assert seen[ids == 0] == pytest.approx(600 * 8 / 80, abs=35)
    assert seen[ids == 1] == pytest.approx(600 * 10 / 40, abs=65)


def test_order_does_not_tell_the_class(tmp_path, ids):
    _, frame = run(tmp_path, count=300)
    runs = (np.diff(frame["class_id"]) != 0).sum()
    assert runs > 80


def test_the_size_of_the_papers_example():
    weights, expected = np.array([0.02, 0.015, 0.32, 0.645]), np.array([0.7, 0.6, 0.9, 0.95])
    assert points_needed(weights, expected, 0.01, 10_000_000) == 641
    assert points_needed(weights, expected, 0.01, 1000) < 400


@pytest.mark.parametrize(
    ("how", "minimum", "expected"),
    [
        ("equal", 0, [160, 160, 160, 160]),
        ("proportional", 0, [13, 9, 205, 413]),
        ("mixed", 75, [75, 75, 163, 327]),
        ("mixed", 200, [160, 160, 160, 160]),
    ],
)
def test_allocations(how, minimum, expected):
    weights = np.array([0.02, 0.015, 0.32, 0.645])
    pixels = np.array([10**6] * 4)
    found = allocate(640, weights, pixels, how, minimum)
    assert found.sum() == 640 and np.abs(found - expected).max() <= 1


def test_a_class_that_becomes_rare_by_the_others_is_rare_too():
    found = allocate(300, np.array([0.01, 0.17, 0.82]), np.array([9**9] * 3), "mixed", 50)
    assert found.tolist() == [50, 50, 200]


def test_few_pixels_are_all_taken_and_no_class_gets_less_than_two(tmp_path):
    assert allocate(100, np.array([0.001, 0.999]), np.array([1000, 10**6]), "proportional", 0).tolist() == [
        2,
        100,
    ]
    ids = np.zeros((40, 40), np.uint8)
    ids[3, 3:10] = 1
    write_map(tmp_path / "map.tif", ids, grid_of(40, 40))
    result, frame = run(tmp_path, count=100, min_points=30)
    assert (frame["class_id"] == 1).sum() == 7
    said = [item["message"] for item in result["warnings"]]
    assert any("only 7 pixels" in text for text in said) and any(
        "'rock' has no pixel" in text for text in said
    )


def test_too_few_points_for_every_class_is_said(tmp_path, ids):
    result, _ = run(tmp_path, count=60, min_points=50)
    assert "few_points" in {item["code"] for item in result["warnings"]}
    assert [row["points"] for row in result["rows"]] == [20, 20, 20]


def test_expected_error_of_the_design_is_what_repeated_samples_show():
    random = np.random.default_rng(5)
    weights, accuracy = np.array([0.1, 0.9]), np.array([0.7, 0.9])
    points, pixels = np.array([50, 150]), np.array([10**6, 10**7])
    seen = [weights @ (random.binomial(points, accuracy) / points) for _ in range(4000)]
    assert expected_error(weights, accuracy, points, pixels) == pytest.approx(np.std(seen), rel=0.05)


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.5], [0.8, 0.17, 0.03], [0.4, 0.3, 0.2, 0.05, 0.05]])
def test_a_sample_that_nobody_specified_is_one_that_people_can_interpret(shares):
    weights, pixels = np.array(shares), np.full(len(shares), 10**6)
    job = SampleJob("map.tif")
    asked, points = sampling.sample_sizes(job, weights, np.full(len(shares), 0.8), pixels)
    error = expected_error(weights, np.full(len(shares), 0.8), points, pixels)
    assert 50 <= points.sum() <= 100 and 1.96 * error <= 0.1 and points.min() >= 10
    assert expected_error(weights, 0.8, allocate(asked - 1, weights, pixels, "mixed", -1), pixels) > 0.05


def test_the_number_is_known_before_any_point_is_made(tmp_path, ids):
    plan = sampling.run(SampleJob("map.tif", dry_run=True), tmp_path, Channel(tmp_path))
    assert not (tmp_path / "sample.gpkg").exists() and "output" not in plan
    told, log = [], Channel(tmp_path)
    log.log = lambda text, level="info": told.append(text)
    result = sampling.run(SampleJob("map.tif"), tmp_path, log)
    frame = geopandas.read_file(result["output"])
    assert plan["count"] == result["count"] == len(frame)
    assert told == [plan["sentence"]] and plan["sentence"].startswith(
        f"{len(frame)} points: overall accuracy"
    )
    assert plan["half_width"] == pytest.approx(1.96 * plan["standard_error"], abs=1e-4)
    assert max(row["half_width"] for row in plan["rows"]) > plan["half_width"]


def test_more_points_than_the_limit_are_refused_with_what_it_would_give(tmp_path, ids):
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, standard_error=0.01, max_points=500)
    assert caught.value.code == "too_many_points" and "500" in caught.value.message
    assert "0.0" in caught.value.hint and not (tmp_path / "sample.gpkg").exists()
    assert run(tmp_path, count=700, max_points=500)[0]["count"] == 700, (
        "a number that was asked for is no accident"
    )


@pytest.mark.parametrize(("count", "told"), [(20, False), (300, True)])
def test_a_map_that_is_small_against_its_sample_is_told(tmp_path, ids, count, told):
    result, _ = run(tmp_path, count=count, allocation="proportional")
    said = [item["message"] for item in result["warnings"] if item["code"] == "small_map"]
    assert bool(said) == told
    if told:
        assert (
            f"{result['pixels']:,} pixels" in said[0] and f"1 in {round(result['pixels'] / 300)}" in said[0]
        )


def test_a_sample_of_all_pixels_says_so(tmp_path):
    write_map(tmp_path / "map.tif", np.zeros((6, 5), np.uint8), grid_of(6, 5))
    result, frame = run(tmp_path, count=100)
    assert len(frame) == 30 and any("all of them" in item["message"] for item in result["warnings"])


@pytest.mark.parametrize("how", ["proportional", "mixed", "equal"])
@pytest.mark.parametrize("error", [0.01, 0.02, 0.05])
def test_the_standard_error_asked_for_is_reached(tmp_path, ids, how, error):
    result, _ = run(tmp_path, standard_error=error, allocation=how, expected={"water": 0.6})
    assert result["standard_error"] <= error + 1e-6


def test_expectations_by_name(tmp_path, ids):
    better, _ = run(tmp_path, expected={"Background": 0.98}, standard_error=0.02)
    worse, _ = run(tmp_path, expected={"background": 0.6}, standard_error=0.02)
    assert better["count"] < worse["count"] and better["rows"][0]["expected"] == 0.98
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, expected={"forest": 0.6})
    assert caught.value.code == "unknown_expected" and "water" in caught.value.hint


def test_a_sample_that_was_looked_at_is_never_replaced(tmp_path, ids):
    _, frame = run(tmp_path, count=20)
    run(tmp_path, count=30)  # nobody has written into the first
    frame.loc[3, "reference"] = "field"
    frame.to_file(tmp_path / "sample.gpkg", layer="sample", engine="pyogrio")
    before = (tmp_path / "sample.gpkg").read_bytes()
    with pytest.raises(GeoSegError, match="1 points") as caught:
        run(tmp_path, count=30)
    assert caught.value.code == "judged_sample" and caught.value.hint
    assert (tmp_path / "sample.gpkg").read_bytes() == before


def test_classes_below_zero_can_be_sampled(tmp_path):
    values = np.random.default_rng(1).integers(-2, 2, (20, 30)).astype(np.int16)
    write_raster(tmp_path / "map.tif", values, grid_of(20, 30), None)
    result, _ = run(tmp_path, count=40)
    assert [row["id"] for row in result["rows"]] == [-2, -1, 0, 1] and result["count"] == 40


@pytest.mark.parametrize(
    ("fields", "code"), [({"seed": -1}, "seed"), ({"expected": {"field": "most"}}, "expected")]
)
def test_settings_that_cannot_be_are_named(fields, code):
    assert [item.code for item in SampleJob("map.tif", **{"max_points": 0, **fields}).problems()] == [code]


def test_absurd_sizes_are_refused(tmp_path, ids):
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, count=2_000_000)
    assert caught.value.code == "too_many_points"


def test_from_a_sample_to_the_true_areas(tmp_path):
    """A map that takes a tenth of the water for background: the adjusted area holds the truth, the counted does not."""
    random = np.random.default_rng(9)
    rows = cols = 400
    y, x = np.mgrid[:rows, :cols]
    truth = (np.sin(x / 25) + np.cos(y / 31) > 0.6).astype(np.uint8)
    ids = np.where((truth == 1) & (random.random(truth.shape) < 0.3), 0, truth).astype(np.uint8)
    grid = grid_of(rows, cols)
    write_map(tmp_path / "map.tif", ids, grid)
    _, frame = run(tmp_path, standard_error=0.01, expected_else=0.85)
    size, left, top = grid.transform[0], grid.transform[2], grid.transform[5]
    at = ((top - frame.geometry.y) // size).astype(int), ((frame.geometry.x - left) // size).astype(int)
    frame["reference"] = [CLASSES[value].name for value in truth[at]]
    frame.to_file(tmp_path / "looked_at.gpkg", layer="sample")
    result = areas.run(AreasJob("map.tif", "looked_at.gpkg"), tmp_path, Channel(tmp_path))
    water = result["rows"][1]
    true_m2 = result["total_m2"] * truth.mean()
    assert water["low_m2"] < true_m2 < water["high_m2"] < result["total_m2"]
    assert water["area_m2"] < water["low_m2"]
