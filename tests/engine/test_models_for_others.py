"""Our model files in the hands of others: the ONNX checker, ONNX Runtime alone, and a reader by Deepness's rules."""

import json
import math
from dataclasses import dataclass

import deepness_reader
import numpy as np
import onnx
import pytest
import rasterio
from prediction_scenes import CLASSES, STATISTICS, grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Grid, PredictJob
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.export import deepness_metadata, deepness_overlap
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.models.unet import reach
from geoseg_engine.prediction import predict

ROWS, COLS = 600, 560


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An image larger than a window of Deepness, and a model with the keys that it reads."""
    folder = tmp_path_factory.mktemp("others")
    grid = grid_of(ROWS, COLS)
    image = write_raster(folder / "image.tif", scene(ROWS, COLS), grid)
    decision = Calibration(1.3, (0.1, -0.2, 0.1), (1.0, 0.7, 0.9))
    path = write_model(folder / "model.onnx", recipe_of(image, grid), calibration=decision)
    described = read_model(path)
    model = onnx.load(path)
    found = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**found, **deepness_metadata(grid, CLASSES, STATISTICS, described)})
    onnx.save(model, path)
    return folder


def test_the_onnx_checker_finds_nothing(place):
    onnx.checker.check_model(onnx.load(place / "model.onnx"), full_check=True)


def test_metadata_are_exactly_the_keys_that_deepness_reads_and_ours(place):
    given = deepness_reader.session_of(place / "model.onnx").get_modelmeta().custom_metadata_map
    assert {key for key in given if not key.startswith("geoseg:")} == deepness_reader.KEYS
    said = {key: json.loads(text) for key, text in given.items()}  # every value is a JSON text
    assert (
        said["model_type"] == "Segmentor"
        and said["seg_thresh"] == 0.0
        and said["seg_small_segment"] in (0, 1)
    )
    assert said["class_names"] == {"0": "background", "1": "water", "2": "rock"}
    assert said["resolution"] == 1000 and said["tile_size"] == said["tiles_size"]
    assert said["standardization_mean"] == [value / 255 for value in STATISTICS.mean]
    assert said["standardization_std"] == [value / 255 for value in STATISTICS.std]


@pytest.mark.parametrize(
    ("crs", "unit", "width", "height", "side"),
    [
        ("EPSG:32633", "metre", 10.0, 10.0, 10.0),
        ("EPSG:32633", "metre", 0.07, 0.07, 0.07),
        ("EPSG:3857", "metre", 10.0, 10.0, 10.0),
        ("EPSG:3413", "metre", 25.0, 25.0, 25.0),
        ("EPSG:4326", "degree", 1e-4, 1e-4, 1e-4),
        ("EPSG:4979", "degree", 1 / 3600, 1 / 3600, 1 / 3600),
        ("EPSG:2222", "foot", 2.5, 2.5, 2.5),
        ("EPSG:2263", "US survey foot", 3.0, 3.0, 3.0),
        ("EPSG:32633", "metre", 10.0, 20.0, 200**0.5),
        ("EPSG:4326", "degree", 2e-4, 1e-4, 2**0.5 * 1e-4),
    ],
)
@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_its_reader_gets_our_pixel_size_back_in_units_of_the_layer(crs, unit, width, height, side, degrees):
    turn = math.radians(degrees)
    rows = (width * math.cos(turn), height * math.sin(turn), width * math.sin(turn), -height * math.cos(turn))
    grid = Grid(crs, (rows[0], rows[1], 13.0, rows[2], rows[3], 52.0), 400, 300)
    facts = Facts(8, 4)
    said = json.loads(deepness_metadata(grid, CLASSES, STATISTICS, facts)["resolution"])
    assert deepness_reader.units_per_pixel(said, unit) == pytest.approx(side, rel=1e-12)


def test_it_takes_one_image_of_any_aligned_size_and_gives_probabilities(place):
    session = deepness_reader.session_of(place / "model.onnx")
    (given,) = session.get_inputs()
    assert given.type == "tensor(float)" and given.shape[1] == 2 and len(session.get_outputs()) == 1
    for shape in ((2, 2, 64, 96), (1, 2, 512, 512)):
        image = np.random.default_rng(0).normal(0, 9, shape).astype(np.float32)
        image[:, :, :3] = np.nan
        shares = session.run(None, {given.name: image})[0]
        assert shares.shape == (shape[0], 3, *shape[2:]) and np.isfinite(shares).all()
        assert shares.min() >= 0 and abs(shares.sum(axis=1) - 1).max() < 1e-5


def test_by_deepness_rules_it_gives_the_classes_that_predict_gives(place, tmp_path):
    predict.run(PredictJob(str(place / "model.onnx")), tmp_path, Channel(tmp_path))
    with rasterio.open(tmp_path / "classes.tif") as dataset:
        ours = dataset.read(1)
    with rasterio.open(place / "image.tif") as dataset:
        theirs = deepness_reader.classes_of(place / "model.onnx", dataset.read())
    margin = read_model(place / "model.onnx").reach_px
    core = slice(None, -margin)  # beyond the lower and right edge the reader shows the network zeros
    same = ours[core, core] == theirs[core, core]
    assert same.mean() > 0.9999 and len(np.unique(theirs[core, core])) == 3


@dataclass(frozen=True)
class Facts:
    reach_px: int
    align_px: int
    tile_exact: bool = True


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_the_overlap_hides_the_reach_and_keeps_windows_aligned(levels):
    facts = Facts(reach(levels), 2**levels)
    overlap_px = 512 * deepness_overlap(facts) // 100
    assert overlap_px >= 2 * facts.reach_px and overlap_px % facts.align_px == 0
    assert deepness_overlap(Facts(400, 16)) == 80
