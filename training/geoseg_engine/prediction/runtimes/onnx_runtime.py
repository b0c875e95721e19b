"""The model file in ONNX Runtime, on CPU or GPU.

The GPU provider is opened with its fallback to the CPU switched off: a session otherwise runs on the CPU without a
warning if the GPU libraries are missing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...contract import GeoSegError
from ...device.devices import CPU, Device, as_device
from ...device.faults import is_device_lost, lost_error
from ...device.proof import PROVIDERS
from ...raster.grid import Window


class OnnxRuntime:
    """The model file itself in ONNX Runtime, in the arithmetic of its graph."""

    name = "onnx"

    def __init__(
        self,
        path: Path | str,
        device: Device | str = CPU,
        precision: str = "float32",
        of_trees: bool = False,
    ) -> None:
        """Open a session on exactly one device.

        The session keeps its memory between two runs: releasing and allocating it again takes a fifth of the time. A
        memory plan for each shape of window would double it.

        Args:
            path: path of the graph.
            device: to compute on, or its name.
            precision: arithmetic of the graph, `float32` or `int8`.
            of_trees: whether it is a forest. Its operations run in the order of the file: in its own order, ONNX
                Runtime evaluates all trees before it adds them up, and holds 2.5 kB per pixel. Threads spin between two
                of its thousand short operations, which is a third faster; other models leave the processor to the other
                stages.

        Raises:
            GeoSegError: `no_onnx_runtime` if the package is missing, `no_onnx_gpu` if its GPU provider does not work.
        """
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as native
        except ImportError as error:
            raise GeoSegError("no_onnx_runtime", "ONNX Runtime is not installed.", "Use torch.") from error
        named: list[Any] = [item for item in vars(native).values() if isinstance(item, type)]
        self._errors: tuple[type[Exception], ...] = (
            RuntimeError,
            ValueError,
            *(item for item in named if issubclass(item, Exception)),
        )
        self.device, self.precision, self._path = as_device(device), precision, Path(path)
        self.title = f"ONNX Runtime {precision} on {self.device}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.enable_mem_pattern = False
        if of_trees:
            options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(of_trees)))
        providers: list[Any] = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
        if self.device.is_gpu:
            getattr(onnxruntime, "preload_dlls", lambda: None)()
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            providers = [provider_for(self.device)]
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
        except self._errors as error:
            raise GeoSegError("no_onnx_gpu" if self.device.is_gpu else "no_onnx_runtime",
                              f"ONNX Runtime cannot run this model on {self.device}.", "Use torch.",
                              str(error)) from error  # fmt: skip
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._failed(f"it takes {len(inputs)} inputs")
        self._input = inputs[0].name

    def predict_window(self, scores: NDArray[Any], kept: Window | None = None) -> NDArray[Any]:
        """See `Runtime`.

        Args:
            scores: z-scores (bands, rows, cols).
            kept: part of the window that is returned.

        Raises:
            GeoSegError: `model_failed` if the graph cannot be computed.
        """
        image = scores[None].astype(np.float32, copy=False)
        try:
            answer = np.asarray(self._session.run(None, {self._input: image})[0])
            if answer.ndim not in (3, 4) or len(answer) != 1:
                raise self._failed(f"it gives {answer.shape} for {image.shape}")
            made: NDArray[Any] = answer[0]
            return kept.of(made) if kept else made
        except self._errors as error:
            if "alloc" in str(error).lower() or "memory" in str(error).lower():
                raise MemoryError(str(error)) from error
            if is_device_lost(error):
                raise lost_error(error, self.device.title) from error
            raise self._failed(str(error)) from error

    def _failed(self, details: str) -> GeoSegError:
        return GeoSegError(
            "model_failed",
            f"{self._path.name} cannot be computed on a window: its graph is damaged, or not for these bands.",
            "Choose another model file.",
            details,
        )


def provider_for(device: Device) -> Any:
    """Return the provider of a GPU as a session takes it: its name, with the number of the GPU where it has one."""
    name, number = PROVIDERS[device.kind], device.torch_device.index
    return name if number is None or device.kind == "xpu" else (name, {"device_id": number})
