"""Run submissions inside a Processing algorithm: events to its feedback, failures as errors."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingFeedback

from ..contract import present
from ..engine.session import Event
from ..jobs.submission import Submission
from .execution import Launch, default_launch, result_of, run_submission

SHOWN_LOGS = 500
"""Log lines of one job that are shown; all of them are in its folder."""


def run_with_feedback(
    submissions: list[Submission], feedback: QgsProcessingFeedback, launch: Launch | None = None
) -> list[dict[str, Any]]:
    """Run jobs in order in the calling thread. Returns their results.

    Cancelling a training keeps its best model, but is an end all the same.

    Args:
        submissions: the jobs, in their order.
        feedback: gets progress and log, and can cancel.
        launch: how the engine is started; None as the user's settings state.

    Raises:
        Cancelled: if the feedback was cancelled.
        GeoSegError: `no_engine`, or as the engine reported; OSError if a folder cannot be written.
    """
    launch = launch or default_launch()
    results = []
    for number, submission in enumerate(submissions):
        feedback.pushInfo(submission.title)
        listener = FeedbackListener(feedback, number / len(submissions), 1.0 / len(submissions))
        outcome = run_submission(submission, launch, listener.on_events, feedback.isCanceled)
        results.append(result_of(present(outcome, "the end of a job that is not detached")))
    return results


class FeedbackListener:
    """Forwards the events of an engine to a feedback; its bar from `start` over `share`, both 0..1."""

    def __init__(self, feedback: QgsProcessingFeedback, start: float, share: float) -> None:
        self._feedback = feedback
        self._start = start
        self._share = share
        self._phase = ""
        self._logs = 0

    def on_events(self, events: list[Event]) -> None:
        """Forward events; of many progress events only the last."""
        newest = next((event for event in reversed(events) if event["type"] == "progress"), None)
        for event in events:
            if event["type"] == "log":
                self._log(event)
            elif event["type"] == "epoch":
                self._feedback.pushInfo(epoch_line(event))
            elif event["type"] == "artifact":
                self._feedback.pushInfo(f"{event.get('kind')}: {event.get('path')}")
        if newest is not None:
            self._progress(newest)

    def _progress(self, event: Event) -> None:
        phase = str(event.get("phase", ""))
        if phase != self._phase:
            self._phase = phase
            self._feedback.setProgressText(phase)
        total = event.get("total") or 0
        fraction = min(1.0, max(0.0, event["done"] / total)) if total else 0.0
        self._feedback.setProgress(100.0 * (self._start + self._share * fraction))

    def _log(self, event: Event) -> None:
        level, text = event.get("level"), str(event.get("text", ""))
        self._logs += 1
        if level == "error":
            self._feedback.reportError(text)
        elif level == "warning":
            self._feedback.pushWarning(text)
        elif self._logs <= SHOWN_LOGS:
            self._feedback.pushConsoleInfo(text) if level in ("debug", "output") else self._feedback.pushInfo(
                text
            )


def epoch_line(event: Event) -> str:
    """One epoch as a line: losses and mean IoU."""
    parts = [f"epoch {event.get('epoch')}/{event.get('epochs')}"]
    for key, name in (("train_loss", "loss"), ("validation_loss", "validation loss"), ("miou", "mean IoU")):
        value = event.get(key)
        if isinstance(value, (int, float)):
            parts.append(f"{name} {value:.3f}")
    return ", ".join(parts)
