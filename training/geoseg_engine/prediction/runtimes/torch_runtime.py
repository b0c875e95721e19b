"""Running a trained network: one interface over torch, ONNX Runtime and OpenVINO, on CPU or GPU.

Here is torch; the others have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...modelfile.calibration import PLAIN, Calibration, Decision
from ...modelfile.precision import find_device
from ...modelfile.reading import load_network, read_model
from ...models import last_layers
from ...raster.grid import Window
from .banded_unet import LEVELS, banded, unets
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime
from .tiling_invariance import make_invariant, over_classes

Array = NDArray[np.floating[Any]]
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


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


class TorchRuntime:
    """The network in PyTorch: batch norm folded into the convolutions, channels last.

    But for float64, which is for comparison, U-Nets compute no more than what is kept, on a CPU in bands; and what a
    CPU computes does not depend on the window.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        device: str = "cpu",
        precision: str = "float32",
        calibration: Calibration = PLAIN,
    ) -> None:
        """Take over a network; it is changed in place. `calibration` is that of its model file."""
        self.device, self.precision = device, precision
        self.title = f"torch {precision} on {device}"
        self._dtype = DTYPES[precision]
        # float64 takes the plain layout: it exists for comparison, not for speed
        layout = torch.contiguous_format if precision == "float64" else torch.channels_last
        fold_batch_norm(network.eval())
        if precision != "float64":
            network = banded(network, LEVELS if device == "cpu" else 0)
        self._unets = unets(network)
        self.crops = bool(self._unets)
        self.in_bands = self.crops and device == "cpu"
        self._network = network.to(device=device, dtype=self._dtype, memory_format=layout)  # type: ignore[call-overload]
        self._layout = layout
        exact = torch.float64 if precision == "float64" else torch.float32
        self._decision = Decision(calibration).to(device=device, dtype=exact)
        if self._dtype in (torch.bfloat16, torch.float16):
            last_in_float32(self._network)
        self._decide: Callable[[Tensor], Tensor] = self._decision
        if device == "cpu":
            make_invariant(self._network)
            self._decide = partial(over_classes, self._decision)

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """See `Runtime`."""
        try:
            with torch.inference_mode():
                image = torch.from_numpy(np.ascontiguousarray(scores))[None]
                image = image.to(self.device, self._dtype).contiguous(memory_format=self._layout)
                for unet in self._unets:
                    unet.kept = kept
                logits = self._network(image)
                if kept is not None and not self.crops:
                    logits = kept.of(logits)
                if self._dtype != torch.float64:
                    logits = logits.float()
                result: Array = self._decide(logits)[0].cpu().numpy()
                return result
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from error
        except RuntimeError as error:
            if "can't allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise


def open_runtime(path: Path | str, name: str, device: str, precision: str = "float32") -> Runtime:
    """One runtime of a model file; `device` is `auto`, `cpu`, `cuda` or `cuda:N`. OpenVINO takes the CPU.

    Raises:
        GeoSegError: as `find_device`, `load_network`, `OnnxRuntime`, `OpenVinoRuntime`.
    """
    if name == "openvino":
        return OpenVinoRuntime(path, precision)
    found = str(find_device(device))
    if name == "onnx":
        return OnnxRuntime(path, found, precision)
    return TorchRuntime(load_network(path), found, precision, read_model(path).calibration)


def fold_batch_norm(network: nn.Module) -> None:
    """Multiply each batch norm that directly follows a convolution in a Sequential into its weights."""
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            first, second = module[index], module[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[index] = torch.nn.utils.fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()


def last_in_float32(network: nn.Module) -> None:
    """Let the convolutions that make the logits compute in float32: probabilities then have no steps."""
    for last in last_layers(network):
        last.float()
        last.register_forward_pre_hook(lambda _, inputs: tuple(item.float() for item in inputs))
