"""Spectral indices by name, and which band plays which part."""

import numpy as np
import pytest

from geoseg_engine.bands.expressions import parsed
from geoseg_engine.contract import INDICES, ROLES, GeoSegError, guess_roles, index_band

SPECTRUM = {
    "blue": 0.05,
    "green": 0.08,
    "red": 0.06,
    "red_edge": 0.2,
    "nir": 0.4,
    "swir1": 0.25,
    "swir2": 0.1,
}


@pytest.mark.parametrize("name", INDICES)
def test_every_formula_is_an_expression_of_its_roles(name):
    index = INDICES[name]
    arrays = {role: np.full(3, SPECTRUM[role], np.float32) for role in ROLES}
    expression = parsed(index.formula)
    assert set(expression.variables) == set(index.roles)
    assert np.isfinite(expression.evaluate(arrays)).all() and index.source


@pytest.mark.parametrize(
    ("name", "value"),
    [("NDVI", 0.34 / 0.46), ("NDWI", -0.32 / 0.48), ("savi", 1.5 * 0.34 / 0.96), ("EVI", 2.5 * 0.34 / 1.385)],
)
def test_band_of_an_index(name, value):
    band = index_band(name, {role: f"band {role}" for role in ROLES}, scale=0.0001)
    arrays = {role: np.full(1, SPECTRUM[role] * 10000, np.float32) for role in band.inputs}
    text = str(band.parameters["expression"])
    assert parsed(text).evaluate(arrays)[0] == pytest.approx(value, rel=1e-5)
    assert band.inputs["nir"] == "band nir" and band.derive == "expression"


def test_what_is_missing_is_named():
    with pytest.raises(GeoSegError, match="no band is red") as caught:
        index_band("NDVI", {"nir": "b8"})
    assert caught.value.code == "missing_roles"
    with pytest.raises(GeoSegError, match="'NOPE'"):
        index_band("NOPE", {})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["B02", "B03", "B04", "B08"], ["B02", "B03", "B04", None, "B08", None, None]),
        (
            [f"S2 B{part}" for part in ("2", "3", "4", "5", "8A", "11", "12")],
            ["S2 B2", "S2 B3", "S2 B4", "S2 B5", "S2 B8A", "S2 B11", "S2 B12"],
        ),
        (
            [f"SR_B{part}" for part in range(1, 8)],
            ["SR_B2", "SR_B3", "SR_B4", None, "SR_B5", "SR_B6", "SR_B7"],
        ),
        (["B1", "B2", "B3", "B4", "B5", "B7"], ["B1", "B2", "B3", None, "B4", "B5", "B7"]),
        (
            ["Blue", "Green", "Red", "Red edge 1", "NIR", "swir16", "SWIR 2"],
            ["Blue", "Green", "Red", "Red edge 1", "NIR", "swir16", "SWIR 2"],
        ),
        (
            ["a (490 nm)", "b (0.56 µm)", "c (665 nm)", "d (842 nm)", "e (783 nm)", "f (1610 nm)"],
            ["a (490 nm)", "b (0.56 µm)", "c (665 nm)", None, "d (842 nm)", "f (1610 nm)", None],
        ),
        (["Band 1", "Band 2", "Band 3", "Band 4"], [None] * 7),
        (["height", "slope"], [None] * 7),
    ],
)
def test_roles_are_guessed_from_names(names, expected):
    assert guess_roles(names) == {
        role: name for role, name in zip(ROLES, expected, strict=True) if name is not None
    }


def test_wavelengths_that_are_given_count():
    assert guess_roles(["x", "y"], {"x": 660, "y": 840}) == {"red": "x", "nir": "y"}
