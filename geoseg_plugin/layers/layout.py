"""A map to hand over: one A4 sheet with legend, scale bar, areas, scores and sources, as a print layout and PDF.

Main thread: layouts belong to it, and QGIS offers no other way to export one.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsLayoutExporter,
    QgsLayoutItemMap,
    QgsLayoutItemPage,
    QgsPrintLayout,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

from ..contract import GeoSegError
from . import layout_items as items
from .areas import accuracy_sentence, area_table, largest_area
from .exports import partial_path
from .sheet import Sheet, tr

MARGIN, PAGE_WIDTH, PAGE_HEIGHT = 10.0, 297.0, 210.0
MAP: items.Box = (MARGIN, 28.0, 190.0, 159.0)
SIDE_LEFT, SIDE_WIDTH = 207.0, 80.0
MAX_ROWS = 16
PAPER = "#f2f4f5"
GAP, MIN_ROOM = 6.0, 10.0
PDF_DPI, PNG_DPI = 300, 150
SHEET_MARK = "geoseg/sheet"
"""Custom property of layouts that GeoSeg drew."""
TITLE = "geoseg/title"
"""Custom property: what is written above the map, and into the PDF's metadata."""
XMP = "xml:XMP"
AROUND = 1.01
"""The map shows a little more than its extent."""


def map_layout(sheet: Sheet, project: QgsProject, keep: bool = True) -> QgsPrintLayout:
    """Return a sheet as a print layout. Main thread.

    Args:
        sheet: what is drawn.
        project: that has the layers.
        keep: put the layout into the project, in the place of an earlier one of its name.
    """
    layout = QgsPrintLayout(project)
    layout.initializeDefaults()
    layout.setName(sheet.name or sheet.title)
    layout.setCustomProperty(TITLE, sheet.title)
    layout.pageCollection().page(0).setPageSize("A4", QgsLayoutItemPage.Orientation.Landscape)
    layout.renderContext().setDpi(PDF_DPI)
    width = PAGE_WIDTH - 2 * MARGIN
    items.label(layout, sheet.title, (MARGIN, 8, width, 9), items.text_format(17, bold=True))
    items.label(layout, sheet.subtitle, (MARGIN, 17.5, width, 5), items.text_format(9, items.QUIET))
    items.rule(layout, MARGIN, 24.5, width)
    shown = add_map(layout, sheet)
    below = MAP[1] + MAP[3] + 2.5
    items.scale_bar(layout, shown, MARGIN, below)
    place = (MARGIN + 70, below, MAP[2] - 70, 8)
    scale_text = tr("1 : {}\n{}").format(
        f"{items.true_scale(shown):,.0f}".replace(",", "\u202f"), crs_text_of(sheet)
    )
    items.label(layout, scale_text, place, items.text_format(7.5, items.QUIET), to_right=True)
    items.north_arrow(layout, shown, (MAP[0] + MAP[2] - 15, MAP[1] + 3, 12, 15))
    add_side(layout, shown, sheet)
    items.rule(layout, MARGIN, PAGE_HEIGHT - 10.5, width)
    items.label(
        layout, last_line(sheet), (MARGIN, PAGE_HEIGHT - 9.3, width, 5), items.text_format(7, items.QUIET)
    )
    if keep:
        replace_layout(layout, project)
    return layout


def add_map(layout: QgsPrintLayout, sheet: Sheet) -> QgsLayoutItemMap:
    """Add the map, at a round scale that holds the extent. Main thread.

    Args:
        layout: gets the map.
        sheet: with layers, extent and CRS.
    """
    item = QgsLayoutItemMap(layout)
    item.setId("map")
    layout.addLayoutItem(item)
    items.put(item, MAP)
    item.setCrs(sheet.crs)
    item.setLayers(list(sheet.layers))
    item.setKeepLayerSet(True)
    item.setBackgroundColor(QColor(PAPER))
    extent = QgsRectangle(sheet.extent)
    extent.scale(AROUND)
    item.zoomToExtent(extent)
    true = items.true_scale(item)
    item.setScale(item.scale() * round_scale(true) / true)
    items.framed(item)
    return item


def add_side(layout: QgsPrintLayout, shown: QgsLayoutItemMap, sheet: Sheet) -> None:
    """Add legend, areas, scores and notes below one another, as far as there is room. Main thread.

    Args:
        layout: gets the items.
        shown: the map.
        sheet: what is drawn.
    """
    y = add_heading(layout, tr("Classes"), MAP[1])
    y += items.legend(layout, shown, sheet.legend, (SIDE_LEFT, y, SIDE_WIDTH)) + GAP
    if sheet.areas.get("rows"):
        y = add_heading(layout, tr("Areas"), y)
        heads, rows, _colors = area_table(shortened(sheet))
        y += items.table(layout, heads, rows, (SIDE_LEFT, y, SIDE_WIDTH)) + GAP / 3
        y = add_text(layout, accuracy_sentence(sheet.areas, printed=True), y) + GAP * 2 / 3
    if sheet.scores:
        y = add_heading(layout, sheet.scores_title, y)
        y = add_text(layout, "\n".join(sheet.scores), y) + GAP
    if sheet.notes:
        y = add_heading(layout, tr("About"), y)
        add_text(layout, "\n".join(f"{name}: {text}" for name, text in sheet.notes.items()), y)


def add_heading(layout: QgsPrintLayout, text: str, y: float) -> float:
    """Add a heading beside the map, if there is room for something below it. Returns where the next item begins. Main
    thread.

    Args:
        layout: gets the heading.
        text: of the heading.
        y: upper edge in millimetres.
    """
    if MAP[1] + MAP[3] - y < MIN_ROOM:
        return y
    place = (SIDE_LEFT, y, SIDE_WIDTH)
    return y + items.paragraph(layout, text, place, items.text_format(9, bold=True), MIN_ROOM) + 1.5


def add_text(layout: QgsPrintLayout, text: str, y: float) -> float:
    """Add a text beside the map, cut where the map ends. Returns where the next item begins. Main thread.

    Args:
        layout: gets the text.
        text: what is written.
        y: upper edge in millimetres.
    """
    room = MAP[1] + MAP[3] - y
    if not text or room < MIN_ROOM / 2:
        return y
    return y + items.paragraph(layout, text, (SIDE_LEFT, y, SIDE_WIDTH), items.text_format(7.5), room)


def shortened(sheet: Sheet) -> dict[str, object]:
    """The areas with the smallest classes left out where a page has no room for all."""
    rows: Sequence[dict[str, object]] = sheet.areas["rows"]
    if len(rows) <= MAX_ROWS:
        return dict(sheet.areas)
    largest = sorted(rows, key=lambda row: -largest_area(row))[:MAX_ROWS]
    return {**sheet.areas, "rows": largest}


def crs_text_of(sheet: Sheet) -> str:
    """The map's CRS as people call it."""
    return " – ".join(part for part in (sheet.crs.authid(), sheet.crs.description()) if part)


def last_line(sheet: Sheet) -> str:
    """Whose data, and what it was made with."""
    made = tr("Made with GeoSeg in QGIS {}").format(Qgis.version().split("-")[0])
    return " · ".join(part for part in (sheet.attribution, made) if part)


def round_scale(scale: float) -> float:
    """The next scale from here that has few digits.

    >>> round_scale(23_417)
    25000.0
    """
    if not math.isfinite(scale) or scale <= 0:
        return 1000.0
    power = 10.0 ** math.floor(math.log10(scale))
    steps = (1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10)
    return float(next(step * power for step in steps if step * power >= scale * (1 - 1e-9)))


def replace_layout(layout: QgsPrintLayout, project: QgsProject) -> None:
    """Put a layout into the project in the place of an earlier one of its name; one of the user's own stays. Main
    thread.

    Args:
        layout: to put in.
        project: gets it.
    """
    found, title, number = project.layoutManager(), layout.name(), 1
    while (old := found.layoutByName(layout.name())) is not None:
        if isinstance(old, QgsPrintLayout) and old.customProperty(SHEET_MARK):
            found.removeLayout(old)
        else:
            number += 1
            layout.setName(f"{title} {number}")
    layout.setCustomProperty(SHEET_MARK, True)
    found.addLayout(layout)


def export(layout: QgsPrintLayout, path: Path) -> None:
    """Write the layout as PDF, or as a picture if the name ends in .png; the name appears when it is whole.

    Args:
        layout: to write.
        path: PDF or PNG file.

    Raises:
        GeoSegError: `export_failed`.
    """
    partial = partial_path(path)
    exporter = QgsLayoutExporter(layout)
    if path.suffix.lower() == ".png":
        written = exporter.renderPageToImage(0, QSize(), PNG_DPI).save(str(partial))
    else:
        pdf = QgsLayoutExporter.PdfExportSettings()
        pdf.dpi = PDF_DPI
        pdf.textRenderFormat = Qgis.TextRenderFormat.AlwaysText
        written = exporter.exportToPdf(str(partial), pdf) == QgsLayoutExporter.ExportResult.Success
        if written:
            entitle(partial, str(layout.customProperty(TITLE) or layout.name()))
    if not written:
        partial.unlink(missing_ok=True)
        raise GeoSegError(
            "export_failed",
            f"QGIS could not write {path}. {exporter.errorMessage()}".strip(),
            "Is the file open in another program? Close it, or choose another name.",
        )
    partial.replace(path)


def entitle(pdf: Path, title: str) -> None:
    """Give a PDF its title: QGIS writes that of the project, and Qt the name of the file.

    Where this GDAL cannot change a PDF, it keeps theirs.

    Args:
        pdf: file to change.
        title: of the document.
    """
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        dataset = gdal.OpenEx(str(pdf), gdal.OF_RASTER | gdal.OF_VECTOR | gdal.OF_UPDATE)
    except RuntimeError:  # where another plugin switched exceptions on
        dataset = None
    finally:
        gdal.PopErrorHandler()
    if dataset is None:
        return
    dataset.SetMetadataItem("TITLE", title)
    for packet in dataset.GetMetadata(XMP) or ():
        of_title = r"(<dc:title>.*?<rdf:li[^>]*>)[^<]*"
        renamed = re.sub(of_title, lambda found: found[1] + html.escape(title), packet, flags=re.DOTALL)
        dataset.SetMetadata([renamed], XMP)
    dataset.FlushCache()
