"""Write a forest's model file; it gets its name only after it has given what scikit-learn gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from ..contract import GeoSegError
from ..modelfile.calibration import Calibration
from ..modelfile.export import own_metadata
from ..outputs import whole_file
from .forestgraph import FEATURES, SHARES

TOLERANCE = 1e-5
CHECKED_PX = 48


def save_forest(
    model: onnx.ModelProto, forest: Any, metadata: dict[str, str], decision: Calibration, path: Path
) -> None:
    """Check and write.

    Args:
        model: of `forestgraph.forest_graph`.
        forest: what it was made from.
        metadata: key to JSON text.
        decision: the calibration that is part of the graph.
        path: of the .onnx.

    Raises:
        GeoSegError: `export_mismatch` if shares differ by more than TOLERANCE.
    """
    worst = max_difference(model, forest)
    if not worst <= TOLERANCE:
        raise GeoSegError(
            "export_mismatch",
            f"ONNX Runtime differs from scikit-learn by {worst:.2g} in a probability.",
            "Please report this with the log.",
        )
    helper.set_model_props(model, {**metadata, **own_metadata({"calibration": decision})})
    with whole_file(path, model.ByteSize()) as partial:
        onnx.save(model, partial)


def max_difference(model: onnx.ModelProto, forest: Any) -> float:
    """The largest difference of a share between scikit-learn and ONNX Runtime, on noise with missing values."""
    trial = onnx.ModelProto()
    trial.CopyFrom(model)
    bands = trial.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for name in (FEATURES, SHARES):
        trial.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(trial.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(0, 1.5, (1, bands, CHECKED_PX, CHECKED_PX + 3)).astype(np.float32)
    image[:, :, :3, :5] = np.nan
    features, shares = session.run([FEATURES, SHARES], {"image": image})
    expected = forest.predict_proba(features)
    given = shares[0].reshape(shares.shape[1], -1).T[:, forest.classes_]
    return float(np.abs(given - expected).max())
