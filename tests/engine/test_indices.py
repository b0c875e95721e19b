"""Spectral indices by name."""

import numpy as np
import pytest

from geoseg_engine.bands.expressions import parsed
from geoseg_engine.contract import INDICES, ROLES, GeoSegError, index_band

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
