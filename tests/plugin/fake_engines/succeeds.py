"""A well-behaved engine: hello, FAKE_EVENTS progress events, two epochs, an artifact, done.

Keeps its record and pid file as the real one does. FAKE_PAUSE_S slows it down; it stops at the cancel file, and
then writes its model for FAKE_SAVE_S.
"""

import json
import os
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1]).parent
record = (folder / "events.jsonl").open("a", encoding="utf-8")
listening = True


def send(kind: str, /, **fields: object) -> None:
    global listening
    line = json.dumps({"v": "1.0", "type": kind, "t": time.time(), **fields}) + "\n"
    record.write(line)
    record.flush()
    if listening:
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except BrokenPipeError:
            listening = False


(folder / "engine.pid").write_text(str(os.getpid()), encoding="utf-8")
send("hello", protocol="1.0", engine="0", versions={}, device="cpu", device_memory_mb=0)
total = int(os.environ.get("FAKE_EVENTS", "5"))
pause_s = float(os.environ.get("FAKE_PAUSE_S", "0"))
cancelled = False
for done in range(total):
    send("progress", phase="work", done=done + 1, total=total, rate="")
    if "FAKE_LOGS" in os.environ:
        send("log", level="info", text=f"line {done}")
    if done < 2:
        send("epoch", epoch=done + 1, epochs=2, train_loss=1.0, validation_loss=1.0, iou=[0.5], f1=[0.6],
             miou=0.5, learning_rate=0.001, tiles_per_s=1.0, seconds_left=60.0, best=True)  # fmt: skip
    if (folder / "cancel").exists():
        cancelled = True
        break
    time.sleep(pause_s)
if "FAKE_SAVE_S" in os.environ:
    send("progress", phase="writing the model", done=0, total=1, rate="")
    time.sleep(float(os.environ["FAKE_SAVE_S"]))
(folder / "result.txt").write_text("whole", encoding="utf-8")
send("artifact", kind="text", path="result.txt")
(folder / "engine.pid").unlink()
send("done", result={"output": "result.txt", "cancelled": cancelled})
