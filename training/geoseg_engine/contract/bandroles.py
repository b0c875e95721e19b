"""Which band is blue, red, near infrared …: guessed only where wavelength or name leaves no doubt.

A wavelength that the file states comes first, then a name that says the colour, then the number of a band of a known
sensor. A number alone says nothing: band 4 is red on Sentinel-2 and Landsat 8 and near infrared on Landsat 5.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ROLES = ("blue", "green", "red", "red_edge", "nir", "swir1", "swir2")
"""Parts of the spectrum that formulae name."""


@dataclass(frozen=True)
class RoleGuess:
    """The band that plays a role.

    Attributes:
        place: of the band in the list that was given, from 0.
        reason: why it is taken for that, e.g. `by wavelength 842 nm`, `by name`, `band 4 of Landsat 5`.
    """

    place: int
    reason: str


_CENTRES_NM = {
    "blue": (485, 25),
    "green": (560, 35),
    "red": (660, 35),
    "red_edge": (710, 25),
    "nir": (845, 60),
    "swir1": (1610, 80),
    "swir2": (2190, 120),
}
"""Central wavelength, and how far that of a band may be from it."""
_NAMES = {
    "red_edge": r"red ?edge(?: ?(?:0?1|071))?|re ?0?1",
    "nir": r"n(?:ear ?)?i(?:nfra ?)?r(?:ed)?(?: ?(?:0?1|08))?|broad nir|nir broad",
    "swir1": r"(?:swir|short ?wave infra ?red) ?(?:0?1|16)",
    "swir2": r"(?:swir|short ?wave infra ?red) ?(?:0?2|22)",
    "blue": r"blue",
    "green": r"green",
    "red": r"red",
}
"""What a band is called, in lower case, words apart by one space."""
_BESIDES = re.compile(
    r"b|band|bd|ch|channel|layer|ms|multispectral|spectral|sr|toa|boa|surface|reflectance|refl|radiance|dn|days?|"
    r"median|mean|min|max|minimum|maximum|composite|mosaic|sentinel|landsat|oli|tm|etm|planet|planetscope|rapideye|"
    r"worldview|naip|spot|pleiades|modis|viirs|enmap|prisma|sequoia|micasense|nm|um|[a-z]{0,2}\d[a-z0-9.]*"
)
"""Words that may stand beside a colour in the name of a band without making it another thing."""
_MORE_SWIR = re.compile(r"\bswir ?0?[3-8]\b")
"""Sensors with so many bands there number them otherwise: SWIR 1 of WorldView-3 lies at 1210 nm."""

_SENTINEL_2 = {
    "blue": "2", "green": "3", "red": "4", "red_edge": "5", "nir": "8", "swir1": "11", "swir2": "12",
}  # fmt: skip
_LANDSAT_8 = {"blue": "2", "green": "3", "red": "4", "nir": "5", "swir1": "6", "swir2": "7"}
_LANDSAT_5 = {"blue": "1", "green": "2", "red": "3", "nir": "4", "swir1": "5", "swir2": "7"}
_MODIS = {"blue": "3", "green": "4", "red": "1", "nir": "2", "swir1": "6", "swir2": "7"}
_VIIRS = {"blue": "m3", "green": "m4", "red": "i1", "nir": "i2", "swir1": "i3", "swir2": "m11"}
_VIIRS_COARSE = {"blue": "m3", "green": "m4", "red": "m5", "nir": "m7", "swir1": "m10", "swir2": "m11"}
_SENSORS = {
    "Sentinel-2": (
        r"sentinel[ _-]?2|msil[12][abc]|hls[._]s30|(?<![a-z0-9])(?:s2[abc]?(?![a-z0-9])|t\d{2}[a-z]{3}_\d{8}t\d{6})",
        _SENTINEL_2,
    ),
    "Landsat 8/9": (r"landsat[ _-]?[89]|(?<![a-z0-9])l[cot]0?[89](?=[_\d])|hls[._]l30", _LANDSAT_8),
    "Landsat 4–7": (r"landsat[ _-]?[4-7](?!\d)|(?<![a-z0-9])l[tem]0?[457](?=[_\d])", _LANDSAT_5),
    "MODIS": (r"modis|(?<![a-z0-9])m[ocy]d(?:09|13|43)", _MODIS),
    "VIIRS": (r"viirs|(?<![a-z0-9])v(?:np|j1|j2)(?:09|13|43)", _VIIRS),
}
"""Sensors whose bands are called by number: how file or layer tell which it is, and role -> number."""
_TELLING_NAMES = {
    "Sentinel-2": r"(?<![a-z0-9])b0?8a(?![a-z0-9])",
    "Landsat 8/9": r"sr_b6|st_b10",
    "Landsat 4–7": r"st_b6",
    "MODIS": r"sur_refl_b0?[1-7]|nadir_reflectance_band[1-7]",
    "VIIRS": r"(?:surfreflect|nadir_reflectance)_[im]\d",
}
"""Names of bands that only one of them has."""
_NUMBER = r"(?<![a-z0-9])(?:b(?:and)?[ _]?0?(\d{1,2}a?)|([im]\d{1,2}))(?![a-z0-9])"


def guess_roles(
    names: Sequence[str], wavelengths_nm: Sequence[float | None] = (), sensor: str = ""
) -> dict[str, RoleGuess]:
    """Guess which bands of one image are blue, green, …

    Args:
        names: of its bands, e.g. `SR_B5`, `nir`, `Red edge 1`, `B8 (842 nm)`; of `layer: band` the band counts.
        wavelengths_nm: central wavelength of each, where the file states it; empty where it states none.
        sensor: texts that may name the sensor: layer, file, metadata.

    Returns:
        Role -> band; roles that no band plays for certain, or two bands equally well, are left out.
    """
    stated = wavelengths_nm or [None] * len(names)
    waves = [_wavelength_in(name) if wave is None else wave for name, wave in zip(names, stated, strict=True)]
    roles: dict[str, RoleGuess] = {}
    for guess in (_by_wavelength(waves), _by_name(names, waves), _by_number(names, sensor)):
        used = {item.place for item in roles.values()}
        roles |= {role: item for role, item in guess.items() if role not in roles and item.place not in used}
    return {role: roles[role] for role in ROLES if role in roles}


def _wavelength_in(name: str) -> float | None:
    """Nanometres that a name states with their unit."""
    found = re.search(r"(\d+(?:\.\d+)?)\s*(nm|µm|μm|um|micrometers?|nanometers?)\b", name, re.IGNORECASE)
    if not found:
        return None
    return float(found[1]) * (1.0 if found[2].lower().startswith("n") else 1000.0)


def _by_wavelength(waves: Sequence[float | None]) -> dict[str, RoleGuess]:
    """Of each role the band nearest to its centre; a band plays one role only, and of two equally near ones none."""
    found: dict[str, dict[int, float]] = {}
    for place, wave in enumerate(waves):
        if wave is not None:
            distance, role = min((abs(wave - centre), role) for role, (centre, _) in _CENTRES_NM.items())
            if distance <= _CENTRES_NM[role][1]:
                found.setdefault(role, {})[place] = distance
    roles = {}
    for role, off in found.items():
        best = [place for place, distance in off.items() if distance == min(off.values())]
        if len(best) == 1:
            roles[role] = RoleGuess(best[0], f"by wavelength {waves[best[0]]:.4g} nm")
    return roles


def _by_name(names: Sequence[str], waves: Sequence[float | None]) -> dict[str, RoleGuess]:
    """Bands whose name is that of a role; of a band with a known wavelength the name does not count.

    Of `nir` and `nir08` it is the one without a number; otherwise two bands of one name leave the role open.
    """
    many = any(_MORE_SWIR.search(_plain(name)) for name in names)
    claims: dict[str, list[tuple[int, str]]] = {}
    for place, name in enumerate(names):
        role, called = _named_role(_plain(name)) if waves[place] is None else ("", "")
        if role and not (many and role.startswith("swir")):
            claims.setdefault(role, []).append((place, called))
    roles = {}
    for role, found in claims.items():
        unnumbered = [item for item in found if not re.search(r"\d", item[1])]
        best = found if len(found) == 1 else unnumbered
        if len(best) == 1:
            roles[role] = RoleGuess(best[0][0], "by name")
    return roles


def _plain(name: str) -> str:
    """The band's own part of a name, in lower case, its words apart by one space."""
    return re.sub(r"[^a-z0-9.]+", " ", name.rpartition(": ")[2].casefold()).strip()


def _named_role(text: str) -> tuple[str, str]:
    """The role that a name says, and by which words; empty if a word beside them may change what they mean."""
    for role, pattern in _NAMES.items():
        match = re.search(rf"(?<![^ ])(?:{pattern})(?![^ ])", text)
        if match:
            after = text[match.end() :].split()
            words = [
                word for word in [*text[: match.start()].split(), *after] if not re.fullmatch(pattern, word)
            ]
            second = bool(after) and role in ("red_edge", "nir") and bool(re.fullmatch("0?[2-9]", after[0]))
            plain = all(_BESIDES.fullmatch(word) for word in words) and all(
                _fits(role, word) for word in words
            )
            return (role, match.group()) if plain and not second else ("", "")
    return "", ""


def _fits(role: str, word: str) -> bool:
    """Whether a word is no wavelength, written without its unit, that the role cannot have."""
    centre, reach = _CENTRES_NM[role]
    return not re.fullmatch(r"[4-9]\d\d", word) or abs(float(word) - centre) <= reach


def _by_number(names: Sequence[str], sensor: str) -> dict[str, RoleGuess]:
    """Bands by their number, where file, layer or the names of the bands say which sensor it is."""
    text = "\n".join(names).casefold()
    text_of_file = f"{sensor}\n{text}".casefold()
    known = [
        title
        for title, (pattern, _) in _SENSORS.items()
        if re.search(pattern, text_of_file) or re.search(_TELLING_NAMES[title], text)
    ]
    if len(known) != 1:
        return {}
    numbers: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        own = name.rpartition(": ")[2].casefold()
        found = re.search(_NUMBER, re.sub(r"[^a-z0-9]", " ", own))
        if found and not re.fullmatch(r"band ?\d+", own):  # so QGIS numbers the bands of any file
            numbers.setdefault(found[1] or found[2], []).append(place)
    table = dict(_SENSORS[known[0]][1])
    if known[0] == "Sentinel-2" and "8" not in numbers:
        table["nir"] = "8a"
    if known[0] == "VIIRS" and not numbers.keys() & {"i1", "i2"}:
        table = _VIIRS_COARSE
    return {
        role: RoleGuess(numbers[number][0], f"band {number.upper()} of {known[0]}")
        for role, number in table.items()
        if len(numbers.get(number, ())) == 1
    }
