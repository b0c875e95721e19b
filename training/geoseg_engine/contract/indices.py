"""Spectral indices by name: formula and the bands they need.

A table of our own, not a library's: the panel lists indices where only the standard library is there.
Any other index can be written as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .bandroles import ROLES
from .data import EXPRESSION, Band
from .errors import GeoSegError


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
