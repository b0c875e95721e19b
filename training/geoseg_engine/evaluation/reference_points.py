"""The reference sample: points with the class of the map and the true class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import AreasJob, GeoSegError, LabelClass, Problem, counted
from ..vector.features import check_field, read_features, read_fields
from ..vector.legend import is_null, value_text
from .classmap import ClassMap
from .evaluator import name_key

ID_FIELD, NAME_FIELD = "class_id", "class_name"
POINT, MULTIPOINT = 0, 4
NONE, NOT_HERE = -1, -2
MAX_OTHER = 32
"""True classes that the map does not have; a field with more values holds something else."""


@dataclass(frozen=True)
class ReferencePoints:
    """What a sample says.

    Attributes:
        other: names of true classes that the map does not have.
        counts: points by class of the map (row) and true class (column), int64 (K, K), over the map's classes and then
            the others; no point lies on those.
        points: in the file.
        left_out: of them, without true class or class of the map.
        problems: what there is to say, as warnings.
    """

    other: tuple[str, ...]
    counts: NDArray[np.int64]
    points: int
    left_out: int
    problems: tuple[Problem, ...]


def read_points(job: AreasJob, folder: Path, found: ClassMap) -> ReferencePoints:
    """Read the sample of a job.

    A point belongs to the class that `class_id` names, else to that of the map under it. A true class that the map does
    not have is a class of its own, for which the map is wrong.

    Args:
        job: the job `areas`.
        folder: folder of the job.
        found: the map.

    Raises:
        GeoSegError: `not_points`, `no_field`, `unknown_reference`, `no_reference`; as `read_features`.
    """
    path, name = str(folder / job.sample), job.sample_name or job.sample_layer or Path(job.sample).stem
    fields = read_fields(path, job.sample_layer, name)
    check_field(fields, job.reference_field, name)
    wanted = [job.reference_field, *({ID_FIELD} & set(fields))]
    points = read_features(path, job.sample_layer, name, found.grid, wanted)
    positions = _positions(points.shapes, name)
    references = points.columns[job.reference_field].values
    truth, other = _reference(references, found.classes, job.reference_field, name)
    under = found.at(positions[:, 0], positions[:, 1])
    drawn = (
        _strata(points.columns[ID_FIELD].values, found.classes)
        if ID_FIELD in fields
        else np.full(len(under), NONE)
    )
    mapped = np.where(drawn >= 0, drawn, under)
    used = (truth >= 0) & (mapped >= 0)
    if not used.any():
        raise no_reference(name, job.reference_field, found.name, int((truth >= 0).sum()), len(used))
    counts = np.zeros((len(found.classes) + len(other),) * 2, np.int64)
    np.add.at(counts, (mapped[used], truth[used]), 1)
    moved = int(((drawn != NONE) & (under != drawn) & used).sum())
    problems = [
        *points.problems,
        *_unanswered(int((truth < 0).sum()), job.reference_field),
        *_not_mapped(other, counts.sum(axis=0)[len(found.classes) :].tolist(), found),
        *_outside(int((mapped < 0).sum()), found.name),
        *_moved(moved, found.name),
    ]
    return ReferencePoints(tuple(other), counts, len(used), int((~used).sum()), tuple(problems))


def no_reference(name: str, field: str, mapped: str, answered: int, points: int) -> GeoSegError:
    """Return the error that no point can be used: none has a true class yet, or those that have one are not on the map.

    Args:
        name: name of the sample.
        field: field of the true class.
        mapped: name of the map.
        answered: points with a true class.
        points: all points.
    """
    if not answered:
        return GeoSegError(
            "no_reference",
            f"None of the {counted(points, 'point')} of layer '{name}' has a reference class yet (field '{field}').",
            "Open the points' form or table and choose the true class. Unsaved edits count too.",
        )
    return GeoSegError(
        "no_reference",
        f"{counted(answered, 'point')} of layer '{name}' {'has' if answered == 1 else 'have'} a reference class, but "
        f"no such point lies where '{mapped}' has a class.",
        "Choose the map that the points were created on.",
    )


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


def _reference(
    values: Sequence[Any], classes: Sequence[LabelClass], field: str, name: str
) -> tuple[NDArray[np.int64], list[str]]:
    """Index of the class that each value names or numbers, NONE for none, and the names of classes that the map lacks.

    Their indices follow on the map's, in the order in which they are named.

    Raises:
        GeoSegError: `unknown_reference` if hardly any value is a class.
    """
    known = {str(item.id): place for place, item in enumerate(classes)}
    known |= {name_key(item.name): place for place, item in enumerate(classes)}
    texts = ["" if is_null(value) else value_text(value) for value in values]
    strange = Counter(name_key(text) for text in texts if text and name_key(text) not in known)
    if len(strange) > MAX_OTHER or (strange and not any(name_key(text) in known for text in texts)):
        listed = ", ".join(f"'{text}' ({count})" for text, count in strange.most_common(6))
        raise GeoSegError(
            "unknown_reference",
            f"The field '{field}' of '{name}' holds no classes of the map, but {listed}.",
            f"Choose the field of the true classes. The map has: {', '.join(item.name for item in classes)}.",
        )
    other: list[str] = []
    for text in texts:
        if text and name_key(text) not in known:
            known[name_key(text)] = len(classes) + len(other)
            other.append(text.strip())
    return np.array([known[name_key(text)] if text else NONE for text in texts], np.int64), other


def _strata(values: Sequence[Any], classes: Sequence[LabelClass]) -> NDArray[np.int64]:
    """Index of the class of each id; NONE without id, NOT_HERE for one that the map does not have."""
    known = {str(item.id): place for place, item in enumerate(classes)}
    return np.array(
        [NONE if is_null(value) else known.get(value_text(value), NOT_HERE) for value in values], np.int64
    )


def _not_mapped(other: Sequence[str], counts: Sequence[int], found: ClassMap) -> list[Problem]:
    if not other:
        return []
    listed = ", ".join(f"'{name}' ({count})" for name, count in zip(other, counts, strict=True))
    known = ", ".join(item.name for item in found.classes)
    return [
        Problem(
            "unmapped_classes",
            f"Some reference classes are not in '{found.name}': {listed}. The map counts as wrong there.",
            f"If the spelling differs, correct it. The map has: {known}.",
            "warning",
        )
    ]


def _unanswered(count: int, field: str) -> list[Problem]:
    if not count:
        return []
    return [
        Problem(
            "unanswered_points",
            f"{counted(count, 'point')} without a class in '{field}' {'is' if count == 1 else 'are'} left out.",
            "Leaving out difficult points makes the accuracy too high.",
            "warning",
        )
    ]


def _outside(count: int, name: str) -> list[Problem]:
    if not count:
        return []
    return [
        Problem(
            "points_outside",
            f"{counted(count, 'point')} outside '{name}', or where it has no class, "
            f"{'is' if count == 1 else 'are'} left out.",
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
            f"{counted(count, 'point')} {'lies' if count == 1 else 'lie'} on another class of '{name}' than when the "
            "sample was created.",
            "The estimates are valid for the map that the sample was created from. Check whether this map was changed.",
            "warning",
        )
    ]
