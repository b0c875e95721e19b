"""The STAC sidecar says what the model file says, in the fields that MLM 1.4.0 and 1.5.0 ask for."""

import json
import re
from dataclasses import replace

import pytest
from prediction_scenes import CLASSES, STATISTICS, grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.contract import Band, Grid, Recipe, Source, index_band
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stac import EXTENSION, footprint, parameter_count, stac_item, write_sidecar

ITEM_FIELDS = {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"}
OTHER_FIELDS = {
    "mlm:framework",
    "mlm:framework_version",
    "mlm:memory_size",
    "mlm:total_parameters",
    "mlm:accelerator",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file of ours and its sidecar."""
    folder = tmp_path_factory.mktemp("sidecar")
    grid = grid_of(64, 96)
    image = write_raster(folder / "image.tif", scene(64, 96), grid)
    trained = {"created": "2026-05-01T10:00:00+02:00", "dataset": "Fields, 2nd try"}
    path = write_model(folder / "model.onnx", recipe_of(image, grid), trained=trained)
    write_sidecar(path)
    return path


def sidecar(model):
    return json.loads((model.parent / "model.stac.json").read_text(encoding="utf-8"))


def check(found):
    """What the schemas of STAC 1.1 and MLM 1.4.0 require of an item, written out."""
    assert found["type"] == "Feature" and found["stac_version"] == "1.1.0"
    assert EXTENSION in found["stac_extensions"] and "/mlm/v1.4.0/" in EXTENSION
    assert isinstance(found["links"], list) and re.fullmatch(r"[\w-]+", found["id"])
    said = found["properties"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["datetime"])
    own = {key for key in said if key.startswith("mlm:")}
    assert own >= ITEM_FIELDS and own <= ITEM_FIELDS | OTHER_FIELDS
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", said["mlm:name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["mlm:framework_version"])
    assert said["mlm:tasks"] == ["semantic-segmentation"]
    (given,), (answer,) = said["mlm:input"], said["mlm:output"]
    for entry, part in ((given, given["input"]), (answer, answer["result"])):
        assert all(re.fullmatch("[a-z-_]+", name) for name in part["dim_order"])
        # MLM 1.5.0: dimensions of these names stand for what is listed, and only for that
        for kind in ("bands", "variables"):
            assert (kind in part["dim_order"]) == bool(entry.get(kind))
        assert len(set(part["dim_order"])) == 4
        assert len(part["shape"]) == len(part["dim_order"]) == 4 and part["data_type"] == "float32"
        assert part["shape"][0] == -1 and min(part["shape"][1:]) > 0
    bands = given["input"]["shape"][given["input"]["dim_order"].index("bands")]
    assert len(given["value_scaling"]) == len(given["bands"]) == bands
    for scaling in given["value_scaling"]:
        assert scaling["type"] == "z-score" and scaling.keys() == {"type", "mean", "stddev"}
    for band in given["bands"]:
        assert ("format" in band) == ("expression" in band) and band["name"]
    assert {band["name"] for band in said["bands"]} == {band["name"] for band in given["bands"]}
    for entry in answer["classification:classes"]:
        assert isinstance(entry["value"], int) and entry["description"]
        assert re.fullmatch(r"[0-9A-Za-z_-]+", entry["name"])
        assert re.fullmatch(r"[0-9A-F]{6}", entry["color_hint"])
    models = [asset for asset in found["assets"].values() if "mlm:model" in asset["roles"]]
    assert models and all(asset["mlm:artifact_type"] and asset["href"] for asset in models)


def test_it_has_what_the_extension_requires_and_says_what_the_model_says(model):
    found = sidecar(model)
    check(found)
    said = found["properties"]
    assert said["datetime"] == "2026-05-01T08:00:00Z" and said["gsd"] == pytest.approx(10, rel=2e-3)
    assert said["mlm:name"] == "GeoSeg Fields-2nd-try" and said["mlm:architecture"] == "unet"
    trained = sum(number.numel() for number in load_network(model).state_dict().values())
    batches = sum(name.endswith("num_batches_tracked") for name in load_network(model).state_dict())
    assert (
        said["mlm:total_parameters"] == parameter_count(model)
        and abs(parameter_count(model) - trained) <= batches
    )
    (given,), (answer,) = said["mlm:input"], said["mlm:output"]
    assert [band["name"] for band in given["bands"]] == ["red", "height"]
    assert [entry["mean"] for entry in given["value_scaling"]] == list(STATISTICS.mean)
    assert [entry["description"] for entry in answer["classification:classes"]] == [c.name for c in CLASSES]
    west, south, east, north = found["bbox"]
    assert 3 - 0.01 < west < east < 3.02 and 45 < south < north < 45.2
    assert found["assets"]["model"]["href"] == "./model.onnx"


def test_bands_that_are_computed_say_how(model):
    bands = (
        index_band("NDVI", {"nir": "height", "red": "red"}),
        Band("slope", "r1", 2, "slope", parameters={"unit": "degree"}),
    )
    described = read_model(model)
    recipe = replace(described.recipe, bands=bands)
    found = stac_item(replace(described, recipe=recipe), 1)
    check(found)
    first, second = found["properties"]["mlm:input"][0]["bands"]
    assert first["expression"]["inputs"] == {"nir": "height", "red": "red"} and first["expression"]["formula"]
    assert second["expression"]["derive"] == "slope" and second["expression"]["parameters"] == {
        "unit": "degree"
    }


def test_ground_across_the_date_line_and_nowhere(model):
    across = footprint(Grid("EPSG:32701", (1000, 0, 100_000, 0, -1000, 8_000_000), 300, 50))
    assert across["geometry"]["type"] == "MultiPolygon" and across["bbox"][0] > across["bbox"][2]
    assert footprint(Grid('LOCAL_CS["plan",UNIT["metre",1]]', (1, 0, 0, 0, -1, 0), 5, 5)) == {
        "geometry": None
    }
    described = read_model(model)
    local = Recipe((Source("r", "a.tif"),), described.recipe.bands, grid_of(64, 96))
    check(stac_item(replace(described, recipe=local)))


def test_pystac_reads_it_and_finds_it_valid(model):
    pystac = pytest.importorskip("pystac")
    mlm = pytest.importorskip("pystac.extensions.mlm")
    validation = pytest.importorskip("pystac.validation.stac_validator")
    pytest.importorskip("jsonschema")
    found = pystac.Item.from_file(str(model.parent / "model.stac.json"))
    validator = validation.JsonSchemaSTACValidator()  # with the schemas that it carries: no network
    validator.validate_core(found.to_dict(), pystac.STACObjectType.ITEM, found.to_dict()["stac_version"])
    read = mlm.MLMExtension.ext(found)
    assert read.tasks == ["semantic-segmentation"] and read.framework == "ONNX"
    assert [band.name for band in read.input[0].bands] == ["red", "height"]
    assert read.input[0].to_dict()["value_scaling"][1]["stddev"] == STATISTICS.std[1]
    assert [entry.value for entry in read.output[0].classes] == [0, 1, 2]
