"""Kinds of source of bands besides rasters: one registered object each.

A new kind is a module here and an entry in `BAND_SOURCES`, beside the engine's side and the dialog of the panel.
"""

from __future__ import annotations

from .kind import AdditionSnapshot, BandSource
from .series import TimeSeries
from .vector import VectorFeatures

BAND_SOURCES: dict[str, BandSource] = {item.kind: item for item in (TimeSeries(), VectorFeatures())}
"""Kind of the contract's Source -> how QGIS gives it; parameters of the Toolbox follow this order."""

__all__ = ["BAND_SOURCES", "AdditionSnapshot", "BandSource"]
