"""Values of a series whose files have blocks so large that a window of all dates unpacks nearly everything.

NetCDF files are often packed with one date as one block. All dates of a small window then mean unpacking every
date completely, and again for the next window. So such a series is unpacked once, into a temporary file.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import IO

import numpy as np

from .grid import Window
from .series import OpenSeries

UNPACK_BYTES = 256 << 20
"""Size of one block on all dates, as float32, from which a temporary file is used; GDAL's cache holds less."""

STRIP_PX = 1 << 22
VALUE_BYTES = 4


class Unpacked:
    """A series, read through temporary files where its blocks are large; they are deleted when it is closed."""

    def __init__(self, series: OpenSeries) -> None:
        self.series = series
        self._files: dict[int, IO[bytes]] = {}
        self._lock = threading.Lock()

    def values(self, index: int, dates: list[int], part: Window) -> np.ndarray:
        """Read values as `OpenSeries.values`, of a window inside the series.

        Args:
            index: of the variable, from 1.
            dates: positions of the dates.
            part: window inside the series.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
            OSError: if the disk is full: a temporary file takes 4 bytes per pixel and date.
        """
        rows, cols = self.series.block
        if len(dates) * rows * cols * VALUE_BYTES <= UNPACK_BYTES:
            return self.series.values(index, dates, part)
        grid = self.series.grid
        result = np.empty((len(dates), part.height, part.width), np.float32)
        with self._lock:
            if index not in self._files:
                self._files[index] = self._unpacked(index)
            file = self._files[index]
            for place, date in enumerate(dates):
                file.seek(((date * grid.height) + part.row) * grid.width * VALUE_BYTES)
                lines = np.frombuffer(file.read(part.height * grid.width * VALUE_BYTES), np.float32)
                result[place] = lines.reshape(part.height, -1)[:, part.col : part.col + part.width]
        return result

    def _unpacked(self, index: int) -> IO[bytes]:
        """A file of float32 (dates, rows, cols) in the folder of the job, or where the system keeps such files."""
        grid = self.series.grid
        here = Path.cwd()
        file = tempfile.TemporaryFile(dir=here if os.access(here, os.W_OK) else None)  # noqa: SIM115  (kept open)
        height = max(STRIP_PX // grid.width, 1)
        try:
            for date in range(len(self.series.days)):
                for row in range(0, grid.height, height):
                    strip = Window(row, 0, min(height, grid.height - row), grid.width)
                    file.write(self.series.values(index, [date], strip).tobytes())
        except BaseException:
            file.close()
            raise
        return file

    def close(self) -> None:
        """Delete the temporary files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
