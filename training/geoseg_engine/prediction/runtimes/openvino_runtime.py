"""The model file in OpenVINO, on x86 processors: an optional package, imported only when it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...contract import GeoSegError
from ...device.devices import CPU
from ...raster.grid import Window

HINTS = {"float32": "f32", "int8": "f32", "bf16": "bf16"}
"""Arithmetic of what is not quantised."""


class OpenVinoRuntime:
    """See `Runtime`; computes on the CPU."""

    name, device = "openvino", CPU

    def __init__(self, path: Path | str, precision: str = "float32") -> None:
        """Compile the graph for this processor.

        Args:
            path: path of the graph.
            precision: `float32`, `bf16`, or `int8` for a graph that is quantised.

        Raises:
            GeoSegError: `no_openvino` if the package is missing, `openvino_model` if it cannot run the graph.
        """
        try:
            import openvino
        except ImportError as error:
            raise GeoSegError(
                "no_openvino",
                "OpenVINO is not installed.",
                f'Run: "{sys.executable}" -m pip install openvino, or choose another runtime.',
            ) from error
        self.precision = precision
        self.title = f"OpenVINO {precision} on cpu"
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        try:
            core = openvino.Core()
            self._request = core.compile_model(
                core.read_model(os.fspath(path)), "CPU", settings
            ).create_infer_request()
        except RuntimeError as error:
            raise GeoSegError(
                "openvino_model", "OpenVINO cannot run this model.", "Choose another runtime.", str(error)
            ) from error

    def predict_window(self, scores: NDArray[Any], kept: Window | None = None) -> NDArray[Any]:
        """See `Runtime`.

        Args:
            scores: z-scores (bands, rows, cols).
            kept: part of the window that is returned.

        Raises:
            GeoSegError: `model_failed` if the graph cannot be computed.
        """
        image = np.ascontiguousarray(scores, np.float32)[None]
        try:
            result: NDArray[Any] = self._request.infer({0: image}, share_inputs=True)[0]
        except RuntimeError as error:
            if "alloc" in str(error).lower() or "memory" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise GeoSegError(
                "model_failed",
                "The model cannot be computed on a window: its graph is damaged, or not for these bands.",
                "Choose another model file.",
                str(error),
            ) from error
        return kept.of(result[0]) if kept else result[0]
