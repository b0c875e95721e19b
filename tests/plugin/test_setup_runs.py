"""Whole set-ups by uv and by pip from an index on loopback: what is installed, what stays, what is mended."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import PYTHON
from stub_packages import LINUX, World, make_lists, make_packages, packages, real_uv, use, use_lists
from waiting import wait_for
from wheel_index import Fault, WheelIndex, serving

from geoseg_plugin.contract import Cancelled, GeoSegError
from geoseg_plugin.engine.environment import STAMP_FILE, find, interpreter
from geoseg_plugin.engine.setup import access, installation, maintenance, richdem, steps, uv
from geoseg_plugin.engine.setup.command import Command
from geoseg_plugin.engine.setup.installation import Installation
from geoseg_plugin.engine.setup.kit import kit_platforms, read_kit, save_kit
from geoseg_plugin.engine.setup.places import Places, site_packages
from geoseg_plugin.engine.setup.plan import Listener, Network, Plan
from geoseg_plugin.engine.setup.pythons import Interpreter
from geoseg_plugin.engine.setup.records import broken_packages
from geoseg_plugin.engine.setup.runners import PipRunner
from geoseg_plugin.engine.setup.swap import clone
from geoseg_plugin.tasks.runner import TaskRunner

TOOLS = [
    pytest.param("uv", marks=pytest.mark.skipif(not real_uv(), reason="uv is not here")),
    "pip",
]
BASE = {"buildtool": "1.0", "filelock": "4.2.11", "numpy": "2.4.6", "onnx": "1.23.2", "scikit-learn": "1.9.1",
        "shapely": "2.2.0"}  # fmt: skip
CPU = {**BASE, "torch": "2.13.0+cpu", "onnxruntime": "1.31.1"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    make_packages(folder)
    return folder


@pytest.fixture(scope="module")
def made_by_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of `venv`, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("venv")
    access_ = access.Access(Network(), folder / "cache", print)
    runner = PipRunner(Command(folder / "log", print, lambda: False), access_, folder / "env", lambda: folder)
    runner.make(Interpreter(PYTHON, (3, 11)))
    return folder / "env"


@pytest.fixture
def world(
    made_by_venv: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with serving(WheelIndex(wheels)) as index:
        made = World(index, tmp_path / "training", {"device": "cpu", "device_name": "CPU"})
        make_lists(made.training, wheels)
        use(made, monkeypatch)
        monkeypatch.setitem(access.UV_SETTINGS, "UV_HTTP_RETRIES", "1")
        monkeypatch.setattr(
            PipRunner, "make", lambda self, python: clone(made_by_venv, self._root, lambda: False)
        )
        if real_uv():
            monkeypatch.setattr(installation, "uv_or_reason", lambda source, on_line: Path(real_uv()))
        yield made


def set_up(root: Path, tool: str, build: str = "cpu", said: list[str] | None = None, **more: object) -> None:
    """One set-up without pauses and without richdem."""
    plan = replace(Plan(root, build, str(PYTHON), with_richdem=False, tool=tool), **more)  # type: ignore[arg-type]
    listener = Listener(on_line=said.append if said is not None else lambda line: None)
    Installation(plan, listener, machine=LINUX, pauses_s=()).run()


def stamp(root: Path) -> dict[str, str]:
    """What the installer wrote."""
    return json.loads((root / STAMP_FILE).read_text(encoding="utf-8"))


def from_index(world: World, package: str) -> set[str]:
    """Indexes from which files of a package were fetched."""
    return {item.path.split("/")[2] for item in world.index.asked if f"/{package}-" in item.path}


@pytest.mark.parametrize("tool", TOOLS)
def test_one_exact_build_and_one_runtime_each_from_its_index(world: World, tmp_path: Path, tool: str) -> None:
    root = tmp_path / "engine"
    set_up(root, tool)
    assert packages(root) == CPU
    assert from_index(world, "torch") == {"cpu"} and from_index(world, "numpy") == {"default"}
    assert stamp(root)["tool"] == tool and stamp(root)["torch"] == "2.13.0+cpu"
    assert find(root) is not None and broken_packages(site_packages(root)) == []
    world.index.asked.clear()
    set_up(root, tool)
    assert world.index.asked == [], "all is there"
    set_up(root, tool, "cu130")
    assert packages(root) == {
        **BASE,
        "torch": "2.13.0+cu130",
        "onnxruntime-gpu": "1.31.1",
        "nvidia-cublas": "13.0",
    }
    assert (site_packages(root) / "onnxruntime" / "flavour.py").read_text(
        encoding="utf-8"
    ) == "onnxruntime-gpu"
    if tool == "uv":
        set_up(root, tool)
        assert packages(root) == CPU, "nothing of CUDA is left"
    assert not Places(root).staging.exists() and not Places(root).former.exists()


@pytest.mark.parametrize("build", ["rocm7.2", "xpu"])
@pytest.mark.skipif(not real_uv(), reason="uv is not here")
def test_what_only_pytorchs_index_has_comes_from_there(world: World, tmp_path: Path, build: str) -> None:
    set_up(tmp_path / "engine", "uv", build, zoo=True)
    found = packages(tmp_path / "engine")
    assert found["torch"] == f"2.13.0+{build}" and found["torchvision"] == f"0.28.0+{build}"
    assert any(name.startswith("triton-") for name in found)
    assert found["numpy"] == "2.4.6", "stale copies in PyTorch's index are not taken"


@pytest.mark.parametrize("tool", TOOLS)
def test_without_pytorchs_index_the_own_one_gives_the_exact_build_or_none(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    root = tmp_path / "engine"
    monkeypatch.setenv("GEOSEG_TORCH_INDEX", "http://127.0.0.1:9")
    with pytest.raises(GeoSegError) as error:
        set_up(root, tool)
    assert error.value.code == "install_network"
    assert "torch" not in packages(root), "never the plain version, which may be another build"
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(world.index.root / "cpu" / "torch-2.13.0+cpu-py3-none-any.whl", own)
    monkeypatch.setenv("PIP_FIND_LINKS", str(own))
    said: list[str] = []
    set_up(root, tool, said=said)
    assert packages(root) == CPU and any("your own index is tried" in line for line in said)


@pytest.mark.parametrize("tool", TOOLS)
def test_lists_of_wheels_are_installed_with_their_hashes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    use_lists(monkeypatch)
    root = tmp_path / "engine"
    set_up(root, tool)
    assert packages(root) == CPU
    assert from_index(world, "torch") == {"cpu"}
    (root / STAMP_FILE).unlink()
    file = world.training / "requirements" / "wheels" / "linux-x86_64-runtime-onnxruntime.txt"
    text = re.sub(r"sha256:\w+", "sha256:" + 64 * "0", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    shutil.rmtree(site_packages(root) / "onnxruntime-1.31.1.dist-info")
    with pytest.raises(GeoSegError) as error:
        set_up(root, tool)
    assert error.value.code == "install_hash"


@pytest.mark.parametrize("why_not", ["", "there is no C++ compiler", "it does not compile"])
def test_richdem_where_it_can_be_built(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why_not: str
) -> None:
    monkeypatch.setattr(richdem, "compiler_problem", lambda python: why_not if "compiler" in why_not else "")
    if "not compile" in why_not:
        world.list("richdem.txt", "richdem==0.3.5")
    root = tmp_path / "engine"
    said: list[str] = []
    set_up(root, "uv" if real_uv() else "pip", said=said, with_richdem=True)
    found = packages(root)
    assert found["numpy"] == ("2.4.6" if why_not else "1.26.4") and ("richdem" in found) == (not why_not)
    assert stamp(root)["richdem"].startswith("no" if why_not else "yes")
    assert any("without richdem" in line for line in said) == bool(why_not)


@pytest.mark.parametrize("tool", TOOLS[:1])
def test_an_interrupted_set_up_resumes_where_it_stopped(world: World, tmp_path: Path, tool: str) -> None:
    root = tmp_path / "engine"
    world.index.faults["onnx-"] = Fault(status=404)
    with pytest.raises(GeoSegError):
        set_up(root, tool)
    assert find(root) is None
    world.index.faults.clear()
    world.index.asked.clear()
    set_up(root, tool)
    assert packages(root) == CPU and "torch-2.13.0+cpu-py3-none-any.whl" not in world.index.files()


def test_cancel_leaves_what_resumes(world: World, tmp_path: Path) -> None:
    root = tmp_path / "engine"
    seen: list[str] = []
    listener = Listener(
        lambda step, fraction: seen.append(step), is_cancelled=lambda: "Install PyTorch" in seen
    )
    plan = Plan(root, "cpu", str(PYTHON), with_richdem=False, tool="uv" if real_uv() else "pip")
    with pytest.raises(Cancelled):
        Installation(plan, listener, machine=LINUX).run()
    assert find(root) is None
    Installation(plan, machine=LINUX).run()
    assert packages(root) == CPU


@pytest.mark.parametrize("tool", TOOLS[:1])
def test_damage_is_found_by_the_records_and_mended(world: World, tmp_path: Path, tool: str) -> None:
    root = tmp_path / "engine"
    set_up(root, tool)
    site = site_packages(root)
    (site / "shapely" / "__init__.py").unlink()
    (site / "onnx" / "__init__.py").write_text("", encoding="utf-8")
    (site / "numpy-2.4.6.dist-info" / "RECORD").unlink()
    (site / "~umpy").mkdir()
    assert [item.name for item in maintenance.check_files(root)] == ["numpy", "onnx", "shapely"]
    environment = maintenance.repair(root)
    assert environment.python == interpreter(root) and maintenance.check_files(root) == []
    assert packages(root) == CPU and not (site / "~umpy").exists()


def test_files_that_vanish_again_and_again_are_reported(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = maintenance.Broken("torch", "2.13.0+cpu", "torch/x.dll is missing")
    calls: list[int] = []

    def always(site: Path) -> list[maintenance.Broken]:
        calls.append(1)
        return [broken] if len(calls) > 1 else []

    monkeypatch.setattr(steps, "broken_packages", always)
    with pytest.raises(GeoSegError) as error:
        set_up(tmp_path / "engine", "uv" if real_uv() else "pip")
    assert error.value.code == "install_records" and "antivirus" in error.value.hint


@pytest.mark.parametrize("tool", TOOLS[:1])
def test_an_update_that_fails_leaves_the_former_environment(world: World, tmp_path: Path, tool: str) -> None:
    root = tmp_path / "engine"
    set_up(root, tool)
    before = stamp(root)
    world.list("geo.txt", "shapely==2.3.0")
    with pytest.raises(GeoSegError) as error:
        set_up(root, tool)
    assert error.value.code == "install_no_package" and "present environment is used" in error.value.hint
    assert packages(root) == CPU and stamp(root) == before and broken_packages(site_packages(root)) == []
    world.list("geo.txt", "shapely==2.2.0\nopenvino==2026.4.1")
    world.probe = GeoSegError("install_check", "The engine gave no answer.")
    with pytest.raises(GeoSegError, match="no answer"):
        set_up(root, tool)
    assert packages(root) == CPU and stamp(root) == before, "it did not prove itself"
    world.probe = {"device": "cpu"}
    world.index.asked.clear()
    set_up(root, tool)
    assert packages(root) == {**CPU, "openvino": "2026.4.1"} and world.index.files() == []
    assert not Places(root).staging.exists() and not Places(root).former.exists()


def test_an_environment_of_an_earlier_version_is_adopted(world: World, tmp_path: Path) -> None:
    root = tmp_path / "engine"
    tool = "uv" if real_uv() else "pip"
    set_up(root, tool)
    old = {
        "requirements": "of before",
        "device": "cpu",
        "with_richdem": "False",
        "dev": "False",
        "richdem": "no",
    }
    (root / STAMP_FILE).write_text(json.dumps(old), encoding="utf-8")
    (root / "installing.json").write_text(
        '{"Install PyTorch": "old key", "torch device": "cpu"}', encoding="utf-8"
    )
    world.index.asked.clear()
    set_up(root, tool)
    assert stamp(root)["build"] == "cpu" and packages(root) == CPU
    assert not [name for name in world.index.files() if name.startswith("torch-")], "the exact build is there"


def test_a_python_that_is_gone_is_replaced_and_everything_with_it(world: World, tmp_path: Path) -> None:
    root = tmp_path / "engine"
    tool = "uv" if real_uv() else "pip"
    set_up(root, tool)
    interpreter(root).unlink()
    interpreter(root).symlink_to(tmp_path / "python3.9 of before")
    (root / "lib" / "python3.9").mkdir()
    rest = Places(root).cache / "tmp" / "pip-unpack-x"
    rest.mkdir(parents=True, exist_ok=True)
    set_up(root, tool)
    assert packages(root) == CPU and not (root / "lib" / "python3.9").exists() and not rest.exists()


def test_a_card_that_is_not_used_is_a_warning_that_stays(world: World, tmp_path: Path) -> None:
    root = tmp_path / "engine"
    tool = "uv" if real_uv() else "pip"
    set_up(root, tool, "cu130")
    assert stamp(root)["warning_code"] == "gpu_not_used" and "driver" in stamp(root)["warning_hint"]
    world.list("dev.txt", "buildtool==1.0\n# changed")
    world.probe = {"device": "cuda:0", "device_name": "RTX", "proof": {"convolution": "ok", "training_step": "ok",
                                                                       "onnx_session": "ok"}}  # fmt: skip
    set_up(root, tool, "cu130")
    assert "warning" not in stamp(root) and stamp(root)["device_name"] == "RTX"


def test_three_at_once_in_a_folder_with_an_awkward_name(world: World, tmp_path: Path) -> None:
    root = tmp_path / "Käse & 'Co' (x86)"
    ends: list[str] = []
    started = threading.Barrier(3)

    def work() -> None:
        started.wait()
        try:
            set_up(root, "uv" if real_uv() else "pip")
        except GeoSegError as error:
            ends.append(error.code)
        else:
            ends.append("done")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in ends and set(ends) <= {"done", "install_busy"}
    assert packages(root) == CPU


@pytest.mark.parametrize("tool", TOOLS)
def test_an_offline_kit_needs_no_network(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    use_lists(monkeypatch)
    assert [item.key for item in kit_platforms()] == ["linux-x86_64-cpu", "linux-x86_64-cu130"]
    world.index.faults["scikit"] = Fault(status=404)
    with pytest.raises(GeoSegError):
        save_kit(tmp_path / "kit", "linux-x86_64-cpu")
    with pytest.raises(GeoSegError, match="no offline kit"):
        read_kit(tmp_path / "kit")
    world.index.faults.clear()
    monkeypatch.setattr("geoseg_plugin.engine.setup.kit.tool", lambda name, platform: (
        uv.tool("uv", "linux-x86_64") if name == "uv" else None))  # fmt: skip
    folder = save_kit(tmp_path / "kit", "linux-x86_64-cpu")
    assert read_kit(folder).build == "cpu"
    world.index.asked.clear()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GEOSEG_TORCH_INDEX", "http://127.0.0.1:9")
    set_up(tmp_path / "engine", tool, kit=folder)
    found = packages(tmp_path / "engine")
    assert found == {name: version for name, version in CPU.items() if name != "buildtool"}
    assert world.index.asked == []
    next((folder / "wheels").glob("numpy*")).write_bytes(b"half")
    with pytest.raises(GeoSegError) as error:
        set_up(tmp_path / "other", tool, kit=folder)
    assert error.value.code == "kit_damaged"
    with pytest.raises(GeoSegError) as error:
        read_kit(folder).check("windows-x86_64")
    assert error.value.code == "kit_platform"


def test_an_environment_moves_and_goes(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("GEOSEG_ENGINE_DIR", raising=False)
    monkeypatch.setattr(maintenance, "run_probe", lambda python, folder, is_cancelled: {})
    root, target = tmp_path / "engine", tmp_path / "other disk" / "engine"
    maintenance.set_location(root)
    set_up(root, "uv" if real_uv() else "pip")
    assert maintenance.sizes(root).environment_bytes > 1000
    assert "Device: CPU" in maintenance.log_text(root)
    environment = maintenance.move(root, target)
    assert environment.python == interpreter(target) and packages(target) == CPU
    assert maintenance.is_default(target) and not root.exists() and not Places(root).cache.exists()
    assert str(root) not in (target / "pyvenv.cfg").read_text(encoding="utf-8")
    maintenance.remove(target)
    assert list(target.parent.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(GeoSegError, match="not made by GeoSeg"):
        maintenance.remove(tmp_path / "mine")
    with pytest.raises(GeoSegError, match="not empty"):
        maintenance.move(tmp_path / "engine", tmp_path / "mine")


def test_where_uv_cannot_be_had_pip_is_used_and_the_log_says_why(world: World, tmp_path: Path) -> None:
    source = uv.UvSource(tmp_path / "uv", access.Access(Network(), tmp_path / "cache", print), Network(),
                         lambda: False, "linux-x86_64")  # fmt: skip
    assert source.get() == tmp_path / "uv" / "0.13.9" / "uv"
    assert [item.name for item in (tmp_path / "uv").iterdir()] == ["0.13.9"], "the wheel is not kept"
    world.index.faults["uv-"] = Fault(status=403)
    shutil.rmtree(tmp_path / "uv")
    said: list[str] = []
    assert uv.uv_or_reason(source, said.append) is None and "pip is" in said[0]
    world.index.faults.clear()
    pins = world.training / "requirements" / "wheels" / "uv.txt"
    pins.write_text(
        pins.read_text(encoding="utf-8").replace("sha256:", "sha256:f")[:-2] + "\n", encoding="utf-8"
    )
    assert uv.uv_or_reason(source, said.append) is None and "differs from the one that was tested" in said[1]
    refused = tmp_path / "refused"
    refused.write_text("#!/bin/sh\nexit 126\n", encoding="utf-8")
    assert "may not run" in uv.refusal(refused)
    refused.chmod(0o755)
    assert "does not run" in uv.refusal(refused)


@pytest.mark.skipif(not real_uv(), reason="uv is not here")
def test_in_qgis_the_index_is_looked_at_through_its_network(
    qgis_app: Any, world: World, tmp_path: Path
) -> None:
    root = tmp_path / "engine"
    runner = TaskRunner()
    failed: list[Any] = []
    finished: list[Any] = []
    runner.failed.connect(failed.append)
    runner.finished.connect(lambda title, result, folder: finished.append(result))
    with wait_for(runner.idle, 30.0):
        runner.install(Plan(root, "cpu", str(PYTHON), with_richdem=False))
    assert failed == [] and finished[0]["python"] == str(interpreter(root))
    assert packages(root) == CPU and "/cpu/torch/" in [item.path for item in world.index.asked]


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
import pytest
from stub_packages import LINUX, World, use
from wheel_index import WheelIndex
from geoseg_plugin.engine.setup import installation
from geoseg_plugin.engine.setup.plan import Plan
wheels, port, training, root, uv, python = sys.argv[3:]
use(World(WheelIndex(Path(wheels), port=int(port)), Path(training), {}), pytest.MonkeyPatch())
installation.uv_or_reason = lambda source, on_line: Path(uv)
plan = Plan(Path(root), "cpu", python, with_richdem=False)
installation.Installation(plan, machine=LINUX).run()
"""


@pytest.mark.skipif(not real_uv(), reason="uv is not here")
def test_what_was_killed_resumes(world: World, wheels: Path, tmp_path: Path) -> None:
    root = tmp_path / "engine"
    world.index.faults["onnx-1"] = Fault(slow_s=2.0)
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    values = [str(wheels), str(world.index.port), str(world.training), str(root), real_uv(), str(PYTHON)]
    running = subprocess.Popen([sys.executable, "-c", KILLED, *folders, *values])
    while not any(name.startswith("onnx-1") for name in world.index.files()) and running.poll() is None:
        time.sleep(0.02)
    running.kill()
    assert running.wait() != 0 and find(root) is None
    world.index.faults.clear()
    world.index.asked.clear()
    set_up(root, "uv")
    assert packages(root) == CPU and not [name for name in world.index.files() if name.startswith("torch-")]
