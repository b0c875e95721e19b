"""Write a forest's model file; it gets its name only after it has given what scikit-learn gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from ..contract import GeoSegError
from ..outputs import whole_file
from .forestgraph import FEATURES, SHARES

TOLERANCE = 1e-5
CHECKED_PX = 48


def save_forest(
    graph: Callable[[], onnx.ModelProto], forest: Any, metadata: dict[str, str], path: Path
) -> None:
    """Write, check and give the name. Graph and session are never there at once: each is millions of nodes.

    Args:
        graph: makes the model without metadata, see `forestgraph.forest_graph`.
        forest: what it is made from.
        metadata: key to JSON text.
        path: of the .onnx.

    Raises:
        GeoSegError: `export_mismatch` if shares differ by more than TOLERANCE.
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
    """The largest difference of a share between scikit-learn and ONNX Runtime, on noise with missing values.

    Args:
        path: of a graph that gives FEATURES and SHARES too.
        forest: what it was made from.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    bands = session.get_inputs()[0].shape[1]
    image = np.random.default_rng(0).normal(0, 1.5, (1, bands, CHECKED_PX, CHECKED_PX + 3)).astype(np.float32)
    image[:, :, :3, :5] = np.nan
    features, shares = session.run([FEATURES, SHARES], {"image": image})
    expected = forest.predict_proba(features)
    given = shares[0].reshape(shares.shape[1], -1).T[:, forest.classes_]
    return float(np.abs(given - expected).max())
