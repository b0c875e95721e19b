"""Complaints and failures that cross the line between the processes."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Literal

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of the system where nothing more can be written."""


@dataclass(frozen=True)
class Problem:
    """One complaint: what is wrong (with the offending value) and the next step.

    `details` are the names of the layers that it is about, where somebody may want to act on them.
    """

    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    details: tuple[str, ...] = ()


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: `1 pixel`, `1,024 pixels`.

    Args:
        number: how many.
        singular: noun.
        plural: where it is not the noun and an s.
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


class GeoSegError(Exception):
    """Base of every expected failure; becomes the `failed` event.

    Args:
        code: stable identifier, lower case with underscores, e.g. `no_overlap`.
        message: one sentence with the offending value.
        hint: the next step for the user.
        details: further text for the log.
    """

    def __init__(self, code: str, message: str, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details


class Cancelled(GeoSegError):
    """The user asked to stop; not an error to show."""

    def __init__(self) -> None:
        super().__init__("cancelled", "Cancelled.")
