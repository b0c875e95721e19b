"""Distributions of bands: exact on a whole stack, close on a sample, and none where there is no value."""

import json

import numpy as np
import pytest
from data_scenes import channel, hills, write_raster

from geoseg_engine.contract import Band, GeoSegError, Source, StackJob, SummarizeJob, index_band
from geoseg_engine.stacking import stack, summarize


def two_bands(folder, rows: int = 60, cols: int = 80) -> Source:
    values = np.stack([hills(rows, cols), hills(rows, cols, 1)])
    values[0, : rows // 4] = -1
    return Source("s", str(write_raster(folder / "two.tif", values, nodata=-1)), "two")


def test_numbers_are_those_of_numpy(tmp_path):
    source = two_bands(tmp_path)
    bands = (Band("a", "s", 1), index_band("NDVI", {"red": "a", "nir": "b"}), Band("empty", "s", 1, fill="3"))
    job = SummarizeJob(sources=(source,), bands=bands, intermediates=(Band("b", "s", 2),), bins=20)
    assert job.problems() == []
    result = summarize.run(job, tmp_path, channel(tmp_path))
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["bands"] == result["bands"]
    assert result["complete"] and result["pixels"] == 4800
    values = hills(60, 80)[15:]
    found = result["bands"][0]
    assert found["valid_share"] == 0.75
    assert found["min"] == values.min() and found["max"] == values.max()
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert found["deviation"] == pytest.approx(values.astype(float).std(), rel=1e-6)
    for percent, value in found["percentiles"].items():
        assert value == pytest.approx(np.percentile(values, float(percent)), rel=1e-6)
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    assert len(edges) == 21 and edges[0] == found["percentiles"]["0.5"]
    assert sum(counts) == ((values >= edges[0]) & (values <= edges[-1])).sum()
    assert [band["name"] for band in result["bands"]] == ["a", "NDVI", "empty"]
    assert result["bands"][2]["valid_share"] == 1 and result["bands"][2]["min"] == 3


def test_sample_of_a_written_stack_is_close(tmp_path):
    source = two_bands(tmp_path, 700, 900)
    bands = (Band("a", "s", 1), Band("b", "s", 2))
    stack.run(StackJob((source,), bands), tmp_path, channel(tmp_path))
    job = SummarizeJob("stack.tif", sample_px=60_000)
    result = summarize.run(job, tmp_path, channel(tmp_path))
    assert not result["complete"] and 50_000 < result["pixels"] < 70_000
    values = hills(700, 900, 1)
    assert result["bands"][1]["mean"] == pytest.approx(values.mean(), abs=0.3 * float(values.std()))
    assert result["bands"][0]["valid_share"] == pytest.approx(0.75, abs=0.1)


def test_many_pixels_are_thinned_for_percentiles_only(tmp_path, monkeypatch):
    monkeypatch.setattr(summarize, "KEPT_OF_BAND", 500)
    source = two_bands(tmp_path)
    job = SummarizeJob(sources=(source,), bands=(Band("b", "s", 2),), sample_px=0)
    (found,) = summarize.run(job, tmp_path, channel(tmp_path))["bands"]
    values = hills(60, 80, 1)
    assert found["min"] == values.min() and found["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert 300 < sum(found["histogram"]["counts"]) < 700
    assert found["percentiles"]["50"] == pytest.approx(np.median(values), abs=0.15 * float(values.std()))


def test_bands_without_values_and_constant_ones(tmp_path):
    values = np.stack([np.full((20, 20), -1), np.full((20, 20), 7)]).astype(np.float32)
    source = Source("s", str(write_raster(tmp_path / "x.tif", values, nodata=-1)))
    job = SummarizeJob(sources=(source,), bands=(Band("none", "s", 1), Band("flat", "s", 2)))
    nothing, flat = summarize.run(job, tmp_path, channel(tmp_path))["bands"]
    assert nothing["valid_share"] == 0 and nothing["min"] is None and nothing["histogram"]["counts"] == []
    assert flat["deviation"] == 0 and sum(flat["histogram"]["counts"]) == 400


def test_what_cannot_be_stacked_cannot_be_summarized(tmp_path):
    job = SummarizeJob(sources=(Source("s", "/no/such.tif"),), bands=(Band("a", "s"),))
    with pytest.raises(GeoSegError) as caught:
        summarize.run(job, tmp_path, channel(tmp_path))
    assert caught.value.code == "file_missing"
