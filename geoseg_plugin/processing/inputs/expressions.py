"""EXPRESSIONS and INDICES -> bands computed from other bands.

A line of EXPRESSIONS is `name = expression`. Bands are written in double quotes: `"layer@2"` as in the raster
calculator of QGIS, or a band's name; a name without spaces needs no quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...contract import INDICES, ROLES, GeoSegError, index_band
from ...jobs.additions import Addition, Input, index_addition
from ...jobs.bandroles import GuessedBand, LayerBands, guess_bands
from ...jobs.inputs import RasterInput, band_name
from ...jobs.listtext import entries
from ..parameters import tr

REFERENCE = re.compile(r'"([^"]+)"|\b(?!(?:and|or|not)\b)([A-Za-z_]\w*)\b(?!\s*\()')


def expression_additions(
    text: str, rasters: Sequence[RasterInput], added: Sequence[str]
) -> tuple[Addition, ...]:
    """Expressions as additions, each of which may use the bands of those before it.

    Args:
        text: lines, or parts between semicolons.
        rasters: those whose bands can be used, ticked or not.
        added: names of bands that are added otherwise.

    Raises:
        ValueError: with a sentence that names the line or the band that is wrong.
    """
    known = list(added)
    found = []
    for line in entries(text):
        match = re.fullmatch(r'"?([^="]+?)"?\s*=(?!=)\s*(.+)', line)
        if match is None:
            raise ValueError(tr("EXPRESSIONS: '{}' is not 'name = expression'.").format(line))
        inputs: dict[str, Input] = {}

        def variable(reference: re.Match[str], inputs: dict[str, Input] = inputs) -> str:
            wanted = str(reference[1] or reference[2])
            if wanted not in inputs:
                inputs[wanted] = referred(wanted, f"b{len(inputs) + 1}", rasters, known, "EXPRESSIONS")
            return inputs[wanted].variable

        formula = REFERENCE.sub(variable, match[2])
        found.append(index_addition(match[1], formula, inputs.values()))
        known.append(match[1])
    return tuple(found)


def index_additions(
    names: Sequence[str],
    roles: str,
    scale: float,
    rasters: Sequence[RasterInput],
    layers: Sequence[LayerBands] = (),
) -> tuple[tuple[Addition, ...], tuple[str, ...]]:
    """Spectral indices as additions, and a sentence for each about the bands that were found for it.

    Args:
        names: of the contract's INDICES.
        roles: `red = optical@3; nir = optical@4`; roles left out are found by the bands' wavelengths and names.
        scale: factor from values to reflectance.
        rasters: those whose bands can be used, ticked or not.
        layers: what is known of their bands.

    Raises:
        ValueError: for a role that is unknown, that no band plays, or that bands of several layers would play.
    """
    given = given_roles(roles, rasters)
    found, notes = [], []
    for name in names:
        open_roles = [role for role in INDICES[name].roles if role not in given]
        guess = guess_bands(layers, open_roles)
        played = given | {role: item.input for role, item in guess.bands.items()}
        try:
            band = index_band(name, {role: role for role in played}, scale)
        except GeoSegError as error:
            raise ValueError(f"{error.message} {tr('Name the band in ROLES, as red = layer@3.')}") from error
        if guess.rivals:
            raise ValueError(
                tr(
                    "{}: bands of several layers fit {} ({}). Name the band in ROLES, as red = layer@3."
                ).format(
                    name, ", ".join(open_roles), "; ".join([_layers_of(guess.bands, layers), *guess.rivals])
                )
            )
        if guess.bands:
            played_by = [f"{role} = {item.name} ({item.reason})" for role, item in guess.bands.items()]
            notes.append(f"{name}: {', '.join(played_by)}.")
        inputs = [
            Input(variable, played[role].layer_id, played[role].index, played[role].name)
            for variable, role in band.inputs.items()
        ]
        found.append(index_addition(band.name, str(band.parameters["expression"]), inputs))
    return tuple(found), tuple(notes)


def _layers_of(bands: Mapping[str, GuessedBand], layers: Sequence[LayerBands]) -> str:
    titles = {layer.layer_id: layer.title for layer in layers}
    return ", ".join(dict.fromkeys(titles[item.input.layer_id] for item in bands.values()))


def given_roles(text: str, rasters: Sequence[RasterInput]) -> dict[str, Input]:
    """Return which band is blue, green, … as a text states.

    Args:
        text: as `red = optical@3; nir = optical@4`.
        rasters: whose bands can be named.

    Raises:
        ValueError: for a role or band that there is not.
    """
    found = {}
    for part in entries(text):
        role, _, wanted = (item.strip().strip('"') for item in part.partition("="))
        if role not in ROLES:
            raise ValueError(tr("ROLES: '{}' is none of {}.").format(role, ", ".join(ROLES)))
        found[role] = referred(wanted, "", rasters, (), "ROLES")
    return found


def referred(
    text: str, variable: str, rasters: Sequence[RasterInput], added: Sequence[str], key: str
) -> Input:
    """Return the band that a reference means.

    Args:
        text: as `layer@2`, or the name of a band.
        variable: of the expression.
        rasters: whose bands can be named.
        added: names of bands that are added otherwise.
        key: of the parameter that names the band.

    Raises:
        ValueError: with the bands that there are; `key` is the parameter that names it.
    """
    if text in added:
        return Input(variable, name=text)
    for raster in rasters:
        for index in range(1, len(raster.band_names) + 1):
            names = {f"{raster.name}@{index}", band_name(raster, index), raster.band_names[index - 1]}
            if text in names - {""}:
                return Input(variable, raster.layer_id, index)
    known = [f'"{item.name}@1"' for item in rasters] + [f'"{name}"' for name in added]
    raise ValueError(
        tr("{}: no band is called '{}'. There are for example: {}.").format(key, text, ", ".join(known))
    )
