"""Models of other programs are predicted or refused, awkward rasters planned or refused: never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_scenes import channel
from deepness_reader import session_of, tile_classes

from geoseg_engine.contract import Band, GeoSegError, PredictJob, Source, StackJob, encode
from geoseg_engine.prediction import predict
from geoseg_engine.stacking import stack


def models(data: Path) -> list[Path]:
    """The foreign models; skipped where this collection is not there."""
    found = sorted((data / "deepness_models").glob("*.onnx"))
    if not found:
        pytest.skip("no deepness_models among the real data")
    return found


REFUSED = {
    "dummy_recognition_model": "a Regression gives numbers",
    "dummy_regression_model": "a Regressor gives numbers",
    "dummy_regression_model_batched": "a Regressor gives numbers",
    "dummy_superresolution_model": "a finer image",
}
NAMED = {
    "one_output_sigmoid_bsx1x512x512": ["background", "Coffee"],
    "one_output_sigmoid_bsx512x512": ["background", "Coffee"],
    "two_outputs_sigmoid_bsx1x512x512": ["background", "Coffee"],
    "two_outputs_softmax_bsx2x512x512": ["Coffee", "Tea"],
}
FIRST_WINDOW_PX = slice(16, 400)
"""Pixels that only the first window of 512 px sees, without its edge."""


def test_each_foreign_model_is_refused_with_a_reason_or_gives_the_classes_of_its_own_rules(data, tmp_path):
    photo = data / "deepness_models" / "dummy_fotomap_small.tif"
    source = Source("r1", str(photo), "photo")
    with rasterio.open(photo) as dataset:
        tile = dataset.read((1, 2, 3), window=((0, 512), (0, 512)))
    found = models(data)
    for path in found:
        folder = tmp_path / path.stem
        folder.mkdir()
        job = PredictJob(str(path), (source,))
        if path.stem in REFUSED:
            with pytest.raises(GeoSegError, match=REFUSED[path.stem]) as caught:
                predict.run(job, folder, channel(folder))
            assert caught.value.code == "not_our_model" and caught.value.hint
            assert [file.name for file in folder.iterdir()] == ["events.jsonl"]
            continue
        result = predict.run(job, folder, channel(folder))
        json.dumps(encode(result), allow_nan=False)
        if path.stem in NAMED:
            assert [item.name for item in result["classes"]] == NAMED[path.stem]
        with rasterio.open(folder / "classes.tif") as dataset:
            given = dataset.read(1, window=((0, 512), (0, 512)))[FIRST_WINDOW_PX, FIRST_WINDOW_PX]
        expected = by_the_rules(path, tile)
        known = given != 255
        # dummy_model gives x⁸: often all of its values are below 1e-7
        assert known.any() and (given == expected)[known].mean() > 0.9999, path.name
    assert len(found) == 13 and REFUSED.keys() | NAMED.keys() <= {path.stem for path in found}


def by_the_rules(path: Path, tile: np.ndarray) -> np.ndarray:
    """Classes of the first window's middle; an answer smaller than the window lies in its middle."""
    found = tile_classes(session_of(path), tile)
    missing = 512 - len(found)
    whole = np.pad(found, (missing // 2, missing - missing // 2))
    return whole[FIRST_WINDOW_PX, FIRST_WINDOW_PX]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_every_awkward_raster_gives_a_grid_or_a_reason(data, tmp_path):
    """Each alone, its first band; whatever GDAL drivers this environment lacks is a reason, too."""
    endings = (".tif", ".tiff", ".vrt", ".nc", ".jp2", ".img", ".h5", ".png", ".asc")
    files = [file for file in sorted((data / "awkward_rasters").rglob("*")) if file.suffix.lower() in endings]
    if not files:
        pytest.skip("no awkward_rasters among the real data")
    planned = 0
    for file in files:
        job = StackJob((Source("r1", str(file), file.stem),), (Band("first", "r1"),), dry_run=True)
        result = stack.run(job, tmp_path, channel(tmp_path))
        json.dumps(encode(result), allow_nan=False)
        problems = result["problems"]
        assert all(item["message"] and item["hint"] for item in problems), file
        assert result["grid"] or any(item["severity"] == "error" for item in problems), file
        planned += bool(result["grid"])
    assert 0 < planned <= len(files)
