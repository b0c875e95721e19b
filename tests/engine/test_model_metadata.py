"""Metadata of ONNX files, read past the graph."""

import onnx
import pytest
from onnx import TensorProto, helper

from geoseg_engine.modelfile.metadata import read_metadata

KEYS = {"geoseg:classes": "[]", "name": "Gewässer", "empty": "", "long": "x" * 70_000}


@pytest.fixture
def path(tmp_path):
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab")
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "one", [given], [made])
    model = helper.make_model(graph, producer_name="test")
    helper.set_model_props(model, KEYS)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_they_are_what_the_library_reads(path):
    assert read_metadata(path) == KEYS


def test_keys_that_come_before_the_graph_are_found_too(path):
    late, first = onnx.ModelProto(), onnx.load(path)
    late.metadata_props.extend(first.metadata_props)
    del first.metadata_props[:]
    path.write_bytes(late.SerializeToString() + first.SerializeToString())
    assert read_metadata(path) == KEYS


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9999])
def test_a_file_that_ends_too_early_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"end"):
        read_metadata(path)


@pytest.mark.parametrize("content", [b"\x0b", b"\0" * 20, b"\xff" * 20, b"PK\x03\x04 a zip, not a model"])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError):
        read_metadata(path)
