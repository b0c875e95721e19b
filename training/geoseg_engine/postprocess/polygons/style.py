"""The classes' colours inside the GeoPackage, where QGIS finds them when the layer is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ...contract import LabelClass
from ...outputs import write_error
from ...raster.writer import colour_table
from ...raster.xmltree import ElementTree

TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
CONTENTS = """INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)
    VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"""
STYLE = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
    styleQML, styleSLD, useAsDefault, description, owner, ui) VALUES ('', '', ?, 'geom', ?, ?, '', 1, ?, '', NULL)"""


def write_style(path: Path, layer: str, classes: Sequence[LabelClass]) -> None:
    """Make the classes' colours the default style of a layer.

    Args:
        path: GeoPackage that holds the layer.
        layer: its name; it has the field class_id.
        classes: names and colours; none leaves the file as it is.

    Raises:
        GeoSegError: `disk_full`, `not_writable`, `write_failed`.
    """
    if not classes:
        return
    try:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(TABLE)
            database.execute(CONTENTS)
            database.execute(STYLE, (layer, layer, class_style(classes), "Written by GeoSeg"))
    except sqlite3.Error as error:
        raise write_error(path, error) from error


def class_style(classes: Sequence[LabelClass]) -> str:
    """A style of QGIS (QML) that fills each class with its colour."""
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr="class_id", symbollevels="0", enableorderby="0"
    )
    categories = ElementTree.SubElement(renderer, "categories")
    symbols = ElementTree.SubElement(renderer, "symbols")
    colours = colour_table(classes)
    for number, item in enumerate(classes):
        ElementTree.SubElement(
            categories,
            "category",
            value=str(item.id),
            symbol=str(number),
            label=item.name,
            render="true",
            type="long",
        )
        symbol = ElementTree.SubElement(
            symbols, "symbol", type="fill", name=str(number), alpha="1", clip_to_extent="1", force_rhr="0"
        )
        fill = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0"})
        fill.set("pass", "0")
        options = ElementTree.SubElement(fill, "Option", type="Map")
        for name, value in (
            ("color", ",".join(str(value) for value in colours[item.id])),
            ("outline_color", "60,60,60,255"),
            ("outline_style", "solid"),
            ("outline_width", "0.1"),
            ("outline_width_unit", "MM"),
            ("style", "solid"),
        ):
            ElementTree.SubElement(options, "Option", type="QString", name=name, value=value)
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ElementTree.tostring(
        root, encoding="unicode"
    )
