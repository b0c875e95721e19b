"""A model of another program as a runtime: its conventions stay hidden, what comes out is q as of our own models."""

from __future__ import annotations

import numpy as np

from ..modelfile.foreign import refused
from ..modelfile.reading import ModelFile
from ..raster.grid import Window
from .averaging import decided
from .onnx_runtime import OnnxRuntime
from .runtime import Array, Runtime

LEAST_SHARE = 1e-7


class ForeignRuntime:
    """Windows of the side that the model wants, its values as probabilities, its threshold as decision.

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

        Where the model gives no answer at the edges of a window, the nearest one stands there.
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
        values = as_large_as(self._fitting(values), scores.shape[1:])
        if len(values) == 1:
            return decided(two_classes(values), self._calibration)
        return below_threshold(several_classes(values, self._shares), values, self._threshold, self._shares)

    def _fitting(self, values: Array) -> Array:
        """What came out, if it is what the file promised; a file may leave its sizes open.

        Raises:
            GeoSegError: `not_our_model`.
        """
        least, most = self._side // 2, self._side
        if (
            values.ndim != 3
            or len(values) != self._channels
            or not all(least < side <= most for side in values.shape[1:])
        ):
            raise refused(self._path, f"it gives {values.shape} values for {most} × {most} pixels")
        return values


def foreign_runtime(model: ModelFile, device: str = "cpu") -> Runtime:
    """The runtime of a foreign model.

    Raises:
        GeoSegError: as `OnnxRuntime`.
    """
    return ForeignRuntime(OnnxRuntime(model.path, device), model)


def as_large_as(values: Array, size: tuple[int, ...]) -> Array:
    """An answer (channels, rows, cols) that is smaller than its window, continued by its nearest values."""
    missing = [wanted - given for wanted, given in zip(size, values.shape[1:], strict=True)]
    if not any(missing):
        return values
    around = [(total // 2, total - total // 2) for total in missing]
    return np.pad(values, [(0, 0), *around], mode="edge")


def two_classes(values: Array) -> Array:
    """Probabilities of background and object from those of the object (1, rows, cols)."""
    positive = np.clip(values, LEAST_SHARE, 1 - LEAST_SHARE)
    return np.concatenate([1 - positive, positive])


def several_classes(values: Array, shares: str) -> Array:
    """Probabilities that sum to one: of independent ones their share, of raw values the softmax."""
    if shares == "raw":
        values = np.exp(values - values.max(axis=0))
    result: Array = np.maximum(values, LEAST_SHARE)
    return result / result.sum(axis=0)


def below_threshold(result: Array, values: Array, threshold: float, shares: str) -> Array:
    """Change q where no value reaches the threshold: the first class changes places with the best.

    Deepness drops values below its threshold and takes the largest of what is left, of nothing the first.
    """
    best = result.argmax(axis=0)
    highest = (result if shares == "raw" else values).max(axis=0)
    rows, cols = np.nonzero((highest < threshold) & (best > 0))
    places = best[rows, cols]
    first, other = result[0, rows, cols], result[places, rows, cols]
    result[0, rows, cols], result[places, rows, cols] = other, first
    return result
