"""CRS that are not on the earth, not in a register or not in a GeoTIFF: used as they are, kept, or refused by name."""

import re

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio.shutil
from data_scenes import channel, hills, one_band_each, sources_of, write_cf, write_polygons, write_raster
from shapely import box

from geoseg_engine.contract import (
    AreasJob,
    Band,
    GeoSegError,
    Grid,
    GridRequest,
    Labels,
    RasterizeJob,
    Source,
    StackJob,
    TerrainJob,
    TileJob,
)
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.evaluation import areas
from geoseg_engine.raster.crs import same_crs, way_between, way_to_degrees
from geoseg_engine.raster.geodesy import pixel_areas_m2, pixel_size_m
from geoseg_engine.raster.sources import open_source, parse_crs, source_crs
from geoseg_engine.raster.writer import check_crs_storable
from geoseg_engine.stacking import stack, terrain
from geoseg_engine.stacking.metric_crs import suggested_crs
from geoseg_engine.stacking.recipe_plan import plan_recipe
from geoseg_engine.vector.geopackage import write_layer
from geoseg_engine.vector.polygons import read_labels


def local(name: str, unit: str = 'UNIT["metre",1]') -> str:
    return f'LOCAL_CS["{name}",{unit},AXIS["Easting",EAST],AXIS["Northing",NORTH]]'


SITE = local("Site grid")
FEET = local("Site grid", 'UNIT["US survey foot",0.304800609601219]')
NO_UNIT = (
    'ENGCRS["Undefined Cartesian SRS with unknown unit",EDATUM["Unknown engineering datum"],CS[Cartesian,2],'
    'AXIS["x",unspecified,ORDER[1],LENGTHUNIT["unknown",0]],AXIS["y",unspecified,ORDER[2],LENGTHUNIT["unknown",0]]]'
)
MINE = (
    'ENGCRS["Mine",EDATUM["Mine datum"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
)
ROTATED = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229 +to_meter=0.0174532925199433"
SWEEP_X = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80"
ROTATED_POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 39.25,
    "grid_north_pole_longitude": -162.0,
}


WITH_HEIGHTS = f'COMPD_CS["both",{SITE},VERT_CS["h",VERT_DATUM["d",2005],UNIT["metre",1]]]'


def agree(one: object, other: object, xs: list, ys: list) -> bool:
    """Whether two CRS put points at the same longitude and latitude."""
    ways = [pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True) for crs in (one, other)]
    return np.allclose(*(way.transform(np.array(xs, float), np.array(ys, float)) for way in ways), atol=1e-7)


@pytest.mark.parametrize("crs", [SITE, FEET, MINE])
def test_a_raster_and_polygons_in_one_local_crs_are_used_as_they_are(tmp_path, crs):
    image = write_raster(tmp_path / "site.tif", hills(32, 32), 1, (100, 420), crs)
    drawn = write_polygons(tmp_path / "site.gpkg", [box(104, 400, 112, 412)], crs)
    source = sources_of(image)
    stack.run(StackJob(source, one_band_each(source), output="stack.tif"), tmp_path, channel(tmp_path))
    labels.run(RasterizeJob(str(tmp_path / "stack.tif"), Labels(str(drawn))), tmp_path, channel(tmp_path))
    with rasterio.open(tmp_path / "stack.tif") as made, rasterio.open(tmp_path / "labels.tif") as burnt:
        assert np.array_equal(made.read(1), hills(32, 32)) and (burnt.read(1) == 1).sum() == 96
        assert same_crs(parse_crs(made.crs.to_wkt()), parse_crs(crs))


def test_local_crs_are_told_apart_by_name_and_unit():
    site, feet, nameless = (parse_crs(text) for text in (SITE, FEET, NO_UNIT))
    assert same_crs(site, parse_crs(SITE.replace("Easting", "x"))) and same_crs(site, nameless)
    assert not same_crs(site, feet) and not same_crs(site, parse_crs(local("Other grid")))
    assert way_to_degrees(site) is None and same_crs(site, parse_crs(WITH_HEIGHTS))


@pytest.mark.parametrize("other", ["EPSG:32632", "EPSG:4326", local("Other grid"), FEET, MINE])
def test_what_leads_nowhere_names_the_layer_and_both_crs(tmp_path, other):
    site = write_raster(tmp_path / "site.tif", hills(32, 32), 1, (100, 420), SITE)
    elsewhere = write_raster(tmp_path / "elsewhere.tif", hills(32, 32), 1e-3, (10.0, 47.0), "EPSG:4326")
    sources = (
        *sources_of(site),
        Source("r2", str(elsewhere), "elsewhere", crs=other if other != "EPSG:32632" else ""),
    )
    problem = plan_recipe(sources, one_band_each(sources), GridRequest()).problems[0]
    assert problem.code == "no_way" and "'elsewhere'" in problem.message and "'Site grid'" in problem.message
    drawn = write_polygons(tmp_path / "p.gpkg", [box(1, 1, 5, 5)], SITE)
    with pytest.raises(GeoSegError, match=r"'p'.*'Site grid'") as caught:
        read_labels(Labels(str(drawn)), other)
    assert caught.value.code == "no_way"


@pytest.mark.parametrize("code", ["EPSG:4978", "EPSG:5703"])
def test_a_crs_without_a_map_is_refused(code):
    with pytest.raises(GeoSegError) as caught:
        parse_crs(code)
    assert (
        caught.value.code == "bad_crs"
        and parse_crs("EPSG:7405").name in caught.value.message + "OSGB36 / British National Grid"
    )


def test_lengths_and_areas_of_a_local_crs_come_from_its_unit():
    for crs, metres in ((SITE, 1.0), (FEET, 0.304800609601219)):
        grid = Grid(crs, (2.0, 0.0, 100.0, 0.0, -2.0, 400.0), 8, 8)
        assert pixel_size_m(grid, 4, 4) == pytest.approx((2 * metres, 2 * metres))
        assert pixel_areas_m2(grid, np.array([1.0]), np.array([1.0])) == pytest.approx([4 * metres**2])


def test_terrain_needs_a_unit_of_length(tmp_path):
    dem = str(write_raster(tmp_path / "dem.tif", hills(20, 20), 1, (100, 420), SITE))
    terrain.run(TerrainJob(Source("dem", dem), ("slope",), output="s.tif"), tmp_path, channel(tmp_path))
    with pytest.raises(GeoSegError) as caught:
        terrain.run(
            TerrainJob(Source("dem", dem, crs=NO_UNIT), ("slope",), output="t.tif"),
            tmp_path,
            channel(tmp_path),
        )
    assert caught.value.code == "unknown_unit" and not (tmp_path / "t.tif").exists()


def test_a_unit_that_nobody_knows_is_said_and_areas_are_refused(tmp_path):
    image = write_raster(tmp_path / "a.tif", hills(20, 20), 1, (100, 420), SITE)
    source = (Source("a", str(image), crs=NO_UNIT),)
    result = stack.run(StackJob(source, (Band("v", "a"),), output="s.tif"), tmp_path, channel(tmp_path))
    assert [item["code"] for item in result["warnings"]] == ["unknown_unit"]
    write_raster(tmp_path / "c.tif", np.ones((8, 8), np.uint8), 1, (100, 420), SITE)
    assert areas.run(AreasJob("c.tif", output="areas"), tmp_path, channel(tmp_path))["total_m2"] == 64
    rasterio.shutil.copy(tmp_path / "c.tif", tmp_path / "c.vrt", driver="VRT")
    text = (tmp_path / "c.vrt").read_text(encoding="utf-8")
    srs = NO_UNIT.replace('"', "&quot;")
    (tmp_path / "c.vrt").write_text(
        re.sub(r">(LOCAL_CS|ENGCRS).*</SRS>", f">{srs}</SRS>", text), encoding="utf-8"
    )
    with pytest.raises(GeoSegError) as caught:
        areas.run(AreasJob(str(tmp_path / "c.vrt"), output="areas"), tmp_path, channel(tmp_path))
    assert caught.value.code == "unknown_unit"


def test_degrees_of_another_planet_have_no_utm_zone_and_no_way_to_the_earth():
    grid = Grid("IAU_2015:49900", (0.01, 0.0, 10.0, 0.0, -0.01, 20.0), 8, 8)
    assert suggested_crs(grid) is None
    with pytest.raises(GeoSegError, match="Mars") as caught:
        way_between(parse_crs(grid.crs), parse_crs("EPSG:4326"))
    assert caught.value.code == "no_way"


KEPT = (
    *(ROTATED, SWEEP_X, SITE, NO_UNIT, "IAU_2015:49900", "+proj=healpix", "+proj=eqearth"),
    *("+proj=nsper +h=3000000 +lat_0=40", "+proj=sinu +R=6371007.181", "+proj=utm +zone=32 +units=km"),
)


@pytest.mark.parametrize("crs", KEPT)
def test_a_geotiff_keeps_a_crs_or_the_job_is_refused_before_it(crs):
    check_crs_storable(parse_crs(crs).to_wkt())


def test_a_crs_that_a_geotiff_cannot_hold_is_in_every_result(tmp_path):
    """Of a rotated pole: what GDAL puts beside a file goes with it when it gets its final name."""
    values = np.arange(48 * 48, dtype=np.float32).reshape(48, 48)
    file = write_cf(
        tmp_path / "a.nc",
        values,
        (-10.0, 5.0),
        0.11,
        "rotated",
        {"crs": {**ROTATED_POLE, "earth_radius": 6371229.0}},
    )
    shapes = geopandas.GeoDataFrame(
        {"kind": ["a", "b"]}, geometry=[box(-9, 1, -6, 4), box(-6, 1, -5, 4)], crs=parse_crs(ROTATED)
    )
    drawn = tmp_path / "p.gpkg"
    write_layer(shapes, drawn, "p")
    source = (Source("a", str(file)),)
    (tmp_path / "stack.tif.aux.xml").write_text("<PAMDataset>of an older file</PAMDataset>", encoding="utf-8")
    (tmp_path / "stack.tif.ovr").write_bytes(b"of an older file")
    stack.run(StackJob(source, (Band("v", "a"),), output="stack.tif"), tmp_path, channel(tmp_path))
    job = RasterizeJob(str(tmp_path / "stack.tif"), Labels(str(drawn), class_field="kind"))
    labels.run(job, tmp_path, channel(tmp_path))
    tiling = TileJob(
        str(tmp_path / "stack.tif"), str(tmp_path / "labels.tif"), tile_px=8, block_px=8, buffer_px=0
    )
    tiles.run(tiling, tmp_path, channel(tmp_path))
    terrain.run(TerrainJob(source[0], ("slope",), output="slope.tif"), tmp_path, channel(tmp_path))
    for name in ("stack.tif", "labels.tif", "split.tif", "slope.tif"):
        with rasterio.open(tmp_path / name) as made:
            assert agree(made.crs.to_wkt(), ROTATED, [-9, -6], [4, 1]), name
    assert agree(pyogrio.read_info(tmp_path / "tiles.gpkg", layer="tiles")["crs"], ROTATED, [-9, -6], [4, 1])
    assert not [path.name for path in tmp_path.iterdir() if ".part" in path.name or path.suffix == ".ovr"]
    assert "<Category>validation</Category>" in (tmp_path / "split.tif.aux.xml").read_text(encoding="utf-8")


MAPPINGS = {
    "rotated pole": ("rotated", {**ROTATED_POLE, "earth_radius": 6371229.0}, ROTATED),
    "rotated pole of no figure": ("rotated", ROTATED_POLE, ROTATED.replace("+R=6371229", "+datum=WGS84")),
    "sinusoidal": (
        "metres",
        {"grid_mapping_name": "sinusoidal", "longitude_of_central_meridian": 0.0, "earth_radius": 6371007.181},
        "+proj=sinu +R=6371007.181",
    ),
    "vertical perspective": (
        "metres",
        {
            "grid_mapping_name": "vertical_perspective", "perspective_point_height": 3e6,
            "longitude_of_projection_origin": 10.0, "latitude_of_projection_origin": 50.0, "earth_radius": 6371229.0,
        },
        "+proj=nsper +h=3000000 +lat_0=50 +lon_0=10 +R=6371229",
    ),
    "polar stereographic": (
        "metres",
        {
            "grid_mapping_name": "polar_stereographic", "standard_parallel": 60.0, "earth_radius": 6371229.0,
            "latitude_of_projection_origin": 90.0, "straight_vertical_longitude_from_pole": 10.0,
        },
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6371229",
    ),
    "Lambert of the first": (
        "metres",
        {
            "grid_mapping_name": "lambert_conformal_conic", "standard_parallel": 63.0, "earth_radius": 6371229.0,
            "latitude_of_projection_origin": 63.0, "longitude_of_central_meridian": 15.0,
        },
        "+proj=lcc +lat_1=63 +lat_0=63 +lon_0=15 +R=6371229",
    ),
    "shift of the datum": (
        "metres",
        {
            "grid_mapping_name": "transverse_mercator", "longitude_of_central_meridian": 9.0,
            "latitude_of_projection_origin": 0.0, "scale_factor_at_central_meridian": 1.0, "false_easting": 3.5e6,
            "false_northing": 0.0, "semi_major_axis": 6377397.155, "inverse_flattening": 299.1528128,
            "towgs84": np.array([598.1, 73.7, 418.2, 0.202, 0.045, -2.455, 6.7]),
        },
        "+proj=tmerc +lon_0=9 +x_0=3500000 +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7",
    ),
    "text alone": ("metres", {"spatial_ref": pyproj.CRS(32632).to_wkt("WKT1_GDAL")}, "EPSG:32632"),
    "PROJ string": ("metres", {"proj4": "+proj=utm +zone=32 +datum=WGS84"}, "EPSG:32632"),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_grid_mapping_is_what_its_attributes_say(tmp_path, name):
    """The second of two in the file is another variable's."""
    axes, attributes, wanted = MAPPINGS[name]
    corner, step = ((-10.0, 5.0), 0.11) if axes == "rotated" else ((4e5, 1e6), 1000.0)
    mappings = {"crs": attributes, "other": {"grid_mapping_name": "latitude_longitude"}}
    source = Source("a", str(write_cf(tmp_path / "a.nc", hills(8, 9), corner, step, axes, mappings)))
    with open_source(source) as dataset:
        found = source_crs(source, dataset)
    assert agree(found, wanted, [corner[0], corner[0] + 5 * step], [corner[1], corner[1] - 5 * step])


@pytest.mark.parametrize(
    ("axes", "mappings", "unit"),
    [
        ("rotated", None, ""),
        ("metres", None, ""),
        ("metres", {"crs": {"grid_mapping_name": "healpix"}}, ""),
        ("metres", {"crs": {"grid_mapping_name": "oblique_mercator", "azimuth_of_central_line": 30.0,
                            "latitude_of_projection_origin": 50.0, "longitude_of_projection_origin": 10.0}}, ""),
        ("metres", {"crs": {"grid_mapping_name": "sinusoidal", "longitude_of_central_meridian": 0.0}}, "km"),
    ],
)  # fmt: skip
def test_no_crs_is_guessed_for_a_projection(tmp_path, axes, mappings, unit):
    corner, step = ((-10.0, 5.0), 0.11) if axes == "rotated" else ((4e5, 5.2e6), 1000.0)
    file = write_cf(tmp_path / "a.nc", hills(8, 9), corner, step, axes, mappings, unit)
    with pytest.raises(GeoSegError) as caught, open_source(Source("a", str(file))):
        pass
    assert caught.value.code == "no_crs"


def test_plain_degrees_are_wgs84_and_that_is_said(tmp_path):
    file = write_cf(tmp_path / "a.nc", hills(20, 20), (10.0, 50.0), 0.1)
    source = (Source("a", str(file), "warmth"),)
    result = stack.run(StackJob(source, (Band("v", "a"),), output="s.tif"), tmp_path, channel(tmp_path))
    assert result["grid"]["crs"] == "EPSG:4326"
    assert [item["code"] for item in result["warnings"]] == ["assumed_crs"] and "'warmth'" in result[
        "warnings"
    ][0]["message"]
