"""Model files, ours and of other programs, damaged or made to do harm: a model comes out, or one sentence."""

import json
import random

import numpy as np
import onnx
import pytest
from damage import VALUES, damaged_bytes, damaged_entries, modest_memory, survives
from onnx import TensorProto, helper, numpy_helper
from prediction_scenes import grid_of, recipe_of, scene, write_model, write_raster
from third_party_models import write_foreign

from geoseg_engine.contract import GeoSegError
from geoseg_engine.modelfile.metadata import read_metadata
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.models import build, state_shapes
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.prediction.runtimes.third_party import third_party_runtime

TIMES = 60
SEED = 1


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    grid = grid_of(40, 40)
    recipe = recipe_of(write_raster(folder / "image.tif", scene(40, 40), grid), grid)
    return write_model(folder / "model.onnx", recipe, levels=1)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return write_foreign(
        tmp_path_factory.mktemp("foreign") / "m.onnx",
        outputs=3,
        class_names={"0": "a", "1": "b", "2": "c"},
        standardization_mean=[0.1, 0.2, 0.3],
        standardization_std=[0.5, 0.5, 0.5],
        resolution=10.0,
        tiles_overlap=15,
        seg_thresh=0.5,
    )


def with_metadata(path, texts, target):
    """A copy of a model file whose metadata are other bytes; those that were kept stay."""
    model = onnx.load(path)
    del model.metadata_props[:]
    whole = model.SerializeToString()
    for key, value in texts.items():
        entry = b"".join(_field(number, content) for number, content in ((1, key.encode()), (2, value)))
        whole += _field(14, entry)
    target.write_bytes(whole)
    return target


def _field(number, content):
    """A field of a protobuf message that has a length."""
    head, length = bytearray([number << 3 | 2]), len(content)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes(head) + bytes([length]) + content


def read_and_load(path):
    model = read_model(path)
    if model.architecture["name"] != "foreign":
        load_network(path)


def test_damaged_bytes_of_our_models(ours, tmp_path):
    with modest_memory():
        for content in damaged_bytes(ours.read_bytes(), TIMES, SEED):
            (tmp_path / "m.onnx").write_bytes(content)
            survives(lambda: read_and_load(tmp_path / "m.onnx"))


def test_damaged_metadata_of_our_models(ours, tmp_path):
    whole = {key: json.loads(text) for key, text in read_metadata(ours).items()}
    refused = 0
    with modest_memory():
        for values in damaged_entries(whole, 3 * TIMES, SEED):
            texts = {key: json.dumps(value).encode("utf-8") for key, value in values.items()}
            with_metadata(ours, texts, tmp_path / "m.onnx")
            refused += survives(lambda: read_and_load(tmp_path / "m.onnx")) is not None
    assert refused > TIMES


def test_damaged_bytes_of_foreign_models(foreign, tmp_path):
    def read():
        model = read_model(tmp_path / "m.onnx")
        if model.architecture["name"] == "foreign":
            side = min(model.tile_px, 64)
            third_party_runtime(model).predict_window(np.zeros((3, side, side), np.float32))

    with modest_memory():
        for content in damaged_bytes(foreign.read_bytes(), 2 * TIMES, SEED):
            (tmp_path / "m.onnx").write_bytes(content)
            survives(read)


def test_damaged_metadata_of_foreign_models(foreign, tmp_path):
    whole = {key: json.loads(text) for key, text in read_metadata(foreign).items()}
    draw = random.Random(SEED)
    raw = (b"\xff\xfe", b"NaN", b"[1, NaN, 2]", b"(" * 3000, b"9" * 5000, b"1e999", b"{'a': 1}", b"")
    with modest_memory():
        for number, values in enumerate(damaged_entries(whole, 3 * TIMES, SEED)):
            texts = {key: json.dumps(value).encode("utf-8") for key, value in values.items()}
            if number % 3 == 0:
                texts[draw.choice(list(texts))] = draw.choice(raw)
            with_metadata(foreign, texts, tmp_path / "m.onnx")
            survives(lambda: read_model(tmp_path / "m.onnx"))


@pytest.mark.parametrize("key", ["geoseg:recipe", "class_names"])
def test_texts_that_are_no_utf_8_are_one_sentence(key, ours, foreign, tmp_path):
    path = ours if key.startswith("geoseg") else foreign
    texts = {name: text.encode() for name, text in read_metadata(path).items()}
    texts[key] = b'{"a": "\xff\xfe\xfa"}'
    with_metadata(path, texts, tmp_path / "m.onnx")
    with pytest.raises(GeoSegError) as caught:
        read_model(tmp_path / "m.onnx")
    assert caught.value.code == "not_our_model" and "\n" not in caught.value.message


def rewritten(path, target, **changes):
    whole = {key: json.loads(text) for key, text in read_metadata(path).items()}
    for key, change in changes.items():
        value = whole[f"geoseg:{key}"]
        whole[f"geoseg:{key}"] = {**value, **change} if isinstance(change, dict) else change
    return with_metadata(path, {key: json.dumps(value).encode() for key, value in whole.items()}, target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": {"width": 100_000}}, "width is 100000"),
        ({"architecture": {"levels": 1000}}, "levels is 1000"),
        ({"architecture": {"bands": 2**40}}, "bands is 1099511627776"),
        ({"architecture": {"classes": 4000}}, "classes of the network: 4000 instead of 3"),
        ({"architecture": {"dropout": "high"}}, "dropout is 'high'"),
        ({"architecture": {"name": ["unet"]}}, "no object with a name"),
        ({"architecture": {"width": 64}}, "weights do not fit"),
        ({"statistics": {"std": [0.0, 1.0]}}, "'std' is 0"),
        ({"statistics": {"mean": [0.0]}}, "mean: 1 instead of 2"),
        ({"classes": []}, "The 0 classes"),
        ({"recipe": {"bands": []}}, "has 0 bands"),
        ({"reach_px": 10**9}, "'reach_px' is 1e+09"),
        ({"align_px": 0}, "'align_px' is 0"),
        ({"trained": {"plan": 5}}, "'plan' of the training is 5"),
    ],
)
def test_what_does_not_fit_is_named_before_memory_is_asked_for(change, said, ours, tmp_path):
    path = rewritten(ours, tmp_path / "m.onnx", **change)
    with modest_memory(), pytest.raises(GeoSegError) as caught:
        load_network(path)
    assert caught.value.code == "not_our_model" and said in caught.value.message


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("key", ["name", "bands", "width", "levels", "norm", "members", "texture_px"])
def test_no_architecture_is_built_of_anything(key, value):
    with modest_memory():
        survives(lambda: state_shapes({"name": "unet", "bands": 2, "classes": 2, "width": 4, key: value}))


def test_members_are_counted_at_every_depth():
    unet = {"name": "unet", "bands": 1, "classes": 2, "width": 1, "levels": 1}
    deep = unet
    for _ in range(3):
        deep = {"name": "ensemble", "bands": 1, "classes": 2, "members": [deep] * 20}
    with pytest.raises(GeoSegError, match="more than 64 members"):
        build(deep)


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../secret.bin", "a/../../secret.bin", "C:\\secret.bin", "", "no.bin"]
)
def test_weights_outside_the_folder_are_not_followed(location, foreign, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    folder = tmp_path / "models"
    folder.mkdir()
    model = onnx.load(foreign)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(GeoSegError) as caught:
        read_model(folder / "m.onnx")
    assert caught.value.code == "not_our_model" and "its weights are in" in caught.value.message


def test_weights_in_a_constant_of_a_branch_are_not_followed_either(tmp_path):
    value = numpy_helper.from_array(np.zeros((1, 3, 1, 1), np.float32), "w")
    value.ClearField("raw_data")
    value.data_location = TensorProto.EXTERNAL
    value.external_data.add(key="location", value="../w.bin")
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=value)], "b", [], [])
    node = helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [])), path)
    with pytest.raises(GeoSegError, match="outside its folder"):
        read_model(path)


def test_a_graph_in_circles_is_no_endless_search(foreign, tmp_path):
    model = onnx.load(foreign)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("Identity", ["b"], ["shares"]),
            helper.make_node("Identity", ["c"], ["b"]),
            helper.make_node("Identity", ["b"], ["c"]),
        ]
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert survives(lambda: read_model(tmp_path / "m.onnx")) is None


@pytest.mark.parametrize(("classes", "bands"), [(2, 2), (3, 5)])
def test_a_graph_that_is_not_what_the_metadata_say_is_one_sentence(classes, bands, ours, tmp_path):
    """The graph of another model under our metadata."""
    from geoseg_engine.prediction.runtimes.selection import _check_shape

    path = write_foreign(tmp_path / "m.onnx", outputs=classes)
    runtime = OnnxRuntime(path)
    with pytest.raises(GeoSegError) as caught:
        made = runtime.predict_window(np.zeros((bands if bands != 2 else 3, 64, 64), np.float32))
        _check_shape(runtime, made.shape, (3, 64, 64))
    assert caught.value.code == "model_failed"
