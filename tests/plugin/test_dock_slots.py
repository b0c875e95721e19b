"""Slots of a model: rasters, mosaics, vector layers and time series at prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docked import polygon_layer, raster_layer
from qgis.core import QgsProject

from geoseg_plugin.contract import Band, Grid, Recipe, Series, Source, encode
from geoseg_plugin.jobs.modelinputs import model_inputs
from geoseg_plugin.layers.inputs.folder import InputFolder
from geoseg_plugin.layers.inputs.model_inputs import input_sources, proposed_layer
from geoseg_plugin.steps.predict.page import PredictPage, Slot

GRID = Grid("EPSG:32632", (10, 0, 500_000, 0, -10, 5_000_000), 50, 40)


@pytest.fixture
def project(qgis_app: Any, qgis_new_project: None) -> QgsProject:
    """An empty project."""
    return QgsProject.instance()


def described(tmp_path: Path) -> dict[str, Any]:
    """The answer of `describe` for a model of a mosaic, soil polygons and a time series."""
    sources = (
        Source("r1", str(tmp_path / "west.tif"), "west", paths=("/east.tif",)),
        Source("a2", "/soil.gpkg", "soil", kind="vector", layer="polygons"),
        Source("a3", "/n.nc", "NDVI", kind="series", series=Series(("NDVI",))),
    )
    bands = (
        Band("clay", "a2", derive="onehot", parameters={"field": "class", "value": "clay"}),
        Band("NDVI median", "a3", derive="median"),
        Band("ratio", derive="expression", inputs={"a": "west"}),
    )
    recipe = Recipe(sources, bands, GRID, intermediates=(Band("west", "r1"),))
    return {"recipe": encode(recipe), "sources": []}


def test_needs_know_kinds_fields_and_bands_of_expressions(tmp_path: Path) -> None:
    needs = model_inputs(described(tmp_path))
    assert [(need.kind, need.bands, need.fields) for need in needs] == [
        ("raster", ("west",), ()),
        ("vector", ("clay",), ("class",)),
        ("series", ("NDVI median",), ()),
    ]
    old = model_inputs({"sources": [{"key": "r1", "name": "optical", "bands": ["red"]}]})
    assert (old[0].kind, old[0].source.name, old[0].bands) == ("raster", "optical", ("red",))


def test_slots_become_sources_and_what_is_empty_is_that_of_training(
    project: QgsProject, tmp_path: Path
) -> None:
    west, soil = raster_layer(tmp_path, "west", 1), polygon_layer("soil", ("clay",))
    needs = model_inputs(described(tmp_path))
    assert [proposed_layer(need, [west, soil]) for need in needs] == [west.id(), soil.id(), ""]
    slots = {"r1": west.id(), "a2": "", "a3": ""}
    folder = InputFolder(tmp_path)
    sources = input_sources(needs, slots, project.mapLayer, folder)
    assert sources[0].paths == ("/east.tif",), "the same layer is the same mosaic"
    assert sources[1:] == tuple(need.source for need in needs[1:]) and folder.exports == []
    slots = {"r1": west.id(), "a2": soil.id(), "a3": "/b.nc\n/c.nc"}
    sources = input_sources(needs, slots, project.mapLayer, folder)
    assert (sources[1].kind, sources[1].layer, len(folder.exports)) == ("vector", "polygons", 1)
    assert (sources[2].path, sources[2].paths, sources[2].series) == ("/b.nc", ("/c.nc",), None)
    folder.exports[0]()
    assert Path(sources[1].path).exists()


def test_the_page_asks_for_layers_and_files(project: QgsProject, tmp_path: Path) -> None:
    soil = polygon_layer("soil")
    page = PredictPage()
    slots = [Slot("a2", "soil", "clay", soil.id(), "vector layer"), Slot("a3", "NDVI", "median", "", "files")]
    page.set_slots(slots, "", [])
    assert page.choices().slots == {"a2": soil.id(), "a3": ""}
    page.slots.files["a3"].setFilePath(str(tmp_path / "b.nc"))
    assert page.choices().slots["a3"] == str(tmp_path / "b.nc")
