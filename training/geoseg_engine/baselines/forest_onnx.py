"""A forest as one ONNX graph: image of z-scores in, class probabilities out.

Every tree is a node of its own: its thresholds then stay in the processor's cache while all pixels pass it, which
is several times faster than all trees for one pixel after another, and sums are always added in the same order. The
operator is that of ONNX 1.16, which ONNX Runtime has since 1.21: the one before it used three times the memory.
scikit-learn compares float32 values with float64 thresholds; the largest float32 that is not above the threshold
gives the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from ..contract import GeoSegError
from ..modelfile.calibration import Calibration
from ..modelfile.export import OPSET
from ..modelfile.stats import Statistics
from ..models.texture import FLOOR, feature_count
from ..outputs import whole_file
from .byte_features import add_byte_features, feature_bands
from .onnx_graph import Graph

ML_OPSET, IR_VERSION = 5, 10
SUM, LESS_OR_EQUAL = 1, 0
"""Numbers of the operator TreeEnsemble."""
FEATURES, SHARES = "features", "shares"
MIN_SHARE = 1e-3
"""Minimum probability before the logarithm: all of a few hundred trees may miss a class."""
TOLERANCE = 1e-5
CHECKED_PX = 48


def forest_graph(
    forest: Any,
    statistics: Statistics,
    texture_px: Sequence[int],
    classes: int,
    calibration: Calibration,
    as_bytes: bool = False,
) -> onnx.ModelProto:
    """Return the model of a forest, without metadata.

    Args:
        forest: a fitted RandomForestClassifier.
        statistics: of the bands; values outside their limits are clipped.
        texture_px: sides of texture windows in pixels.
        classes: number of output channels; those that the forest has not seen get 0.
        calibration: applied to the logarithms of the forest's probabilities, see `logits`.
        as_bytes: whether the forest's features are those of `byte_features`, else those of `models.texture`.
    """
    bands = len(statistics.mean)
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", bands, "rows", "cols"])
    made = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, ["batch", classes, "rows", "cols"]
    )
    model = helper.make_model(
        helper.make_graph([], "forest", [given], [made]),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="GeoSeg",
    )
    graph = Graph(model.graph)
    if as_bytes:
        image, width = "image", len(feature_bands(bands))
        features = add_byte_features(graph, statistics)
    else:
        image, width = _clean(graph, statistics), feature_count(bands, texture_px)
        features = _texture(graph, image, texture_px)
    pixels = graph.add("Transpose", [features], perm=[0, 2, 3, 1])
    rows = graph.add("Reshape", [pixels, graph.constant([-1, width], np.int64)], FEATURES)
    shares = _shares(graph, forest, rows, classes)
    size = graph.add("Gather", [graph.add("Shape", [image]), graph.constant([0, 2, 3], np.int64)])
    shape = graph.add("Concat", [size, graph.constant([classes], np.int64)], axis=0)
    maps = graph.add("Transpose", [graph.add("Reshape", [shares, shape])], SHARES, perm=[0, 3, 1, 2])
    graph.add("Identity", [_calibrated(graph, maps, calibration)], "probabilities")
    return model


def _clean(graph: Graph, statistics: Statistics) -> str:
    """NaN becomes 0, values are clipped."""
    low, high = (np.array(limit).reshape(1, -1, 1, 1) for limit in statistics.z_limits())
    known = graph.add("Where", [graph.add("IsNaN", ["image"]), graph.constant(0.0), "image"])
    return graph.add("Min", [graph.add("Max", [known, graph.constant(low)]), graph.constant(high)])


def _texture(graph: Graph, image: str, sizes: Sequence[int]) -> str:
    """What `models.texture.Texture` computes."""
    parts = [image]
    for size in sizes:
        square = graph.add("Mul", [image, image])
        middle, power = (_mean(graph, one, size) for one in (image, square))
        variance = graph.add("Sub", [power, graph.add("Mul", [middle, middle])])
        positive = graph.add("Max", [variance, graph.constant(0.0)])
        parts += [middle, graph.add("Sqrt", [graph.add("Add", [positive, graph.constant(FLOOR)])])]
    return graph.add("Concat", parts, axis=1) if len(parts) > 1 else image


def _mean(graph: Graph, values: str, size: int) -> str:
    half = size // 2
    for shape, pads in (([size, 1], [half, 0, half, 0]), ([1, size], [0, half, 0, half])):
        values = graph.add("AveragePool", [values], kernel_shape=shape, pads=pads, count_include_pad=0)
    return values


def _shares(graph: Graph, forest: Any, rows: str, classes: int) -> str:
    """(pixels, classes): the mean of the leaves' shares; the first class of the forest is what the others leave."""
    trees = [tree.tree_ for tree in forest.estimators_]
    seen = [int(item) for item in forest.classes_]
    total = ""
    axis = graph.constant([1], np.int64)
    for tree in trees:
        one = _tree(graph, tree, rows, axis)
        total = graph.add("Add", [total, one]) if total else one
    others = graph.add("ReduceSum", [total, axis], keepdims=1)
    count = graph.constant(
        float(len(trees))
    )  # divided last: sums of pure leaves are whole numbers, and ties stay ties
    first = graph.add("Max", [graph.add("Sub", [count, others]), graph.constant(0.0)])
    shares = graph.add("Div", [graph.add("Concat", [first, total], axis=1), count])
    place = np.zeros((len(seen), classes), np.float32)
    place[np.arange(len(seen)), seen] = 1
    if len(seen) < classes:
        return graph.add("MatMul", [shares, graph.constant(place)])
    return shares


def _calibrated(graph: Graph, shares: str, calibration: Calibration) -> str:
    """What `modelfile.calibration.Decision` computes of `logits`; the shares as they are where it does nothing."""
    if calibration.is_identity:
        return shares
    values = graph.add("Log", [graph.add("Max", [shares, graph.constant(MIN_SHARE)])])
    values = graph.add("Mul", [values, graph.constant(1 / calibration.temperature)])
    if any(calibration.bias):
        values = graph.add("Add", [values, graph.constant(np.reshape(calibration.bias, (1, -1, 1, 1)))])
    made = graph.add("Softmax", [values], axis=1)
    if not calibration.weights_classes:
        return made
    weighted = graph.add("Mul", [made, graph.constant(np.reshape(calibration.weights, (1, -1, 1, 1)))])
    total = graph.add("ReduceSum", [weighted, graph.constant([1], np.int64)], keepdims=1)
    return graph.add("Div", [weighted, total])


def logits(shares: NDArray[Any]) -> NDArray[Any]:
    """Return logits of a forest's probabilities: their logarithms, those of 0 as of MIN_SHARE."""
    return np.asarray(np.log(np.maximum(shares, MIN_SHARE)))


def _tree(graph: Graph, tree: Any, rows: str, axis: str) -> str:
    """(pixels, classes - 1): shares of all classes but the first.

    With more than two classes the tree returns the leaf's number, an index into the shares: a tree with several targets
    is slower in ONNX Runtime.
    """
    shares = tree.value[:, 0, 1:] / tree.value[:, 0].sum(axis=1, keepdims=True)
    leaves = np.flatnonzero(tree.children_left < 0)
    several = shares.shape[1] > 1
    weights = np.arange(len(leaves)) if several else shares[leaves, 0]
    found = graph.add("TreeEnsemble", [rows], domain="ai.onnx.ml", n_targets=1, aggregate_function=SUM)
    graph.made.node[-1].attribute.extend(tree_attributes(tree, weights))
    if not several:
        return found
    number = graph.add("Squeeze", [graph.add("Cast", [found], to=TensorProto.INT32), axis])
    return graph.add("Gather", [graph.constant(shares[leaves]), number], axis=0)


def tree_attributes(tree: Any, weights: NDArray[Any]) -> Iterator[onnx.AttributeProto]:
    """Yield the attributes of a TreeEnsemble with one tree: nodes and leaves, each numbered from 0 in the tree's order.

    Args:
        tree: of scikit-learn.
        weights: outputs of the leaves.
    """
    leaf = tree.children_left < 0
    number = np.where(leaf, np.cumsum(leaf), np.cumsum(~leaf)) - 1
    # a lone leaf, whose children have the number -1, is on both sides of a node
    node = np.flatnonzero(~leaf) if tree.node_count > 1 else np.zeros(1, np.int64)
    yield _integers("tree_roots", np.zeros(1, np.int64))
    yield _integers("nodes_featureids", np.maximum(tree.feature[node], 0))
    yield _numbers("nodes_splits", round_down(tree.threshold[node]))
    yield _numbers("nodes_modes", np.full(len(node), LESS_OR_EQUAL, np.uint8))
    for side, children in (("true", tree.children_left[node]), ("false", tree.children_right[node])):
        yield _integers(f"nodes_{side}nodeids", number[children])
        yield _integers(f"nodes_{side}leafs", leaf[children])
    yield _integers("leaf_targetids", np.zeros(len(weights), np.int64))
    yield _numbers("leaf_weights", weights.astype(np.float32))


def _integers(name: str, values: NDArray[Any]) -> AttributeProto:
    """Made without the library's helper, which checks each of millions of numbers."""
    return AttributeProto(name=name, type=AttributeProto.INTS, ints=values.astype(np.int64).tolist())


def _numbers(name: str, values: NDArray[Any]) -> AttributeProto:
    return AttributeProto(name=name, type=AttributeProto.TENSOR, t=numpy_helper.from_array(values, name))


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)


def save_forest(
    graph: Callable[[], onnx.ModelProto], forest: Any, metadata: dict[str, str], path: Path
) -> None:
    """Write the model file of a forest; it is renamed to its path only after it has returned what scikit-learn returns.

    Graph and session never exist at once: each is millions of nodes.

    Args:
        graph: makes the model without metadata, see `forest_graph`.
        forest: that it is made from.
        metadata: key to JSON text.
        path: of the .onnx.

    Raises:
        GeoSegError: `export_mismatch` if probabilities differ by more than TOLERANCE.
    """
    model = graph()
    helper.set_model_props(model, metadata)
    with whole_file(path, model.ByteSize()) as partial:
        watched = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (FEATURES, SHARES)
        ]
        model.graph.output.extend(watched)
        onnx.save(model, partial)
        del model
        worst = max_difference(partial, forest)
        if not worst <= TOLERANCE:
            raise GeoSegError(
                "export_mismatch",
                f"ONNX Runtime differs from scikit-learn by {worst:.2g} in a probability.",
                "Please report this with the log.",
            )
        model = onnx.load(partial)
        del model.graph.output[1:]
        onnx.save(model, partial)


def max_difference(path: Path, forest: Any) -> float:
    """Return the largest difference of a probability between scikit-learn and ONNX Runtime, on noise with NaN.

    Args:
        path: of a graph with the outputs FEATURES and SHARES too.
        forest: that it was made from.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    bands = session.get_inputs()[0].shape[1]
    image = np.random.default_rng(0).normal(0, 1.5, (1, bands, CHECKED_PX, CHECKED_PX + 4)).astype(np.float32)
    image[:, :, :3, :5] = np.nan
    features, shares = session.run([FEATURES, SHARES], {"image": image})
    expected = forest.predict_proba(features)
    given = shares[0].reshape(shares.shape[1], -1).T[:, forest.classes_]
    return float(np.abs(given - expected).max())
