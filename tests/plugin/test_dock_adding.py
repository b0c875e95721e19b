"""Dialogs that add bands, the table of bands, and the classes' table: what comes out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docked import polygon_layer, raster_layer
from engine_results import OFFER, SUMMARY
from osgeo import gdal
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import QDialogButtonBox

from geoseg_plugin.contract import Band, LabelClass, Source, StackJob
from geoseg_plugin.jobs.additions import Addition
from geoseg_plugin.jobs.bandroles import LayerBands, guess_bands
from geoseg_plugin.jobs.choices import LabelEdits, MoreLabels
from geoseg_plugin.jobs.composition import Composition, compose
from geoseg_plugin.jobs.inputs import RasterInput
from geoseg_plugin.jobs.legend import edited
from geoseg_plugin.layers.spectra import layer_bands
from geoseg_plugin.steps.data.add_band.derived import radar_dialog, relief_dialog
from geoseg_plugin.steps.data.add_band.dialog import AddDialog, band_options
from geoseg_plugin.steps.data.add_band.expression import ExpressionDialog
from geoseg_plugin.steps.data.add_band.index import IndexDialog
from geoseg_plugin.steps.data.add_band.series import SeriesDialog, clear_code
from geoseg_plugin.steps.data.add_band.vector import VectorDialog
from geoseg_plugin.steps.data.page import DataPage
from geoseg_plugin.steps.data.state import RasterRow
from geoseg_plugin.steps.data.widgets.band_tree import BandTree
from geoseg_plugin.steps.data.widgets.band_window import BandWindow, clip_values
from geoseg_plugin.steps.data.widgets.class_table import ClassTable

ROWS = [
    RasterRow("id_optical", "optical", ("B2", "B3", "B4", "B8"), "10 m", tick=True),
    RasterRow("id_dem", "dem", ("elevation",), "10 m", tick=True, dem=True),
    RasterRow("id_gone", "gone", ("x",), problem="The file is gone."),
]
RASTERS = [
    RasterInput("/o.tif", "optical", ("B2", "B3", "B4", "B8"), (1, 2), layer_id="id_optical"),
    RasterInput("/d.tif", "dem", ("elevation",), (), layer_id="id_dem"),
]


@pytest.fixture(autouse=True)
def _clean_project(qgis_app: Any, qgis_new_project: None) -> None:
    """Every test begins with an empty project."""


def can_add(dialog: AddDialog) -> bool:
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled()


def is_whole(addition: Addition) -> Composition:
    """The addition gives a job without problems."""
    made = compose(RASTERS, [addition])
    assert StackJob(made.sources, made.bands, intermediates=made.intermediates).problems() == []
    return made


def bands_of(name: str, names: tuple[str, ...], sensor: str = "", *waves: float) -> LayerBands:
    """What is known of a layer's bands."""
    return LayerBands(f"id_{name}", name, names, waves or (None,) * len(names), sensor)


OPTICAL = bands_of("optical", ("B2", "B3", "B4", "B8"), "S2A_MSIL2A_2020")


def test_an_index_proposes_its_bands_and_brings_those_that_are_not_ticked() -> None:
    dialog = IndexDialog(band_options(ROWS), layers=[OPTICAL])
    dialog.index.setCurrentIndex(dialog.index.findData("NDVI"))
    assert can_add(dialog)
    assert "Red: band 4 of Sentinel-2" in dialog.proposal.text() and not dialog.proposal.isHidden()
    made = is_whole(dialog.addition())
    assert made.bands[-1].name == "NDVI"
    assert made.bands[-1].inputs == {"nir": "optical: B8", "red": "optical: B4"}
    assert {band.name for band in made.intermediates} == {"optical: B4", "optical: B8"}
    dialog.index.setCurrentIndex(dialog.index.findData("NBR"))
    assert not can_add(dialog) and "infrared 2" in dialog.complaint()
    dialog.roles["swir2"].setCurrentIndex(1)
    assert can_add(dialog)


def test_bands_that_nobody_can_know_are_left_open() -> None:
    dialog = IndexDialog(band_options(ROWS), layers=[bands_of("optical", ("B2", "B3", "B4", "B8"), "mosaic")])
    dialog.index.setCurrentIndex(dialog.index.findData("NDVI"))
    assert not can_add(dialog) and dialog.proposal.isHidden()
    assert [dialog.roles[role].currentData() for role in ("red", "nir")] == [-1, -1]
    dialog.roles["red"].setCurrentIndex(dialog.roles["red"].findData(0))
    dialog.index.setCurrentIndex(dialog.index.findData("NGRDI"))
    assert dialog.roles["red"].currentData() == 0, "what was chosen stays"


def test_the_bands_of_one_image_are_taken_together() -> None:
    layers = [
        bands_of("photo", ("red", "green", "blue")),
        bands_of("T32UVR_20200624T103031_B04_10m", ("T32UVR_20200624T103031_B04_10m",)),
        bands_of("T32UVR_20200624T103031_B08_10m", ("T32UVR_20200624T103031_B08_10m",)),
    ]
    found = guess_bands(layers, ("red", "nir"))
    assert {role: band.input.layer_id for role, band in found.bands.items()} == {
        "red": layers[1].layer_id,
        "nir": layers[2].layer_id,
    }
    assert found.rivals == () and guess_bands(layers, ("red",)).rivals
    waves = [LayerBands("a", "a", ("", ""), (842.0, 665.0)), LayerBands("b", "b", ("x", "y"), (None, None))]
    assert guess_bands(waves, ("red", "nir")).bands["red"].input.index == 2


@pytest.mark.parametrize(
    ("metadata", "domain", "expected"),
    [
        ({"CENTRAL_WAVELENGTH_UM": "0.665"}, "IMAGERY", 665.0),
        ({"wavelength": "665", "wavelength_units": "Nanometers"}, "", 665.0),
        ({"Wavelength": "0.665", "Wavelength_Units": "micrometers"}, "", 665.0),
        ({"WAVELENGTH": "665", "WAVELENGTH_UNIT": "nm"}, "", 665.0),
        ({"wavelength": "0.665"}, "", 665.0),
        ({"wavelength": "12", "wavelength_units": "Index"}, "", None),
        ({"wavelength": "10.9", "wavelength_units": "um"}, "", None),
        ({"wavelength": "red"}, "", None),
    ],
)
def test_wavelengths_are_read_as_programs_write_them(
    tmp_path: Path, metadata: dict[str, str], domain: str, expected: float | None
) -> None:
    path = str(tmp_path / "LC08_L2SP_193.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 4, 4, 2)
    dataset.GetRasterBand(2).SetMetadata(metadata, domain)
    dataset.SetMetadata({"SPACECRAFT_ID": "LANDSAT_8"})
    dataset = None
    found = layer_bands(QgsRasterLayer(path, "scene", "gdal"))
    assert found.wavelengths_nm[0] is None and found.wavelengths_nm[1] == pytest.approx(expected)
    assert "LANDSAT_8" in found.sensor and "LC08_L2SP" in found.sensor and found.title == "scene"


def test_a_header_of_envi_lists_the_wavelengths_of_all_bands(tmp_path: Path) -> None:
    path = str(tmp_path / "cube.bin")
    dataset = gdal.GetDriverByName("ENVI").Create(path, 4, 4, 2)
    dataset.SetMetadata({"wavelength": "{0.665, 0.842}", "wavelength_units": "Micrometers"}, "ENVI")
    dataset = None
    found = layer_bands(QgsRasterLayer(path, "cube", "gdal"))
    assert found.wavelengths_nm == pytest.approx((665.0, 842.0))


def test_an_expression_is_read_before_it_is_added() -> None:
    dialog = ExpressionDialog(band_options(ROWS))
    for text, expected in (
        ("", "Write"),
        ("(b2 + ", "error at"),
        ("b2 + b9", "b9"),
        ("1 + 2", "uses no band"),
        ("sqrt(b2) / (dem + 1)", ""),
    ):
        dialog.expression.setText(text)
        assert (expected in dialog.complaint()) if expected else can_add(dialog), text
    dialog.name.setText("mine")
    made = is_whole(dialog.addition())
    assert made.bands[-1].inputs == {"b2": "optical: B2", "dem": "dem"}


def test_relief_and_radar_carry_their_parameters() -> None:
    relief = relief_dialog(band_options(ROWS))
    assert relief.band.currentText() == "dem", "the one layer that is called a DEM"
    assert not can_add(relief_dialog(band_options([ROWS[0]]))), "no band of an image is proposed as a DEM"
    relief.derive.setCurrentIndex(relief.derive.findData("tpi"))
    relief.inputs["tpi", "radius_m"].setValue(500)
    made = is_whole(relief.addition())
    assert (made.bands[-1].derive, made.bands[-1].parameters) == ("tpi", {"radius_m": 500.0})
    assert made.sources[-1].path == "/d.tif"
    radar = radar_dialog(band_options(ROWS))
    assert not can_add(radar) and "Choose a band" in radar.complaint()
    radar.band.setCurrentIndex(1)
    radar.derive.setCurrentIndex(radar.derive.findData("lee"))
    assert is_whole(radar.addition()).bands[-1].parameters == {"size_px": 7.0, "looks": 1.0}


def test_a_vector_layer_becomes_distance_classes_or_numbers() -> None:
    roads = QgsVectorLayer("LineString?crs=EPSG:32632&field=width:integer", "roads", "memory")
    feature = QgsFeature(roads.fields())
    feature.setGeometry(QgsGeometry.fromWkt("LINESTRING(500000 4999900, 500100 4999900)"))
    roads.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(roads)
    soil = polygon_layer("soil", ("clay", "sand"))
    dialog = VectorDialog()
    dialog.layer.setLayer(roads)
    assert can_add(dialog)
    assert dialog.addition().bands[0].parameters == {"limit_m": 1000.0}
    dialog.mode.setCurrentIndex(dialog.mode.findData("onehot"))
    assert not can_add(dialog) and "polygon" in dialog.complaint()
    dialog.layer.setLayer(soil)
    dialog.values.item(1).setCheckState(Qt.CheckState.Unchecked)
    found = dialog.addition()
    assert [(band.name, band.parameters) for band in found.bands] == [
        ("soil: clay", {"field": "class", "value": "clay"})
    ]
    assert (found.kind, found.layer_id, found.fields) == ("vector", soil.id(), ("class",))
    is_whole(found)


def test_a_series_offers_what_the_engine_found(tmp_path: Path) -> None:
    dialog = SeriesDialog()
    asked: list[str] = []
    dialog.inspect_requested.connect(asked.append)
    dialog.file.setFilePath(str(tmp_path / "ndvi.nc"))
    assert asked == [str(tmp_path / "ndvi.nc")] and not can_add(dialog)
    dialog.show_offer(OFFER)
    assert "3 dates from 2019-01-01 to 2019-12-31" in dialog.found.text()
    dialog.statistics.item(4).setCheckState(Qt.CheckState.Checked)
    for month in (11, 12, 1, 2):
        dialog.months[month - 1].setChecked(False)
    assert can_add(dialog)
    found = dialog.addition()
    assert [band.name for band in found.bands] == ["NDVI median", "NDVI percentile 90"]
    assert found.series is not None
    assert (found.series.variables, found.series.mask, found.series.clear) == (("NDVI",), "CLM", (0.0,))
    assert (found.series.start, found.series.months) == ("2019-01-01", (3, 4, 5, 6, 7, 8, 9, 10))
    source = is_whole(found).sources[-1]
    assert (source.kind, source.name) == ("series", "ndvi")
    dialog.clear.setText("0, x")
    assert not can_add(dialog)
    dialog.show_offer({**OFFER, "remarks": ["the times are parts of months"]})
    assert dialog.found.text().endswith("The times are parts of months.")
    dialog.show_offer({**OFFER, "masks": [{"name": "SCL", "values": [0, 4, 5, 8]}]})
    assert dialog.clear.text() == "" and not can_add(dialog) and "mean clear" in dialog.complaint()
    nothing = {
        "kind": "raster",
        "bands": [{"index": 1, "name": "Band 1"}],
        "remarks": ["the calendar 'none' is odd"],
    }
    dialog.show_offer(nothing)
    assert "no dates. The calendar 'none' is odd." in dialog.found.text() and not can_add(dialog)
    dialog.show_problem({"message": "No dates.", "hint": "Choose another."})
    assert "No dates." in dialog.found.text() and not can_add(dialog)


@pytest.mark.parametrize(
    ("name", "codes", "clear"),
    [("CLM", (0, 1, 255), "0"), ("cloud_mask", (0, 1), "0"), ("valid", (0, 1), "1"), ("clear", (0, 1), "1"),
     ("SCL", (4, 5, 8), ""), ("cloud", (0, 1, 2, 3), ""), ("mask", (0, 1), ""), ("landcover", (1,), "")],
)  # fmt: skip
def test_the_value_that_means_clear_is_known_by_the_name_of_a_yes_or_no(
    name: str, codes: tuple[float, ...], clear: str
) -> None:
    assert clear_code(name, codes) == clear


def test_added_bands_are_rows_that_can_be_removed_and_are_remembered() -> None:
    page = DataPage()
    page.set_rasters(ROWS)
    dialog = IndexDialog(band_options(ROWS), layers=[OPTICAL])
    dialog.added.connect(page.bands.add)
    dialog.index.setCurrentIndex(dialog.index.findData("NDVI"))
    dialog.buttons.accepted.emit()
    tree = page.tree
    head = tree.topLevelItem(tree.topLevelItemCount() - 1)
    assert head.childCount() == 1 and "NDVI" in head.child(0).text(0)
    page.bands.set_fields(["NDVI"], {"fill": "median"})
    values = page.values()
    other = DataPage()
    other.set_rasters(ROWS)
    other.restore(values)
    assert other.choices().additions == page.choices().additions
    assert other.choices().settings == {"NDVI": {"fill": "median"}}
    tree.setCurrentItem(head.child(0))
    tree.keyPressEvent(QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier))
    assert page.choices().additions == () and tree.layer_count() == 3


def test_selected_layers_can_be_put_together() -> None:
    tree = BandTree()
    tree.set_layers(ROWS)
    heard: list[Any] = []
    tree.mosaic_requested.connect(heard.append)
    tree.parting_requested.connect(heard.append)
    for place in (0, 1):
        tree.topLevelItem(place).setSelected(True)
    tree.menu().actions()[0].trigger()
    assert heard == [["id_optical", "id_dem"]]
    mosaic = RasterRow("id_optical", "optical and 1 more", ("a",), also=("id_east",), tick=True)
    tree.set_layers([mosaic])
    assert tree.choices()[0].also == ("id_east",)
    tree.topLevelItem(0).setSelected(True)
    tree.menu().actions()[0].trigger()
    assert heard[1] == "id_optical"


def test_the_table_of_bands_shows_values_and_sends_settings() -> None:
    window = BandWindow()
    sent: list[Any] = []
    window.settings_changed.connect(lambda names, fields: sent.append((names, fields)))
    bands = (Band("red", "r1"), Band("dem: slope", "r2", derive="slope", fill="7"))
    window.set_bands(Composition((Source("r1", "/o.tif", "optical"), Source("r2", "/d.tif", "dem")), bands))
    assert [window.table.item(1, column).text() for column in (1, 2, 4)] == ["dem", "slope", "7"]
    window.show_values(SUMMARY)
    assert window.table.item(0, 7).text() == "50.0 %" and window.histogram.counts() == [5, 10, 1]
    assert "mean 40" in window.facts.text() and not window.histogram.grab().isNull()
    window.table.selectAll()
    window.settings.scaling.setCurrentIndex(window.settings.scaling.findData("robust"))
    window.settings.low.setValue(2)
    assert sent[0] == (["red", "dem: slope"], {"scaling": "robust"})
    assert sent[1] == (["red", "dem: slope"], {"clip_percent": [2.0, 99.5]})
    window.forget_values()
    assert window.table.item(0, 7).text() == ""


def test_the_unit_of_heights_is_asked_of_bands_derived_from_them_and_holds_for_all_of_these() -> None:
    window = BandWindow()
    sent: list[Any] = []
    window.settings_changed.connect(lambda names, fields: sent.append((names, fields)))
    bands = (Band("dem", "r1"), Band("dem: slope", "r1", derive="slope"), Band("TPI", "r1", derive="tpi"))
    window.set_bands(Composition((Source("r1", "/d.tif", "dem", height_unit="foot"),), bands))
    assert window.settings.unit.isHidden()
    window.table.selectRow(1)
    assert not window.settings.unit.isHidden() and window.settings.unit.currentData() == "foot"
    window.settings.unit.setCurrentIndex(window.settings.unit.findData("US survey foot"))
    assert sent == [(["dem: slope", "TPI"], {"height_unit": "US survey foot"})]


def test_clip_limits_lie_between_known_percentiles() -> None:
    values = SUMMARY["bands"][0]
    assert clip_values(values, (2, 98)) == (2, 98)
    assert clip_values(values, (0, 100)) == (0, 100)
    assert clip_values(values, (10, 90))[0] == pytest.approx(10)
    assert clip_values({}, (2, 98)) is None


CLASSES = tuple(
    LabelClass(place, name, name[0]) for place, name in enumerate(("Ash", "Beech", "City", "Dune"))
)


def test_classes_are_merged_and_left_out() -> None:
    table = ClassTable()
    heard: list[int] = []
    table.edited.connect(lambda: heard.append(1))
    table.set_classes(CLASSES)
    combo = table.cellWidget(1, 1)
    combo.setCurrentIndex(combo.findData("A"))
    table.item(3, 0).setCheckState(Qt.CheckState.Unchecked)
    assert table.edits() == LabelEdits({"B": "A"}, ("D",)) and len(heard) == 2
    kept, ignored = edited(CLASSES, table.edits().same_as, table.edits().left_out)
    assert [(item.id, item.name, item.also) for item in kept] == [(0, "Ash", ("B",)), (1, "City", ())]
    assert ignored == ("D",)
    table.set_classes(CLASSES[2:3])
    assert table.edits() == LabelEdits(), "classes that are not there cannot be merged"
    table.set_classes(CLASSES)
    assert table.edits() == LabelEdits({"B": "A"}, ("D",))


def test_merging_follows_chains_and_takes_no_circles() -> None:
    kept, _ = edited(CLASSES, {"A": "B", "B": "C"}, ())
    assert [(item.name, item.also) for item in kept] == [("City", ("A", "B")), ("Dune", ())]
    kept, _ = edited(CLASSES, {"A": "B", "B": "A"}, ())
    assert len(kept) == 4
    kept, ignored = edited(CLASSES, {"A": "B"}, ("B",))
    assert [item.name for item in kept] == ["City", "Dune"] and ignored == ("A", "B")


def test_more_label_layers_are_listed_and_remembered() -> None:
    scarps, deposits = polygon_layer("scarps"), polygon_layer("deposits")
    page = DataPage()
    box = page.options.more_labels
    box.layer.setLayer(scarps)
    box.add_button.click()
    box.layer.setLayer(deposits)
    box.field.setCurrentIndex(box.field.findData("class"))
    box.add_button.click()
    wanted = (MoreLabels(scarps.id()), MoreLabels(deposits.id(), "class"))
    assert page.choices().more_labels == wanted
    other = DataPage()
    other.restore(page.values())
    assert other.choices().more_labels == wanted
    box.list.setCurrentRow(0)
    box.remove_button.click()
    assert page.choices().more_labels == wanted[1:]


def test_a_layer_for_bands_keeps_its_facts(tmp_path: Path) -> None:
    raster_layer(tmp_path, "x", 1)
    options = band_options([*ROWS], [Addition("t", (Band("NDVI"),), "expression")])
    assert [item.text for item in options][-2:] == ["dem", "NDVI"]
    assert options[-1].input.name == "NDVI"
