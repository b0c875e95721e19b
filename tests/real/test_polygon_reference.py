"""A published prediction raster must give as many polygons as its authors count."""

from pathlib import Path

import geopandas
import pytest

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Outlines, PolygonizeJob
from geoseg_engine.postprocess.polygons import boundaries, polygonize


@pytest.mark.parametrize("strip_px", [10_000_000, 1024 * 100, 1024 * 7])
@pytest.mark.parametrize(("connectivity", "count"), [(4, 399), (8, 342)])
def test_polygons_of_the_reference_raster(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connectivity: int, count: int, strip_px: int
) -> None:
    monkeypatch.setattr(boundaries, "BLOCK_PX", 1)
    monkeypatch.setattr(boundaries, "STRIP_PIXELS", strip_px)
    raster = next((data / "orthoseg_vectorize_reference").glob("*.tif"))
    drawn = Outlines(connectivity=connectivity)
    job = PolygonizeJob(classes=str(raster), min_area_px=0, output="polygons.gpkg", outlines=drawn)
    assert polygonize.run(job, tmp_path, Channel(tmp_path))["count"] == count
    theirs = geopandas.read_file(raster.with_suffix(".gpkg"))
    ours = geopandas.read_file(tmp_path / "polygons.gpkg")
    assert ours.is_valid.all()
    assert ours.area.sum() == pytest.approx(theirs.area.sum(), rel=1e-3)
