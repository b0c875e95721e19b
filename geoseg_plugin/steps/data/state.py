"""What is shown of the choices of the Data page. No Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from ...contract import DRAWN_GROUP, Labels, params_of
from ...forms.fields import grouped
from ...jobs.choices import DataChoices
from ...panel.texts import tr

DRAWN_FIELDS = tuple(name for name in grouped(Labels) if params_of(Labels)[name].group == DRAWN_GROUP)
"""Settings of points and lines, below the label layer."""
LABEL_FIELDS = grouped(Labels, *DRAWN_FIELDS)
"""Settings of the labels in the group of options."""


@dataclass(frozen=True)
class RasterRow:
    """A raster layer as the band tree shows it.

    Attributes:
        layer_id, name: of the layer.
        band_names: of its bands with values, from band 1.
        facts: shown beside the name.
        details: shown in the tooltip.
        tick: whether it is ticked at first.
        dem: whether it looks like a DEM.
        problem: why it cannot be ticked; empty if it can.
        also: ids of further layers that make one mosaic with it.
        result: whether GeoSeg made it, so that it is listed apart.
    """

    layer_id: str
    name: str
    band_names: tuple[str, ...]
    facts: str = ""
    details: str = ""
    tick: bool = False
    dem: bool = False
    problem: str = ""
    also: tuple[str, ...] = ()
    result: bool = False


def unlabelled_note(choices: DataChoices) -> str:
    """Return what follows from the choice for unlabelled pixels."""
    if choices.sampled and choices.unlabelled == "unknown" and choices.class_field:
        return tr("Points and lines are samples: only the pixels that they label are used.")
    if choices.risks_false_background:
        return tr(
            "⚠ Every pixel of the rasters without a polygon will be labelled background. Is every object mapped, "
            "everywhere? If not, limit the area or choose Unlabelled."
        )
    if choices.unlabelled == "unknown" and not choices.class_field:
        return tr("⚠ With one class and no background there is no second class to distinguish it from.")
    if choices.unlabelled == "unknown":
        return tr("For sample polygons: only labelled pixels are used.")
    return tr("For complete maps: every object inside the area is mapped. Background is a class of its own.")


def mosaic_rows(rows: Sequence[RasterRow], mosaics: Sequence[tuple[str, ...]]) -> list[RasterRow]:
    """Return the rows with those of a mosaic as one, in the place of its first layer.

    Args:
        rows: of the raster layers.
        mosaics: ids of the layers of each mosaic.
    """
    known = {row.layer_id: row for row in rows}
    also: dict[str, tuple[str, ...]] = {}
    for first, *rest in mosaics:
        members = tuple(item for item in rest if item in known)
        if first in known and members:
            also[first] = members
    hidden = {item for members in also.values() for item in members}
    return [
        dataclasses.replace(
            row,
            name=tr("{} and {} more").format(row.name, len(also[row.layer_id])),
            facts=tr("mosaic"),
            details="\n".join([row.details, *(known[item].name for item in also[row.layer_id])]),
            also=also[row.layer_id],
        )
        if row.layer_id in also
        else row
        for row in rows
        if row.layer_id not in hidden
    ]
