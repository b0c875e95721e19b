"""Checks that several jobs share; each lists the problems, none when all is well."""

from __future__ import annotations

import math

from .data import DERIVATIONS, EXPRESSION, Area, Band, Labels, Source
from .errors import Problem
from .parameter import range_problems

PARAMETER_LIMITS = {
    "size_px": (1.0, 255.0),
    "lee_px": (0.0, 255.0),
    "looks": (0.01, 1e6),
    "reach_px": (1.0, 64.0),
    "limit_m": (0.0, 1e7),
    "percent": (0.0, 100.0),
    "least": (0.0, 1e6),
}
"""Parameters of derivations that are one number, with the least and the greatest that make sense."""


def when(condition: bool, code: str, message: str, hint: str) -> list[Problem]:
    """Return one problem if a condition holds, else none.

    Args:
        condition: what is wrong.
        code: of the problem.
        message: one sentence with the offending value.
        hint: the next step.
    """
    return [Problem(code, message, hint)] if condition else []


def filled_intermediates(bands: tuple[Band, ...]) -> list[Problem]:
    """Gaps that would not be filled, because expressions are computed before that."""
    names = ", ".join(f"'{band.name}'" for band in bands if band.fill)
    return when(
        bool(names),
        "fill",
        f"Gaps of {names} cannot be filled: expressions are computed before gaps are filled.",
        "Fill the gaps of the expression instead.",
    )


def unknown_sources(sources: tuple[Source, ...], bands: tuple[Band, ...]) -> list[Problem]:
    """List the bands whose source is not among the sources.

    Args:
        sources: of the job.
        bands: of the job; expressions have no source.
    """
    known = {source.key for source in sources}
    return [
        Problem(
            "unknown_source",
            f"Band '{band.name}' refers to the unknown source '{band.source}'.",
            f"Known sources: {', '.join(sorted(known)) or 'none'}.",
        )
        for band in bands
        if band.source not in known and band.derive != EXPRESSION
    ]


def band_setting_problems(bands: tuple[Band, ...]) -> list[Problem]:
    """Derivations that do not exist, inputs that no band has, and percentiles and gap values that are none."""
    names = {band.name for band in bands}
    known = ("", EXPRESSION, *(name for names in DERIVATIONS.values() for name in names))
    problems = []
    for band in bands:
        low, high = band.clip_percent
        missing = [name for name in band.inputs.values() if name not in names]
        problems += [
            *when(
                band.derive not in known,
                "unknown_derivation",
                f"Band '{band.name}' is derived by '{band.derive}', which is unknown.",
                f"Choose from: {', '.join(sorted(known[1:]))}.",
            ),
            *when(
                band.index < 1,
                "band_index",
                f"Band '{band.name}' asks for band {band.index} of its source.",
                "Bands count from 1.",
            ),
            *parameter_problems(band),
            *when(
                bool(missing),
                "unknown_input",
                f"Band '{band.name}' needs '{', '.join(missing)}', which no band is called.",
                f"Bands are: {', '.join(sorted(names))}.",
            ),
            *when(
                not 0 <= low < high <= 100,
                "clip_percent",
                f"Band '{band.name}' is clipped at percentiles {low:g} and {high:g}.",
                "Choose two from 0 to 100, the lower first.",
            ),
            *when(
                band.fill not in ("", "median", "interpolate") and not is_number(band.fill),
                "fill",
                f"Gaps of band '{band.name}' cannot be filled with '{band.fill}'.",
                "Choose median, interpolate or a number.",
            ),
        ]
    return problems


def parameter_problems(band: Band) -> list[Problem]:
    """Parameters that are no number, or one that makes no sense."""
    problems = []
    for name, (low, high) in PARAMETER_LIMITS.items():
        value = str(band.parameters.get(name, low))
        problems += when(
            not is_number(value) or not low <= float(value) <= high,
            "bad_parameter",
            f"Parameter '{name}' of band '{band.name}' is '{value}'.",
            f"Give a number from {low:g} to {high:g}.",
        )
    return problems


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def repeated_names(names: list[str]) -> list[Problem]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    return when(
        bool(repeated),
        "band_names",
        f"Two bands are named {', '.join(repeated)}.",
        "Give each band its own name.",
    )


def area_problems(area: Area, labels: Labels | None) -> list[Problem]:
    """List what is missing or out of range in an area.

    Args:
        area: as it is given.
        labels: whose hull the area may be; None where there are none.
    """
    of_polygons = area.kind in ("concave_hull", "convex_hull", "bounds")
    return [
        *when(
            area.kind == "polygons" and not area.path,
            "no_area",
            "No area layer is chosen.",
            "Choose a polygon layer.",
        ),
        *when(
            area.kind == "extent" and area.extent is None,
            "no_extent",
            "No extent is given.",
            "Set the map extent.",
        ),
        *when(
            of_polygons and labels is None,
            "no_labels",
            "The area is a hull of the label polygons, but there are none.",
            "Choose a label layer or another area.",
        ),
        *when(
            not 0 <= area.ratio <= 1,
            "ratio",
            f"The hull ratio {area.ratio:g} is outside 0 to 1.",
            "0.3 is a good start.",
        ),
    ]


def label_problems(labels: Labels) -> list[Problem]:
    return range_problems(labels)


def pixel_size_problems(size: tuple[float, float] | None) -> list[Problem]:
    bad = size is not None and min(size) <= 0
    return when(
        bad,
        "pixel_size",
        f"The pixel size {size} is not positive.",
        "Leave it empty to keep the reference's.",
    )
