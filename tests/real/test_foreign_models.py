"""Models of other programs and awkward rasters: refused or planned with clear words, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_scenes import channel

from geoseg_engine.contract import Band, GeoSegError, PredictJob, Source, StackJob, encode
from geoseg_engine.modelfile import reading as modelfile
from geoseg_engine.prediction import predict
from geoseg_engine.stacking import stack


def models(data: Path) -> list[Path]:
    """The foreign models; skipped where this collection is not there."""
    found = sorted((data / "deepness_models").glob("*.onnx"))
    if not found:
        pytest.skip("no deepness_models among the real data")
    return found


def test_foreign_models_are_refused_with_a_reason(data, tmp_path):
    for path in models(data):
        with pytest.raises(GeoSegError) as caught:
            modelfile.read_model(path)
        error = caught.value
        assert error.code == "not_our_model" and path.name in error.message and error.hint
        assert "Error" not in error.message and len(error.message) < 200


def test_predicting_with_a_foreign_model_leaves_nothing(data, tmp_path):
    path = models(data)[0]
    source = Source("r1", str(data / "deepness_models" / "dummy_fotomap_small.tif"), "photo")
    with pytest.raises(GeoSegError, match=r"\.onnx is not a GeoSeg model"):
        predict.run(PredictJob(str(path), (source,)), tmp_path, channel(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["events.jsonl"]


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
