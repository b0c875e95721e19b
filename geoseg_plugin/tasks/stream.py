"""Between a talkative engine and the main thread: fewer, coalesced events, and the time left."""

from __future__ import annotations

import time
from collections import deque

from ..engine.session import Event

INTERVAL_S = 0.1
BATCH_EVENTS, BATCH_LOGS = 40, 20


class EventStream:
    """Collects events in the task thread and emits them in small batches, at most ten per second.

    Of progress only the newest is kept, of a flood of log lines the first of each batch; they are all in
    the job folder. Epochs, artifacts and last events are never dropped.
    """

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._logs = self._skipped = 0
        self._progress: Event | None = None
        self._next_s = 0.0

    def add(self, events: list[Event]) -> None:
        """Add events, in order."""
        for event in events:
            kind = event["type"]
            if kind == "progress":
                self._progress = event
            elif kind != "log":
                self._waiting.append(event)
            elif self._logs < BATCH_LOGS:
                self._logs += 1
                self._waiting.append(event)
            else:
                self._skipped += 1

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting and self._progress is None and not self._skipped

    def batch(self) -> list[Event]:
        """The next batch; empty if the last one is less than 0.1 s ago or nothing waits."""
        now = time.monotonic()
        if self.empty or now < self._next_s:
            return []
        self._next_s = now + INTERVAL_S
        batch = [self._waiting.popleft() for _ in range(min(BATCH_EVENTS, len(self._waiting)))]
        if self._waiting:
            return batch
        if self._skipped:
            text = f"{self._skipped} more lines are in the job folder."
            batch.append({"type": "log", "level": "debug", "text": text, "t": time.time()})
        if self._progress is not None:
            batch.append(self._progress)
        self._logs = self._skipped = 0
        self._progress = None
        return batch


class TimeLeft:
    """Seconds left, from progress of one phase at a time, or as the engine reports per epoch."""

    def __init__(self) -> None:
        self._phase = ""
        self._start_t = self._start_fraction = 0.0
        self._end_t: float | None = None

    def on_epoch(self, event: Event) -> None:
        """The engine's own estimate at the end of an epoch goes before ours."""
        left = event.get("seconds_left")
        self._end_t = float(event["t"]) + left if isinstance(left, (int, float)) else None

    def on_progress(self, phase: str, fraction: float, t: float) -> float:
        """Return the seconds that are left; -1 while it is not known.

        Args:
            phase: of the job.
            fraction: done of the phase, 0 to 1.
            t: time of the event in seconds.
        """
        if self._end_t is not None:
            return max(0.0, self._end_t - t)
        if phase != self._phase or fraction < self._start_fraction:
            self._phase, self._start_t, self._start_fraction = phase, t, fraction
        gained, elapsed = fraction - self._start_fraction, t - self._start_t
        if gained <= 0.01 or elapsed < 1.0:
            return -1.0
        return max(0.0, (1.0 - fraction) * elapsed / gained)
