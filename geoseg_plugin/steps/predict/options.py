"""The folded choices of the Predict page: further layers, quality and speed, cleaning, outlines."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QCheckBox

from ...contract import Cleaning, Outlines
from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup, Page
from .names import precision_names, runtime_names, view_names

MAJORITIES = (0, 3, 5, 7, 9)
"""Sides of the window to choose from; odd."""


class LayerOptions(AdvancedGroup):
    """Layers that show how far to trust the map; `ticks` by contract key."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        layers = {
            "entropy": (
                tr("Entropy"),
                tr("How undecided the model is between all classes: label there next."),
            ),
            "margin": (
                tr("Margin"),
                tr("How far the first class is ahead of the second: small along doubtful borders."),
            ),
            "disagreement": (
                tr("Disagreement"),
                tr("Where views, passes or models contradict each other; needs more than one of them."),
            ),
            "beyond": (
                tr("Ground beyond training"),
                tr("How many bands have values that training never saw: there the model guesses."),
            ),
            "probability": (
                tr("Class probabilities"),
                tr("One band a class, for thresholds of your own; large."),
            ),
        }
        self.ticks: dict[str, QCheckBox] = {}
        for key, (name, why) in layers.items():
            self.ticks[key] = page.remember(key, QCheckBox(name))
            self.add_choice("", self.ticks[key], why, "layers-of-a-prediction")

    def ticked(self) -> list[str]:
        """Return the names of the layers that will be written."""
        return [box.text() for box in self.ticks.values() if box.isChecked() and box.isEnabled()]


class QualityOptions(AdvancedGroup):
    """How often each pixel is predicted, and how the network is run."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.tta = page.combo("tta", view_names())
        self.add_choice(
            tr("Views"),
            self.tta,
            tr(
                "Averaging over mirror images and turns is usually a little better, never another kind of map."
            ),
            "views-and-dropout",
        )
        self.passes = page.spin_box("dropout_passes", 0, 200, 0, tr("none"), tr(" passes"))
        self.add_choice(
            tr("Dropout"),
            self.passes,
            tr(
                "Looks so many times with parts of the network switched off: shows where the model itself is unsure."
            ),
            "views-and-dropout",
        )
        self.runtime = page.combo("runtime", runtime_names())
        self.add_choice(
            tr("Runtime"),
            self.runtime,
            tr("What was chosen is named with the result."),
            "runtime-and-precision",
        )
        self.precision = page.combo("precision", precision_names())
        self.add_choice(
            tr("Precision"),
            self.precision,
            tr("int8 is the fastest on many processors; it is tried on validation ground first."),
            "runtime-and-precision",
        )
        self.int8_loss = page.remember("int8_loss", QgsDoubleSpinBox())
        self.int8_loss.setDecimals(3)
        self.int8_loss.setRange(0, 0.2)
        self.int8_loss.setSingleStep(0.001)
        self.int8_loss.setValue(0.005)
        self.int8_loss.setClearValue(0.005)
        self.add_choice(
            tr("int8 may lose"),
            self.int8_loss,
            tr("Mean IoU on validation ground; if it loses more, it is not used."),
            "runtime-and-precision",
        )
        self.device = page.combo(
            "device", {"auto": tr("GPU if there is one"), "cpu": tr("CPU"), "cuda": tr("GPU")}
        )
        self.add_choice(tr("Device"), self.device, tr("A GPU is 20 to 100 times faster."), "engine")

    def settings(self) -> dict[str, Any]:
        """Return the choices as fields of the job."""
        return {
            "tta": self.tta.currentData(),
            "dropout_passes": self.passes.value(),
            "runtime": self.runtime.currentData(),
            "precision": self.precision.currentData(),
            "int8_loss": round(self.int8_loss.value(), 3),
            "device": self.device.currentData(),
        }


class CleaningOptions(AdvancedGroup):
    """What is done to the classes before polygons are drawn, in this order."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        names = {str(side): tr("{0} × {0} px").format(side) if side else tr("none") for side in MAJORITIES}
        self.majority = page.combo("majority", names)
        self.add_choice(
            tr("Majority"),
            self.majority,
            tr("Each pixel takes the most frequent class around it: takes out speckle, then thin objects."),
            "cleaning",
        )
        none, radius = tr("none"), tr(" px radius")
        self.opening = page.spin_box("opening", 0, 50, 0, none, radius)
        self.add_choice(
            tr("Opening"), self.opening, tr("Takes off spikes, and bridges between two objects."), "cleaning"
        )
        self.closing = page.spin_box("closing", 0, 50, 0, none, radius)
        self.add_choice(
            tr("Closing"), self.closing, tr("Fills gaps and notches within one object."), "cleaning"
        )
        self.holes = page.spin_box("holes", 0, 1_000_000, 0, none, " px")
        self.add_choice(
            tr("Fill holes below"),
            self.holes,
            tr("A smaller patch with one class all around takes it."),
            "cleaning",
        )
        self.least = page.spin_box("least_area", 0, 1_000_000, 0, none, " px")
        self.add_choice(
            tr("Least area"),
            self.least,
            tr(
                "A smaller patch takes the class of its largest neighbour: the smallest object you would draw."
            ),
            "cleaning",
        )
        self.corners = page.remember("clean_corners", QCheckBox(tr("Corners join patches")))
        self.add_choice(
            "",
            self.corners,
            tr("Pixels that touch at a corner only count as one patch (8-connected)."),
            "cleaning",
        )

    def cleaning(self) -> Cleaning:
        """Return the choices."""
        return Cleaning(
            majority_px=int(self.majority.currentData()),
            opening_px=self.opening.value(),
            closing_px=self.closing.value(),
            fill_holes_px=self.holes.value(),
            min_patch_px=self.least.value(),
            connectivity=8 if self.corners.isChecked() else 4,
        )


class PolygonOptions(AdvancedGroup):
    """How polygons are drawn."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.min_area = page.spin_box("min_area_px", 0, 1_000_000, 4, tr("none"), " px")
        self.add_choice(
            tr("Leave out below"),
            self.min_area,
            tr("Smaller polygons are not drawn; the raster of classes keeps them."),
            "outlines",
        )
        self.simplify = page.remember("simplify_m", QgsDoubleSpinBox())
        self.simplify.setDecimals(2)
        self.simplify.setRange(0, 10_000)
        self.simplify.setSuffix(" m")
        self.simplify.setSpecialValueText(tr("none"))
        self.simplify.setClearValue(0)
        self.add_choice(
            tr("Simplify"),
            self.simplify,
            tr(
                "How far an outline may move; half a pixel takes off the steps. Neighbours keep their common border."
            ),
            "outlines",
        )
        self.smooth = page.spin_box("smooth", 0, 5, 0, tr("none"), tr(" rounds"))
        self.add_choice(
            tr("Smooth"), self.smooth, tr("Cuts corners, for natural shapes; 2 are enough."), "outlines"
        )
        self.right_angles = page.remember("right_angles", QCheckBox(tr("Right angles")))
        self.add_choice(
            "",
            self.right_angles,
            tr("For buildings: upright along each one's own main direction."),
            "outlines",
        )
        self.joined = page.remember("outline_corners", QCheckBox(tr("Corners join polygons")))
        self.add_choice(
            "",
            self.joined,
            tr("Fewer and larger polygons, which may pinch at a point (8-connected)."),
            "outlines",
        )

    def outlines(self) -> Outlines:
        """Return the choices but the smallest area."""
        return Outlines(
            connectivity=8 if self.joined.isChecked() else 4,
            simplify_m=round(self.simplify.value(), 2),
            smooth=self.smooth.value(),
            right_angles=self.right_angles.isChecked() and not self.smooth.value(),
        )
