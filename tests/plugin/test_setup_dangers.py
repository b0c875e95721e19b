"""States from which a user must get out, and folders that a set-up must not touch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes import PYTHON
from test_installer import make_environment, mark_of

from geoseg_plugin.contract import Cancelled, GeoSegError
from geoseg_plugin.engine.environment import STAMP_FILE, interpreter
from geoseg_plugin.engine.setup import maintenance, swap
from geoseg_plugin.engine.setup.places import Places
from geoseg_plugin.engine.setup.steps import STATE_FILE

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
    name = {"link": tmp_path / "link", "above": tmp_path / "above" / "engine", "relative": Path("disk/engine")}[way]
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
