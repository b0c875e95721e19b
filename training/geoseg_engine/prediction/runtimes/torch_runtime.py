"""A trained network in PyTorch, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ...device.devices import CPU, Device, as_device
from ...modelfile.calibration import PLAIN, Calibration, Decision
from ...models import last_layers
from ...raster.grid import Window
from .banded_unet import LEVELS, banded, unets
from .runtime import Array
from .tiling_invariance import make_invariant, over_classes

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


class TorchRuntime:
    """The network in PyTorch: batch norm folded into the convolutions, channels last.

    Except in float64, which is for comparison, U-Nets compute only what is kept, on a CPU in bands, and what a CPU
    computes does not depend on the window.
    """

    name = "torch"

    def __init__(
        self,
        network: nn.Module,
        device: Device | str = CPU,
        precision: str = "float32",
        calibration: Calibration = PLAIN,
    ) -> None:
        """Prepare a network, which is changed in place.

        Args:
            network: in evaluation mode.
            device: to compute on, or its name.
            precision: `float32`, `bf16`, `fp16` or `float64`.
            calibration: calibration of its model file.
        """
        self.device, self.precision = as_device(device), precision
        self.title = f"torch {precision} on {self.device}"
        self._dtype, place = DTYPES[precision], self.device.torch_device
        # float64 takes the plain layout: it exists for comparison, not for speed
        layout = torch.contiguous_format if precision == "float64" else self.device.layout
        fold_batch_norm(network.eval())
        if precision != "float64":
            network = banded(network, 0 if self.device.is_gpu else LEVELS)
        self._unets = unets(network)
        self.crops = bool(self._unets)
        self.in_bands = self.crops and not self.device.is_gpu
        self._network = network.to(place, self._dtype, memory_format=layout)  # type: ignore[call-overload]
        self._layout = layout
        exact = torch.float64 if precision == "float64" else torch.float32
        self._decision = Decision(calibration).to(place, exact)
        if self._dtype in (torch.bfloat16, torch.float16):
            last_in_float32(self._network)
        self._decide: Callable[[Tensor], Tensor] = self._decision
        if not self.device.is_gpu:
            make_invariant(self._network)
            self._decide = partial(over_classes, self._decision)

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """See `Runtime`.

        Args:
            scores: z-scores (bands, rows, cols).
            kept: part of the window that is returned.
        """

        def call() -> Array:
            with torch.inference_mode():
                image = torch.from_numpy(np.ascontiguousarray(scores))[None]
                result: Array = self.output(image, kept).cpu().numpy()
                return result

        try:
            return self.device.run(call)
        except MemoryError:
            self.device.empty_cache()
            raise

    def output(self, image: Tensor, kept: Window | None = None) -> Tensor:
        """Return the output q as a tensor of the device; errors are those of torch.

        Args:
            image: z-scores (1, bands, rows, cols), on any device.
            kept: part of the window that is returned.

        Returns:
            (classes, rows, cols), float32 or float64.
        """
        image = image.to(self.device.torch_device, self._dtype).contiguous(memory_format=self._layout)
        for unet in self._unets:
            unet.kept = kept
        logits = self._network(image)
        if kept is not None and not self.crops:
            logits = kept.of(logits)
        if self._dtype != torch.float64:
            logits = logits.float()
        result: Tensor = self._decide(logits)[0]
        return result


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
