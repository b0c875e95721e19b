"""A kind of source of bands, as QGIS gives it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtCore import QCoreApplication

from ...contract import Source, SourceKind
from ...jobs.additions import Addition
from ...jobs.modelinputs import ModelInput
from ..exports import PolygonExport
from ..inputs.folder import InputFolder
from ..inputs.lookup import LayerOf
from ..snapshot import file_stem

FilledBy = Literal["vector layer", "files"]


def tr(text: str) -> str:
    return QCoreApplication.translate("bandsources", text)


@dataclass(frozen=True)
class AdditionSnapshot:
    """Added bands at one moment, and what writes their features, if they are of a layer."""

    addition: Addition
    export: PolygonExport | None = None

    def located(self, folder: InputFolder) -> Addition:
        """Return the addition with its features in a file of `folder`. Any thread."""
        if self.export is None:
            return self.addition
        stem = file_stem(self.addition.layer_id)[-8:]
        path = folder.add(self.export, f"features_{stem}_{len(folder.exports)}.gpkg")
        return dataclasses.replace(self.addition, path=path)


class BandSource(ABC):
    """A kind of source besides rasters. Main thread.

    Attributes:
        kind: of the contract's Source, and of the additions that use it.
        filled_by: what the user chooses for it at prediction.
    """

    kind: ClassVar[SourceKind]
    filled_by: ClassVar[FilledBy]

    def snapshot(self, addition: Addition, layer_of: LayerOf) -> AdditionSnapshot:
        """Return added bands of this kind as they are now.

        Args:
            addition: as the user made it.
            layer_of: where its layer is looked up.
        """
        return AdditionSnapshot(addition)

    @abstractmethod
    def replacement(self, wanted: ModelInput, chosen: str, layer_of: LayerOf, folder: InputFolder) -> Source:
        """Return the source that a model reads at prediction instead of that of training.

        Args:
            wanted: the source of the model.
            chosen: what the user chose: the id of a layer, or files with newlines between them.
            layer_of: where layers are looked up.
            folder: gets what is written.
        """

    def proposed(self, wanted: ModelInput, layers: Sequence[QgsMapLayer]) -> str:
        """Return the id of the layer that fits a source of a model; empty if there is none.

        Args:
            wanted: the source of the model.
            layers: those to choose from.
        """
        return ""

    @abstractmethod
    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Return the parameters of the Toolbox that describe bands of this kind."""

    @abstractmethod
    def additions(
        self, algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
    ) -> tuple[Addition, ...]:
        """Read these parameters.

        Args:
            algorithm: that has the parameters.
            parameters: their values.
            context: of the run.

        Raises:
            ValueError: with a sentence that names the parameter and the part of it that is wrong.
        """

    def layers(
        self, algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
    ) -> list[QgsMapLayer]:
        """Return the layers that these parameters name.

        Args:
            algorithm: that has the parameters.
            parameters: their values.
            context: of the run.
        """
        return []
