"""What the user chose on the Results page about a map, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ComparisonChoices:
    """Labels to compare a map with; layers by their ids, empty is none."""

    label_layer_id: str = ""
    class_field: str = ""
    area_layer_id: str = ""
    unlabelled: str = "unknown"


@dataclass(frozen=True)
class SampleDesign:
    """A sample to lay out; `settings` are fields of the contract's SampleJob."""

    settings: dict[str, Any] = field(default_factory=dict)
