"""Label polygons: reading, repair, classes, burning, area, and what is said about them."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from data_scenes import (
    CORNER,
    UTM,
    channel,
    hills,
    one_band_each,
    pixel_box,
    sources_of,
    utm_grid,
    write_polygons,
    write_raster,
)
from label_scenes import burn, codes, write_stack
from shapely import MultiPolygon, Polygon, affinity

from geoseg_engine.contract import (
    IGNORE,
    Area,
    CheckJob,
    GeoSegError,
    LabelClass,
    Labels,
    StackJob,
)
from geoseg_engine.dataset.checks import check
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking import stack
from geoseg_engine.vector import features
from geoseg_engine.vector.area import hull_geometry
from geoseg_engine.vector.scan_fill import ScanFill


@pytest.fixture
def scene(tmp_path):
    return write_stack(tmp_path)


def test_classes_follow_the_legend_and_the_later_wins(scene):
    shapes = [pixel_box(10, 10, 10, 10), pixel_box(15, 15, 10, 10)]
    path = write_polygons(scene / "l.gpkg", shapes, kind=["scarp", "deposit"])
    legend = (LabelClass(0, "Scarp", "scarp", "#ff0000"), LabelClass(0, "Deposit", "deposit", "#00ff00"))
    ids, result = burn(scene, Labels(str(path), class_field="kind", classes=legend, unlabelled="background"))
    assert (ids[15:20, 15:20] == 2).all() and (ids[10:15, 10:20] == 1).all() and ids[0, 0] == 0
    assert result["overlap_px"] == 25 and "overlap" in codes(result)
    assert [(item["id"], item["name"]) for item in result["classes"]] == [
        (0, "background"),
        (1, "Scarp"),
        (2, "Deposit"),
    ]
    turned, _ = burn(
        scene, Labels(str(path), class_field="kind", classes=legend[::-1], unlabelled="background")
    )
    assert (turned[15:20, 15:20] == 2).all() and (turned[10:15, 10:15] == 2).all(), "now scarp is later"


def test_unknown_ground_is_ignored_and_classes_start_at_0(scene):
    path = write_polygons(scene / "l.gpkg", [pixel_box(0, 0, 5, 5), pixel_box(20, 20, 5, 5)], kind=["b", "a"])
    ids, result = burn(scene, Labels(str(path), class_field="kind", unlabelled="unknown"))
    assert (ids[:5, :5] == 1).all() and (ids[20:25, 20:25] == 0).all() and (ids == IGNORE).sum() == 4800 - 50
    assert result["counts"] == {"0": 25, "1": 25} and result["ignored_px"] == 4750


def test_a_class_called_background_is_the_background(scene):
    path = write_polygons(
        scene / "l.gpkg", [pixel_box(0, 0, 5, 5), pixel_box(20, 20, 5, 5)], kind=["Background", "x"]
    )
    ids, result = burn(scene, Labels(str(path), class_field="kind", unlabelled="background"))
    assert [item["name"] for item in result["classes"]] == ["Background", "x"]
    assert ids.max() == 1 and (ids == 1).sum() == 25


@pytest.mark.parametrize(
    ("values", "legend"),
    [([1, 2], ("1", "2")), ([1.0, 2.0], ("1", "2")), ([1, 2], ("1.0", "02")), (["A ", "b"], ("a", "B"))],
)
def test_values_match_the_legend_whatever_their_type(scene, values, legend):
    path = write_polygons(scene / "l.gpkg", [pixel_box(0, 0, 5, 5), pixel_box(20, 20, 5, 5)], kind=values)
    classes = tuple(LabelClass(0, f"class {text}", text) for text in legend)
    ids, _ = burn(scene, Labels(str(path), class_field="kind", classes=classes, unlabelled="background"))
    assert ids[0, 0] == 1 and ids[20, 20] == 2


def test_ground_of_unknown_class_is_ignored_not_background(scene):
    shapes = [pixel_box(0, 0, 5, 5), pixel_box(10, 10, 5, 5), pixel_box(20, 20, 5, 5)]
    path = write_polygons(scene / "l.gpkg", shapes, kind=["a", None, "z"])
    ids, result = burn(
        scene,
        Labels(str(path), class_field="kind", classes=(LabelClass(0, "a", "a"),), unlabelled="background"),
    )
    assert (ids[10:15, 10:15] == IGNORE).all() and (ids[20:25, 20:25] == IGNORE).all() and ids[0, 0] == 1
    assert {"null_class", "not_in_legend"} <= set(codes(result))
    assert "1 of 3 polygons" in next(
        item["message"] for item in result["warnings"] if item["code"] == "null_class"
    )


def test_geometries_are_repaired_or_left_out_and_counted(scene):
    x, y = CORNER
    bow_tie = Polygon([(x, y - 300), (x + 200, y - 500), (x + 200, y - 300), (x, y - 500)])
    flat = Polygon([(x + 600, y), (x + 700, y), (x + 800, y)])
    high = shapely.force_3d(pixel_box(0, 0, 5, 5), 7.0)
    parts = MultiPolygon([pixel_box(10, 10, 3, 3), pixel_box(10, 40, 3, 3)])
    path = write_polygons(scene / "l.gpkg", [bow_tie, None, Polygon(), flat, high, parts])
    ids, result = burn(scene, Labels(str(path)))
    assert result["repaired"] == 1 and result["skipped"] == 3
    assert (ids[:5, :5] == 1).all() and (ids[10:13, 10:13] == 1).all() and (ids[10:13, 40:43] == 1).all()
    assert abs(int((ids[30:50, :20] == 1).sum()) - 200) < 25
    assert {"no_geometry", "invalid_geometry"} <= set(codes(result))


def test_reprojected_labels_stay_within_half_a_pixel(scene):
    rng = np.random.default_rng(0)
    shapes = [
        affinity.rotate(pixel_box(int(r), int(c), 12, 9), float(a))
        for r, c, a in zip(rng.integers(0, 40, 6), rng.integers(0, 60, 6), rng.uniform(0, 90, 6), strict=True)
    ]
    straight, _ = burn(scene, Labels(str(write_polygons(scene / "utm.gpkg", shapes))))
    found = features.read_polygons(str(scene / "utm.gpkg"), "", "l", "EPSG:4326")
    write_polygons(scene / "degrees.gpkg", list(found.shapes), crs="EPSG:4326")
    moved, _ = burn(scene, Labels(str(scene / "degrees.gpkg")))
    near = [shapely.union_all([shape.buffer(side) for shape in shapes]) for side in (5, -5)]
    grid = utm_grid(80, 60)
    must, may = (ScanFill(np.array([shape]), grid).mask(full_window(grid)) for shape in reversed(near))
    assert (moved[must] == 1).all() and (moved[~may] == 0).all()
    assert (moved != straight).mean() < 0.002


def test_pixels_without_values_get_no_label(scene, tmp_path):
    values = hills(60, 80)
    values[:30] = -1
    sources = sources_of(write_raster(tmp_path / "b.tif", values, nodata=-1))
    job = StackJob(sources, one_band_each(sources), output="stack.recipe.json")
    stack.run(job, scene, channel(scene))
    ids, result = burn(scene, Labels(str(write_polygons(scene / "l.gpkg", [pixel_box(20, 20, 20, 20)]))))
    assert (ids[:30] == IGNORE).all() and (ids[30:40, 20:40] == 1).all()
    assert "labels_without_values" in codes(result)


def test_windows_burn_what_the_whole_burns(scene, monkeypatch):
    shapes = [affinity.rotate(pixel_box(5 * k, 9 * k, 18, 13), 17 * k) for k in range(6)]
    source = Labels(
        str(write_polygons(scene / "l.gpkg", shapes, kind=list("ababab"))),
        class_field="kind",
        unlabelled="background",
    )
    expected, whole = burn(scene, source)
    monkeypatch.setattr(labels, "BURN_PX", 16)
    found, parts = burn(scene, source)
    np.testing.assert_array_equal(found, expected)
    assert parts["counts"] == whole["counts"] and parts["overlap_px"] == whole["overlap_px"]


@pytest.mark.parametrize("kind", ["concave_hull", "convex_hull", "bounds"])
def test_hulls_hold_every_polygon(kind):
    shapes = np.array([affinity.rotate(pixel_box(7 * k % 50, 11 * k % 70, 6, 5), 23 * k) for k in range(9)])
    hull = hull_geometry(shapes, utm_grid(80, 60), kind, 0.2)
    frame = pixel_box(0, 0, 60, 80)
    assert all(shapely.covers(hull.buffer(1e-6), shapely.intersection(shape, frame)) for shape in shapes)
    assert shapely.area(hull) <= shapely.area(shapely.envelope(shapely.MultiPolygon(list(shapes)))) + 1e-6


def test_outside_the_area_is_ignored(scene):
    path = write_polygons(scene / "l.gpkg", [pixel_box(10, 10, 10, 10), pixel_box(30, 50, 10, 10)])
    area = write_polygons(scene / "area.gpkg", [pixel_box(5, 5, 20, 20)])
    ids, _ = burn(scene, Labels(str(path)), Area("polygons", str(area)))
    assert (ids[5:25, 5:25] != IGNORE).all() and (ids != IGNORE).sum() == 400
    ids, _ = burn(scene, Labels(str(path)), Area("bounds"))
    assert (ids[10:40, 10:60] != IGNORE).all() and (ids != IGNORE).sum() == 30 * 50
    x, y = CORNER
    extent = (x, y - 100, x + 200, y)
    ids, _ = burn(scene, Labels(str(path)), Area("extent", extent=extent, extent_crs=UTM))
    assert (ids[:10, :20] != IGNORE).all() and (ids != IGNORE).sum() == 200


def test_partial_labels_as_background_are_warned_of_only_without_an_area(scene):
    source = Labels(str(write_polygons(scene / "l.gpkg", [pixel_box(10, 10, 8, 8), pixel_box(20, 20, 8, 8)])))
    assert "labels_incomplete" in codes(burn(scene, source)[1])
    hull = codes(burn(scene, source, Area("convex_hull"))[1])
    assert "labels_incomplete" not in hull and "hull_only" in hull
    spread = [pixel_box(row, col, 3, 3) for row in range(0, 58, 8) for col in range(0, 78, 8)]
    everywhere = Labels(str(write_polygons(scene / "m.gpkg", spread)))
    assert "labels_incomplete" not in codes(burn(scene, everywhere)[1])
    assert "hull_only" not in codes(burn(scene, everywhere, Area("convex_hull"))[1])


def test_raster_carries_names_colours_and_facts(scene):
    path = write_polygons(scene / "l.gpkg", [pixel_box(0, 0, 5, 5)], kind=["scarp"])
    legend = (LabelClass(0, "Scarp", "scarp", "#102030"),)
    burn(scene, Labels(str(path), class_field="kind", classes=legend, unlabelled="background"))
    with rasterio.open(scene / "labels.tif") as dataset:
        assert dataset.nodata == IGNORE and dataset.colormap(1)[1] == (16, 32, 48, 255)
    assert "<Category>Scarp</Category>" in (scene / "labels.tif.aux.xml").read_text(encoding="utf-8")
    facts = labels.read_facts(scene / "labels.tif")
    assert facts.classes[1].name == "Scarp" and facts.counts == {"0": 4775, "1": 25}
    assert (
        json.loads((scene / "labels.classes.json").read_text(encoding="utf-8"))["unlabelled"] == "background"
    )


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda f: Labels(str(f / "gone.gpkg")), "file_missing"),
        (lambda f: Labels(str(write_text(f / "p.csv", "id,kind\n1,a\n"))), "not_polygons"),
        (lambda f: Labels(str(write_text(f / "p.csv", "x,y,kind\n1,2,a\n"))), "no_crs"),
        (
            lambda f: Labels(
                str(write_polygons(f / "n.gpkg", [pixel_box(0, 0, 9, 9)])),
                class_field="x",
                unlabelled="background",
            ),
            "no_field",
        ),
        (lambda f: Labels(str(write_polygons(f / "o.gpkg", [pixel_box(900, 0, 9, 9)]))), "labels_outside"),
        (
            lambda f: Labels(str(write_polygons(f / "c.gpkg", [pixel_box(0, 0, 9, 9)], "EPSG:4326"))),
            "crs_lies",
        ),
        (lambda f: Labels(str(write_polygons(f / "e.gpkg", [None, None]))), "no_polygons"),
    ],
)
def test_labels_that_cannot_be_used_say_why(scene, make, code):
    with pytest.raises(GeoSegError) as caught:
        burn(scene, make(scene))
    assert caught.value.code == code and caught.value.hint


def write_text(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def checked(folder, source: Labels, **more) -> dict[str, str]:
    job = CheckJob(sources_of(folder / "a.tif"), source, **more)
    result = check.run(job, folder, channel(folder))
    assert json.loads((folder / "checks.json").read_text(encoding="utf-8"))["problems"] == result["problems"]
    assert all(item["hint"] for item in result["problems"])
    return {item["code"]: item["severity"] for item in result["problems"]}


def test_check_finds_nothing_in_good_data(scene):
    spread = [pixel_box(row, col, 3, 3) for row in range(0, 58, 8) for col in range(0, 78, 8)]
    assert checked(scene, Labels(str(write_polygons(scene / "m.gpkg", spread))), tile_px=32) == {}


def test_check_lists_everything_at_once(scene):
    x, y = CORNER
    bow_tie = Polygon([(x, y - 300), (x + 200, y - 500), (x + 200, y - 300), (x, y - 500)])
    shapes = [bow_tie, None, pixel_box(0, 0, 5, 5), pixel_box(500, 0, 5, 5), pixel_box(700, 0, 5, 5)]
    path = write_polygons(scene / "l.gpkg", shapes, kind=["a", "a", None, "b", "a"])
    found = checked(scene, Labels(str(path), class_field="kind", unlabelled="background"), tile_px=64)
    assert found == {
        "class_without_pixels": "error",
        "class_too_rare": "warning",
        "invalid_geometry": "warning",
        "no_geometry": "warning",
        "null_class": "warning",
        "labels_outside": "warning",
        "smaller_than_tile": "warning",
        "labels_incomplete": "warning",
    }


def test_check_of_one_class_against_nothing(scene):
    path = write_polygons(scene / "l.gpkg", [pixel_box(0, 0, 12, 12)])
    assert checked(scene, Labels(str(path), unlabelled="unknown"))["one_class"] == "error"


def test_check_never_raises_for_data(scene):
    outside = write_polygons(scene / "o.gpkg", [pixel_box(900, 0, 9, 9)])
    assert checked(scene, Labels(str(outside)))["labels_outside"] == "error"
    assert checked(scene, Labels(str(outside)), area=Area("convex_hull"))["labels_outside"] == "error"
    assert checked(scene, Labels(str(scene / "gone.gpkg")))["file_missing"] == "error"
    (scene / "a.tif").unlink()
    assert checked(scene, Labels(str(outside)))["file_missing"] == "error"
