"""Layers of a prediction beyond classes: how far to trust it, where it guesses, and what its notes say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from classmaps import PLAIN as CLASSES
from engine_results import raster
from qgis.core import QgsLayerNotesUtils, QgsProject

from geoseg_plugin.contract import Cleaning
from geoseg_plugin.jobs import predict
from geoseg_plugin.jobs.submission import write
from geoseg_plugin.layers import publish
from geoseg_plugin.layers.colors import BEYOND_COLORS
from geoseg_plugin.records.predictions import with_facts


def test_all_layers_come_styled_with_fixed_ramps(tmp_path: Path, qgis_new_project: object) -> None:
    values = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (16, 1))
    result = {"classes": CLASSES}
    for key in ("confidence", "margin", "entropy", "disagreement"):
        result[key] = str(raster(tmp_path / f"{key}.tif", values))
    result["output"] = str(raster(tmp_path / "classes.tif", np.ones((16, 16), np.uint8), 255))
    beyond = np.tile(np.arange(16, dtype=np.uint8), (16, 1))
    result["beyond"] = str(raster(tmp_path / "beyond.tif", beyond, 255))
    group = publish.publish_prediction(tmp_path, result)
    layers = {node.name(): node.layer() for node in group.findLayers()}
    assert list(layers) == ["Beyond training", "Classes", "Confidence", "Margin", "Entropy", "Disagreement"]
    assert layers["Margin"].renderer().classificationMax() == 1
    assert layers["Disagreement"].renderer().classificationMax() == 0.5
    shader = layers["Beyond training"].renderer().shader().rasterShaderFunction()
    drawn = {value: shader.shade(float(value))[1:] for value in (0, 1, 2, 3, 4, 9)}
    assert drawn[0][3] == 0
    shown = ["#{:02x}{:02x}{:02x}".format(*drawn[value][:3]) for value in (1, 2, 3, 4, 9)]
    assert shown == [*BEYOND_COLORS, BEYOND_COLORS[-1]]
    QgsProject.instance().clear()


def test_notes_name_model_score_views_and_cleaning(tmp_path: Path, qgis_new_project: object) -> None:
    run, folder = tmp_path / "run", tmp_path / "map"
    run.mkdir()
    (run / "metrics.json").write_text(json.dumps({"miou": 0.625, "split": "validation"}), encoding="utf-8")
    cleaning = Cleaning(majority_px=3, min_patch_px=9)
    write(predict.predict(folder, run / "model.onnx", tta="flips", cleaning=cleaning))
    raster(folder / "classes.tif", np.ones((8, 8), np.uint8), 255)
    result = {"output": "classes.tif", "classes": CLASSES, "views": 4, "cleaned": {"changed_px": 12}}
    group = publish.publish_prediction(folder, with_facts(folder, result))
    notes = QgsLayerNotesUtils.layerNotes(group.findLayers()[0].layer())
    assert str(run / "model.onnx") in notes
    assert "mean IoU on the validation set 0.625" in notes
    assert "4 views of each pixel" in notes
    assert "majority in 3 px, patches below 9 px; 12 pixels changed class" in notes
    QgsProject.instance().clear()
