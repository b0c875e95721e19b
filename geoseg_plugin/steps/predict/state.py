"""What is chosen on the Predict page as fields of the job, and the titles of its groups. No Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...contract import Cleaning, Outlines, PredictJob, Problem, params_of
from ...forms.fields import grouped, stored_fields
from ...jobs.predict import FILES
from ...panel.texts import tr

OF_POLYGONS = ("min_area_px",)
"""Settings of the job that belong to the group of polygons."""
QUALITY_FIELDS = [*grouped(PredictJob, "device", *OF_POLYGONS), "device"]
CLEANING_FIELDS, OUTLINE_FIELDS = grouped(Cleaning), grouped(Outlines)
MAIN_LAYERS = ("polygons", "confidence")
"""Layers that are offered above the groups."""
MORE_LAYERS = tuple(name for name in params_of(PredictJob) if name in FILES and name not in MAIN_LAYERS)


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the groups of options as fields of the job.

    Args:
        values: of the page, by the keys of its rows.
    """
    outlines = Outlines(**stored_fields(Outlines, OUTLINE_FIELDS, values))
    if outlines.smooth:
        outlines = dataclasses.replace(outlines, right_angles=False)
    return {
        **stored_fields(PredictJob, (*QUALITY_FIELDS, *OF_POLYGONS), values),
        "cleaning": Cleaning(**stored_fields(Cleaning, CLEANING_FIELDS, values)),
        "outlines": outlines,
    }


def setting_problems(settings: Mapping[str, Any]) -> list[Problem]:
    """List what is wrong with the fields of `settings_of`."""
    return PredictJob("model.onnx", **settings).problems()


def place_names() -> dict[str, str]:
    """Return where to predict, in the order of the list."""
    return {
        "whole": tr("All that the layers share"),
        "map": tr("Current map extent"),
        "polygons": tr("Inside polygons of a layer"),
        "rectangle": tr("A rectangle that I draw or enter"),
    }


def layers_title(names: list[str]) -> str:
    """Return the title of the group of layers: those that are written."""
    return tr("More layers: {}").format(short_list(names))


def cleaning_title(cleaning: Cleaning) -> str:
    """Return the title of the group of post-processing: the steps that are set."""
    params = params_of(Cleaning)
    chosen = [tr(params[name].title).lower() for name in CLEANING_FIELDS if is_step(cleaning, name)]
    return tr("Post-processing: {}").format(short_list(chosen))


def short_list(names: list[str]) -> str:
    """Return names as text that fits a title: the only one, or how many there are."""
    if len(names) > 1:
        return tr("{} chosen").format(len(names))
    return names[0] if names else tr("none")


def is_step(cleaning: Cleaning, name: str) -> bool:
    """Return whether a field is a step of post-processing that is set."""
    return Cleaning(**{name: getattr(cleaning, name)}).anything


def outlines_title(outlines: Outlines) -> str:
    """Return the title of the group of polygons: how their boundaries are drawn."""
    chosen = [tr("{:g} m").format(outlines.simplify_m)] if outlines.simplify_m else []
    chosen += [tr("smooth")] if outlines.smooth else []
    chosen += [tr("orthogonal")] if outlines.right_angles else []
    return tr("Polygon boundaries: {}").format(", ".join(chosen) or tr("pixel edges"))


def quality_title(predictions: int, precision: str) -> str:
    """Return the title of the group of quality and speed: predictions per pixel, and int8."""
    chosen = [tr("{} predictions").format(predictions) if predictions > 1 else tr("one prediction")]
    chosen += ["int8"] if precision == "int8" else []
    return tr("Quality, speed: {}").format(", ".join(chosen))
