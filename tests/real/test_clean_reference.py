"""Small patches of a published prediction go where GDAL's sieve lets them go."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import sieve

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Cleaning
from geoseg_engine.postprocess.cleaning.clean import clean


@pytest.mark.parametrize(("minimum", "connectivity"), [(50, 4), (500, 8)])
def test_small_patches_of_the_reference_raster(
    data: Path, tmp_path: Path, minimum: int, connectivity: int
) -> None:
    raster = next((data / "orthoseg_vectorize_reference").glob("*.tif"))
    cleaning = Cleaning(min_patch_px=minimum, connectivity=connectivity)
    found = clean(raster, cleaning, tmp_path / "cleaned.tif", 0, Channel(tmp_path))
    with rasterio.open(raster) as before, rasterio.open(tmp_path / "cleaned.tif") as after:
        ids = before.read(1)
        assert np.array_equal(after.read(1), sieve(ids, minimum, connectivity=connectivity))
        assert found["changed_px"] == np.count_nonzero(after.read(1) != ids) > 0
