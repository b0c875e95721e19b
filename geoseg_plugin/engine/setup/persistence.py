"""Try again what may work a few seconds later: the network, files that an antivirus holds, other certificates."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ...contract import Cancelled, GeoSegError
from .access import Access
from .failures import RETRIED

T = TypeVar("T")
PAUSES_S = (2.0, 8.0)


class Persistence:
    """Carries out an action, and again after a pause.

    Args:
        access: whose certificates are changed after a refused one.
        on_line: called with every failure that is tried again.
        is_cancelled: whether to stop.
        pauses_s: seconds before each further try.
    """

    def __init__(
        self,
        access: Access,
        on_line: Callable[[str], None],
        is_cancelled: Callable[[], bool],
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._access = access
        self._on_line = on_line
        self._is_cancelled = is_cancelled
        self._pauses_s = pauses_s

    def run(self, action: Callable[[], T]) -> T:
        """Return what the action returns.

        Raises:
            GeoSegError: of the last try; Cancelled.
        """
        pauses = list(self._pauses_s)
        while True:
            try:
                return action()
            except GeoSegError as error:
                if error.code == "install_ssl" and self._access.distrust():
                    continue
                if error.code not in RETRIED or not pauses:
                    raise
                self._on_line(f"{error.message} Trying again in {pauses[0]:g} s.")
                self._wait(pauses.pop(0))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._is_cancelled():
                raise Cancelled
            time.sleep(min(0.1, seconds))
