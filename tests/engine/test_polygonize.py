import re

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from prediction_scenes import grid_of, write_raster
from rasterio.control import GroundControlPoint
from scipy.ndimage import label

from geoseg_engine.channel import Channel
from geoseg_engine.cli_flags import value_of
from geoseg_engine.contract import (
    CANCEL_FILE,
    AreasJob,
    Cancelled,
    Cleaning,
    CleanJob,
    GeoSegError,
    LabelClass,
    Outlines,
    PolygonizeJob,
    SampleJob,
)
from geoseg_engine.evaluation import areas, sampling
from geoseg_engine.postprocess.cleaning import clean
from geoseg_engine.postprocess.polygons import boundaries, polygonize
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.writer import RasterWriter

CLASSES = (LabelClass(0, "background"), LabelClass(1, "water"), LabelClass(2, "rock"))


def write_ids(folder, ids, confidence=None):
    grid = grid_of(*ids.shape)
    with RasterWriter(folder / "classes.tif", grid, "uint8", 255, ["class"], CLASSES) as writer:
        writer.write(ids, Window(0, 0, *ids.shape))
    if confidence is not None:
        write_raster(folder / "confidence.tif", confidence.astype(np.float32), grid)


def run(folder, **changes):
    job = PolygonizeJob(**{"classes": "classes.tif", "min_area_px": 0, **changes})
    result = polygonize.run(job, folder, Channel(folder))
    return result, geopandas.read_file(folder / "polygons.gpkg", layer="polygons")


def test_known_shapes_with_class_score_area_and_perimeter(tmp_path):
    ids = np.zeros((40, 50), np.uint8)
    ids[2:6, 3:13] = 1
    ids[10:20, 10:20] = 2
    ids[14:16, 14:16] = 1
    ids[30:, 40:] = 255
    confidence = np.full(ids.shape, 0.5)
    confidence[2:6, 3:8] = 1.0
    write_ids(tmp_path, ids, confidence)
    result, frame = run(tmp_path, confidence="confidence.tif")
    assert result["count"] == 3 and list(frame.columns[:5]) == [
        "class_id",
        "class_name",
        "score",
        "area_m2",
        "perimeter_m",
    ]
    bar, ring, core = frame.sort_values("area_m2", ascending=False).iloc[[1, 0, 2]].to_dict("records")
    assert bar["class_name"] == "water" and bar["score"] == pytest.approx(0.75)
    assert bar["area_m2"] == pytest.approx(4000, rel=1e-3) and bar["perimeter_m"] == pytest.approx(
        280, rel=1e-3
    )
    assert ring["class_id"] == 2 and len(ring["geometry"].interiors) == 1
    assert ring["area_m2"] == pytest.approx(9600, rel=1e-3)
    assert core["class_name"] == "water" and core["area_m2"] == pytest.approx(400, rel=1e-3)
    assert bar["geometry"].bounds == (500_030, 4_999_940, 500_130, 4_999_980)


def test_diagonal_neighbours_are_two_polygons_and_small_ones_can_be_left_out(tmp_path):
    ids = np.zeros((10, 10), np.uint8)
    ids[1, 1] = ids[2, 2] = 1
    ids[5:8, 5:8] = 1
    write_ids(tmp_path, ids)
    result, frame = run(tmp_path)
    assert result["count"] == 3 and frame.score.isna().all()
    assert run(tmp_path, min_area_px=2)[0]["count"] == 1
    assert run(tmp_path, skip_background=False)[0]["count"] == 4


def smooth_ids(rows=90, cols=60, seed=5):
    noise = np.random.default_rng(seed).random((rows, cols))
    smooth = sum(np.roll(noise, (i, j), (0, 1)) for i in range(4) for j in range(4)) / 16
    return np.digitize(smooth, [0.46, 0.54]).astype(np.uint8), noise


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("changes", [{}, {"simplify_m": 15.0}, {"smooth": 2}, {"right_angles": True}])
def test_strips_do_not_show(tmp_path, monkeypatch, connectivity, changes):
    ids, noise = smooth_ids()
    ids[:, 30] = 1
    write_ids(tmp_path, ids, noise)
    monkeypatch.setattr(boundaries, "BLOCK_PX", 1)
    drawn = Outlines(connectivity=connectivity, **changes)
    results = []
    for strip in (10_000, 60 * 7, 60):
        monkeypatch.setattr(boundaries, "STRIP_PIXELS", strip)
        frame = run(tmp_path, confidence="confidence.tif", skip_background=False, outlines=drawn)[1]
        assert frame.is_valid.all()
        frame["key"] = frame.geometry.to_wkb()
        results.append(frame.sort_values("key").reset_index(drop=True))
    for frame in results[1:]:
        assert len(frame) == len(results[0]) > 20
        assert (frame.key == results[0].key).all()
        for column in ("class_id", "score", "area_m2", "perimeter_m"):
            assert np.allclose(frame[column], results[0][column], atol=2e-3)
    if not changes:
        assert results[0].area_m2.sum() == pytest.approx(90 * 60 * 100, rel=1e-3)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_every_polygon_is_one_area_of_the_raster_whatever_touches(tmp_path, monkeypatch, connectivity, seed):
    """Noise of few classes has every way of touching at corners; areas are counted by SciPy."""
    ids = np.random.default_rng(seed).integers(0, 2 + seed % 2, (23, 31)).astype(np.uint8)
    write_ids(tmp_path, ids)
    monkeypatch.setattr(boundaries, "BLOCK_PX", 1)
    monkeypatch.setattr(boundaries, "STRIP_PIXELS", 31 * 5)
    frame = run(tmp_path, skip_background=False, outlines=Outlines(connectivity=connectivity))[1]
    assert frame.is_valid.all()
    assert set(frame.geom_type) == ({"Polygon"} if connectivity == 4 else {"MultiPolygon"})
    transform = grid_of(*ids.shape).transform
    expected = {}
    for value in np.unique(ids).tolist():
        labels, count = label(ids == value, np.ones((3, 3)) if connectivity == 8 else None)
        for number in range(1, count + 1):
            expected[
                value, rasterio.transform.xy(rasterio.Affine(*transform), *np.argwhere(labels == number)[0])
            ] = labels == number
    assert len(frame) == len(expected)
    for (value, first), pixels in expected.items():
        own = frame[(frame.class_id == value) & frame.contains(shapely.Point(first))]
        assert len(own) == 1
        burnt = rasterio.features.rasterize(own.geometry, ids.shape, transform=rasterio.Affine(*transform))
        assert (burnt == pixels).all()
        assert own.geometry.iloc[0].area == pytest.approx(pixels.sum() * 100)


def test_areas_in_degrees_are_square_metres(tmp_path):
    grid = type(grid_of(1, 1))("EPSG:4326", (0.001, 0, 10, 0, -0.001, 60), 20, 20)
    with RasterWriter(tmp_path / "classes.tif", grid, "uint8", 255, ["class"], CLASSES) as writer:
        writer.write(np.ones((20, 20), np.uint8), Window(0, 0, 20, 20))
    result, frame = run(tmp_path)
    box = shapely.box(10, 59.98, 10.02, 60)
    from pyproj import Geod

    area, perimeter = Geod(ellps="WGS84").geometry_area_perimeter(box)
    assert result["area_m2"] == pytest.approx(abs(area), rel=1e-4)
    assert frame.perimeter_m[0] == pytest.approx(perimeter, rel=1e-4)


def test_no_polygon_gives_an_empty_layer_with_its_fields(tmp_path):
    write_ids(tmp_path, np.zeros((5, 5), np.uint8))
    result, frame = run(tmp_path)
    assert result["count"] == 0 and len(frame) == 0
    assert {"class_id", "class_name", "score", "area_m2", "perimeter_m"} <= set(frame.columns)


def test_cancel_keeps_the_old_file(tmp_path):
    write_ids(tmp_path, np.ones((5, 5), np.uint8))
    (tmp_path / "polygons.gpkg").write_text("old", encoding="utf-8")
    (tmp_path / CANCEL_FILE).touch()
    with pytest.raises(Cancelled):
        run(tmp_path)
    assert (tmp_path / "polygons.gpkg").read_text(encoding="utf-8") == "old"
    assert not list(tmp_path.glob("*.part*"))


def test_a_class_raster_of_another_program(tmp_path):
    ids = np.zeros((6, 6), np.uint8)
    ids[1:3] = 255
    write_raster(tmp_path / "classes.tif", ids, grid_of(6, 6))
    frame = run(tmp_path)[1]
    assert frame.class_name.tolist() == ["class 255"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_and_control_points_are_respected(tmp_path):
    ids = np.zeros((6, 8), np.uint8)
    ids[2:5, 2:6] = 9
    profile = {"driver": "GTiff", "width": 8, "height": 6, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "classes.tif", "w", **profile) as dataset:
        corners = [
            GroundControlPoint(row, col, 5e5 + 10 * col, 5e6 - 9 * row) for row in (0, 6) for col in (0, 8)
        ]
        dataset.gcps = corners, rasterio.crs.CRS.from_epsg(32632)
        dataset.write(ids, 1)
    frame = run(tmp_path)[1]
    assert set(frame.class_id) == {9}  # nothing between 0 and 9
    write_raster(tmp_path / "classes.tif", ids, grid_of(6, 8))
    with rasterio.open(tmp_path / "classes.tif", "r+") as dataset:
        dataset.write_mask(np.arange(8) < np.full((6, 1), 4))
    assert run(tmp_path)[1].area_m2.sum() == pytest.approx(600, rel=1e-3)


def test_a_class_that_is_left_out_is_named(tmp_path):
    ids = np.zeros((6, 8), np.uint8)
    ids[2:5, 2:6] = 1
    write_ids(tmp_path, ids)
    assert run(tmp_path)[0]["warnings"] == []
    classes = (LabelClass(0, "water", "water"), LabelClass(1, "rock", "rock"))
    with RasterWriter(tmp_path / "classes.tif", grid_of(6, 8), "uint8", 255, ["class"], classes) as writer:
        writer.write(ids, Window(0, 0, 6, 8))
    warning = run(tmp_path, skip_background=True)[0]["warnings"][0]
    assert warning.code == "class_left_out" and "'water'" in warning.message
    for keeping in (False, None):
        result, frame = run(tmp_path, skip_background=keeping)
        assert result["warnings"] == [] and set(frame.class_name) == {"water", "rock"}


def ground_shares(text):
    """What a warning of `other_ground` says, in percent."""
    found = re.findall(r"('\w+'|all together) ([\d.]+) % (more|less)", text)
    return {name: float(share) * (1 if word == "more" else -1) for name, share, word in found}


def ground_m2(folder, outlines):
    """Warnings, and ground of all polygons by class and together."""
    result, frame = run(folder, skip_background=False, outlines=outlines)
    sums = {f"'{name}'": area_m2 for name, area_m2 in frame.groupby("class_name").area_m2.sum().items()}
    return result["warnings"], {**sums, "all together": frame.area_m2.sum()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"simplify_m": 35.0}, "simplified by 35 m"),
        ({"simplify_m": 5.0, "smooth": 2}, "simplified by 5 m, smoothed in 2 rounds"),
        ({"right_angles": True}, "with right angles"),
    ],
)
def test_ground_that_outlines_give_or_take_is_said(tmp_path, changes, words):
    ids = np.zeros((60, 60), np.uint8)
    ids[:, 30:] = 2
    for row in range(4, 50, 12):
        ids[row : row + 6, 4:8] = ids[row + 2 : row + 4, 2:10] = 1
        ids[row : row + 5, 15:17] = ids[row + 5 : row + 7, 15:22] = 1
    write_ids(tmp_path, ids)
    none, map_m2 = ground_m2(tmp_path, Outlines())
    (warning,), drawn_m2 = ground_m2(tmp_path, Outlines(**changes))
    more = {name: 100 * (drawn_m2[name] / map_m2[name] - 1) for name in map_m2}
    off = {name: pytest.approx(share, abs=0.051) for name, share in more.items() if abs(share) > 2}
    assert none == [] and 0 < len(off) < len(more)
    assert (warning.code, warning.severity) == ("other_ground", "warning")
    assert f"({words})" in warning.message and "areas from the map" in warning.hint
    assert ground_shares(warning.message) == off


def test_right_angles_that_overlap_are_said(tmp_path):
    ids = np.zeros((60, 60), np.uint8)
    rows, cols = np.mgrid[:60, :60]
    ids[(abs(rows - cols) < 6) & (rows % 14 < 11)] = 1
    ids[abs(rows + cols - 70) < 4] = 2
    write_ids(tmp_path, ids)
    _, map_m2 = ground_m2(tmp_path, Outlines())
    (warning,), drawn_m2 = ground_m2(tmp_path, Outlines(right_angles=True))
    assert drawn_m2["'water'"] > 1.02 * map_m2["'water'"]
    assert "overlap, areas count twice" in warning.message


def test_overviews_are_written_for_large_rasters(tmp_path):
    write_ids(tmp_path, np.ones((40, 1100), np.uint8))
    with rasterio.open(tmp_path / "classes.tif") as dataset:
        assert dataset.overviews(1)


@pytest.mark.parametrize(
    "other", [grid_of(12, 12), grid_of(10, 10, size=20.0), grid_of(10, 10, crs="EPSG:32632")]
)
def test_a_confidence_on_other_pixels_is_refused(tmp_path, other):
    write_ids(tmp_path, np.ones((10, 10), np.uint8))
    write_raster(tmp_path / "sure.tif", np.ones((other.height, other.width), np.float32), other)
    with pytest.raises(GeoSegError) as caught:
        run(tmp_path, confidence="sure.tif")
    assert caught.value.code == "other_grid"
    assert "sure.tif" in caught.value.message and "classes.tif" in caught.value.message
    assert not (tmp_path / "polygons.gpkg").exists()


def test_outlines_are_asked_for_in_the_shell():
    words = ["connectivity=8", "simplify_m=15", "right_angles=yes"]
    drawn = value_of("outlines", Outlines, words)
    assert drawn == {"connectivity": 8, "simplify_m": 15.0, "right_angles": True}
    assert value_of("outlines", Outlines, ["connectivity=six"]) == {"connectivity": "six"}


def test_a_raster_of_shares_is_refused(tmp_path):
    path = write_raster(tmp_path / "confidence.tif", np.full((8, 8), 0.5, np.float32), grid_of(8, 8))
    with pytest.raises(GeoSegError) as caught:
        polygonize.run(PolygonizeJob(str(path)), tmp_path, Channel(tmp_path))
    assert caught.value.code == "no_classes" and "0.5" in caught.value.message
    assert not (tmp_path / "polygons.gpkg").exists()


@pytest.mark.parametrize(
    "values",
    [
        np.array([3_000_000_000, 4_294_967_295], np.uint32),
        np.array([5_000_000_000, -5_000_000_000], np.int64),
        np.array([2**53 - 1, 2**40], np.uint64),
        np.array([3e9, 7.0]),
        np.array([-(2**31), 2**31 - 1], np.int32),
    ],
)
def test_classes_keep_numbers_of_any_width(tmp_path, values):
    write_raster(tmp_path / "wide.tif", values[np.eye(6, dtype=int)], grid_of(6, 6))
    job = PolygonizeJob("wide.tif", output="p.gpkg", min_area_px=0, skip_background=False)
    polygonize.run(job, tmp_path, Channel(tmp_path))
    found = geopandas.read_file(tmp_path / "p.gpkg")
    assert set(found.class_id) == {int(value) for value in values}
    assert all(
        name == f"class {number}" for name, number in zip(found.class_name, found.class_id, strict=True)
    )
    held = areas.run(AreasJob("wide.tif"), tmp_path, Channel(tmp_path))
    assert {row["id"]: row["pixels"] for row in held["rows"]} == {int(values[0]): 30, int(values[1]): 6}
    drawn = sampling.run(SampleJob("wide.tif", count=8), tmp_path, Channel(tmp_path))
    assert set(geopandas.read_file(drawn["output"]).class_id) == set(found.class_id)
    if values.dtype.kind != "f":
        counts = clean.run(
            CleanJob("wide.tif", output="c.tif", cleaning=Cleaning(5)), tmp_path, Channel(tmp_path)
        )
        assert set(counts["counts"]) == {str(value) for value in values.tolist()}


@pytest.mark.parametrize(
    "values",
    [
        np.array([2**53, 2**53 + 1], np.int64),
        np.array([-(2**53), 1], np.int64),
        np.array([2**63 + 5, 5], np.uint64),
        np.array([1e19, 5.0]),
    ],
)
def test_numbers_that_cannot_be_told_apart_are_refused_by_every_job(tmp_path, values):
    write_raster(tmp_path / "wide.tif", values[np.eye(6, dtype=int)], grid_of(6, 6))
    jobs = [
        lambda: polygonize.run(
            PolygonizeJob("wide.tif", output="p.gpkg", min_area_px=0), tmp_path, Channel(tmp_path)
        ),
        lambda: areas.run(AreasJob("wide.tif"), tmp_path, Channel(tmp_path)),
        lambda: sampling.run(SampleJob("wide.tif", count=8), tmp_path, Channel(tmp_path)),
    ]
    if values.dtype.kind != "f":
        jobs.append(
            lambda: clean.run(CleanJob("wide.tif", cleaning=Cleaning(5)), tmp_path, Channel(tmp_path))
        )
    for job in jobs:
        with pytest.raises(GeoSegError) as caught:
            job()
        assert caught.value.code == "large_class" and "9007199254740992" in caught.value.message
    assert not (tmp_path / "p.gpkg").exists()


def test_only_nodata_itself_is_left_out_where_numbers_are_large(tmp_path):
    values = np.array([2**52 + 1, 2**52], np.int64)[np.eye(6, dtype=int)]
    write_raster(tmp_path / "wide.tif", values, grid_of(6, 6), nodata=2**52)
    polygonize.run(PolygonizeJob("wide.tif", output="p.gpkg", min_area_px=0), tmp_path, Channel(tmp_path))
    assert set(geopandas.read_file(tmp_path / "p.gpkg").class_id) == {2**52 + 1}
