"""A third-party model as a runtime: its conventions stay inside, its output is q as of our own models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...device.devices import CPU, Device
from ...modelfile.reading import ModelFile
from ...modelfile.third_party import unusable_model
from ...raster.grid import Window
from .averaging import decision_output
from .onnx_runtime import OnnxRuntime
from .runtime import Array, Runtime

MIN_SHARE = 1e-7
LEAD = 1e-4
"""Lead of the class of a pixel over the next, as a share of its probability: more than rounding takes away."""


class ThirdPartyRuntime:
    """Windows of the side that the model expects, its values as probabilities, its threshold as decision.

    Attributes:
        title, name, precision, device: see `Runtime`.
    """

    def __init__(self, session: Runtime, model: ModelFile) -> None:
        """`session` gives the graph's first output of z-scores."""
        self.title, self.name = session.title, session.name
        self.precision, self.device = session.precision, session.device
        self._session, self._calibration = session, model.calibration
        self._side = int(model.architecture["tile_px"])
        self._path = model.path
        self._channels = int(model.architecture["outputs"])
        self._shares = str(model.architecture["shares"])
        self._threshold = float(model.architecture["threshold"])

    def predict_window(self, scores: Array, kept: Window | None = None) -> Array:
        """See `Runtime`. A window larger than the model's is made of several, side by side.

        Where the model gives no output at the edges of a window, the nearest one is used.

        Args:
            scores: z-scores (bands, rows, cols).
            kept: part of the window that is returned.

        Raises:
            GeoSegError: `not_our_model` if the output has another shape than the file states.
        """
        _, height, width = scores.shape
        rows = []
        for row in range(0, height, self._side):
            parts = []
            for col in range(0, width, self._side):
                part = scores[:, row : row + self._side, col : col + self._side]
                parts.append(self._window(np.ascontiguousarray(part)))
            rows.append(np.concatenate(parts, axis=2))
        whole = np.concatenate(rows, axis=1)
        return kept.of(whole) if kept else whole

    def _window(self, scores: Array) -> Array:
        values = np.asarray(self._session.predict_window(scores), np.float32)
        values = values[None] if values.ndim == 2 else values
        values = padded_to(self._fitting(values), scores.shape[1:])
        known = np.nan_to_num(values)
        if len(values) == 1:
            found = decision_output(two_classes(known), self._calibration)
        else:
            found = several_classes(known, self._shares)
        return with_leader(found, class_of(values, self._threshold))

    def _fitting(self, values: Array) -> Array:
        """What came out, if it is what the file promised; a file may leave its sizes open.

        Raises:
            GeoSegError: `not_our_model`.
        """
        minimum, maximum = self._side // 2, self._side
        if (
            values.ndim != 3
            or len(values) != self._channels
            or not all(minimum < side <= maximum for side in values.shape[1:])
        ):
            raise unusable_model(
                self._path, f"it gives {values.shape} values for {maximum} × {maximum} pixels"
            )
        return values


def third_party_runtime(model: ModelFile, device: Device | str = CPU) -> Runtime:
    """Return the runtime of a third-party model.

    Args:
        model: the model file.
        device: to compute on, or its name.

    Raises:
        GeoSegError: as `OnnxRuntime`.
    """
    return ThirdPartyRuntime(OnnxRuntime(model.path, device), model)


def padded_to(values: Array, size: tuple[int, ...]) -> Array:
    """Return an output that is smaller than its window, continued by its nearest values.

    Args:
        values: (channels, rows, cols).
        size: rows and cols of the window.
    """
    missing = [wanted - given for wanted, given in zip(size, values.shape[1:], strict=True)]
    if not any(missing):
        return values
    around = [(total // 2, total - total // 2) for total in missing]
    return np.pad(values, [(0, 0), *around], mode="edge")


def two_classes(values: Array) -> Array:
    """Probabilities of background and object from those of the object (1, rows, cols)."""
    positive = np.clip(values, MIN_SHARE, 1 - MIN_SHARE)
    return np.concatenate([1 - positive, positive])


def several_classes(values: Array, shares: str) -> Array:
    """Return probabilities that sum to one: independent ones divided by their sum, raw values through a softmax.

    Args:
        values: output of the model (classes, rows, cols).
        shares: `raw`, or what else the file states of its values.
    """
    values = np.exp(values - values.max(axis=0)) if shares == "raw" else np.maximum(values, 0)
    total = values.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(total > 0, values / total, np.float32(1 / len(values)))
    found = np.maximum(found, MIN_SHARE)
    return found / found.sum(axis=0)


def class_of(values: Array, threshold: float) -> NDArray[np.int64]:
    """Return the class (rows, cols) that Deepness assigns.

    Values below the threshold become 0; the largest channel wins, the first of several. A single channel is class 1
    where anything is left.

    Args:
        values: (channels, rows, cols).
        threshold: minimum value that counts.
    """
    with np.errstate(invalid="ignore"):
        left = np.where(values < np.float32(threshold), np.float32(0), values)
    found: NDArray[np.int64] = left.argmax(axis=0) if len(left) > 1 else (left[0] != 0).astype(np.int64)
    return found


def with_leader(shares: Array, classes: NDArray[np.int64]) -> Array:
    """Return probabilities whose largest is that of the given classes, by LEAD or more.

    Where another class is larger, both probabilities are swapped.

    Args:
        shares: probabilities (classes, rows, cols); changed in place.
        classes: class of each pixel (rows, cols).
    """
    best = shares.argmax(axis=0)[None]
    wanted = classes[None]
    highest, own = (np.take_along_axis(shares, place, axis=0) for place in (best, wanted))
    np.put_along_axis(shares, best, own, axis=0)
    np.put_along_axis(shares, wanted, np.float32(-1), axis=0)
    second = shares.max(axis=0, keepdims=True)
    np.put_along_axis(shares, wanted, np.maximum(highest, second * np.float32(1 + LEAD)), axis=0)
    result: Array = shares / shares.sum(axis=0)
    return result
