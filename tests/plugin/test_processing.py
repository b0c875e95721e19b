"""The algorithms as QGIS sees them: names, keys, help, and sentences before anything is started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from qgis.core import (
    Qgis,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterNumber,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsGui, QgsProcessingGui
from toolbox import Feedback, checked, context, raster, record, run

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.paths import resource
from geoseg_plugin.processing import algorithms
from geoseg_plugin.processing.parameters import chosen_bands
from geoseg_plugin.processing.provider import ALGORITHMS, GeoSegProvider

IDS = {
    "stackrasters",
    "terrainattributes",
    "rasterizelabels",
    "maketiles",
    "checklabels",
    "exportchips",
    "trainmodel",
    "trainforest",
    "pretrain",
    "compare",
    "crossvalidate",
    "searchsettings",
    "predict",
    "mapfromlayers",
    "evaluate",
    "polygonize",
    "cleanclasses",
    "classareas",
    "samplepoints",
    "exportlayout",
}


def test_ids_are_the_promised_ones(provider: GeoSegProvider) -> None:
    assert provider.id() == "geoseg"
    assert {algorithm.name() for algorithm in provider.algorithms()} == IDS
    assert all(re.fullmatch(r"[a-z0-9]+", name) for name in IDS)


def test_every_module_of_algorithms_is_in_the_toolbox() -> None:
    modules = {path.stem for path in Path(algorithms.__file__).parent.glob("*.py")} - {"__init__"}
    assert [made.ID for made in ALGORITHMS] == sorted(modules)


@pytest.mark.parametrize("made", ALGORITHMS, ids=lambda made: made.ID)
def test_every_parameter_and_output_is_explained(made: type, provider: GeoSegProvider) -> None:
    algorithm = provider.algorithm(made.ID)
    text = algorithm.shortHelpString()
    prose = resource("help", f"{made.ID}.html").read_text(encoding="utf-8")
    assert [word for word in prose.split() if word not in text] == []
    assert "\n" not in text, "QGIS makes a paragraph of every line"
    keys = {item.name() for item in algorithm.parameterDefinitions()}
    keys |= {item.name() for item in algorithm.outputDefinitions()}
    assert all(re.fullmatch(r"[A-Z_]+", key) for key in keys)
    missing = [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)]
    assert missing == []


@pytest.mark.parametrize("made", ALGORITHMS, ids=lambda made: made.ID)
def test_help_names_parameters_as_the_dialog_does(made: type, provider: GeoSegProvider) -> None:
    algorithm = provider.algorithm(made.ID)
    titles = {item.name(): item.description().lower() for item in algorithm.parameterDefinitions()}
    named = re.findall(r"<b>([^<]+)</b> \(([A-Z_]+)\)", algorithm.shortHelpString())
    other = {key: name for name, key in named if not titles.get(key, name.lower()).startswith(name.lower())}
    assert other == {}


def test_titles_name_a_unit_once_and_whole_numbers_without_decimals(provider: GeoSegProvider) -> None:
    titles = {
        (algorithm.name(), item.name()): item.description()
        for algorithm in provider.algorithms()
        for item in algorithm.parameterDefinitions()
    }
    assert [title for title in titles.values() if re.search(r"\d\.0:", title)] == []
    assert titles["trainmodel", "WIDTH"] == "Base channels (0: automatic)"
    assert titles["trainmodel", "CROP_SIZE"] == "Crop size (px; 0: automatic)"
    assert titles["cleanclasses", "BACKGROUND"] == "Background class (empty: automatic)"


def test_whole_numbers_fit_the_box_of_the_dialog(provider: GeoSegProvider) -> None:
    numbers = [
        (algorithm.name(), item)
        for algorithm in provider.algorithms()
        for item in algorithm.parameterDefinitions()
        if isinstance(item, QgsProcessingParameterNumber)
        and item.dataType() == Qgis.ProcessingNumberParameterType.Integer
    ]
    without_limit = QgsProcessingParameterNumber("X").maximum()
    wide = [(name, item.name()) for name, item in numbers if 2**31 <= item.maximum() < without_limit]
    assert numbers and wide == []


def test_dialogs_open_with_the_defaults(provider: GeoSegProvider) -> None:
    registry, used = QgsGui.processingGuiRegistry(), context()
    for algorithm in provider.algorithms():
        for parameter in algorithm.parameterDefinitions():
            if parameter.type() in ("number", "enum", "boolean"):
                wrapper = registry.createParameterWidgetWrapper(
                    parameter, QgsProcessingGui.WidgetType.Standard
                )
                widget, value = wrapper.createWrappedWidget(used), wrapper.parameterValue()
                assert parameter.checkValueIsAcceptable(value), (algorithm.id(), parameter.name(), value)
                if parameter.type() == "number":
                    assert value == parameter.defaultValue(), (algorithm.id(), parameter.name(), value)
                widget.deleteLater()


def test_algorithms_run_in_the_background(provider: GeoSegProvider) -> None:
    for algorithm in provider.algorithms():
        assert not algorithm.flags() & Qgis.ProcessingAlgorithmFlag.NoThreading


def test_without_engine_one_sentence_and_two_ways(
    provider: GeoSegProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GEOSEG_ENGINE_PYTHON", raising=False)
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path / "nothing"))
    said = checked(
        provider, "terrainattributes", DEM=str(raster(tmp_path / "d.tif")), OUTPUT=str(tmp_path / "o.tif")
    )
    assert "not set up" in said and "Engine" in said and "geoseg_plugin.engine.installer" in said


def test_vanished_and_ungeoreferenced_layers(
    provider: GeoSegProvider, engine: None, tmp_path: Path, qgis_new_project: object
) -> None:
    layer = QgsRasterLayer(str(raster(tmp_path / "gone.tif")), "gone")
    bare = QgsRasterLayer(str(raster(tmp_path / "bare.tif", georeferenced=False)), "bare")
    QgsProject.instance().addMapLayers([layer, bare])
    (tmp_path / "gone.tif").unlink()
    said = checked(provider, "stackrasters", LAYERS=[layer, bare], OUTPUT=str(tmp_path / "o.tif"))
    assert "'gone' is gone" in said and "'bare' has no coordinate reference system" in said


@pytest.mark.parametrize(
    ("bands", "part"),
    [("other:1", "the layers are: a"), ("a:3", "bands 1 to 2"), ("a:x", "'x' is no band number")],
)
def test_bands_that_do_not_fit(
    provider: GeoSegProvider, engine: None, tmp_path: Path, bands: str, part: str
) -> None:
    path = str(raster(tmp_path / "a.tif"))
    assert part in checked(
        provider, "stackrasters", LAYERS=[path], BANDS=bands, OUTPUT=str(tmp_path / "o.tif")
    )


def test_bands_are_read_with_ranges(tmp_path: Path, qgis_app: object) -> None:
    layer = QgsRasterLayer(str(raster(tmp_path / "a.tif", 5)), "a: odd")
    assert chosen_bands("a: odd:1, 3-5 ;", [layer]) == {layer.id(): (1, 3, 4, 5)}
    assert chosen_bands("", [layer]) == {}


def test_train_and_evaluate_name_what_is_missing(
    provider: GeoSegProvider, engine: None, tmp_path: Path
) -> None:
    said = checked(provider, "trainmodel", DATASET=str(tmp_path), DEVICE="gpu", OUTPUT=str(tmp_path / "run"))
    assert "no dataset" in said and "maketiles" in said and "'gpu' is no device" in said
    (tmp_path / "dataset.json").write_text("{}", encoding="utf-8")
    assert checked(provider, "trainmodel", DATASET=str(tmp_path), OUTPUT=str(tmp_path / "run")) == ""
    both = checked(provider, "evaluate", DATASET=str(tmp_path), OUTPUT=str(tmp_path / "eval"))
    assert "either a model or a map" in both


def test_tiles_that_cannot_be(
    provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    stack = str(raster(tmp_path / "stack.tif"))
    fixed = {"STACK": stack, "LABELS": slides.id(), "OUTPUT": str(tmp_path / "dataset")}
    assert checked(provider, "maketiles", **fixed) == ""
    said = checked(provider, "maketiles", **fixed, TILE_SIZE=50, STRIDE=60, TRAIN=0.9)
    assert "50 px" in said and "60 px" in said and "1.3" in said


def test_an_extent_without_extent(
    provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    stack = str(raster(tmp_path / "stack.tif"))
    said = checked(
        provider, "rasterizelabels", STACK=stack, LABELS=slides, AREA="extent", OUTPUT=str(tmp_path / "l.tif")
    )
    assert "none is given" in said


@pytest.mark.parametrize(
    ("name", "raster_key"), [("maketiles", "STACK"), ("rasterizelabels", "STACK"), ("checklabels", "LAYERS")]
)
def test_a_class_field_that_the_labels_do_not_have(
    name: str, raster_key: str, provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    stack = str(raster(tmp_path / "stack.tif"))
    given = {raster_key: [stack] if raster_key == "LAYERS" else stack, "LABELS": slides}
    given["OUTPUT"] = str(tmp_path / ("o.gpkg" if name == "checklabels" else "o.tif"))
    assert checked(provider, name, **given, CLASS_FIELD="kind") == ""
    said = checked(provider, name, **given, CLASS_FIELD="klass")
    assert "Layer 'slides' has no field 'klass'. Its fields are: kind." in said
    feedback = Feedback()
    assert (
        not provider.algorithm(name).create().prepare({**given, "CLASS_FIELD": "klass"}, context(), feedback)
    )
    assert any("no field 'klass'" in line for line in feedback.said)


def test_a_split_field_that_the_area_does_not_have(
    provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    fixed = {"STACK": str(raster(tmp_path / "stack.tif")), "LABELS": slides, "OUTPUT": str(tmp_path)}
    said = checked(provider, "maketiles", **fixed, LABELLED_AREA=slides, SPLIT_FIELD="part")
    assert "no field 'part'" in said and "kind" in said and "SPLIT_FIELD" in said


@pytest.mark.parametrize("name", ["stackrasters", "predict", "checklabels"])
def test_a_vector_layer_among_rasters(
    name: str, provider: GeoSegProvider, engine: None, tmp_path: Path, slides: QgsVectorLayer
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    more = {"predict": {"MODEL": str(tmp_path / "model.onnx")}, "checklabels": {"LABELS": slides}}
    layers = [str(raster(tmp_path / "a.tif")), slides.id()]
    output = str(tmp_path / ("o.gpkg" if name == "checklabels" else "o.tif"))
    said = checked(provider, name, LAYERS=layers, OUTPUT=output, **more.get(name, {}))
    assert "LAYERS: layer 'slides' is no raster." in said


def test_stack_job_has_bands_terrain_and_extent(
    provider: GeoSegProvider, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = record(monkeypatch)
    optical, dem = str(raster(tmp_path / "optical.tif", 3)), str(raster(tmp_path / "dem.tif", 1))
    run(
        provider,
        "stackrasters",
        LAYERS=[optical],
        BANDS="optical:1,3",
        DEM=dem,
        TERRAIN=["slope"],
        EXTENT="600000,600040,5099960,5100000 [EPSG:32632]",
        TARGET_RESOLUTION=5,
        OUTPUT=str(tmp_path / "o.tif"),
    )
    job = taken[0].job
    assert [(band.index, band.derive) for band in job.bands] == [(1, ""), (3, ""), (1, "slope")]
    assert job.grid.pixel_size == (5, 5)
    assert job.grid.extent == (600000, 5099960, 600040, 5100000)
    assert job.output == str(tmp_path / "o.tif")
    assert job.problems() == []


def test_a_file_that_the_engine_cannot_open_is_copied_and_tried_again(
    provider: GeoSegProvider, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(raster(tmp_path / "odd.tif", 1))
    refusal = GeoSegError("cannot_open", f"The engine cannot open layer 'odd': {path}")
    taken = record(monkeypatch, refusal, {})
    run(provider, "stackrasters", LAYERS=[path], OUTPUT=str(tmp_path / "o.tif"))
    assert taken[0].job.sources[0].path == path
    copy = Path(taken[1].job.sources[0].path)
    assert copy.parent == tmp_path / "o_copies" and copy.exists()
    assert taken[1].job.sources[0].name == "odd"


def test_labels_are_snapshots_with_classes_and_selection(
    provider: GeoSegProvider,
    engine: None,
    tmp_path: Path,
    slides: QgsVectorLayer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = record(monkeypatch)
    slides.startEditing()
    slides.changeAttributeValue(1, 0, "mud")
    slides.selectByIds([1])
    run(
        provider,
        "rasterizelabels",
        STACK=str(raster(tmp_path / "stack.tif")),
        LABELS=QgsProcessingFeatureSourceDefinition(slides.id(), True),
        CLASS_FIELD="kind",
        LABELLED_AREA=slides.id(),
        UNLABELLED="unknown",
        OUTPUT=str(tmp_path / "labels.tif"),
    )
    slides.rollBack()
    job = taken[0].job
    assert [item.name for item in job.labels.classes] == ["mud"], (
        "a class without a label would have no pixel"
    )
    assert (job.labels.unlabelled, job.area.kind) == ("unknown", "polygons")
    written = QgsVectorLayer(f"{job.labels.path}|layername={job.labels.layer}", "w", "ogr")
    assert [feature["kind"] for feature in written.getFeatures()] == ["mud"]
    assert QgsVectorLayer(f"{job.area.path}|layername={job.area.layer}", "w", "ogr").featureCount() == 2


def test_loaded_predictions_come_as_one_group(
    provider: GeoSegProvider, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, {"classes": []})
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "model.onnx").touch()
    used = context()
    parameters = {
        "MODEL": str(tmp_path / "north" / "model.onnx"),
        "LAYERS": [],
        "OUTPUT": QgsProcessingOutputLayerDefinition(str(tmp_path / "c.tif"), QgsProject.instance()),
        "OUTPUT_POLYGONS": QgsProcessingOutputLayerDefinition(
            str(tmp_path / "p.gpkg"), QgsProject.instance()
        ),
    }
    _, fine = provider.algorithm("predict").create().run(parameters, used, Feedback(), {}, False)
    assert fine
    loaded = used.layersToLoadOnCompletion()
    assert {item.groupName for item in loaded.values()} == {"Prediction north"}
    assert loaded[str(tmp_path / "p.gpkg")].layerSortKey > loaded[str(tmp_path / "c.tif")].layerSortKey


def test_a_failure_is_message_and_hint(
    provider: GeoSegProvider, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(monkeypatch, GeoSegError("no_overlap", "Nothing overlaps.", "Choose other layers."))
    with pytest.raises(QgsProcessingException, match=r"Nothing overlaps\. Choose other layers\."):
        run(
            provider,
            "terrainattributes",
            DEM=str(raster(tmp_path / "d.tif", 1)),
            OUTPUT=str(tmp_path / "t.tif"),
        )


def test_cancelled_training_keeps_its_model(
    provider: GeoSegProvider, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geoseg_plugin.contract import Cancelled

    (tmp_path / "dataset.json").write_text("{}", encoding="utf-8")
    (tmp_path / "run").mkdir()
    record(monkeypatch, Cancelled(), Cancelled())
    settings = {"DATASET": str(tmp_path), "OUTPUT": str(tmp_path / "run")}
    assert run(provider, "trainmodel", **settings) == {}
    (tmp_path / "run" / "model.onnx").touch()
    assert run(provider, "trainmodel", **settings)["MODEL"] == str(tmp_path / "run" / "model.onnx")
