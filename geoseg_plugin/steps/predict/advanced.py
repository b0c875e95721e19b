"""The folded choices of the Predict page: further layers, quality and speed, cleaning, outlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox

from ...contract import Cleaning, Outlines
from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup
from .names import precision_names, runtime_names, view_names

if TYPE_CHECKING:
    from .page import PredictPage

MAJORITIES = (0, 3, 5, 7, 9)
"""Sides of the window to choose from; odd."""
LAYERS = ("entropy", "margin", "disagreement", "beyond", "probability")


def add_layers(page: PredictPage, group: AdvancedGroup) -> dict[str, QCheckBox]:
    """Layers that say how far to trust the map; returns their ticks by contract key."""
    told = {
        "entropy": (tr("Entropy"), tr("How undecided the model is between all classes: label there next.")),
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
    ticks = {}
    for key, (name, why) in told.items():
        ticks[key] = page.remember(key, QCheckBox(name))
        group.add_choice("", ticks[key], why, "layers-of-a-prediction")
    return ticks


def add_quality(page: PredictPage, group: AdvancedGroup) -> None:
    """How often each pixel is looked at, and how the network is run."""
    page.tta = combo(page, "tta", view_names())
    group.add_choice(
        tr("Views"),
        page.tta,
        tr("Averaging over mirror images and turns is usually a little better, never another kind of map."),
        "views-and-dropout",
    )
    page.passes = page.spin_box("dropout_passes", 0, 200, 0, tr("none"), tr(" passes"))
    group.add_choice(
        tr("Dropout"),
        page.passes,
        tr(
            "Looks so many times with parts of the network switched off: shows where the model itself is unsure."
        ),
        "views-and-dropout",
    )
    page.runtime = combo(page, "runtime", runtime_names())
    group.add_choice(
        tr("Runtime"),
        page.runtime,
        tr("What was chosen is named with the result."),
        "runtime-and-precision",
    )
    page.precision = combo(page, "precision", precision_names())
    group.add_choice(
        tr("Precision"),
        page.precision,
        tr("int8 is the fastest on many processors; it is tried on validation ground first."),
        "runtime-and-precision",
    )
    page.int8_loss = page.remember("int8_loss", QgsDoubleSpinBox())
    page.int8_loss.setDecimals(3)
    page.int8_loss.setRange(0, 0.2)
    page.int8_loss.setSingleStep(0.001)
    page.int8_loss.setValue(0.005)
    page.int8_loss.setClearValue(0.005)
    group.add_choice(
        tr("int8 may lose"),
        page.int8_loss,
        tr("Mean IoU on validation ground; if it loses more, it is not used."),
        "runtime-and-precision",
    )
    page.device = combo(
        page, "device", {"auto": tr("GPU if there is one"), "cpu": tr("CPU"), "cuda": tr("GPU")}
    )
    group.add_choice(tr("Device"), page.device, tr("A GPU is 20 to 100 times faster."), "engine")


def add_cleaning(page: PredictPage, group: AdvancedGroup) -> None:
    """What is done to the classes before polygons are drawn, in this order."""
    names = {str(side): tr("{0} × {0} px").format(side) if side else tr("none") for side in MAJORITIES}
    page.majority = combo(page, "majority", names)
    group.add_choice(
        tr("Majority"),
        page.majority,
        tr("Each pixel takes the most frequent class around it: takes out speckle, then thin objects."),
        "cleaning",
    )
    none, radius = tr("none"), tr(" px radius")
    page.opening = page.spin_box("opening", 0, 50, 0, none, radius)
    group.add_choice(
        tr("Opening"), page.opening, tr("Takes off spikes, and bridges between two objects."), "cleaning"
    )
    page.closing = page.spin_box("closing", 0, 50, 0, none, radius)
    group.add_choice(tr("Closing"), page.closing, tr("Fills gaps and notches within one object."), "cleaning")
    page.holes = page.spin_box("holes", 0, 1_000_000, 0, none, " px")
    group.add_choice(
        tr("Fill holes below"),
        page.holes,
        tr("A smaller patch with one class all around takes it."),
        "cleaning",
    )
    page.least = page.spin_box("least_area", 0, 1_000_000, 0, none, " px")
    group.add_choice(
        tr("Least area"),
        page.least,
        tr("A smaller patch takes the class of its largest neighbour: the smallest object you would draw."),
        "cleaning",
    )
    page.corners = page.remember("clean_corners", QCheckBox(tr("Corners join patches")))
    group.add_choice(
        "",
        page.corners,
        tr("Pixels that touch at a corner only count as one patch (8-connected)."),
        "cleaning",
    )


def add_outlines(page: PredictPage, group: AdvancedGroup) -> None:
    """How polygons are drawn."""
    page.min_area = page.spin_box("min_area_px", 0, 1_000_000, 4, tr("none"), " px")
    group.add_choice(
        tr("Leave out below"),
        page.min_area,
        tr("Smaller polygons are not drawn; the raster of classes keeps them."),
        "outlines",
    )
    page.simplify = page.remember("simplify_m", QgsDoubleSpinBox())
    page.simplify.setDecimals(2)
    page.simplify.setRange(0, 10_000)
    page.simplify.setSuffix(" m")
    page.simplify.setSpecialValueText(tr("none"))
    page.simplify.setClearValue(0)
    group.add_choice(
        tr("Simplify"),
        page.simplify,
        tr(
            "How far an outline may move; half a pixel takes off the steps. Neighbours keep their common border."
        ),
        "outlines",
    )
    page.smooth = page.spin_box("smooth", 0, 5, 0, tr("none"), tr(" rounds"))
    group.add_choice(
        tr("Smooth"), page.smooth, tr("Cuts corners, for natural shapes; 2 are enough."), "outlines"
    )
    page.right_angles = page.remember("right_angles", QCheckBox(tr("Right angles")))
    group.add_choice(
        "", page.right_angles, tr("For buildings: upright along each one's own main direction."), "outlines"
    )
    page.joined = page.remember("outline_corners", QCheckBox(tr("Corners join polygons")))
    group.add_choice(
        "",
        page.joined,
        tr("Fewer and larger polygons, which may pinch at a point (8-connected)."),
        "outlines",
    )


def settings_of(page: PredictPage) -> dict[str, Any]:
    """The choices of these groups, but the layers, as fields of the job."""
    return {
        "tta": page.tta.currentData(),
        "dropout_passes": page.passes.value(),
        "runtime": page.runtime.currentData(),
        "precision": page.precision.currentData(),
        "int8_loss": round(page.int8_loss.value(), 3),
        "device": page.device.currentData(),
        "min_area_px": page.min_area.value(),
        "cleaning": Cleaning(
            majority_px=int(page.majority.currentData()),
            opening_px=page.opening.value(),
            closing_px=page.closing.value(),
            fill_holes_px=page.holes.value(),
            min_patch_px=page.least.value(),
            connectivity=8 if page.corners.isChecked() else 4,
        ),
        "outlines": Outlines(
            connectivity=8 if page.joined.isChecked() else 4,
            simplify_m=round(page.simplify.value(), 2),
            smooth=page.smooth.value(),
            right_angles=page.right_angles.isChecked() and not page.smooth.value(),
        ),
    }


def combo(page: PredictPage, key: str, entries: Mapping[str, str]) -> QComboBox:
    """A remembered list of named values."""
    box: QComboBox = page.remember(key, QComboBox())
    for value, name in entries.items():
        box.addItem(name, value)
    return box
