"""Outlines drawn anew: neighbours keep their common border, nothing crosses, nothing moves too far."""

from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from prediction_scenes import grid_of
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Grid, LabelClass, Outlines, PolygonizeJob
from geoseg_engine.postprocess.polygons import polygonize
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.writer import RasterWriter

CLASSES = (LabelClass(0, "background"), LabelClass(1, "water"), LabelClass(2, "rock"))


def smooth_ids(side, sigma, seed):
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), sigma)
    return np.digitize(field / field.std(), [-0.6, 0.6]).astype(np.uint8)


def noise_ids(side, seed):
    return np.random.default_rng(seed).integers(0, 3, (side, side)).astype(np.uint8)


def drawn(folder, ids, grid=None, **outlines):
    grid = grid or grid_of(*ids.shape)
    with RasterWriter(folder / "classes.tif", grid, "uint8", 255, ["class"], CLASSES) as writer:
        writer.write(ids, Window(0, 0, *ids.shape))
    job = PolygonizeJob("classes.tif", skip_background=False, min_area_px=0, outlines=Outlines(**outlines))
    result = polygonize.run(job, folder, Channel(folder))
    frame = geopandas.read_file(folder / "polygons.gpkg", layer="polygons")
    assert frame.is_valid.all() and len(frame) == result["count"]
    return frame


SCENES = [smooth_ids(120, 1.5, 1), smooth_ids(120, 6, 2), noise_ids(30, 3), noise_ids(60, 4)]


@pytest.mark.parametrize("ids", SCENES, ids=["fine", "coarse", "noise", "more noise"])
@pytest.mark.parametrize(
    ("simplify_m", "smooth"), [(5, 0), (15, 0), (80, 0), (0, 1), (0, 4), (15, 3), (60, 2)]
)
def test_polygons_still_cover_the_map_without_gap_or_overlap(tmp_path, ids, simplify_m, smooth):
    frame = drawn(tmp_path, ids, simplify_m=simplify_m, smooth=smooth)
    shapes = frame.geometry.values
    assert shapely.coverage_is_valid(shapes)
    whole = shapely.box(*frame.total_bounds)
    assert shapely.area(shapes).sum() == pytest.approx(ids.size * 100)
    assert whole.area == pytest.approx(ids.size * 100)
    assert shapely.union_all(shapes).area == pytest.approx(whole.area)


def test_no_outline_moves_by_more_than_the_tolerance_and_corners_become_few(tmp_path):
    ids = smooth_ids(150, 8, 5)
    edges = drawn(tmp_path, ids).geometry.values
    borders = shapely.union_all(shapely.boundary(edges))
    counts = [shapely.get_num_coordinates(edges).sum()]
    for tolerance in (8, 15, 30):
        shapes = drawn(tmp_path, ids, simplify_m=tolerance).geometry.values
        moved = shapely.union_all(shapely.boundary(shapes))
        assert shapely.hausdorff_distance(borders, moved) <= tolerance * 1.001
        counts.append(shapely.get_num_coordinates(shapes).sum())
    assert counts == sorted(counts, reverse=True) and counts[-1] < counts[0] / 6


@pytest.mark.parametrize(
    ("ids", "tolerance"),
    [([[2, 2, 1], [2, 1, 1]], 6), (smooth_ids(40, 1.2, 8), 6), (noise_ids(25, 9), 8), (noise_ids(25, 9), 25)],
    ids=["a stair of two", "fine", "noise", "noise, wider"],
)
def test_nothing_moves_too_far_where_a_border_may_not_become_straight(tmp_path, ids, tolerance):
    ids = np.array(ids, np.uint8)
    borders = shapely.union_all(shapely.boundary(drawn(tmp_path, ids).geometry.values))
    moved = shapely.union_all(shapely.boundary(drawn(tmp_path, ids, simplify_m=tolerance).geometry.values))
    assert shapely.hausdorff_distance(borders, moved) <= tolerance * 1.001


def test_the_tolerance_is_metres_on_the_ground_in_any_crs(tmp_path):
    """A step of two pixels is 222 m in north, and 19 m in east at 85 degrees."""
    ids = np.zeros((30, 30), np.uint8)
    ids[:, :15] = 1
    ids[10:20, :17] = 1
    grid = Grid("EPSG:4326", (0.001, 0, 10, 0, -0.001, 85), 30, 30)
    assert drawn(tmp_path, ids, grid).geometry.apply(shapely.get_num_coordinates).max() > 7
    fewer = drawn(tmp_path, ids, grid, simplify_m=25)
    assert fewer.geometry.apply(shapely.get_num_coordinates).max() == 5
    turned = drawn(tmp_path, ids.T.copy(), grid, simplify_m=25)
    assert turned.geometry.apply(shapely.get_num_coordinates).max() > 7


def test_attributes_are_those_of_the_drawn_outline(tmp_path):
    frame = drawn(tmp_path, smooth_ids(100, 6, 7), simplify_m=30)
    assert np.allclose(frame.area_m2, frame.area, rtol=2e-3)
    assert np.allclose(frame.perimeter_m, frame.length, rtol=2e-3)


def test_smoothing_cuts_corners_but_not_nodes_nor_the_corners_of_the_map(tmp_path):
    ids = np.zeros((40, 40), np.uint8)
    ids[10:30, 10:30] = 1
    shapes = drawn(tmp_path, ids, smooth=1)
    island = shapes[shapes.class_id == 1].geometry.iloc[0]
    assert shapely.get_num_coordinates(island) == 9
    assert island.area == pytest.approx(200 * 200 - 4 * 50 * 50 / 2)
    assert shapes.total_bounds.tolist() == drawn(tmp_path, ids).total_bounds.tolist()


def test_a_small_area_never_vanishes(tmp_path):
    ids = np.zeros((9, 9), np.uint8)
    ids[4, 4], ids[0, 3:6] = 1, 2
    frame = drawn(tmp_path, ids, simplify_m=1000)
    assert len(frame) == 3 and (frame.area > 30).all()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    "how", [{"simplify_m": 15}, {"right_angles": True}], ids=["simplified", "right angles"]
)
def test_a_border_does_not_fall_onto_a_straight_one(tmp_path, turns, mirrored, how):
    ids = np.rot90(np.array([[255, 1, 1, 255], [255, 255, 2, 255]], np.uint8), turns)
    frame = drawn(tmp_path, ids[:, ::-1] if mirrored else ids, **how)
    assert len(frame) == 2 and (frame.area_m2 > 30).all()


def turned_building(degrees, side=80):
    grid = grid_of(side, side)
    middle = np.array([grid.transform[2] + side * 5, grid.transform[5] - side * 5])
    corners = np.array([[-150, -90], [150, -90], [150, 90], [30, 90], [30, 20], [-150, 20]])
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    building = shapely.Polygon(corners @ turn + middle)
    return building, rasterize([building], (side, side), transform=Affine(*grid.transform)).astype(np.uint8)


def angles_of(ring):
    side = np.diff(shapely.get_coordinates(ring), axis=0)
    heading = np.degrees(np.arctan2(side[:, 1], side[:, 0]))
    return (np.diff(heading, append=heading[0]) + 360) % 90


@pytest.mark.parametrize("degrees", [0, 17, 30, 45, 68])
def test_a_building_gets_its_right_angles_and_its_direction_back(tmp_path, degrees):
    building, ids = turned_building(degrees)
    frame = drawn(tmp_path, ids, right_angles=True)
    found = frame[frame.class_id == 1].geometry.iloc[0]
    assert np.minimum(angles_of(found.exterior), 90 - angles_of(found.exterior)).max() < 0.1
    assert shapely.get_num_coordinates(found) == 7
    assert found.area == pytest.approx(building.area, rel=0.05)
    assert found.intersection(building).area / found.union(building).area > 0.9


@pytest.mark.parametrize("ids", SCENES, ids=["fine", "coarse", "noise", "more noise"])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_right_angles_are_valid_whatever_the_areas(tmp_path, ids, connectivity):
    edges = drawn(tmp_path, ids, connectivity=connectivity)
    frame = drawn(tmp_path, ids, connectivity=connectivity, right_angles=True)
    assert len(frame) == len(edges)
    assert frame.area.sum() == pytest.approx(edges.area.sum(), rel=0.1)


def test_the_layer_carries_its_classes_colours_for_qgis(tmp_path):
    drawn(tmp_path, noise_ids(5, 1))
    styles = pyogrio.read_dataframe(tmp_path / "polygons.gpkg", layer="layer_styles")
    assert styles.f_table_name.tolist() == ["polygons"] and styles.useAsDefault.tolist() == [True]
    assert geopandas.list_layers(tmp_path / "polygons.gpkg").name.tolist()[0] == "polygons"
    root = ElementTree.fromstring(styles.styleQML[0].split("\n", 1)[1])
    categories = {item.get("value"): item.get("label") for item in root.iter("category")}
    assert categories == {"0": "background", "1": "water", "2": "rock"}
    colours = [item.get("value") for item in root.iter("Option") if item.get("name") == "color"]
    assert len(colours) == 3 and all(colour.endswith(",255") for colour in colours)
