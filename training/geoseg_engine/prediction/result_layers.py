"""The results of a prediction for every pixel, and their 16-bit codes in the parts.

Shares (confidence, entropy, probabilities, …) are rounded to 1/512 and stored as that multiple; classes and counts as
they are. One array holds all results of a window, and compresses well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, LabelClass, PredictJob
from ..modelfile.calibration import calibrated
from ..raster.grid import Window
from ..raster.writer import STEPS_OF_ONE
from .block_reader import Block
from .inference import Setup, class_confidence, class_ids
from .runtimes.averaging import entropy

MISSING = 65535
"""Code of a pixel without result."""
CLASSES, OUT_OF_RANGE = "output", "beyond"
"""The layers that are no shares; the key of a layer is the field of the job that names its file."""

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class Layer:
    """One result: the field of the job that names its file, and its bands."""

    key: str
    bands: tuple[str, ...]

    @property
    def is_share(self) -> bool:
        """Whether values are shares 0..1 as float32; else uint8 with IGNORE."""
        return self.key not in (CLASSES, OUT_OF_RANGE)

    def values(self, codes: Codes) -> NDArray[Any]:
        """Return codes as the values of the file."""
        if not self.is_share:
            return np.minimum(codes, IGNORE).astype(np.uint8)
        shares = np.multiply(codes, np.float32(1 / STEPS_OF_ONE), dtype=np.float32)  # a power of two: exact
        if codes.size and codes.max() == MISSING:
            shares[codes == MISSING] = np.nan
        return shares


@dataclass(frozen=True)
class Piece:
    """The result on one window: codes (bands of all layers, rows, cols), None where no pixel has any value.

    Attributes:
        out_of_range: (bands,) pixels whose value is outside the range of the training pixels.
        valid_px: pixels with a value.
    """

    window: Window
    codes: Codes | None
    out_of_range: NDArray[np.int64]
    valid_px: int


def layers_of(job: PredictJob, classes: Sequence[LabelClass]) -> tuple[Layer, ...]:
    """Return the layers that a job needs; confidence also where polygons take their score from it.

    Args:
        job: the prediction.
        classes: classes of the model.
    """
    names = tuple(item.name for item in classes)
    found = [Layer(CLASSES, ("class",))]
    if job.confidence or job.polygons:
        found.append(Layer("confidence", ("confidence",)))
    for key in ("entropy", "margin", "disagreement", OUT_OF_RANGE):
        if getattr(job, key):
            found.append(Layer(key, (key,)))
    if job.probability:
        found.append(Layer("probability", names))
    return tuple(found)


def band_count(layers: Sequence[Layer]) -> int:
    """Return the number of bands of all layers."""
    return sum(len(layer.bands) for layer in layers)


def first_band(layers: Sequence[Layer], key: str) -> int:
    """Return the number of a layer's first band among those of all layers, from 0.

    Args:
        layers: all layers.
        key: key of the layer.

    Raises:
        KeyError: if there is no such layer.
    """
    found = 0
    for layer in layers:
        if layer.key == key:
            return found
        found += len(layer.bands)
    raise KeyError(key)


def predict_block(setup: Setup, block: Block, layers: Sequence[Layer], log: Callable[[str], None]) -> Piece:
    """Predict all layers on a block's core; the network does not run if no pixel there has a value.

    Args:
        setup: the network.
        block: z-scores of one window.
        layers: the results to compute.
        log: receives a line if a window must be halved.

    Raises:
        GeoSegError: `out_of_memory`.
    """
    core = block.cut.core
    if not block.valid.any():
        return Piece(core, None, block.out_of_range, block.valid_px)
    answer = setup.output(block, log)
    output = answer[: setup.classes]
    shares = calibrated(output, setup.calibration)
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        CLASSES: lambda: class_ids(output, block.valid),
        OUT_OF_RANGE: lambda: np.asarray(block.out_of_range_px),
        "confidence": lambda: class_confidence(shares, output),
        "entropy": lambda: entropy(shares),
        "margin": lambda: margin(shares),
        "disagreement": lambda: answer[setup.classes],
        "probability": lambda: shares,
    }
    codes = np.empty((band_count(layers), core.height, core.width), np.uint16)
    place = 0
    for layer in layers:
        made = makers[layer.key]()
        codes[place : place + len(layer.bands)] = np.rint(made * STEPS_OF_ONE) if layer.is_share else made
        place += len(layer.bands)
    codes[:, ~block.valid] = MISSING
    return Piece(core, codes, block.out_of_range, block.valid_px)


def margin(shares: NDArray[Any]) -> NDArray[Any]:
    """Return the probability (rows, cols) of the most likely class minus that of the second; 1 for one class."""
    if len(shares) < 2:
        return np.ones(shares.shape[1:], np.float32)
    two = np.partition(shares, len(shares) - 2, axis=0)[-2:]
    return np.asarray(two[1] - two[0])
