"""Wait for a signal with a timeout, with the event loop running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qgis.PyQt.QtCore import QEventLoop, QTimer

PATIENCE = 6
"""Limits only end what hangs: a busy computer may take so many times as long."""


@contextmanager
def wait_for(signal: Any, timeout_s: float = 10.0) -> Iterator[list[tuple[Any, ...]]]:
    """Run the block, then the event loop until the signal comes; yields the list of its values."""
    seen: list[tuple[Any, ...]] = []
    loop = QEventLoop()

    def on_signal(*values: Any) -> None:
        seen.append(values)
        loop.quit()

    signal.connect(on_signal)
    try:
        yield seen
        if not seen:
            QTimer.singleShot(int(PATIENCE * timeout_s * 1000), loop.quit)
            loop.exec()
    finally:
        signal.disconnect(on_signal)
    assert seen, f"no signal within {PATIENCE * timeout_s} s"
