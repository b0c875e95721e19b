"""Features of vector layers as bands: distance, a numeric field, or one band per category."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from qgis.core import (
    Qgis,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
    QgsVectorLayer,
)

from ...contract import Band, Source
from ...jobs.additions import Addition
from ...jobs.listtext import entries
from ...jobs.modelinputs import ModelInput
from ..classes import values_of
from ..exports import LABEL_LAYER
from ..inputs.folder import NOWHERE, InputFolder
from ..inputs.lookup import LayerOf, vector_layer
from ..snapshot import feature_snapshot
from .kind import AdditionSnapshot, BandSource, tr


class VectorFeatures(BandSource):
    """Points, lines or polygons, with their unsaved edits; the engine reads a written copy."""

    kind = "vector"
    filled_by = "vector layer"

    def snapshot(self, addition: Addition, layer_of: LayerOf) -> AdditionSnapshot:
        layer = vector_layer(layer_of, addition.layer_id)
        named = dataclasses.replace(addition, layer=LABEL_LAYER, source_name=layer.name())
        return AdditionSnapshot(named, feature_snapshot(layer, NOWHERE, addition.fields))

    def replacement(self, wanted: ModelInput, chosen: str, layer_of: LayerOf, folder: InputFolder) -> Source:
        layer, key = vector_layer(layer_of, chosen), wanted.source.key
        path = folder.add(feature_snapshot(layer, NOWHERE, wanted.fields), f"features_{key}.gpkg")
        return Source(key, path, layer.name(), kind="vector", layer=LABEL_LAYER)

    def proposed(self, wanted: ModelInput, layers: Sequence[QgsMapLayer]) -> str:
        name = (wanted.source.name or wanted.source.key).casefold()
        same = (
            layer for layer in layers if isinstance(layer, QgsVectorLayer) and layer.name().casefold() == name
        )
        return next((str(layer.id()) for layer in same), "")

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        anything = Qgis.ProcessingSourceType.VectorAnyGeometry
        how = tr("How (roads:distance 500; soil:onehot kind; rock:burn hardness)")
        return [
            QgsProcessingParameterMultipleLayers(
                "VECTORS", tr("Vector layers as bands"), anything, None, True
            ),
            QgsProcessingParameterString("VECTOR_BANDS", how, None, False, True),
        ]

    def additions(
        self, algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
    ) -> tuple[Addition, ...]:
        text = algorithm.parameterAsString(dict(parameters), "VECTOR_BANDS", context)
        return vector_additions(text, self.layers(algorithm, parameters, context))

    def layers(
        self, algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
    ) -> list[QgsMapLayer]:
        return list(algorithm.parameterAsLayerList(dict(parameters), "VECTORS", context))


def vector_additions(text: str, layers: Sequence[QgsVectorLayer]) -> tuple[Addition, ...]:
    """Return the bands of vector layers as a text describes them. Main thread.

    Args:
        text: as `roads: distance 500; soil: onehot kind; rock: burn hardness`.
        layers: those that the text may name; one that it does not name gives its distance.

    Raises:
        ValueError: with a sentence that names the part that is wrong.
    """
    wanted: list[tuple[QgsVectorLayer, list[str]]] = []
    for part in entries(text):
        name, _, rest = part.rpartition(":")
        layer = next((item for item in layers if item.name() == name.strip()), None)
        if layer is None:
            known = ", ".join(item.name() for item in layers)
            raise ValueError(
                tr("VECTOR_BANDS names the layer '{}', but the layers are: {}.").format(name.strip(), known)
            )
        wanted.append((layer, rest.split()))
    named = {layer.id() for layer, _ in wanted}
    wanted += [(layer, ["distance"]) for layer in layers if layer.id() not in named]
    return tuple(_vector_addition(layer, how) for layer, how in wanted)


def _vector_addition(layer: QgsVectorLayer, how: list[str]) -> Addition:
    """One layer as bands: `distance [limit in metres]`, `burn FIELD` or `onehot FIELD`."""
    mode, setting = (how[0] if how else "distance"), " ".join(how[1:])
    name = layer.name()
    if mode == "distance":
        try:
            parameters: dict[str, float | str] = {"limit_m": float(setting)} if setting else {}
        except ValueError:
            raise ValueError(tr("VECTOR_BANDS: '{}' is no distance in metres.").format(setting)) from None
        bands: tuple[Band, ...] = (Band(f"{name}: distance", derive="distance", parameters=parameters),)
        return Addition(name, bands, "vector", layer.id())
    if mode not in ("burn", "onehot"):
        raise ValueError(tr("VECTOR_BANDS: '{}' is none of distance, burn, onehot.").format(mode))
    index = layer.fields().lookupField(setting)
    if index < 0:
        raise ValueError(
            tr("VECTOR_BANDS: layer '{}' has no field '{}'; its fields are: {}.").format(
                name, setting, ", ".join(layer.fields().names())
            )
        )
    if mode == "burn":
        bands = (Band(f"{name}: {setting}", derive="burn", parameters={"field": setting}),)
    else:
        bands = tuple(_onehot(name, setting, value) for value in sorted(values_of(layer, index)))
    return Addition(name, bands, "vector", layer.id(), fields=(setting,))


def _onehot(name: str, field: str, value: str) -> Band:
    parameters: dict[str, float | str] = {"field": field, "value": value}
    return Band(f"{name}: {value}", derive="onehot", resampling="nearest", parameters=parameters)
