"""Features of the fast model: value, and Gaussian, gradient and deviation of every band at 1, 2 and 4 pixels, as bytes.

A band's range in training becomes 0 to 255. Each level of a pyramid has half the pixels of the one below; a level is
blurred by one pixel of its own (1 4 6 4 1), and what comes of it is brought back to full resolution. All sums are of
whole numbers below 2^24, which float32 holds exactly in any order, and all else is computed pixel by pixel: so a
feature does not depend on the window in which it is computed, if the window begins at a multiple of ALIGN_PX of the
raster. Pixels without value have the weight 0, as have those beyond the raster: nothing is put in their place.

The features are part of the graph of the model. Training computes them with the same nodes.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ..modelfile.export import OPSET
from ..modelfile.stats import Statistics
from .onnx_graph import Graph

LEVELS = 3
ALIGN_PX = 2 ** (LEVELS - 1)
REACH_PX = 5 * ALIGN_PX - 1
"""Of the last level: a pixel of it for bringing back, one for the gradient, two for the blur, and its own pixels."""
PER_BAND = 1 + 3 * LEVELS
TEXTURED_BANDS = 16
"""Of more bands only as many, evenly chosen, get more than their value: neighbouring spectral bands are alike."""
KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)
TOP = 255.0
GRADIENT_SCALE, DEVIATION_SCALE = 2.0, 4.0
"""Steps of a byte per step of value: differences of neighbours are small beside the range of a band."""
IR_VERSION = 10


def textured_bands(bands: int) -> list[int]:
    """Return the numbers of the bands that get more than their value.

    Args:
        bands: number of bands.
    """
    if bands <= TEXTURED_BANDS:
        return list(range(bands))
    return [round(place) for place in np.linspace(0, bands - 1, TEXTURED_BANDS)]


def feature_bands(bands: int) -> NDArray[np.int64]:
    """Return for every feature the number of its band.

    Args:
        bands: number of bands.
    """
    return np.array([*range(bands), *(textured_bands(bands) * (PER_BAND - 1))])


def add_byte_features(graph: Graph, statistics: Statistics) -> str:
    """Append the nodes from `image` (batch, bands, rows, cols), z-scores with NaN, to the features.

    Args:
        graph: with the input `image`; rows and cols are multiples of ALIGN_PX.
        statistics: of the bands; values outside their limits are clipped.

    Returns:
        Name of the features (batch, features, rows, cols), whole numbers from 0 to 255.
    """
    bands = len(statistics.mean)
    chosen = textured_bands(bands)
    missing = graph.add("IsNaN", ["image"])
    values = graph.add("Where", [missing, graph.constant(0.0), _bytes(graph, statistics)])
    known = graph.add("Cast", [graph.add("Not", [missing])], to=TensorProto.FLOAT)
    parts = [values]
    if len(chosen) < bands:
        places = graph.constant(chosen, np.int64)
        values, known = (graph.add("Gather", [one, places], axis=1) for one in (values, known))
    for level in range(LEVELS):
        if level:
            values, known = _halved(graph, values, known)
        found = _of_level(graph, values, known, len(chosen))
        if level:
            scale = graph.constant([1, 1, 2**level, 2**level])
            larger = graph.add("Resize", [found, "", scale], mode="linear")
            found = graph.add("Round", [larger])
        parts.append(found)
    return graph.add("Concat", parts, axis=1)


def _bytes(graph: Graph, statistics: Statistics) -> str:
    """Z-scores as whole numbers from 0 to 255."""
    low, high = (np.array(limit, np.float64) for limit in statistics.z_limits())
    width = np.where(high > low, high - low, 1.0)
    shape = (1, -1, 1, 1)
    above = graph.add("Sub", ["image", graph.constant(low.reshape(shape))])
    scaled = graph.add("Round", [graph.add("Mul", [above, graph.constant((TOP / width).reshape(shape))])])
    return _limited(graph, scaled)


def _limited(graph: Graph, values: str) -> str:
    return graph.add("Clip", [values, graph.constant(0.0), graph.constant(TOP)])


def _halved(graph: Graph, values: str, known: str) -> tuple[str, str]:
    """Mean of each 2 × 2 pixels that are known, and whether any is."""

    def quarter(name: str) -> str:
        return graph.add("AveragePool", [name], kernel_shape=[2, 2], strides=[2, 2])

    share = quarter(known)  # a quarter for each: whole quarters of bytes are exact
    divisor = graph.add("Max", [share, graph.constant(0.25)])
    mean = graph.add("Round", [graph.add("Div", [quarter(values), divisor])])
    return mean, graph.add("Ceil", [share])


def _of_level(graph: Graph, values: str, known: str, bands: int) -> str:
    """Gaussian, gradient and deviation of one level, as bytes (batch, 3 · bands, rows, cols)."""
    squares = graph.add("Mul", [values, values])
    sums = _blurred(graph, graph.add("Concat", [values, known, squares], axis=1), 3 * bands)
    names = [f"{sums}_{part}" for part in ("value", "weight", "square")]
    sizes = graph.constant([bands] * 3, np.int64)
    graph.made.node.append(helper.make_node("Split", [sums, sizes], names, axis=1))
    value, weight, square = names
    divisor = graph.add("Max", [weight, graph.constant(1.0)])
    mean = graph.add("Div", [value, divisor])
    variance = graph.add("Sub", [graph.add("Div", [square, divisor]), graph.add("Mul", [mean, mean])])
    deviation = graph.add("Sqrt", [graph.add("Max", [variance, graph.constant(0.0)])])
    found = [
        mean,
        graph.add("Mul", [_gradient(graph, mean), graph.constant(GRADIENT_SCALE)]),
        graph.add("Mul", [deviation, graph.constant(DEVIATION_SCALE)]),
    ]
    return _limited(graph, graph.add("Round", [graph.add("Concat", found, axis=1)]))


def _blurred(graph: Graph, maps: str, count: int) -> str:
    """Sums of neighbours with the weights of KERNEL, down and across."""
    for shape, pads in (((5, 1), [2, 0, 2, 0]), ((1, 5), [0, 2, 0, 2])):
        kernel = np.tile(np.reshape(KERNEL, (1, 1, *shape)), (count, 1, 1, 1))
        maps = graph.add("Conv", [maps, graph.constant(kernel)], group=count, pads=pads)
    return maps


def _gradient(graph: Graph, mean: str) -> str:
    """Length of half the difference of the neighbours on both sides; the pixel itself stands in beyond the border."""
    squares = []
    for axis in (2, 3):
        pads = np.zeros(8, np.int64)
        pads[[axis, axis + 4]] = 1
        wider = graph.add("Pad", [mean, graph.constant(pads, np.int64)], mode="edge")
        ends = [
            graph.add("Slice", [wider, *(graph.constant([number], np.int64) for number in (*span, axis))])
            for span in ((2, 2**31), (0, -2))
        ]
        half = graph.add("Mul", [graph.add("Sub", ends), graph.constant(0.5)])
        squares.append(graph.add("Mul", [half, half]))
    return graph.add("Sqrt", [graph.add("Add", squares)])


class ByteFeatures:
    """Computes the features of windows outside a model, with the nodes that the model has."""

    reach_px, align_px, missing = REACH_PX, ALIGN_PX, float("nan")

    def __init__(self, statistics: Statistics) -> None:
        """Open a session with the features alone.

        Args:
            statistics: of the bands.
        """
        bands = len(statistics.mean)
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", bands, "rows", "cols"])
        model = helper.make_model(
            helper.make_graph([], "features", [given], []),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        made = add_byte_features(Graph(model.graph), statistics)
        model.graph.output.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def of(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features of an image.

        Args:
            scores: z-scores (bands, rows, cols), NaN where there is no value; a multiple of ALIGN_PX on each side, from
                a multiple of it in the raster.

        Returns:
            float32 (features, rows, cols), whole numbers from 0 to 255.
        """
        found: NDArray[np.float32] = self._session.run(None, {"image": scores[None]})[0][0]
        return found
