"""Lists that a user writes as text."""

from __future__ import annotations

import re


def entries(text: str) -> list[str]:
    """Return what is written between semicolons or on lines of their own."""
    return [item.strip() for item in re.split(r"[;\n]", text) if item.strip()]


def items(text: str) -> list[str]:
    """Return what is written between commas."""
    return [item.strip() for item in text.split(",") if item.strip()]
