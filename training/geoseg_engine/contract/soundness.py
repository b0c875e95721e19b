"""Whether recipes and classes that a file holds fit together: checked when they are read, before anything uses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from .checks import band_setting_problems, repeated_names, unknown_sources, when
from .data import Grid, LabelClass, Recipe
from .decoding import decode
from .errors import GeoSegError, Problem
from .limits import MAX_BANDS, MAX_CLASSES

T = TypeVar("T")


def decode_all(cls: type[T], data: Any, name: str) -> tuple[T, ...]:
    """Return a dataclass of each item of a list.

    Args:
        cls: dataclass.
        data: list of a JSON file.
        name: of the list, for errors.

    Raises:
        GeoSegError: `bad_json` where `data` is no list; as `decode`.
    """
    if not isinstance(data, (list, tuple)):
        raise GeoSegError("bad_json", f"'{name}' holds no list of {cls.__name__}.", "Write the file again.")
    return tuple(decode(cls, item) for item in data)


def check_sound(recipe: Recipe, name: str) -> None:
    """Raise if a recipe cannot be read as a stack.

    Args:
        recipe: of a file.
        name: of the file, for errors.

    Raises:
        GeoSegError: with the code of its first problem.
    """
    every = (*recipe.bands, *recipe.intermediates)
    keys = [source.key for source in recipe.sources]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    _raise_first(
        name,
        [
            *when(
                not 1 <= len(recipe.bands) <= MAX_BANDS,
                "no_bands",
                f"The recipe has {len(recipe.bands)} bands.",
                f"1 to {MAX_BANDS} can be used.",
            ),
            *when(
                bool(repeated),
                "bad_json",
                f"Two sources have the key '{', '.join(repeated)}'.",
                "Make the stack again.",
            ),
            *unknown_sources(recipe.sources, every),
            *repeated_names([band.name for band in every]),
            *band_setting_problems(every),
            *_grid_problems(recipe.grid),
        ],
    )


def check_order(classes: Sequence[LabelClass], name: str) -> None:
    """Raise unless classes are numbered 0, 1, 2 … in order, and are no more than a byte can hold.

    Args:
        classes: of a file.
        name: of the file, for errors.

    Raises:
        GeoSegError: `bad_classes`.
    """
    ids = [item.id for item in classes]
    _raise_first(
        name,
        when(
            not 1 <= len(ids) <= MAX_CLASSES or ids != list(range(len(ids))),
            "bad_classes",
            f"The {len(ids)} classes are not numbered 0, 1, 2 … up to {MAX_CLASSES - 1}.",
            "Make the file again.",
        ),
    )


def _grid_problems(grid: Grid) -> list[Problem]:
    a, b, _, d, e, _ = grid.transform
    area = a * e - b * d
    return when(
        not math.isfinite(area) or area == 0,
        "bad_grid",
        f"The pixels of the grid have the sides {a:g}, {d:g} and {b:g}, {e:g}, which cover no area.",
        "Make the stack again.",
    )


def _raise_first(name: str, problems: Sequence[Problem]) -> None:
    if problems:
        raise GeoSegError(problems[0].code, f"{name}: {problems[0].message}", problems[0].hint)
