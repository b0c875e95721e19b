"""A device proves that it computes what the CPU does; one that does not is not used, and the reason is said."""

import json

import pytest
import torch
from fake_devices import FakeGpu
from recorder import Recorder

from geoseg_engine import probe
from geoseg_engine.contract import ProbeJob
from geoseg_engine.device import proof
from geoseg_engine.device.devices import CPU
from geoseg_engine.device.proof import OK, compare, onnx_session, prove

torch.set_num_threads(1)


class Wrong(FakeGpu):
    """A GPU that gives other numbers for some operations, without a word."""

    def __init__(self, name, factor=1.01):
        super().__init__()
        self.wrong, self.factor = name, factor

    def run(self, call, once=False):
        return super().run(lambda: self._spoiled(call), once)

    def _spoiled(self, call):
        from torch.utils._python_dispatch import TorchDispatchMode

        gpu = self

        class Spoils(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                result = func(*args, **(kwargs or {}))
                if gpu.wrong in func.name():
                    made = args[0] if result is None else result
                    (made if isinstance(made, torch.Tensor) else made[0]).detach().mul_(gpu.factor)
                return result

        with Spoils():
            return call()


def test_the_processor_of_this_computer_is_proved():
    found = prove(CPU)
    assert (found.convolution, found.training_step, found.onnx_session, found.failure) == (OK, OK, OK, "")
    assert set(found.as_dict()) == {"device", "convolution", "training_step", "onnx_session", "seconds"}


@pytest.mark.parametrize("kind", ["cuda", "rocm", "mps", "xpu"])
def test_every_kind_is_proved_by_the_same_code(kind):
    assert prove(FakeGpu(kind), with_onnx=False).failure == ""


@pytest.mark.parametrize(
    ("operation", "word"),
    [
        ("convolution", "convolution"),
        ("native_batch_norm_backward", "gradient"),
        ("fused_sgd", "the gradient of 0.weight"),
    ],
)
def test_numbers_that_are_wrong_without_a_word_are_found(operation, word):
    found = prove(Wrong(operation), with_onnx=False)
    assert found.failure and word in found.failure and "differs from the CPU's by" in found.failure


def test_what_is_not_a_number_is_found():
    assert "differs" in prove(Wrong("relu", float("nan")), with_onnx=False).training_step


def test_a_lost_device_and_a_full_one_are_reasons_and_no_failures_of_the_job():
    assert "no longer answers" in prove(FakeGpu(lost_after=30), with_onnx=False).failure
    assert "out of memory" in prove(FakeGpu(largest_bytes=1000), with_onnx=False).failure


def test_a_device_without_convolutions_is_of_no_use():
    assert "does not have aten::conv" in prove(FakeGpu(missing=("convolution",)), with_onnx=False).failure


def test_a_missing_operation_does_not_fail_the_proof_but_is_noted():
    gpu = FakeGpu(missing=("upsample_bilinear2d",))
    assert prove(gpu, with_onnx=False).failure == ""
    assert any("upsample" in name for name in gpu.moved)


def test_a_difference_is_relative_to_the_reference():
    reference = torch.tensor([1000.0, 0.0], dtype=torch.float64)
    compare("it", torch.tensor([1000.5, 0.0]), reference)
    with pytest.raises(ArithmeticError, match="it differs"):
        compare("it", torch.tensor([1002.0, 0.0]), reference)


def test_a_provider_that_is_not_there_is_a_reason():
    assert "is not in this ONNX Runtime" in onnx_session("CoreMLExecutionProvider")
    working, note = proof.honest_providers()
    assert working[-1] == "CPUExecutionProvider"
    assert all(name not in note for name in working)


def test_the_probe_tells_of_every_device(tmp_path, monkeypatch):
    broken, sound = FakeGpu("cuda", lost_after=5), FakeGpu("xpu")
    monkeypatch.setattr(probe, "gpus", lambda: (broken, sound))
    monkeypatch.setattr(probe, "unused_cards", lambda used: [])
    result = probe.run(ProbeJob(), tmp_path, Recorder(tmp_path))
    assert result["device"] == "xpu:0" and result["device_name"] == "Fake xpu"
    assert result["proof"]["training_step"] == OK and result["device_memory_mb"] == 2 * 8192
    assert [(item["device"], item["kind"]) for item in result["devices"]] == [
        ("cuda:0", "cuda"), ("xpu:0", "xpu"), ("cpu", "cpu")
    ]  # fmt: skip
    (unused,) = result["unused"]
    assert unused["kind"] == "cuda" and "unspecified launch failure" in unused["reason"] and unused["hint"]
    (problem,) = [item for item in result["problems"] if item.code == "gpu_not_used"]
    assert "Fake cuda is not used" in problem.message
    json.dumps({key: value for key, value in result.items() if key != "problems"})


def test_a_processor_that_computes_wrongly_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "TOLERANCE", -1.0)
    monkeypatch.setattr(probe, "gpus", lambda: ())
    result = probe.run(ProbeJob(), tmp_path, Recorder(tmp_path))
    assert result["device"] == "cpu" and "cpu_failed" in [item.code for item in result["problems"]]


def test_errors_of_onnx_runtime_are_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classes derive from Exception alone; the package for CPU raises one for a provider that runs elsewhere."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    def fail(*_values: object, **_options: object) -> None:
        raise Fail("assigned to the default CPU EP")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    assert onnx_session("CPUExecutionProvider") == "assigned to the default CPU EP"
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["AzureExecutionProvider", "CPUExecutionProvider"]
    )
    assert proof.honest_providers() == (["CPUExecutionProvider"], "")
