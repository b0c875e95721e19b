"""The reference sample: points with the class of the map and the class that people found there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import AreasJob, GeoSegError, LabelClass, Problem
from ..vector.features import read_features, read_fields, refuse_field
from ..vector.legend import is_null, value_text
from .classmap import ClassMap

ID_FIELD, NAME_FIELD = "class_id", "class_name"
POINT, MULTIPOINT = 0, 4


@dataclass(frozen=True)
class ReferencePoints:
    """What a sample says.

    Attributes:
        counts: points by class of the map (row) and true class (column), int64 (K, K).
        points: in the file.
        left_out: of them, without true class or class of the map.
        problems: what there is to say, as warnings.
    """

    counts: NDArray[np.int64]
    points: int
    left_out: int
    problems: tuple[Problem, ...]


def read_points(job: AreasJob, folder: Path, found: ClassMap) -> ReferencePoints:
    """Read the sample of a job.

    A point belongs to the class that `class_id` names, else to that of the map under it.

    Raises:
        GeoSegError: `not_points`, `no_field`, `unknown_reference`, `no_reference`; as `read_features`.
    """
    path, name = str(folder / job.sample), job.sample_layer or Path(job.sample).stem
    fields = read_fields(path, job.sample_layer, name)
    refuse_field(fields, job.reference_field, name)
    wanted = [job.reference_field, *({ID_FIELD} & set(fields))]
    points = read_features(path, job.sample_layer, name, found.grid, wanted)
    positions = _positions(points.shapes, name)
    truth = _reference(points.columns[job.reference_field].values, found.classes, name)
    under = found.at(positions[:, 0], positions[:, 1])
    drawn = (
        _strata(points.columns[ID_FIELD].values, found.classes)
        if ID_FIELD in fields
        else np.full(len(under), -1)
    )
    mapped = np.where(drawn >= 0, drawn, under)
    used = (truth >= 0) & (mapped >= 0)
    if not used.any():
        raise GeoSegError(
            "no_reference",
            f"None of the {len(used)} points of '{name}' has a class both in '{job.reference_field}' and on the map.",
            f"Look at the points and write the class that is really there into '{job.reference_field}'.",
        )
    counts = np.zeros((len(found.classes),) * 2, np.int64)
    np.add.at(counts, (mapped[used], truth[used]), 1)
    moved = int(((drawn >= 0) & (under != drawn) & used).sum())
    problems = [
        *points.problems,
        *_unanswered(int((truth < 0).sum()), job.reference_field),
        *_outside(int((mapped < 0).sum()), found.name),
        *_moved(moved, found.name),
    ]
    return ReferencePoints(counts, len(used), int((~used).sum()), tuple(problems))


def _positions(geometries: NDArray[Any], name: str) -> NDArray[np.float64]:
    """(points, 2).

    Raises:
        GeoSegError: `not_points`.
    """
    kinds = shapely.get_type_id(geometries)
    single = (kinds == POINT) | ((kinds == MULTIPOINT) & (shapely.get_num_geometries(geometries) == 1))
    if not single.all() or not len(single):
        raise GeoSegError(
            "not_points", f"'{name}' holds other things than points.", "Choose a layer of points."
        )
    return shapely.get_coordinates(geometries)


def _reference(values: Sequence[Any], classes: Sequence[LabelClass], name: str) -> NDArray[np.int64]:
    """Index of the class that each value names or numbers; -1 for none.

    Raises:
        GeoSegError: `unknown_reference`.
    """
    known = {str(item.id): place for place, item in enumerate(classes)}
    known |= {item.name.strip().casefold(): place for place, item in enumerate(classes)}
    texts = ["" if is_null(value) else value_text(value).casefold() for value in values]
    strange = Counter(text for text in texts if text and text not in known)
    if strange:
        listed = ", ".join(f"'{text}' ({count})" for text, count in strange.most_common(6))
        raise GeoSegError(
            "unknown_reference",
            f"Points of '{name}' name classes that the map does not have: {listed}.",
            f"The classes are: {', '.join(item.name for item in classes)}. Leave the field empty where none fits.",
        )
    return np.array([known.get(text, -1) if text else -1 for text in texts], np.int64)


def _strata(values: Sequence[Any], classes: Sequence[LabelClass]) -> NDArray[np.int64]:
    """Index of the class of each id; -1 for none."""
    known = {str(item.id): place for place, item in enumerate(classes)}
    return np.array(
        [-1 if is_null(value) else known.get(value_text(value), -1) for value in values], np.int64
    )


def _unanswered(count: int, field: str) -> list[Problem]:
    if not count:
        return []
    return [
        Problem(
            "unanswered_points",
            f"{count} points have no class in '{field}' and are left out.",
            "Leaving out the points that are hard to judge makes the map look better than it is.",
            "warning",
        )
    ]


def _outside(count: int, name: str) -> list[Problem]:
    if not count:
        return []
    return [
        Problem(
            "points_outside",
            f"{count} points lie outside '{name}' or where it has no class, and are left out.",
            "Check that sample and map belong together.",
            "warning",
        )
    ]


def _moved(count: int, name: str) -> list[Problem]:
    if not count:
        return []
    return [
        Problem(
            "other_map",
            f"{count} points lie on another class of '{name}' than when they were laid out.",
            "The estimates are right for the map that the sample was laid out on: was this one changed since?",
            "warning",
        )
    ]
