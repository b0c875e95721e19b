"""The settings of a network and its training that rarely need changing."""

from __future__ import annotations

from qgis.gui import QgsDoubleSpinBox

from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup, Page
from ...panel.widgets.ticks import AutoTicks
from .names import augmentation_names, class_weight_names, loss_names, monitor_names

RATE = 0.0001
"""Step of the learning rate, and the least one that can be chosen besides the plan's."""


class NetworkOptions(AdvancedGroup):
    """The settings of a training: loss and crops, optimizer, length, network, device."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._add_loss(page)
        self._add_optimizer(page)
        self._add_length(page)
        self._add_network(page)
        self._add_device(page)

    def _add_loss(self, page: Page) -> None:
        self.loss = page.remember("loss", AutoTicks(tr("Loss"), loss_names(), ("ce", "lovasz")))
        self.add_choice(tr("Loss"), self.loss, tr("What counts as wrong; those you tick are summed."), "loss")
        self.add_choice(
            tr("Class weights"),
            page.combo("class_weights", class_weight_names()),
            tr("Rare classes count more, so that they are not drowned."),
            "class-weights",
        )
        self.augment = page.remember(
            "augment",
            AutoTicks(
                tr("Augmentation"), augmentation_names(), ("flip", "turn", "scale", "brightness"), True
            ),
        )
        self.add_choice(
            tr("Augmentation"),
            self.augment,
            tr(
                "Variety that stands in for labels you do not have. Bands with a direction are turned rightly."
            ),
            "augmentation",
        )
        self.add_choice(
            tr("Rare classes"),
            share_box(page, "by_class", 0.05, 1.0),
            tr("Share of the crops drawn around a class in turn; the others are drawn anywhere."),
            "sampling",
        )

    def _add_optimizer(self, page: Page) -> None:
        self.optimiser = page.combo("optimiser", {"adamw": "AdamW", "sgd": "SGD"})
        self.add_choice(
            tr("Optimiser"),
            self.optimiser,
            tr("AdamW is at ease with most data."),
            "learning-rate-batch-crop",
        )
        self.add_choice(
            tr("Schedule"),
            page.combo("schedule", {"cosine": tr("cosine"), "plateau": tr("when it stops improving")}),
            tr("How the learning rate comes down: evenly to the end, or each time the score stands still."),
            "learning-rate-batch-crop",
        )
        self.learning_rate = number_box(page, "learning_rate", 0, 1, RATE, 6)
        self.add_choice(
            tr("Learning rate"),
            self.learning_rate,
            tr("Lower it ten-fold if the loss jumps or becomes NaN."),
            "learning-rate-batch-crop",
        )
        self.add_choice(
            "",
            page.tick("find_rate", tr("Find the learning rate first"), False),
            tr("Tries rising rates for some seconds and takes the best."),
            "learning-rate-batch-crop",
        )
        decay = number_box(page, "weight_decay", 0, 1, 0.005, 4, special="")
        decay.setValue(0.01)
        decay.setClearValue(0.01)
        self.add_choice(
            tr("Weight decay"),
            decay,
            tr("Holds weights small; raise it when it over-fits."),
            "width-levels-dropout",
        )
        self.add_choice(
            tr("Averaging"),
            share_box(page, "average", 0.01, 0.999),
            tr("Running mean of the weights: steadier than the newest; 0 is none."),
            "learning-rate-batch-crop",
        )
        self.add_choice(
            tr("Best by"),
            page.combo("monitor", monitor_names()),
            tr("The score on validation ground that decides which epoch is kept."),
            "epochs-patience-time",
        )

    def _add_length(self, page: Page) -> None:
        found = tr("found for you")
        self.epochs = page.spin_box("epochs", 0, 100_000, 0, found)
        self.add_choice(
            tr("Epochs"),
            self.epochs,
            tr("At most so many rounds over the training ground."),
            "epochs-patience-time",
        )
        self.patience = page.spin_box("patience", -1, 10_000, -1, found, tr(" epochs"))
        self.add_choice(
            tr("Patience"),
            self.patience,
            tr("Stop after so many epochs without a better score; 0 never stops early."),
            "epochs-patience-time",
        )
        self.add_choice(
            tr("Steps"),
            page.spin_box("steps_per_epoch", 0, 100_000, 0, found, tr(" an epoch")),
            tr("Fewer give news sooner; it changes the length, too."),
            "epochs-patience-time",
        )
        self.batch = page.spin_box("batch_size", 0, 4096, 0, found, tr(" crops"))
        self.add_choice(
            tr("Batch"),
            self.batch,
            tr("Crops a step. Smaller needs less memory; larger learns more steadily."),
            "learning-rate-batch-crop",
        )
        self.crop = page.spin_box("crop_px", 0, 1024, 0, found, " px")
        self.crop.setSingleStep(16)
        self.add_choice(
            tr("Crop"),
            self.crop,
            tr("What the network sees at once; a multiple of 16."),
            "learning-rate-batch-crop",
        )

    def _add_network(self, page: Page) -> None:
        found = tr("found for you")
        self.width_box = page.spin_box("width", 0, 512, 0, found, tr(" channels"))
        self.width_box.setSingleStep(8)
        self.add_choice(
            tr("Width"),
            self.width_box,
            tr("A wider network can learn more and is slower: double is four-fold."),
            "width-levels-dropout",
        )
        self.levels = page.spin_box("levels", 0, 6, 0, found)
        self.add_choice(
            tr("Levels"),
            self.levels,
            tr("Each further level looks twice as far around and learns more slowly."),
            "width-levels-dropout",
        )
        self.add_choice(
            tr("Dropout"),
            share_box(page, "dropout", 0.05, 0.9),
            tr("Raise it to 0.3 when validation loss climbs while training loss falls."),
            "width-levels-dropout",
        )
        norms = {"batch": tr("batch"), "group": tr("group"), "instance": tr("instance")}
        self.add_choice(
            tr("Normalisation"),
            page.combo("norm", norms),
            tr(
                "Batch lets maps be predicted without seams, exactly; the others suit batches of one or two crops."
            ),
            "width-levels-dropout",
        )

    def _add_device(self, page: Page) -> None:
        self.device = page.combo(
            "device", {"auto": tr("GPU if there is one"), "cpu": tr("CPU"), "cuda": tr("GPU")}
        )
        self.add_choice(tr("Device"), self.device, tr("A GPU is 20 to 100 times faster."), "engine")
        precisions = {"auto": tr("the faster one, timed"), "float32": "float32", "bf16": "bfloat16"}
        self.precision = page.combo("precision", precisions)
        self.add_choice(
            tr("Precision"),
            self.precision,
            tr("bfloat16 is up to twice as fast where the device has it."),
            "seed-and-resume",
        )
        self.seed = page.spin_box("seed", 0, 2_000_000_000, 42)
        self.add_choice(
            tr("Seed"),
            self.seed,
            tr(
                "The same seed gives the same model on one device, at a fixed precision and without a time limit."
            ),
            "seed-and-resume",
        )
        self.calibrate = page.tick("calibrate", tr("Calibrate on validation ground"), True)
        self.add_choice(
            "",
            self.calibrate,
            tr("Confidence then means what it says, and rare classes get the threshold that fits best."),
            "calibration",
        )
        self.tensorboard = page.tick("tensorboard", tr("Write logs for TensorBoard"), True)
        self.add_choice("", self.tensorboard, tr("For curves of many runs side by side."), "tensorboard")


def number_box(
    page: Page, key: str, low: float, high: float, step: float, decimals: int, special: str | None = None
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


def share_box(page: Page, key: str, step: float, high: float) -> QgsDoubleSpinBox:
    """A remembered share from 0; the value below 0 stands for what is found."""
    return number_box(page, key, -step, high, step, 3 if step < 0.05 else 2)
