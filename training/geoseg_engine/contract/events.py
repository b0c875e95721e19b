"""Events: one JSON object a line on stdout, with `v`, `type`, `t` and the fields named here."""

from __future__ import annotations

from typing import Any

from .errors import GeoSegError
from .result_fields import known_fields
from .strictjson import parse_json

EVENT_FIELDS: dict[str, tuple[str, ...]] = {
    "hello": ("protocol", "engine", "versions", "device", "device_memory_mb"),
    "progress": ("phase", "done", "total", "rate"),
    "epoch": (
        "epoch",
        "epochs",
        "train_loss",
        "validation_loss",
        "iou",
        "f1",
        "miou",
        "learning_rate",
        "tiles_per_s",
        "seconds_left",
        "best",
    ),
    "log": ("level", "text"),
    "artifact": ("kind", "path"),
    "done": ("result",),
    "failed": ("code", "message", "hint", "details"),
}
LAST_EVENTS = ("done", "failed")
SAVING_PHASE = "writing the model"
"""Phase of `progress` in which a training writes its model, also after a cancel: do not cut it short."""
TRAINING_PHASES = {
    "reading the stack": "Reading the stack",
    "measuring statistics": "Measuring statistics",
    "growing trees": "Growing trees",
    "finding what the bands are worth": "Measuring the importance of the bands",
    SAVING_PHASE: "Saving the model",
}
"""Phases of every training, beside its own."""

JOB_FILE = "job.json"
EVENTS_FILE = "events.jsonl"
LOG_FILE = "engine.log"
CANCEL_FILE = "cancel"
PID_FILE = "engine.pid"

NUMBERS = (
    "t",
    "done",
    "total",
    "train_loss",
    "validation_loss",
    "miou",
    "learning_rate",
    "tiles_per_s",
    "seconds_left",
)
"""Fields that hold a number, or nothing where it is not known."""
TEXTS = ("phase", "rate", "level", "text", "kind", "path", "code", "message", "hint", "details", "device")
COUNTS = ("epoch", "epochs")


def parse_event(line: str) -> dict[str, Any]:
    """The event of a line; fields that this version does not know are left as they are.

    Raises:
        GeoSegError: `bad_json` for a line that is no event, or has a field of another type than events have.
    """
    event = parse_json(line, "An event")
    if not isinstance(event, dict) or not all(isinstance(event.get(key, ""), str) for key in ("v", "type")):
        raise GeoSegError("bad_json", "A line of the record is no event.", "It is passed over.")
    known = EVENT_FIELDS.get(event.setdefault("type", ""), ())
    for key in ("t", *known):
        value = event.get(key)
        if not _fits(key, value, required=key == "epoch"):
            raise GeoSegError(
                "bad_json",
                f"The event {event['type'][:40]} has a '{key}' of {str(value)[:40]}.",
                "It is passed over.",
            )
    if isinstance(event.get("result"), dict):
        event["result"] = known_fields(event["result"])
    return event


def _fits(key: str, value: Any, required: bool) -> bool:
    if value is None:
        return not required
    if key in COUNTS:
        return isinstance(value, int) and not isinstance(value, bool)
    if key in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if key in ("iou", "f1"):
        return isinstance(value, list) and all(
            item is None or isinstance(item, int | float) for item in value
        )
    if key == "result":
        return isinstance(value, dict)
    return key not in TEXTS or isinstance(value, str)
