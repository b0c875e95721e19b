"""Every fault of a label layer is found once, at its place, with the feature to mend."""

import re

import geopandas
import numpy as np
import pytest
import shapely
from data_scenes import CORNER, UTM, channel, hills, pixel_box, sources_of, write_polygons, write_raster
from scipy import ndimage
from shapely import affinity

from geoseg_engine.contract import CheckJob, Grid, LabelClass, LabelLayer, Labels
from geoseg_engine.dataset.checks import check
from geoseg_engine.dataset.checks.findings import width_px

BOWTIE = shapely.Polygon(
    [(CORNER[0] + x * 10, CORNER[1] - y * 10) for x, y in ((40, 40), (60, 60), (60, 40), (40, 60))]
)


def place(row, col):
    return CORNER[0] + col * 10, CORNER[1] - row * 10


def checked(folder, labels, **more):
    sources = sources_of(folder / "a.tif")
    job = CheckJob(sources, labels, findings="findings.gpkg", **more)
    result = check.run(job, folder, channel(folder))
    return result, geopandas.read_file(folder / "findings.gpkg", layer="findings")


def scene(folder, shapes, image=None, crs=UTM, **fields):
    write_raster(folder / "a.tif", hills(200, 240) if image is None else image)
    path = write_polygons(folder / "l.gpkg", shapes, **fields)
    if crs != UTM:
        geopandas.read_file(path).to_crs(crs).to_file(path)
    return path


def sound_boxes():
    return [pixel_box(row, col, 12, 12) for row in (5, 80, 150) for col in (5, 100, 200)]


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_every_kind_of_fault_is_told_with_its_feature(tmp_path, crs):
    faulty = {
        "invalid_geometry": BOWTIE,
        "no_geometry": None,
        "tiny_polygon": pixel_box(120, 20, 0.5, 0.5),
        "sliver": pixel_box(120, 40, 0.4, 30),
        "duplicate": pixel_box(5, 5, 12, 12),
        "overlap": pixel_box(10, 105, 12, 12),
        "labels_outside": pixel_box(500, 500, 9, 9),
        "null_class": pixel_box(170, 60, 9, 9),
    }
    kinds = ["a"] * 9 + [
        "b" if code == "overlap" else None if code == "null_class" else "a" for code in faulty
    ]
    path = scene(tmp_path, [*sound_boxes(), *faulty.values()], crs=crs, kind=kinds)
    result, found = checked(tmp_path, Labels(str(path), "", "slides", "kind"))
    for number, code in enumerate(faulty, 10):
        told = found[found.code == code]
        assert len(told) == 1 and result["findings"][code] == 1, code
        assert told.iloc[0].feature == (2 if code == "overlap" else number), code
        assert told.iloc[0].layer == "slides" and told.iloc[0].reason.endswith(".")
    assert set(found.code) == set(faulty) | {"class_too_rare"} and found.crs == UTM
    rare = found[found.code == "class_too_rare"]
    assert rare["class"].tolist() == ["b"] and "1 polygon " in rare.iloc[0].reason
    codes = {problem["code"] for problem in result["problems"]}
    assert {*faulty, "class_too_rare"} <= codes


def test_places_of_faults(tmp_path):
    other = pixel_box(10, 105, 12, 12)
    shapes = [*sound_boxes(), BOWTIE, other, None]
    path = scene(tmp_path, shapes, kind=["a"] * 10 + ["b", "a"])
    _, found = checked(tmp_path, Labels(str(path), "", "l", "kind"))
    geometry = found.set_index("code").geometry
    assert geometry["invalid_geometry"].distance(shapely.Point(place(50, 50))) < 0.01
    assert "self-intersection" in found.set_index("code").reason["invalid_geometry"]
    assert geometry["overlap"].area == pytest.approx(shapely.intersection(other, sound_boxes()[1]).area)
    assert shapely.box(*shapely.total_bounds(sound_boxes())).contains(geometry["no_geometry"])
    assert "49 pixels" in found.set_index("code").reason["overlap"]


def test_sound_labels_have_no_finding_and_an_empty_layer(tmp_path):
    path = scene(tmp_path, sound_boxes())
    result, found = checked(tmp_path, Labels(str(path)))
    assert len(found) == 0 and result["findings"] == {}


def test_one_large_polygon_is_not_too_rare_to_split(tmp_path):
    path = scene(tmp_path, [pixel_box(5, 5, 100, 150), pixel_box(150, 5, 20, 20)], kind=["a", "b"])
    _, found = checked(tmp_path, Labels(str(path), "", "l", "kind"), tile_px=64)
    assert found[found.code == "class_too_rare"]["class"].tolist() == ["b"]


STRIP = shapely.box(0, 0, 30, 0.6)
WIDTHS = {
    "square": (shapely.box(0, 0, 1.94, 1.94), 1.94),
    "strip": (STRIP, 0.6),
    "strip, turned": (affinity.rotate(STRIP, 33), 0.6),
    "disc": (shapely.Point(0, 0).buffer(0.45, quad_segs=32), 0.9),
    "ring": (shapely.Point(0, 0).buffer(20).boundary.buffer(0.25), 0.5),
    "body with a tail": (shapely.union_all([shapely.box(0, 0, 3, 3), shapely.box(3, 1, 60, 1.1)]), 3.0),
    "strip beside a square": (shapely.MultiPolygon([STRIP, shapely.box(40, 0, 42, 2)]), 2.0),
}


@pytest.mark.parametrize(("shape", "expected"), WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize(("width", "height"), [(10.0, 10.0), (10.0, 25.0), (0.0002, 0.0003)])
def test_the_width_of_a_polygon_is_its_widest_place_in_pixels_of_both_directions(
    shape, expected, width, height
):
    grid = Grid("EPSG:4326", (width, 0.0, 5.0, 0.0, -height, 50.0), 100, 100)
    drawn = affinity.translate(
        affinity.scale(shape, width, height, origin=(0, 0)), 5 + 3 * width, 50 - 70 * height
    )
    found = width_px(np.array([drawn], object), grid)[0]
    assert found == pytest.approx(expected, abs=0.03) if expected < 1 else 1 <= found <= expected + 0.03


def test_squares_of_two_pixels_are_no_slivers(tmp_path):
    shapes = [pixel_box(row, col, 1.94, 1.94) for row in range(5, 190, 20) for col in range(5, 200, 40)]
    path = scene(tmp_path, shapes)
    result, found = checked(tmp_path, Labels(str(path)))
    assert len(found) == 0 and result["findings"] == {}


def test_polygons_of_one_pixel_are_neither_tiny_nor_narrow_in_another_crs(tmp_path):
    shapes = [pixel_box(row, col, 1, 1) for row in range(5, 190, 20) for col in range(5, 200, 40)]
    path = scene(tmp_path, shapes, crs="EPSG:32633")
    _, found = checked(tmp_path, Labels(str(path)))
    assert not {"sliver", "tiny_polygon"} & set(found.code)


FAULTY = {
    "tiny_polygon": lambda row, col: [pixel_box(row, col, 0.5, 0.5)],
    "sliver": lambda row, col: [pixel_box(row, col, 0.4, 12)],
    "duplicate": lambda row, col: [pixel_box(row, col, 4, 4)] * 2,
    "overlap_same_class": lambda row, col: [pixel_box(row, col, 4, 4), pixel_box(row, col, 4, 5)],
}


@pytest.mark.parametrize("code", FAULTY)
@pytest.mark.parametrize(("faulty", "sound"), [(1, 0), (1, 8), (3, 8), (8, 3), (8, 0)])
def test_no_advice_is_to_delete_what_was_drawn(tmp_path, code, faulty, sound):
    places = [(row, col) for row in range(5, 190, 45) for col in range(5, 220, 70)]
    shapes = [shape for place in places[:faulty] for shape in FAULTY[code](*place)]
    shapes += [pixel_box(row, col, 6, 6) for row, col in places[faulty : faulty + sound]]
    result, _ = checked(tmp_path, Labels(str(scene(tmp_path, shapes))))
    told = [item for item in result["problems"] if item["code"] == code]
    assert len(told) == 1 and "of 'l'" in told[0]["message"]
    for item in result["problems"]:
        assert "elete them" not in item["hint"] and "delete these" not in item["hint"], item
        assert not re.search(r"\b1 (pixels|polygons|features|classes)\b", item["message"]), item
    if code in ("tiny_polygon", "sliver"):
        assert ("smaller pixel size" in told[0]["hint"]) == (faulty >= sound)
        assert told[0]["message"].startswith(
            "The only" if faulty + sound == 1 else "All 8" if not sound else f"{faulty} of {faulty + sound}"
        )


@pytest.mark.parametrize(
    ("shapes", "kinds", "settings", "told", "advice"),
    [
        ([(5, 5, 0.3, 0.3)], None, {}, "its polygon holds no centre of a pixel", "larger than a pixel"),
        ([(5, 5, 3, 3)] * 2, None, {"min_area_px": 50}, "in patches below 50 px", "smaller minimum area"),
        ([(5, 5, 6, 6)], None, {"border_px": 8}, "in the band of 8 px along", "narrower border"),
        ([(5, 5, 9, 9)] * 2, ["a", "b"], {}, "or other classes cover it", "inside the area"),
        ([(5, 5, 9, 9)] * 2, [None, None], {}, "no class", "class field"),
        (
            [(5, 5, 9, 9)] * 2,
            [None, None],
            {"unlabelled": "background"},
            "no class besides 'background'",
            "class field",
        ),
    ],
)
def test_a_class_without_pixels_is_told_with_where_they_went(tmp_path, shapes, kinds, settings, told, advice):
    path = scene(tmp_path, [pixel_box(*shape) for shape in shapes], **({"kind": kinds} if kinds else {}))
    result, _ = checked(tmp_path, Labels(str(path), "", "l", "kind" if kinds else "", **settings))
    codes = ("class_without_pixels", "one_class")
    (problem,) = [item for item in result["problems"] if item["code"] in codes]
    assert told in problem["message"] and advice in problem["hint"] and problem["severity"] == "error"


def test_many_faulty_classes_share_one_sentence(tmp_path):
    shapes = [pixel_box(row, col, 2, 2) for row in range(5, 190, 20) for col in range(5, 200, 20)]
    path = scene(tmp_path, shapes, kind=[f"k{number:03}" for number in range(len(shapes))])
    result, _ = checked(tmp_path, Labels(str(path), "", "l", "kind", unlabelled="unknown"))
    told = {code: [item for item in result["problems"] if item["code"] == code] for code in
            ("rare_class", "class_too_rare")}  # fmt: skip
    assert [len(items) for items in told.values()] == [1, 1]
    assert told["rare_class"][0]["message"].startswith("All 100 classes have fewer than 100 pixels")


def test_merged_and_excluded_classes_do_not_overlap(tmp_path):
    shapes = [*sound_boxes(), pixel_box(8, 8, 12, 12), pixel_box(85, 105, 12, 12)]
    path = scene(tmp_path, shapes, kind=["a"] * 9 + ["a2", "x"])
    legend = (LabelClass(0, "a", "a", "#ff0000", ("a2",)),)
    _, found = checked(tmp_path, Labels(str(path), "", "l", "kind", legend, excluded=("x",)))
    assert "overlap" not in set(found.code) and "class_too_rare" not in set(found.code)


def test_layers_are_checked_against_each_other(tmp_path):
    path = scene(tmp_path, sound_boxes())
    deposits = write_polygons(tmp_path / "d.gpkg", [pixel_box(8, 8, 12, 12), *sound_boxes()[2:]])
    labels = Labels(str(path), "", "scars", more=(LabelLayer(str(deposits), "", "deposits"),))
    _, found = checked(tmp_path, labels)
    told = found[found.code == "overlap"]
    assert len(told) == 8 and "'deposits'" in told.iloc[0].reason and set(told.layer) == {"scars"}


def test_least_area_of_labels_is_the_least_area_here(tmp_path):
    path = scene(tmp_path, [*sound_boxes(), pixel_box(120, 20, 3, 3)])
    _, found = checked(tmp_path, Labels(str(path), min_area_px=20))
    assert found.code.tolist() == ["tiny_polygon"] and "20 pixels" in found.reason[0]


def discs_image(moved_rows, moved_cols, seed=0, noise=6.0):
    """Bright discs on noise, and polygons of them that were moved."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=(400, 420)), 2) * noise * 5
    y, x = np.mgrid[:400, :420]
    shapes = []
    for row in range(40, 380, 55):
        for col in range(40, 400, 55):
            radius = rng.uniform(8, 14)
            image[(y + 0.5 - row) ** 2 + (x + 0.5 - col) ** 2 < radius**2] += 25
            centre = shapely.Point(place(row - moved_rows, col - moved_cols))
            shapes.append(centre.buffer(radius * 10))
    return image.astype(np.float32), shapes


@pytest.mark.parametrize("moved", [(4, -3), (0, 5), (-6, 0)])
def test_a_shift_between_labels_and_image_is_measured(tmp_path, moved):
    image, shapes = discs_image(*moved)
    path = scene(tmp_path, shapes, image)
    result, found = checked(tmp_path, Labels(str(path)))
    told = found[found.code == "labels_shifted"]
    assert len(told) == 1
    for amount, words in ((moved[0], ("up", "down")), (moved[1], ("to the left", "to the right"))):
        wanted = f"{abs(amount)} px ({abs(amount) * 10} m) {words[amount > 0]}"
        assert (wanted in told.iloc[0].reason) == (amount != 0), told.iloc[0].reason
    line = told.iloc[0].geometry.geoms[0]
    assert line.coords[1][0] - line.coords[0][0] == pytest.approx(moved[1] * 10)
    assert "labels_shifted" in {problem["code"] for problem in result["problems"]}


@pytest.mark.parametrize("seed", range(6))
def test_no_shift_is_told_where_labels_fit_or_the_image_says_nothing(tmp_path, seed):
    image, shapes = discs_image(0, 0, seed)
    path = scene(tmp_path, shapes, image)
    assert "labels_shifted" not in set(checked(tmp_path, Labels(str(path)))[1].code)
    noise = np.random.default_rng(seed).normal(size=image.shape).astype(np.float32)
    write_raster(tmp_path / "a.tif", noise)
    assert "labels_shifted" not in set(checked(tmp_path, Labels(str(path)))[1].code)
    write_raster(tmp_path / "a.tif", hills(*image.shape, seed=seed))
    assert "labels_shifted" not in set(checked(tmp_path, Labels(str(path)))[1].code)
