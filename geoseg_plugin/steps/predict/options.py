"""The folded options of the Predict page: further layers, quality and speed, post-processing, polygons."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QComboBox

from ...contract import Cleaning, Outlines, PredictJob, params_of
from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup, Page
from .state import CLEANING_FIELDS, MORE_LAYERS, OF_POLYGONS, OUTLINE_FIELDS, QUALITY_FIELDS

ODD_SIDES = (0, 3, 5, 7, 9)
"""Sides of the window of the majority filter, which a number box cannot restrict to odd numbers."""


class LayerOptions(AdvancedGroup):
    """Layers that show where to trust the map; `ticks` by field of the job."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.ticks = {}
        for name in MORE_LAYERS:
            param = params_of(PredictJob)[name]
            self.ticks[name] = page.tick(name, tr(param.title))
            self.add_choice("", self.ticks[name], tr(param.about), param.guide)

    def ticked(self) -> list[str]:
        """Return the names of the layers that will be written."""
        return [box.text() for box in self.ticks.values() if box.isChecked() and box.isEnabled()]


class QualityOptions(AdvancedGroup):
    """How often each pixel is predicted, and how the network is run; `fields` are its controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.fields = self.add_fields(page, PredictJob, QUALITY_FIELDS)


class CleaningOptions(AdvancedGroup):
    """What is done to the classes before polygons are drawn, in this order; `fields` are its controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.fields = self.add_fields(page, Cleaning, CLEANING_FIELDS, controls={"majority_px": odd_sides()})


class PolygonOptions(AdvancedGroup):
    """How polygons are drawn; `fields` are its controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.fields = {
            **self.add_fields(page, PredictJob, OF_POLYGONS),
            **self.add_fields(page, Outlines, OUTLINE_FIELDS),
        }


def odd_sides() -> QComboBox:
    """Return a list of odd sides of a window, or none."""
    box = QComboBox()
    for side in ODD_SIDES:
        box.addItem(tr("{0} × {0} px").format(side) if side else tr("none"), str(side))
    return box
