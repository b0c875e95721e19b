"""Classes of a label raster, from the palette it is drawn with. Main thread; the layer is only read."""

from __future__ import annotations

from qgis.core import QgsPalettedRasterRenderer, QgsRasterLayer

from ..contract import LabelClass
from .exports import value_text

MAX_BARE = 32
"""A longer palette whose entries have no names is a file's colour table, not a legend."""


def raster_classes(layer: QgsRasterLayer) -> tuple[LabelClass, ...]:
    """Classes in the order of the palette; empty (the engine takes the values of the file) without one."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return ()
    entries = [(value_text(item.value) or "", item.label.strip(), item.color) for item in renderer.classes()]
    named = [item for item in entries if item[1] and item[1] != item[0]]
    if len(entries) > MAX_BARE:
        entries = named
    return tuple(
        LabelClass(number, label or value, value, color.name())
        for number, (value, label, color) in enumerate(entries)
    )
