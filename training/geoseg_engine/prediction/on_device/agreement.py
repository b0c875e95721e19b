"""Whether the device gives the map of the CPU: one window of the raster, predicted both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...contract import IGNORE, Problem
from ...modelfile.reading import ModelFile, load_network
from ...raster.writer import STEPS_OF_ONE
from ..block_reader import BandReader, Block
from ..inference import Setup, sample_cuts
from ..result_layers import CLASSES, Layer, predict_block
from ..runtimes.torch_runtime import TorchRuntime
from ..windows import Cut, Frame, cut_at
from .pipeline import DevicePath

ENOUGH = 0.9999
"""Share of the pixels that must get the class of the CPU, below which the result warns."""
USABLE = 0.998
"""Share below which the device is not used."""
LAYERS = (Layer(CLASSES, ("class",)), Layer("margin", ("margin",)))


@dataclass(frozen=True)
class Agreement:
    """What a device and the CPU made of one window.

    Attributes:
        pixels: with a value.
        same_classes: share that got the same class, 0 to 1.
        largest_margin: of the pixels that did not, the largest difference of the two highest probabilities on the CPU.
    """

    pixels: int
    same_classes: float
    largest_margin: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for the result."""
        return asdict(self)

    def problems(self) -> list[Problem]:
        """Return the warning that too many pixels differ."""
        if self.same_classes >= ENOUGH:
            return []
        return [
            Problem(
                "device_differs",
                f"On a window of this raster {1 - self.same_classes:.2%} of the pixels got another class on the device "
                f"than on the CPU; their two highest probabilities differ by up to {self.largest_margin:.3f}.",
                "Set the precision to float32, or choose the CPU as device, where this matters.",
                "warning",
            )
        ]


def measured(
    path: Callable[[tuple[Layer, ...]], DevicePath], model: ModelFile, setup: Setup, reader: BandReader
) -> Agreement | None:
    """Predict a window of the raster on the device and on the CPU in float32.

    Args:
        path: opens the way over the device for some results.
        model: the model file.
        setup: the network on the device.
        reader: bands of the stack, for the CPU.

    Returns:
        How they agree; None where no window with values was found.
    """
    block = sample_block(setup.frame, reader)
    if block is None:
        return None
    with path(LAYERS) as device:
        found = device.piece(block.cut)
    return compared(found.codes, predict_block(on_cpu(setup, model), block, LAYERS, lambda text: None).codes)


def of_network(model: ModelFile, setup: Setup, reader: BandReader) -> Agreement | None:
    """Compare the network alone: on the device and on the CPU in float32, with scores and results of the host.

    Args:
        model: the model file.
        setup: the network on the device.
        reader: bands of the stack.

    Returns:
        How they agree; None where no window with values was found.
    """
    block = sample_block(setup.frame, reader)
    if block is None:
        return None
    found = predict_block(setup, block, LAYERS, lambda text: None)
    return compared(found.codes, predict_block(on_cpu(setup, model), block, LAYERS, lambda text: None).codes)


def on_cpu(setup: Setup, model: ModelFile) -> Setup:
    """Return the set-up with the network on the CPU in float32.

    Args:
        setup: on a device.
        model: the model file.
    """
    cpu = TorchRuntime(load_network(model.path), "cpu", "float32", model.calibration)
    return replace(setup, choice=replace(setup.choice, runtime=cpu))


def sample_block(frame: Frame, reader: BandReader) -> Block | None:
    """Return the first of some windows of the raster that has values, with its halo."""
    for cut in sample_cuts(frame):
        core = cut.core
        around: Cut = cut_at(frame, core.row, core.col, core.height, core.width)
        block = reader.read(around)
        if block.valid.any():
            return block
    return None


def compared(found: Any, expected: Any) -> Agreement:
    """Compare codes of LAYERS, (bands, rows, cols).

    Args:
        found: of the device; None where it found no value.
        expected: of the CPU.
    """
    known = expected[0] < IGNORE
    pixels = int(known.sum())
    if found is None or not np.array_equal(found[0] < IGNORE, known):
        return Agreement(pixels, 0.0, 1.0)
    other = known & (found[0] != expected[0])
    margin = float(expected[1][other].max()) / STEPS_OF_ONE if other.any() else 0.0
    return Agreement(pixels, 1 - int(other.sum()) / max(pixels, 1), round(margin, 4))
