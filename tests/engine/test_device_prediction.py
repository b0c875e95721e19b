"""The device path in its CPU mode: the bytes of the ordinary path, for every kind of raster; its faults."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from prediction_scenes import grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, PredictJob, Recipe, Source
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.prediction import predict, run_plan
from geoseg_engine.prediction.on_device.pipeline import SWITCH
from geoseg_engine.prediction.on_device.raw_bands import RawReader

ROWS, COLS = 300, 260
LAYERS = {
    "confidence": "confidence.tif",
    "probability": "probability.tif",
    "margin": "margin.tif",
    "beyond": "beyond.tif",
}
FILES = ("classes.tif", "classes.tif.aux.xml", *LAYERS.values())


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(run_plan, "UNIT_PX", 64)


def values_of(dtype):
    """Bands (2, rows, cols) in a type, with a hole of -999 (0 in an unsigned type)."""
    values = scene(ROWS, COLS)
    nodata = 0 if dtype.startswith("u") else -999
    values = values if dtype == "float32" else np.rint(np.maximum(values, 1))
    values = values.astype(dtype)
    values[0, 20:30, 40:60] = nodata
    values[:, 128:192, 64:128] = nodata
    return values, nodata


def model_in(folder, values, nodata=None, calibration=Calibration(1.2, (), (1.0, 1.5, 1.0)), **changes):
    grid = grid_of(*values.shape[1:])
    image = write_raster(folder / "image.tif", values, grid, nodata)
    write_model(folder / "model.onnx", recipe_of(image, grid), calibration=calibration, **changes)


def run(place, folder, **changes):
    folder.mkdir(exist_ok=True)
    settings = {
        "model": str(place / "model.onnx"), "output": "classes.tif", "runtime": "torch", "device": "cpu",
        "core_px": 64, **LAYERS,
    }  # fmt: skip
    return predict.run(PredictJob(**{**settings, **changes}), folder, Channel(folder))


def both(place, tmp_path, monkeypatch, **changes):
    """Results of the ordinary path and of the device path; all files must be the same bytes."""
    plain = run(place, tmp_path / "plain", **changes)
    monkeypatch.setenv(SWITCH, "cpu")
    device = run(place, tmp_path / "device", **changes)
    assert plain["host_s"] is None and device["host_s"] is not None
    for name in FILES:
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "device" / name).read_bytes(), name
    for key in ("counts", "areas_m2", "nodata_px", "warnings", "runtime"):
        assert plain[key] == device[key]
    return device


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "float32", "int32"])
def test_each_type_gives_the_bytes_of_the_ordinary_path(tmp_path, monkeypatch, dtype):
    values, nodata = values_of(dtype)
    model_in(tmp_path, values, nodata)
    result = both(tmp_path, tmp_path, monkeypatch)
    assert result["device_agreement"]["same_classes"] == 1.0
    assert result["host_bands"] == (["red", "height"] if dtype == "int32" else [])


def test_without_nodata_and_without_weights(tmp_path, monkeypatch):
    values = np.rint(scene(ROWS, COLS) * 3).astype(np.int16)
    model_in(tmp_path, values, None, Calibration())
    both(tmp_path, tmp_path, monkeypatch)


def test_scale_and_offset_are_applied_in_float64(tmp_path, monkeypatch):
    model_in(tmp_path, np.rint(scene(ROWS, COLS) * 100).astype(np.int16), -999)
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01, 0.0123), (0.0, -1.5)
    assert both(tmp_path, tmp_path, monkeypatch)["host_bands"] == []


def test_masks_alpha_nan_and_infinity(tmp_path, monkeypatch):
    values = scene(ROWS, COLS)
    values[0, 3:9, 5:50], values[1, 40:44, :], values[0, 100, 100] = np.nan, np.inf, -np.inf
    model_in(tmp_path, values, float("nan"))
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        mask = np.full((ROWS, COLS), 255, np.uint8)
        mask[200:230, 10:90] = 0
        dataset.write_mask(mask)
    both(tmp_path, tmp_path, monkeypatch)


def test_layers_that_end_inside_the_grid_and_derived_bands(tmp_path, monkeypatch):
    """A layer that begins elsewhere, terrain and an index of two layers: the host computes what is derived."""
    grid = grid_of(ROWS, COLS)
    values = np.rint(scene(ROWS, COLS)).astype(np.int16)
    image = write_raster(tmp_path / "image.tif", values, grid, -999)
    a, b, c, d, e, f = grid.transform
    other = replace(grid, transform=(a, b, c + 37 * a, d, e, f + 21 * e), width=150, height=200)
    write_raster(tmp_path / "other.tif", values[1, :200, :150], other)
    bands = (
        Band("red", "r1", 1),
        Band("other", "r2", 1),
        Band("slope", "r1", 2, derive="slope"),
        Band("height", "r1", 2, fill="median" if False else "12"),
    )
    recipe = Recipe(
        (Source("r1", str(image), "image"), Source("r2", str(tmp_path / "other.tif"))), bands, grid
    )
    import prediction_scenes

    from geoseg_engine.modelfile.stats import Statistics

    statistics = Statistics((100.0, 10.0, 20.0, 10.0), (20.0, 5.0, 9.0, 5.0), (40.0, -10.0, 0.0, -10.0), (160.0, 30.0, 80.0, 30.0))  # fmt: skip
    monkeypatch.setattr(prediction_scenes, "STATISTICS", statistics)
    write_model(tmp_path / "model.onnx", recipe, statistics=statistics)
    with RawReaderOf(recipe, tmp_path) as reader:
        assert reader.derived == ["slope", "height"] and [layer.places for layer in reader.layers[:2]] == [
            (0,),
            (1,),
        ]
    sources = (Source("r1", str(image), "image"), Source("r2", str(tmp_path / "other.tif")))
    assert both(tmp_path, tmp_path, monkeypatch, sources=sources)["host_bands"] == ["slope", "height"]


class RawReaderOf:
    def __init__(self, recipe, folder):
        self.reader = RawReader(recipe, read_model(folder / "model.onnx"))

    def __enter__(self):
        return self.reader

    def __exit__(self, *_):
        self.reader.close()
