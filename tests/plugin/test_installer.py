"""The set-up without a network: its command, its programs and their cancel, its choice of Python, its places."""

from __future__ import annotations

import errno
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
from geoseg_plugin.engine import installer
from geoseg_plugin.engine.environment import STAMP_FILE, default_root, interpreter, set_location
from geoseg_plugin.engine.liveness import locked
from geoseg_plugin.engine.setup import pythons, richdem, space, steps, swap, uv
from geoseg_plugin.engine.setup.access import Access, machine_certificates
from geoseg_plugin.engine.setup.builds import BUILDS
from geoseg_plugin.engine.setup.command import Command
from geoseg_plugin.engine.setup.facts import Machine
from geoseg_plugin.engine.setup.finish import write_command
from geoseg_plugin.engine.setup.installation import Installation, own_python
from geoseg_plugin.engine.setup.kit import python_archive
from geoseg_plugin.engine.setup.pip_settings import pip_settings
from geoseg_plugin.engine.setup.places import Places, check_path_length, site_packages
from geoseg_plugin.engine.setup.plan import Listener, Network, Plan
from geoseg_plugin.engine.setup.proof import device_warning
from geoseg_plugin.engine.setup.redaction import redacted
from geoseg_plugin.engine.setup.runners import PipRunner, UvRunner
from geoseg_plugin.engine.setup.simple_index import read_page
from geoseg_plugin.engine.setup.wheel_lists import tool
from geoseg_plugin.tasks.runner import TaskRunner

ROOT = Path(__file__).resolve().parents[2]
LINUX = Machine("linux", "x86_64", (6, 8), (2, 36))
REQUIREMENTS = ROOT / "training" / "requirements"


def run(lines: list[str], script: str, log: Path, cancelled: Any = lambda: False) -> list[str]:
    """Run a program of Python."""
    return Command(log, lines.append, cancelled).run([str(PYTHON), "-c", script], dict(os.environ))


def test_cancel_ends_a_program_and_what_it_started(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); print(p.pid, flush=True); p.wait()"  # fmt: skip  # noqa: E501
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run(lines, script, tmp_path / "log", lambda: bool(lines))
    assert time.monotonic() - began < 60.0
    state = Path(f"/proc/{lines[0]}/stat")
    time.sleep(0.2)
    assert not state.exists() or state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"


def test_a_failing_program_names_the_next_step(tmp_path: Path) -> None:
    script = "print('ERROR: [Errno 28] No space left on device'); raise SystemExit(1)"
    with pytest.raises(GeoSegError) as error:
        run([], script, tmp_path / "log")
    assert error.value.code == "disk_full"
    assert "No space left" in (tmp_path / "log").read_text(encoding="utf-8")


def test_qgis_itself_is_never_taken_for_a_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    qgis = tmp_path / "qgis-bin"
    qgis.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(qgis))
    assert qgis not in list(pythons.candidates())


def test_a_python_that_will_not_do_is_named_with_the_reason(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.9.1 True x86_64 True\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(GeoSegError, match=r"is Python 3\.9\.1"):
        pythons.find_python(str(old))
    with pytest.raises(GeoSegError, match="does not start"):
        pythons.find_python(str(tmp_path / "nothing"))
    old.write_text("#!/bin/sh\necho \"No module named 'ssl'\" >&2\nexit 1\n", encoding="utf-8")
    assert pythons.inspect_interpreter(old) == "has no module ssl"


@pytest.mark.parametrize("version", ["3.11.2", "3.12.4", "3.13.1", "3.14.0"])
def test_the_pythons_of_current_systems_will_do(tmp_path: Path, version: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {version} True x86_64 False\n", encoding="utf-8")
    python.chmod(0o755)
    found = pythons.find_python(str(python))
    assert version.startswith("{}.{}.".format(*found.version)) and not found.has_pip


def test_a_python_that_was_brought_is_found(tmp_path: Path) -> None:
    assert own_python(tmp_path) is None
    program = tmp_path / "cpython-3.12.1-linux" / "bin" / "python3.12"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 3.12.1 True x86_64 True\n", encoding="utf-8")
    program.with_name("python3.12-config").touch()
    program.chmod(0o755)
    found = own_python(tmp_path)
    assert found is not None and found.path == program


def test_two_installations_do_not_meet(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(GeoSegError) as error, locked(tmp_path / "lock"):
        pass
    assert error.value.code == "install_busy"


def test_the_installer_runs_under_a_plain_python(tmp_path: Path) -> None:
    command = [str(PYTHON), "-S", "-m", "geoseg_plugin.engine.installer"]
    done = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0 and "--without-richdem" in done.stdout and "--save-kit" in done.stdout
    environ = {**os.environ, "GEOSEG_ENGINE_DIR": str(tmp_path)}
    done = subprocess.run([*command, "--plan"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
                          encoding="utf-8")  # fmt: skip
    assert done.returncode == 0 and "Build: " in done.stdout and str(tmp_path) in done.stdout, done.stderr


def test_former_names_of_the_commands_flags() -> None:
    parse = installer.parser().parse_args
    assert installer.plan_of_options(parse(["--device", "cpu"])).build == "cpu"
    assert installer.plan_of_options(parse(["--device", "gpu", "--dev"])).build == "gpu"
    assert installer.plan_of_options(parse(["--build", "cu126", "--device", "cpu"])).build == "cu126"


def test_sizes_and_checks_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(tmp_path / "engine")
    assert installer.main(["--root", root, "--size"]) == 0
    assert installer.main(["--root", root, "--check"]) == 1
    assert installer.main(["--root", root, "--from-kit", str(tmp_path)]) == 1
    assert installer.main(["--root", root, "--remove"]) == 0
    shown = capsys.readouterr()
    assert "Environment: 0.00 GB" in shown.out and "no offline kit" in shown.err


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
    lists = {file.name for file in REQUIREMENTS.glob("*.txt")}
    folder = Path(steps.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    assert {name for name in lists if name not in source} == set()
    assert "onnxruntime" not in "".join(
        line
        for line in (REQUIREMENTS / "onnx.txt").read_text(encoding="utf-8").splitlines()
        if line[:1] != "#"
    )


def test_a_machine_without_a_build_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    old = Machine("macos", "x86_64", (14,))
    with pytest.raises(GeoSegError) as error:
        Installation(Plan(tmp_path / "engine"), machine=old).run()
    assert error.value.code == "no_build" and list(tmp_path.iterdir()) == []


def test_paths_that_windows_cannot_write_are_refused(tmp_path: Path) -> None:
    short, long = Path("C:/Users/anna/AppData/Local/geoseg/engine"), Path("C:/" + "x" * 70)
    check_path_length(short, windows=True, long_paths=False)
    check_path_length(long, windows=True, long_paths=True)
    check_path_length(long, windows=False)
    with pytest.raises(GeoSegError) as error:
        check_path_length(long, windows=True, long_paths=False)
    assert error.value.code == "path_too_long" and "73 characters" in error.value.message


def test_what_belongs_to_an_environment_is_beside_it_or_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tmp_path / "engine")
    assert (
        places.can_swap
        and places.cache == tmp_path / "engine.cache"
        and places.log == tmp_path / "engine.log"
    )
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    assert Places.of(tmp_path / "link").staging == tmp_path / "disk.new", "a link is followed"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not places.can_swap and places.cache == tmp_path / "engine" / "geoseg.cache"


def test_a_folder_that_cannot_be_written_or_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(GeoSegError) as error:
        Installation(Plan(blocked / "engine", "cpu")).run()
    assert error.value.code in ("not_writable", "install_failed")
    monkeypatch.setattr(space, "free_mb", lambda path: 100.0)
    with pytest.raises(GeoSegError) as error:
        Installation(Plan(tmp_path / "engine", "cpu")).run()
    assert error.value.code == "disk_full" and "0.1 GB free" in error.value.message


def test_pips_cache_on_another_full_disk_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "same_disk", lambda one, other: "cache" not in str(one))
    monkeypatch.setattr(space, "free_mb", lambda path: 100.0)
    settings = {"cache-dir": str(tmp_path / "cache")}
    assert (
        space.other_pip_cache(tmp_path, tmp_path / "beside", 200, settings, {}) == tmp_path / "beside" / "pip"
    )
    assert space.other_pip_cache(tmp_path, tmp_path / "beside", 50, settings, {}) is None
    access = Access(Network(), tmp_path / "work", print, {"PIP_CONFIG_FILE": os.devnull})
    access.pip_cache = tmp_path / "beside"
    assert access.pip()["PIP_CACHE_DIR"] == str(tmp_path / "beside")


def test_the_users_network_stays_but_not_their_targets(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    mine = "[global]\nindex-url = https://mirror.example/simple\ncert = /no/file\ntarget = /x\n"
    mine += "[install]\nextra-index-url =\n    https://one.example\n    https://two.example\n"
    file.write_text(mine, encoding="utf-8")
    environ = {"PIP_CONFIG_FILE": str(file), "PIP_USER": "1", "PIP_FIND_LINKS": "/a /b", "PYTHONHOME": "x"}
    environ |= {"UV_TORCH_BACKEND": "auto", "UV_INDEX_STRATEGY": "first-index", "UV_OFFLINE": "1"}
    environ |= {"XDG_CONFIG_DIRS": "/no", "HOME": "/no"}
    found = pip_settings(environ)
    assert found["index-url"] == "https://mirror.example/simple" and found["find-links"] == "/a /b"
    assert "target" not in found and "user" not in found
    access = Access(Network({"HTTPS_PROXY": "http://p:1"}), tmp_path, print, environ)
    pip, uv = access.pip(), access.uv()
    assert pip["PIP_EXTRA_INDEX_URL"] == "https://one.example https://two.example" and "PIP_USER" not in pip
    assert uv["UV_DEFAULT_INDEX"] == "https://mirror.example/simple" and uv["UV_FIND_LINKS"] == "/a,/b"
    assert not {"PYTHONHOME", "PYTHONPATH", "UV_TORCH_BACKEND", "UV_OFFLINE", "PIP_CERT"} & {*pip, *uv}
    for only in (access.pip(True), access.uv(True)):
        assert not {"PIP_INDEX_URL", "PIP_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"} & set(only)
        assert only["HTTPS_PROXY"] == only["https_proxy"] == "http://p:1"
    assert access.uv()["UV_PYTHON_DOWNLOADS"] == "never" and access.uv()["UV_CACHE_DIR"] == str(tmp_path)


def test_secrets_and_names_are_blacked_out() -> None:
    text = ("https://anna:p@ss%20w@proxy.example:8080/x /home/anna/x C:\\Users\\Anna Bo\\AppData /Users/anna/y"
            " token=abcdef password: geheim Authorization: Basic QWxhZGRpbg== /home/shared/z")  # fmt: skip
    found = redacted(text, ("geheim2",))
    for word in ("anna", "Anna", "p@ss", "abcdef", "geheim", "QWxhZGRpbg"):
        assert word not in found, found
    assert "proxy.example:8080/x" in found and "/home/shared/z" in found and "AppData" in found
    assert redacted("the geheim2 word", ("geheim2",)) == "the *** word"


def test_pages_of_an_index_in_both_forms() -> None:
    page = '<a href="../../f/a-1-py3-none-any.whl#sha256=00" data-x>a-1-py3-none-any.whl</a>'
    one = read_page(page, "https://x.example/simple/a/")
    data = {"files": [{"filename": "a-1-py3-none-any.whl", "url": "../../f/a-1-py3-none-any.whl",
                       "hashes": {"sha256": "00"}}]}  # fmt: skip
    assert one == read_page(json.dumps(data), "https://x.example/simple/a/")
    assert one[0].address == "https://x.example/f/a-1-py3-none-any.whl" and one[0].sha256 == "00"


def make_environment(root: Path, mark: str) -> None:
    """A folder that looks like an environment."""
    interpreter(root).parent.mkdir(parents=True)
    interpreter(root).symlink_to(PYTHON)
    (root / STAMP_FILE).write_text(json.dumps({"mark": mark}), encoding="utf-8")
    program = interpreter(root).with_name("tool")
    program.write_text(f"#!{interpreter(root)}\n", encoding="utf-8")
    (root / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    (root / "file").write_text(mark, encoding="utf-8")
    for folder in (root / "check", root / "lib" / "check"):
        folder.mkdir(parents=True)
        (folder / "file").touch()


def mark_of(root: Path) -> str:
    return json.loads((root / STAMP_FILE).read_text(encoding="utf-8"))["mark"]


def test_a_swap_can_be_interrupted_anywhere(tmp_path: Path) -> None:
    places = Places(tmp_path / "engine")
    make_environment(places.root, "old")
    swap.clone(places.root, places.staging, lambda: False)
    assert (places.staging / "file").stat().st_ino == (places.root / "file").stat().st_ino
    assert (places.staging / "pyvenv.cfg").stat().st_ino != (places.root / "pyvenv.cfg").stat().st_ino
    assert (places.staging / "lib" / "check" / "file").exists() and not (places.staging / "check").exists()
    (places.staging / STAMP_FILE).write_text('{"mark": "new"}', encoding="utf-8")
    assert mark_of(places.root) == "old"
    places.root.rename(places.former)
    assert swap.recover(places) and mark_of(places.root) == "new", "between the renames: the new one is whole"
    swap.drop_former(places)
    places.root.rename(places.former)
    make_environment(places.staging, "half")
    (places.staging / STAMP_FILE).unlink()
    assert swap.recover(places) and mark_of(places.root) == "new", "the new one is not whole: back"
    (places.staging / STAMP_FILE).write_text('{"mark": "newest"}', encoding="utf-8")
    swap.swap(places)
    assert mark_of(places.root) == "newest" and mark_of(places.former) == "new"
    assert str(interpreter(places.root)) in interpreter(places.root).with_name("tool").read_text(
        encoding="utf-8"
    )
    swap.swap_back(places)
    assert mark_of(places.root) == "new" and not swap.recover(places)
    with pytest.raises(Cancelled):
        swap.clone(places.root, places.staging, lambda: True)


def test_a_folder_in_use_keeps_both_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows does while a program runs in it."""
    places = Places(tmp_path / "engine")
    make_environment(places.root, "old")
    make_environment(places.staging, "new")

    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(13, "The process cannot access the file")

    with monkeypatch.context() as patch, pytest.raises(GeoSegError) as error:
        patch.setattr(Path, "rename", refuse)
        swap.swap(places)
    assert error.value.code == "install_in_use"
    assert mark_of(places.root) == "old" and mark_of(places.staging) == "new"


def test_a_training_that_still_runs_keeps_its_environment(tmp_path: Path) -> None:
    places = Places(tmp_path / "engine")
    make_environment(places.root, "old")
    make_environment(places.staging, "new")
    running = subprocess.Popen([str(interpreter(places.root)), "-c", "print(flush=True); input()"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert running.stdout is not None and running.stdout.readline()
        with pytest.raises(GeoSegError, match="a program runs in it"):
            swap.swap(places)
    finally:
        running.communicate(b"\n")
    swap.swap(places)
    assert mark_of(places.root) == "new"


def test_the_default_folder_follows_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOSEG_ENGINE_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    first = default_root()
    set_location(tmp_path / "other")
    assert default_root() == tmp_path / "other"
    set_location(first)
    assert default_root() == first


def test_what_the_engine_proves_of_the_device() -> None:
    card = BUILDS["cu130"]
    good = {"device": "cuda:0", "device_name": "RTX", "proof": {"convolution": "ok", "training_step": "ok",
                                                                "onnx_session": "ok"}}  # fmt: skip
    assert device_warning(card, good) is None and device_warning(BUILDS["cpu"], {"device": "cpu"}) is None
    idle = device_warning(BUILDS["cpu"], {"device": "cpu"}, "An RTX is here and is not used.")
    assert idle is not None and "RTX" in idle.message
    unused = [{"name": "RTX 4090", "reason": "its driver 470 is too old", "hint": "Update it to 580."}]
    old = device_warning(card, {"device": "cpu", "unused": unused})
    assert old is not None and "driver 470" in old.message and old.hint == "Update it to 580."
    wrong = device_warning(card, {**good, "proof": {**good["proof"], "training_step": "NaN"}})  # type: ignore[dict-item]
    assert wrong is not None and "a training step: NaN" in wrong.message
    slow = device_warning(card, {**good, "proof": {**good["proof"], "onnx_session": "no cuDNN"}})  # type: ignore[dict-item]
    assert slow is not None and slow.code == "onnx_on_cpu"


def test_setting_up_is_a_task_like_any_other(
    qgis_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "engine"

    def work(installation: Installation) -> Any:
        installation._listener.on_progress("Install PyTorch", 0.5)
        if installation.plan.build == "cu126":
            raise GeoSegError("install_network", "The server cannot be reached.", "Is the network there?")
        from geoseg_plugin.engine.environment import Environment

        return Environment(interpreter(root), managed=True)

    monkeypatch.setattr(Installation, "run", work)
    runner = TaskRunner()
    steps_seen: list[str] = []
    finished: list[Any] = []
    failed: list[dict[str, str]] = []
    runner.progressed.connect(lambda step, fraction, left: steps_seen.append(step))
    runner.finished.connect(lambda title, result, folder: finished.append((result, folder)))
    runner.failed.connect(failed.append)
    with wait_for(runner.idle):
        runner.install(Plan(root, "cpu"))
    assert finished[0][0]["python"] == str(interpreter(root)) and steps_seen
    with wait_for(runner.idle):
        runner.install(Plan(root, "cu126"))
    assert failed[0]["code"] == "install_network" and failed[0]["hint"]


def test_uv_brings_a_python_where_none_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    python = "$5/cpython-3.12.9-linux/bin/python3.12"
    script = '#!/bin/sh\n[ "$1 $2 $3 $4" = "python install 3.12 --install-dir" ] || exit 1\n'
    script += f'mkdir -p "$(dirname {python})"\n'
    script += f"printf '#!/bin/sh\\necho 3.12.9 True x86_64 True\\n' > {python}\nchmod +x {python}\n"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(pythons, "candidates", lambda: iter(()))
    said: list[str] = []
    installation = Installation(Plan(tmp_path / "engine"), Listener(on_line=said.append), machine=LINUX)
    access = Access(Network(), tmp_path / "cache", said.append, dict(os.environ))
    runner = UvRunner(installation._command, access, tmp_path / "engine", program)
    found = installation._python(runner)
    assert found.version == (3, 12) and found.path.is_relative_to(tmp_path / "engine.python")
    assert "Python 3.12 is downloaded" in said[0]
    assert installation._python(runner) == found, "it is kept"
    other = Installation(Plan(tmp_path / "other"), machine=LINUX)
    with pytest.raises(GeoSegError) as error:
        other._python(PipRunner(installation._command, access, tmp_path, lambda: tmp_path))
    assert error.value.code == "no_python"


def test_richdem_sees_the_installed_pybind11_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CPPFLAGS", "-I/mine")
    request = richdem.source(tmp_path / "site")
    assert request.environ == (("CPPFLAGS", f"-I{tmp_path}/site/pybind11/include -I/mine"),)
    assert "--no-build-isolation" in request.arguments()
    assert "numpy" in richdem.packages().arguments(), "numpy is not built from source"
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert richdem.compiler_problem(PYTHON) == "there is no C++ compiler"


def test_a_long_log_keeps_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a line\n" * 400_000 + "the last\n", encoding="utf-8")
    Command(log, lambda line: None, lambda: False).trim()
    kept = log.read_text(encoding="utf-8")
    assert kept.startswith("a line\n") and kept.endswith("the last\n") and len(kept) < 250_000


@pytest.mark.parametrize(("number", "code", "words"), [
    (errno.ENOSPC, "disk_full", "full"),
    (errno.EDQUOT, "disk_full", "full"),
    (errno.EROFS, "not_writable", "only be read"),
    (errno.EACCES, "not_writable", "cannot be written"),
    (errno.EIO, "install_failed", "x"),
])  # fmt: skip
def test_what_the_system_refuses_has_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, words: str
) -> None:
    def refuse(installation: Installation) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr(Installation, "_run_locked", refuse)
    with pytest.raises(GeoSegError) as error:
        Installation(Plan(tmp_path / "engine", "cpu"), machine=LINUX).run()
    assert error.value.code == code and words in error.value.message and error.value.hint


def test_the_python_of_a_kit_is_the_one_of_its_platform(tmp_path: Path) -> None:
    items = [
        {"os": "macos", "arch": arch, "libc": "none", "implementation": "cpython", "variant": variant,
         "url": f"https://x.example/download/20261110/cpython-3.12.16%2B20261110-{arch}-{variant}.tar.gz"}
        for arch in ("x86_64", "aarch64") for variant in ("freethreaded", "default")
    ]  # fmt: skip
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(items)}\nEND\n", encoding="utf-8")
    program.chmod(0o755)
    found = python_archive(program, "macos-arm64", {})
    assert found.name == "cpython-3.12.16+20261110-aarch64-default.tar.gz"
    with pytest.raises(GeoSegError, match="windows-x86_64"):
        python_archive(program, "windows-x86_64", {})


def test_what_is_different_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ssl.enum_certificates", lambda store: [(b"x", "x509_asn", True), (b"y", "pkcs_7_asn", True)],
                        raising=False)  # fmt: skip
    root = tmp_path / "engine"
    (root / "Lib" / "site-packages").mkdir(parents=True)
    assert site_packages(root) == root / "Lib" / "site-packages"
    assert interpreter(root) == root / "Scripts" / "python.exe" and uv.program_in(root, "1").name == "uv.exe"
    assert machine_certificates().count("BEGIN CERTIFICATE") == 2, "those of both stores"
    assert not swap.is_used(root), "renaming fails by itself"
    interpreter(root).parent.mkdir()
    written = write_command(root)
    assert written.name == "geoseg.bat" and "@echo off" in written.read_text(encoding="utf-8")
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.ini").write_text("[global]\nproxy = http://p:1\n", encoding="utf-8")
    environ = {"PROGRAMDATA": str(tmp_path), "USERPROFILE": "/no", "APPDATA": "/no"}
    assert pip_settings(environ) == {"proxy": "http://p:1"}
    assert Access(Network(), tmp_path / "cache", print, environ).uv()["HTTPS_PROXY"] == "http://p:1"
    assert richdem.compiler_problem(PYTHON) == "there is no C++ compiler"


def test_under_rosetta_the_python_is_for_apple_silicon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[str] = []

    def find(chosen: str, processor: str, _versions: object) -> pythons.Interpreter:
        wanted.append(processor)
        return pythons.Interpreter(PYTHON, (3, 12), "arm64")

    monkeypatch.setattr("geoseg_plugin.engine.setup.installation.find_python", find)
    mac = Machine("macos", "arm64", (15,), translated=True)
    access = Access(Network(), tmp_path / "cache", print, {"PIP_CONFIG_FILE": os.devnull})
    installation = Installation(Plan(tmp_path / "engine"), machine=mac)
    installation._python(PipRunner(installation._command, access, tmp_path, lambda: tmp_path))
    assert wanted == ["arm64"]
    wheel = tool("uv", "macos-arm64")
    assert wheel is not None and wheel.file.endswith("arm64.whl")
