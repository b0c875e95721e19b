"""Every real case from files to tiles, with the facts that its provider states."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "studies"))

from preparation_cases import cases  # noqa: E402
from prepare_cases import prepared  # noqa: E402

FACTS: dict[str, dict[str, Any]] = {
    "orthoseg_fields": {
        "size": (1500, None),
        "counts": {"1": 17_052},
        "findings": {"no_geometry", "labels_outside"},
    },
    "everest_glacier": {"size": (800, 655), "counts": {"0": 241_198, "1": 282_802}},
    "rstoolbox_landcover_dem/lsat": {
        "size": (287, 310),
        "classes": ["cleared", "fallen_dry", "forest", "water"],
    },
    "rstoolbox_landcover_dem/sen2": {"size": (247, 237), "classes": ["dryout", "forest", "village", "water"]},
    "deepness_models": {"size": (1243, 841), "findings": {"labels_incomplete"}},
    "eolearn_timeseries_lulc": {
        "size": (100, 101),
        "counts": {"0": 11, "1": 7_601, "2": 1_777, "3": 358, "4": 198},
        "findings": {"rare_class"},
        "agreement": "all 10100 px",
    },
    "chiapas_landsat": {
        "size": (250, 250),
        "counts": {"1": 16},
        "labelled": 718,
        "findings": {"rare_class"},
        "agreement": "all 62500 px",
    },
    "opengeos_dem_buildings": {"counts": {"1": 6_298}, "findings": {"hull_only"}},
    "runopt_debrisflow_dem": {"size": (547, 238), "counts": {"1": 14_432}},
    "oggm_glaciers/baltoro": {"size": (860, 430), "counts": {"1": 79_229}},
    "oggm_glaciers/chhota_shigri_local_tm": {"size": (258, 239)},
    "oggm_glaciers/columbia_local_tm": {"size": (639, 590), "counts": {"1": 93_534}},
    "oggm_glaciers/greenland_local_tm": {"size": (245, 302)},
    "oggm_glaciers/oetztal": {"counts": {"1": 14_911}, "findings": {"hull_only", "invalid_geometry"}},
    "oggm_glaciers/south_glacier": {"size": (248, 300)},
    "enmap_potsdam_specdeepmap": {
        "bands": 218,
        "classes": ["1", "2", "3", "4", "5", "6"],
        "findings": {"rare_class"},
        "agreement": "all 30720 px",
    },
    "orthoseg_vectorize_reference": {"size": (4096, 4096), "agreement": "99.9557% of 16777216 px"},
}
"""Case -> what is known of it: from the README of its folder, or counted once and looked at."""


@pytest.mark.parametrize("name", FACTS)
def test_the_case_is_prepared(tmp_path, data, name):
    case = next(item for item in cases(data) if item.name == name)
    done = prepared(case, tmp_path)
    assert done.failed == ""
    facts = FACTS[name]
    grid = done.results["stack"]["grid"]
    width, height = facts.get("size", (None, None))
    assert width in (None, grid["width"]) and height in (None, grid["height"])
    assert len(case.bands) == facts.get("bands", len(case.bands))
    burnt = done.results["rasterize"]
    wanted = facts.get("counts", {})
    assert {key: burnt["counts"][key] for key in wanted} == wanted
    assert sum(burnt["counts"].values()) == facts.get("labelled", sum(burnt["counts"].values()))
    names = [item["name"] for item in burnt["classes"]]
    assert names == facts.get("classes", names)
    assert facts.get("agreement", "") in done.agreement
    assert facts.get("findings", set()) <= {item["code"] for item in done.results["check"]["problems"]}
    split = done.results["tile"]["counts"]
    assert all(sum(split[part].values()) > 0 for part in ("train", "validation", "test"))


def test_no_case_is_forgotten(data):
    assert [case.name for case in cases(data)] == list(FACTS)
