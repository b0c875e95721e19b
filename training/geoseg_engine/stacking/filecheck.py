"""What the files behind a stack leave open, said before anything is built on them. All of it is a warning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..contract import EXPRESSION, SPECKLE_FILTERS, Band, GeoSegError, Problem, Recipe, Source
from ..raster.crs import unit_m
from ..raster.grid import Window, windows_on_lattice
from ..raster.netcdf import crs_of, numbers_in
from ..raster.novalue import no_values
from ..raster.series import open_series
from ..raster.sources import band_title, open_source, parse_crs, source_grid, title, value_bands
from ..raster.values import exact_dtype, raster_values

LOOKED_AT = 1 << 20
"""Values of a source that are looked at for undeclared gaps."""

FILES_LOOKED_AT = 4
"""Files of a mosaic whose values are looked at."""

USUAL_GAPS = (-999, -9999, -99999, -9998, -32767, -32768, 32767, 65535, -(2**31), 2**31 - 1)
"""Whole numbers by which programs mark gaps."""

ENDLESS = 1e19
"""Beyond it a number is a mark and no measurement: 1e20, 9.97e36, the largest float32."""

RIM_SHARE, INSIDE_SHARE, FEW_VALUES = 0.01, 0.1, 16
"""Of all pixels that a rim has at least; of the rim's size that pixels of its value inside have at most; values of a
raster that is taken for classes."""


def file_problems(recipe: Recipe) -> list[Problem]:
    """Warnings about the files of a recipe.

    Codes: `unknown_unit` (of the grid's CRS), `assumed_crs` (degrees without a CRS), `bad_bands` (marked so in the
    file), `more_images` (the file holds more than is read), `first_band` (heights from one of several bands),
    `undeclared_gaps` and `undeclared_rim` (values that look like pixels without value).
    """
    found: list[Problem] = list(_unknown_unit(recipe.grid.crs))
    every = [band for band in (*recipe.bands, *recipe.intermediates) if band.derive != EXPRESSION]
    for source in recipe.sources:
        bands = [band for band in every if band.source == source.key]
        try:
            found += _of_source(source, bands)
        except GeoSegError as error:
            found.append(Problem(error.code, error.message, error.hint))
    return found


def _of_source(source: Source, bands: list[Band]) -> Iterator[Problem]:
    if source.kind == "series":
        with open_series(source) as series:
            yield from _assumed_crs(source, series.files.get(series.variables[0][0].path))
    if source.kind != "raster":
        return
    said: set[str] = set()
    for path in (source.path, *source.paths)[:FILES_LOOKED_AT]:
        one = replace(source, path=path, paths=(), name=title(source))
        with open_source(one) as dataset:
            looks = (
                _assumed_crs(one, dataset),
                _bad_bands(one, dataset, bands),
                _more_images(one, dataset),
                _first_of_several(one, dataset, bands),
            )
            for problem in chain(*looks, _gaps(one, dataset, bands)):
                if path == source.path or problem.code not in said:
                    yield problem
                said.add(problem.code)


def _unknown_unit(crs: str) -> Iterator[Problem]:
    found = parse_crs(crs)
    if not found.is_geographic and unit_m(found) is None:
        yield Problem(
            "unknown_unit",
            f"The CRS '{found.name}' does not say how long its unit is: it is taken as one metre.",
            "Assign a CRS with a unit to the layers (layer properties, Source) if that is wrong.",
            "warning",
        )


def _assumed_crs(source: Source, dataset: Any) -> Iterator[Problem]:
    if not source.crs and dataset.driver == "netCDF" and crs_of(dataset)[1]:
        yield Problem(
            "assumed_crs",
            f"Layer '{title(source)}' has longitude and latitude but names no CRS: WGS 84 is assumed.",
            "Set its CRS (layer properties, Source) if it is another.",
            "warning",
        )


def _more_images(source: Source, dataset: Any) -> Iterator[Problem]:
    others = [name for name in dataset.subdatasets if name != source.path]
    if others and source.path not in dataset.subdatasets:
        yield Problem(
            "more_images",
            f"The file of layer '{title(source)}' holds {len(dataset.subdatasets)} images; only the first is read.",
            "Add the others as layers of their own: "
            + ", ".join(others[1:3])
            + (" …" if len(others) > 3 else ""),
            "warning",
        )


def _bad_bands(source: Source, dataset: Any, bands: list[Band]) -> Iterator[Problem]:
    used = sorted({band.index for band in bands} & bad_bands(dataset))
    if used:
        yield Problem(
            "bad_bands",
            f"{len(used)} of the {dataset.count} bands of layer '{title(source)}' are marked as bad in its file and "
            f"are used: {ranges(used)}.",
            "Untick them, or name the other bands.",
            "warning",
        )


def _first_of_several(source: Source, dataset: Any, bands: list[Band]) -> Iterator[Problem]:
    """Terrain of band 1 where there are others: nobody may have chosen it."""
    names = [
        band.name for band in bands if band.derive and band.derive not in SPECKLE_FILTERS and band.index == 1
    ]
    if names and len(value_bands(dataset)) > 1:
        yield Problem(
            "first_band",
            f"Layer '{title(source)}' has {dataset.count} bands; heights are taken from the first, "
            f"'{band_title(source, dataset, 1)}'.",
            "Choose the band of heights, or a layer of its own.",
            "warning",
        )


def bad_bands(dataset: Any) -> set[int]:
    """Bands, from 1, that a file marks as bad: ENVI's bad band list, for all bands or at each."""
    for tags in (dataset.tags(ns="ENVI"), dataset.tags()):
        marks = numbers_in(tags.get("bbl", ""))
        if len(marks) == dataset.count:
            return {index for index, mark in enumerate(marks, 1) if not mark}
    return {index for index in dataset.indexes if numbers_in(dataset.tags(index).get("bbl", "")) == [0.0]}


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as `3, 101–130`."""
    starts = [place for place, number in enumerate(numbers) if not place or number != numbers[place - 1] + 1]
    ends = [*(start - 1 for start in starts[1:]), len(numbers) - 1]
    parts = [
        f"{numbers[start]}–{numbers[end]}" if end > start else f"{numbers[start]}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return ", ".join(parts)


@dataclass
class Looked:
    """What was seen of a source: pixels, those of each mark by band, and those of a rim."""

    px: int
    complete: bool
    marks: dict[tuple[int, float], int]
    rim: float
    rim_px: int

    @property
    def of_px(self) -> str:
        return f"{self.px:,} {'' if self.complete else 'sampled '}pixels"


def _gaps(source: Source, dataset: Any, bands: list[Band]) -> Iterator[Problem]:
    indexes = sorted({band.index for band in bands})
    if not indexes or source.nodata is not None:
        return
    whole = {band.index for band in bands if band.resampling not in ("nearest", "mode")}
    seen = _look(source, dataset, indexes, all(index in whole for index in indexes))
    for value in dict.fromkeys(value for _, value in seen.marks):
        marked = {index: count for (index, other), count in seen.marks.items() if other == value}
        names = f"band{'s' * (len(marked) > 1)} {ranges(sorted(marked))}"
        yield Problem(
            "undeclared_gaps",
            f"Layer '{title(source)}' has the value {value:.8g} in {max(marked.values()):,} of {seen.of_px} ({names}), "
            "far from all others, and does not declare it as nodata.",
            _declare(value),
            "warning",
        )
    if seen.rim_px:
        yield Problem(
            "undeclared_rim",
            f"Layer '{title(source)}' is {seen.rim:g}{' in all bands' if len(indexes) > 1 else ''} in "
            f"{seen.rim_px:,} of {seen.of_px}, all joined with its border, and declares no nodata.",
            _declare(seen.rim),
            "warning",
        )


def _declare(value: float) -> str:
    return (
        f"If these pixels hold no measurement, set {value:.8g} as additional no data value (layer properties, "
        f"Transparency), or nodata of the source."
    )


def _look(source: Source, dataset: Any, indexes: list[int], continuous: bool) -> Looked:
    grid = source_grid(source, dataset)
    parts = windows_on_lattice(grid, LOOKED_AT / len(indexes))
    facts = [no_values(dataset)[index - 1] for index in indexes]
    bare = continuous and all(fact.complete for fact in facts)
    kind = exact_dtype(dataset, indexes)
    top = {"uint8": 255.0, "uint16": 65535.0}.get(dataset.dtypes[indexes[0] - 1], 0.0)
    stack = [raster_values(source, dataset, indexes, part, kind) for part in parts]
    marks = {}
    for place, index in enumerate(indexes):
        values = np.concatenate([part[place].ravel() for part in stack])
        for value in outliers(values[np.isfinite(values)]):
            marks[index, value] = int((values == value).sum())
    px = sum(part.height * part.width for part in parts)
    rim, rim_px = 0.0, 0
    for value in dict.fromkeys((0.0, top)) if bare else ():
        found = _rim_px(stack, parts, dataset.height, dataset.width, value)
        if found > max(rim_px, RIM_SHARE * px):
            rim, rim_px = value, found
    return Looked(px, len(parts) == 1, marks, rim, rim_px)


def outliers(values: NDArray[Any]) -> list[float]:
    """Values that look like marks of gaps: the lowest or highest, of a kind that is used for it, far from the rest."""
    found: list[float] = []
    while len(values):
        ends = [
            value for value in (values.min(), values.max()) if value in USUAL_GAPS or abs(value) > ENDLESS
        ]
        for end in ends:
            rest = values[values != end]
            if len(rest):
                low, high = float(rest.min()), float(rest.max())
                distance = max(low - float(end), float(end) - high)
                if distance > high - low or abs(end) > ENDLESS > max(abs(low), abs(high)):
                    found.append(float(end))
                    values = rest
                    break
        else:
            return found
    return found


def _rim_px(stack: list[NDArray[Any]], parts: list[Window], height: int, width: int, value: float) -> int:
    """Pixels of one value in all bands that are joined with the border of the raster; 0 if it is no rim."""
    rim = inside = 0
    few: set[float] = set()
    for values, part in zip(stack, parts, strict=True):
        few |= set(np.unique(values[:, ::7, ::7]).tolist()[: FEW_VALUES + 1])
        same = (values == value).all(axis=0)
        patches, _ = ndimage.label(same)
        edges = [patches[0]] * (part.row == 0) + [patches[-1]] * (part.row + part.height == height)
        edges += [patches[:, 0]] * (part.col == 0) + [patches[:, -1]] * (part.col + part.width == width)
        joined = np.isin(patches, np.unique(np.concatenate(edges))) & same if edges else np.zeros_like(same)
        rim += int(joined.sum())
        inside += int(same.sum()) - int(joined.sum())
    return rim if inside <= INSIDE_SHARE * rim and len(few) > FEW_VALUES else 0
