"""The plugin's half of a talk with one engine: events in, cancel out, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..contract import (
    CANCEL_FILE,
    EVENT_FIELDS,
    LAST_EVENTS,
    LOG_FILE,
    SAVING_PHASE,
    GeoSegError,
    check_protocol,
    parse_event,
)
from .liveness import describe_exit, end_group, job_kind, last_lines

Event = dict[str, Any]

SAVE_S = {"train": 11.0}
"""Seconds that a cancelled job of a kind gets to save its work before it is terminated; other kinds get 5."""
DEFAULT_SAVE_S, TERMINATE_S = 5.0, 2.5
WRITING_S = 40.0
"""The same once the engine reports that it writes its model; on a busy machine that takes longer than usual."""
LINGER_S = 20.0
"""Seconds that an engine may take to leave after its last event."""
LONGEST_CANCEL_S = WRITING_S + max(TERMINATE_S, LINGER_S)
"""Seconds after a cancel by which even an engine that writes its model, and then lingers, has been ended."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        kind: `cancelled` may still carry a result: a cancelled training keeps its best model.
        result: of the `done` event; empty if there was none.
        problem: code, message, hint, details of a failure; None otherwise.
    """

    kind: Literal["done", "failed", "cancelled"]
    result: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, str] | None = None


def as_problem(error: GeoSegError) -> dict[str, str]:
    """An error as the four texts that travel in signals."""
    return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


class EngineSession:
    """Base of a started and of a re-attached engine: parsing, the cancel ladder, the outcome.

    Subclasses give `_lines`, `_alive`, `_exit_code` and call `_settle` when nothing more will come.
    """

    def __init__(self, folder: Path, kind: str = "") -> None:
        self.folder = Path(folder)
        self.kind = kind or job_kind(self.folder)
        self.outcome: Outcome | None = None
        self.pid = 0
        self._save_s = SAVE_S.get(self.kind, DEFAULT_SAVE_S)
        self._last_event: Event | None = None
        self._cancelled_at: float | None = None
        self._ended_at: float | None = None
        self._rung = 0
        self._fatal: dict[str, str] | None = None
        self._stop_requested = False

    @property
    def running(self) -> bool:
        """Whether events may still come."""
        return self.outcome is None

    def cancel(self) -> None:
        """Request that the engine saves and stops; `poll` then terminates and kills it if it does not."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._ask_to_stop()

    def detach(self) -> None:
        """Stop listening and leave the engine running; its record stays in the folder."""

    def poll(self, timeout_s: float = 0.1) -> list[Event]:
        """Events since the last call, waiting at most `timeout_s` for the first.

        Lines that are no events come as `log` events of level `output`. Escalates a cancel.
        """
        if self.outcome is not None:
            return []
        events = [event for line in self._lines(timeout_s) if (event := self._parse(line)) is not None]
        self._escalate()
        if self._at_end():
            self.outcome = self._settle()
        return events

    def _lines(self, timeout_s: float) -> list[str]:
        raise NotImplementedError

    def _at_end(self) -> bool:
        raise NotImplementedError

    def _exit_code(self) -> int | None:
        """Exit code; None where it cannot be known."""
        raise NotImplementedError

    def _parse(self, line: str) -> Event | None:
        text = line.strip()
        if not text:
            return None
        try:
            event = parse_event(text)
        except GeoSegError:
            return _log("output", text)
        if not event["type"] or "v" not in event:
            return _log("output", text)
        kind = event["type"]
        try:
            check_protocol(str(event["v"]))
        except GeoSegError as error:
            self._give_up(as_problem(error))
            return _log("error", error.message)
        if kind not in EVENT_FIELDS:
            return _log("debug", f"Unknown event '{kind}' skipped.")
        if kind == "progress" and event.get("phase") == SAVING_PHASE:
            self._save_s = max(self._save_s, WRITING_S)
        if kind == "hello":
            self._last_event, self._ended_at = None, None
        if kind in LAST_EVENTS and self._last_event is None:
            self._last_event, self._ended_at = event, time.monotonic()
        return event

    def _give_up(self, problem: dict[str, str]) -> None:
        if self._fatal is None:
            self._fatal = problem
            self._end(force=True)

    def _ask_to_stop(self) -> None:
        try:
            (self.folder / CANCEL_FILE).touch()
        except OSError:
            self._save_s = 0.0

    def _escalate(self) -> None:
        now = time.monotonic()
        if self._ended_at is not None and now - self._ended_at > LINGER_S and not self._stop_requested:
            self._stop_requested = True
            self._end(force=True)
        if self._cancelled_at is None or self._last_event is not None:
            return
        waited = now - self._cancelled_at
        if waited < self._save_s:
            if not (self.folder / CANCEL_FILE).exists():
                self._ask_to_stop()
        elif self._rung == 0:
            self._rung = 1
            self._end(force=False)
        elif waited >= self._save_s + TERMINATE_S and self._rung == 1:
            self._rung = 2
            self._end(force=True)

    def _end(self, force: bool) -> None:
        if self.pid:
            end_group(self.pid, force)

    def _settle(self) -> Outcome:
        """The outcome, from the last event and the exit code together."""
        (self.folder / CANCEL_FILE).unlink(missing_ok=True)
        if self._fatal is not None:
            return Outcome("failed", problem=self._fatal)
        event, code = self._last_event, self._exit_code()
        if event is None:
            return Outcome("cancelled") if self._cancelled_at is not None else self._died(code)
        if event["type"] == "done":
            return self._finished(event, code)
        if event.get("code") == "cancelled":
            return Outcome("cancelled")
        problem = {key: str(event.get(key) or "") for key in ("code", "message", "hint", "details")}
        return Outcome("failed", problem=problem)

    def _finished(self, event: Event, code: int | None) -> Outcome:
        result = event.get("result")
        result = result if isinstance(result, dict) else {}
        if result.get("cancelled"):
            return Outcome("cancelled", result)
        if code in (0, None) or self._stop_requested:
            return Outcome("done", result)
        message = f"The engine reported its result, but then ended with {describe_exit(code)}."
        hint = "The files are written; look at them before you trust them, or run the job again."
        return Outcome("failed", result, self._problem("engine_exit", message, hint))

    def _died(self, code: int | None) -> Outcome:
        how = describe_exit(code) if code is not None else "no exit code that could be read"
        message = f"The engine ended without a last event ({how})."
        hint = "Look at the log; if memory ran out, choose smaller tiles or a smaller batch."
        if self.kind == "train":
            hint = "Resume continues from the last epoch. " + hint
        return Outcome("failed", problem=self._problem("engine_died", message, hint))

    def _problem(self, code: str, message: str, hint: str) -> dict[str, str]:
        details = last_lines(self.folder / LOG_FILE)
        return {"code": code, "message": message, "hint": hint, "details": details}


def _log(level: str, text: str) -> Event:
    return {"type": "log", "level": level, "text": text[:2000], "t": time.time()}
