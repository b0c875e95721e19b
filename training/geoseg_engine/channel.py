"""The engine's voice: events on stdout, everything else on stderr.

Native code prints to file descriptor 1 without asking Python, so the descriptor itself is moved:
the channel keeps a duplicate and descriptor 1 then leads where descriptor 2 leads.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from .contract import CANCEL_FILE, EVENT_FIELDS, EVENTS_FILE, PROTOCOL, Cancelled, GeoSegError, encode
from .contract.text import json_text


class Channel:
    """Sends events to a stream and appends them to events.jsonl of the job folder."""

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        self.folder = folder
        self._stream: TextIO | None = None
        self._record: TextIO | None = None
        self._unrecorded: OSError | None = None
        if is_first():
            self._stream = stream
            try:
                self._record = (folder / EVENTS_FILE).open("a", encoding="utf-8")
            except OSError as error:
                self._unrecorded = error

    @classmethod
    def guarding_stdout(cls, folder: Path, shown_by: Callable[[TextIO], Any] | None = None) -> Channel:
        """Take file descriptor 1 for events; whatever else prints lands on stderr.

        Call before the heavy imports. `shown_by` makes the stream that takes the events for people.
        """
        events: Any = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(folder, shown_by(events) if shown_by else events)

    def check_recorded(self) -> None:
        """Raise if events cannot be recorded in the folder.

        Raises:
            GeoSegError: `not_writable`.
        """
        if self._unrecorded is not None:
            raise GeoSegError(
                "not_writable",
                f"The job folder {self.folder} cannot be written to: {self._unrecorded.strerror}.",
                "Choose another job folder.",
            )

    def send(self, event_type: str, /, **fields: Any) -> None:
        """Send one event; neither a reader that has gone away nor a full disk stops the job here."""
        unknown = set(fields) - set(EVENT_FIELDS[event_type])
        if unknown:
            raise ValueError(f"event {event_type} has no field {sorted(unknown)}")
        event = {"v": PROTOCOL, "type": event_type, "t": round(time.time(), 3), **encode(fields)}
        line = json_text(event) + "\n"
        self._record = _written(self._record, line)
        self._stream = _written(self._stream, line)

    def progress(self, phase: str, done: float, total: float, rate: str = "") -> None:
        """Report work done; also the cancel point.

        Raises:
            Cancelled: if the job folder holds a file `cancel`.
        """
        self.check_cancelled()
        self.send("progress", phase=phase, done=done, total=total, rate=rate)

    def log(self, text: str, level: str = "info") -> None:
        """Send a line for the log; level is `info`, `warning` or `error`."""
        self.send("log", level=level, text=text)

    def artifact(self, kind: str, path: Path | str) -> None:
        """Announce a finished file; paths inside the job folder are sent relative to it."""
        path = Path(path)
        if path.is_absolute() and path.is_relative_to(self.folder):
            path = path.relative_to(self.folder)
        self.send("artifact", kind=kind, path=path.as_posix())

    def close(self) -> None:
        """Close the file of events, where one process has many jobs."""
        if self._record is not None:
            self._record.close()
            self._record = None

    def cancelled(self) -> bool:
        """Whether the user asked to stop."""
        return (self.folder / CANCEL_FILE).exists()

    def check_cancelled(self) -> None:
        """Raise Cancelled if the user asked to stop."""
        if self.cancelled():
            raise Cancelled

    def fail(self, error: GeoSegError) -> None:
        """Send the last event of a job that failed."""
        self.send("failed", code=error.code, message=error.message, hint=error.hint, details=error.details)


def has_others() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and "RANK" in os.environ


def is_first() -> bool:
    """Whether this process speaks and writes: the first of several, or the only one."""
    return not has_others() or int(os.environ["RANK"]) == 0


def _written(stream: TextIO | None, line: str) -> TextIO | None:
    """Write and flush a line. Returns the stream, None once it takes no more."""
    if stream is None:
        return None
    try:
        stream.write(line)
        stream.flush()
    except (OSError, ValueError):
        return None
    return stream
