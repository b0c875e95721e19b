"""TensorBoard as a child: started on a free port, looked at, ended with what it started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.engine.liveness import is_alive
from geoseg_plugin.engine.packages import has_package
from geoseg_plugin.engine.tensorboard import TensorBoard, command

SERVER = (
    "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), None).serve_forever()"
)


def fake(python: Path, logs: Path, port: int) -> list[str]:
    return [str(python), "-c", SERVER, str(port)]


def test_it_answers_and_ends(tmp_path: Path) -> None:
    board = TensorBoard(Path(sys.executable), tmp_path, os.environ, fake)
    board.start()
    assert board._process is not None
    pid = board._process.pid
    deadline = time.monotonic() + 60
    while not board.answers():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert board.running and board.url.startswith("http://127.0.0.1:")
    board.stop()
    assert not board.running and not is_alive(pid, "serve_forever")
    board.stop()


def test_one_that_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(GeoSegError, match="cannot be started"):
        TensorBoard(tmp_path / "nothing", tmp_path, {}).start()


def test_the_command_names_the_runs() -> None:
    arguments = command(Path("/python"), Path("/runs"), 6006)
    assert arguments[1:5] == ["-m", "tensorboard.main", "--logdir", "/runs"]
    assert "127.0.0.1" in arguments, "nobody else sees it"


def test_packages_are_found_beside_the_interpreter(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    folder = tmp_path / "lib" / "python3.11" / "site-packages" / "tensorboard"
    assert not has_package(python, "tensorboard")
    folder.mkdir(parents=True)
    assert has_package(python, "tensorboard")
