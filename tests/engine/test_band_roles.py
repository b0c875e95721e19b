"""Which band is red, near infrared …: known by wavelength, name or the number of a known sensor, else left open."""

import re

import pytest

from geoseg_engine.contract import ROLES, guess_roles


def roles(names, sensor="", waves=()):
    """Role -> name of the band."""
    return {role: names[guess.place] for role, guess in guess_roles(names, waves, sensor).items()}


def numbered(pattern, *numbers):
    return [pattern.format(number) for number in numbers]


TM = numbered("SR_B{}", 1, 2, 3, 4, 5, 7)
OLI = numbered("SR_B{}", 2, 3, 4, 5, 6, 7)
AS_OLI = {"blue": 2, "green": 3, "red": 4, "nir": 5, "swir1": 6, "swir2": 7}
TILE = "T32UVR_20200624T103031_B08_10m"
BY_NUMBER = {
    "Landsat 5": (TM, "LT05_L2SP_0150", {"blue": 1, "green": 2, "red": 3, "nir": 4, "swir1": 5, "swir2": 7}),
    "Landsat 7, old name": (["B3", "B4"], "LE71400412000304SGS00", {"red": 3, "nir": 4}),
    "Landsat 8": (OLI, "LC08_L2SP_193", AS_OLI),
    "Landsat 9, metadata": (["SR_B4", "SR_B5"], "LANDSAT_9", {"red": 4, "nir": 5}),
    "Landsat 8 by SR_B6": (OLI, "", AS_OLI),
    "Landsat, which is open": (TM, "stack", {}),
    "Sentinel-2": (["B02", "B04", "B08"], "S2B_MSIL2A_2020", {"blue": 2, "red": 4, "nir": 8}),
    "Sentinel-2 by B8A": (["B4", "B5", "B8A"], "", {"red": 4, "red_edge": 5, "nir": "8A"}),
    "Sentinel-2, both near infrared": (["B4", "B8", "B8A"], "", {"red": 4, "nir": 8}),
    "HLS of Landsat": (["B04", "B05"], "HLS.L30.T17SNU", {"red": 4, "nir": 5}),
    "one file a band": ([TILE], "", {"nir": 8}),
    "B04 of nobody knows what": (["B02", "B03", "B04", "B08"], "mosaic", {}),
    "b4 of a Landsat 5 stack": (numbered("Band {0}: b{0}", 1, 2, 3, 4), "L5TSR_1986", {}),
    "numbers of QGIS": (numbered("Band {}", 1, 2, 3, 4), "LT05_L2SP_015053", {}),
    "two sensors": (["B4", "B8A"], "LC08_L1TP", {}),
    "MODIS": (numbered("sur_refl_b0{}_1", 1, 2, 3), "", {"blue": 3, "red": 1, "nir": 2}),
    "VIIRS": (["SurfReflect_M5_1", "SurfReflect_M7_1"], "", {"red": "M5", "nir": "M7"}),
}


@pytest.mark.parametrize(("names", "sensor", "expected"), BY_NUMBER.values(), ids=BY_NUMBER)
def test_a_number_counts_only_where_the_sensor_is_known(names, sensor, expected):
    found = roles(names, sensor)
    assert found.keys() == expected.keys()
    for role, number in expected.items():
        assert re.search(rf"(?<![0-9])0?{number}(?![0-9A])", found[role].replace("_10m", "")), (
            role,
            found[role],
        )


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *[(name, "red") for name in ("red", "RED", "B4-Red", "Red (b3)", "Band 3: Red", "red 665", "red 2021")],
        *[(name, "nir") for name in ("NIR", "Near Infrared", "near infra-red", "NIR1", "nir08", "NIR (B8)")],
        *[(name, "red_edge") for name in ("Red Edge", "rededge", "RedEdge 1", "red_edge_1", "RE1", "rededge071")],
        *[(name, "swir1") for name in ("SWIR 1", "swir16", "short wave infra-red 1")],
        *[(name, "swir2") for name in ("SWIR-2", "swir22")],
        *[(name, "green") for name in ("green", "Green (560)")],
        *[(name, "") for name in ("infrared", "infra-red", "thermal infrared", "credit", "predicted", "Redwood")],
        *[(name, "") for name in ("coastal_blue", "green_i", "Greenland", "green space", "red soil", "red std")],
        *[(name, "") for name in ("red mask", "nir/red", "NDVI red nir", "Zugspitze red", "nearest", "R", "Band 4")],
        *[(name, "") for name in ("NIR2", "nir 2", "nir09", "red edge 2", "rededge075", "Red edge 740", "VNIR 1", "")],
    ],
)  # fmt: skip
def test_a_name_counts_only_where_it_says_nothing_else(name, role):
    assert list(roles([name])) == ([role] if role else [])


def test_a_wavelength_comes_first():
    names = [
        "band 1 (490 nm)",
        "b (0.56 µm)",
        "c (665 nm)",
        "d (842 nm)",
        "e (783 nm)",
        "x (1.61 micrometers)",
    ]
    assert roles(names) == {
        "blue": names[0], "green": names[1], "red": names[2], "nir": names[3], "swir1": names[5],
    }  # fmt: skip
    found = guess_roles(["red", "nir", "B4"], [842.0, 664.5, None], "S2A_MSIL2A")
    assert (found["nir"].place, found["red"].place) == (0, 1)
    assert found["red"].reason == "by wavelength 664.5 nm"


def test_hundreds_of_bands_give_the_nearest_one_for_each_role():
    waves = [420 + 6.5 * number for number in range(320)]
    found = guess_roles([f"Band {number + 1}" for number in range(320)], waves)
    assert list(found) == list(ROLES)
    centres = [485, 560, 660, 710, 845, 1610, 2190]
    assert all(
        abs(waves[guess.place] - centre) <= 3.25
        for guess, centre in zip(found.values(), centres, strict=True)
    )


@pytest.mark.parametrize("names", [["red 2019", "red 2021"], ["a (665 nm)", "b (665 nm)"]])
def test_two_bands_that_would_do_leave_the_choice_open(names):
    assert roles(names) == {}


def test_worldviews_short_wave_bands_are_not_those_of_landsat():
    assert roles(numbered("SWIR{}", *range(1, 9))) == {}


def test_reasons_say_how_a_band_was_found():
    assert guess_roles(["red"])["red"].reason == "by name"
    assert guess_roles(["SR_B4"], sensor="LT05_")["nir"].reason == "band 4 of Landsat 4–7"
