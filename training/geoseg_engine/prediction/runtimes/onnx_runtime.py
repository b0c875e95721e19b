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

TENSORRT = "TensorrtExecutionProvider"


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
            precision: arithmetic of the graph, `float32` or `int8`; `fp16` is that of TensorRT, on NVIDIA GPUs.
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
        if precision == "fp16":
            number = self.device.torch_device.index or 0
            self.title = f"ONNX Runtime fp16 by TensorRT on {self.device}"
            providers.insert(0, (TENSORRT, {"device_id": number, "trt_fp16_enable": True}))
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
        except self._errors as error:
            raise GeoSegError("no_onnx_gpu" if self.device.is_gpu else "no_onnx_runtime",
                              f"ONNX Runtime cannot run this model on {self.device}.", "Use torch.",
                              str(error)) from error  # fmt: skip
        if precision == "fp16" and self._session.get_providers()[:1] != [TENSORRT]:
            raise GeoSegError(
                "no_onnx_gpu",
                f"TensorRT cannot be used on {self.device}: its libraries are missing.",
                "Use torch.",
            )
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
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        """What an error of a session means: memory, a lost device, or a graph that cannot be computed."""
        if "alloc" in str(error).lower() or "memory" in str(error).lower():
            return MemoryError(str(error))
        if is_device_lost(RuntimeError(str(error))):  # its own classes have no base but Exception
            return lost_error(error, self.device.title)
        return self._failed(str(error))

    def output(self, image: torch.Tensor, kept: Window | None = None) -> torch.Tensor:
        """Return the output q as a tensor of the device; on NVIDIA and AMD GPUs nothing is copied.

        Args:
            image: z-scores (1, bands, rows, cols), on the device.
            kept: part of the window that is returned.

        Returns:
            (classes, rows, cols), float32.

        Raises:
            GeoSegError: as `predict_window`.
        """
        at = self.device.torch_device
        if at.type not in ("cuda", "cpu"):
            return torch.from_numpy(self.predict_window(image[0].cpu().numpy(), kept)).to(at)
        image = image.to(torch.float32).contiguous()
        self.device.synchronise()  # the session has a queue of its own
        try:
            binding, given = self._session.io_binding(), self._session.get_outputs()[0]
            answer = torch.empty((1, given.shape[1], *image.shape[2:]), device=at)
            place = at.type, at.index or 0, np.float32
            binding.bind_input(self._input, *place, tuple(image.shape), image.data_ptr())
            binding.bind_output(given.name, *place, tuple(answer.shape), answer.data_ptr())
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except self._errors as error:
            raise self._explained(error) from error
        return kept.of(answer[0]) if kept else answer[0]

    def _failed(self, details: str) -> GeoSegError:
        return GeoSegError(
            "model_failed",
            f"{self._path.name} cannot be computed on a window: its graph is damaged, or not for these bands.",
            "Choose another model file.",
            details,
        )


def tensorrt_built() -> bool:
    """Whether ONNX Runtime was built with TensorRT; whether its libraries are here shows when a session opens."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return TENSORRT in onnxruntime.get_available_providers()


def provider_for(device: Device) -> Any:
    """Return the provider of a GPU as a session takes it: its name, with the number of the GPU where it has one."""
    name, number = PROVIDERS[device.kind], device.torch_device.index
    return name if number is None or device.kind == "xpu" else (name, {"device_id": number})
