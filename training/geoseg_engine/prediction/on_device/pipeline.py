"""Prediction whose host only decodes and compresses; see the package.

Several threads decode into pinned memory, this thread sends windows to the device and starts the computation, one
thread takes the codes and keeps the parts. Nothing waits for the device but the thread that keeps the parts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contract import Recipe
from ...device.devices import Device
from ...modelfile.reading import ModelFile, onnx_only
from ...raster.grid import Window
from ...raster.stream import worker_count
from ...vector.scan_fill import ScanFill
from ..inference import Setup
from ..result_layers import MISSING, OUT_OF_RANGE, Layer, Piece, band_count
from ..runtimes.onnx_runtime import OnnxRuntime
from ..runtimes.torch_runtime import TorchRuntime
from ..windows import Cut, halves
from .codes import codes_of
from .copies import Coming, Copies, Staged
from .raw_bands import Memory, RawReader, RawWindow
from .scores import ScoreMaker, Scores

SWITCH = "GEOSEG_DEVICE_PATH"
"""Environment variable: `cpu` also takes this path on the CPU, for tests and measurements; `off` never does."""
READY = 2
"""Times that a window of one size is computed before the network is recorded for it."""


@dataclass(frozen=True)
class Step:
    """A window on its way.

    Attributes:
        index: number of its part.
        cut: the window.
        known_px: columns at its left that the window before has read.
        keep_px: columns at its right that the next window begins with.
    """

    index: int
    cut: Cut
    known_px: int
    keep_px: int


@dataclass
class Seconds:
    """Seconds of a processor by stage; those of the device in this thread alone."""

    read_s: float = 0.0
    derived_s: float = 0.0
    compute_s: float = 0.0
    keep_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, stage: str, seconds: float) -> None:
        """Add to a stage."""
        with self.lock:
            setattr(self, stage, getattr(self, stage) + seconds)

    def as_dict(self) -> dict[str, float]:
        """Return the seconds for the result."""
        return {
            name: round(getattr(self, name), 3) for name in ("read_s", "derived_s", "compute_s", "keep_s")
        }


def steps(cuts: Iterable[tuple[int, Cut]]) -> Iterator[Step]:
    """Yield windows with the columns that each shares with the one before it.

    Args:
        cuts: number of the part, and window, in the order in which they are computed.
    """
    known_px = 0
    for (index, cut), following in pairwise(_and_end(cuts)):
        keep_px = 0 if following is None else shared_px(cut.read, following[1].read)
        yield Step(index, cut, known_px, keep_px)
        known_px = keep_px


def _and_end(cuts: Iterable[tuple[int, Cut]]) -> Iterator[Any]:
    yield from cuts
    yield None


def shared_px(one: Window, other: Window) -> int:
    """Return the columns of a window that another to its right begins with; 0 unless both have the same rows."""
    right = one.col + one.width
    if (one.row, one.height) != (other.row, other.height) or not one.col < other.col < right:
        return 0
    return right - other.col if right < other.col + other.width else 0


def copied(piece: Piece) -> Piece:
    """Return a result whose codes stay valid."""
    return piece if piece.codes is None else replace(piece, codes=piece.codes.copy())


class Recorded:
    """The network on the device: for windows of one size recorded once, where the device records."""

    def __init__(self, runtime: TorchRuntime | OnnxRuntime, device: Device) -> None:
        """Record nothing yet."""
        self._records = device.offer.graphs and isinstance(runtime, TorchRuntime)
        self._runtime, self._device = runtime, device
        self._seen: dict[Any, int] = {}
        self._key: Any = None
        self._tried = False
        self._replay: Callable[[], None] | None = None
        self._image = self._output = torch.empty(0)

    def __call__(self, image: Tensor, kept: Window) -> Tensor:
        """Return the output q (classes, rows, cols); it is overwritten by the next call."""
        key = (tuple(image.shape), kept)
        if not self._records or (key != self._key and not self._record(key, image, kept)):
            return self._runtime.output(image, kept)
        self._image.copy_(image)
        if self._replay is not None:
            self._replay()
        return self._output

    def _record(self, key: Any, image: Tensor, kept: Window) -> bool:
        """Whether a window of this size is recorded now: the first size that comes often is."""
        self._seen[key] = self._seen.get(key, 0) + 1
        if self._tried or self._seen[key] < READY:
            return False
        self._tried, self._image = True, image.clone()

        def call() -> None:
            self._output = self._runtime.output(self._image, kept)

        try:
            with self._device.faults():
                self._replay = self._device.recorded(call)
        except (MemoryError, RuntimeError):  # a network that cannot be recorded, or memory for one copy only
            self._image = torch.empty(0)
            return False
        self._key = key
        return True


class Readers:
    """Several readers of the same files, each used by one thread at a time; a context manager."""

    def __init__(self, recipe: Recipe, model: ModelFile, float64: bool, count: int) -> None:
        """Open the files `count` times, and once more for what is read again.

        Raises:
            GeoSegError: as `RawReader`.
        """
        self._exit = ExitStack()
        self._free: SimpleQueue[RawReader] = SimpleQueue()
        try:
            for _ in range(count + 1):
                reader = RawReader(recipe, model, float64)
                self._exit.callback(reader.close)
                self._free.put(reader)
        except BaseException:
            self._exit.close()
            raise
        self.layers, self.derived = reader.layers, reader.derived

    def read(self, cut: Cut, known_px: int, wanted: NDArray[np.bool_] | None, memory: Memory) -> RawWindow:
        """See `RawReader.read`."""
        reader = self._free.get()
        try:
            return reader.read(cut, known_px, wanted, memory)
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Close every file."""
        self._exit.close()


class DevicePath:
    """The way of windows from the files to codes over a device; a context manager."""

    def __init__(
        self,
        recipe: Recipe,
        model: ModelFile,
        setup: Setup,
        layers: Sequence[Layer],
        area: ScanFill | None,
        log: Callable[[str], None],
    ) -> None:
        """Open the files and make buffers.

        Args:
            recipe, model: bands, and the model that they are read for.
            setup: the network; `takes(setup)`.
            layers: the results to compute.
            area: outside it no pixel is valid; None is no limit.
            log: receives a line if a window must be halved.

        Raises:
            GeoSegError: as `RawReader`.
        """
        if not isinstance(setup.runtime, TorchRuntime | OnnxRuntime):
            raise TypeError(f"{setup.runtime.title} does not compute on tensors of a device")
        self.device = setup.runtime.device
        self.readers = worker_count() if self.device.is_gpu else 1
        self.depth = min(self.readers, 2)
        self.seconds = Seconds()
        self._setup, self._area, self._log, self._layers = setup, area, log, layers
        self._calibration = setup.calibration
        self._files = Readers(recipe, model, self.device.has_float64, self.readers)
        self._copies = Copies(self.device, self.depth + 3)
        counted = any(layer.key == OUT_OF_RANGE for layer in layers)
        self._maker = ScoreMaker(model.statistics, self._files.layers, self.device, counted)
        self._network = Recorded(setup.runtime, self.device)
        self._bands = len(model.recipe.bands)
        self.derived: list[str] = self._files.derived

    def __enter__(self) -> DevicePath:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def read(self, step: Step) -> tuple[Step, Staged | Ready | None]:
        """Decode a window into memory that is copied to the device without waiting.

        A CPU makes the z-scores here too, beside the network; a window for which memory is short is left as it is.
        """
        staged = self._staged(step.cut, step.known_px, self._wanted(step.cut))
        if self.device.is_gpu:
            return step, staged
        try:
            return step, self._ready(step.cut, staged, step.keep_px)
        except MemoryError:
            return step, None

    def compute(self, item: tuple[Step, Staged | Ready | None]) -> Pending:
        """Start the computation of a window.

        Raises:
            GeoSegError: `out_of_memory`, `device_lost`.
        """
        step, found = item
        try:
            if isinstance(found, Staged):
                found = self._ready(step.cut, found, step.keep_px)
            if found is not None:
                return self._begun(step.cut, found)
        except MemoryError:
            pass  # what did not fit is free when the halves begin
        return self._halved(step.cut)

    def piece(self, cut: Cut) -> Piece:
        """Return the result of one window, read and computed here."""
        found: list[Piece] = []
        self.kept(self.compute(self.read(Step(0, cut, 0, 0))), lambda piece: found.append(copied(piece)))
        return found[0]

    def kept(self, pending: Pending, keep: Callable[[Piece], None]) -> None:
        """Wait for a result and hand it over.

        Args:
            pending: as of `compute`.
            keep: stores it; the codes are valid only until it returns.
        """
        started = time.thread_time()
        with self.device.faults():
            piece = pending.piece(self._bands)
        keep(piece)
        pending.release()
        self.seconds.add("keep_s", time.thread_time() - started)

    def _wanted(self, cut: Cut) -> NDArray[np.bool_] | None:
        return None if self._area is None else self._area.mask(cut.core)

    def _ready(self, cut: Cut, staged: Staged, keep_px: int) -> Ready:
        """Z-scores of a window on the device; a MemoryError where they do not fit."""
        if not self._maker.knows(staged.window):
            wanted = staged.window.wanted
            self._copies.drop(staged)
            staged = self._staged(cut, 0, wanted)
        started = time.thread_time()
        try:
            with torch.inference_mode(), self.device.on(self._copies.compute):
                with self.device.faults():
                    uploaded = self._copies.uploaded(staged)
                return Ready(self.device.run(lambda: self._maker.made(uploaded, keep_px)))
        except MemoryError:
            self._maker.forget()
            raise
        finally:
            self._copies.drop(staged)
            self.seconds.add("compute_s", time.thread_time() - started)

    def _staged(self, cut: Cut, known_px: int, wanted: NDArray[np.bool_] | None) -> Staged:
        """Read a window without its first columns."""
        staged = self._copies.staged(lambda memory: self._files.read(cut, known_px, wanted, memory))
        self.seconds.add("read_s", staged.window.read_s)
        self.seconds.add("derived_s", staged.window.derived_s)
        return staged

    def _begun(self, cut: Cut, ready: Ready) -> Pending:
        """Start the network and the copy of its codes; a MemoryError where the window does not fit."""
        scores = ready.scores
        if scores is None:
            return Pending(cut.core)
        started = time.thread_time()
        with torch.inference_mode(), self.device.on(self._copies.compute):
            codes = self.device.run(lambda: self._codes(scores, cut))
            with self.device.faults():
                coming = self._copies.begun([codes, scores.counts])
        self.seconds.add("compute_s", time.thread_time() - started)
        return Pending(cut.core, coming)

    def _codes(self, scores: Scores, cut: Cut) -> Tensor:
        output = self._network(scores.image, cut.kept)
        return codes_of(output, scores, self._layers, self._calibration, not self.device.is_gpu)

    def _halved(self, cut: Cut) -> Pending:
        """The result of a window that does not fit, from its halves; each is read again.

        Raises:
            GeoSegError: `out_of_memory` if the smallest window does not fit.
        """
        parts = halves(self._setup.frame, cut)
        self.device.empty_cache()
        self._log(
            f"A window of {cut.read.width} × {cut.read.height} pixels does not fit into memory: it is halved."
        )
        codes = np.full((band_count(self._layers), cut.core.height, cut.core.width), MISSING, np.uint16)
        counts = np.zeros(self._bands + 1, np.int64)
        for part in parts:
            try:
                staged = self._staged(part, 0, self._wanted(part))
                pending = self._begun(part, self._ready(part, staged, 0))
            except MemoryError:
                pending = self._halved(part)
            with self.device.faults():
                piece = pending.piece(self._bands)
            if piece.codes is not None:
                codes[:, *part.core.within(cut.core)] = piece.codes
            counts += [*piece.out_of_range, piece.valid_px]
            pending.release()
        return Pending(cut.core, Coming([torch.from_numpy(codes.view(np.int16)), torch.from_numpy(counts)]))


@dataclass(frozen=True)
class Ready:
    """Z-scores of a window on the device; None where no pixel of its core has a value."""

    scores: Scores | None


class Pending:
    """The result of a window that may still be on its way."""

    def __init__(self, window: Window, coming: Coming | None = None) -> None:
        """Hold codes and counts; None where no pixel has a value."""
        self._window, self._coming = window, coming

    def piece(self, bands: int) -> Piece:
        """Wait for the result; its codes are valid until `release`.

        Args:
            bands: number of bands of the model.
        """
        if self._coming is None:
            return Piece(self._window, None, np.zeros(bands, np.int64), 0)
        codes, counts = self._coming.arrived()
        return Piece(self._window, codes.view(np.uint16), counts[:-1].copy(), int(counts[-1]))

    def release(self) -> None:
        """Let other results use the memory of this one."""
        if self._coming is not None:
            self._coming.release()


def takes(setup: Setup, model: ModelFile, layers: Sequence[Layer]) -> bool:
    """Whether a prediction goes this way: a network whose windows are exact, in torch or ONNX Runtime on a GPU.

    A model that is only a graph, as a forest, has no network to compare with, and may want missing values as NaN.

    Args:
        setup: the network, ready to run.
        model: its file.
        layers: the results to compute.
    """
    switch, runtime = os.environ.get(SWITCH, ""), setup.runtime
    if switch == "off" or setup.lattice or onnx_only(model):
        return False
    if any(layer.key == "disagreement" for layer in layers):
        return False
    if isinstance(runtime, TorchRuntime) and runtime.precision != "float64":
        return runtime.device.is_gpu or switch == "cpu"
    return isinstance(runtime, OnnxRuntime) and runtime.device.is_gpu
