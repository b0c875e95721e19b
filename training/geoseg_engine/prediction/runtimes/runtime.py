"""What every runtime does: one interface over torch, ONNX Runtime and OpenVINO, on CPU or GPU."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...raster.grid import Window

Array = NDArray[np.floating[Any]]


class Runtime(Protocol):
    """A network ready to run.

    Attributes:
        title: in words, for log and result, e.g. `torch bf16 on cpu`.
        name: `torch`, `onnx` or `openvino`.
        precision: `float32`, `bf16`, `fp16`, `int8` or `float64`.
        device: `cpu` or `cuda:N`.
    """

    title: str
    name: str
    precision: str
    device: str

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """Output q (classes, rows, cols), see `modelfile.calibration`, of z-scores (bands, rows, cols).

        Rows and columns must be multiples of the network's total stride. Of a window of which only a part is kept,
        that part alone is given, and some runtimes compute little more.

        Raises:
            MemoryError: if the window does not fit into the device's memory.
        """
        ...
