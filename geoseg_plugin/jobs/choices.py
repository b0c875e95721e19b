"""What the user chose on a page, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .additions import Addition


@dataclass(frozen=True)
class RasterChoice:
    """What is used of a raster layer, or of several that are one mosaic.

    Attributes:
        layer_id: of the layer; of a mosaic that of its first layer.
        bands: used bands, from 1; none if only added bands use the raster.
        terrain: terrain attributes to derive.
        also: ids of the other layers of a mosaic.
        height_unit: unit of its heights; empty as the file states.
    """

    layer_id: str
    bands: tuple[int, ...]
    terrain: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    height_unit: str = ""

    @property
    def layer_ids(self) -> tuple[str, ...]:
        """Return the ids of all its layers."""
        return (self.layer_id, *self.also)


@dataclass(frozen=True)
class LabelEdits:
    """What the user made of the classes: value -> value it counts as, values left out."""

    same_as: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoreLabels:
    """A further label layer; without `class_field` it is one class, called like the layer."""

    layer_id: str
    class_field: str = ""


@dataclass(frozen=True)
class DataChoices:
    """The Data page. Empty texts and None mean: follow the reference layer.

    `sampled` is whether points or lines are among the labels.
    """

    name: str = ""
    rasters: tuple[RasterChoice, ...] = ()
    label_layer_id: str = ""
    class_field: str = ""
    area_kind: str = "concave_hull"
    area_layer_id: str = ""
    area_ratio: float = 0.3
    unlabelled: str = "background"
    crs: str = ""
    pixel_size: float | None = None
    reference_layer_id: str = ""
    write_stack: bool = True
    additions: tuple[Addition, ...] = ()
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    mosaics: tuple[tuple[str, ...], ...] = ()
    edits: LabelEdits = LabelEdits()
    more_labels: tuple[MoreLabels, ...] = ()
    border_px: int = 0
    all_touched: bool = False
    min_area_px: int = 0
    selected_only: bool = False
    point_radius: float = 0.0
    line_width: float = 0.0
    size_unit: str = "px"
    sampled: bool = False

    @property
    def mosaic_layers(self) -> dict[str, tuple[str, ...]]:
        """Return id of the first layer of each mosaic -> ids of its other layers."""
        return {item[0]: item[1:] for item in self.mosaics}

    @property
    def band_count(self) -> int:
        """Bands of the stack that would result."""
        ticked = sum(len(raster.bands) + len(raster.terrain) for raster in self.rasters)
        return ticked + sum(len(addition.bands) for addition in self.additions)

    @property
    def risks_false_background(self) -> bool:
        """Whether pixels that were never labelled would be trained as background."""
        return self.unlabelled == "background" and self.area_kind == "rasters" and bool(self.label_layer_id)


@dataclass(frozen=True)
class PredictChoices:
    """The Predict page.

    Attributes:
        model: file of the model.
        slots: the model's source keys -> layer ids, or files.
        bindings: source key -> band at training -> band of the layer, where the numbers differ.
        channels: of a third-party model, layer id and band of each channel.
        place: of `place_names`; with the layer of polygons, or the rectangle and its CRS.
        outputs: what is written besides the classes, by fields of the job.
        settings: further fields of the job.
    """

    model: str = ""
    slots: dict[str, str] = field(default_factory=dict)
    bindings: dict[str, dict[int, int]] = field(default_factory=dict)
    channels: tuple[tuple[str, int], ...] = ()
    place: str = "whole"
    area_layer_id: str = ""
    rectangle: tuple[float, float, float, float] | None = None
    rectangle_crs: str = ""
    outputs: tuple[str, ...] = ("polygons", "confidence")
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedPath:
    """An entry of a list of runs, models or evaluations."""

    title: str
    path: str
    note: str = ""
