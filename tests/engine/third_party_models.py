"""Small model files as other programs write them."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIDE = 3, 64


def weights(outputs, size=1, seed=5):
    drawn = np.random.default_rng(seed).normal(0, 1.5, (outputs, CHANNELS, size, size)).astype(np.float32)
    return drawn - drawn.mean(axis=(1, 2, 3), keepdims=True)  # so that no class wins everywhere


def write_foreign(
    path, outputs=2, activation="Softmax", size=1, side=SIDE, flat=False, given=0, times=1.0, **metadata
):
    """One valid convolution of `size` px, whose values are multiplied, and an activation over channels."""
    out_side = given or (side - size + 1 if side else 0)
    nodes = [helper.make_node("Conv", ["image", "w"], ["raw"], kernel_shape=[size, size])]
    last = "raw"
    if activation:
        settings = {"axis": 1} if activation == "Softmax" else {}
        nodes.append(helper.make_node(activation, [last], ["shares"], **settings))
        last = "shares"
    shape = [None, outputs, out_side or None, out_side or None]
    if flat:
        nodes.append(helper.make_node("Squeeze", [last, "axis"], ["map"]))
        last, shape = "map", [None, *shape[2:]]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [
            helper.make_tensor_value_info(
                "image", TensorProto.FLOAT, [None, CHANNELS, side or None, side or None]
            )
        ],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(weights(outputs, size) * np.float32(times), "w"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.save(model, path)
    return path
