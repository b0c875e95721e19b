"""The choices of the Train page that rarely need changing: the recipe, the network, the run; and of baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit

from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup
from ...panel.widgets.ticks import AutoTicks
from .names import augmentation_names, class_weight_names, loss_names, monitor_names

if TYPE_CHECKING:
    from .page import TrainPage

RATE = 0.0001
"""Step of the learning rate, and the least one that can be chosen besides the plan's."""


def add_recipe(page: TrainPage, group: AdvancedGroup) -> None:
    """What the network is told, and what it looks at."""
    page.loss = page.remember("loss", AutoTicks(tr("Loss"), loss_names(), ("ce", "lovasz")))
    group.add_choice(tr("Loss"), page.loss, tr("What counts as wrong; those you tick are summed."), "loss")
    group.add_choice(
        tr("Class weights"),
        combo(page, "class_weights", class_weight_names()),
        tr("Rare classes count more, so that they are not drowned."),
        "class-weights",
    )
    page.augment = page.remember(
        "augment",
        AutoTicks(tr("Augmentation"), augmentation_names(), ("flip", "turn", "scale", "brightness"), True),
    )
    group.add_choice(
        tr("Augmentation"),
        page.augment,
        tr("Variety that stands in for labels you do not have. Bands with a direction are turned rightly."),
        "augmentation",
    )
    group.add_choice(
        tr("Rare classes"),
        share_box(page, "by_class", 0.05, 1.0),
        tr("Share of the crops drawn around a class in turn; the others are drawn anywhere."),
        "sampling",
    )


def add_descent(page: TrainPage, group: AdvancedGroup) -> None:
    """How the weights are changed, and which are kept."""
    page.optimiser = combo(page, "optimiser", {"adamw": "AdamW", "sgd": "SGD"})
    group.add_choice(
        tr("Optimiser"), page.optimiser, tr("AdamW is at ease with most data."), "learning-rate-batch-crop"
    )
    group.add_choice(
        tr("Schedule"),
        combo(page, "schedule", {"cosine": tr("cosine"), "plateau": tr("when it stops improving")}),
        tr("How the learning rate comes down: evenly to the end, or each time the score stands still."),
        "learning-rate-batch-crop",
    )
    page.learning_rate = number_box(page, "learning_rate", 0, 1, RATE, 6)
    group.add_choice(
        tr("Learning rate"),
        page.learning_rate,
        tr("Lower it ten-fold if the loss jumps or becomes NaN."),
        "learning-rate-batch-crop",
    )
    group.add_choice(
        "",
        tick(page, "find_rate", tr("Find the learning rate first"), False),
        tr("Tries rising rates for some seconds and takes the best."),
        "learning-rate-batch-crop",
    )
    decay = number_box(page, "weight_decay", 0, 1, 0.005, 4, special="")
    decay.setValue(0.01)
    decay.setClearValue(0.01)
    group.add_choice(
        tr("Weight decay"),
        decay,
        tr("Holds weights small; raise it when it over-fits."),
        "width-levels-dropout",
    )
    group.add_choice(
        tr("Averaging"),
        share_box(page, "average", 0.01, 0.999),
        tr("Running mean of the weights: steadier than the newest; 0 is none."),
        "learning-rate-batch-crop",
    )
    group.add_choice(
        tr("Best by"),
        combo(page, "monitor", monitor_names()),
        tr("The score on validation ground that decides which epoch is kept."),
        "epochs-patience-time",
    )


def add_length(page: TrainPage, group: AdvancedGroup) -> None:
    """How long, in steps of what size."""
    found = tr("found for you")
    page.epochs = page.spin_box("epochs", 0, 100_000, 0, found)
    group.add_choice(
        tr("Epochs"),
        page.epochs,
        tr("At most so many rounds over the training ground."),
        "epochs-patience-time",
    )
    page.patience = page.spin_box("patience", -1, 10_000, -1, found, tr(" epochs"))
    group.add_choice(
        tr("Patience"),
        page.patience,
        tr("Stop after so many epochs without a better score; 0 never stops early."),
        "epochs-patience-time",
    )
    group.add_choice(
        tr("Steps"),
        page.spin_box("steps_per_epoch", 0, 100_000, 0, found, tr(" an epoch")),
        tr("Fewer give news sooner; it changes the length, too."),
        "epochs-patience-time",
    )
    page.batch = page.spin_box("batch_size", 0, 4096, 0, found, tr(" crops"))
    group.add_choice(
        tr("Batch"),
        page.batch,
        tr("Crops a step. Smaller needs less memory; larger learns more steadily."),
        "learning-rate-batch-crop",
    )
    page.crop = page.spin_box("crop_px", 0, 1024, 0, found, " px")
    page.crop.setSingleStep(16)
    group.add_choice(
        tr("Crop"),
        page.crop,
        tr("What the network sees at once; a multiple of 16."),
        "learning-rate-batch-crop",
    )


def add_network(page: TrainPage, group: AdvancedGroup) -> None:
    """Size and kind of the network."""
    found = tr("found for you")
    page.width_box = page.spin_box("width", 0, 512, 0, found, tr(" channels"))
    page.width_box.setSingleStep(8)
    group.add_choice(
        tr("Width"),
        page.width_box,
        tr("A wider network can learn more and is slower: double is four-fold."),
        "width-levels-dropout",
    )
    page.levels = page.spin_box("levels", 0, 6, 0, found)
    group.add_choice(
        tr("Levels"),
        page.levels,
        tr("Each further level looks twice as far around and learns more slowly."),
        "width-levels-dropout",
    )
    group.add_choice(
        tr("Dropout"),
        share_box(page, "dropout", 0.05, 0.9),
        tr("Raise it to 0.3 when validation loss climbs while training loss falls."),
        "width-levels-dropout",
    )
    norms = {"batch": tr("batch"), "group": tr("group"), "instance": tr("instance")}
    group.add_choice(
        tr("Normalisation"),
        combo(page, "norm", norms),
        tr(
            "Batch lets maps be predicted without seams, exactly; the others suit batches of one or two crops."
        ),
        "width-levels-dropout",
    )


def add_machine(page: TrainPage, group: AdvancedGroup) -> None:
    """Where and how it is computed, and what is written besides."""
    page.device = combo(
        page, "device", {"auto": tr("GPU if there is one"), "cpu": tr("CPU"), "cuda": tr("GPU")}
    )
    group.add_choice(tr("Device"), page.device, tr("A GPU is 20 to 100 times faster."), "engine")
    precisions = {"auto": tr("the faster one, timed"), "float32": "float32", "bf16": "bfloat16"}
    page.precision = combo(page, "precision", precisions)
    group.add_choice(
        tr("Precision"),
        page.precision,
        tr("bfloat16 is up to twice as fast where the device has it."),
        "seed-and-resume",
    )
    page.seed = page.spin_box("seed", 0, 2_000_000_000, 42)
    group.add_choice(
        tr("Seed"),
        page.seed,
        tr(
            "The same seed gives the same model on one device, at a fixed precision and without a time limit."
        ),
        "seed-and-resume",
    )
    page.calibrate = tick(page, "calibrate", tr("Calibrate on validation ground"), True)
    group.add_choice(
        "",
        page.calibrate,
        tr("Confidence then means what it says, and rare classes get the threshold that fits best."),
        "calibration",
    )
    page.tensorboard = tick(page, "tensorboard", tr("Write logs for TensorBoard"), True)
    group.add_choice("", page.tensorboard, tr("For curves of many runs side by side."), "tensorboard")


def add_baseline(page: TrainPage, group: AdvancedGroup) -> None:
    """What a random forest and its companions can be told."""
    page.trees = page.spin_box("forest_trees", 0, 5000, 0, tr("100"), tr(" trees"))
    group.add_choice(
        tr("Trees"), page.trees, tr("More are steadier and slower; the map is larger."), "baselines"
    )
    page.depth = page.spin_box("forest_depth", 0, 100, 0, tr("no limit"))
    group.add_choice(
        tr("Depth"), page.depth, tr("Limit it when few labels give a speckled map."), "baselines"
    )
    page.features = page.spin_box("forest_features", 0, 500, 0, tr("square root of all"))
    group.add_choice(tr("Features"), page.features, tr("So many are tried at each branch."), "baselines")
    page.search = tick(page, "forest_search", tr("Search leaf size and features first"), True)
    group.add_choice(
        "", page.search, tr("Scored on validation ground; takes less time than the trees."), "baselines"
    )
    page.texture = page.remember("forest_texture", QLineEdit())
    page.texture.setPlaceholderText(tr("none; for example 3, 7, 15"))
    group.add_choice(
        tr("Texture"),
        page.texture,
        tr("Sides of windows in pixels whose mean and roughness the model also sees."),
        "baselines",
    )
    page.pixels = page.spin_box("forest_pixels", 100, 50_000_000, 200_000)
    group.add_choice(
        tr("Pixels"),
        page.pixels,
        tr("At most so many training pixels, evenly over the classes."),
        "baselines",
    )
    page.forest_seed = page.spin_box("forest_seed", 0, 2_000_000_000, 42)
    group.add_choice(
        tr("Seed"), page.forest_seed, tr("The same seed gives the same model."), "seed-and-resume"
    )


def combo(page: TrainPage, key: str, entries: Mapping[str, str]) -> QComboBox:
    """A remembered list of named values."""
    box: QComboBox = page.remember(key, QComboBox())
    for value, name in entries.items():
        box.addItem(name, value)
    return box


def tick(page: TrainPage, key: str, text: str, on: bool) -> QCheckBox:
    """A remembered tick."""
    box: QCheckBox = page.remember(key, QCheckBox(text))
    box.setChecked(on)
    return box


def number_box(
    page: TrainPage, key: str, low: float, high: float, step: float, decimals: int, special: str | None = None
) -> QgsDoubleSpinBox:
    """A remembered number; the least one stands for what is found, unless `special` says otherwise."""
    box: QgsDoubleSpinBox = page.remember(key, QgsDoubleSpinBox())
    box.setDecimals(decimals)
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setValue(low)
    box.setClearValue(low)
    box.setSpecialValueText(tr("found for you") if special is None else special)
    return box


def share_box(page: TrainPage, key: str, step: float, high: float) -> QgsDoubleSpinBox:
    """A remembered share from 0; the value below 0 stands for what is found."""
    return number_box(page, key, -step, high, step, 3 if step < 0.05 else 2)
