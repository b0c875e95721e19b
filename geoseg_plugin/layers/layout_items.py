"""The pieces of a printed map, each made by one function. Lengths are millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from qgis.core import (
    Qgis,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsFillSymbol,
    QgsLayerTreeLayer,
    QgsLayoutFrame,
    QgsLayoutItem,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemManualTable,
    QgsLayoutItemMap,
    QgsLayoutItemPicture,
    QgsLayoutItemScaleBar,
    QgsLayoutItemShape,
    QgsLayoutMeasurement,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLayoutUtils,
    QgsLegendRenderer,
    QgsLegendStyle,
    QgsMapLayer,
    QgsMapLayerLegendUtils,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsPrintLayout,
    QgsTableCell,
    QgsTextFormat,
    QgsTextRenderer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QFont

from ..paths import icon

DARK, QUIET, HAIR = "#22313a", "#5c6b73", "#c9d0d4"
UNIT = Qgis.LayoutUnit.Millimeters
CELL_MM, GRID_MM = 0.8, 0.15
LEGEND_LINE_MM, LEGEND_GAP_MM, LEGEND_TOP_MM, LEGEND_TEXT_MM = 3.4, 1.6, 2.5, 10.0
FEW_ROWS = 8
"""With more, an interval is written beside its area and not below it."""
COLUMN_SHARES = {3: (0.4, 0.3, 0.3), 4: (0.33, 0.14, 0.2, 0.33)}
"""Of the table of areas, by the number of its columns."""
MEASURED_PARTS = 100
"""Of a map's width one such part is measured: a straight way across half the earth would lead over the pole."""
SAME_SCALE = 0.01
BAR_SEGMENTS = 6
"""Segments of a scale bar that together would be as wide as the map, or more."""
Box = tuple[float, float, float, float]
"""Left, top, width, height on the page."""


def text_format(size_pt: float, color: str = DARK, bold: bool = False) -> QgsTextFormat:
    """Return the format of a text of the sheet. Main thread.

    Args:
        size_pt: size of the letters in points.
        color: as `#rrggbb`.
        bold: whether letters are bold.
    """
    font = QFont()
    font.setBold(bold)
    found = QgsTextFormat()
    found.setFont(font)
    found.setSize(size_pt)
    found.setSizeUnit(Qgis.RenderUnit.Points)
    found.setColor(QColor(color))
    return found


def put(item: QgsLayoutItem, box: Box) -> None:
    """Place an item on the page. Main thread.

    Args:
        item: to place.
        box: left, top, width, height in millimetres.
    """
    item.attemptMove(QgsLayoutPoint(box[0], box[1], UNIT))
    item.attemptResize(QgsLayoutSize(box[2], box[3], UNIT))


def label(
    layout: QgsPrintLayout, text: str, box: Box, style: QgsTextFormat, to_right: bool = False
) -> QgsLayoutItemLabel:
    """Add a text in a box. Main thread.

    Args:
        layout: gets the text.
        text: what is written.
        box: left, top, width, height in millimetres.
        style: of the letters.
        to_right: align it to the right.
    """
    item = QgsLayoutItemLabel(layout)
    item.setText(text)
    item.setTextFormat(style)
    item.setMarginX(0)
    item.setMarginY(0)
    if to_right:
        item.setHAlign(Qt.AlignmentFlag.AlignRight)
    layout.addLayoutItem(item)
    put(item, box)
    return item


def paragraph(
    layout: QgsPrintLayout, text: str, place: tuple[float, float, float], style: QgsTextFormat, maximum: float
) -> float:
    """Add a text with line breaks that fit a width. Returns its height in millimetres. Main thread.

    Args:
        layout: gets the text.
        text: what is written; lines that do not fit are left out.
        place: left, top, width in millimetres.
        style: of the letters.
        most: largest height in millimetres.
    """
    left, top, width = place
    context = QgsLayoutUtils.createRenderContextForLayout(layout, None)
    per_mm = context.convertToPainterUnits(1.0, Qgis.RenderUnit.Millimeters)
    lines = [
        line
        for part in text.split("\n")
        for line in QgsTextRenderer.wrappedText(context, part, width * per_mm, style)
    ]
    while len(lines) > 1 and text_height(layout, lines, style) > maximum:
        lines.pop()
    height = text_height(layout, lines, style)
    label(layout, "\n".join(lines), (left, top, width + 2, height + 1), style)
    return height


def text_height(layout: QgsPrintLayout, lines: Sequence[str], style: QgsTextFormat) -> float:
    """Return the height of lines in millimetres, from the top of the first to the foot of the last. Main thread.

    Args:
        layout: that will hold them.
        lines: of text.
        style: of the letters.
    """
    context = QgsLayoutUtils.createRenderContextForLayout(layout, None)
    per_mm = context.convertToPainterUnits(1.0, Qgis.RenderUnit.Millimeters)
    mode = Qgis.TextLayoutMode.RectangleAscentBased
    return float(QgsTextRenderer.textHeight(context, style, list(lines), mode) / per_mm)


def rule(layout: QgsPrintLayout, left: float, top: float, width: float) -> None:
    """Add a thin horizontal line. Main thread.

    Args:
        layout: gets the line.
        left: end of the line in millimetres.
        top: its place in millimetres.
        width: its length in millimetres.
    """
    item = QgsLayoutItemShape(layout)
    item.setShapeType(QgsLayoutItemShape.Shape.Rectangle)
    item.setSymbol(QgsFillSymbol.createSimple({"color": HAIR, "outline_style": "no"}))
    layout.addLayoutItem(item)
    put(item, (left, top, width, 0.3))


def true_width_m(item: QgsLayoutItemMap) -> float:
    """Return the width of the map on the ellipsoid along its middle, in metres; 0 if it has no CRS.

    Measured on the ellipsoid of the map's own CRS: QGIS uses the project's, which has none where it has no CRS.
    """
    extent, crs = item.extent(), item.crs()
    if not crs.isValid():
        return 0.0
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsCoordinateTransformContext())
    measure.setEllipsoid(crs.ellipsoidAcronym())
    middle = extent.center()
    step = extent.width() / MEASURED_PARTS
    return MEASURED_PARTS * float(
        measure.measureLine(
            QgsPointXY(middle.x() - step / 2, middle.y()), QgsPointXY(middle.x() + step / 2, middle.y())
        )
    )


def true_scale(item: QgsLayoutItemMap) -> float:
    """Return the true scale in the middle of the map, where it differs from that of its CRS.

    The scale that QGIS gives for maps in degrees is too small by a third at 50° north, for those in Web Mercator too
    large.
    """
    stated = float(item.scale())
    true = 1000 * true_width_m(item) / item.rect().width()
    return true if true > 0 and abs(true / stated - 1) > SAME_SCALE else stated


def scale_bar(layout: QgsPrintLayout, linked: QgsLayoutItemMap, left: float, top: float) -> None:
    """Add a scale bar of distances on the ellipsoid, about a third of the map wide. Main thread.

    Args:
        layout: gets the bar.
        linked: the map.
        left: edge in millimetres.
        top: edge in millimetres.
    """
    item = QgsLayoutItemScaleBar(layout)
    item.setLinkedMap(linked)
    item.setStyle("Single Box")
    item.applyDefaultSize(item.guessUnits())
    if true_scale(linked) != linked.scale():
        measure_bar(item, linked)
    item.setNumberOfSegmentsLeft(0)
    item.setNumberOfSegments(2)
    item.setHeight(1.6)
    item.setLabelBarSpace(1.0)
    item.setBoxContentSpace(0)
    item.setTextFormat(text_format(7.5))
    for symbol in (item.lineSymbol(), item.fillSymbol()):
        symbol.setColor(QColor(DARK))
    item.lineSymbol().setWidth(0.2)
    layout.addLayoutItem(item)
    item.attemptMove(QgsLayoutPoint(left, top, UNIT))
    item.update()


def measure_bar(item: QgsLayoutItemScaleBar, linked: QgsLayoutItemMap) -> None:
    """Give a scale bar lengths on the ellipsoid where units of the map are no lengths. Main thread.

    Args:
        item: the bar.
        linked: the map.
    """
    width_m = true_width_m(linked)
    segment_m = 10.0 ** math.floor(math.log10(width_m / BAR_SEGMENTS))
    segment_m *= max(step for step in (1, 2, 5) if step * segment_m <= width_m / BAR_SEGMENTS)
    unit_m, name = (1000, "km") if segment_m >= 1000 else (1, "m")
    units_per_m = linked.extent().width() / width_m
    item.setUnits(Qgis.DistanceUnit.Unknown)
    item.setMapUnitsPerScaleBarUnit(unit_m * units_per_m)
    item.setUnitsPerSegment(segment_m * units_per_m)
    item.setUnitLabel(name)


def north_arrow(layout: QgsPrintLayout, linked: QgsLayoutItemMap, box: Box) -> None:
    """Add an arrow to true north at the middle of the map. Main thread.

    Args:
        layout: gets the arrow.
        linked: the map.
        box: left, top, width, height in millimetres.
    """
    item = QgsLayoutItemPicture(layout)
    item.setPicturePath(icon("north.svg"))
    item.setLinkedMap(linked)
    item.setNorthMode(QgsLayoutItemPicture.NorthMode.TrueNorth)
    layout.addLayoutItem(item)
    put(item, box)


def legend(
    layout: QgsPrintLayout,
    linked: QgsLayoutItemMap,
    layers: Iterable[QgsMapLayer],
    place: tuple[float, float, float],
) -> float:
    """What these layers show, in two columns where there are many classes; returns its height.

    Args:
        layout: gets the legend.
        linked: the map.
        layers: whose entries are listed.
        place: left, top, width in millimetres.
    """
    left, top, width = place
    item = QgsLayoutItemLegend(layout)
    item.setLinkedMap(linked)
    item.setAutoUpdateModel(False)
    model = item.model()
    model.rootGroup().removeAllChildren()
    nodes = [model.rootGroup().addLayer(layer) for layer in layers]
    for node in nodes:
        shown = drawn_entries(node.layer(), len(model.layerOriginalLegendNodes(node)))
        if shown is not None:
            QgsMapLayerLegendUtils.setLegendNodeOrder(node, shown)
        model.refreshLayerLegend(node)
        QgsLegendRenderer.setNodeLegendStyle(node, QgsLegendStyle.Style.Hidden)
    entries = sum(len(model.layerLegendNodes(node)) for node in nodes)
    columns = 2 if entries > 6 else 1
    letters = text_format(8.5 if columns == 1 else 7.5)
    for node in nodes:
        shorten_names(layout, item, node, letters, width / columns - LEGEND_TEXT_MM)
    style = item.style(QgsLegendStyle.Style.SymbolLabel)
    style.setTextFormat(letters)
    item.setStyle(QgsLegendStyle.Style.SymbolLabel, style)
    item.rstyle(QgsLegendStyle.Style.Symbol).setMargin(QgsLegendStyle.Side.Top, LEGEND_GAP_MM)
    item.setSymbolWidth(5.5)
    item.setSymbolHeight(LEGEND_LINE_MM)
    item.setBoxSpace(0)
    item.setBackgroundEnabled(False)
    item.setColumnCount(columns)
    item.setSplitLayer(True)
    layout.addLayoutItem(item)
    height = -(-entries // columns) * (LEGEND_LINE_MM + LEGEND_GAP_MM)
    put(item, (left, top - LEGEND_TOP_MM, width, height))
    return height


def shorten_names(
    layout: QgsPrintLayout,
    item: QgsLayoutItemLegend,
    node: QgsLayerTreeLayer,
    letters: QgsTextFormat,
    width: float,
) -> None:
    """Names in the legend that are wider than their column end in an ellipsis.

    Args:
        layout: with the legend.
        item: the legend.
        node: of the layer in it.
        letters: format of the names.
        width: room for a name in millimetres.
    """
    model = item.model()
    order = QgsMapLayerLegendUtils.legendNodeOrder(node)
    for place, entry in enumerate(model.layerLegendNodes(node)):
        name = str(entry.data(Qt.ItemDataRole.DisplayRole))
        short = fitted(layout, name, letters, width)
        if short != name:
            original = order[place] if place < len(order) else place
            QgsMapLayerLegendUtils.setLegendNodeUserLabel(node, original, short)
    model.refreshLayerLegend(node)


def fitted(layout: QgsPrintLayout, text: str, letters: QgsTextFormat, width: float) -> str:
    """Return the text, or as much of it as fits a width and an ellipsis. Main thread.

    Args:
        layout: that will hold it.
        text: to shorten.
        letters: format of the text.
        width: room in millimetres.
    """
    context = QgsLayoutUtils.createRenderContextForLayout(layout, None)
    room = width * context.convertToPainterUnits(1.0, Qgis.RenderUnit.Millimeters)
    short = text
    while len(short) > 1 and QgsTextRenderer.textWidth(context, letters, [short]) > room:
        short = f"{short[:-2].rstrip()}…"
    return short


def drawn_entries(layer: QgsMapLayer, nodes: int) -> list[int] | None:
    """Return which entries of a legend are drawn: of a paletted raster not its band, nor transparent ones. Main
    thread.

    Args:
        layer: of the legend.
        nodes: number of its entries.
    """
    renderer = layer.renderer() if hasattr(layer, "renderer") else None
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return None
    classes = renderer.classes()
    first = nodes - len(classes)
    return [first + number for number, item in enumerate(classes) if item.color.alpha() > 0]


def table(
    layout: QgsPrintLayout,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    place: tuple[float, float, float],
) -> float:
    """A table with texts to the left and numbers to the right; returns its height.

    Args:
        layout: gets the table.
        heads: of the columns.
        rows: of texts.
        place: left, top, width in millimetres.
    """
    left, top, width = place
    many = len(rows) > FEW_ROWS
    small = text_format(6.5 if many else 7.5)
    widths = [(width - 2 * CELL_MM * len(heads)) * share for share in COLUMN_SHARES[len(heads)]]
    rows = [
        [
            fitted(layout, row[0], small, widths[0]),
            *(one_line(text) if many else text for text in row[1:]),
        ]
        for row in rows
    ]
    quiet = QgsTextFormat(small)
    quiet.setColor(QColor(QUIET))
    item = QgsLayoutItemManualTable.create(layout)
    item.setIncludeTableHeader(False)
    item.setTableContents([cells(heads, quiet), *(cells(row, small) for row in rows)])
    item.setContentTextFormat(small)
    item.setVerticalGrid(False)
    item.setGridColor(QColor(HAIR))
    item.setGridStrokeWidth(GRID_MM)
    item.setCellMargin(CELL_MM)
    item.setColumnWidths(widths)
    layout.addMultiFrame(item)
    frame = QgsLayoutFrame(layout, item)
    layout.addLayoutItem(frame)
    item.addFrame(frame)
    tallest = [max(row, key=lambda text: text.count("\n")).split("\n") for row in (heads, *rows)]
    height = sum(text_height(layout, lines, small) + 2 * CELL_MM + GRID_MM for lines in tallest) + GRID_MM
    put(frame, (left, top, width, height + 0.5))
    item.refresh()
    return height


def one_line(text: str) -> str:
    """`12.3 (11.0–13.6)` of two lines."""
    best, _, interval = text.partition("\n")
    return f"{best} ({interval})" if interval else best


def cells(texts: Sequence[str], style: QgsTextFormat) -> list[QgsTableCell]:
    """Return a row of a table. Main thread.

    Args:
        texts: of the columns.
        style: of the letters.
    """
    found = []
    for number, text in enumerate(texts):
        cell = QgsTableCell(text)
        cell.setTextFormat(style)
        cell.setHorizontalAlignment(Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft)
        found.append(cell)
    return found


def framed(item: QgsLayoutItem) -> None:
    """Draw a thin frame around an item."""
    item.setFrameEnabled(True)
    item.setFrameStrokeColor(QColor(QUIET))
    item.setFrameStrokeWidth(QgsLayoutMeasurement(0.2, UNIT))
