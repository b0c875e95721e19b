"""A published prediction raster must give as many polygons as its authors count."""

from pathlib import Path

import geopandas
import pytest

from geoseg_engine.channel import Channel
from geoseg_engine.contract import PolygonizeJob
from geoseg_engine.maps import polygonize


def test_polygons_of_the_reference_raster(data: Path, tmp_path: Path) -> None:
    raster = next((data / "orthoseg_vectorize_reference").glob("*.tif"))
    job = PolygonizeJob(classes=str(raster), min_area_px=0, output="polygons.gpkg")
    assert polygonize.run(job, tmp_path, Channel(tmp_path))["count"] == 399
    theirs = geopandas.read_file(raster.with_suffix(".gpkg"))
    ours = geopandas.read_file(tmp_path / "polygons.gpkg")
    assert len(theirs) == len(ours)
    assert ours.area.sum() == pytest.approx(theirs.area.sum(), rel=1e-3)
