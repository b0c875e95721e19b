"""What is found out about a map, in qgis_process with the real engine: a sample, areas, scores, a sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal, ogr
from qgis_processes import NEEDED, run
from small_scene import CLASSES

pytestmark = NEEDED


def test_from_a_map_to_a_sheet_that_can_be_handed_over(config: Path, tmp_path: Path, classes: Path) -> None:
    points = tmp_path / "points.gpkg"
    laid = run(config, "samplepoints", f"INPUT={classes}", "COUNT=90", "ALLOCATION=equal", f"OUTPUT={points}")
    assert laid["POINTS"] == 90
    source = ogr.Open(str(points), 1)
    layer = source.GetLayer(0)
    for number, feature in enumerate(layer):
        feature["reference"] = feature["class_name"] if number % 10 else "ground"
        layer.SetFeature(feature)
    del layer, source
    found = run(config, "classareas", f"INPUT={classes}", f"SAMPLE={points}", f"OUTPUT={tmp_path / 'areas'}")
    assert found["TOTAL"] == pytest.approx(1.8e6, rel=0.01) and 0.85 < found["ACCURACY"] < 1
    rows = json.loads(Path(found["AREAS"]).read_text(encoding="utf-8"))["rows"]
    assert [row["name"] for row in rows] == list(CLASSES)
    assert all(row["low_m2"] <= row["adjusted_m2"] <= row["high_m2"] for row in rows)
    folder = tmp_path / "judged"
    judged = run(config, "evaluate", f"PREDICTION={classes}", f"TRUTH={classes}", f"OUTPUT={folder}")
    assert judged["ACCURACY"] == 1 and Path(judged["ERRORS"]).is_file()
    sheet, picture = tmp_path / "map.pdf", tmp_path / "map.png"
    drawn = run(
        config,
        "exportlayout",
        f"INPUT={classes}",
        f"AREAS={found['AREAS']}",
        f"METRICS={folder / 'metrics.json'}",
        "TITLE=Forest and water",
        f"OUTPUT={sheet}",
        f"OUTPUT_PICTURE={picture}",
    )
    assert (drawn["OUTPUT"], drawn["OUTPUT_PICTURE"]) == (str(sheet), str(picture))
    assert sheet.read_bytes().startswith(b"%PDF") and gdal.Open(str(picture)).RasterXSize > 1500


def test_relative_paths_mean_the_folder_one_works_in(config: Path, tmp_path: Path, classes: Path) -> None:
    cleaned = run(config, "cleanclasses", "--INPUT=classes.tif", "--OUTPUT=out/clean.tif", folder=tmp_path)
    assert cleaned["OUTPUT"] == str(tmp_path / "out" / "clean.tif")
    assert gdal.Open(cleaned["OUTPUT"]).RasterXSize == 150
    run(config, "classareas", "--INPUT=out/clean.tif", "--OUTPUT=areas", folder=tmp_path)
    assert (tmp_path / "areas" / "areas.csv").is_file()
