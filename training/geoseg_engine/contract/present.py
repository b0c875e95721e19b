"""What must be there at a place in the code, and is said to be missing by name if it is not."""

from __future__ import annotations

from typing import TypeVar

Held = TypeVar("Held")


def present(value: Held | None, what: str) -> Held:
    """Return a value that earlier steps have made sure of.

    Args:
        value: anything but None by then.
        what: its name, for whoever reads the report.

    Returns:
        The value.

    Raises:
        RuntimeError: if it is None, which is a fault of the program and not of the user's data.
    """
    if value is None:
        raise RuntimeError(f"{what} is missing where it must be there")
    return value
