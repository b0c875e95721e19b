"""Merging and exclusion of classes, several layers, label rasters, borders, small pieces, all touched pixels."""

import numpy as np
import pytest
import rasterio
import rasterio.warp
import shapely
from data_scenes import (
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
from rasterio.features import rasterize
from shapely import affinity

from geoseg_engine.contract import (
    IGNORE,
    Area,
    GeoSegError,
    LabelClass,
    LabelLayer,
    Labels,
    RasterizeJob,
    Source,
    StackJob,
)
from geoseg_engine.dataset.datasets import read_ids
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.dataset.labels.label_errors import along_borders
from geoseg_engine.dataset.labels.rasterize import always_valid
from geoseg_engine.raster.components import label_components
from geoseg_engine.raster.grid import Window, affine_of, full_window
from geoseg_engine.raster.writer import write_class_sidecar
from geoseg_engine.stacking import stack
from geoseg_engine.stacking.reader import open_stack
from geoseg_engine.vector.class_raster import read_raster_classes
from geoseg_engine.vector.scan_fill import ScanFill


@pytest.fixture
def scene(tmp_path):
    return write_stack(tmp_path)


def names(result: dict) -> list[str]:
    return [item["name"] for item in result["classes"]]


def blobs(seed: int, count: int = 40) -> list[shapely.Geometry]:
    """Triangles and turned boxes, some smaller than a pixel, some reaching outside the grid."""
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.3, 14, (count, 2))
    return [
        affinity.rotate(pixel_box(0, 0, 1, 1), angle)
        if min(size) < 0.5
        else affinity.rotate(
            affinity.translate(affinity.scale(pixel_box(0, 0, 1, 1), *size), 10 * col, -10 * row), angle
        )
        for size, angle, row, col in zip(
            sizes,
            rng.uniform(0, 360, count),
            rng.uniform(-5, 65, count),
            rng.uniform(-5, 85, count),
            strict=True,
        )
    ]


@pytest.mark.parametrize("seed", range(4))
def test_burning_equals_gdal_whatever_the_window(seed):
    shapes, grid = np.array(blobs(seed)), utm_grid(80, 60)
    ring = shapely.difference(pixel_box(5, 5, 30, 40), pixel_box(10, 10, 8, 9))
    centres = shapely.box(
        600_005.0, 5_199_805.0, 600_105.0, 5_199_905.0
    )  # its sides run through pixel centres
    shapes = np.append(shapes, [ring, shapely.MultiPolygon([pixel_box(40, 2, 9, 9), ring]), centres])
    values = np.random.default_rng(seed).integers(1, 5, len(shapes)).astype(np.uint8)
    expected = rasterize(
        zip(shapes, values.tolist(), strict=True), (60, 80), transform=affine_of(grid), dtype="uint8"
    )
    fill, order = ScanFill(shapes, grid), np.arange(len(shapes))
    for size in (60, 17, 5):
        for row in range(0, 60, size):
            for col in range(0, 80, size):
                window = Window(row, col, size, size)
                out = np.zeros((size, size), np.uint8)
                fill.runs(window, order).paint(out, values)
                inside = window.clipped(60, 80)
                np.testing.assert_array_equal(
                    out[inside.within(window)], expected[inside.within(Window(0, 0, 60, 80))]
                )


def test_values_merge_and_are_excluded(scene):
    shapes = [pixel_box(0, 10 * k, 8, 8) for k in range(5)] + [pixel_box(4, 0, 8, 4)]
    path = write_polygons(
        scene / "l.gpkg", shapes, kind=["wheat", "Barley", "maize", "wood", "cloud", "cloud"]
    )
    legend = (LabelClass(0, "cereal", "wheat", also=("barley", "maize")), LabelClass(0, "wood", "wood"))
    source = Labels(
        str(path), class_field="kind", classes=legend, excluded=("CLOUD",), unlabelled="background"
    )
    ids, result = burn(scene, source)
    assert names(result) == ["background", "cereal", "wood"]
    assert (ids[:8, 10:18] == 1).all() and (ids[:8, 20:28] == 1).all() and (ids[:8, 30:38] == 2).all()
    assert (ids[:8, 40:48] == IGNORE).all()
    assert (ids[4:8, :4] == IGNORE).all(), "what is excluded is ignored, also where a class claims it"
    assert (
        result["excluded_px"] == 64 + 32
        and result["overlap_px"] == 0
        and "not_in_legend" not in codes(result)
    )
    _, result = burn(
        scene, Labels(str(path), class_field="kind", excluded=("cloud",), unlabelled="background")
    )
    assert names(result) == ["background", "Barley", "maize", "wheat", "wood"]


def test_several_layers_are_a_class_each_or_join_the_legend(scene):
    scarps = write_polygons(scene / "scarps.gpkg", [pixel_box(0, 0, 10, 10)])
    deposits = write_polygons(scene / "deposits.gpkg", [pixel_box(5, 5, 10, 10)])
    more = write_polygons(
        scene / "more.gpkg",
        [pixel_box(30, 0, 5, 5), pixel_box(30, 10, 5, 5), pixel_box(30, 20, 5, 5)],
        what=["Scarps", "flow", None],
    )
    layers = (
        LabelLayer(str(deposits), name="deposits", color="#112233"),
        LabelLayer(str(more), name="more", class_field="what"),
    )
    ids, result = burn(scene, Labels(str(scarps), name="scarps", more=layers))
    assert names(result) == ["background", "scarps", "deposits", "flow"]
    assert result["classes"][2]["color"] == "#112233"
    assert (ids[:5, :10] == 1).all() and (ids[5:15, 5:15] == 2).all() and result["overlap_px"] == 25
    assert ids[30, 0] == 1 and ids[30, 10] == 3 and ids[30, 20] == IGNORE and "null_class" in codes(result)
    ordered = (LabelClass(0, "deposits", "", "#000001"), LabelClass(0, "scarps", "", "#000002"))
    turned = Labels(
        str(deposits), name="deposits", classes=ordered, more=(LabelLayer(str(scarps), name="scarps"),)
    )
    ids, result = burn(scene, turned)
    assert names(result) == ["background", "deposits", "scarps"] and (ids[5:10, 5:10] == 2).all()


def test_border_is_a_band_of_both_classes_and_ignored_ground_has_none():
    ids = np.zeros((12, 12), np.uint8)
    ids[:, 6:] = 1
    ids[9:, :] = IGNORE
    band = along_borders(ids, 4)
    assert band[:9, 4:8].all() and band.sum() == 9 * 4
    assert along_borders(ids, 3).sum() == 9 * 4, "odd widths are rounded up"
    np.testing.assert_array_equal(along_borders(ids, 1), along_borders(ids, 2))
    rng = np.random.default_rng(3)
    ids = rng.choice(np.array([0, 1, 2, 253, IGNORE], np.uint8), (30, 30), p=[0.9, 0.04, 0.02, 0.02, 0.02])
    for border_px in (2, 4, 6):
        reach = border_px // 2
        expected = np.zeros(ids.shape, bool)
        for row, col in np.argwhere(ids != IGNORE):
            near = ids[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1]
            expected[row, col] = ((near != IGNORE) & (near != ids[row, col])).any()
        np.testing.assert_array_equal(along_borders(ids, border_px), expected)


@pytest.mark.parametrize(
    "more", [{"border_px": 3}, {"min_area_px": 40}, {"border_px": 2, "min_area_px": 90, "all_touched": True}]
)
@pytest.mark.parametrize("seed", range(2))
def test_options_do_not_depend_on_the_window(scene, monkeypatch, seed, more):
    shapes = blobs(seed)
    path = write_polygons(scene / "l.gpkg", shapes, kind=[f"k{k % 4}" for k in range(len(shapes))])
    source = Labels(str(path), class_field="kind", excluded=("k3",), **more)
    area = Area("convex_hull")
    expected, result = burn(scene, source, area)
    for side in (16, 7):
        monkeypatch.setattr(labels, "BURN_PX", side)
        found, parts = burn(scene, source, area)
        np.testing.assert_array_equal(found, expected)
        for key in ("counts", "overlap_px", "excluded_px", "border_px", "small_px", "ignored_px"):
            assert parts[key] == result[key], key
    assert (result["border_px"] > 0) == ("border_px" in more)
    assert (result["small_px"] > 0) == ("min_area_px" in more)


def test_pieces_below_the_least_area_are_ignored(scene):
    shapes = [
        pixel_box(2, 2, 3, 3),
        pixel_box(10, 2, 4, 4),
        pixel_box(10, 30, 1, 40),
        pixel_box(11, 30, 20, 1),
    ]
    path = write_polygons(scene / "l.gpkg", shapes, kind=["a", "a", "b", "b"])
    plain, _ = burn(scene, Labels(str(path), class_field="kind", unlabelled="background"))
    ids, result = burn(scene, Labels(str(path), class_field="kind", unlabelled="background", min_area_px=16))
    pieces, count = label_components(plain, plain != 0)
    small = np.append(np.bincount(pieces[pieces >= 0], minlength=count) < 16, False)[pieces]
    np.testing.assert_array_equal(ids, np.where(small, IGNORE, plain))
    assert result["small_px"] == 9
    _, result = burn(scene, Labels(str(path), class_field="kind", unlabelled="background", min_area_px=62))
    assert "class_without_pixels" in codes(result) and "class_thinned" in codes(result)


def test_all_touched_takes_what_gdal_takes(scene):
    shapes = blobs(7, 12)
    path = write_polygons(scene / "l.gpkg", shapes)
    ids, result = burn(scene, Labels(str(path), all_touched=True))
    expected = rasterize(
        [(shape, 1) for shape in shapes],
        (60, 80),
        transform=affine_of(utm_grid(80, 60)),
        dtype="uint8",
        all_touched=True,
    )
    np.testing.assert_array_equal(ids, expected)
    plain, _ = burn(scene, Labels(str(path)))
    assert (ids >= plain).all() and ids.sum() > plain.sum() and result["overlap_px"] == 0


def label_raster(path, values, names=(), colors=None, **more):
    write_raster(path, values, **more)
    if colors:
        with rasterio.open(path, "r+") as dataset:
            dataset.write_colormap(1, colors)
    if names:
        write_class_sidecar(
            path.with_name(path.name + ".aux.xml"), [LabelClass(k, name, "") for k, name in enumerate(names)]
        )
    return path


def test_label_raster_keeps_names_and_colours(scene):
    values = np.zeros((60, 80), np.uint8)
    values[10:20, 10:20], values[30:40, 30:40], values[50:, :] = 1, 3, 9
    path = label_raster(scene / "r.tif", values, ("", "ice", "rock", "water"), {3: (1, 2, 3, 255)}, nodata=0)
    ids, result = burn(scene, Labels(str(path), kind="raster"))
    assert names(result) == ["background", "ice", "water", "9"]
    assert result["classes"][2]["value"] == "3"
    np.testing.assert_array_equal(ids, np.array([0, 1, 0, 2, 0, 0, 0, 0, 0, 3])[values])
    ids, result = burn(scene, Labels(str(path), kind="raster", unlabelled="unknown", excluded=("9",)))
    assert names(result) == ["ice", "water"] and result["excluded_px"] == 800
    assert set(np.unique(ids)) == {0, 1, IGNORE}
    legend = (LabelClass(0, "cold", "1", also=("9",)),)
    ids, result = burn(scene, Labels(str(path), kind="raster", classes=legend))
    assert (ids[values == 3] == IGNORE).all() and (ids[values == 9] == 1).all()
    assert "not_in_legend" in codes(result)


def test_a_raster_with_a_background_of_its_own_leaves_pixels_without_value_out(scene):
    values = np.full((60, 80), 1, np.uint8)
    values[10:20, 10:20], values[30:40] = 2, 0
    path = label_raster(scene / "r.tif", values, ("", "Background", "ice"), {}, nodata=0)
    ids, result = burn(scene, Labels(str(path), kind="raster"))
    assert names(result) == ["Background", "ice"]
    np.testing.assert_array_equal(ids, np.array([IGNORE, 0, 1])[values])


def test_label_raster_comes_by_nearest_from_another_grid(scene, monkeypatch):
    rng = np.random.default_rng(0)
    coarse = rng.integers(1, 4, (15, 20)).astype(np.int16)
    path = write_raster(scene / "coarse.tif", coarse, 40.0)
    ids, _ = burn(scene, Labels(str(path), kind="raster", unlabelled="unknown"))
    np.testing.assert_array_equal(ids, np.kron(coarse, np.ones((4, 4), int)) - 1)
    small = write_raster(scene / "small.tif", coarse[:10, :10], 40.0)
    ids, _ = burn(scene, Labels(str(small), kind="raster"))
    assert (ids[40:] == IGNORE).all() and (ids[:, 40:] == IGNORE).all(), "nothing is known outside the raster"
    left, top = rasterio.warp.transform(UTM, "EPSG:4326", [599_900.0], [5_200_100.0])
    fine = rng.integers(1, 4, (400, 600)).astype(np.uint8)
    degrees = write_raster(scene / "d.tif", fine, (3e-5, 2e-5), (left[0], top[0]), "EPSG:4326")
    source = Labels(str(degrees), kind="raster", unlabelled="unknown", border_px=2, min_area_px=5)
    whole_ids, _ = burn(scene, source)
    monkeypatch.setattr(labels, "BURN_PX", 16)
    parts, _ = burn(scene, source)
    np.testing.assert_array_equal(parts, whole_ids)
    assert (whole_ids != IGNORE).sum() > 0


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (hills(60, 80), "too_many_classes"),
        (np.zeros((60, 80), np.uint8), "no_labels"),
    ],
)
def test_rasters_that_are_no_classes_say_why(scene, values, code):
    path = write_raster(scene / "x.tif", values, nodata=0)
    with pytest.raises(GeoSegError) as caught:
        burn(scene, Labels(str(path), kind="raster"))
    assert caught.value.code == code and caught.value.hint


def test_stacks_that_surely_have_values_are_not_read(scene, monkeypatch):
    whole_numbers = sources_of(write_raster(scene / "n.tif", np.ones((60, 80), np.uint8)))
    job = StackJob(whole_numbers, one_band_each(whole_numbers), output="sure.recipe.json")
    stack.run(job, scene, channel(scene))
    with open_stack(scene / "sure.recipe.json") as reader, open_stack(scene / "stack.recipe.json") as other:
        assert always_valid(reader, scene / "sure.recipe.json")
        assert not always_valid(other, scene / "stack.recipe.json"), "floats may be NaN"
        assert full_window(reader.grid) == full_window(other.grid)
    source = Labels(str(write_polygons(scene / "l.gpkg", blobs(1))))
    expected, _ = burn(scene, source)
    monkeypatch.setattr(labels, "BURN_PX", 16)
    monkeypatch.setattr(labels, "STRIP_COLS", 30)
    labels.run(RasterizeJob("sure.recipe.json", source), scene, channel(scene))
    np.testing.assert_array_equal(read_ids(scene / "labels.tif"), expected)


def test_a_label_raster_turned_by_a_right_angle_has_a_footprint(tmp_path):
    turned = rasterio.Affine(0, 10, 600_000, 10, 0, 5_100_000)
    path = write_raster(tmp_path / "turned.tif", np.ones((20, 30), np.uint8), transform=turned)
    found = read_raster_classes(Source("l", str(path)), UTM)
    assert found.footprint.bounds == (600_000, 5_100_000, 600_200, 5_100_300)
