"""What all jobs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .errors import Problem


@dataclass(frozen=True)
class Job:
    """Base of all jobs. Relative paths are relative to the job folder."""

    kind: ClassVar[str] = ""

    def problems(self) -> list[Problem]:
        """Every complaint that can be known without opening a file."""
        return []
