"""What is chosen on the Results page about a map, and the job that follows from it. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from ...contract import SampleJob, default_of, params_of
from ...panel.texts import tr

Z95 = NormalDist().inv_cdf(0.975)
"""Standard errors from an estimate to either end of its 95 % interval."""
STANDARD_ERROR, EXPECTED = (params_of(SampleJob)[name] for name in ("standard_error", "expected_else"))


@dataclass(frozen=True)
class ComparisonChoices:
    """Labels to compare a map with; layers by their ids, empty is none."""

    label_layer_id: str = ""
    class_field: str = ""
    area_layer_id: str = ""
    unlabelled: str = "unknown"


def half_width_of(standard_error: float) -> float:
    """Return half the width of the 95 % interval in percent.

    Args:
        standard_error: of the overall accuracy, 0 to 1.
    """
    return round(100 * Z95 * standard_error, 1)


HALF_WIDTH = half_width_of(default_of(SampleJob, "standard_error"))
HALF_WIDTH_RANGE = (
    math.ceil(1000 * Z95 * (STANDARD_ERROR.low or 0)) / 10,
    math.floor(1000 * Z95 * (STANDARD_ERROR.high or 0)) / 10,
)
"""Half the width of the 95 % interval in percent: the default, and the smallest and largest that the job takes."""
EXPECTED_RANGE = tuple(100 * (limit or 0) for limit in (EXPECTED.low, EXPECTED.high))
"""Expected accuracy in percent: the smallest and largest."""


@dataclass(frozen=True)
class SampleDesign:
    """A reference sample.

    Attributes:
        half_width: half the width of the 95 % interval of the overall accuracy, in percent.
        expected: expected user's accuracy, in percent.
        count: total number of points; 0 is as many as the interval needs.
        allocation: of the contract.
    """

    half_width: float = HALF_WIDTH
    expected: float = 100 * default_of(SampleJob, "expected_else")
    count: int = default_of(SampleJob, "count")
    allocation: str = default_of(SampleJob, "allocation")

    def settings(self) -> dict[str, Any]:
        """Return the choices as fields of the job; another interval than the default has no limit of points."""
        found: dict[str, Any] = {
            "count": self.count,
            "expected_else": round(self.expected / 100, 4),
            "allocation": self.allocation,
        }
        if self.half_width != HALF_WIDTH:
            found |= {"standard_error": self.half_width / 100 / Z95, "max_points": 0}
        return found


def sample_note(result: Mapping[str, Any]) -> str:
    """Return what a sample would be: its sentence, and the warning about a small map.

    Args:
        result: of a dry run.
    """
    small = [item for item in result.get("warnings") or () if item.get("code") == "small_map"]
    return " ".join(
        [str(result.get("sentence", "")), *(f"{item['message']} {item['hint']}" for item in small)]
    )


def created_note(count: object, hidden: bool) -> str:
    """Return what to do with the points of a new sample.

    Args:
        count: of the points.
        hidden: whether an earlier sample was hidden.
    """
    text = tr("{} points are on the map. Switch editing on, click each, and choose its reference class.")
    if hidden:
        return f"{text.format(count)} {tr('The earlier sample is hidden; switch it on in the layer tree.')}"
    return text.format(count)
