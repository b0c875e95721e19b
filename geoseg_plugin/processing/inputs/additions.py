"""Bands derived from rasters, and settings of bands: parameters of `stackrasters` -> plain data."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...contract import TERRAIN_ATTRIBUTES, Band, Resampling, Scaling
from ...jobs.additions import Addition
from ..parameters import tr

PARAMETERS_OF = {
    "tpi": ("radius_m",),
    "local_relief": ("radius_m",),
    "multiscale_tpi": ("radii",),
    "hillshade": ("azimuth", "altitude"),
}
"""Terrain attribute -> parameters that it has."""


def relief_additions(
    layer_id: str, name: str, attributes: Sequence[str], settings: Mapping[str, float | str]
) -> tuple[Addition, ...]:
    """Return terrain attributes with parameters of their own; those without are ticked with the raster.

    Args:
        layer_id: of the elevation model.
        name: of the elevation model.
        attributes: of TERRAIN_ATTRIBUTES and RELIEF_ATTRIBUTES.
        settings: parameter of an attribute -> value.
    """
    bands = tuple(
        Band(f"{name}: {item.replace('_', ' ')}", derive=item, parameters=parameters_for(item, settings))
        for item in attributes
        if item not in TERRAIN_ATTRIBUTES
    )
    return (Addition(tr("Terrain of {}").format(name), bands, "raster", layer_id),) if bands else ()


def parameters_for(attribute: str, settings: Mapping[str, float | str]) -> dict[str, float | str]:
    """Return those of the settings that a terrain attribute has.

    Args:
        attribute: of RELIEF_ATTRIBUTES.
        settings: parameter of an attribute -> value.
    """
    return {key: value for key, value in settings.items() if key in PARAMETERS_OF.get(attribute, ())}


def decibel_addition(layer_id: str, names: Sequence[str], speckle_px: int) -> Addition:
    """Return every band of a SAR raster in decibels.

    Args:
        layer_id: of the raster.
        names: of its bands.
        speckle_px: window of the Lee filter before, in pixels; 0 for none.
    """
    parameters: dict[str, float | str] = {"lee_px": float(speckle_px)} if speckle_px else {}
    bands = tuple(
        Band(f"{name} dB", "", index, derive="decibel", parameters=parameters)
        for index, name in enumerate(names, 1)
    )
    return Addition(tr("Decibels"), bands, "raster", layer_id)


def settings_of(rows: Iterable[Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the matrix BAND_SETTINGS -> settings by band name; `*` in a name is any text.

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
        for text, kind in ((resampling, Resampling), (scaling, Scaling)):
            if text and text not in typing.get_args(kind):
                raise ValueError(
                    tr("BAND_SETTINGS: '{}' is none of {}.").format(text, ", ".join(typing.get_args(kind)))
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
    """Whether a name fits a pattern in which `*` is any text.

    Args:
        pattern: as `optical*`.
        name: of a band.
    """
    regular = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(regular, name) is not None
