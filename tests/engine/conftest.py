"""Puts the engine on the path of its tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))


def pytest_configure(config):
    """`*` between affines works in every version of affine; `@` only in the newest."""
    config.addinivalue_line("filterwarnings", "ignore:Use `@` matmul:PendingDeprecationWarning")


def pytest_runtest_setup(item):
    """Trace every network once, see graph_cache; nothing is imported for tests that write no model."""
    export = sys.modules.get("geoseg_engine.modelfile.export")
    if export is not None and not hasattr(export._write, "graphs"):
        from graph_cache import GraphCache

        export._write = GraphCache(export._write)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`--dist loadgroup` keeps the tests of a file together, for they share fixtures, but those marked alone."""
    for item in items:
        alone = item.get_closest_marker("alone")
        item.add_marker(pytest.mark.xdist_group(item.nodeid if alone else item.path.stem))


@pytest.fixture
def unexported(monkeypatch):
    """Leave the model file out where the test is not about it: tracing takes seconds."""
    from geoseg_engine.training import fit

    monkeypatch.setattr(fit, "write_model", lambda *_: None)
