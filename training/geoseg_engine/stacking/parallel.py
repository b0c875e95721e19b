"""Read many windows of a stack on several cores, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType

import numpy as np

from ..contract import Recipe
from ..raster.grid import Window
from ..raster.stream import worker_count
from .reader import StackReader


class ParallelReader:
    """Several readers of one recipe, each in a thread of its own; NumPy and GDAL let others run meanwhile.

    Raises:
        GeoSegError: as `StackReader`.
    """

    def __init__(self, recipe: Recipe, workers: int = 0) -> None:
        self._readers: list[StackReader] = []
        self._free: SimpleQueue[StackReader] = SimpleQueue()
        try:
            for _ in range(workers or worker_count()):
                self._readers.append(StackReader(recipe))
                self._free.put(self._readers[-1])
        except BaseException:
            self._close()
            raise
        self._pool = ThreadPoolExecutor(len(self._readers), "stack")

    def __enter__(self) -> ParallelReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._close()

    def read_all(self, windows: Iterable[Window]) -> Iterator[tuple[Window, np.ndarray]]:
        """Windows in the order given, each with its values as `StackReader.read` gives them.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        waiting: deque[tuple[Window, Future[np.ndarray]]] = deque()
        for window in windows:
            waiting.append((window, self._pool.submit(self._read, window)))
            if len(waiting) > len(self._readers):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def _read(self, window: Window) -> np.ndarray:
        reader = self._free.get()
        try:
            return reader.read(window)
        finally:
            self._free.put(reader)

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()
