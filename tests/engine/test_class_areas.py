"""Ground of classes, in projections whose scale changes from pixel to pixel too."""

import geopandas
import numpy as np
import pytest
from prediction_scenes import CLASSES

from geoseg_engine.channel import Channel
from geoseg_engine.contract import IGNORE, AreasJob, Cleaning, CleanJob, Grid, PolygonizeJob
from geoseg_engine.evaluation import areas
from geoseg_engine.postprocess.cleaning import clean
from geoseg_engine.postprocess.polygons import boundaries, polygonize
from geoseg_engine.raster.class_areas import class_areas, row_counts
from geoseg_engine.raster.geodesy import even_columns_px, pixel_areas_m2
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.writer import RasterWriter

SEA_ICE = Grid("EPSG:3413", (25_000.0, 0, -3_850_000, 0, -25_000.0, 5_850_000), 304, 448)
FULL_DISC = Grid(
    "+proj=geos +h=35785831 +lon_0=0 +datum=WGS84 +sweep=y", (25e3, 0, -56e5, 0, -25e3, 56e5), 448, 448
)


def pixel_m2(grid):
    rows, cols = np.mgrid[: grid.height, : grid.width]
    with np.errstate(invalid="ignore"):
        return pixel_areas_m2(grid, rows.ravel(), cols.ravel()).reshape(rows.shape)


def test_many_classes_are_counted_like_few():
    codes = np.random.default_rng(3).integers(0, 40, (5, 90)).astype(np.uint8)
    codes[0, :9] = IGNORE
    few, many = row_counts(codes, [0, 3, IGNORE]), row_counts(codes, [*range(40), IGNORE])
    assert np.array_equal(few, many[:, [0, 3, 40]]) and many.sum() == codes.size
    assert (few[:, 1] == (codes == 3).sum(axis=1)).all()


def test_columns_are_many_only_where_the_scale_stays():
    assert even_columns_px(SEA_ICE) == 1
    fine = Grid("EPSG:3413", (2.0, 0, -3e5, 0, -2.0, -2e6), 50_000, 50_000)
    assert even_columns_px(fine) == 4096
    assert even_columns_px(Grid("EPSG:4326", (0.1, 0, -180, 0, -0.1, 90), 3600, 1800)) == 4096
    assert even_columns_px(Grid("EPSG:32632", (10.0, 0, 3e5, 0, -10.0, 5e6), 10_980, 10_980)) == 4096
    assert even_columns_px(Grid("EPSG:32632", (10.0, 0, 3e5, 0, -10.0, 5e6), 1, 1)) == 4096


def test_every_job_measures_the_same_ground_in_a_polar_projection(tmp_path, monkeypatch):
    ids = np.zeros((SEA_ICE.height, SEA_ICE.width), np.uint8)
    ids[:, 40:90], ids[200:400, 250:] = 1, 2
    with RasterWriter(tmp_path / "classes.tif", SEA_ICE, "uint8", IGNORE, ["class"], CLASSES) as writer:
        writer.write(ids, Window(0, 0, *ids.shape))
    truly = np.bincount(ids.ravel(), pixel_m2(SEA_ICE).ravel())
    counted = areas.run(AreasJob("classes.tif"), tmp_path, Channel(tmp_path))
    assert [row["area_m2"] for row in counted["rows"]] == pytest.approx(truly, rel=5e-4)
    job = CleanJob("classes.tif", Cleaning(min_patch_px=2))
    cleaned = clean.run(job, tmp_path, Channel(tmp_path))
    assert list(cleaned["areas_m2"].values()) == pytest.approx(truly, rel=5e-4)
    monkeypatch.setattr(boundaries, "STRIP_PIXELS", 304 * 64)
    drawn = PolygonizeJob("classes.tif", skip_background=False)
    polygonize.run(drawn, tmp_path, Channel(tmp_path))
    frame = geopandas.read_file(tmp_path / "polygons.gpkg", layer="polygons")
    assert frame.groupby("class_id")["area_m2"].sum().tolist() == pytest.approx(truly, rel=5e-4)


def test_what_lies_beside_the_earth_has_no_ground():
    ids = np.zeros((FULL_DISC.height, FULL_DISC.width), np.uint8)
    counts, area_m2 = class_areas(FULL_DISC, ids, Window(0, 0, *ids.shape), [0])
    assert counts.sum() == ids.size
    assert area_m2[0] == pytest.approx(np.nansum(pixel_m2(FULL_DISC)), rel=1e-3)
