"""How results are drawn: one function a kind of result, always the same for every run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsFillSymbol,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRasterShader,
    QgsRectangle,
    QgsRendererCategory,
    QgsRuleBasedLabeling,
    QgsSimpleLineSymbolLayer,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QColor

from ..contract import SPLITS, LabelClass
from .colors import (
    BEYOND_COLORS,
    CONFIDENCE_STOPS,
    DISAGREEMENT_STOPS,
    ENTROPY_STOPS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    RIGHT,
    SPLIT_COLORS,
    TRUE_POSITIVE,
    WRONG,
)

Stops = Sequence[tuple[float, str]]

BACKGROUND_ALPHA = 0
"""Background shows the map below; its entry stays in the legend."""

RASTER_OPACITY = 0.85
RIGHT_ALPHA = 180
"""What is right lets the map below through, what is wrong does not."""

SAMPLED_PX = 512
TILE_LABEL_SCALE = 60_000
"""Tiles carry their numbers only at larger scales than 1 : 60 000."""


def tr(text: str) -> str:
    return QCoreApplication.translate("styles", text)


def is_background(item: LabelClass) -> bool:
    """Whether a class is the background: pixels without a polygon."""
    return item.id == 0 and not item.value and item.name.casefold() == "background"


def style_classes(layer: QgsRasterLayer, classes: Iterable[LabelClass]) -> None:
    """Draw a raster with the names and colours of its classes; background and ignored pixels (255) are transparent.
    Main thread.

    Args:
        layer: of the raster.
        classes: by id.
    """
    entries = []
    for item in classes:
        color = QColor(item.color)
        color.setAlpha(BACKGROUND_ALPHA if is_background(item) else 255)
        entries.append((item.id, color, item.name))
    set_palette(layer, entries)
    layer.setOpacity(RASTER_OPACITY)


def hide_background(layer: QgsRasterLayer) -> None:
    """Make the layers below visible where a palette of the file's own names the background."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return
    entries = [(int(item.value), QColor(item.color), item.label) for item in renderer.classes()]
    for value, color, name in entries:
        if value == 0 and name.strip().casefold() == "background":
            color.setAlpha(BACKGROUND_ALPHA)
    set_palette(layer, entries)


def style_errors(layer: QgsRasterLayer, kind: str) -> None:
    """Paletted, by the `errors_kind` of an evaluation.

    `true_false`: true positive, false positive, false negative of one class; else right and wrong.

    Args:
        layer: of the raster.
        kind: `errors_kind` of the evaluation.
    """
    named = [(1, RIGHT, tr("Right")), (2, WRONG, tr("Wrong"))]
    if kind == "true_false":
        named = [
            (1, TRUE_POSITIVE, tr("True positive: found")),
            (2, FALSE_POSITIVE, tr("False positive: not there")),
            (3, FALSE_NEGATIVE, tr("False negative: missed")),
        ]
    entries = [(value, QColor(color), name) for value, color, name in named]
    entries[0][1].setAlpha(RIGHT_ALPHA)
    set_palette(layer, entries)


def set_palette(layer: QgsRasterLayer, entries: Iterable[tuple[int, QColor, str]]) -> None:
    """Give band 1 one colour per value; values without an entry are not drawn. Main thread.

    Args:
        layer: of the raster.
        entries: value, colour and name.
    """
    shown = [QgsPalettedRasterRenderer.Class(value, color, name) for value, color, name in entries]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, shown))
    layer.triggerRepaint()


def style_confidence(layer: QgsRasterLayer) -> None:
    """Fixed ramp from 0 to 1, dark to light, the same in every run, so that runs compare."""
    set_ramp(layer, CONFIDENCE_STOPS)


def style_entropy(layer: QgsRasterLayer) -> None:
    """Fixed ramp from 0 to 1, light (sure) to dark (all classes alike)."""
    set_ramp(layer, ENTROPY_STOPS)


def style_disagreement(layer: QgsRasterLayer) -> None:
    """Fixed ramp from 0 (all agree) to 0.5, light to dark."""
    set_ramp(layer, DISAGREEMENT_STOPS)


def style_beyond(layer: QgsRasterLayer) -> None:
    """One colour a number of bands beyond the range of training; where there is none the map below shows."""
    maximum = len(BEYOND_COLORS)
    names = [tr("1 band"), *(tr("{} bands").format(number) for number in range(2, maximum))]
    names.append(tr("{} bands or more").format(maximum))
    within = QgsColorRampShader.ColorRampItem(0.5, QColor(0, 0, 0, 0), tr("within the range of training"))
    items = [
        QgsColorRampShader.ColorRampItem(
            number + 0.5 if number < maximum else math.inf,
            QColor(BEYOND_COLORS[number - 1]),
            names[number - 1],
        )
        for number in range(1, maximum + 1)
    ]
    function = QgsColorRampShader(0, maximum, None, Qgis.ShaderInterpolationMethod.Discrete)
    function.setColorRampItemList([within, *items])
    shader = QgsRasterShader(0, maximum)
    shader.setRasterShaderFunction(function)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader))
    layer.triggerRepaint()


def set_ramp(layer: QgsRasterLayer, stops: Stops, band: int = 1) -> None:
    """Draw a band through a continuous colour ramp whose first and last stop are its range. Main thread.

    Args:
        layer: of the raster.
        stops: value and colour.
        band: its number, from 1.
    """
    low, high = stops[0][0], stops[-1][0]
    span = high - low
    ramp = QgsGradientColorRamp(
        QColor(stops[0][1]),
        QColor(stops[-1][1]),
        False,
        [QgsGradientStop((value - low) / span, QColor(color)) for value, color in stops[1:-1]],
    )
    function = QgsColorRampShader(low, high, ramp)
    function.setColorRampItemList(
        [QgsColorRampShader.ColorRampItem(value, QColor(color), f"{value:g}") for value, color in stops]
    )
    shader = QgsRasterShader(low, high)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    layer.setRenderer(renderer)
    layer.triggerRepaint()


def style_stack(layer: QgsRasterLayer) -> None:
    """First three bands as red, green, blue (or the first in grey), stretched to the middle of the raster.

    Only a window in the middle is read, so that a large raster does not hold up QGIS.
    """
    bands = min(layer.bandCount(), 3)
    middle = QgsRectangle(layer.extent())
    largest = max(layer.width(), layer.height())
    if largest > SAMPLED_PX:
        middle.scale(SAMPLED_PX / largest)
    provider = layer.dataProvider()
    if bands == 3:
        layer.setRenderer(QgsMultiBandColorRenderer(provider, 1, 2, 3))
    else:
        layer.setRenderer(QgsSingleBandGrayRenderer(provider, 1))
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
        middle,
        SAMPLED_PX**2 // 4,
    )
    layer.triggerRepaint()


def style_polygons(layer: QgsVectorLayer, classes: Iterable[LabelClass]) -> None:
    """Draw polygons with one category per class: translucent fill and firm outline on a light casing. Main thread.

    Args:
        layer: of the polygons.
        classes: with names and colours.
    """
    categories = [
        QgsRendererCategory(item.name, cased(polygon_symbol(item.color, 60, 0.35)), item.name)
        for item in classes
        if not is_background(item)
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class_name", categories))
    layer.triggerRepaint()


def style_tiles(layer: QgsVectorLayer) -> None:
    """Draw one category per split; split and labelled share are written in a tile where there is room."""
    names = {
        "train": tr("Training"),
        "validation": tr("Validation"),
        "test": tr("Test"),
        "unused": tr("Not used (buffer, or nothing labelled)"),
    }
    counts = split_counts(layer)
    categories = []
    for split in (*SPLITS, "unused"):
        used = split != "unused"
        symbol = polygon_symbol(SPLIT_COLORS[split], 100 if used else 0, 0.25 if used else 0.1)
        text = tr("{}: {} tiles").format(names[split], counts.get(split, 0))
        categories.append(QgsRendererCategory(split, symbol, text))
    layer.setRenderer(QgsCategorizedSymbolRenderer("split", categories))
    label_tiles(layer)
    layer.triggerRepaint()


def split_counts(layer: QgsVectorLayer) -> dict[str, int]:
    """Number of tiles in each split."""
    index = layer.fields().lookupField("split")
    counts: dict[str, int] = {}
    for feature in layer.getFeatures():
        split = str(feature.attribute(index))
        counts[split] = counts.get(split, 0) + 1
    return counts


def label_tiles(layer: QgsVectorLayer) -> None:
    """Show the class shares of a tile as its label, at large scales only."""
    names = [field.name() for field in layer.fields() if field.name().startswith("n_")]
    if not names:
        return
    lines = ", ".join(f'if("{name}" > 0, \'{name[2:]} \' || "{name}", NULL)' for name in names)
    settings = QgsPalLayerSettings()
    settings.fieldName = f"array_to_string(array_remove_all(array({lines}), NULL), '\\n')"
    settings.isExpression = True
    settings.fitInPolygonOnly = True
    text = QgsTextFormat()
    text.setSize(7)
    text.setColor(QColor("#1b1b1b"))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor("#ffffff"))
    text.setBuffer(halo)
    settings.setFormat(text)
    rule = QgsRuleBasedLabeling.Rule(settings)
    rule.setFilterExpression("\"split\" <> 'unused'")
    rule.setMinimumScale(TILE_LABEL_SCALE)
    root = QgsRuleBasedLabeling.Rule(None)
    root.appendChild(rule)
    layer.setLabeling(QgsRuleBasedLabeling(root))
    layer.setLabelsEnabled(True)


def style_blocks(layer: QgsVectorLayer) -> None:
    """Draw split blocks as boundaries in the split's colour."""
    categories = [
        QgsRendererCategory(split, polygon_symbol(SPLIT_COLORS[split], 0, 0.8), tr("{} block").format(split))
        for split in SPLITS
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("split", categories))
    layer.triggerRepaint()


def polygon_symbol(color: str, fill_alpha: int, outline_mm: float) -> QgsFillSymbol:
    """Return a fill with an outline of the same colour, darker. Main thread.

    Args:
        color: as `#rrggbb`.
        fill_alpha: opacity of the fill, 0 to 255.
        outline_mm: width of the outline.
    """
    fill = QColor(color)
    outline = fill.darker(130).name()
    fill.setAlpha(fill_alpha)
    symbol = QgsFillSymbol.createSimple({"outline_color": outline, "outline_width": str(outline_mm)})
    symbol.symbolLayer(0).setFillColor(fill)
    return symbol


def cased(symbol: QgsFillSymbol) -> QgsFillSymbol:
    """The symbol with a light line under its outline, so that it is visible on dark and bright maps."""
    width_mm = symbol.symbolLayer(0).strokeWidth() + 0.4
    casing = QgsSimpleLineSymbolLayer(QColor(255, 255, 255, 190), width_mm)
    symbol.insertSymbolLayer(0, casing)
    return symbol
