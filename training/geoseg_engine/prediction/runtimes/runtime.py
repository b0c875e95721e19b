"""The interface of every runtime: torch, ONNX Runtime and OpenVINO, on CPU or GPU."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...device.devices import Device
from ...raster.grid import Window

Array = NDArray[np.floating[Any]]


class Runtime(Protocol):
    """A network ready to run.

    Attributes:
        title: for log and result, e.g. `torch bf16 on cpu`.
        name: `torch`, `onnx` or `openvino`.
        precision: `float32`, `bf16`, `fp16`, `int8` or `float64`.
        device: that it computes on.
    """

    title: str
    name: str
    precision: str
    device: Device

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """Return the output q of the network on one window, see `modelfile.calibration`.

        Args:
            scores: z-scores (bands, rows, cols); rows and cols are multiples of the network's total stride.
            kept: part of the window that is returned; some runtimes compute little more than it. None is all of it.

        Returns:
            Output (classes, rows, cols) of the kept part.

        Raises:
            MemoryError: if the window does not fit into the device's memory.
            GeoSegError: `device_lost` if the device no longer answers.
        """
        ...
