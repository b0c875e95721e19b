"""Spectral indices by name: formula, the bands they need, and which bands of a layer those are.

A table of our own, not a library's: the panel lists indices where only the standard library is there.
Any other index can be written as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .data import EXPRESSION, Band
from .errors import GeoSegError

ROLES = ("blue", "green", "red", "red_edge", "nir", "swir1", "swir2")
"""Parts of the spectrum that formulae name."""


@dataclass(frozen=True)
class SpectralIndex:
    """One index.

    Attributes:
        name: short name, unique.
        title: what it shows, in words.
        formula: an expression over ROLES.
        source: who proposed it.
        reflectance: whether the formula has constants that ask for reflectance from 0 to 1; the others are the
            same for any common scale of the bands.
    """

    name: str
    title: str
    formula: str
    source: str
    reflectance: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the formula uses, in the order of ROLES."""
        used = set(re.findall(r"[a-z_][a-z_0-9]*", self.formula))
        return tuple(role for role in ROLES if role in used)


def _difference(name: str, title: str, one: str, other: str, source: str) -> SpectralIndex:
    return SpectralIndex(name, title, f"({one} - {other}) / ({one} + {other})", source)


_TABLE = (
    _difference("NDVI", "green vegetation", "nir", "red", "Rouse et al. 1974"),
    _difference("GNDVI", "chlorophyll in vegetation", "nir", "green", "Gitelson et al. 1996"),
    _difference("NDRE", "chlorophyll, dense crops", "nir", "red_edge", "Barnes et al. 2000"),
    _difference("NDWI", "open water", "green", "nir", "McFeeters 1996"),
    _difference("MNDWI", "open water, less built-up noise", "green", "swir1", "Xu 2006"),
    _difference("NDSI", "snow and ice", "green", "swir1", "Hall et al. 1995"),
    _difference("NDMI", "moisture of vegetation", "nir", "swir1", "Gao 1996; Wilson and Sader 2002"),
    _difference("NBR", "burned ground", "nir", "swir2", "Key and Benson 2006"),
    _difference("NBR2", "burned ground, crop residue", "swir1", "swir2", "Key and Benson 2006"),
    _difference("NDBI", "built-up ground", "swir1", "nir", "Zha et al. 2003"),
    _difference("UI", "urban ground", "swir2", "nir", "Kawamura et al. 1996"),
    _difference("NGRDI", "vegetation from colour images", "green", "red", "Tucker 1979"),
    SpectralIndex(
        "BSI",
        "bare soil",
        "((swir1 + red) - (nir + blue)) / ((swir1 + red) + (nir + blue))",
        "Rikimaru et al. 2002",
    ),
    SpectralIndex(
        "EVI",
        "dense vegetation",
        "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)",
        "Huete et al. 2002",
        True,
    ),
    SpectralIndex(
        "EVI2",
        "dense vegetation without blue",
        "2.5 * (nir - red) / (nir + 2.4 * red + 1)",
        "Jiang et al. 2008",
        True,
    ),
    SpectralIndex("SAVI", "sparse vegetation", "1.5 * (nir - red) / (nir + red + 0.5)", "Huete 1988", True),
    SpectralIndex(
        "OSAVI", "sparse vegetation", "(nir - red) / (nir + red + 0.16)", "Rondeaux et al. 1996", True
    ),
    SpectralIndex(
        "MSAVI",
        "sparse vegetation, no soil factor",
        "0.5 * (2 * nir + 1 - sqrt((2 * nir + 1) ** 2 - 8 * (nir - red)))",
        "Qi et al. 1994",
        True,
    ),
    SpectralIndex(
        "ARVI",
        "vegetation through haze",
        "(nir - (2 * red - blue)) / (nir + (2 * red - blue))",
        "Kaufman and Tanre 1992",
    ),
    SpectralIndex("CIG", "chlorophyll", "nir / green - 1", "Gitelson et al. 2003"),
    SpectralIndex("CIRE", "chlorophyll, dense crops", "nir / red_edge - 1", "Gitelson et al. 2003"),
    SpectralIndex(
        "VARI",
        "vegetation from colour images",
        "(green - red) / (green + red - blue)",
        "Gitelson et al. 2002",
    ),
    SpectralIndex(
        "GLI",
        "green leaves in colour images",
        "(2 * green - red - blue) / (2 * green + red + blue)",
        "Louhaichi et al. 2001",
    ),
    SpectralIndex(
        "AWEInsh",
        "open water, no shadows",
        "4 * (green - swir1) - (0.25 * nir + 2.75 * swir2)",
        "Feyisa et al. 2014",
    ),
    SpectralIndex(
        "AWEIsh",
        "open water among shadows",
        "blue + 2.5 * green - 1.5 * (nir + swir1) - 0.25 * swir2",
        "Feyisa et al. 2014",
    ),
    SpectralIndex(
        "BAI", "fresh burns", "1 / ((0.1 - red) ** 2 + (0.06 - nir) ** 2)", "Chuvieco et al. 2002", True
    ),
    SpectralIndex("IronOxide", "iron oxides", "red / blue", "Segal 1982"),
    SpectralIndex("ClayMinerals", "clay, alunite, carbonate", "swir1 / swir2", "Drury 1987"),
    SpectralIndex("FerrousMinerals", "ferrous minerals", "swir1 / nir", "Segal 1982"),
)
INDICES: dict[str, SpectralIndex] = {index.name: index for index in _TABLE}
"""Every index by its name."""


def index_band(name: str, roles: Mapping[str, str], scale: float = 1.0) -> Band:
    """The index as an expression band named like the index.

    Args:
        name: of INDICES, in any case.
        roles: role -> name of the band of the recipe (or of its intermediates) that plays it.
        scale: factor from the bands' values to reflectance, e.g. 0.0001; used where the index needs reflectance.

    Raises:
        GeoSegError: `unknown_index`; `missing_roles` with the roles that no band plays.
    """
    index = next((item for item in _TABLE if item.name.casefold() == name.casefold()), None)
    if index is None:
        raise GeoSegError(
            "unknown_index", f"The index '{name}' is not known.", f"Choose from: {', '.join(INDICES)}."
        )
    missing = [role for role in index.roles if not roles.get(role)]
    if missing:
        raise GeoSegError(
            "missing_roles",
            f"{index.name} needs {', '.join(index.roles)}; no band is {', '.join(missing)}.",
            "Say which band that is.",
        )
    text = index.formula
    if index.reflectance and scale != 1:
        text = re.sub(rf"\b({'|'.join(index.roles)})\b", rf"({scale!r} * \1)", text)
    inputs = {role: roles[role] for role in index.roles}
    return Band(index.name, derive=EXPRESSION, parameters={"expression": text}, inputs=inputs)


_WORDS = (
    ("red_edge", r"red[ _-]?edge(?:[ _-]?0?1)?|rededge1|re0?1?"),
    ("nir", r"nir(?:08)?|near[ _-]?infra[ _-]?red|broad[ _-]?nir"),
    ("swir1", r"swir[ _-]?(?:0?1|16)"),
    ("swir2", r"swir[ _-]?(?:0?2|22)"),
    ("blue", r"blue"),
    ("green", r"green"),
    ("red", r"red"),
)
_SENTINEL_2 = {
    "blue": "2",
    "green": "3",
    "red": "4",
    "red_edge": "5",
    "nir": "8",
    "swir1": "11",
    "swir2": "12",
}
_LANDSAT_8 = {"blue": "2", "green": "3", "red": "4", "nir": "5", "swir1": "6", "swir2": "7"}
_LANDSAT_5 = {"blue": "1", "green": "2", "red": "3", "nir": "4", "swir1": "5", "swir2": "7"}
_WAVES_NM = {
    "blue": (485, 40),
    "green": (560, 40),
    "red": (660, 35),
    "red_edge": (710, 25),
    "nir": (845, 50),
    "swir1": (1610, 80),
    "swir2": (2190, 120),
}
"""Centre and how far a band's centre may be off."""


def guess_roles(names: Iterable[str], wavelengths_nm: Mapping[str, float] | None = None) -> dict[str, str]:
    """Which band is blue, green, … as far as names and wavelengths tell.

    Args:
        names: of bands, e.g. `B04`, `SR_B5`, `nir`, `Red edge 1`, `B8 (842 nm)`. Mere numbers (`Band 4`) tell nothing.
        wavelengths_nm: name -> central wavelength, where it is known.

    Returns:
        Role -> name; roles that no band plays for certain are left out.
    """
    names = list(names)
    waves = {name: _wavelength(name) for name in names} | dict(wavelengths_nm or {})
    roles: dict[str, str] = {}
    for guess in (_by_wave(names, waves), _by_word(names), _by_number(names)):
        for role, name in guess.items():
            if name not in roles.values():
                roles.setdefault(role, name)
    return {role: roles[role] for role in ROLES if role in roles}


def _wavelength(name: str) -> float | None:
    found = re.search(r"(\d+(?:\.\d+)?)\s*(nm|µm|um|micrometers?|nanometers?)", name, re.IGNORECASE)
    if not found:
        return None
    factor = 1.0 if found[2].lower().startswith("n") else 1000.0
    return float(found[1]) * factor


def _by_wave(names: list[str], waves: Mapping[str, float | None]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for role, (centre, reach) in _WAVES_NM.items():
        off = {name: abs(wave - centre) for name in names if (wave := waves.get(name)) is not None}
        near = [name for name in names if name in off and off[name] <= reach]
        if near:
            roles[role] = min(near, key=off.__getitem__)
    return roles


def _by_word(names: list[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for name in names:
        for role, pattern in _WORDS:
            if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", name.casefold()):
                roles.setdefault(role, name)
                break
    return roles


def _by_number(names: list[str]) -> dict[str, str]:
    numbers: dict[str, str] = {}
    for name in names:
        found = re.search(r"(?<![a-z0-9])b0?(\d{1,2}a?)(?![a-z0-9])", name.casefold())
        if found:
            numbers.setdefault(found[1], name)
    there = set(numbers)
    if there & {"8", "8a", "11", "12"}:
        sensor = _SENTINEL_2 if "8" in there else {**_SENTINEL_2, "nir": "8a"}
    elif "7" in there and "6" in there:
        sensor = _LANDSAT_8
    elif "7" in there and "1" in there:
        sensor = _LANDSAT_5
    else:
        sensor = {role: number for role, number in _LANDSAT_8.items() if role in ("blue", "green", "red")}
    if not {"2", "3", "4"} <= there:
        return {}
    return {role: numbers[number] for role, number in sensor.items() if number in numbers}
