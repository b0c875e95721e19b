"""Which field of a polygon layer names the classes."""

from __future__ import annotations

from qgis.core import QgsVectorLayer

from .classes import legend_field
from .legendclasses import LEGEND_FIELD

CLASS_WORDS = ("class", "type", "label", "category", "landcover", "landuse", "code")


def proposed_field(layer: QgsVectorLayer, fields: list[str]) -> str:
    """Return the field that probably holds the class: that of the legend, else one with such a name, else none.

    Args:
        layer: polygon layer.
        fields: names to choose from; `LEGEND_FIELD` means the classes of the legend.
    """
    shown = legend_field(layer) or (LEGEND_FIELD if LEGEND_FIELD in fields else "")
    if shown:
        return shown
    return next((name for name in fields if name.lower().strip("_ 0123456789") in CLASS_WORDS), "")
