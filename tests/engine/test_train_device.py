"""Training on a GPU, held against training on the CPU: the same crops, no waiting, faults. The GPU is a fake one."""

import contextlib
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from fake_devices import FakeGpu
from torch.utils._python_dispatch import TorchDispatchMode
from training_scenes import blobs, small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, GeoSegError, TrainJob
from geoseg_engine.contract.training_jobs import AUGMENTATIONS
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.models import build
from geoseg_engine.training import checkpoint, compilation, fit, loop, preparing, transfer
from geoseg_engine.training.batches import BatchSource, batches
from geoseg_engine.training.data_survey import survey_scene
from geoseg_engine.training.distributed import ALONE
from geoseg_engine.training.losses import LOSSES, loss_of
from geoseg_engine.training.placement import scene_on_device
from geoseg_engine.training.plan import make_plan
from geoseg_engine.training.preparing import make_trainer
from geoseg_engine.training.sampler import Sampler
from geoseg_engine.training.scene import ImageInMemory, ImageOnDisk, scene_from_arrays

BANDS = tuple(Band(f"b{index}", "r1", index) for index in (1, 2, 3))
ASPECT = (
    Band("east", "r1", derive="aspect_sin"),
    Band("north", "r1", derive="aspect_cos"),
    Band("b3", "r1", 3),
)
ARCHITECTURE = {"name": "unet", "bands": 3, "classes": 2, "width": 4, "levels": 2}


def made_scene(rows=96, cols=128, bands=BANDS):
    return scene_from_arrays(*blobs(rows, cols), bands, 2)[0]


def source_on(scene, device, kinds=(), crop_px=32):
    job = TrainJob("d", width=4, levels=2, crop_px=crop_px, batch_size=6, augment=kinds or ("none",))
    plan = make_plan(job, 32, survey_scene(scene), device)
    return BatchSource(plan, scene, Sampler(scene, plan.crop_px, 5, plan.by_class), device, ALONE)


class MetaGpu(FakeGpu):
    """A GPU whose tensors have no values: whatever waits for one fails."""

    def __init__(self):
        super().__init__()
        self.torch_device = torch.device("meta")

    def run(self, call):
        return call()


class Copies(TorchDispatchMode):
    """Notes the copies from the host to the device or back, and whether the host waits for them."""

    def __init__(self):
        super().__init__()
        self.waiting, self.all = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.name() in ("aten::_to_copy", "aten::copy_"):
            ends = (args[0], result) if func.name() == "aten::_to_copy" else args[:2]
            if ends[0].device != ends[1].device:
                self.all += 1
                no_wait = (kwargs or {}).get("non_blocking", len(args) > 2 and args[2])
                self.waiting += [] if no_wait else [func.name()]
        return result


@pytest.mark.parametrize("bands", [BANDS, ASPECT])
@pytest.mark.parametrize("kinds", [(), *((kind,) for kind in AUGMENTATIONS if kind != "auto"), "all"])
def test_the_batches_on_a_gpu_are_those_of_the_cpu(kinds, bands):
    kinds = tuple(kind for kind in AUGMENTATIONS if kind not in ("auto", "none")) if kinds == "all" else kinds
    scene, gpu = made_scene(bands=bands), FakeGpu()
    placed = scene_on_device(scene, gpu)
    assert placed.image.on_gpu and not scene.image.on_gpu
    reference, tried = source_on(scene, CPU, kinds), source_on(placed, gpu, kinds)
    tried = dataclasses.replace(tried, plan=reference.plan)
    steps = range(3)
    for expected, found in zip(
        batches(reference, steps, lambda: 6), batches(tried, steps, lambda: 6), strict=True
    ):
        assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_crops_that_reach_outside_are_the_same_on_a_gpu():
    scene, gpu = made_scene(24, 40), FakeGpu()
    placed = scene_on_device(scene, gpu)
    for step in range(3):
        one, other = (Sampler(item, 32, 1).crops(step, 5) for item in (scene, placed))
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize(
    ("free_mb", "dtype"), [(8192, torch.float32), (0.5, torch.float16), (0.1, torch.float32)]
)
def test_the_image_is_in_half_precision_where_only_that_fits(free_mb, dtype):
    scene, gpu = made_scene(), FakeGpu()
    gpu.memory = lambda: type(CPU.memory())(int(free_mb * 2**20), 1 << 40)
    placed = scene_on_device(scene, gpu)
    assert placed.image.scores.dtype == dtype
    assert placed.image.on_gpu == (free_mb > 0.1)
    assert torch.allclose(placed.image.scores.float(), scene.image.scores, rtol=1e-3, atol=1e-3)
    assert Sampler(placed, 32, 1).crops(0, 2)[0].dtype == torch.float32


def test_an_image_on_disk_is_read_onto_the_gpu_in_strips(tmp_path):
    scene = made_scene(600, 70)

    class Stack:
        def __len__(self):
            return 3

    image = ImageOnDisk(Stack(), scene.region, scene.statistics)
    image.read = scene.image.read
    channel = Channel(tmp_path)
    placed = scene_on_device(dataclasses.replace(scene, image=image), FakeGpu(), channel)
    assert isinstance(placed.image, ImageInMemory) and torch.equal(placed.image.scores, scene.image.scores)
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["done"] for event in told] == [0, 256, 512]


@pytest.mark.parametrize("loss", [name for name in LOSSES if "+" not in name] + ["ce+lovasz"])
def test_a_step_on_a_gpu_waits_for_nothing(loss, monkeypatch):
    """Tensors of the device `meta` have no values: reading one fails, and copies show whether they are waited for.

    The fused optimizer of torch does not run there.
    """
    gpu, scene = MetaGpu(), made_scene()
    monkeypatch.setattr(transfer, "as_device", lambda device: gpu)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    image = ImageInMemory(scene.image.scores.to("meta"), on_gpu=True)
    kinds = tuple(kind for kind in AUGMENTATIONS if kind not in ("auto", "none", "noise"))
    source = source_on(dataclasses.replace(scene, image=image), gpu, kinds)
    network = build(ARCHITECTURE).to("meta")
    trainer = make_trainer(
        TrainJob("d"), source.plan, network, loss_of(loss, [0.3, 0.7]), Precision("float32"), ALONE, gpu
    )
    trainer.optimizer.step = lambda: None
    trainer.step(*source.batch(0, 6))
    with Copies() as copies:
        for number in (1, 2):
            trainer.step(*source.batch(number, 6))
    assert not copies.waiting
    assert copies.all > 5  # the numbers that were drawn; a run that copies nothing would show nothing


def test_copies_that_are_waited_for_are_seen():
    with Copies() as copies:
        torch.zeros(3).to("meta")
        torch.zeros(3).to("meta", non_blocking=True)
        torch.zeros(3, device="meta").copy_(torch.ones(3))
    assert (len(copies.waiting), copies.all) == (2, 3)


class Queue:
    """Marks of a queue whose work is done when it is waited for."""

    def __init__(self):
        self.log = []

    def record(self):
        self.log.append("record")

    def synchronize(self):
        self.log.append("wait")


def test_losses_are_read_when_they_have_arrived():
    gpu, queue = FakeGpu(), Queue()
    gpu.new_event = lambda: queue
    late = transfer.LateNumbers(gpu)
    assert late.exchange(torch.tensor([1.0, 2.0])) == [] and queue.log == ["record"]
    assert late.exchange(torch.tensor([3.0])) == [1.0, 2.0]
    assert queue.log == ["record", "record", "wait"]
    at_once = transfer.LateNumbers(CPU)
    assert at_once.exchange(torch.tensor([1.0])) == [1.0]


def test_a_loss_that_is_no_number_is_named_by_its_step_also_when_it_is_read_late():
    source = source_on(made_scene(), FakeGpu())
    trainer = make_trainer(
        TrainJob("d"),
        source.plan,
        build(ARCHITECTURE),
        loss_of("ce", [1.0, 1.0]),
        Precision("float32"),
        ALONE,
        CPU,
    )
    trainer.step_number = 40
    with pytest.raises(GeoSegError, match="at step 13 "):
        trainer.check_losses([*[1.0] * 12, math.nan, *[1.0] * 7], behind=20)


def test_crops_of_an_image_that_does_not_fit_are_read_ahead_into_pinned_memory():
    scene, gpu, pinned = made_scene(), FakeGpu(), []
    gpu.memory = lambda: type(CPU.memory())(1000, 1 << 40)
    gpu.pinned = lambda tensor: pinned.append(tensor) or tensor
    assert scene_on_device(scene, gpu) is scene
    reference, tried = source_on(scene, CPU, ("flip", "scale")), source_on(scene, gpu, ("flip", "scale"))
    tried = dataclasses.replace(tried, plan=reference.plan)
    made = batches(tried, range(3), lambda: 6)
    for number, (images, labels) in enumerate(made):
        expected = reference.batch(number, 6)
        assert torch.equal(images, expected[0]) and torch.equal(labels, expected[1])
    assert len(pinned) == 6


def weights_after(folder, dataset, gpu, monkeypatch, **changes):
    """Weights of a training on a fake GPU, or on the CPU without one."""
    folder.mkdir(exist_ok=True)
    if gpu is not None:
        monkeypatch.setattr(fit, "find_device", lambda wanted: gpu)
    job = small_job(dataset, width=4, levels=2, epochs=2, steps_per_epoch=25, **changes)
    fit.run(job, folder, Channel(folder))
    monkeypatch.undo()
    return checkpoint.load(folder / checkpoint.FILE)["weights"]


def test_a_training_on_a_gpu_ends_with_the_weights_of_the_cpu(tmp_path, monkeypatch):
    dataset = write_dataset(tmp_path / "data")
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    expected = weights_after(tmp_path / "cpu", dataset, None, monkeypatch)
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    found = weights_after(tmp_path / "gpu", dataset, FakeGpu(), monkeypatch)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_a_lost_gpu_leaves_the_checkpoint_and_the_run_can_be_resumed(tmp_path, monkeypatch):
    dataset = write_dataset(tmp_path / "data")
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    expected = weights_after(tmp_path / "whole", dataset, FakeGpu(), monkeypatch)
    gpu, save = FakeGpu(), loop.save_checkpoint

    def save_and_lose(*arguments):
        save(*arguments)
        gpu.lost_after = gpu.calls + 500

    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    monkeypatch.setattr(loop, "save_checkpoint", save_and_lose)
    with pytest.raises(GeoSegError) as failure:
        weights_after(tmp_path / "lost", dataset, gpu, monkeypatch)
    assert failure.value.code == "device_lost" and "Resume" in failure.value.hint
    assert checkpoint.load(tmp_path / "lost" / checkpoint.FILE)["epoch"] == 1
    monkeypatch.undo()
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    found = weights_after(tmp_path / "lost", dataset, FakeGpu(), monkeypatch, resume=True)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def tried(monkeypatch, gpu, compiled, plain_s=0.05, training_s=3600.0):
    monkeypatch.setattr(compilation, "missing_for", lambda device: "")
    monkeypatch.setattr(compilation, "compiled_network", compiled)
    network = build(ARCHITECTURE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.uint8)
    random = torch.get_rng_state()
    found = compilation.try_compiler(
        network,
        loss_of("ce", [1.0, 1.0]),
        lambda: batch,
        gpu,
        Precision("float32", plain_s),
        training_s,
    )
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert all(value.grad is None for value in network.parameters())
    return found


def test_a_compiled_network_is_used_where_it_pays_within_a_minute(monkeypatch):
    gpu = FakeGpu()
    assert compilation.evaluated(abs, 20, 0.05, 0.1).network is abs
    assert compilation.evaluated(abs, 40, 0.05, 0.1).network is None
    used = tried(monkeypatch, gpu, lambda network: network, plain_s=1000.0)
    assert used.network is not None and "is compiled" in used.reason
    slow = tried(monkeypatch, gpu, lambda network: network, plain_s=0.0)
    assert slow.network is None and "would not pay" in slow.reason


def test_a_compiler_that_fails_is_named_and_training_goes_on(monkeypatch):
    def fails(network):
        raise RuntimeError("no C compiler found.\nmore")

    found = tried(monkeypatch, FakeGpu(), fails)
    assert found.network is None and found.reason == "the network is not compiled: no C compiler found"


def test_nothing_is_compiled_on_a_cpu_for_short_trainings_and_without_triton(monkeypatch):
    def never(network):
        raise AssertionError("compiled")

    assert tried(monkeypatch, CPU, never) == compilation.CompilerTrial()
    assert tried(monkeypatch, FakeGpu(), never, training_s=60.0) == compilation.CompilerTrial()
    monkeypatch.undo()
    assert "Apple" in compilation.missing_for(FakeGpu("mps"))
    monkeypatch.setattr(compilation.importlib.util, "find_spec", lambda name: None)
    assert "Triton" in compilation.missing_for(FakeGpu("cuda"))


class Compiled(torch.nn.Module):
    """What torch.compile returns: around the network, without a length, so that it is neither true nor false."""

    def __init__(self, network):
        super().__init__()
        self.forward = network.forward

    def __len__(self):
        raise TypeError


def test_a_compiled_run_is_compiled_again_when_it_resumes(tmp_path, monkeypatch):
    dataset = write_dataset(tmp_path / "data")
    made = []

    def compiled(network):
        made.append(Compiled(network))
        return made[-1]

    for module in (compilation, preparing):
        monkeypatch.setattr(module, "missing_for", lambda device: "")
        monkeypatch.setattr(module, "compiled_network", compiled)
    monkeypatch.setattr(compilation, "SHORTEST_S", 0.0)
    monkeypatch.setattr(
        compilation,
        "evaluated",
        lambda network, *seconds: compilation.CompilerTrial(network, 0.1, "the network is compiled"),
    )
    monkeypatch.setattr(fit, "find_device", lambda wanted: FakeGpu())
    monkeypatch.setattr(fit, "write_model", lambda *_: None)
    for epochs, times in ((1, 1), (2, 2)):
        fit.run(small_job(dataset, epochs=epochs, resume=epochs > 1), tmp_path, Channel(tmp_path))
        assert len(made) == times
    told = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert told["plan"]["compiled"] and "the network is compiled" in told["reasons"]


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_the_optimizers_compute_what_torch_does(name):
    from geoseg_engine.training import optimizer

    settings = {"momentum": 0.9, "nesterov": True} if name == "SGD" else {"weight_decay": 0.1}
    results = []
    for kind in (getattr(torch.optim, name), getattr(optimizer, name)):
        torch.manual_seed(1)
        weights = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(2)]
        made = kind([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.5}], lr=0.1, **settings)
        for _ in range(3):
            made.zero_grad(set_to_none=True)
            sum((weight**3).sum() for weight in weights).backward()
            made.step()
            made.load_state_dict(made.state_dict())
        results.append([*weights, *(np.asarray(item["lr"]) for item in made.param_groups)])
    assert all(np.array_equal(np.asarray(a.data), np.asarray(b.data)) for a, b in zip(*results, strict=True))
