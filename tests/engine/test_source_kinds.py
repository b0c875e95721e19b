"""A new kind of source works everywhere once it is registered: read, planned, inspected and bound to other files."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_scenes import channel, hills, utm_grid, write_raster

from geoseg_engine.bands.sources import registry
from geoseg_engine.bands.sources.kind import BandSource
from geoseg_engine.contract import Band, GridRequest, InspectJob, Problem, Recipe, Source
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking.file_checks import file_problems
from geoseg_engine.stacking.inspect import run
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.rebind import rebind
from geoseg_engine.stacking.recipe_plan import plan_recipe


class Constant:
    """Open bands of the one value in a text file."""

    def __init__(self, value: float, bands: int) -> None:
        self.value, self.bands = value, bands
        self.problems = (Problem("constant", "It is constant.", "", "warning"),)

    def read(self, window) -> np.ndarray:
        return np.full((self.bands, window.height, window.width), self.value, np.float32)


class ConstantSource(BandSource):
    """A text file with one number."""

    kind = "constant"

    @contextmanager
    def open(self, source, bands, grid):
        with Path(source.path).open(encoding="ascii") as file:
            yield Constant(float(file.read()), len(bands))

    def grid_and_warnings(self, source, bands):
        return None, [Problem("no_pixels_of_its_own", "It has no pixels.", "", "warning")]

    def file_warnings(self, source, bands):
        yield Problem("text_file", "It is a text file.", "", "warning")

    def inspect(self, path, found):
        if not path.endswith(".txt"):
            return "it is no text file"
        found.update(kind=self.kind, bands=[{"index": 1, "name": "value"}])
        return ""


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Recipe:
    monkeypatch.setitem(registry.KINDS, "constant", ConstantSource())
    (tmp_path / "a.txt").write_text("7", encoding="ascii")
    raster = write_raster(tmp_path / "dem.tif", hills(40, 50, 1))
    sources = (Source("dem", str(raster)), Source("c", str(tmp_path / "a.txt"), kind="constant"))
    bands = (Band("height", "dem"), Band("value", "c"))
    return Recipe(sources, bands, utm_grid(50, 40))


def test_it_is_planned_and_read_with_its_warnings(recipe):
    plan = plan_recipe(recipe.sources, recipe.bands, GridRequest())
    assert [problem.code for problem in plan.problems] == ["no_pixels_of_its_own"]
    assert [problem.code for problem in file_problems(recipe)] == ["text_file"]
    with StackReader(plan.recipe) as reader:
        values = reader.read(full_window(plan.recipe.grid))
        assert [problem.code for problem in reader.problems] == ["constant"]
    assert (values[1] == 7).all() and np.isfinite(values[0]).all()


def test_it_is_inspected(recipe, tmp_path):
    found = run(InspectJob(str(tmp_path / "a.txt")), tmp_path, channel(tmp_path))
    assert found["kind"] == "constant" and found["bands"] == [{"index": 1, "name": "value"}]


def test_other_files_fill_its_slot_with_and_without_their_kind(recipe, tmp_path):
    (tmp_path / "b.txt").write_text("9", encoding="ascii")
    dem, own = recipe.sources
    other = replace(own, path=str(tmp_path / "b.txt"))
    for given in (replace(other, key="x"), replace(other, kind="raster")):
        bound = rebind(recipe, (dem, given))
        assert bound.sources == (dem, other)
