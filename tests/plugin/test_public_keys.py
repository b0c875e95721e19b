"""Keys that others rely on change only on purpose: with `GEOSEG_WRITE_KEYS=1` the test writes the file anew.

A key may be added. One that is taken away or renamed breaks somebody's model, script, job folder or project: it needs a
former name (`Param.was`) or a reason in CHANGELOG.md.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from docked import Desk

from geoseg_plugin.contract import (
    EVENT_FIELDS,
    JOBS,
    Area,
    Band,
    Cleaning,
    GridRequest,
    LabelClass,
    Labels,
    Outlines,
    Series,
    Source,
    former_names,
)
from geoseg_plugin.processing.provider import GeoSegProvider

KEYS = Path(__file__).with_name("public_keys.json")
PARTS = (Area, Band, Cleaning, GridRequest, LabelClass, Labels, Outlines, Series, Source)


def algorithm_keys(provider: GeoSegProvider) -> dict[str, Any]:
    return {
        item.id(): {
            "parameters": {
                parameter.name(): list(parameter.options())
                if hasattr(parameter, "options")
                else parameter.type()
                for parameter in item.parameterDefinitions()
            },
            "outputs": sorted(output.name() for output in item.outputDefinitions()),
        }
        for item in provider.algorithms()
    }


def fields(cls: type) -> list[str]:
    return [*(item.name for item in dataclasses.fields(cls)), *former_names(cls)]


@pytest.fixture
def keys(desk: Desk, provider: GeoSegProvider) -> dict[str, Any]:
    return {
        "algorithms": algorithm_keys(provider),
        "jobs": {kind: fields(job) for kind, job in JOBS.items()},
        "parts of jobs": {cls.__name__: fields(cls) for cls in PARTS},
        "events": {name: sorted(of) for name, of in EVENT_FIELDS.items()},
        "pages": {name: sorted(page.values()) for name, page in desk.dock.pages.items()},
    }


def missing(before: Any, now: Any, place: str = "") -> list[str]:
    """Keys of `before` that `now` lacks, and lists of options whose order changed."""
    if isinstance(before, dict):
        return [
            text
            for key, value in before.items()
            for text in (missing(value, now[key], f"{place} / {key}") if key in now else [f"{place} / {key}"])
        ]
    if isinstance(before, list):
        return [f"{place} / {item}" for item in before if item not in now]
    return [] if before == now else [f"{place}: {before} is {now}"]


def test_no_public_key_is_lost(keys: dict[str, Any]) -> None:
    if os.environ.get("GEOSEG_WRITE_KEYS"):
        KEYS.write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(KEYS.read_text(encoding="utf-8"))
    assert missing(kept, json.loads(json.dumps(keys))) == []


def test_options_keep_their_numbers(keys: dict[str, Any]) -> None:
    kept = json.loads(KEYS.read_text(encoding="utf-8"))["algorithms"]
    for name, algorithm in kept.items():
        for parameter, options in algorithm["parameters"].items():
            if isinstance(options, list):
                assert keys["algorithms"][name]["parameters"][parameter][: len(options)] == options, parameter
