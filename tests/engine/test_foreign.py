"""Models of other programs by Deepness's conventions: predicted with the classes it gives, or refused with a reason."""

import json

import deepness_reader
import numpy as np
import pytest
import rasterio
from prediction_scenes import grid_of, write_raster
from third_party_models import CHANNELS, SIDE, weights, write_foreign

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, DescribeJob, GeoSegError, Grid, PredictJob, Source, encode
from geoseg_engine.modelfile import reading
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.prediction import predict

ROWS, COLS = 75, 110


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """An image of three bytes a pixel in smooth patches."""
    y, x = np.mgrid[:ROWS, :COLS]
    bands = [127 + 120 * np.sin(x / (7 + i) + i) * np.cos(y / (9 + i)) for i in range(CHANNELS)]
    path = tmp_path_factory.mktemp("photo") / "photo.tif"
    return write_raster(path, np.stack(bands).astype(np.uint8), grid_of(ROWS, COLS))


def run(model, photo, folder, **changes):
    folder.mkdir(exist_ok=True)
    sources = changes.pop("sources", (Source("p", str(photo), "photo"),))
    result = predict.run(PredictJob(str(model), sources, **changes), folder, Channel(folder))
    json.dumps(encode(result), allow_nan=False)
    return result


def classes(folder):
    with rasterio.open(folder / "classes.tif") as dataset:
        return dataset.read(1)


def raw(photo, outputs, mean=0.0, std=1.0, size=1, order=(0, 1, 2)):
    """What the convolution gives over the whole photo, without its border."""
    with rasterio.open(photo) as dataset:
        scores = (dataset.read().astype(np.float64)[list(order)] / 255 - mean) / std
    views = np.lib.stride_tricks.sliding_window_view(scores, (size, size), axis=(1, 2))
    return np.einsum("crsij,ocij->ors", views, weights(outputs, size).astype(np.float64))


def softmax(values):
    shares = np.exp(values - values.max(0))
    return shares / shares.sum(0)


def same(given, expected):
    """Equal but where rounding decides."""
    return (given == expected).mean() > 0.999


@pytest.mark.parametrize("side", [SIDE, 0])
def test_one_sigmoid_channel_is_two_classes_with_its_threshold(photo, tmp_path, side):
    settings = {"standardization_mean": [0.5] * 3, "standardization_std": [0.25] * 3, "tiles_size": SIDE}
    model = write_foreign(
        tmp_path / "m.onnx", 1, "Sigmoid", side=side, seg_thresh=0.7, class_names={"0": "road"}, **settings
    )
    result = run(model, photo, tmp_path / "out", confidence="confidence.tif")
    expected = 1 / (1 + np.exp(-raw(photo, 1, 0.5, 0.25)[0])) >= 0.7
    assert same(classes(tmp_path / "out"), expected) and 0.01 < expected.mean() < 0.99
    assert [item.name for item in result["classes"]] == ["background", "road"]
    with rasterio.open(tmp_path / "out" / "confidence.tif") as dataset:
        share = dataset.read(1)
    sure = 1 / (1 + np.exp(-raw(photo, 1, 0.5, 0.25)[0]))
    assert abs(share - np.where(expected, sure, 1 - sure)).max() < 0.02


def test_a_channel_without_a_place_of_its_own(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx", 1, "Sigmoid", flat=True)
    run(model, photo, tmp_path / "out")
    assert same(classes(tmp_path / "out"), raw(photo, 1)[0] >= 0)


@pytest.mark.parametrize(
    ("activation", "shares"), [("Softmax", "softmax"), ("Sigmoid", "sigmoid"), ("", "raw")]
)
def test_several_classes_by_their_largest_value(photo, tmp_path, activation, shares):
    names = {"0": "a", "1": "b", "2": "c"}
    model = write_foreign(tmp_path / "m.onnx", 3, activation, class_names=names, seg_thresh=0)
    assert read_model(model).architecture["shares"] == shares
    result = run(model, photo, tmp_path / "out", probability="p.tif")
    values = raw(photo, 3)
    values = np.where(values < 0, 0, values) if shares == "raw" else values  # below the threshold
    assert same(classes(tmp_path / "out"), values.argmax(0))
    assert [item.name for item in result["classes"]] == ["a", "b", "c"] and min(result["counts"].values()) > 0
    with rasterio.open(tmp_path / "out" / "p.tif") as dataset:
        assert abs(dataset.read().sum(0) - 1).max() < 0.02


def by_its_own_program(model, photo):
    """Classes of the first window of a model."""
    with rasterio.open(photo) as dataset:
        return deepness_reader.tile_classes(
            deepness_reader.session_of(model), dataset.read()[:, :SIDE, :SIDE]
        )


@pytest.mark.parametrize("threshold", [{}, {"seg_thresh": 0.0}, {"seg_thresh": 0.3}, {"seg_thresh": 0.999}])
@pytest.mark.parametrize("times", [1.0, 6.0, 1e-9, -1e-9])
@pytest.mark.parametrize(
    ("outputs", "activation"), [(1, "Sigmoid"), (1, ""), (3, "Softmax"), (3, "Sigmoid"), (4, "")]
)
def test_every_pixel_has_the_class_of_its_own_program(photo, tmp_path, outputs, activation, times, threshold):
    model = write_foreign(tmp_path / "m.onnx", outputs, activation, times=times, **threshold)
    run(model, photo, tmp_path / "out")
    expected = by_its_own_program(model, photo)
    np.testing.assert_array_equal(classes(tmp_path / "out")[:48, :48], expected[:48, :48])


@pytest.mark.parametrize(
    "given", [{"mean": [0.5] * 3}, {"std": [0.2] * 3}, {"mean": [0.5] * 3, "std": [0.2] * 3}]
)
def test_values_are_scaled_only_by_a_file_that_has_both_numbers(photo, tmp_path, given):
    settings = {f"standardization_{key}": values for key, values in given.items()}
    model = write_foreign(tmp_path / "m.onnx", 3, "Softmax", **settings)
    run(model, photo, tmp_path / "out")
    np.testing.assert_array_equal(
        classes(tmp_path / "out")[:48, :48], by_its_own_program(model, photo)[:48, :48]
    )


def test_a_value_at_its_threshold_counts(photo, tmp_path):
    black = write_raster(
        tmp_path / "black.tif", np.zeros((CHANNELS, ROWS, COLS), np.uint8), grid_of(ROWS, COLS)
    )
    model = write_foreign(tmp_path / "m.onnx", 1, "Sigmoid")
    run(model, black, tmp_path / "out")
    assert (by_its_own_program(model, black) == 1).all() and (classes(tmp_path / "out") == 1).all()


@pytest.mark.parametrize(
    ("given", "said"), [({}, "9 px"), ({"seg_small_segment": 5}, "5 px"), ({"seg_small_segment": 0}, "")]
)
def test_a_filter_that_its_program_applies_afterwards_is_named(tmp_path, given, said):
    model = write_foreign(tmp_path / "m.onnx", **given)
    found = [item for item in read_model(model).warnings if item.code == "median_filter"]
    assert len(found) == bool(said) and all(said in item.message and said in item.hint for item in found)


@pytest.mark.parametrize(
    ("crs", "corner", "own", "wanted"),
    [
        ("EPSG:3857", (800_000, 6_800_000), 10.0, 20.0),
        ("EPSG:2222", (700_000, 800_000), 10.0, 20 / 0.3048),
        ("EPSG:32633", (500_000, 5_000_000), 20.0, 20.0),
    ],
)
def test_its_pixel_size_is_in_units_of_the_layer(tmp_path, crs, corner, own, wanted):
    model = write_foreign(tmp_path / "m.onnx", resolution=2000)
    grid = Grid(crs, (own, 0, corner[0], 0, -own, corner[1]), COLS, ROWS)
    image = write_raster(tmp_path / "image.tif", np.ones((CHANNELS, ROWS, COLS), np.uint8), grid)
    found = run(model, image, tmp_path / "out", dry_run=True)["grid"]
    assert found.transform[0] == -found.transform[4] == pytest.approx(wanted, rel=1e-12)
    assert found.crs == crs


def test_below_the_threshold_the_first_class_stands(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx", 3, seg_thresh=0.6)
    run(model, photo, tmp_path / "out")
    shares = softmax(raw(photo, 3))
    expected = np.where(shares.max(0) < 0.6, 0, shares.argmax(0))
    assert same(classes(tmp_path / "out"), expected) and (expected != shares.argmax(0)).mean() > 0.02


@pytest.mark.parametrize("side", [SIDE, 0])
def test_an_answer_smaller_than_its_window_has_no_seams(photo, tmp_path, side):
    model = write_foreign(tmp_path / "m.onnx", 2, size=9, side=side, tiles_size=SIDE, tiles_overlap=40)
    for core_px in (64, 512):
        run(model, photo, tmp_path / "out", core_px=core_px)
        given = classes(tmp_path / "out")[4:-4, 4:-4]
        assert (given == raw(photo, 2, size=9).argmax(0)).mean() > (0.999 if side else 0.9)


def test_channels_read_what_they_are_told(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx")
    bands = (Band("blue", "p", 3), Band("green", "p", 2), Band("red", "p", 1))
    result = run(model, photo, tmp_path / "out", foreign_bands=bands)
    assert same(classes(tmp_path / "out"), raw(photo, 2, order=(2, 1, 0)).argmax(0))
    assert result["matched"][0]["file"] == str(photo)


def test_layers_come_to_the_pixel_size_of_the_model(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx", resolution=2000)
    grid = run(model, photo, tmp_path / "a", dry_run=True)["grid"]
    assert (grid.width, grid.height) == (COLS // 2, ROWS // 2 + 1) or grid.transform[0] == pytest.approx(
        20, rel=1e-2
    )
    degrees = Grid("EPSG:4326", (9e-5, 0, 40.0, 0, -9e-5, -10.0), COLS, ROWS)
    there = write_raster(tmp_path / "there.tif", np.ones((3, ROWS, COLS), np.uint8), degrees)
    grid = run(model, there, tmp_path / "b", dry_run=True)["grid"]
    assert (grid.transform[0] == 20 and "37S" in grid.crs) or "32737" in grid.crs
    free = write_foreign(tmp_path / "free.onnx")
    assert run(free, there, tmp_path / "c", dry_run=True)["grid"].transform == degrees.transform


def test_what_is_missing_is_listed(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx")
    assert [item.code for item in run(model, photo, tmp_path, dry_run=True, sources=())["problems"]] == [
        "no_sources"
    ]
    found = run(model, photo, tmp_path, dry_run=True, foreign_bands=(Band("a", "p", 1),))["problems"]
    assert [item.code for item in found] == ["channels"] and "3 channels; 1 band" in found[0].message
    found = run(model, photo, tmp_path, dry_run=True, foreign_bands=(Band("a", "p", 4),) * 3)["problems"]
    assert [item.code for item in found] == ["missing_bands"]


def test_it_is_described_as_foreign(tmp_path):
    model = write_foreign(tmp_path / "m.onnx", resolution=10)
    result = reading.run(DescribeJob(str(model)), tmp_path, Channel(tmp_path))
    json.dumps(encode(result), allow_nan=False)
    assert result["foreign"] and result["bands"] == ["channel 1", "channel 2", "channel 3"]
    assert result["pixel_size"] == [0.1, 0.1]
    assert [item.code for item in result["warnings"]] == ["no_class_names", "median_filter"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "Detector"}, "a Detector finds objects"),
        ({"given": 2 * SIDE}, "a finer image"),
        ({"given": SIDE // 4}, "16 × 16 values"),
        ({"standardization_std": [1, 2]}, "does not fit 3 channels"),
        ({"standardization_std": [0]}, "does not fit 3 channels"),
    ],
)
def test_what_gives_no_classes_is_refused_in_one_sentence(tmp_path, changes, reason):
    model = write_foreign(tmp_path / "m.onnx", **changes)
    with pytest.raises(GeoSegError) as caught:
        read_model(model)
    assert caught.value.code == "not_our_model" and reason in caught.value.message


def test_a_file_that_gives_something_else_than_it_says_is_refused(photo, tmp_path):
    model = write_foreign(tmp_path / "m.onnx", size=40, side=0, tiles_size=SIDE)
    with pytest.raises(GeoSegError, match="for 64 × 64 pixels"):
        run(model, photo, tmp_path / "out")


def test_a_runtime_or_precision_it_has_not_is_no_silent_replacement(photo, tmp_path):
    model = write_foreign(tmp_path / "model.onnx")
    for wish in ({"runtime": "openvino"}, {"precision": "bf16"}):
        with pytest.raises(GeoSegError) as caught:
            run(model, photo, tmp_path, **wish)
        assert caught.value.code == "no_precision"
    assert run(model, photo, tmp_path, precision="int8")["precision"] == "float32"


def test_it_cannot_be_trained_further(tmp_path):
    with pytest.raises(GeoSegError, match="third-party model"):
        reading.load_network(write_foreign(tmp_path / "m.onnx"))
