"""Whether a device computes what the CPU computes: a convolution, two training steps, an ONNX session.

The reference is the same in float64 on the CPU. `onnxruntime.get_available_providers()` names what the package was
built with, not what runs here, so a provider counts only if a session that may not fall back to the CPU accepts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..contract import GeoSegError, present
from .devices import Device, gpus

OK = "ok"
TOLERANCE = 1e-3
"""Largest relative difference from the reference, by the norm of each tensor."""
SIDE_PX, BATCH, BANDS, CLASSES, WIDTH = 48, 2, 6, 3, 16
STEPS, LEARNING_RATE, MOMENTUM = 2, 0.1, 0.9
LONGEST_REASON = 160
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "xpu": "OpenVINOExecutionProvider",
}
"""Kind of device -> the provider of ONNX Runtime for it."""
SLOW_TO_OPEN = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
"""They build engines for seconds, and show nothing that CUDA does not."""
REMOTE = "AzureExecutionProvider"
"""In every package for CPU: it sends models to a server, and runs nothing here."""


FAILING = (GeoSegError, RuntimeError, ArithmeticError, MemoryError, TypeError, ValueError, LookupError,
           AttributeError, AssertionError, OSError, ImportError)  # fmt: skip
"""What a device that does not work may raise."""
FAILURES: dict[Device, str] = {}
"""What `failure_of` found in this process."""


@dataclass(frozen=True)
class Proof:
    """What a device can do: `ok`, or the reason why not.

    Attributes:
        device: name of the device.
        convolution: in float32.
        training_step: convolutions, batch norm, ReLU, pooling, interpolation, loss, gradients, optimizer.
        onnx_session: on the device's provider of ONNX Runtime, without the CPU to fall back to.
        seconds: that it took.
    """

    device: str
    convolution: str
    training_step: str
    onnx_session: str
    seconds: float

    @property
    def failure(self) -> str:
        """Why the device must not be used; empty where torch is right on it, whatever ONNX Runtime does."""
        return next((text for text in (self.convolution, self.training_step) if text != OK), "")

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for the result of `probe`."""
        return asdict(self)


def prove(device: Device, with_onnx: bool = True) -> Proof:
    """Try a device; nothing is raised.

    Args:
        device: CPU or GPU.
        with_onnx: whether to open a session of ONNX Runtime, which imports it; else that is reported as not tried.
    """
    started = time.perf_counter()
    convolution = reason_of(lambda: _check_convolution(device))
    step = reason_of(lambda: _check_training(device)) if convolution == OK else "not tried"
    session = onnx_session(PROVIDERS[device.kind]) if with_onnx else "not tried"
    return Proof(str(device), convolution, step, session, round(time.perf_counter() - started, 2))


def failure_of(device: Device) -> str:
    """Return why a GPU must not be used, tried once a process; empty where it may."""
    if device not in FAILURES:
        FAILURES[device] = prove(device, with_onnx=False).failure
    return FAILURES[device]


def reason_of(check: Callable[[], None]) -> str:
    """Return `ok`, or why a check failed, in a line.

    Args:
        check: raises where something is wrong.
    """
    try:
        check()
    except FAILING as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return lines[0][:LONGEST_REASON]
    return OK


def compare(what: str, found: Tensor, reference: Tensor) -> None:
    """Raise ArithmeticError where a tensor is further from the reference than TOLERANCE.

    Args:
        what: name for the message.
        found: on any device.
        reference: of the CPU, in float64.
    """
    own = found.detach().to("cpu").double()
    wanted = reference.detach()
    difference = float((own - wanted).norm()) / max(float(wanted.norm()), 1e-12)
    if not difference <= TOLERANCE:  # NaN too
        raise ArithmeticError(f"{what} differs from the CPU's by {difference:.1e} (at most {TOLERANCE:.0e})")


def _check_convolution(device: Device) -> None:
    images, layer = _images(), _seeded(lambda: nn.Conv2d(BANDS, WIDTH, 3, padding=1))
    known = len(device.moved)
    with torch.no_grad(), _exact():
        reference = layer.double()(images.double())
        sent = _sent(layer.float(), device)
        compare("a convolution", device.run(lambda: sent(_to(images, device))), reference)
    if device.moved[known:]:
        raise NotImplementedError(f"it does not have {', '.join(device.moved[known:])}")


def _check_training(device: Device) -> None:
    images = _images()
    labels = (images[:, 0] > 0).long() + (images[:, 1] > 0.5).long()
    with _exact(), device.forked_rng():
        plain, tested = _network().double(), _sent(_network(), device)
        for number in range(1, STEPS + 1):
            expected = _step(plain, images.double(), labels)
            found = device.run(lambda: _step(tested, _to(images, device), labels.to(device.torch_device)))
            compare(f"the loss of step {number}", found, expected)
            for (name, ours), theirs in zip(tested.named_parameters(), plain.parameters(), strict=True):
                compare(f"the gradient of {name}", *(present(one.grad, name) for one in (ours, theirs)))
        for (name, ours), theirs in zip(tested.named_parameters(), plain.parameters(), strict=True):
            compare(f"the weight {name} after {STEPS} steps", ours, theirs)


def _step(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    network.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    weights = list(network.parameters())
    gradients = [present(weight.grad, "the gradient") for weight in weights]
    with torch.no_grad():  # what torch.optim.SGD does, without the second that its first step takes
        torch._fused_sgd_(
            weights, gradients, [torch.zeros_like(weight) for weight in weights], lr=LEARNING_RATE,
            momentum=MOMENTUM, weight_decay=0.0, dampening=0.0, nesterov=True, maximize=False, is_first_step=True,
        )  # fmt: skip
    return loss.detach()


def _network() -> nn.Module:
    """Two levels, without a bias before batch norm: its gradient is 0 but for rounding."""
    return _seeded(
        lambda: nn.Sequential(
            nn.Conv2d(BANDS, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(WIDTH, CLASSES, 1),
        )
    ).train()


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        return make()


def _images() -> Tensor:
    values = np.random.default_rng(1).normal(size=(BATCH, BANDS, SIDE_PX, SIDE_PX))
    return torch.from_numpy(values.astype(np.float32))


def _to(images: Tensor, device: Device) -> Tensor:
    return images.to(device.torch_device).contiguous(memory_format=device.layout)


def _sent(network: nn.Module, device: Device) -> nn.Module:
    sent: nn.Module = network.to(device.torch_device, memory_format=device.layout)  # type: ignore[call-overload]
    return sent


def _exact() -> Any:
    """Context without TensorFloat-32, which is as coarse as the tolerance."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def onnx_session(provider: str) -> str:
    """Return `ok` if a provider of ONNX Runtime computes a small model without the CPU's help, else the reason.

    Args:
        provider: its name.
    """
    try:
        import onnxruntime
    except ImportError as error:
        return f"ONNX Runtime cannot be imported ({error})"[:LONGEST_REASON]
    if provider not in onnxruntime.get_available_providers():
        return f"{provider} is not in this ONNX Runtime"
    if provider == PROVIDERS["cuda"]:
        if not any(device.kind == "cuda" for device in gpus()):
            return "no CUDA device"
        getattr(onnxruntime, "preload_dlls", lambda: None)()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if provider != PROVIDERS["cpu"]:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    images = _images().numpy()
    layer = _seeded(lambda: nn.Conv2d(BANDS, WIDTH, 3, padding=1))
    try:
        session = onnxruntime.InferenceSession(_model_of(layer), options, providers=[provider])
        if provider not in session.get_providers():
            return "it was passed over"
        found = torch.from_numpy(np.asarray(session.run(None, {"x": images})[0]))
    except session_errors() as error:
        return str(error).strip().splitlines()[0][:LONGEST_REASON]
    with torch.no_grad():
        reference = layer.double()(torch.from_numpy(images).double())
    return reason_of(lambda: compare("a convolution", found, reference))


def session_errors() -> tuple[type[Exception], ...]:
    """Return what a session of ONNX Runtime raises; its own classes have no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state

    own = [item for item in vars(onnxruntime_pybind11_state).values()
           if isinstance(item, type) and issubclass(item, Exception)]  # fmt: skip
    return (RuntimeError, ValueError, *own)


def _model_of(layer: nn.Module) -> bytes:
    """One convolution as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    shapes = {"x": [BATCH, BANDS, SIDE_PX, SIDE_PX], "y": [BATCH, WIDTH, SIDE_PX, SIDE_PX]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weights = [
        numpy_helper.from_array(item.detach().numpy(), name) for name, item in layer.named_parameters()
    ]
    node = helper.make_node("Conv", ["x", "weight", "bias"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "proof", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def honest_providers() -> tuple[list[str], str]:
    """Return the providers of ONNX Runtime that run a model here, and a sentence about those that only claim to."""
    try:
        import onnxruntime
    except ImportError as error:
        return [], f"ONNX Runtime cannot be imported ({error})"
    working, notes = [], []
    for name in onnxruntime.get_available_providers():
        if name == PROVIDERS["cpu"] or name in (*SLOW_TO_OPEN, REMOTE):
            continue
        reason = onnx_session(name)
        if reason == OK:
            working.append(name)
        else:
            notes.append(f"{name} is installed but does not run here ({reason})")
    return [*working, PROVIDERS["cpu"]], "; ".join(notes)
