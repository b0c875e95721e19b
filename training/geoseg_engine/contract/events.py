"""Events: one JSON object a line on stdout, with `v`, `type`, `t` and the fields named here."""

from __future__ import annotations

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

JOB_FILE = "job.json"
EVENTS_FILE = "events.jsonl"
LOG_FILE = "engine.log"
CANCEL_FILE = "cancel"
PID_FILE = "engine.pid"
