"""Puts the engine on the path of its tests."""

import os
import sys
from pathlib import Path

import pytest

SCRIPT = "::test_the_script_runs_to_its_end["

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))


def pytest_configure(config):
    """`*` between affines works in every version of affine; `@` only in the newest."""
    config.addinivalue_line("filterwarnings", "ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture(scope="session", autouse=True)
def graphs(tmp_path_factory):
    """Trace every network once, see graph_cache; processes of one run share the graphs."""
    if "torch" not in sys.modules:  # no test here writes a model
        return
    from graph_cache import GraphCache

    from geoseg_engine.modelfile import export

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "graphs"
    folder.mkdir(exist_ok=True)
    export._write = GraphCache(export._write, folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile`, tests of a file share a process and its fixtures, but scripts are dealt one by one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if SCRIPT in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def unexported(monkeypatch):
    """Leave the model file out where the test is not about it: tracing takes seconds."""
    from geoseg_engine.training import fit

    monkeypatch.setattr(fit, "write_model", lambda *_: None)
