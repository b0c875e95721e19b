"""The installer without a network: its steps, its resumption, its cancel, its choice of Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import PYTHON
from waiting import wait_for

from geoseg_plugin.contract import Cancelled, GeoSegError
from geoseg_plugin.engine import installer, pip, pythons
from geoseg_plugin.engine.environment import STAMP_FILE, check, find, interpreter
from geoseg_plugin.engine.finish import write_command
from geoseg_plugin.engine.installer import Installation, Plan
from geoseg_plugin.engine.liveness import locked
from geoseg_plugin.engine.pip import Command, explain, pip_environ
from geoseg_plugin.tasks.runner import TaskRunner

ROOT = Path(__file__).resolve().parents[2]


class FakePip:
    """Stands for `Command.run`: remembers the calls, makes the interpreter, fails where told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[list[str]] = []
        self.extras: list[dict[str, str]] = []
        self.fail_on = ""

    def run(self, command: Any, arguments: list[str], extra: dict[str, str] | None = None) -> list[str]:
        self.calls.append(arguments)
        self.extras.append(extra or {})
        if self.fail_on and any(self.fail_on in argument for argument in arguments):
            raise GeoSegError("install_network", f"{self.fail_on} cannot be downloaded", "again")
        if "venv" in arguments:
            python = interpreter(self.root)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.symlink_to(PYTHON)
        return ["/include"]

    def lists(self) -> list[str]:
        """Requirement lists that were installed, in order."""
        return [Path(call[index + 1]).name for call in self.calls
                for index, word in enumerate(call) if word == "-r"]  # fmt: skip


@pytest.fixture()
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip(tmp_path / "engine")
    monkeypatch.setattr(Command, "run", lambda command, *values: fake.run(command, *values))
    probe = {"device": "cpu", "device_name": "CPU", "versions": {"torch": "2"}}
    monkeypatch.setattr(installer, "run_probe", lambda python, folder, is_cancelled: probe)
    return fake


def test_all_steps_then_nothing_to_do(fake_pip: FakePip) -> None:
    seen: list[tuple[str, float]] = []
    plan = Plan(fake_pip.root, python=str(PYTHON))
    environment = Installation(plan, lambda step, fraction: seen.append((step, fraction))).run()
    assert environment.python == interpreter(fake_pip.root) and environment.managed
    build = ["build.txt", "numpy1.txt", "richdem.txt"]
    assert fake_pip.lists() == [*build, "numpy1.txt", "geo.txt", "torch.txt", "onnx.txt", "learn.txt"]
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert find(fake_pip.root) == environment and check(environment) == []
    fake_pip.calls.clear()
    Installation(plan).run()
    assert fake_pip.calls == []


def test_without_a_compiler_the_set_of_numpy_2_is_taken_and_said(fake_pip: FakePip) -> None:
    fake_pip.fail_on = "richdem.txt"
    said: list[str] = []
    Installation(Plan(fake_pip.root, python=str(PYTHON)), on_line=said.append).run()
    assert fake_pip.lists()[3:] == ["numpy2.txt", "geo.txt", "torch.txt", "onnx.txt", "learn.txt"]
    assert any("richdem cannot be built" in line for line in said)
    assert json.loads((fake_pip.root / STAMP_FILE).read_text(encoding="utf-8"))["richdem"].startswith("no")


def test_richdem_sees_the_installed_pybind11_first(
    fake_pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPPFLAGS", "-I/mine")
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    building = next(place for place, call in enumerate(fake_pip.calls) if "--no-build-isolation" in call)
    assert fake_pip.extras[building] == {"CPPFLAGS": "-I/include -I/mine"}


def test_an_interrupted_installation_goes_on_where_it_stopped(fake_pip: FakePip) -> None:
    plan = Plan(fake_pip.root, python=str(PYTHON))
    fake_pip.fail_on = "torch.txt"
    with pytest.raises(GeoSegError, match=r"torch\.txt"):
        Installation(plan).run()
    assert find(fake_pip.root) is None
    fake_pip.fail_on = ""
    fake_pip.calls.clear()
    Installation(plan).run()
    assert fake_pip.lists() == ["torch.txt", "onnx.txt", "learn.txt"]
    assert find(fake_pip.root) is not None


def test_another_device_replaces_pytorch_only(fake_pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> None:
    Installation(Plan(fake_pip.root, "cpu", str(PYTHON))).run()
    fake_pip.calls.clear()
    monkeypatch.setenv("GEOSEG_TORCH_INDEX", "file:///somewhere")
    said: list[str] = []
    Installation(Plan(fake_pip.root, "gpu", str(PYTHON)), on_line=said.append).run()
    assert fake_pip.lists() == ["torch.txt"]
    assert fake_pip.calls[0][-3:] == ["uninstall", "--yes", "torch"]
    assert "file:///somewhere" in fake_pip.calls[1]
    assert any("PyTorch finds none" in line for line in said)


def test_the_zoo_is_added_to_a_whole_environment_and_stays(fake_pip: FakePip) -> None:
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    fake_pip.calls.clear()
    Installation(Plan(fake_pip.root, python=str(PYTHON), zoo=True)).run()
    assert fake_pip.lists() == ["zoo.txt"]
    assert fake_pip.calls[0][-3:] == ["uninstall", "--yes", "torchvision"]
    fake_pip.calls.clear()
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    assert fake_pip.calls == [], "setting up again keeps it"
    Installation(Plan(fake_pip.root, "gpu", python=str(PYTHON))).run()
    assert fake_pip.lists() == ["torch.txt", "zoo.txt"], "torchvision follows PyTorch's build"


def test_openvino_is_added_to_a_whole_environment_and_stays(fake_pip: FakePip) -> None:
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    fake_pip.calls.clear()
    Installation(Plan(fake_pip.root, python=str(PYTHON), openvino=True)).run()
    assert fake_pip.lists() == ["openvino.txt"]
    fake_pip.calls.clear()
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    assert fake_pip.calls == [], "setting up again keeps it"


def test_cancel_between_steps(fake_pip: FakePip) -> None:
    with pytest.raises(Cancelled):
        Installation(Plan(fake_pip.root), is_cancelled=lambda: len(fake_pip.calls) > 2).run()
    assert find(fake_pip.root) is None


def test_cancel_ends_pip_and_what_it_started(tmp_path: Path) -> None:
    lines: list[str] = []
    command = Command(tmp_path / "log", lines.append, lambda: bool(lines))
    script = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); print(p.pid, flush=True); p.wait()"  # fmt: skip  # noqa: E501
    began = time.monotonic()
    with pytest.raises(Cancelled):
        command.run([str(PYTHON), "-c", script])
    assert time.monotonic() - began < 60.0
    state = Path(f"/proc/{lines[0]}/stat")
    time.sleep(0.2)
    assert not state.exists() or state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"


def test_a_failing_command_names_the_cure(tmp_path: Path) -> None:
    command = Command(tmp_path / "log", lambda line: None, lambda: False)
    script = "print('ERROR: [Errno 28] No space left on device'); raise SystemExit(1)"
    with pytest.raises(GeoSegError) as error:
        command.run([str(PYTHON), "-c", script])
    assert error.value.code == "disk_full" and "No space left" in (tmp_path / "log").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(("line", "code"), [
    ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "install_ssl"),
    ("WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.", "install_network"),
    ("ERROR: Could not find a version that satisfies the requirement torch", "install_no_package"),
    ("something else", "install_failed"),
])  # fmt: skip
def test_what_pip_says_in_our_words(line: str, code: str) -> None:
    assert explain(["pip"], [line], 1).code == code


def test_pip_keeps_the_users_network_but_not_their_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_CERT", "PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PYTHONHOME"):
        monkeypatch.setenv(name, "x")
    environ = pip_environ()
    assert environ["PIP_INDEX_URL"] == "x" and environ["PIP_CERT"] == "x"
    assert not {"PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH"} & set(environ)


def test_qgis_itself_is_never_taken_for_a_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    qgis = tmp_path / "qgis-bin"
    qgis.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(qgis))
    assert qgis not in list(pythons.candidates())


def test_a_python_that_will_not_do_is_named_with_the_reason(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.9.1 True\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(GeoSegError, match=r"is Python 3\.9\.1"):
        pythons.find_python(str(old))
    with pytest.raises(GeoSegError, match="does not start"):
        pythons.find_python(str(tmp_path / "nothing"))


@pytest.mark.parametrize("version", ["3.11.2", "3.12.4", "3.13.1", "3.14.0"])
def test_the_pythons_of_current_systems_will_do(tmp_path: Path, version: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {version} True\n", encoding="utf-8")
    python.chmod(0o755)
    assert version.startswith("{}.{}.".format(*pythons.find_python(str(python)).version))


def test_numpy_1_is_not_built_from_source_where_python_is_too_new_for_it(fake_pip: FakePip) -> None:
    Installation(Plan(fake_pip.root, python=str(PYTHON))).run()
    first = next(call for call in fake_pip.calls if any(word.endswith("numpy1.txt") for word in call))
    assert first[first.index("--only-binary") + 1] == "numpy"


def test_two_installations_do_not_meet(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(GeoSegError) as error, locked(tmp_path / "lock"):
        pass
    assert error.value.code == "install_busy"


def test_the_installer_runs_under_a_plain_python(tmp_path: Path) -> None:
    command = [str(PYTHON), "-S", "-m", "geoseg_plugin.engine.installer", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0 and "--without-richdem" in done.stdout


def test_the_shell_command_finds_the_engine(tmp_path: Path) -> None:
    (tmp_path / "a folder" / "bin").mkdir(parents=True)
    interpreter(tmp_path / "a folder").symlink_to(PYTHON)
    command = write_command(tmp_path / "a folder")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [command, "--version"], env=environ, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


def test_every_pinned_list_is_used() -> None:
    lists = {file.name for file in (ROOT / "training" / "requirements").glob("*.txt")}
    source = Path(installer.__file__).read_text(encoding="utf-8")
    assert {name for name in lists if name not in source} == set()
    assert pip.REFUSED


def test_setting_up_is_a_task_like_any_other(qgis_app: Any, fake_pip: FakePip) -> None:
    runner = TaskRunner()
    steps: list[str] = []
    finished: list[Any] = []
    runner.progressed.connect(lambda step, fraction, left: steps.append(step))
    runner.finished.connect(lambda title, result, folder: finished.append((result, folder)))
    with wait_for(runner.idle):
        runner.install(fake_pip.root, "cpu", str(PYTHON))
    assert finished == [({"python": str(interpreter(fake_pip.root))}, str(fake_pip.root))]
    assert steps


def test_a_failed_set_up_is_told_with_its_cure(qgis_app: Any, fake_pip: FakePip) -> None:
    fake_pip.fail_on = "geo.txt"
    runner = TaskRunner()
    failed: list[dict[str, str]] = []
    runner.failed.connect(failed.append)
    with wait_for(runner.idle):
        runner.install(fake_pip.root, "cpu", str(PYTHON))
    assert failed[0]["code"] == "install_network" and failed[0]["hint"]
