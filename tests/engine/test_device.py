"""What the engine asks of a device, on a fake GPU that computes on the CPU: names, faults, missing operations."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from fake_devices import LOST_WORDS, MEMORY_WORDS, FakeGpu, found

from geoseg_engine import run
from geoseg_engine.contract import GeoSegError, PredictJob
from geoseg_engine.contract.job import device_problems
from geoseg_engine.device import cards, finding, main_memory, missing_operations
from geoseg_engine.device.devices import CPU, KINDS, Device, as_device
from geoseg_engine.device.faults import (
    fault_of,
    is_device_lost,
    is_out_of_memory,
    missing_operation,
    translated,
)
from geoseg_engine.modelfile.precision import Precision, fastest
from geoseg_engine.models.spectral import MaximumLikelihood
from geoseg_engine.prediction.runtimes.onnx_runtime import provider_for
from geoseg_engine.prediction.runtimes.selection import able_to_compute
from geoseg_engine.training import checkpoint, distributed

torch.set_num_threads(1)
KIND_OF_GPU = [kind for kind in KINDS if kind != "cpu"]
FULL = [
    *MEMORY_WORDS.values(),
    "CUDA error: out of memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    "Invalid buffer size: 19.45 GB",
    "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
    "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
    "std::bad_alloc",
]
LOST = [
    *LOST_WORDS.values(),
    "CUDA error: device-side assert triggered",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: no CUDA-capable device is detected",
    "CUDA driver version is insufficient for CUDA runtime version",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
]
MISSING = {
    "The operator 'aten::frac_pool' is not currently implemented for the MPS device.": "aten::frac_pool",
    "Could not run 'aten::sort' with arguments from the 'XPU' backend.": "aten::sort",
    "\"upsample_nearest2d\" not implemented for 'Half'": "upsample_nearest2d",
}


class AcceleratorError(RuntimeError):
    """Named as torch's, which a test cannot make."""


@pytest.mark.parametrize("text", FULL)
def test_every_way_to_say_that_memory_is_full_is_understood(text):
    error = RuntimeError(text)
    assert is_out_of_memory(error) and not is_device_lost(error) and not missing_operation(error)
    with pytest.raises(MemoryError), translated("GPU"):
        raise error
    assert run.translate(error, "details").code in ("out_of_memory", "out_of_gpu_memory")


@pytest.mark.parametrize("text", LOST)
def test_every_way_to_say_that_a_device_is_lost_is_understood(text):
    error = RuntimeError(text)
    assert is_device_lost(error) and not is_out_of_memory(error)
    with pytest.raises(GeoSegError) as caught, translated("NVIDIA GPU"):
        raise error
    assert caught.value.code == "device_lost" and text in caught.value.message and caught.value.hint
    assert run.translate(error, "details").code == "device_lost"


def test_any_error_of_a_kernel_loses_the_device_but_a_build_without_its_code_does_not():
    assert is_device_lost(AcceleratorError("CUDA error: something new"))
    assert not is_device_lost(AcceleratorError("CUDA error: no kernel image is available for execution"))
    assert not is_device_lost(AcceleratorError("CUDA error: out of memory"))
    assert not is_device_lost(OSError("device lost"))


def test_other_errors_stay_what_they_are():
    for error in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("x")):
        assert fault_of(error) is None and not missing_operation(error)
    with pytest.raises(RuntimeError, match="shapes"), translated("GPU"):
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize(("text", "name"), MISSING.items())
def test_an_operation_that_is_missing_has_a_name(text, name):
    assert missing_operation(RuntimeError(text)) == name


def test_an_error_of_a_gpu_is_told_from_one_of_the_computer():
    assert fault_of(MemoryError(MEMORY_WORDS["xpu"])).code == "out_of_gpu_memory"
    assert fault_of(torch.OutOfMemoryError("full")).code == "out_of_gpu_memory"
    assert fault_of(MemoryError()).code == "out_of_memory"


@pytest.mark.parametrize("kind", KIND_OF_GPU)
def test_a_missing_operation_is_computed_on_the_cpu_and_named(kind):
    gpu, said = FakeGpu(kind, missing=("max_pool2d", "addcdiv")), []
    gpu.log = said.append
    image = torch.randn(1, 2, 8, 8, requires_grad=True)

    def call():
        image.grad = None
        made = torch.nn.functional.max_pool2d(image, 2).square().sum()
        made.backward()
        return float(made.detach()), image.grad.clone()

    value, gradient = gpu.run(call)
    expected, right = call()
    assert value == expected and torch.equal(gradient, right)
    forward, backward = gpu.moved
    assert "max_pool2d" in forward and "backward" in backward
    assert len(said) == 2 and gpu.title in said[0]
    (problem,) = gpu.problems()
    assert problem.severity == "warning" and forward in problem.message and "they were" in problem.message
    gpu.run(call)
    assert len(said) == 2, "each is said once"


def test_an_operation_that_writes_into_its_arguments_writes_there_too():
    gpu = FakeGpu(missing=("add_", "sort"))
    values = torch.tensor([3.0, 1.0])
    gpu.run(lambda: values.add_(1.0))
    assert values.tolist() == [4.0, 2.0]
    ordered, places = gpu.run(lambda: torch.sort(values))
    assert ordered.tolist() == [2.0, 4.0] and places.tolist() == [1, 0]


def test_a_gpu_without_faults_runs_each_call_once():
    gpu, calls = FakeGpu(), []
    assert gpu.run(lambda: calls.append(1) or 5) == 5
    assert calls == [1] and gpu.moved == [] and gpu.problems() == []


def test_the_cpu_moves_nothing():
    with pytest.raises(NotImplementedError):
        CPU.run(lambda: (_ for _ in ()).throw(NotImplementedError("no such thing")))
    assert CPU.moved == []


def test_an_operation_that_torch_moves_itself_is_noted_too(monkeypatch):
    shown, noted = [], []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *facts, **named: shown.append(str(message)))
    missing_operations.listen(lambda name: pytest.fail("an older listener"))
    missing_operations.listen(noted.append)
    for text in (
        "The operator 'aten::a' is not currently supported on the MPS backend and will fall back to run on the CPU.",
        "The operator 'aten::b on the XPU backend is falling back to run on the CPU.",
        "something else",
    ):
        warnings.showwarning(UserWarning(text), UserWarning, "file", 1)
    assert noted == ["aten::a", "aten::b"] and shown == ["something else"]


def test_silent_fallback_is_off_in_a_job(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    monkeypatch.chdir(tmp_path)
    from geoseg_engine.channel import Channel

    run.run_file(tmp_path / "none.json", Channel(tmp_path))
    import os

    assert "PYTORCH_ENABLE_MPS_FALLBACK" not in os.environ


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:1", "mps", "xpu", "xpu:0"])
def test_these_names_are_devices(name):
    assert device_problems(name) == []


@pytest.mark.parametrize("name", ["", "gpu", "rocm", "mps:0", "cuda:", "cuda:x", "CPU"])
def test_other_names_are_not(name):
    assert device_problems(name)[0].code == "device"
    assert "mps" in PredictJob("m", "o", device=name).problems()[-1].hint
    with pytest.raises(GeoSegError, match="Unknown device"):
        finding.find_device(name)


def test_a_gpu_is_found_by_its_name_and_its_number(monkeypatch):
    first, second, apple = FakeGpu(), FakeGpu("rocm"), FakeGpu("mps")
    found(monkeypatch, first, second, apple)
    assert finding.find_device("cuda") is first and finding.find_device("cuda:1") is second
    assert finding.find_device("mps") is apple and finding.find_device("cpu") is CPU
    with pytest.raises(
        GeoSegError, match=r"'cuda:2' is not here: PyTorch finds cuda:0 \(Fake cuda\), "
    ) as caught:
        finding.find_device("cuda:2")
    assert caught.value.code == "no_gpu" and "auto" in caught.value.hint
    with pytest.raises(GeoSegError, match="is not here"):
        finding.find_device("xpu")


def test_automatic_takes_the_first_gpu_that_has_proved_itself(monkeypatch):
    broken, sound = FakeGpu(lost_after=5), FakeGpu("xpu")
    found(monkeypatch, broken, sound)
    assert finding.find_device("auto") is sound
    (problem,) = finding.device_warnings(sound)
    assert problem.code == "gpu_not_used" and "Fake cuda (cuda:0) is not used" in problem.message
    assert "unspecified launch failure" in problem.message
    said = []
    finding.announce(sound, said.append)
    assert said == [f"{problem.message} {problem.hint}"]
    found(monkeypatch, broken)
    assert finding.find_device("auto") is CPU
    found(monkeypatch)
    assert finding.find_device("auto") is CPU and finding.device_warnings(CPU) == []


def test_each_of_several_processes_tries_its_own_gpu(monkeypatch):
    first, second = FakeGpu(), FakeGpu()
    found(monkeypatch, first, second)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert finding.find_device("auto") is second and first.calls == 0


def test_a_device_is_known_by_what_torch_calls_it():
    assert as_device("cpu") is CPU and as_device(torch.device("cpu")) is CPU
    gpu = FakeGpu()
    assert as_device(gpu) is gpu


def test_each_kind_has_its_layout_and_its_arithmetic():
    assert {kind: FakeGpu(kind).layout for kind in KIND_OF_GPU if kind != "mps"} == dict.fromkeys(
        ("cuda", "rocm", "xpu"), torch.channels_last
    )
    assert FakeGpu("mps").layout == torch.contiguous_format, "gradients of batch norm are wrong otherwise"
    assert [kind for kind in KINDS if not KINDS[kind].float64] == ["mps", "xpu"]
    assert not CPU.is_gpu and CPU.layout == torch.channels_last and CPU.precisions[-1] == "float32"


def test_only_fp16_has_a_scaler():
    assert FakeGpu().scaler("fp16").is_enabled()
    assert not FakeGpu().scaler("bf16").is_enabled() and not CPU.scaler("float32").is_enabled()


def test_the_first_precision_that_pays_is_taken(monkeypatch):
    gpu = FakeGpu("mps", precisions=("bf16", "fp16", "float32"))
    cost = {"bf16": 1.2, "fp16": 0.5, "float32": 1.0}
    from geoseg_engine.modelfile import precision

    monkeypatch.setattr(precision, "_time", lambda step, one, device: cost[one.name])
    assert fastest(lambda one: None, gpu) == Precision("fp16", 0.5)
    cost["fp16"] = 0.95
    assert fastest(lambda one: None, gpu) == Precision("float32", 1.0)


def test_what_a_cpu_lacks_is_left_out():
    tensor = torch.ones(3)
    assert CPU.pinned(tensor) is tensor and CPU.new_stream() is None and CPU.new_event() is None
    calls = []
    CPU.recorded(lambda: calls.append(1))()
    assert calls == [1] and CPU.peak_bytes() == 0 and CPU.memory_mb == 0
    with CPU.on(None):
        CPU.synchronise()
        CPU.empty_cache()
        CPU.reset_peak()
        CPU.make_current()
    free, total = CPU.memory()
    assert 0 < free <= total


def test_processes_train_where_each_has_a_gpu(monkeypatch):
    first, second = FakeGpu(), FakeGpu()
    monkeypatch.setattr(distributed, "gpus", lambda: (first, second))
    monkeypatch.setattr(Device, "make_current", lambda self: None)
    assert distributed.Group(1, 2, 1).device(first) is second
    assert distributed.Group().device(first) is first and distributed.Group(1, 2, 1).device(CPU) is CPU
    for group, wanted in ((distributed.Group(2, 3, 2), first), (distributed.Group(0, 2, 0), FakeGpu("mps"))):
        with pytest.raises(GeoSegError) as caught:
            group.device(wanted)
        assert caught.value.code == "no_gpu" and caught.value.hint


def test_double_precision_stays_on_the_cpu_where_the_device_has_none():
    gpu = FakeGpu("xpu")
    gpu.torch_device = torch.device("xpu")
    assert distributed.for_numbers(gpu) == torch.device("cpu")
    gpu = FakeGpu("cuda")
    gpu.torch_device = torch.device("cuda")
    assert distributed.for_numbers(gpu) == torch.device("cuda")


def test_a_model_in_double_precision_is_computed_where_there_is_some():
    said = []
    double, plain = MaximumLikelihood(3, 2), torch.nn.Conv2d(1, 1, 1)
    apple, nvidia = FakeGpu("mps"), FakeGpu("cuda")
    assert able_to_compute(plain, apple, said.append) is apple
    assert able_to_compute(double, nvidia, said.append) is nvidia and said == []
    assert able_to_compute(double, apple, said.append) is CPU and "Apple GPU" in said[0]


def test_each_gpu_has_its_provider_of_onnx_runtime():
    gpu = FakeGpu()
    gpu.torch_device = torch.device("cuda:1")
    assert provider_for(gpu) == ("CUDAExecutionProvider", {"device_id": 1})
    gpu = FakeGpu("mps")
    gpu.torch_device = torch.device("mps")
    assert provider_for(gpu) == "CoreMLExecutionProvider"


class Asked:
    """What stands for torch.cuda or torch.xpu: answers as cards do."""

    def __init__(self, capability=(8, 6), tells_memory=True, bf16=True):
        self.capability, self.tells_memory, self.bf16 = capability, tells_memory, bf16

    def get_device_name(self, device):
        return "Card"

    def get_device_capability(self, device):
        return self.capability

    def get_device_properties(self, device):
        return SimpleNamespace(total_memory=8 << 30, has_bfloat16_conversions=self.bf16)

    def mem_get_info(self, device):
        if not self.tells_memory:
            raise RuntimeError(
                "The device (Intel(R) Graphics) doesn't support querying the available free memory."
            )
        return 3 << 30, 8 << 30

    def memory_reserved(self, device):
        return 7 << 30

    def get_rng_state(self, device):
        return self.random

    def set_rng_state(self, state, device):
        self.random = state


def asked(monkeypatch, kind, **answers):
    monkeypatch.setattr(Device, "_module", Asked(**answers))
    return Device(kind, torch.device(KINDS[kind].module, 0))


def test_a_card_is_asked_for_its_name_memory_and_arithmetic(monkeypatch):
    card = asked(monkeypatch, "cuda")
    assert (card.name, str(card), card.memory()) == ("Card", "cuda:0", (3 << 30, 8 << 30))
    assert card.memory_mb == 8192 and card.precisions == ("bf16", "fp16", "float32")
    assert asked(monkeypatch, "cuda", capability=(7, 5)).precisions == ("fp16", "float32")
    assert asked(monkeypatch, "rocm").name == "Card (ROCm)"
    assert asked(monkeypatch, "xpu", bf16=False).precisions == ("fp16", "float32")


def test_random_numbers_of_a_card_are_kept_alone_or_among_others(monkeypatch):
    one, two = torch.tensor([1]), torch.tensor([2])
    card = asked(monkeypatch, "cuda")
    card._module.random = one
    (state,) = card.rng_state()
    assert state is one
    card.set_rng_state([two])
    assert card._module.random is two
    second, third = (Device("cuda", torch.device("cuda", place)) for place in (1, 2))
    second.set_rng_state([two, one])
    assert card._module.random is one, "as former versions kept them"
    third.set_rng_state([one, two])
    card.set_rng_state([])
    CPU.set_rng_state([two])
    assert card._module.random is one and CPU.rng_state() == []


def test_graphics_that_do_not_tell_their_memory_have_what_is_left(monkeypatch):
    free, total = asked(monkeypatch, "xpu", tells_memory=False).memory()
    assert total == 8 << 30 and 0 < free <= 1 << 30
    with pytest.raises(RuntimeError):
        asked(monkeypatch, "cuda", tells_memory=False).memory()


def test_a_card_whose_driver_does_not_answer_still_has_a_name(monkeypatch):
    card = asked(monkeypatch, "cuda", tells_memory=False)
    monkeypatch.setattr(
        Asked, "get_device_name", lambda *_: (_ for _ in ()).throw(RuntimeError("CUDA error"))
    )
    assert card.name == "NVIDIA GPU" and card.memory_mb == 0


def test_an_apple_gpu_has_a_name_everywhere():
    assert Device("mps", torch.device("mps")).name


def test_random_numbers_are_as_before_a_trial():
    gpu = FakeGpu()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with gpu.forked_rng():
        torch.rand(5)
        gpu.random = [torch.zeros(1)]
    assert torch.equal(torch.rand(2), expected) and gpu.random[0].tolist() == [7]


@pytest.mark.parametrize("kind", KIND_OF_GPU)
def test_a_checkpoint_keeps_the_random_numbers_of_every_kind(kind):
    gpu = FakeGpu(kind)
    state = checkpoint.rng_state(gpu)
    gpu.random = []
    checkpoint.restore_rng(state, gpu)
    assert gpu.random[0].tolist() == [7]
    other = FakeGpu("mps" if kind == "xpu" else "xpu")
    other.random = [torch.tensor([9])]
    checkpoint.restore_rng(state, other)
    assert other.random[0].tolist() == [9], "of another kind: left as they are"
    checkpoint.restore_rng(state, CPU)
    checkpoint.restore_rng({"cpu": state["cpu"], "cuda": []}, CPU)  # as former versions wrote it
    checkpoint.restore_rng({"cpu": state["cpu"], "cuda": "damaged"}, FakeGpu())


def test_memory_of_the_computer_is_read_or_guessed(tmp_path, monkeypatch):
    assert 0 < main_memory.available_bytes() <= main_memory.total_bytes()
    monkeypatch.setattr(main_memory.Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError))
    assert main_memory.available_bytes() > 0 and main_memory.total_bytes() > 0


def test_cards_are_listed_by_their_maker(tmp_path, monkeypatch):
    listed = (("0x030000", "0x10de"), ("0x030200", "0x1002"), ("0x020000", "0x8086"), ("0x030000", "0x1a03"))
    for name, (kind, maker) in zip("1234", listed, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "class").write_text(f"{kind}\n", encoding="ascii")
        (tmp_path / name / "vendor").write_text(f"{maker}\n", encoding="ascii")
    (tmp_path / "5").mkdir()
    assert cards._pci_adapters(tmp_path) == [("cuda", ""), ("rocm", "")]


@pytest.mark.parametrize(
    ("built", "driver", "reason"),
    [
        (None, cards.Driver((13, 0), ("H200",)), "built without CUDA"),
        ("13.0", cards.Driver((12, 8), ("H200",)), "runs CUDA up to 12.8, and this PyTorch needs 13.0"),
        ("13.0", cards.Driver((13, 1), ("H200",)), "does not find it"),
        (None, None, "driver does not answer"),
    ],
)
def test_a_card_that_is_not_used_has_a_reason_and_a_next_step(monkeypatch, built, driver, reason):
    monkeypatch.setattr(cards, "nvidia_driver", lambda: driver)
    monkeypatch.setattr(cards, "adapters", lambda: [("cuda", ""), ("xpu", "")])
    monkeypatch.setattr(cards.torch.version, "cuda", built)
    card, graphics = cards.unused_cards([])
    assert reason in card.reason and card.hint and card.expected and card.kind == "cuda"
    assert card.problem().severity == "warning" and card.name in card.problem().message
    assert not graphics.expected, "graphics inside a processor are no card to warn about"
    assert [card.kind for card in cards.unused_cards([FakeGpu()])] == ["xpu"]


def test_here_no_card_is_left_unused_without_a_word():
    assert all(card.reason and card.hint for card in cards.unused_cards([]))
    assert cards.nvidia_driver() is None or cards.nvidia_driver().cards


def test_a_device_of_a_kind_that_does_not_exist_is_a_mistake():
    with pytest.raises(KeyError):
        Device("tpu", torch.device("cpu"))
