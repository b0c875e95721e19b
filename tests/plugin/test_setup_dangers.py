"""States from which a user must get out, and folders that a set-up must not touch."""

from __future__ import annotations

import base64
import errno
import json
import os
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fakes import PYTHON
from stub_packages import LINUX
from test_installer import make_environment, mark_of

from geoseg_plugin.contract import Cancelled, GeoSegError, write_json
from geoseg_plugin.engine import environment
from geoseg_plugin.engine.environment import STAMP_FILE, default_root, interpreter
from geoseg_plugin.engine.installer import main
from geoseg_plugin.engine.liveness import locked
from geoseg_plugin.engine.setup import maintenance, pythons, swap
from geoseg_plugin.engine.setup.access import Access
from geoseg_plugin.engine.setup.command import Command
from geoseg_plugin.engine.setup.failures import explain
from geoseg_plugin.engine.setup.fetching import fetcher
from geoseg_plugin.engine.setup.installation import Installation
from geoseg_plugin.engine.setup.kit import KIT_FILE, Kit, kit_platforms, read_kit
from geoseg_plugin.engine.setup.places import Places
from geoseg_plugin.engine.setup.plan import Network, Plan
from geoseg_plugin.engine.setup.pythons import Interpreter
from geoseg_plugin.engine.setup.records import broken_packages
from geoseg_plugin.engine.setup.redaction import redacted
from geoseg_plugin.engine.setup.runners import PipRunner, UvRunner
from geoseg_plugin.engine.setup.steps import STATE_FILE
from geoseg_plugin.paths import plugin_dir

posix = pytest.mark.skipif(sys.platform == "win32", reason="links")


@contextmanager
def running(python: Path) -> Iterator[None]:
    """A program that runs with an interpreter."""
    process = subprocess.Popen([str(python), "-c", "print(flush=True); input()"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline()
        yield
    finally:
        process.communicate(b"\n")


def test_half_a_copy_never_looks_like_a_whole_one(tmp_path: Path) -> None:
    """Cancelled or killed while the environment is copied: the state of the steps is not there yet."""
    places = Places(tmp_path / "engine")
    make_environment(places.root, "old")
    (places.root / STATE_FILE).write_text(json.dumps({"Install PyTorch": "done"}), encoding="utf-8")
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        swap.clone(places.root, places.staging, lambda: next(asked))
    assert (places.staging / "file").exists(), "something was copied"
    assert not (places.staging / STATE_FILE).exists() and not (places.staging / STAMP_FILE).exists()
    swap.clone(places.root, places.staging, lambda: False)
    assert (places.staging / STATE_FILE).exists() and mark_of(places.staging) == "old"


@posix
def test_programs_of_a_swap_that_ended_before_they_were_written(tmp_path: Path) -> None:
    places = Places(tmp_path / "engine")
    make_environment(places.root, "old")
    make_environment(places.staging, "new")
    places.root.rename(places.former)
    places.staging.rename(places.root)
    assert not swap.recover(places) and not places.former.exists()
    program = interpreter(places.root).with_name("tool").read_text(encoding="utf-8")
    assert program == f"#!{interpreter(places.root)}\n"


@posix
@pytest.mark.parametrize("way", ["link", "above", "relative"])
def test_a_program_that_was_started_through_another_name_is_seen(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "disk" / "engine"
    make_environment(root, "old")
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "above").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path)
    name = {
        "link": tmp_path / "link",
        "above": tmp_path / "above" / "engine",
        "relative": Path("disk/engine"),
    }[way]
    assert not swap.is_used(root)
    with running(interpreter(name)):
        assert swap.is_used(root)


@posix
def test_what_a_program_runs_in_is_not_removed_moved_or_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "RELEASED_S", 0.0)
    root = tmp_path / "engine"
    make_environment(root, "old")
    with running(interpreter(root)):
        for action in (
            lambda: maintenance.remove(root),
            lambda: maintenance.move(root, tmp_path / "other"),
            lambda: maintenance.repair(root),
        ):
            with pytest.raises(GeoSegError, match="a program runs in it") as error:
                action()
            assert error.value.code == "install_in_use"
    assert mark_of(root) == "old" and not (tmp_path / "other").exists()
    maintenance.remove(root)
    assert not root.exists()


@pytest.mark.parametrize("inside", ["engine/sub", "engine.cache/engine", "engine.python/x"])
def test_an_environment_is_not_moved_into_what_goes_with_it(inside: str, tmp_path: Path) -> None:
    make_environment(tmp_path / "engine", "old")
    with pytest.raises(GeoSegError, match="is inside") as error:
        maintenance.move(tmp_path / "engine", tmp_path / inside)
    assert error.value.code == "not_writable" and mark_of(tmp_path / "engine") == "old"


def test_a_move_to_a_folder_of_ones_own_among_others_brings_python_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be written beside the new folder: Python and uv are inside it, and stay when it is filled."""
    old, new = Places(tmp_path / "engine"), Places(tmp_path / "other")
    make_environment(old.root, "old")
    program = old.own_python / "cpython-3.12" / "bin" / "python3.12"
    program.parent.mkdir(parents=True)
    program.write_text("python", encoding="utf-8")
    monkeypatch.setattr(Places, "can_swap", property(lambda self: self.root != new.root))
    monkeypatch.setattr(maintenance, "run_probe", lambda *_: {})
    monkeypatch.setattr(maintenance, "set_location", lambda _root: None)
    maintenance.move(old.root, new.root)
    assert (new.root / "geoseg.python" / "cpython-3.12" / "bin" / "python3.12").is_file()
    assert mark_of(new.root) == "old" and not old.root.exists()


def test_a_folder_of_somebody_else_is_not_cleared(tmp_path: Path) -> None:
    """A folder with a Python that cannot be used, e.g. ~/.local or an environment of conda."""
    root = tmp_path / "local"
    interpreter(root).parent.mkdir(parents=True)
    interpreter(root).write_text("no program", encoding="utf-8")
    (root / "share").mkdir()
    (root / "share" / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(GeoSegError, match="did not make") as error:
        Installation(Plan(root, "cpu", str(PYTHON), tool="pip"), machine=LINUX, pauses_s=()).run()
    assert error.value.code == "not_writable" and (root / "share" / "mine").is_file()
    assert interpreter(root).is_file()


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"\xff\xfe\xff", b'"half'])
def test_a_record_that_a_power_cut_left_is_not_whole(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "a-1.dist-info" / "METADATA").write_text("Name: a\n", encoding="utf-8")
    (tmp_path / "a-1.dist-info" / "RECORD").write_bytes(damage)
    assert [item.name for item in broken_packages(tmp_path)] == ["a"]


def test_a_login_of_an_index_goes_to_its_host_and_into_no_text(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            moved = self.path.startswith("/moved")
            self.send_response(302 if moved else 404 if "lost" in self.path else 200)
            if moved:
                self.send_header("Location", f"http://localhost:{server.server_port}/else")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetch = fetcher({})
        host = f"127.0.0.1:{server.server_port}"
        word = "s3cret@/x"
        fetch(f"http://me:{quote(word, safe='')}@{host}/simple/uv/", tmp_path / "a", lambda: False)
        fetch(f"http://{host}/files/uv", tmp_path / "a", lambda: False)
        fetch(f"http://{host}/moved", tmp_path / "a", lambda: False)
        with pytest.raises(GeoSegError) as error:
            fetch(f"http://me:{quote(word, safe='')}@{host}/lost", tmp_path / "a", lambda: False)
        server.shutdown()
    login = "Basic " + base64.b64encode(f"me:{word}".encode()).decode()
    assert [item[1] for item in asked] == [login, login, login, "", login]
    assert "s3cret" not in str(error.value) + error.value.details and error.value.code == "install_no_package"


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    for name in ("GEOSEG_ENGINE_DIR", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert main(["--size"]) == 1 and "GEOSEG_ENGINE_DIR" in capsys.readouterr().err
    assert main(["--size", "--root", str(tmp_path)]) == 0
    assert redacted("a line") == "a line"


def test_a_relative_folder_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", "engine")
    monkeypatch.chdir(tmp_path)
    assert default_root() == tmp_path / "engine"
    (tmp_path / "kit").mkdir()
    write_json(tmp_path / "kit" / KIT_FILE, {"version": 1, "platform": "linux-x86_64", "build": "cpu"})
    assert read_kit(Path("kit")).folder == tmp_path / "kit"


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl")
def test_a_disk_without_locks_is_no_other_qgis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(number: int) -> Any:
        def lock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return lock

    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    with locked(tmp_path / "lock"):
        pass
    monkeypatch.setattr(fcntl, "flock", refuse(errno.EAGAIN))
    with pytest.raises(GeoSegError, match="Another QGIS"), locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(("line", "code"), [
    ("error: Failed to write x: Input/output error (os error 5)", "install_disk"),
    ("error: error sending request: Broken pipe (os error 32)", "install_network"),
    ("error: failed to rename: Access is denied. (os error 5)", "install_locked"),
])  # fmt: skip
def test_numbers_that_mean_something_else_on_linux(line: str, code: str) -> None:
    assert explain(["uv"], [line], 2).code == code


def test_pip_fills_an_environment_that_uv_made(tmp_path: Path) -> None:
    """Such an environment has no pip: it runs from its wheel, and nothing is made anew."""
    wheel = tmp_path / "pip-26.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pip/__main__.py", "print('pip of the wheel')")
    root = tmp_path / "engine"
    venv.create(root, with_pip=False)
    command = Command(tmp_path / "log", lambda _line: None, lambda: False)
    runner = PipRunner(
        command, Access(Network(), tmp_path / "cache", print, dict(os.environ)), root, lambda: wheel
    )
    assert runner.usable()
    runner.check()
    assert "pip of the wheel" in (tmp_path / "log").read_text(encoding="utf-8")


def test_the_wheels_of_a_kit_get_the_python_that_they_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older Python of the computer is not taken: the kit brings the one that it needs."""
    (tmp_path / "kit" / "python").mkdir(parents=True)
    brought: list[Path | None] = []
    monkeypatch.setattr(pythons, "candidates", lambda: iter([PYTHON]))
    monkeypatch.setattr(pythons, "inspect_interpreter", lambda path: Interpreter(path, (3, 11)))
    monkeypatch.setattr(UvRunner, "bring_python", lambda *args: brought.append(args[3]))
    made = Installation(Plan(tmp_path / "engine"), machine=LINUX)
    access = Access(Network(), tmp_path / "cache", print, dict(os.environ))
    runner = UvRunner(made._command, access, tmp_path / "engine", tmp_path / "uv")
    assert made._python(runner).version == (3, 11) and not brought
    made._kit = Kit(tmp_path / "kit", "linux-x86_64", "cpu", True)
    with pytest.raises(GeoSegError, match="does not run"):
        made._python(runner)
    assert brought == [tmp_path / "kit" / "python"]


def test_only_the_default_folder_follows_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("GEOSEG_ENGINE_DIR", raising=False)
    monkeypatch.setattr(maintenance, "run_probe", lambda *_: {})
    make_environment(tmp_path / "trial", "old")
    before = default_root()
    maintenance.move(tmp_path / "trial", tmp_path / "trial2")
    assert default_root() == before
    make_environment(before, "old")
    maintenance.move(before, tmp_path / "moved")
    assert default_root() == tmp_path / "moved"


def test_a_swap_that_is_half_done_keeps_its_build(tmp_path: Path) -> None:
    places = Places(tmp_path / "engine")
    places.former.mkdir()
    write_json(places.former / STAMP_FILE, {"build": "cu126"})
    assert maintenance.plan_of(places.root).build == "cu126"


def test_a_folder_inside_the_plugin_is_refused() -> None:
    with pytest.raises(GeoSegError, match="inside the plugin"):
        Installation(Plan(plugin_dir() / "engine_of_mine"), machine=LINUX).run()


def test_the_shell_shows_a_sentence_where_the_system_refuses(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    key = kit_platforms()[0].key
    folder = str(tmp_path / "file" / "kit")
    assert main(["--root", str(tmp_path / "x"), "--save-kit", folder, "--platform", key]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_changed_lists_of_wheels_are_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "training_dir", lambda: tmp_path)
    (tmp_path / "requirements" / "wheels").mkdir(parents=True)
    before = environment.requirements_hash()
    (tmp_path / "requirements" / "wheels" / "a.txt").write_text("a==1", encoding="utf-8")
    assert environment.requirements_hash() != before
