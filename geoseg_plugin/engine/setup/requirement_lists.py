"""The lists of requirements that steps install, and their fingerprints."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...paths import training_dir
from .wheel_lists import WheelList


def list_file(name: str) -> Path:
    """Return a list of requirements."""
    return training_dir() / "requirements" / name


def digest(*lists: str) -> str:
    """Fingerprint of requirement lists, so that a step is done again when its list changes."""
    text = b"\0".join(list_file(name).read_bytes() for name in (*lists, "constraints.txt"))
    return hashlib.sha256(text).hexdigest()[:16]


def key_of(wheels: WheelList) -> str:
    """Fingerprint of a list of wheels."""
    return hashlib.sha256(wheels.path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]
