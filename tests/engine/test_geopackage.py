"""GeoPackages are of a version that the GDAL of every supported QGIS knows wholly."""

import re
import sqlite3
from pathlib import Path

import numpy as np
import shapely
from data_scenes import CORNER, UTM, channel
from geopandas import GeoDataFrame, read_file
from prediction_scenes import CLASSES, grid_of
from tile_scenes import labelled_scene, tile

from geoseg_engine.contract import PolygonizeJob
from geoseg_engine.postprocess.polygons import polygonize
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.writer import RasterWriter
from geoseg_engine.vector.geopackage import write_layer

ROOT = Path(__file__).resolve().parents[2]
GPKG = int.from_bytes(b"GPKG", "big")
PARTIALLY_SUPPORTED = 10400


def versions(path: Path) -> tuple[int, int]:
    """(application_id, user_version) of a GeoPackage."""
    connection = sqlite3.connect(path)
    found = [
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    ]
    connection.close()
    return found[0], found[1]


def test_a_layer_comes_back_and_another_can_be_added(tmp_path):
    x, y = CORNER
    frame = GeoDataFrame(
        {"name": ["a", "ü"]}, geometry=[shapely.box(x, y, x + i, y + i) for i in (1, 2)], crs=UTM
    )
    write_layer(frame, tmp_path / "a.gpkg", "one")
    write_layer(frame[:1], tmp_path / "a.gpkg", "two", append=True)
    write_layer(frame[1:], tmp_path / "a.gpkg", "two", append=True)
    for layer in ("one", "two"):
        back = read_file(tmp_path / "a.gpkg", layer=layer)
        assert (
            list(back.name) == ["a", "ü"]
            and back.crs == UTM
            and back.geometry.geom_equals(frame.geometry).all()
        )
    assert versions(tmp_path / "a.gpkg") == (GPKG, 10200)


def test_what_the_jobs_write(tmp_path):
    labelled_scene(tmp_path, rows=120, cols=120)
    tile(tmp_path, tile_px=32)
    ids = np.zeros((8, 8), np.uint8)
    ids[2:5, 2:5] = 1
    with RasterWriter(tmp_path / "classes.tif", grid_of(8, 8), "uint8", 255, ["class"], CLASSES) as writer:
        writer.write(ids, Window(0, 0, 8, 8))
    polygonize.run(PolygonizeJob("classes.tif"), tmp_path, channel(tmp_path))
    for name in ("tiles.gpkg", "polygons.gpkg"):
        assert (
            versions(tmp_path / name) == (GPKG, 10200) and versions(tmp_path / name)[1] < PARTIALLY_SUPPORTED
        )


def test_nothing_writes_vectors_by_another_way():
    files = [*(ROOT / "training" / "geoseg_engine").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    others = [
        file.name for file in files if re.search(r"\.to_file\(|write_dataframe\(", file.read_text("utf-8"))
    ]
    assert others == ["geopackage.py"]
