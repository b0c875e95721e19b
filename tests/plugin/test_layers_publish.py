"""Results arrive in one group on top, styled, from disk, with styles and facts that travel with the files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from classmaps import PLAIN as CLASSES
from engine_results import raster
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsLayerNotesUtils,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.layers import publish


def vector(path: Path, layer: str, columns: dict[str, list], first: bool = True) -> Path:
    fields = QgsFields()
    for name, column in columns.items():
        kind = QMetaType.Type.QString if isinstance(column[0], str) else QMetaType.Type.Double
        fields.append(QgsField(name, kind))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", layer
    if not first:
        options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    project = QgsProject.instance()
    crs = QgsVectorLayer("Polygon?crs=EPSG:32632", "", "memory").crs()
    writer = QgsVectorFileWriter.create(
        str(path), fields, QgsWkbTypes.Type.Polygon, crs, project.transformContext(), options
    )
    for index, row in enumerate(zip(*columns.values(), strict=True)):
        feature = QgsFeature(fields)
        feature.setAttributes(list(row))
        left, top = 600000 + (index % 4) * 320, 5100000 - (index // 4) * 320
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - 300, left + 300, top)))
        writer.addFeature(feature)
    del writer
    return path


@pytest.fixture
def prediction(tmp_path: Path, qgis_new_project: object) -> tuple[Path, dict]:
    rows, cols = np.mgrid[0:128, 0:128]
    classes = ((rows // 40 + cols // 40) % 3).astype(np.uint8)
    classes[:8] = 255
    confidence = (cols / 127).astype(np.float32)
    raster(tmp_path / "classes.tif", classes, 255)
    raster(tmp_path / "confidence.tif", confidence, -1)
    raster(tmp_path / "entropy.tif", 1 - confidence, -1)
    vector(tmp_path / "polygons.gpkg", "polygons", {"class_name": ["scarp", "deposit"], "score": [0.9, 0.4]})
    result = {
        "output": "classes.tif",
        "confidence": str(tmp_path / "confidence.tif"),
        "entropy": "",
        "polygons": "polygons.gpkg",
        "classes": CLASSES,
        "areas_m2": {"1": 2e4, "2": 3e7},
        "runtime": "torch",
        "precision": "bf16",
        "matched": [{"slot": "dem", "file": "/a/dem.tif"}],
        "warnings": [{"code": "x", "message": "Careful.", "hint": ""}],
    }
    return tmp_path, result


def test_a_prediction_is_one_group_on_top(prediction: tuple[Path, dict]) -> None:
    project = QgsProject.instance()
    project.addMapLayer(QgsVectorLayer("Point?crs=EPSG:4326", "mine", "memory"))
    group = publish.publish_prediction(*prediction)
    assert [node.name() for node in project.layerTreeRoot().children()] == [group.name(), "mine"]
    assert [node.name() for node in group.findLayers()] == ["Polygons", "Classes", "Confidence"]
    assert [node.itemVisibilityChecked() for node in group.findLayers()] == [True, True, False]
    for node in group.findLayers():
        assert Path(node.layer().source().split("|")[0]).is_absolute()


def test_opening_a_result_reads_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QGIS's first style of a float raster needs its histogram; on ten bands that froze QGIS for 150 ms."""
    path = raster(tmp_path / "stack.tif", np.zeros((64, 64), np.float32))
    layer = publish.open_layer(publish.Item(path, "Stack", lambda layer: None))
    assert isinstance(layer, QgsRasterLayer)
    assert layer.renderer().contrastEnhancement() is None
    assert not layer.dataProvider().hasHistogram(1, 0)


def test_classes_have_names_and_the_labels_colours(prediction: tuple[Path, dict]) -> None:
    polygons, classes, confidence = [
        node.layer() for node in publish.publish_prediction(*prediction).findLayers()
    ]
    assert isinstance(classes.renderer(), QgsPalettedRasterRenderer)
    shown = {
        item.value: (item.label, item.color.name(), item.color.alpha())
        for item in classes.renderer().classes()
    }
    assert shown[1] == ("scarp", "#d55e00", 255)
    assert shown[0][2] == 0 and 255 not in shown
    assert isinstance(polygons.renderer(), QgsCategorizedSymbolRenderer)
    assert [item.value() for item in polygons.renderer().categories()] == ["scarp", "deposit"]
    assert isinstance(confidence.renderer(), QgsSingleBandPseudoColorRenderer)
    assert (confidence.renderer().classificationMin(), confidence.renderer().classificationMax()) == (0, 1)


def test_styles_and_facts_travel_with_the_files(prediction: tuple[Path, dict]) -> None:
    folder, result = prediction
    group = publish.publish_prediction(folder, result)
    notes = QgsLayerNotesUtils.layerNotes(group.findLayers()[0].layer())
    assert "bf16" in notes and "scarp 2.00 ha, deposit 30.00 km²" in notes and "Careful." in notes
    QgsProject.instance().clear()
    polygons = QgsVectorLayer(f"{folder}/polygons.gpkg|layername=polygons", "again", "ogr")
    assert isinstance(polygons.renderer(), QgsCategorizedSymbolRenderer)
    classes = QgsRasterLayer(str(folder / "classes.tif"), "again")
    assert [item.label for item in classes.renderer().classes()] == ["background", "scarp", "deposit"]
    classes.loadDefaultMetadata()
    assert "bf16" in classes.metadata().abstract()
    assert "bf16" in polygons.metadata().abstract()


def test_errors_say_true_and_false(prediction: tuple[Path, dict]) -> None:
    folder, _ = prediction
    raster(folder / "errors.tif", np.ones((8, 8), np.uint8), 255)
    result = {"errors": "errors.tif", "classes": CLASSES[:2], "errors_kind": "true_false", "per_class": []}
    layer = publish.publish_evaluation(folder, result).findLayers()[0].layer()
    assert [item.value for item in layer.renderer().classes()] == [1, 2, 3]
    result["errors_kind"] = "right_wrong"
    layer = publish.publish_evaluation(folder, result).findLayers()[0].layer()
    right, wrong = layer.renderer().classes()
    assert (right.label, wrong.label) == ("Right", "Wrong")
    assert right.color.saturation() == 0 and 0 < right.color.alpha() < 255 == wrong.color.alpha()


def dataset_json(folder: Path) -> None:
    grid = {"crs": "EPSG:32632", "transform": [10, 0, 6e5, 0, -10, 5.1e6], "width": 128, "height": 128}
    band = {"name": "dem", "source": "r1"}
    recipe = {"sources": [{"key": "r1", "path": "/a.tif"}], "bands": [band], "grid": grid}
    data = {
        "name": "valley",
        "recipe": recipe,
        "labels": "labels.tif",
        "split": "split.tif",
        "tiles": "tiles.gpkg",
        "stack": "stack.tif",
        "classes": CLASSES,
        "counts": {"train": {"0": 5, "1": 7}},
    }
    (folder / "dataset.json").write_text(json.dumps(data), encoding="utf-8")


def test_tiles_are_coloured_by_split_and_counted(prediction: tuple[Path, dict]) -> None:
    folder, _ = prediction
    dataset_json(folder)
    raster(folder / "labels.tif", np.ones((8, 8), np.uint8), 255)
    raster(folder / "stack.tif", np.random.default_rng(1).random((800, 700), np.float32), -1)
    splits = ["train", "train", "validation", "test", "unused", "train"]
    columns = {"split": splits, "n_background": [5.0] * 6, "n_scarp": [0.0, 3, 0, 9, 1, 1]}
    vector(folder / "tiles.gpkg", "tiles", columns)
    vector(folder / "tiles.gpkg", "blocks", {"split": ["train", "test"]}, first=False)
    group = publish.publish_tiles(folder)
    assert group.name() == "Tiles valley"
    tiles = group.findLayers()[0].layer()
    assert [item.label() for item in tiles.renderer().categories()][:2] == [
        "Training: 3 tiles",
        "Validation: 1 tiles",
    ]
    assert [node.name() for node in group.findLayers()] == ["Tiles", "Split blocks", "Labels", "Stack"]
    assert tiles.labelsEnabled()
    stretch = group.findLayers()[3].layer().renderer().contrastEnhancement()
    assert 0 < stretch.minimumValue() < 0.1 < 0.9 < stretch.maximumValue() < 1


def test_a_broken_dataset_says_so(tmp_path: Path) -> None:
    with pytest.raises(GeoSegError, match=r"dataset.json"):
        publish.publish_tiles(tmp_path)
    (tmp_path / "dataset.json").write_text("{", encoding="utf-8")
    with pytest.raises(GeoSegError) as caught:
        publish.publish_tiles(tmp_path)
    assert caught.value.code == "bad_json"
