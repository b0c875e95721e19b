"""Logs of a training for other programs: history.csv, and event files for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..channel import Channel
from ..contract import IGNORE, LabelClass
from ..device.devices import as_device
from ..modelfile.precision import Precision
from ..models import traits
from ..outputs import whole_file
from .scene import Scene
from .validate import Core, cores, forward

CSV_FILE, TENSORBOARD_FOLDER = "history.csv", "tensorboard"
PICTURE_EPOCHS = 5
"""A picture is made after the first epoch and then every PICTURE_EPOCHS epochs."""
PICTURE_PX = 256
CONTRAST = 2.0
"""Z-scores from -CONTRAST to CONTRAST are shown."""


class Logs:
    """Writes the epochs of one run; `close` when it ends.

    Args:
        folder: the run's output.
        classes: names and colours.
        tensorboard: whether to write event files, too.
        epochs_before: epochs that a resumed run keeps; events of later ones are dropped.
        channel: gets a warning if TensorBoard is requested and not installed.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[LabelClass],
        tensorboard: bool,
        epochs_before: int,
        channel: Channel,
    ) -> None:
        self._folder, self._classes = folder, classes
        self._writer = _writer(folder / TENSORBOARD_FOLDER, epochs_before, channel) if tensorboard else None

    def write(self, history: Sequence[dict[str, Any]], scene: Scene, network: nn.Module) -> None:
        """Log the newest row of the history, and every PICTURE_EPOCHS epochs a picture of the validation.

        Args:
            history: rows of history.json.
            scene: image and labels.
            network: that is validated.
        """
        write_csv(self._folder / CSV_FILE, history, self._classes)
        if self._writer is None:
            return
        row = history[-1]
        for tag, value in scalars(row, self._classes).items():
            self._writer.add_scalar(tag, value, row["epoch"])
        if row["epoch"] % PICTURE_EPOCHS == 1:
            shown = picture(network, scene, self._classes)
            if shown is not None:
                self._writer.add_image(
                    "validation: image, truth, map", shown, row["epoch"], dataformats="HWC"
                )
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        if self._writer is not None:
            self._writer.close()


def write_csv(path: Path, history: Sequence[dict[str, Any]], classes: Sequence[LabelClass]) -> None:
    """Write history.csv: the rows of history.json with one column per class for IoU and F1, empty without a number.

    Args:
        path: of the file.
        history: rows of history.json.
        classes: names.
    """
    names = [f"{score} {item.name}" for score in ("iou", "f1") for item in classes]
    columns = ["epoch", "train_loss", "validation_loss", "miou", "learning_rate", "best"]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*columns, *names])
        for row in history:
            table.writerow([*(row[key] for key in columns), *row["iou"], *row["f1"]])


def scalars(row: dict[str, Any], classes: Sequence[LabelClass]) -> dict[str, float]:
    """Return TensorBoard's curves and their newest value, without those that have none.

    Args:
        row: newest of the history.
        classes: names.
    """
    found = {
        "loss/train": row["train_loss"],
        "loss/validation": row["validation_loss"],
        "miou": row["miou"],
        "learning rate": row["learning_rate"],
        **{f"iou/{item.name}": value for item, value in zip(classes, row["iou"], strict=False)},
        **{f"f1/{item.name}": value for item, value in zip(classes, row["f1"], strict=False)},
    }
    return {tag: value for tag, value in found.items() if value is not None}


def picture(network: nn.Module, scene: Scene, classes: Sequence[LabelClass]) -> NDArray[np.uint8] | None:
    """Return image, labels and map of the validation part with most labels, side by side.

    The map is made without the surroundings of the part, so near its border it may differ from a prediction's.

    Args:
        network: that predicts.
        scene: image and labels.
        classes: with their colours.

    Returns:
        uint8 (rows, 3 cols, 3); None without validation pixels.
    """
    parts = cores(scene.validation, traits(network).align_px, PICTURE_PX)
    if not parts:
        return None
    part = max(parts, key=lambda item: _labelled(scene, item))
    scores = scene.image.read(part.row, part.col, part.height, part.width)
    with torch.no_grad():
        device = as_device(next(network.parameters()).device)
        logits = forward(network.eval(), scores[None], device, Precision("float32"))[0]
    truth = np.full((part.height, part.width), IGNORE, dtype=np.uint8)
    known = scene.validation[part.row : part.row + part.height, part.col : part.col + part.width]
    truth[: known.shape[0], : known.shape[1]] = known
    mapped = logits.argmax(0).to(torch.uint8).cpu().numpy()
    colors = np.zeros((256, 3), dtype=np.uint8)
    for item in classes:
        colors[item.id] = [int(item.color[at : at + 2], 16) for at in (1, 3, 5)]
    return np.concatenate([_as_colors(scores), colors[truth], colors[mapped]], axis=1)


def _as_colors(scores: Tensor) -> NDArray[np.uint8]:
    """The first three bands, or the first one in grey."""
    bands = scores[:3] if len(scores) >= 3 else scores[:1].expand(3, -1, -1)
    shown = ((bands / (2 * CONTRAST) + 0.5).clamp(0, 1) * 255).byte()
    return np.asarray(shown.permute(1, 2, 0).cpu().numpy())


def _labelled(scene: Scene, part: Core) -> int:
    known = scene.validation[part.row : part.row + part.height, part.col : part.col + part.width]
    return int((known != IGNORE).sum())


def _writer(folder: Path, epochs_before: int, channel: Channel) -> Any:
    """Return a writer of event files; None, with a warning, where the package is not installed."""
    module = _tensorboard()
    if module is None:
        channel.log("TensorBoard is not installed: only history.json and history.csv are written.", "warning")
        return None
    if not epochs_before:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
    return module.SummaryWriter(str(folder), purge_step=epochs_before + 1 if epochs_before else None)


def _tensorboard() -> ModuleType | None:
    try:
        from torch.utils import tensorboard
    except ImportError:
        return None
    return tensorboard
