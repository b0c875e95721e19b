"""Bands that `stackrasters` computes: what its parameters say -> additions to the layers' own bands.

The panel offers the same additions: both doors build `jobs.additions`, and `jobs.composition` puts them together.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsVectorLayer

from ...contract import TEMPORAL_STATISTICS, TERRAIN_ATTRIBUTES, Band, Resampling, Scaling, Series
from ...jobs.additions import Addition
from ...layers.classes import values_of
from ..parameters import tr

ON_REQUEST = tuple(item for item in TEMPORAL_STATISTICS if item not in ("date", "percentile"))
PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
TAKES = {
    "tpi": ("radius_m",),
    "local_relief": ("radius_m",),
    "multiscale_tpi": ("radii",),
    "hillshade": ("azimuth", "altitude"),
}
"""Terrain attribute -> parameters that it takes."""


def relief_additions(
    layer_id: str, name: str, attributes: Sequence[str], settings: Mapping[str, float | str]
) -> tuple[Addition, ...]:
    """Terrain attributes with parameters of their own; those without are ticked with the raster."""
    bands = tuple(
        Band(f"{name}: {item.replace('_', ' ')}", derive=item, parameters=taken_by(item, settings))
        for item in attributes
        if item not in TERRAIN_ATTRIBUTES
    )
    return (Addition(tr("Terrain of {}").format(name), bands, "raster", layer_id),) if bands else ()


def taken_by(attribute: str, settings: Mapping[str, float | str]) -> dict[str, float | str]:
    """Those of the settings that a terrain attribute takes."""
    return {key: value for key, value in settings.items() if key in TAKES.get(attribute, ())}


def decibel_addition(layer_id: str, names: Sequence[str], speckle_px: int) -> Addition:
    """Every band of a SAR raster in decibels, its speckle filtered first where `speckle_px` is not 0."""
    parameters: dict[str, float | str] = {"lee_px": float(speckle_px)} if speckle_px else {}
    bands = tuple(
        Band(f"{name} dB", "", index, derive="decibel", parameters=parameters)
        for index, name in enumerate(names, 1)
    )
    return Addition(tr("Decibels"), bands, "raster", layer_id)


def series_addition(
    files: Sequence[str], variables: Sequence[str], statistics: str, dates: Series
) -> Addition:
    """One band a variable and statistic of a time series.

    Args:
        files: a NetCDF file, a raster with a band a date, or a raster a date.
        variables: NetCDF variables, or band numbers of files with several; empty is the first.
        statistics: as `median, p10, 2019-07-01`.
        dates: start, end, months, mask; its variables are filled in.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    numbers = [item for item in variables if item.isdigit()]
    named = tuple(item for item in variables if not item.isdigit())
    if named and numbers:
        raise ValueError(tr("SERIES_VARIABLES mixes names and numbers: {}.").format(", ".join(variables)))
    stem = Path(files[0]).stem
    indices = [int(item) for item in numbers] or list(range(1, len(named) + 1)) or [1]
    titles = named or tuple(f"{stem} {number}" if numbers else stem for number in indices)
    bands = tuple(
        Band(f"{title} {text}", "", index, derive=derive, parameters=parameters)
        for index, title in zip(indices, titles, strict=True)
        for text, derive, parameters in map(statistic, words(statistics) or ["median"])
    )
    series = Series(named, (), dates.start, dates.end, dates.months, dates.mask, dates.clear)
    return Addition(stem, bands, "series", path=files[0], paths=tuple(files[1:]), series=series)


def statistic(text: str) -> tuple[str, str, dict[str, float | str]]:
    """`p10` or `median` or a date -> (title, derivation, its parameters).

    Raises:
        ValueError: for a word that is none of them.
    """
    found = PERCENTILE.fullmatch(text.lower())
    if found and float(found[1]) <= 100:
        return text, "percentile", {"percent": float(found[1])}
    if ISO_DATE.fullmatch(text):
        return text, "date", {"date": text}
    if text.lower() in ON_REQUEST:
        return text.lower().replace("_", " "), text.lower(), {}
    raise ValueError(
        tr(
            "STATISTICS: '{}' is unknown. Choose from {}, p10 (any percentile) or a date like 2019-07-01."
        ).format(text, ", ".join(ON_REQUEST))
    )


def vector_additions(text: str, layers: Sequence[QgsVectorLayer]) -> tuple[Addition, ...]:
    """`roads: distance 500; soil: onehot kind; rock: burn hardness` -> additions; layers unnamed by distance.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    wanted: list[tuple[QgsVectorLayer, list[str]]] = []
    for part in parts(text):
        name, _, rest = part.rpartition(":")
        layer = next((item for item in layers if item.name() == name.strip()), None)
        if layer is None:
            known = ", ".join(item.name() for item in layers)
            raise ValueError(
                tr("VECTOR_BANDS names the layer '{}', but the layers are: {}.").format(name.strip(), known)
            )
        wanted.append((layer, rest.split()))
    named = {layer.id() for layer, _ in wanted}
    wanted += [(layer, ["distance"]) for layer in layers if layer.id() not in named]
    return tuple(_vector_addition(layer, how) for layer, how in wanted)


def _vector_addition(layer: QgsVectorLayer, how: list[str]) -> Addition:
    """One layer as bands: `distance [limit in metres]`, `burn FIELD` or `onehot FIELD`."""
    mode, setting = (how[0] if how else "distance"), " ".join(how[1:])
    name = layer.name()
    if mode == "distance":
        try:
            parameters: dict[str, float | str] = {"limit_m": float(setting)} if setting else {}
        except ValueError:
            raise ValueError(tr("VECTOR_BANDS: '{}' is no distance in metres.").format(setting)) from None
        bands: tuple[Band, ...] = (Band(f"{name}: distance", derive="distance", parameters=parameters),)
        return Addition(name, bands, "vector", layer.id())
    if mode not in ("burn", "onehot"):
        raise ValueError(tr("VECTOR_BANDS: '{}' is none of distance, burn, onehot.").format(mode))
    index = layer.fields().lookupField(setting)
    if index < 0:
        raise ValueError(
            tr("VECTOR_BANDS: layer '{}' has no field '{}'; its fields are: {}.").format(
                name, setting, ", ".join(layer.fields().names())
            )
        )
    if mode == "burn":
        bands = (Band(f"{name}: {setting}", derive="burn", parameters={"field": setting}),)
    else:
        bands = tuple(_onehot(name, setting, value) for value in categories(layer, index))
    return Addition(name, bands, "vector", layer.id(), fields=(setting,))


def _onehot(name: str, field: str, value: str) -> Band:
    parameters: dict[str, float | str] = {"field": field, "value": value}
    return Band(f"{name}: {value}", derive="onehot", resampling="nearest", parameters=parameters)


def categories(layer: QgsVectorLayer, index: int) -> list[str]:
    """The values of a field as text, sorted; NULL is none."""
    return sorted(values_of(layer, index))


def months_of(text: str) -> tuple[int, ...]:
    """`5-9, 11` -> (5, 6, 7, 8, 9, 11).

    Raises:
        ValueError: for anything but months.
    """
    months: list[int] = []
    for word in words(text):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= 12:
            raise ValueError(tr("MONTHS: '{}' is no month from 1 to 12.").format(word))
        months += range(first, last + 1)
    return tuple(dict.fromkeys(months))


def parts(text: str) -> list[str]:
    """What stands between semicolons or on lines of their own."""
    return [item.strip() for item in re.split(r"[;\n]", text) if item.strip()]


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [item.strip() for item in text.split(",") if item.strip()]


def settings_of(rows: Iterable[Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the matrix BAND_SETTINGS -> settings by band name; `*` in a name stands for anything.

    Args:
        rows: all cells in one list: name, resampling, gaps, scaling, lower and upper percentile; empty cells keep.
        names: of the bands that there are.

    Raises:
        ValueError: for a name without band and for percentiles that are no numbers.
    """
    cells = ["" if cell is None else str(cell).strip() for cell in rows]
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(cells) - len(cells) % 6, 6):
        pattern, resampling, fill, scaling, low, high = cells[start : start + 6]
        matched = [name for name in names if matches(pattern, name)]
        if pattern and not matched:
            raise ValueError(
                tr("BAND_SETTINGS names the band '{}', but the bands are: {}.").format(
                    pattern, ", ".join(names)
                )
            )
        for word, kind in ((resampling, Resampling), (scaling, Scaling)):
            if word and word not in typing.get_args(kind):
                raise ValueError(
                    tr("BAND_SETTINGS: '{}' is none of {}.").format(word, ", ".join(typing.get_args(kind)))
                )
        given = {"resampling": resampling, "fill": fill, "scaling": scaling}
        chosen: dict[str, Any] = {key: value for key, value in given.items() if value}
        if low or high:
            try:
                chosen["clip_percent"] = (float(low or 0), float(high or 100))
            except ValueError:
                raise ValueError(
                    tr("BAND_SETTINGS: '{}' and '{}' are no percentiles.").format(low, high)
                ) from None
        for name in matched:
            found[name] = {**found.get(name, {}), **chosen}
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which `*` stands for anything."""
    regular = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(regular, name) is not None
